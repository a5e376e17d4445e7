"""How a setting is read from the environment: by name, or from the file `NAME_FILE` points to.

A value that is missing or makes no sense stops the process that needs it, with the name and a hint.
"""

import base64
import binascii
import os
import re
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from tokens import destinations
from tokens.destinations import Destination

DATABASES = ("postgres", "postgresql", "sqlite")


def env_text(name: str, default: str | None = None) -> str:
    """The value of `name`, or the contents of the file `name_FILE` names. No default: it must be set."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        return _read(name, Path(path))
    value = os.environ.get(name, default)
    if value is None or (default is None and not value.strip()):
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


def env_pairs(name: str) -> dict[str, str]:
    """`word=value` pairs, separated by commas, in their order; each word once."""
    pairs = [word.partition("=")[::2] for word in env_list(name)]
    found = {word.strip(): value.strip() for word, value in pairs}
    if not all(found) or not all(found.values()) or len(found) < len(pairs):
        raise ImproperlyConfigured(f"{name}: write pairs such as group=person, each group once.")
    return found


def env_words(name: str, default: str, choices: Collection[str]) -> list[str]:
    """Some of a few words, separated by commas; at least one."""
    words = env_list(name, default)
    if not words or not set(words) <= set(choices):
        raise ImproperlyConfigured(
            f"{name} is {','.join(words)!r}; write some of: {', '.join(choices)}."
        )
    return words


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
    parts = urlsplit(value)
    if (value or default is None) and (parts.scheme not in {"https", "http"} or not parts.hostname):
        raise ImproperlyConfigured(f"{name} is {value!r}; write an address such as https://host.")
    return value


def env_pauses(name: str, default: str) -> tuple[float, ...]:
    """Spans in seconds, at least one, separated by commas; each at least half a second."""
    words = env_list(name, default)
    try:
        pauses = tuple(float(word) for word in words)
    except ValueError:
        pauses = ()
    if not pauses or not all(0.5 <= pause < 1e6 for pause in pauses):
        raise ImproperlyConfigured(
            f"{name} is {','.join(words)!r}; write seconds from 0.5, separated by commas."
        )
    return pauses


def env_seconds(name: str, default: float) -> timedelta:
    """A span of more than nothing, in seconds."""
    value = env_text(name, str(default))
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise ImproperlyConfigured(f"{name} is {value!r}; write seconds, more than 0.")
    return timedelta(seconds=seconds)


def env_one_of(name: str, default: str, choices: Collection[str]) -> str:
    """One of a few words."""
    value = env_text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}; it is one of: {', '.join(choices)}.")
    return value


def env_slugs(name: str) -> list[str]:
    """Short names of small letters, digits and hyphens, each once."""
    slugs = env_list(name)
    for slug in slugs:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) or len(slug) > 40:
            raise ImproperlyConfigured(
                f"{name} names {slug!r}; a short name has small letters, digits and hyphens."
            )
        if slugs.count(slug) > 1:
            raise ImproperlyConfigured(f"{name} names {slug!r} more than once.")
    return slugs


def env_redis(name: str, default: str) -> str:
    """The address of a Redis or Valkey server; empty where there is none."""
    value = env_text(name, default)
    if value and not _is_redis(value):
        raise ImproperlyConfigured(f"{name} is no Redis address; write redis://host:6379/0.")
    return value


def _is_redis(value: str) -> bool:
    """A host with a port and a number of a database that can be, or a socket's path."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme == "unix":
        return len(parts.path) > 1
    number = parts.path.strip("/")
    is_place = bool(parts.hostname) and port != 0 and (not number or number.isdecimal())
    return parts.scheme in {"redis", "rediss"} and is_place


def env_broker(name: str, default: str) -> str:
    """A Redis address as Celery writes it: a socket is `redis+socket://` there."""
    value = env_redis(name, default)
    if not value.startswith("unix://"):
        return value
    return value.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=", 1)


def env_database(name: str, default: str) -> dict[str, Any]:
    """Django's database settings from an address such as postgres://user:password@host/name."""
    value = env_text(name, default)
    if value.split("://", 1)[0] not in DATABASES:
        raise ImproperlyConfigured(f"{name} is no address of {' or '.join(DATABASES)}.")
    try:
        config = environ.Env.db_url_config(value)
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"{name} is no database address Django knows.") from error
    if not config.get("ENGINE"):
        raise ImproperlyConfigured(f"{name} is no database address Django knows.")
    return dict(config)


def env_email(name: str, default: str) -> dict[str, object]:
    """Django's EMAIL_* settings from an address such as smtp+tls://user:password@host:587."""
    try:
        return dict(environ.Env.email_url_config(env_text(name, default)))
    except (ValueError, KeyError, ImproperlyConfigured) as error:
        raise ImproperlyConfigured(
            f"{name} is no mail server's address; write smtp+tls://user:password@host:587."
        ) from error


def env_webhook(name: str, *, may_be_local: bool) -> Destination:
    """What WEBHOOK_<NAME>_* say of one destination. Address and secrets stand in no sentence."""
    prefix = destinations.prefix_of(name)
    url = env_text(f"{prefix}_URL")
    if fault := destinations.fault_of_address(url, may_be_local=may_be_local):
        raise ImproperlyConfigured(f"{prefix}_URL {fault}.")
    try:
        secrets = destinations.signing_secrets(env_text(f"{prefix}_SECRET", ""))
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{prefix}_SECRET {error}. Make one with: python -c "
            "'import base64,os;print(\"whsec_\"+base64.b64encode(os.urandom(32)).decode())'"
        ) from None
    return Destination(
        name=name, url=url, secrets=secrets,
        shape=env_one_of(f"{prefix}_SHAPE", destinations.SIGNED, destinations.SHAPES),
        kinds=frozenset(
            env_words(f"{prefix}_EVENTS", ",".join(destinations.KINDS), destinations.KINDS)
        ),
    )  # fmt: skip
