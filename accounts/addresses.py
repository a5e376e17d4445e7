"""Who is meant by an address, where somebody is given power by it."""

from accounts.models import User


def who_has(address: str, *, like: User) -> list[User]:
    """The active people whose address it is, as the identity provider of `like` has verified; at most two.

    One is an answer, two are none.
    """
    people = User.objects.filter(issuer=like.issuer, deactivated_at=None, email_verified=True)
    return list(people.filter(email__iexact=address)[:2])
