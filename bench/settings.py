"""The portal's settings with Django's admin beside it, only to be measured against it."""

from portal.settings import *  # noqa: F403 - the same portal
from portal.settings import INSTALLED_APPS as PORTALS

INSTALLED_APPS = [*PORTALS, "django.contrib.admin"]
ROOT_URLCONF = "bench.urls"
