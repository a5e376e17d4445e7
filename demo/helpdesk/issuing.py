"""How tokens come to be, are refreshed and end. The rules of lifetimes and bounds are `lifetimes`."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from demo.helpdesk.configuration import configuration
from demo.helpdesk.events import record
from demo.helpdesk.models import HelpdeskUser, OAuthClient, Token


@dataclass(frozen=True)
class Draft:
    """A token about to be made. Seconds of None mean: without an end."""

    client: OAuthClient
    user: HelpdeskUser
    scopes: tuple[str, ...]
    access_seconds: int | None
    refresh_seconds: int | None
    has_refresh: bool
    says_expires_in: bool
    is_stillborn: bool = False
    """Whether the access half is dead from the start; the refresh half lives."""


Twist = Callable[[Draft], Draft]


@dataclass(frozen=True)
class Pair:
    """A token just made, with its secrets, which are shown in one answer and never again."""

    token: Token
    draft: Draft
    access_token: str
    refresh_token: str | None


def digest(secret: str) -> str:
    """What is stored of a secret: enough for values of 128 random bits and more."""
    return hashlib.sha256(secret.encode()).hexdigest()


def short_digest(secret: str) -> str:
    """What the event log keeps of a secret: enough to see the same one again."""
    return digest(secret)[:16]


def issue(
    draft: Draft, *, twists: Sequence[Twist], now: datetime, grant_type: str, **facts: Any
) -> Pair:
    """Make a new token. Runs in the caller's transaction; `facts` go into its event."""
    draft = _twisted(draft, twists)
    access_token, refresh_token = _new_secrets(draft)
    token = Token(client=draft.client, created_at=now)
    _write(token, draft, access_token, refresh_token, now)
    pair = Pair(token, draft, access_token, refresh_token)
    record("token.issued", at=now, token=token, grant_type=grant_type, **_facts(pair), **facts)
    return pair


def refresh(
    old: Token, draft: Draft, *, twists: Sequence[Twist], now: datetime, **facts: Any
) -> Pair:
    """Make the pair that follows `old`, whose halves both die now. The id stays or is new, by habit."""
    draft = _twisted(draft, twists)
    access_token, refresh_token = _new_secrets(draft)
    token = old
    if not configuration().refresh_keeps_id:
        _kill(old, because="refreshed", now=now, spares_refresh=False)
        token = Token(client=draft.client, created_at=now, replaces=old)
    _write(token, draft, access_token, refresh_token, now)
    pair = Pair(token, draft, access_token, refresh_token)
    record("token.refreshed", at=now, token=token, replaces=old.id, **_facts(pair), **facts)
    return pair


def delete(
    token: Token, *, because: str, by: int | None, now: datetime, spares_refresh: bool = False,
    **facts: Any,
) -> None:  # fmt: skip
    """End a token: it leaves list and show, and a living access half takes its refresh half along.

    Whether an expired one does so too is unknown of Zendesk: here it does not, unless configured.
    """
    is_expired = token.access_state(now) == "expired"
    spares = spares_refresh or (is_expired and configuration().delete_spares_refresh)
    _kill(token, because=because, now=now, spares_refresh=spares)
    said: dict[str, Any] = {"because": because, "by": by, "refresh_lives_on": spares}
    record("token.deleted", at=now, token=token, **said, **facts)


def delete_all_of(user: HelpdeskUser, *, because: str, now: datetime) -> None:
    """End every token of a user who was deleted or lost the agent's role."""
    _delete_all(Token.objects.filter(user=user), because=because, now=now)


def delete_siblings_of(token: Token, *, now: datetime) -> None:
    """End every other token, both halves, that the same user has with the same client."""
    others = Token.objects.filter(user=token.user, client=token.client).exclude(id=token.id)
    _delete_all(others, because="another consent of this user", now=now)


def _delete_all(tokens: QuerySet[Token], *, because: str, now: datetime) -> None:
    refresh_lives = Q(refresh_digest__isnull=False, refresh_ended_at=None)
    unended = tokens.filter(Q(access_ended_at=None) | refresh_lives | Q(removed_at=None))
    for token in unended.select_related("client"):
        _kill(token, because=because, now=now, spares_refresh=False)
        record("token.deleted", at=now, token=token, because=because, by=None)


def _twisted(draft: Draft, twists: Sequence[Twist]) -> Draft:
    for twist in twists:
        draft = twist(draft)
    return draft if draft.has_refresh else replace(draft, refresh_seconds=None)


def _write(
    token: Token, draft: Draft, access_token: str, refresh_token: str | None, now: datetime
) -> None:
    token.user = draft.user
    token.scopes = list(draft.scopes)
    token.access_digest = digest(access_token)
    token.refresh_digest = digest(refresh_token) if refresh_token else None
    token.hint = access_token[:10]
    token.expires_at = _after(now, draft.access_seconds)
    token.refresh_expires_at = _after(now, draft.refresh_seconds)
    token.access_ended_at = now if draft.is_stillborn else None
    token.refresh_ended_at = token.removed_at = None
    token.ended_because = ""
    token.save()


def _after(now: datetime, seconds: int | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _kill(token: Token, *, because: str, now: datetime, spares_refresh: bool) -> None:
    token.access_ended_at = token.access_ended_at or now
    if not spares_refresh and token.refresh_digest:
        token.refresh_ended_at = token.refresh_ended_at or now
    token.removed_at = now
    token.ended_because = because
    token.save()


def _new_secrets(draft: Draft) -> tuple[str, str | None]:
    return _new_secret("at"), _new_secret("rt") if draft.has_refresh else None


def _new_secret(kind: str) -> str:
    """A string that looks like a JWT, so that its first characters say nothing; 256 random bits."""
    head = {"alg": "HS256", "typ": f"{kind}+jwt"}
    body = {"iss": configuration().name, "jti": secrets.token_hex(16)}
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (head, body)]
    return ".".join(_base64(part) for part in (*parts, secrets.token_bytes(32)))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _facts(pair: Pair) -> dict[str, Any]:
    token, refresh_token = pair.token, pair.refresh_token
    return {
        "access_token": short_digest(pair.access_token),
        "refresh_token": short_digest(refresh_token) if refresh_token else None,
        "scopes": token.scopes,
        "expires_at": token.expires_at and token.expires_at.isoformat(),
        "refresh_expires_at": token.refresh_expires_at and token.refresh_expires_at.isoformat(),
    }
