"""How people are named in forms: by their address."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError

from accounts.models import User


def colleague(found: Sequence[User], *, of: User, themselves: str) -> User:
    """The one of those found who is not `of`. Raises `ValidationError`; `themselves`: its words for that."""
    if not found:
        raise ValidationError("Nobody who has signed in to Keydesk has this address.")
    if len(found) > 1:
        raise ValidationError("More than one person has this address. Ask your admin.")
    if found[0].pk == of.pk:
        raise ValidationError(themselves)
    return found[0]
