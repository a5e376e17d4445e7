"""A small world for tests of the rules: a catalogue, the cast, a fake helpdesk, and time that moves when told."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from accounts.models import User
from tests import people
from tests.fakes import FakeConnector, FakeHelpdesk, FreeLimiter
from tokens import findings, worker
from tokens.connectors.base import Unknown
from tokens.models import AccessProfile, AccessRequest, Credential, Grant, Helpdesk, InventoryRun
from tokens.operations import (
    catalogue,
    connections,
    credentials,
    decisions,
    grants,
    inventories,
    requests,
)
from tokens.states import CredentialState

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
STARTER = Path(__file__).parent.parent / "tokens" / "catalogue" / "zendesk.json"


@dataclass
class World:
    """Its helpers bring rows to a state through real operations."""

    now: datetime = START
    slug: str = "production"
    people: dict[str, User] = field(default_factory=dict)

    def __post_init__(self) -> None:
        catalogue.load(catalogue=json.loads(STARTER.read_text()), now=self.now)
        self.desk = FakeHelpdesk(self.clock)

    def clock(self) -> datetime:
        """The world's time; each look moves it by a millisecond, as real time moves."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def wait(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    @property
    def helpdesk(self) -> Helpdesk:
        return Helpdesk.objects.get(slug=self.slug)

    def person(self, key: str) -> User:
        if key not in self.people:
            self.people[key] = people.linked(key, now=self.now, desk=self.desk)
        return self.people[key]

    def profile(self, slug: str) -> AccessProfile:
        return AccessProfile.objects.select_related("current", "helpdesk").get(
            helpdesk__slug=self.slug, slug=slug
        )

    def give_word(self, run: InventoryRun, *, by: User) -> None:
        """Confirm a list on a page that shows what it shows now."""
        found = findings.of(run, now=self.now)
        shown, now = findings.ids_of(found), self.clock()
        inventories.confirm(run=run, by=by, now=now, shown=shown)

    def wish(self, profile: str = "read-tickets", **changes: Any) -> requests.Wish:
        row = self.profile(profile)
        assert row.current is not None
        terms: dict[str, Any] = {
            "profile": row, "scopes": row.current.scopes, "days": row.current.longest_days,
            "script_name": "weekly-csat", "runs_where": "server", "purpose": "Weekly numbers",
        }  # fmt: skip
        return requests.Wish(**{**terms, **changes})

    def ask(self, by: str = "ada", profile: str = "read-tickets", **changes: Any) -> AccessRequest:
        key = f"key-{self.clock().isoformat()}"
        wish = self.wish(profile, **changes)
        return requests.submit(wish=wish, by=self.person(by), key=key, now=self.now)

    def approve(self, row: AccessRequest, by: str = "ben", **changes: Any) -> AccessRequest:
        terms: dict[str, Any] = {
            "access_request_id": row.pk, "revision": row.revision, "scopes": row.scopes,
            "days": row.days, "reason": "",
        }  # fmt: skip
        return decisions.approve(**{**terms, **changes}, by=self.person(by), now=self.clock())

    def ordered(self, by: str = "ada", **changes: Any) -> Credential:
        """Asked for and approved, not connected."""
        row = self.ask(by=by, **changes)
        if row.state == "pending":
            row = self.approve(row)
        assert row.credential is not None
        return row.credential

    def consent(
        self, credential: Credential, *, as_user: int | None = None, **changes: Any
    ) -> None:
        """The owner goes to the consent page and clicks Allow."""
        trip = connections.start(
            credential=credential, by=credential.owner, session_key="s", now=self.clock()
        )
        user_id = as_user or credential.acts_as.remote_id
        code = self.desk.consent(user_id, changes.get("scopes", credential.scopes))
        connections.come_back(
            came=connections.Return(trip.state, code, ""), slug=credential.helpdesk.slug,
            by=credential.owner, session_key="s", now=self.clock(),
        )  # fmt: skip

    def ended_without_an_answer(self, *, is_made: bool = False) -> Credential:
        """Ended by its owner while its exchange had no answer; the minimum age is over, nobody has worked since.

        `is_made`: the helpdesk did make the token.
        """
        lost = Unknown("No answer.")

        def lose() -> None:
            raise lost

        credential = self.ordered()
        self.consent(credential)
        self.desk.next_answers["exchange"].append(lose if is_made else lost)
        self.work()
        credential.refresh_from_db()
        credentials.revoke(credential=credential, by=credential.owner, reason="", now=self.clock())
        self.now += settings.MINIMUM_AGE + timedelta(seconds=1)
        return credential

    def intended(self, credential: Credential) -> Grant:
        """The intent of an exchange, whatever state its credential is in before and after."""
        held = Credential.objects.filter(pk=credential.pk)
        held.update(state=CredentialState.ISSUING)
        grant = grants.intend(
            credential=credential, purpose=Grant.Purpose.EXCHANGE, now=self.clock()
        )
        held.update(state=credential.state)
        return grant

    def active(self, by: str = "ada", **changes: Any) -> Credential:
        """Asked for, approved, connected and proved."""
        credential = self.ordered(by=by, **changes)
        self.consent(credential)
        self.work()
        credential.refresh_from_db()
        assert credential.state == "active", (credential.state, credential.problem)
        return credential

    def work(self) -> int:
        """Let a worker do whatever is due now."""
        return worker.run_due(
            slug=self.slug, clock=self.clock, limiter=FreeLimiter(), connect=self._connect
        )

    def _connect(self, _config: Any, gate: Any) -> FakeConnector:
        return FakeConnector(self.desk, gate)
