"""What is there before anybody signs in: the tables, the people, the one client. May run again."""

from allauth.idp.oidc.models import Client
from django.contrib.auth.models import User
from django.core.management import call_command

from demo.identity_provider.adapter import SCOPES
from demo.identity_provider.configuration import configuration
from demo.people import PEOPLE


def prepare() -> None:
    """Bring the database to what demo/people.py and the environment say."""
    call_command("migrate", verbosity=0)
    for person in PEOPLE:
        User.objects.update_or_create(
            username=person.key, defaults={"first_name": person.name, "email": person.email}
        )
    _client()


def _client() -> None:
    """Keydesk, first-party: nobody is asked for consent."""
    told = configuration()
    client = Client.objects.filter(id=told.client_id).first() or Client(id=told.client_id)
    client.name = "Keydesk"
    client.set_secret(told.client_secret)
    client.set_scopes(list(SCOPES))
    client.set_redirect_uris([told.redirect_uri])
    client.set_grant_types([Client.GrantType.AUTHORIZATION_CODE])
    client.set_response_types([Client.ResponseType.CODE])
    client.skip_consent = True
    client.save()
