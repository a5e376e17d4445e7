"""A worker's line to one helpdesk: the connector, Keydesk's own access to it, and the turn to prove by list."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db.models import Q

from tokens.connectors.base import Broken, Connector, Gate, GiveUp, HelpdeskConfig, Retry
from tokens.models import Helpdesk
from tokens.sealing import Place, worker_ring

T = TypeVar("T")
Clock = Callable[[], datetime]
Connect = Callable[[HelpdeskConfig, Gate], Connector]
SERVICE_LIFE = 3600
_SERVICE_MARGIN = timedelta(seconds=120)
_SERVICE_TURN = timedelta(seconds=30)


class Later(Exception):
    """Nothing is wrong; the job is to be taken up again at `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until)
        self.until = until


@dataclass
class Line:
    """Everything a job needs to work on one helpdesk."""

    helpdesk: Helpdesk
    config: HelpdeskConfig
    connector: Connector
    clock: Clock

    def as_service(self, call: Callable[[str], T]) -> T:
        """`call` with Keydesk's own access; one that was ended meanwhile is renewed once.

        Raises `Broken` when a fresh one is refused too.
        """
        try:
            return call(self._service_token())
        except GiveUp as refused:
            if refused.code != "invalid_token":
                raise
        self._drop_service_token()
        try:
            return call(self._service_token())
        except GiveUp as refused:
            if refused.code != "invalid_token":
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
        """Renew our own access; one worker does, the others come back in a moment."""
        now, ring = self.clock(), worker_ring()
        free = Q(service_turn_until=None) | Q(service_turn_until__lte=now)
        mine = Helpdesk.objects.filter(free, pk=self.helpdesk.pk)
        if not mine.update(service_turn_until=now + _SERVICE_TURN):
            raise Retry("Keydesk's own access is being renewed.", after=0.5)
        try:
            minted = self.connector.mint_service_token(expires_in=SERVICE_LIFE)
            Helpdesk.objects.filter(pk=self.helpdesk.pk).update(
                service_token=ring.seal(minted.access_token, self._place()),
                service_token_expires_at=now + timedelta(seconds=minted.expires_in or SERVICE_LIFE),
            )
        finally:
            Helpdesk.objects.filter(pk=self.helpdesk.pk).update(service_turn_until=None)
        return minted.access_token

    def _drop_service_token(self) -> None:
        Helpdesk.objects.filter(pk=self.helpdesk.pk).update(service_token="")

    def _place(self) -> Place:
        return Place("helpdesk", self.helpdesk.pk, "service")

    def client_number(self) -> int:
        """The numeric id of Keydesk's client on the helpdesk; looked up once."""
        if self.helpdesk.client_number is None:
            number = self.as_service(lambda t: self.connector.client_number(access_token=t))
            Helpdesk.objects.filter(pk=self.helpdesk.pk).update(client_number=number)
            self.helpdesk.client_number = number
        return self.helpdesk.client_number

    def can(self, capability: str) -> bool | None:
        """What was learned of this helpdesk; None while it is unknown."""
        return {"yes": True, "no": False}.get(self.helpdesk.capabilities.get(capability, ""))

    def learn(self, capability: str, *, is_so: bool) -> None:
        """Keep what was just learned."""
        word = "yes" if is_so else "no"
        if self.helpdesk.capabilities.get(capability) != word:
            self.helpdesk.refresh_from_db(fields=["capabilities"])
            self.helpdesk.capabilities[capability] = word
            self.helpdesk.save(update_fields=["capabilities"])

    def take_turn(self, credential_id: int) -> bool:
        """Be the only one who exchanges or refreshes on this helpdesk for a while."""
        now = self.clock()
        free = Q(proof_turn=None) | Q(proof_turn=credential_id) | Q(proof_turn_until__lte=now)
        return bool(
            Helpdesk.objects.filter(free, pk=self.helpdesk.pk).update(
                proof_turn=credential_id, proof_turn_until=now + settings.CLAIM
            )
        )

    def end_turn(self, credential_id: int) -> None:
        """Let the next one have the turn."""
        Helpdesk.objects.filter(pk=self.helpdesk.pk, proof_turn=credential_id).update(
            proof_turn=None, proof_turn_until=None
        )

    def is_turn_of_another(self, credential_id: int) -> bool:
        """Whether somebody else holds the turn now."""
        return (
            Helpdesk.objects.filter(pk=self.helpdesk.pk, proof_turn_until__gt=self.clock())
            .exclude(proof_turn=credential_id)
            .exists()
        )


def open_line(helpdesk: Helpdesk, *, gate: Gate, clock: Clock, connect: Connect) -> Line:
    """A line to a configured helpdesk. Raises `Broken` when it is not configured any more."""
    config = settings.HELPDESKS.get(helpdesk.slug)
    if config is None:
        raise Broken(f"HELPDESKS no longer names {helpdesk.slug}.")
    return Line(helpdesk, config, connect(config, gate), clock)
