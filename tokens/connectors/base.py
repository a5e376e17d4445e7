"""What every helpdesk connector promises, the records it returns, and the ways a call can fail.

Nothing of Django here and no state: provisioning hands in secrets, tokens and a `Gate`, and gets
records back. A connector never retries by itself and never logs a secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


class ConnectorError(Exception):
    """A remote call did not give what was asked for; `reason` is a sentence without secrets."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Retry(ConnectorError):
    """Certainly not done, may work later; `after` is the helpdesk's own wish in seconds, or None."""

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class ClaimLost(Retry):
    """Nothing was sent: another worker does this job by now, and whoever began it must leave it alone."""


class GiveUp(ConnectorError):
    """Certainly not done and will not work: `code` is the OAuth error or a word such as `forbidden`."""

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.code = code


class Unknown(ConnectorError):
    """May or may not have happened: time-out, reset, 5xx, an answer nobody can read."""


class Broken(ConnectorError):
    """Our own access is refused (`invalid_client`, 401 or 403 on the service access): stop the line.

    `of_agents`: it was the client that gets the agents' pairs, not our service access.
    """

    of_agents = False


@dataclass(frozen=True)
class Remaining:
    """What an answer said is left of the helpdesk's window; `resets_in`: seconds to its end, None if unsaid."""

    requests: int
    resets_in: float | None = None


class Gate(Protocol):
    """What a transport asks before and tells after each request."""

    @property
    def deadline(self) -> float:
        """Seconds one call may take in all; past it the answer is unknown."""

    def enter(self) -> None:
        """Wait for a slot of the helpdesk's budget. Raises `Retry` when none comes in time."""

    def heard(
        self, *, limit: int | None, remaining: Remaining | None, retry_after: float | None
    ) -> None:
        """Report what the answer's headers said about the budget. Follows its `enter`."""


def prefix_of(slug: str) -> str:
    """How the variables of a helpdesk begin in the environment: `HELPDESK_PRODUCTION`."""
    return f"HELPDESK_{slug.upper().replace('-', '_')}"


@dataclass(frozen=True)
class HelpdeskConfig:
    """One configured helpdesk. Web processes run with empty secrets; only workers need them."""

    slug: str
    name: str
    kind: str
    url: str
    client_id: str
    client_secret: str
    service_client_id: str
    service_client_secret: str
    requests_per_minute: int

    def __repr__(self) -> str:
        return f"HelpdeskConfig({self.slug})"

    @property
    def missing_secrets(self) -> list[str]:
        """The variables that a worker needs and that are not set."""
        values = {
            "CLIENT_SECRET": self.client_secret,
            "SERVICE_CLIENT_ID": self.service_client_id,
            "SERVICE_CLIENT_SECRET": self.service_client_secret,
        }
        return [f"{prefix_of(self.slug)}_{name}" for name, value in values.items() if not value]


@dataclass(frozen=True)
class TokenPair:
    """The answer to an exchange or a refresh. Lifetimes in seconds; None where the helpdesk left it out."""

    access_token: str
    refresh_token: str
    scopes: frozenset[str] | None
    expires_in: int | None
    refresh_expires_in: int | None

    def __repr__(self) -> str:
        return "TokenPair(…)"


@dataclass(frozen=True)
class ServiceToken:
    """Keydesk's own access to the helpdesk. `expires_in` in seconds; None where it was left out."""

    access_token: str
    expires_in: int | None

    def __repr__(self) -> str:
        return "ServiceToken(…)"


@dataclass(frozen=True)
class TokenRecord:
    """One token as the helpdesk describes it; a field the helpdesk left out is None."""

    id: int
    client_id: int | None
    user_id: int | None
    scopes: frozenset[str] | None
    created_at: datetime | None
    expires_at: datetime | None
    refresh_expires_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True)
class RemoteUser:
    """One user of the helpdesk. `role_type` and `custom_role_id` as Zendesk documents them, or None."""

    id: int
    name: str
    email: str
    external_id: str
    role: str
    role_type: int | None
    custom_role_id: int | None
    active: bool
    suspended: bool

    @property
    def is_agent(self) -> bool:
        """Whether it has API access to give, suspended or not."""
        return self.role in ("agent", "admin")

    @property
    def is_acting_admin(self) -> bool:
        """An administrator who is neither suspended nor switched off."""
        return self.role == "admin" and self.active and not self.suspended


class Connector(Protocol):
    """One helpdesk, spoken to as Keydesk's OAuth client. Every method is one logical call;
    each HTTP request in it passes the gate. Raises only `ConnectorError`s; dates are aware UTC."""

    kind: Literal["zendesk"]

    def exchange(
        self,
        *,
        code: str,
        redirect_uri: str,
        code_verifier: str,
        scopes: frozenset[str],
        expires_in: int,
        refresh_expires_in: int,
    ) -> TokenPair:
        """Swap an authorization code for a pair. GiveUp(code="invalid_grant") when the code is dead."""

    def refresh(
        self,
        *,
        refresh_token: str,
        scopes: frozenset[str],
        expires_in: int,
        refresh_expires_in: int,
    ) -> TokenPair:
        """Swap a refresh token for a new pair; the old pair dies. GiveUp(code="invalid_grant") when dead.

        Empty `scopes` ask for those the pair has.
        """

    def mint_service_token(self, *, expires_in: int) -> ServiceToken:
        """Get Keydesk's own access by `client_credentials`."""

    def current(self, *, access_token: str) -> TokenRecord:
        """Describe the token that asks. GiveUp(code="forbidden") on 403, (code="invalid_token") on 401."""

    def whoami(self, *, access_token: str) -> RemoteUser:
        """The user a token acts as; an answer without an id is GiveUp(code="anonymous")."""

    def show(self, *, token_id: int, access_token: str) -> TokenRecord | None:
        """One token by id; None when the helpdesk says 404."""

    def tokens_of_client(self, *, client_number: int, access_token: str) -> Sequence[TokenRecord]:
        """Every token of an OAuth client, all pages. A page that cannot be read, a repeated id or a
        cursor that does not move is `Unknown`: half a list is no list."""

    def delete(self, *, token_id: int, access_token: str) -> None:
        """Revoke by id; one already gone (404) is success. GiveUp(code="forbidden") on 403."""

    def client_number(self, *, access_token: str) -> int:
        """The numeric id of Keydesk's client, whose identifier is configured."""

    def user_by_external_id(self, *, external_id: str, access_token: str) -> RemoteUser | None:
        """The user with exactly this external id, or None."""

    def users_by_email(self, *, email: str, access_token: str) -> Sequence[RemoteUser]:
        """Users of whom this address, compared exactly but for case, is the primary or a verified one."""

    def user(self, *, user_id: int, access_token: str) -> RemoteUser | None:
        """One user by id; None when gone."""
