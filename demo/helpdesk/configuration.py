"""What one demo helpdesk is told by its environment. Nothing else here reads the environment."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from demo.helpdesk.scopes import unknown_in

PREFIX = "DEMO_HELPDESK_"


@dataclass(frozen=True)
class Bounds:
    """The lifetimes a helpdesk grants, in seconds; `default` is what a call without a wish gets."""

    least: int
    most: int
    default: int


@dataclass(frozen=True)
class Configuration:
    """One helpdesk: its name, its two OAuth clients, its limits and its undocumented habits."""

    folder: Path
    name: str
    client_id: str
    client_secret: str
    service_client_id: str
    service_client_secret: str
    redirect_uri: str
    requests_per_minute: int
    code_life: int
    access: Bounds
    refresh: Bounds
    allowed_scopes: tuple[str, ...]
    current_needs: str
    refresh_keeps_id: bool
    delete_spares_refresh: bool
    one_grant_per_user: bool

    def __repr__(self) -> str:
        return f"Configuration({self.name})"


@cache
def configuration() -> Configuration:
    """The configuration of this process. Raises ImproperlyConfigured with the variable's name."""
    return Configuration(
        folder=_folder(),
        name=_text("NAME"),
        client_id=_text("CLIENT_ID"),
        client_secret=_text("CLIENT_SECRET"),
        service_client_id=_text("SERVICE_CLIENT_ID"),
        service_client_secret=_text("SERVICE_CLIENT_SECRET"),
        redirect_uri=_redirect_uri(),
        requests_per_minute=_number("REQUESTS_PER_MINUTE", 700),
        code_life=_number("CODE_LIFE", 120),
        access=_bounds("ACCESS", least=300, most=172_800, default=1_800),
        refresh=_bounds("REFRESH", least=604_800, most=7_776_000, default=2_592_000),
        allowed_scopes=_scopes("ALLOWED_SCOPES"),
        current_needs=" ".join(_scopes("CURRENT_NEEDS")[:1]),
        refresh_keeps_id=_switch("REFRESH_KEEPS_ID", False),
        delete_spares_refresh=_switch("DELETE_SPARES_REFRESH", True),
        one_grant_per_user=_switch("ONE_GRANT_PER_USER", False),
    )


def _text(name: str, default: str | None = None) -> str:
    value = os.environ.get(PREFIX + name, default)
    if value is None or (default is None and not value.strip()):
        raise ImproperlyConfigured(
            f"{PREFIX}{name} is not set. The demo helpdesk's environment is made by "
            "demo.helpdesk.process.environment()."
        )
    return value.strip()


def _number(name: str, default: int) -> int:
    value = _text(name, str(default))
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 2**31:
        raise ImproperlyConfigured(f"{PREFIX}{name} is {value!r}; write a whole number above 0.")
    return int(value)


def _bounds(half: str, *, least: int, most: int, default: int) -> Bounds:
    bounds = Bounds(
        _number(f"{half}_MIN", least),
        _number(f"{half}_MAX", most),
        _number(f"{half}_DEFAULT", default),
    )
    if not bounds.least <= bounds.default <= bounds.most:
        raise ImproperlyConfigured(
            f"{PREFIX}{half}_DEFAULT is {bounds.default}; it must lie between "
            f"{PREFIX}{half}_MIN ({bounds.least}) and {PREFIX}{half}_MAX ({bounds.most})."
        )
    return bounds


def _scopes(name: str) -> tuple[str, ...]:
    scopes = tuple(_text(name, "").split())
    if unknown := unknown_in(scopes):
        raise ImproperlyConfigured(f"{PREFIX}{name} names an unknown scope: {unknown[0]}.")
    return scopes


def _switch(name: str, default: bool) -> bool:
    value = _text(name, str(int(default)))
    if value not in {"0", "1"}:
        raise ImproperlyConfigured(f"{PREFIX}{name} is {value!r}; write 1 or 0.")
    return value == "1"


def _folder() -> Path:
    folder = Path(_text("DIR"))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{PREFIX}DIR names {folder}, which cannot be made: {error.strerror}."
        ) from error
    return folder


def _redirect_uri() -> str:
    value = _text("REDIRECT_URI")
    local = value.startswith(("http://localhost", "http://127.0.0.1"))
    if not local and not value.startswith("https://"):
        raise ImproperlyConfigured(
            f"{PREFIX}REDIRECT_URI is {value!r}; it must be https, or http on this machine."
        )
    return value
