"""The environment of the tests. Settings come from the environment alone, so pytest loads this first.

See `addopts` in pyproject.toml.
"""

import base64
import os

_KEY = base64.urlsafe_b64encode(b"tests-only-sealing-key-32-bytes!").decode()
_WORKER_KEY = base64.urlsafe_b64encode(b"tests-only-workers-key-32-bytes!").decode()
_ENVIRONMENT = {
    "DJANGO_SECRET_KEY": "tests-only-secret-key-that-is-long-enough-for-the-checks-0123456789",
    "DJANGO_DEBUG": "0",
    "DJANGO_ALLOWED_HOSTS": "testserver,127.0.0.1,localhost",
    "PORTAL_URL": "http://127.0.0.1:8000",
    "SEALING_KEYS": _KEY,
    "WORKER_SEALING_KEYS": _WORKER_KEY,
    "OIDC_SERVER_URL": "http://127.0.0.1:8001",
    "OIDC_CLIENT_ID": "keydesk",
    "OIDC_CLIENT_SECRET": "tests-only",
    "ROLE_APPROVER_GROUPS": "helpdesk-leads,security-reviewers",
    "ROLE_ADMIN_GROUPS": "keydesk-admins",
    "ROLE_AUDITOR_GROUPS": "internal-audit",
    "HELPDESKS": "production,sandbox",
    "EMAIL_URL": "memorymail://",
    "WORKING_DAYS": "mon,tue,wed,thu,fri,sat,sun",  # tests run on Saturdays too
    "ASKS_PER_HOUR": "1000000",  # and ask more often than people do
}
for _slug, _name, _port in (
    ("PRODUCTION", "Acme production", 8002),
    ("SANDBOX", "Acme sandbox", 8003),
):
    _ENVIRONMENT |= {
        f"HELPDESK_{_slug}_NAME": _name,
        f"HELPDESK_{_slug}_URL": f"http://127.0.0.1:{_port}",
        f"HELPDESK_{_slug}_CLIENT_ID": "keydesk",
        f"HELPDESK_{_slug}_CLIENT_SECRET": "tests-only-client-secret",
        f"HELPDESK_{_slug}_SERVICE_CLIENT_ID": "keydesk-service",
        f"HELPDESK_{_slug}_SERVICE_CLIENT_SECRET": "tests-only-service-secret",
        f"HELPDESK_{_slug}_REQUESTS_PER_MINUTE": "700",
    }
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
