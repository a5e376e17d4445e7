"""A worker's line to one helpdesk: the connector, Keydesk's own access to it, and the turn to prove by list."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings

from tokens.connectors.base import Broken, Connector, Gate, GiveUp, HelpdeskConfig
from tokens.models import Helpdesk
from tokens.operations import capabilities, service_access
from tokens.sealing import Place, worker_ring

T = TypeVar("T")
Clock = Callable[[], datetime]
Connect = Callable[[HelpdeskConfig, Gate], Connector]
SERVICE_LIFE = 3600
_SERVICE_MARGIN = timedelta(seconds=120)
_TURN_POLL = timedelta(seconds=0.5)
_DEAD = frozenset({"invalid_token", "anonymous"})
"""How a helpdesk says that it does not know a token."""


class Later(Exception):
    """The job is to be taken up again at `until`; nothing is wrong but what `failure` says, which counts as a try."""

    def __init__(self, until: datetime, failure: str = "") -> None:
        super().__init__(until)
        self.until = until
        self.failure = failure


@dataclass
class Line:
    """Everything a job needs to work on one helpdesk."""

    helpdesk: Helpdesk
    config: HelpdeskConfig
    connector: Connector
    clock: Clock

    # Keydesk's own access.

    def as_service(self, call: Callable[[str], T]) -> T:
        """`call` with Keydesk's own access. Raises `Broken` when that is refused, whichever way."""
        try:
            return self.as_service_where_allowed(call)
        except GiveUp as refused:
            if refused.code != "forbidden":
                raise
            raise Broken(f"Keydesk's own access may not do its work. {refused.reason}") from refused

    def as_service_where_allowed(self, call: Callable[[str], T]) -> T:
        """Like `as_service`, for what not every helpdesk lets an administrator do.

        Raises `GiveUp(code="forbidden")` where that is so; when our user is no administrator, `Broken`.
        """
        try:
            return self._with_living_token(call)
        except GiveUp as refused:
            if refused.code == "forbidden":
                self.must_be_admin()
            raise

    def must_be_admin(self) -> None:
        """Prove that our own user is an administrator in good standing. Raises `Broken` if not."""
        try:
            me = self._with_living_token(lambda t: self.connector.whoami(access_token=t))
        except GiveUp as refused:
            raise Broken(
                f"Keydesk's own access may not even ask who it is. {refused.reason}"
            ) from refused
        if not me.is_acting_admin:
            raise Broken(
                f"Keydesk's own user on the helpdesk ({me.name}) is no longer an administrator."
            )

    def _with_living_token(self, call: Callable[[str], T]) -> T:
        """A token that was ended meanwhile is renewed once. Raises `Broken` when a fresh one is refused too."""
        try:
            return call(self._service_token())
        except GiveUp as refused:
            if refused.code not in _DEAD:
                raise
        service_access.drop(helpdesk=self.helpdesk, sealed=self.helpdesk.service_token)
        try:
            return call(self._service_token())
        except GiveUp as refused:
            if refused.code not in _DEAD:
                raise
            raise Broken(
                "The helpdesk refuses Keydesk's own access right after giving it."
            ) from None

    def _service_token(self) -> str:
        self.helpdesk.refresh_from_db()
        ends = self.helpdesk.service_token_expires_at
        if self.helpdesk.service_token and ends and ends > self.clock() + _SERVICE_MARGIN:
            return worker_ring().open(self.helpdesk.service_token, self._place())
        return self._mint()

    def _mint(self) -> str:
        """Renew our own access; one worker does, the others come back in a moment: nothing is wrong."""
        now, ring = self.clock(), worker_ring()
        turn = service_access.take_turn(helpdesk=self.helpdesk, now=now)
        if turn is None:
            raise Later(now + _TURN_POLL)
        try:
            minted = self.connector.mint_service_token(expires_in=SERVICE_LIFE)
            sealed = ring.seal(minted.access_token, self._place())
            ends = now + timedelta(seconds=minted.expires_in or SERVICE_LIFE)
            service_access.keep(
                helpdesk=self.helpdesk, sealed=sealed, expires_at=ends, now=self.clock()
            )
            self.helpdesk.service_token = sealed
        except GiveUp as refused:
            raise Broken(refused.reason) from refused
        finally:
            service_access.end_turn(helpdesk=self.helpdesk, until=turn)
        return minted.access_token

    def _place(self) -> Place:
        return Place("helpdesk", self.helpdesk.pk, "service")

    # What is known of the helpdesk.

    def client_number(self) -> int:
        """The numeric id of Keydesk's client on the helpdesk; looked up once."""
        if self.helpdesk.client_number is None:
            number = self.as_service(lambda t: self.connector.client_number(access_token=t))
            service_access.note_client_number(helpdesk=self.helpdesk, number=number)
            return number
        return self.helpdesk.client_number

    def can(self, capability: str) -> bool | None:
        """What was learned of this helpdesk; None while it is unknown."""
        return {"yes": True, "no": False}.get(self.helpdesk.capabilities.get(capability, ""))

    def learn(self, capability: str, *, is_so: bool) -> None:
        """Keep what was just learned."""
        if self.can(capability) is not is_so:
            capabilities.learn(
                helpdesk=self.helpdesk, name=capability, is_so=is_so, now=self.clock()
            )

    # The turn to prove by list.

    def take_turn(self, credential_id: int) -> bool:
        """Be the only one who exchanges or refreshes on this helpdesk for a while."""
        return service_access.take_proof_turn(
            helpdesk=self.helpdesk, credential_id=credential_id, now=self.clock()
        )

    def end_turn(self, credential_id: int) -> None:
        """Let the next one have the turn."""
        service_access.end_proof_turn(helpdesk=self.helpdesk, credential_id=credential_id)

    def is_turn_of_another(self, credential_id: int) -> bool:
        """Whether somebody else holds the turn now."""
        return service_access.is_proof_turn_of_another(
            helpdesk=self.helpdesk, credential_id=credential_id, now=self.clock()
        )


def open_line(helpdesk: Helpdesk, *, gate: Gate, clock: Clock, connect: Connect) -> Line:
    """A line to a configured helpdesk. Raises `Broken` when it is not configured any more."""
    config = settings.HELPDESKS.get(helpdesk.slug)
    if config is None:
        raise Broken(f"HELPDESKS no longer names {helpdesk.slug}.")
    return Line(helpdesk, config, connect(config, gate), clock)
