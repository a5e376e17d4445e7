"""The Celery app, its two queues and beat's table. Tasks are sent by name; see tokens/tasks.py."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("keydesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect
def _beat_table(sender: Celery, **_: object) -> None:
    """What beat sends, and how often. Two beats are harmless; a day without one costs time only."""
    due, sweep = settings.DUE_SWEEP.total_seconds(), settings.SWEEP.total_seconds()
    for slug in settings.HELPDESKS:
        sender.add_periodic_task(due, sender.signature("tokens.run_due", args=(slug,)), expires=due)
    sender.add_periodic_task(due, sender.signature("tokens.beat"), expires=due)
    sender.add_periodic_task(due, sender.signature("tokens.send_mail"), expires=due)
    sender.add_periodic_task(sweep, sender.signature("tokens.sweep"), expires=sweep)
