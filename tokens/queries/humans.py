"""Which accounts belong to one human, as far as Keydesk can tell."""

from django.db.models import Q, QuerySet

from accounts.models import User
from tokens.models import HelpdeskLink


def accounts_of(user: User) -> QuerySet[User]:
    """This account, and those with the same address or the same user on a helpdesk, also of people who left."""
    known_as = HelpdeskLink.objects.filter(user=user, helpdesk_user__isnull=False)
    same = Q(pk=user.pk) | Q(helpdesk_links__helpdesk_user__in=known_as.values("helpdesk_user"))
    if user.email:
        same |= Q(email__iexact=user.email)
    return User.objects.filter(same)
