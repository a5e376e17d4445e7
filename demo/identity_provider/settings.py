"""Django's settings for the demo's identity provider; what may differ comes from `configuration`."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.management.utils import get_random_secret_key

from demo.identity_provider.configuration import configuration

_CONFIGURATION = configuration()


def _kept(name: str, made: str) -> str:
    """What was made at the first start, readable by its owner alone."""
    path: Path = _CONFIGURATION.folder / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(made)
    return path.read_text()


def _new_signing_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


SECRET_KEY = _kept("secret.key", get_random_secret_key())
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "demo.identity_provider.urls"
WSGI_APPLICATION = "demo.identity_provider.wsgi.application"
INSTALLED_APPS = [
    "demo.identity_provider",
    "demo.mailbox",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "allauth",
    "allauth.account",
    "allauth.idp.oidc",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "demo.identity_provider.pages.PageSafety",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _CONFIGURATION.folder / "identity-provider.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "Europe/Amsterdam"
USE_TZ = True
USE_I18N = False

# Cookies are shared between the ports of one host, so this process has names of its own.
SESSION_COOKIE_NAME = "demo_idp_session"
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "demo_idp_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# The client's secret is 48 random bytes: a slow hash would only make each sign-in slower.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "account_login"
ACCOUNT_EMAIL_VERIFICATION = "none"
IDP_OIDC_ADAPTER = "demo.identity_provider.adapter.DemoAdapter"
IDP_OIDC_PRIVATE_KEY = _kept("signing.pem", _new_signing_key())
# A silent look succeeds while an access token that was given for the same scopes lives.
IDP_OIDC_ACCESS_TOKEN_EXPIRES_IN = 7 * 86_400

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "ERROR"},
}
