"""What Celery calls, by name: each task is one call. The rows are the truth; a task only looks."""

import sys

from celery import shared_task
from celery.signals import worker_init
from django.core.exceptions import ImproperlyConfigured

from accounts import clock
from tokens import mail, worker
from tokens.connectors.registry import connector_for
from tokens.limiter import shared_limiter
from tokens.operations import heartbeats, sweeps


@worker_init.connect
def refuse_to_start(**_: object) -> None:
    """A worker that lacks a secret, or the Redis all workers share, ends at once with a sentence."""
    if missing := worker.lacking():
        sys.exit(missing)
    try:
        shared_limiter()
    except ImproperlyConfigured as error:
        sys.exit(str(error))


@shared_task(name="tokens.run_due")
def run_due(slug: str) -> None:
    """Work off what is due on one helpdesk."""
    worker.run_due(
        slug=slug, clock=clock.now, limiter=shared_limiter(), connect=connector_for, most=200
    )


@shared_task(name="tokens.sweep")
def sweep() -> None:
    """Find what time changed and what messages missed."""
    sweeps.sweep(now=clock.now())


@shared_task(name="tokens.send_mail")
def send_mail() -> None:
    """Send what is waiting to be sent."""
    mail.send_due(clock=clock.now)


@shared_task(name="tokens.beat")
def beat() -> None:
    """Show that beat sends and a worker takes."""
    heartbeats.beat("worker", now=clock.now())
