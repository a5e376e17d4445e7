"""Is Keydesk set up so that it can work? System checks with ids and hints; run by every command."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

from portal.middleware import networks

INSTALL = "docs/install.md says how."
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@register(Tags.security)
def sign_in(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """E001–E003 sign-in is not configured, E007 over plain http, W001 nobody can get a role."""
    found: list[CheckMessage] = [
        Error(
            f"{name} is not set, so nobody can sign in.",
            hint=f"{what} at your identity provider. manage.py check_sign_in says where.",
            id=f"keydesk.{number}",
        )
        for name, number, what in (
            ("OIDC_SERVER_URL", "E001", "The issuer's address"),
            ("OIDC_CLIENT_ID", "E002", "The client id of Keydesk"),
            ("OIDC_CLIENT_SECRET", "E003", "The client secret of Keydesk"),
        )
        if not getattr(settings, name)
    ]
    if _is_open(settings.OIDC_SERVER_URL):
        found.append(
            Error(
                "OIDC_SERVER_URL is plain http, so anybody on the way could sign in as anybody.",
                hint="Use the https:// address of the identity provider.",
                id="keydesk.E007",
            )
        )
    if not _has_roles():
        found.append(
            checks.Warning(
                "No ROLE_* setting names a group or subject, so nobody can approve or administer.",
                hint="Set ROLE_APPROVER_GROUPS and ROLE_ADMIN_GROUPS (or ROLE_ADMIN_SUBJECTS).",
                id="keydesk.W001",
            )
        )
    return found


def _has_roles() -> bool:
    return bool(
        settings.ROLE_APPROVER_GROUPS or settings.ROLE_ADMIN_GROUPS or settings.ROLE_ADMIN_SUBJECTS
    )


def _is_open(address: str) -> bool:
    """Whether an address is plain http to somewhere else than this machine."""
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK and not settings.DEBUG


@register()
def deciding(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """E010: nobody could decide what is passed on."""
    group = settings.ESCALATE_TO_GROUP
    if not group or group in settings.ROLE_APPROVER_GROUPS:
        return []
    message = "ESCALATE_TO_GROUP is no group of ROLE_APPROVER_GROUPS, so nobody in it could decide."
    return [Error(message, hint="Add it to ROLE_APPROVER_GROUPS.", id="keydesk.E010")]


@register(Tags.security)
def secrets(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """E004: without a key nothing can be sealed."""
    if settings.SEALING_KEYS:
        return []
    return [
        Error(
            "SEALING_KEYS is not set, so no access token can be sealed or served.",
            hint="Make a key as docs/install.md says; keep it outside the database's backups.",
            id="keydesk.E004",
        )
    ]


@register()
def places(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """E005 no helpdesk, E006 the portal or E012 a helpdesk over plain http, E008 time zone, E009 proxies."""
    found: list[CheckMessage] = []
    if not settings.HELPDESKS:
        hint = "HELPDESKS=production, then HELPDESK_PRODUCTION_URL and its siblings. " + INSTALL
        found.append(Error("HELPDESKS names no helpdesk.", hint=hint, id="keydesk.E005"))
    if _is_open(settings.PORTAL_URL):
        hint = "Put TLS in front and set PORTAL_URL to the https:// address. " + INSTALL
        found.append(Error("PORTAL_URL is plain http.", hint=hint, id="keydesk.E006"))
    found += [
        Error(
            f"HELPDESK_…_URL of {helpdesk.name} is plain http, so anybody on the way could read its tokens.",
            hint="Use the https:// address of the helpdesk.",
            id="keydesk.E012",
        )
        for helpdesk in settings.HELPDESKS.values()
        if _is_open(helpdesk.url)
    ]
    if settings.READERS_TIME_ZONE not in available_timezones():
        message = f"TIME_ZONE is {settings.READERS_TIME_ZONE!r}, which is no time zone."
        found.append(Error(message, hint="Such as Europe/Amsterdam.", id="keydesk.E008"))
    try:
        networks(settings.TRUSTED_PROXIES)
    except ValueError as error:
        hint = "Addresses or networks such as 10.0.0.0/8, separated by commas, or unix."
        found.append(Error(f"TRUSTED_PROXIES: {error}.", hint=hint, id="keydesk.E009"))
    return found


@register(Tags.security)
def webhooks(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """E011: a worker could not sign what it sends. Web processes need no such secret."""
    if not settings.WORKER_SEALING_KEYS:
        return []
    return [
        Error(
            f"{destination.missing} is not set, so nothing can be signed for {destination.name}.",
            hint="Both sides know it; workers alone need it here. " + INSTALL,
            id="keydesk.E011",
        )
        for destination in settings.WEBHOOKS.values()
        if destination.missing
    ]


@register(Tags.database, deploy=True)
def production(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """W002 SQLite and W003 no Redis: fine on one machine, not beyond."""
    found: list[CheckMessage] = []
    if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
        hint = "SQLite serves one machine well; beyond that, DATABASE_URL=postgres://…"
        found.append(checks.Warning("The database is SQLite.", hint=hint, id="keydesk.W002"))
    if not settings.REDIS_URL:
        hint = "REDIS_URL=redis://… is how web and workers share one budget. " + INSTALL
        found.append(checks.Warning("REDIS_URL is not set.", hint=hint, id="keydesk.W003"))
    return found
