"""The Celery app and beat's table. Tasks are sent by name; see tokens/tasks.py."""

import os
import sys

from celery import Celery, Signature
from celery.signals import beat_init
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
# Celery would run Django's checks, which import every page, and throw away what they say. A worker that is
# started because one died has better things to do; what it lacks it says itself (tokens/tasks.py).
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("keydesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


SKEW = 3600.0
"""Seconds for which a message of beat's is good beyond its turn. It carries beat's own time and is read by a
worker's, so this is also how far their clocks may be apart."""


@app.on_after_finalize.connect
def _beat_table(sender: Celery, **_: object) -> None:
    """What beat sends, and how often. Two beats are harmless; a day without one costs time only."""
    due, sweep = settings.DUE_SWEEP.total_seconds(), settings.SWEEP.total_seconds()
    for slug in settings.HELPDESKS:
        _every(sender, due, sender.signature("tokens.run_due", args=(slug,)))
    _every(sender, due, sender.signature("tokens.expire"))
    _every(sender, due, sender.signature("tokens.beat"))
    _every(sender, due, sender.signature("tokens.send_mail"))
    for name in settings.WEBHOOKS:
        _every(sender, due, sender.signature("tokens.tell_destination", args=(name,)))
    _every(sender, sweep, sender.signature("tokens.sweep"))


def _every(app: Celery, seconds: float, message: Signature) -> None:
    app.add_periodic_task(seconds, message, expires=seconds + SKEW)


@beat_init.connect
def refuse_to_start(**_: object) -> None:
    """Beat without a broker could only wait; the sentence says what does its work then."""
    if not settings.CELERY_BROKER_URL:
        sys.exit(
            "Beat needs CELERY_BROKER_URL or REDIS_URL, such as redis://host:6379/0. "
            "Without a broker, manage.py work does what is due."
        )
