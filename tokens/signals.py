"""What a sign-in sets off here: workers look the person up on every helpdesk."""

from typing import Any

from allauth.account.signals import user_logged_in
from django.dispatch import receiver

from accounts import clock
from accounts.models import User
from tokens.operations import people


@receiver(user_logged_in, dispatch_uid="tokens.look_up")
def look_up(user: User, **_: Any) -> None:
    """Order the look-ups; the page they land on does not wait for them."""
    people.order_links(user=user, now=clock.now())
