"""The web process's entry: `gunicorn portal.wsgi:application`. A badly set-up one does not start."""

import os

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

application = get_wsgi_application()
call_command("check")
