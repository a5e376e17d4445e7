"""The web process's entry: `gunicorn portal.wsgi:application`. A badly set-up one ends with a sentence."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

try:
    application = get_wsgi_application()
    call_command("check")
except (ImproperlyConfigured, CommandError) as error:
    sys.exit(str(error))
