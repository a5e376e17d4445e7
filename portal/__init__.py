"""The composition root: knows the apps; they never import it."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
