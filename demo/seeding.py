"""The lived-in portal the demo opens on: three months of people asking, deciding, connecting and leaving.

Every row comes from the operation that makes it, with back-dated `now`; every token from a real consent on a
demo helpdesk that was told the same time. So `manage.py verify` finds nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings

from accounts import clock
from accounts.claims import Claims
from accounts.models import User
from accounts.operations import sign_in
from demo.helpdesk.consent import consent
from demo.helpdesk.remote import Remote
from demo.people import BY_KEY, PEOPLE, Person
from tokens import worker
from tokens.connectors.registry import authorize_url_for, connector_for
from tokens.limiter import BudgetGate, LimiterState
from tokens.models import AccessProfile, AccessRequest, Credential, Grant
from tokens.operations import (
    connections,
    credentials,
    decisions,
    keys,
    people,
    requests,
    sweeps,
)
from tokens.states import CredentialState, GrantState, RequestState

SESSION = "demo seeding"


def claims_of(person: Person) -> Claims:
    """What the demo's identity provider says of a person."""
    return Claims(
        issuer=settings.OIDC_SERVER_URL, subject=person.key, name=person.name, email=person.email,
        email_verified=True, time_zone="Europe/Amsterdam", groups=frozenset(person.groups),
    )  # fmt: skip


class Unlimited:
    """The budget while seeding: the demo helpdesk's own limit is far above what this takes."""

    def take(self, slug: str, *, urgent: bool, wait: float, in_hand: bool = False) -> bool:
        return True

    def pause(self, slug: str, seconds: float) -> None:
        time.sleep(seconds)

    def state(self, slug: str) -> LimiterState:
        return LimiterState(per_minute=0, waiting=0, paused_for=0)


def is_seeded() -> bool:
    """Whether there is anything in the portal already."""
    return AccessRequest.objects.exists()


def seed() -> None:
    """Play the story from its first day to today. Takes seconds."""
    story = Story(today=clock.now())
    try:
        for days_ago, act in sorted(_acts(story), key=lambda row: -row[0]):
            story.go_to(days_ago)
            act()
        story.go_to(0)
        sweeps.sweep(now=story.now())
        story.work()
    finally:
        for config in settings.HELPDESKS.values():
            Remote(config.url).set_time(None)


@dataclass
class Story:
    """The stage: what time it is, and what people do."""

    today: datetime
    rows: dict[str, AccessRequest] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)
    base: datetime = field(init=False)
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self._set(self.today - timedelta(days=95))
        for person in PEOPLE:
            self.people[person.key] = sign_in(claims=claims_of(person), now=self.now())
            people.order_links(user=self.people[person.key], now=self.now())
        self.work()

    def now(self) -> datetime:
        """The story's time, which moves on like any other."""
        return self.base + timedelta(seconds=time.monotonic() - self.started)

    def _set(self, moment: datetime) -> None:
        self.base, self.started = moment, time.monotonic()
        for config in settings.HELPDESKS.values():
            Remote(config.url).set_time(moment, runs=True)

    def go_to(self, days_ago: float) -> None:
        """Let time pass; the sweeps do what they do on the way."""
        target = self.today - timedelta(days=days_ago)
        while self.base < target - timedelta(days=1):
            self._set(self.base + timedelta(days=1))
            if self._is_something_due():
                self.sweep()
        self._set(target)
        self.sweep()

    def _is_something_due(self) -> bool:
        now = self.now()
        return (
            AccessRequest.objects.filter(state=RequestState.PENDING, decide_by__lte=now).exists()
            or Credential.objects.filter(
                state=CredentialState.AWAITING_CONSENT, connect_by__lte=now
            ).exists()
            or Credential.objects.filter(
                state=CredentialState.ACTIVE, lives_until__lte=now
            ).exists()
            or Grant.objects.filter(
                state=GrantState.LIVE, refresh_expires_at__lte=now + settings.KEEP_ALIVE_MARGIN
            ).exists()
        )

    def sweep(self) -> None:
        """Every sweep but the regular inventory: what ends a token orders the list it needs itself."""
        for one in sweeps.SWEEPS:
            if one is not sweeps.order_inventories:
                one(now=self.now())
        self.work()

    def work(self) -> None:
        """Workers do what is due, on the real demo helpdesks."""
        for slug in settings.HELPDESKS:
            for _ in range(3):
                worker.run_due(
                    slug=slug, clock=self.now, limiter=Unlimited(), connect=connector_for
                )

    # What people do.

    def ask(
        self, name: str, by: str, profile: str, days: int, purpose: str, *,
        helpdesk: str = "production", drop: tuple[str, ...] = (), **more: Any,
    ) -> Callable[[], None]:  # fmt: skip
        def act() -> None:
            row = AccessProfile.objects.select_related("current", "helpdesk").get(
                helpdesk__slug=helpdesk, slug=profile
            )
            assert row.current is not None
            facts = {"runs_where": "server", **more}
            if "deputy" in facts:
                facts["deputy"] = self.people[facts["deputy"]]
            if "renews" in facts:
                facts["renews"] = self.credential(facts["renews"])
            wish = requests.Wish(
                profile=row, scopes=row.current.scopes - set(drop), days=days,
                script_name=facts.pop("script", name), purpose=purpose, **facts,
            )  # fmt: skip
            self.rows[name] = requests.submit(
                wish=wish, by=self.people[by], key=f"seed {name}", now=self.now()
            )

        return act

    def approve(self, name: str, by: str, **narrower: Any) -> Callable[[], None]:
        def act() -> None:
            row = self._row(name)
            terms = {"scopes": row.scopes, "days": row.days, "reason": "", **narrower}
            decisions.approve(
                access_request_id=row.pk, revision=row.revision,
                by=self.people[by], now=self.now(), **terms,
            )  # fmt: skip

        return act

    def deny(self, name: str, by: str, reason: str) -> Callable[[], None]:
        return lambda: self._drop(
            decisions.deny(
                access_request_id=self._row(name).pk, revision=self._row(name).revision,
                reason=reason, by=self.people[by], now=self.now(),
            )
        )  # fmt: skip

    def withdraw(self, name: str) -> Callable[[], None]:
        return lambda: requests.withdraw(
            access_request=self._row(name), by=self._row(name).requester, now=self.now()
        )

    def connect(self, name: str, *, as_person: str = "") -> Callable[[], None]:
        """The owner goes to the helpdesk's consent page and comes back; `as_person` is signed in there."""

        def act() -> None:
            credential = self.credential(name)
            trip = connections.start(
                credential=credential, by=credential.owner, session_key=SESSION, now=self.now()
            )
            person = BY_KEY[as_person or credential.owner.subject]
            came = _consent(credential, trip, person)
            connections.come_back(
                came=came, slug=credential.helpdesk.slug,
                by=credential.owner, session_key=SESSION, now=self.now(),
            )  # fmt: skip
            self.work()
            credential.refresh_from_db()
            if credential.state == CredentialState.ACTIVE and not credential.secrets.exists():
                keys.issue_secret(credential=credential, by=credential.owner, now=self.now())

        return act

    def use(self, name: str) -> Callable[[], None]:
        """The script fetches its token, as it does every time it runs."""

        def act() -> None:
            credential = self.credential(name)
            if credential.state != CredentialState.ACTIVE:
                return
            for _ in range(3):
                secret = credential.secrets.filter(ends_at=None).first()
                got = keys.hand_out(
                    credential_id=credential.pk, secret=secret, address="10.20.0.14", now=self.now()
                )
                if got is not None:
                    return
                keys.order_refresh(credential, now=self.now())
                self.work()
                credential.refresh_from_db()
                if credential.state != CredentialState.ACTIVE:
                    return

        return act

    def revoke(self, name: str, by: str, reason: str) -> Callable[[], None]:
        def act() -> None:
            credentials.revoke(
                credential=self.credential(name), by=self.people[by], reason=reason, now=self.now()
            )
            self.work()

        return act

    def withdraw_consent(self, name: str) -> Callable[[], None]:
        """Somebody ends the token on the helpdesk itself."""
        return lambda: _end_behind_everybodys_back(self.credential(name))

    def credential(self, name: str) -> Credential:
        row = self._row(name)
        assert row.credential_id is not None, name
        return Credential.objects.select_related("helpdesk", "owner", "acts_as").get(
            pk=row.credential_id
        )

    def _row(self, name: str) -> AccessRequest:
        row = self.rows[name]
        row.refresh_from_db()
        return row

    def _drop(self, _: object) -> None:
        """A callable whose result nobody needs."""


def _consent(credential: Credential, trip: connections.Trip, person: Person) -> connections.Return:
    """Go to the consent page as `person` and allow it; what the helpdesk sends back to the portal."""
    config = settings.HELPDESKS[credential.helpdesk.slug]
    address = authorize_url_for(
        config,
        redirect_uri=connections.callback_address(config.slug),
        scopes=credential.scopes,
        state=trip.state,
        code_challenge=trip.code_challenge,
    )
    assert person.helpdesk_id is not None
    query = parse_qs(urlsplit(consent(address, person_id=person.helpdesk_id, allow=True)).query)
    code, error = query.get("code", [""])[0], query.get("error", [""])[0]
    return connections.Return(state=query["state"][0], code=code, error=error)


def _end_behind_everybodys_back(credential: Credential) -> None:
    """An administrator ends a credential's token on the helpdesk itself."""
    grant = Grant.objects.get(credential=credential, state=GrantState.LIVE)
    config = settings.HELPDESKS[credential.helpdesk.slug]
    gate = BudgetGate(Unlimited(), config.slug, deadline=settings.CALL_DEADLINE.total_seconds())
    helpdesk = connector_for(config, gate)
    own = helpdesk.mint_service_token(expires_in=600).access_token
    assert grant.remote_id is not None
    helpdesk.delete(token_id=grant.remote_id, access_token=own)


def _acts(s: Story) -> list[tuple[float, Callable[[], None]]]:
    """Days ago and what happened then."""
    acts: list[tuple[float, Callable[[], None]]] = [
        # Ada's weekly report: used for months, ends soon.
        (82.2, s.ask("weekly-csat-export", "ada", "read-tickets", 90,
                     "Weekly CSAT by queue for the ops review; replaces the shared token.",
                     rhythm="weekly", deputy="noor", ticket_url="https://acme.test/tickets/OPS-2291")),
        (82.0, s.approve("weekly-csat-export", "ben")),
        (81.9, s.connect("weekly-csat-export")),
        *((float(day), s.use("weekly-csat-export")) for day in (79, 72, 65, 58, 51, 44, 37, 30, 23, 16, 9, 2)),
        # Her check of macros, on GitHub.
        (47.1, s.ask("macro-audit", "ada", "read-rules", 90, "Nightly check that macros match the handbook.",
                     runs_where="github_actions", rhythm="daily", drop=("dynamic_content:read",))),
        (46.9, s.approve("macro-audit", "june")),
        (46.8, s.connect("macro-audit")),
        *((day + 0.25, s.use("macro-audit")) for day in (40, 30, 20, 10, 5, 3, 1, 0)),
        # Noor changes tickets: two approvals, narrowed.
        (20.4, s.ask("bulk-tagging", "noor", "update-tickets", 30, "Tag last quarter's tickets by product.",
                     rhythm="daily", ticket_url="https://acme.test/tickets/OPS-2310")),
        (20.2, s.approve("bulk-tagging", "ben")),
        (20.1, s.approve("bulk-tagging", "june", days=21, reason="Three weeks are enough for one quarter.")),
        (20.0, s.connect("bulk-tagging")),
        *((float(day), s.use("bulk-tagging")) for day in (19, 14, 8, 4, 0.4)),
        # Piotr's dashboard: wide, then disconnected on the helpdesk.
        (9.5, s.ask("search-dashboard", "piotr", "read-everything", 30, "Search across tickets for the war room.",
                    runs_where="n8n", rhythm="hourly")),
        (9.3, s.approve("search-dashboard", "june")),
        (9.2, s.connect("search-dashboard")),
        (9.0, s.use("search-dashboard")),
        (3.3, s.use("search-dashboard")),
        (3.28, s.withdraw_consent("search-dashboard")),
        (3.0, s.use("search-dashboard")),
        # Lena: one that reached its end, one given back early, one that ends soon with a renewal waiting.
        (30.3, s.ask("rota-import", "lena", "read-tickets", 7, "Import the rota once.", rhythm="once",
                     runs_where="by_hand")),
        (30.2, s.connect("rota-import")),
        (30.1, s.use("rota-import")),
        (25.3, s.ask("old-export", "lena", "read-users", 60, "Directory export for the move.")),
        (25.1, s.approve("old-export", "ben")),
        (25.0, s.connect("old-export")),
        (24.0, s.use("old-export")),
        (12.0, s.revoke("old-export", "lena", "The move is done.")),
        (26.4, s.ask("shift-handover", "lena", "read-tickets", 30, "Hand the night shift's open tickets over.",
                     runs_where="apps_script", rhythm="daily")),
        (26.2, s.approve("shift-handover", "june")),
        (26.1, s.connect("shift-handover")),
        *((float(day), s.use("shift-handover")) for day in (25.5, 18, 11, 6, 1.3, 0.5)),
        (0.09, s.ask("renew shift-handover", "lena", "read-tickets", 30, "Still needed for the winter rota.",
                     script="shift-handover", runs_where="apps_script", rhythm="daily", renews="shift-handover")),
        # What did not come to anything.
        (10.4, s.ask("publish-articles", "noor", "help-center", 90, "Publish translated articles.",
                     runs_where="github_actions")),
        (10.1, s.deny("publish-articles", "june",
                      "Please use the translation team's access; two writers would overwrite each other.")),
        (6.4, s.ask("one-off-count", "piotr", "read-users", 30, "Count users by region.")),
        (6.3, s.withdraw("one-off-count")),
        (9.9, s.ask("team-stats", "lena", "read-users", 60, "Numbers for the team page.")),
        (10.8, s.ask("webhook-check", "noor", "read-rules", 60, "Check rules after the reorganisation.")),
        (10.6, s.approve("webhook-check", "ben")),
        (5.2, s.ask("tag-cleanup", "piotr", "update-tickets", 14, "Remove tags nobody uses.")),
        (5.1, s.approve("tag-cleanup", "ben")),
        (5.0, s.approve("tag-cleanup", "june")),
        (4.8, s.revoke("tag-cleanup", "piotr", "Done by hand meanwhile.")),
        (16.2, s.ask("nightly-sync", "piotr", "read-users", 60, "Keep the directory in step.")),
        (16.1, s.approve("nightly-sync", "ben")),
        (16.0, s.connect("nightly-sync")),
        (15.0, s.use("nightly-sync")),
        (7.3, s.ask("renew nightly-sync", "piotr", "read-users", 60, "Another quarter.",
                    script="nightly-sync", renews="nightly-sync")),
        (7.1, s.revoke("nightly-sync", "omar", "The directory moved to another system.")),
        # On the sandbox: waiting to be connected, once after a consent of somebody else.
        (1.4, s.ask("sandbox-import", "ada", "update-tickets", 30, "Try the import before production.",
                    helpdesk="sandbox")),
        (1.2, s.approve("sandbox-import", "ben")),
        (1.1, s.approve("sandbox-import", "june")),
        (1.9, s.ask("sandbox-report", "piotr", "read-users", 30, "Try the report first.", helpdesk="sandbox")),
        (1.8, s.approve("sandbox-report", "ben")),
        (1.0, s.connect("sandbox-report", as_person="noor")),
        (3.9, s.ask("sandbox-notes", "noor", "read-tickets", 7, "Try the notes template.", helpdesk="sandbox")),
        (3.8, s.connect("sandbox-notes")),
        (3.5, s.use("sandbox-notes")),
        # What waits today.
        (0.13, s.ask("csat-by-queue", "ada", "read-tickets", 90, "CSAT per queue and language for the quarter.",
                     rhythm="weekly", ticket_url="https://acme.test/tickets/OPS-2402")),
        (1.05, s.ask("requeue-stale", "noor", "update-tickets", 7, "Move tickets stuck over the weekend.",
                     rhythm="daily")),
        (0.98, s.approve("requeue-stale", "ben")),
        (0.05, s.ask("war-room-search", "piotr", "read-everything", 30, "Search for the incident room.",
                     runs_where="n8n", rhythm="hourly")),
        (0.04, s.ask("macro-export", "noor", "read-rules", 60, "Compare macros of both brands.", rhythm="monthly")),
        (0.03, s.ask("view-report", "piotr", "read-rules", 60, "Which views nobody opens any more.", rhythm="monthly")),
        (0.02, s.ask("queue-wallboard", "ben", "read-tickets", 60, "Wallboard in the team room.",
                     rhythm="hourly")),
    ]  # fmt: skip
    return acts
