"""Who leads whom: what the identity provider says (OIDC_MANAGER_CLAIM), else the map GROUP_LEADS.

Both name a person by their subject, or by their address where the identity provider has verified it.
"""

from itertools import islice

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower

from accounts.addresses import who_has
from accounts.models import User
from accounts.roles import groups_of


def lead_of(user: User) -> User | None:
    """The lead of a person, if they have signed in here and are active: nobody is their own. Read once per instance."""
    if user.known_leads is None:
        by_claim = [user.lead_name] if settings.OIDC_MANAGER_CLAIM and user.lead_name else []
        by_group = [who for group, who in settings.GROUP_LEADS.items() if group in groups_of(user)]
        found = (_person(name, like=user) for name in (*by_claim, *by_group))
        leads = (lead for lead in found if lead is not None and lead.pk != user.pk)
        user.known_leads = tuple(islice(leads, 1))
    return user.known_leads[0] if user.known_leads else None


def lead_under(user: User, *, lead_decides: bool) -> User | None:
    """The lead of a person where the terms let leads decide."""
    return lead_of(user) if lead_decides else None


def _person(name: str, *, like: User) -> User | None:
    """Who is meant by a name, among the people of the same identity provider; nobody where it could be two."""
    people = User.objects.filter(issuer=like.issuer, deactivated_at=None)
    if by_subject := people.filter(subject=name).first():
        return by_subject
    by_address = who_has(name, like=like)
    return by_address[0] if len(by_address) == 1 else None


def leads_somebody(user: User) -> bool:
    """Whether anything names this person as a lead, so that requests may come to them."""
    address = user.email.lower() if user.email_verified else ""
    if any(
        name == user.subject or name.lower() == address for name in settings.GROUP_LEADS.values()
    ):
        return True
    if user.known_to_lead is None:
        user.known_to_lead = User.objects.filter(is_named_by_somebody(), pk=user.pk).exists()
    return user.known_to_lead


def is_named_by_somebody() -> Q:
    """For a query of people: whether somebody's claim names them; nobody's where none is read."""
    if not settings.OIDC_MANAGER_CLAIM:
        return Q(pk__in=[])
    led = User.objects.filter(issuer=OuterRef("issuer")).exclude(lead_name="")
    by_address = Exists(
        led.annotate(address=Lower("lead_name")).filter(address=Lower(OuterRef("email")))
    )
    by_subject = Exists(led.filter(lead_name=OuterRef("subject")))
    return Q(by_subject) | Q(by_address, email_verified=True)
