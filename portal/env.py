"""How a setting is read from the environment: by name, or from the file `NAME_FILE` points to.

A value that is missing or makes no sense stops the process that needs it, with the name and a hint.
"""

import base64
import binascii
import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured


def env_text(name: str, default: str | None = None) -> str:
    """The value of `name`, or the contents of the file `name_FILE` names. No default: it must be set."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        return _read(name, Path(path))
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(
            f"{name} is not set. Set it, or {name}_FILE; see docs/install.md."
        )
    return value.strip()


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name}_FILE names {path}, which cannot be read: {error.strerror}."
        ) from error


def env_bool(name: str, default: bool) -> bool:
    """True for 1, true, yes, on; False for 0, false, no, off and an empty value."""
    value = env_text(name, str(default)).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"", "0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; write 1 or 0.")


def env_int(name: str, default: int, *, least: int = 0, most: int = 2**31) -> int:
    """A whole number between `least` and `most`, both included."""
    value = env_text(name, str(default))
    if not value.isascii() or not value.lstrip("-").isdigit() or not least <= int(value) <= most:
        raise ImproperlyConfigured(f"{name} is {value!r}; write a number from {least} to {most}.")
    return int(value)


def env_list(name: str, default: str = "") -> list[str]:
    """Comma-separated words, without the blanks around them; an empty value is an empty list."""
    return [word.strip() for word in env_text(name, default).split(",") if word.strip()]


def env_keys(name: str) -> list[bytes]:
    """Sealing keys, newest first: comma-separated URL-safe base64 of 32 bytes each. May be empty."""
    return [_key(name, word) for word in env_list(name)]


def _key(name: str, word: str) -> bytes:
    try:
        key = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != 32:
        raise ImproperlyConfigured(
            f"{name} holds a key that is not 32 bytes of URL-safe base64. Make one with: "
            "python -c 'import base64,os;print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
        )
    return key


def env_url(name: str, default: str | None = None) -> str:
    """An http(s) address without a trailing slash."""
    value = env_text(name, default).rstrip("/")
    if value and not value.startswith(("https://", "http://")):
        raise ImproperlyConfigured(f"{name} is {value!r}; it must start with https://.")
    return value


def env_database(name: str, default: str) -> dict[str, object]:
    """Django's database settings from an address such as postgres://user:password@host/name."""
    try:
        config = environ.Env.db_url_config(env_text(name, default))
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"{name} is no database address Django knows.") from error
    if not config.get("ENGINE"):
        raise ImproperlyConfigured(f"{name} is no database address Django knows.")
    return dict(config)


def env_email(name: str, default: str) -> dict[str, object]:
    """Django's EMAIL_* settings from an address such as smtp+tls://user:password@host:587."""
    try:
        return dict(environ.Env.email_url_config(env_text(name, default)))
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"{name} is no mail address Django knows.") from error
