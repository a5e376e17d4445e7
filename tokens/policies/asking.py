"""How often somebody may ask."""

from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import User
from tokens.queries.requests import asks_since
from tokens.refusals import YES, Answer, no


def may_ask_again(by: User, *, now: datetime) -> Answer:
    """Whether somebody may ask, or change what they asked, once more: each is a message to whoever decides."""
    most: int = settings.ASKS_PER_HOUR
    if asks_since(by, since=now - timedelta(hours=1)) < most:
        return YES
    times = "once" if most == 1 else f"{most} times"
    return no(f"You have asked {times} within an hour. Ask again in an hour.")
