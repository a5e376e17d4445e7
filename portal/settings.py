"""Every setting of Keydesk, from the environment alone. docs/install.md says what each one means."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from portal.env import (
    env_bool,
    env_broker,
    env_database,
    env_email,
    env_int,
    env_keys,
    env_list,
    env_one_of,
    env_pairs,
    env_pauses,
    env_redis,
    env_seconds,
    env_slugs,
    env_text,
    env_url,
    env_webhook,
    env_words,
)
from tokens.connectors.base import HelpdeskConfig, prefix_of
from tokens.working_days import WEEKDAYS

BASE_DIR = Path(__file__).resolve().parent.parent

# --- The process -------------------------------------------------------------------------------
SECRET_KEY = env_text("DJANGO_SECRET_KEY")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("DJANGO_SECRET_KEY is too short; write 50 random characters.")
DEBUG = env_bool("DJANGO_DEBUG", False)
PORT = env_int("PORT", 8000, least=1, most=65535)
PORTAL_URL = env_url("PORTAL_URL", f"http://127.0.0.1:{PORT}")
SECURE = PORTAL_URL.startswith("https://")
ALLOWED_HOSTS = env_list(
    "DJANGO_ALLOWED_HOSTS", PORTAL_URL.split("://")[1].split(":")[0].split("/")[0]
)
TRUSTED_PROXIES = env_list("TRUSTED_PROXIES")
WSGI_APPLICATION = "portal.wsgi.application"
ROOT_URLCONF = "portal.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The demo's commands are there only where `manage.py demo` has prepared the environment.
INSTALLED_APPS = [
    *(["demo"] if env_bool("KEYDESK_DEMO", False) else []),
    "accounts",
    "tokens",
    "portal",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
]
MIDDLEWARE = [
    "portal.middleware.SlowBodies",
    "portal.middleware.RequestId",
    "portal.middleware.TrustedProxy",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "portal.middleware.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.SessionLimits",
    "accounts.middleware.ReaderTimeZone",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.middleware.Refusals",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.nav.nav",
            ],
            "builtins": ["portal.templatetags.ui"],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- Database, broker, cache, mail -------------------------------------------------------------
DATABASE = env_database("DATABASE_URL", f"sqlite:///{BASE_DIR / 'keydesk.sqlite3'}")
if DATABASE["ENGINE"] == "django.db.backends.sqlite3":
    DATABASE["CONN_MAX_AGE"] = 60  # with its statements
    DATABASE["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;",
    }
else:
    DATABASE["OPTIONS"] = {
        "tcp_user_timeout": 10_000,  # a connection that was cut off says so, instead of hanging
        **DATABASE.get("OPTIONS", {}),  # what the address says, such as ?sslmode=verify-full
        "pool": {"min_size": 1, "max_size": 24, "timeout": 3},
    }
DATABASES: dict[str, Any] = {"default": DATABASE}

REDIS_URL = env_redis("REDIS_URL", "")
CELERY_BROKER_URL = env_broker("CELERY_BROKER_URL", REDIS_URL)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "keydesk",
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}
locals().update(env_email("EMAIL_URL", "consolemail://"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env_text("DEFAULT_FROM_EMAIL", "Keydesk <keydesk@localhost>")

# --- People: sign-in by the company's identity provider alone ------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.SignedIn"]
OIDC_SERVER_URL = env_url("OIDC_SERVER_URL", "")
OIDC_CLIENT_ID = env_text("OIDC_CLIENT_ID", "")
OIDC_CLIENT_SECRET = env_text("OIDC_CLIENT_SECRET", "")
OIDC_SCOPES = env_text("OIDC_SCOPES", "openid profile email groups").split()
OIDC_GROUPS_CLAIM = env_text("OIDC_GROUPS_CLAIM", "groups")
OIDC_MANAGER_CLAIM = env_text("OIDC_MANAGER_CLAIM", "")
GROUP_LEADS = env_pairs("GROUP_LEADS")
ROLE_APPROVER_GROUPS = env_list("ROLE_APPROVER_GROUPS")
ROLE_ADMIN_GROUPS = env_list("ROLE_ADMIN_GROUPS")
ROLE_AUDITOR_GROUPS = env_list("ROLE_AUDITOR_GROUPS")
ROLE_ADMIN_SUBJECTS = env_list("ROLE_ADMIN_SUBJECTS")
ESCALATE_TO_GROUP = env_text("ESCALATE_TO_GROUP", "")
ESCALATE_AFTER_PERCENT = env_int("ESCALATE_AFTER_PERCENT", 50, least=1, most=99)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "accounts.adapters.SocialAccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = False
SOCIALACCOUNT_ONLY = True
SOCIALACCOUNT_AUTO_SIGNUP = True
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_QUERY_EMAIL = False
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_NAME = "__Host-keydesk_session" if SECURE else "keydesk_session"
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_IDLE = timedelta(hours=1)
SESSION_ABSOLUTE = timedelta(hours=12)
SESSION_COOKIE_AGE = int(SESSION_ABSOLUTE.total_seconds())
RECENT_AUTHENTICATION = env_seconds("RECENT_AUTHENTICATION_SECONDS", 600)
GROUPS_FRESH = env_seconds("GROUPS_FRESH_SECONDS", 3600)

# --- Browser safety ------------------------------------------------------------------------------
CSRF_COOKIE_NAME = "__Host-keydesk_csrf" if SECURE else "keydesk_csrf"
CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "portal.errors.csrf_failure"
CSRF_TRUSTED_ORIGINS = [PORTAL_URL]
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Helpdesks -----------------------------------------------------------------------------------


def _helpdesk(slug: str) -> HelpdeskConfig:
    prefix = prefix_of(slug)
    kind = env_text(f"{prefix}_KIND", "zendesk")
    if kind != "zendesk":
        raise ImproperlyConfigured(f"{prefix}_KIND is {kind!r}; the kinds known are: zendesk.")
    return HelpdeskConfig(
        slug=slug,
        name=env_text(f"{prefix}_NAME", slug.replace("-", " ").capitalize()),
        kind=kind,
        url=env_url(f"{prefix}_URL"),
        client_id=env_text(f"{prefix}_CLIENT_ID"),
        client_secret=env_text(f"{prefix}_CLIENT_SECRET", ""),
        service_client_id=env_text(f"{prefix}_SERVICE_CLIENT_ID", ""),
        service_client_secret=env_text(f"{prefix}_SERVICE_CLIENT_SECRET", ""),
        requests_per_minute=env_int(f"{prefix}_REQUESTS_PER_MINUTE", 200, least=1),
    )


HELPDESKS = {slug: _helpdesk(slug) for slug in env_slugs("HELPDESKS")}
BARE_WRITE_ALLOWED = env_bool("ALLOW_BARE_WRITE", False)

# The redirects that a form post may end on: Chrome checks them against form-action.
_FORM_TARGETS = [
    SELF,
    *([OIDC_SERVER_URL.split("/.well-known")[0]] if OIDC_SERVER_URL else []),
    *(helpdesk.url for helpdesk in HELPDESKS.values()),
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "form-action": ["/".join(t.split("/")[:3]) for t in _FORM_TARGETS],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# --- Where messages go besides people's mail -------------------------------------------------------
_MAY_BE_LOCAL = DEBUG or "demo" in INSTALLED_APPS
WEBHOOKS = {name: env_webhook(name, may_be_local=_MAY_BE_LOCAL) for name in env_slugs("WEBHOOKS")}

# --- Secrets at rest -----------------------------------------------------------------------------
SEALING_KEYS = env_keys("SEALING_KEYS") if env_text("SEALING_KEYS", "") else []
WORKER_SEALING_KEYS = env_keys("WORKER_SEALING_KEYS") if env_text("WORKER_SEALING_KEYS", "") else []


# --- Times; tests scale them together with the demo helpdesk's ------------------------------------
CODE_LIFE = env_seconds("CODE_LIFE_SECONDS", 120)
SEND_WITHIN = env_seconds("SEND_WITHIN_SECONDS", 30)
MINIMUM_AGE = env_seconds("MINIMUM_AGE_SECONDS", 180)
CALL_DEADLINE = env_seconds("CALL_DEADLINE_SECONDS", 8)
CLAIM = env_seconds("CLAIM_SECONDS", 60)
DUE_SWEEP = env_seconds("DUE_SWEEP_SECONDS", 10)
SWEEP = env_seconds("SWEEP_SECONDS", 60)
PROBE_EVERY = env_seconds("PROBE_SECONDS", 30)
# Seconds after the first, second, … failed try of a job, at most; the last one from then on.
BACKOFF = env_pauses("BACKOFF_SECONDS", "2,5,15,30,60,120,300,600")
INVENTORY_EVERY = env_seconds("INVENTORY_SECONDS", 300)
# How many consents of one person may come to nothing within an hour, on one helpdesk.
CONSENTS_PER_HOUR = env_int("CONSENTS_PER_HOUR", 20, least=1)
# How often one person may ask, or change what they asked, within an hour: each is a message to whoever decides.
ASKS_PER_HOUR = env_int("ASKS_PER_HOUR", 60, least=1)
CONNECT_WITHIN = env_seconds("CONNECT_STATE_SECONDS", 600)
SECRET_OVERLAP = env_seconds("SECRET_OVERLAP_SECONDS", 86_400)
DECIDE_WITHIN = env_seconds("DECIDE_WITHIN_SECONDS", 3 * 86_400)
WORKING_DAYS = env_words("WORKING_DAYS", "mon,tue,wed,thu,fri", WEEKDAYS)
CONNECT_BY_WITHIN = env_seconds("CONNECT_BY_SECONDS", 5 * 86_400)
ACCESS_TOKEN_LEAST = env_seconds("ACCESS_TOKEN_LEAST_SECONDS", 300)
ACCESS_TOKEN_MOST = env_seconds("ACCESS_TOKEN_MOST_SECONDS", 172_800)
REFRESH_TOKEN_LEAST = env_seconds("REFRESH_TOKEN_LEAST_SECONDS", 604_800)
REFRESH_TOKEN_MOST = env_seconds("REFRESH_TOKEN_MOST_SECONDS", 7_776_000)
KEEP_ALIVE_MARGIN = env_seconds("KEEP_ALIVE_MARGIN_SECONDS", 3 * 86_400)
EXPIRY_TOLERANCE = env_seconds("EXPIRY_TOLERANCE_SECONDS", 60)
SERVE_LEAST = env_seconds("SERVE_LEAST_SECONDS", 6)
SERVE_MARGIN = env_seconds("SERVE_MARGIN_SECONDS", 5)
SLOW_BODY = env_seconds("SLOW_BODY_SECONDS", 5)
TOKEN_WAIT = env_seconds("TOKEN_WAIT_SECONDS", 10)
# Web threads of one process; seven eighths of them may wait for a refresh.
WEB_THREADS = env_int("WEB_THREADS", 64, least=8)

# --- Celery: the nudge, never the truth ------------------------------------------------------------
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 8
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BEAT_SCHEDULER = "portal.beat:Beat"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 1,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TIMEZONE = "UTC"

# --- Language, time, files, logs -------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
READERS_TIME_ZONE = env_text("TIME_ZONE", "UTC")
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = True
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
DATA_UPLOAD_MAX_MEMORY_SIZE = 262_144
FILE_UPLOAD_MAX_MEMORY_SIZE = 262_144
# No page takes a file: what is larger than that is read and dropped, never spooled to a disk it could fill.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
LOG_LEVEL = env_one_of("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
SILENCED_SYSTEM_CHECKS: list[str] = []
