"""What this identity provider says about a person: allauth's hooks for claims and metadata."""

from collections.abc import Iterable
from typing import Any

from allauth.core import context
from allauth.idp.oidc.adapter import DefaultOIDCAdapter
from allauth.idp.oidc.models import Client
from django.contrib.auth.models import User
from django.core.cache import cache

from demo.identity_provider import faults
from demo.identity_provider.configuration import configuration
from demo.people import BY_KEY

SCOPES = ("openid", "profile", "email", "groups")


def remember_auth_time(code: str, auth_time: int | None) -> None:
    """Tie the moment somebody picked a person to the code that was made of it."""
    cache.set(f"auth_time:{code}", auth_time, timeout=300)


def groups_of(key: str) -> list[str]:
    """A person's groups, as the control may have changed them."""
    changed: list[str] | None = cache.get(f"groups:{key}")
    return list(BY_KEY[key].groups) if changed is None else changed


class DemoAdapter(DefaultOIDCAdapter):
    """People of demo/people.py, with a groups claim, a verified address and a time zone."""

    scope_display = {**DefaultOIDCAdapter.scope_display, "groups": "See your groups"}

    def get_issuer(self) -> str:
        """The address this process was told it has."""
        return configuration().url

    def get_user_sub(self, client: Client, user: User) -> str:
        """The person's key."""
        return user.username

    def get_user_by_sub(self, client: Client, sub: str) -> User | None:
        """The person with this key."""
        return User.objects.filter(username=sub, is_active=True).first()

    def get_claims(
        self,
        purpose: str,
        user: User,
        client: Client,
        scopes: Iterable[str],
        email: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The same claims in the ID token and at the userinfo endpoint, as far as the scopes reach."""
        person = BY_KEY[user.username]
        claims: dict[str, Any] = {"sub": person.key}
        if "profile" in scopes:
            claims |= {
                "name": person.name,
                "preferred_username": person.key,
                "zoneinfo": "Europe/Amsterdam",
            }
        if "email" in scopes:
            claims |= {"email": person.email, "email_verified": True}
        if "groups" in scopes:
            claims["groups"] = groups_of(person.key)
        if purpose == "userinfo":
            faults.spoil_userinfo(claims)
        return claims

    def populate_id_token(
        self, id_token: dict[str, Any], client: Client, scopes: Iterable[str], **kwargs: Any
    ) -> None:
        """Add when the person was picked; a fault that was ordered spoils the claims here."""
        auth_time = cache.get(f"auth_time:{context.request.POST.get('code', '')}")
        if auth_time is not None:
            id_token["auth_time"] = auth_time
        faults.spoil_claims(id_token)

    def populate_server_metadata(self, data: dict[str, Any]) -> None:
        """What allauth leaves out of the discovery document."""
        data["scopes_supported"] = list(SCOPES)
        data["prompt_values_supported"] = ["none", "login"]
        data["claims_supported"] = [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "name", "preferred_username",
            "email", "email_verified", "zoneinfo", "groups",
        ]  # fmt: skip
