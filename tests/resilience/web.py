"""The portal's web application with crash points, for gunicorn."""

import os
from pathlib import Path

from portal.wsgi import application
from tests.resilience import crash, wrong

crash.install(Path(os.environ["KEYDESK_CRASHES"]))
wrong.install(os.environ.get("KEYDESK_WRONG", ""))

__all__ = ["application"]
