"""The process's entry: `gunicorn demo.helpdesk.wsgi:application`. Prepares its database first."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "demo.helpdesk.settings"

application = get_wsgi_application()

from demo.helpdesk.prepare import prepare  # noqa: E402 - models exist only once Django is set up

prepare()
