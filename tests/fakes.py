"""A helpdesk in memory that speaks the connector's protocol, for tests of the rules around it.

It keeps what the real one is known to keep: a refresh kills the old pair, deleting a living access half
kills its refresh half, a code works once. `next_answers` makes one call of a kind go wrong.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from tokens.connectors.base import (
    GiveUp,
    RemoteUser,
    Retry,
    ServiceToken,
    TokenPair,
    TokenRecord,
)

SERVICE = "service"
INTEGRATION = RemoteUser(900, "Keydesk integration", "", "", "admin", 4, None, True, False)


@dataclass
class Pair:
    """One token row of the fake."""

    record: TokenRecord
    access: str
    refresh: str
    is_deleted: bool = False
    is_refresh_used: bool = False


@dataclass
class FakeHelpdesk:
    """What stands behind a `FakeConnector`: users, codes, tokens, and what went wrong on purpose."""

    clock: Callable[[], datetime]
    users: dict[int, RemoteUser] = field(default_factory=dict)
    codes: dict[str, tuple[int, frozenset[str]]] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    next_answers: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    narrow_may_ask_current: bool = True
    integration: RemoteUser = INTEGRATION
    """Who our own access is; another role may do less."""
    forbidden: set[str] = field(default_factory=set)
    """Calls that our own access may not make (403)."""
    hidden: set[int] = field(default_factory=set)
    """Ids that lists leave out, though the tokens live."""
    told: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Id → what the helpdesk says otherwise about a token, in lists and by id."""
    at_mint: Callable[[], None] = lambda: None
    one_grant_per_user: bool = False
    """A consent of somebody ends all other tokens of theirs."""
    numbers: Any = field(default_factory=lambda: itertools.count(5001))

    def consent(self, user_id: int, scopes: frozenset[str]) -> str:
        """A person clicked Allow: the code that comes back."""
        code = f"code-{next(self.numbers)}"
        self.codes[code] = (user_id, scopes)
        return code

    def living(self) -> list[Pair]:
        """Pairs of which some half still works."""
        return [pair for pair in self.pairs if not pair.is_deleted]

    def end(self, token_id: int) -> None:
        """Somebody deleted a token on the helpdesk itself."""
        for pair in self.pairs:
            if pair.record.id == token_id:
                pair.is_deleted = True

    def make(self, user_id: int, scopes: frozenset[str], expires_in: int, refresh_in: int) -> Pair:
        number, now = next(self.numbers), self.clock()
        record = TokenRecord(
            id=number, client_id=77, user_id=user_id, scopes=scopes, created_at=now,
            expires_at=now + timedelta(seconds=expires_in),
            refresh_expires_at=now + timedelta(seconds=refresh_in), used_at=None,
        )  # fmt: skip
        pair = Pair(record, f"access-{number}", f"refresh-{number}")
        self.pairs.append(pair)
        return pair


@dataclass
class FakeConnector:
    """`connectors.base.Connector` over a `FakeHelpdesk`."""

    desk: FakeHelpdesk
    gate: Any = None
    kind: Literal["zendesk"] = "zendesk"

    def _call(self, name: str) -> Any:
        """Pass the gate, note the call; raise or return what the test put in its way."""
        if self.gate is not None:
            self.gate.enter()
        self.desk.calls.append(name)
        planned = self.desk.next_answers[name]
        answer = planned.pop(0) if planned else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _pair(self, pair: Pair, change: Any) -> TokenPair:
        """The answer to a call that made a pair; `change` may alter the row or lose the answer."""
        if isinstance(change, dict):
            pair.record = replace(pair.record, **change)
        elif callable(change):
            change()
        life = (
            int((pair.record.expires_at - self.desk.clock()).total_seconds())
            if pair.record.expires_at
            else None
        )
        return TokenPair(pair.access, pair.refresh, pair.record.scopes, life, None)

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str, scopes: frozenset[str],
                 expires_in: int, refresh_expires_in: int) -> TokenPair:  # fmt: skip
        change = self._call("exchange")
        if code not in self.desk.codes:
            raise GiveUp("The code is dead.", code="invalid_grant")
        user_id, granted = self.desk.codes.pop(code)
        for pair in self.desk.living():
            if self.desk.one_grant_per_user and pair.record.user_id == user_id:
                pair.is_deleted = True
        return self._pair(self.desk.make(user_id, granted, expires_in, refresh_expires_in), change)

    def refresh(self, *, refresh_token: str, scopes: frozenset[str], expires_in: int,
                refresh_expires_in: int) -> TokenPair:  # fmt: skip
        change = self._call("refresh")
        old = next((p for p in self.desk.pairs if p.refresh == refresh_token), None)
        if old is None or old.is_deleted or old.is_refresh_used:
            raise GiveUp("The refresh token is dead.", code="invalid_grant")
        old.is_refresh_used = old.is_deleted = True
        assert old.record.user_id is not None
        assert old.record.scopes is not None
        new = self.desk.make(old.record.user_id, old.record.scopes, expires_in, refresh_expires_in)
        return self._pair(new, change)

    def mint_service_token(self, *, expires_in: int) -> ServiceToken:
        self.desk.at_mint()
        self._call("mint")
        return ServiceToken(SERVICE, expires_in)

    def _as(self, name: str, token: str) -> Any:
        """A call with our own access, which may be forbidden, or with a pair's, which has to live."""
        planned = self._call(name)
        if token != SERVICE:
            self._bearer(token)
        elif name in self.desk.forbidden:
            raise GiveUp("Not for you.", code="forbidden")
        return planned

    def _told(self, record: TokenRecord) -> TokenRecord:
        return replace(record, **self.desk.told.get(record.id, {}))

    def _bearer(self, token: str) -> Pair:
        for pair in self.desk.pairs:
            alive = pair.record.expires_at is None or pair.record.expires_at > self.desk.clock()
            if pair.access == token and not pair.is_deleted and alive:
                return pair
        raise GiveUp("The token is dead.", code="invalid_token")

    def current(self, *, access_token: str) -> TokenRecord:
        self._call("current")
        pair = self._bearer(access_token)
        if not self.desk.narrow_may_ask_current:
            raise GiveUp("Missing scope.", code="forbidden")
        return pair.record

    def whoami(self, *, access_token: str) -> RemoteUser:
        return self._as("whoami", access_token) or self.desk.integration

    def show(self, *, token_id: int, access_token: str) -> TokenRecord | None:
        self._as("show", access_token)
        found = (p.record for p in self.desk.living() if p.record.id == token_id)
        return next((self._told(record) for record in found), None)

    def tokens_of_client(self, *, client_number: int, access_token: str) -> Sequence[TokenRecord]:
        self._as("list", access_token)
        return [
            self._told(p.record) for p in self.desk.living() if p.record.id not in self.desk.hidden
        ]

    def delete(self, *, token_id: int, access_token: str) -> None:
        if self._as("delete", access_token) == "lie":
            return
        for pair in self.desk.living():
            if pair.record.id == token_id:
                pair.is_deleted = True

    def client_number(self, *, access_token: str) -> int:
        self._as("client", access_token)
        return 77

    def user_by_external_id(self, *, external_id: str, access_token: str) -> RemoteUser | None:
        self._as("user", access_token)
        return next((u for u in self.desk.users.values() if u.external_id == external_id), None)

    def users_by_email(self, *, email: str, access_token: str) -> Sequence[RemoteUser]:
        self._as("users", access_token)
        return [u for u in self.desk.users.values() if u.email == email]

    def user(self, *, user_id: int, access_token: str) -> RemoteUser | None:
        self._as("user", access_token)
        return self.desk.users.get(user_id)


@dataclass
class FreeLimiter:
    """A budget without end."""

    def take(self, slug: str, *, urgent: bool, wait: float, in_hand: bool = False) -> bool:
        return True

    def pause(self, slug: str, seconds: float) -> None:
        raise Retry("A test asked for no pause.")
