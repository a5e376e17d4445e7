"""Django's settings for one demo helpdesk process; what may differ comes from `configuration`."""

import re

from django.core.management.utils import get_random_secret_key

from demo.helpdesk.configuration import Configuration, configuration


def _secret_key(of: Configuration) -> str:
    """The key in the helpdesk's folder, made at its first start."""
    path = of.folder / "secret.key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(get_random_secret_key())
    return path.read_text()


_CONFIGURATION = configuration()
_SLUG = re.sub(r"[^a-z0-9]+", "_", _CONFIGURATION.name.lower()).strip("_")

SECRET_KEY = _secret_key(_CONFIGURATION)
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "demo.helpdesk.urls"
WSGI_APPLICATION = "demo.helpdesk.wsgi.application"
INSTALLED_APPS = ["demo.helpdesk.apps.DemoHelpdesk"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "demo.helpdesk.middleware.PageSafety",
    "demo.helpdesk.middleware.JsonSuffix",
    "demo.helpdesk.middleware.RecordRequests",
    "demo.helpdesk.limits.RateLimit",
    "demo.helpdesk.faults.middleware.Faults",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "demo.helpdesk.answers.Refusals",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "demo.helpdesk.people.signed_in",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _CONFIGURATION.folder / "helpdesk.sqlite3",
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            # It has to survive its own kill, which it does; a machine without power may forget a demo.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=OFF;"
            "PRAGMA foreign_keys=ON;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
APPEND_SLASH = False

# Cookies are shared between the ports of one host, so each helpdesk has names of its own.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_NAME = f"demo_helpdesk_{_SLUG}_session"
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = f"demo_helpdesk_{_SLUG}_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "demo.helpdesk.answers.csrf_failure"

SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler", "level": "ERROR"}},
    "root": {"handlers": ["console"], "level": "ERROR"},
}
