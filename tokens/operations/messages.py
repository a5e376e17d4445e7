"""How somebody wants their mail, and which messages are given up. Who is told what stands in notifications.py."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from accounts import audit
from accounts.models import User
from tokens.destinations import MAIL
from tokens.models import MailChoice, Notification

GIVE_UP_AFTER = timedelta(days=3)
"""How long a destination is tried. Mail is tried for ever: the people are still there when the server is back."""


def choose(*, how: MailChoice.How, by: User, now: datetime) -> None:
    """Write to somebody at once, or once a day. Back at once, what waited for the daily mail goes out now."""
    with transaction.atomic():
        MailChoice.objects.update_or_create(user=by, defaults={"how": how})
        audit.record("person.chose_mail", by=by, target=by, now=now, how=how.label)
        if how == MailChoice.How.AT_ONCE:
            waiting = Notification.objects.filter(recipient=by).for_a_daily_mail(now)
            waiting.update(not_before=now)


def give_up(*, now: datetime) -> int:
    """Try no more what a destination has not taken for three days. The row stays and says so.

    What was not tried yet, because nobody worked for so long, is tried first, if its destination is there.
    """
    was_tried = Q(tries__gt=0) | ~Q(destination__in=list(settings.WEBHOOKS))
    unsent = Notification.objects.unsent().exclude(destination=MAIL)
    rows = unsent.filter(was_tried, created_at__lt=now - GIVE_UP_AFTER)
    return rows.update(given_up_at=now, failure="")
