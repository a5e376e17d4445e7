"""The process's entry: `gunicorn demo.identity_provider.wsgi:application`. Prepares its database first."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "demo.identity_provider.settings"

application = get_wsgi_application()

from demo.identity_provider.prepare import prepare  # noqa: E402 - models exist only once Django is set up

prepare()
