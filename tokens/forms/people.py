"""How people are named in forms: by their address."""

from django.core.exceptions import ValidationError

from accounts.models import User
from tokens.queries import requests as queries


def colleague(email: str, *, of: User, themselves: str) -> User:
    """The one active person with an address who is not `of`. Raises `ValidationError`; `themselves`: its words."""
    found = queries.active_by_email(email)
    if not found:
        raise ValidationError("Nobody who has signed in to Keydesk has this address.")
    if len(found) > 1:
        raise ValidationError("More than one person has this address. Ask your admin.")
    if found[0].pk == of.pk:
        raise ValidationError(themselves)
    return found[0]
