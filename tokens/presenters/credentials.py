"""What the page of one access says: where it stands, the one next step, what can be done with it and why not.

One function answers for the button and for the view behind it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import User
from tokens import outbox, permissions, policies
from tokens.models import AccessRequest, ClientSecret, Credential, Job
from tokens.presenters.clocks import Clocks, shown_state
from tokens.presenters.history import Sentence, history
from tokens.presenters.recipes import Facts, Recipe, recipes
from tokens.presenters.scopes import ScopeLine, scope_lines
from tokens.queries import credentials as queries
from tokens.queries import requests as request_queries
from tokens.refusals import YES, Answer, no
from tokens.states import CREDENTIAL_ENDED, CredentialState

FOLLOWED = (CredentialState.ISSUING, CredentialState.REVOKING)
"""States that change by themselves soon: the page looks again by itself."""


# --- What can be done with it --------------------------------------------------------------------------


@dataclass(frozen=True)
class Actions:
    """Yes, or no with the reason, for each thing a person can do with an access."""

    connect: Answer
    first_key: Answer
    new_secret: Answer
    replace: Answer
    take_token: Answer
    renew: Answer
    revoke: Answer


def actions(
    credential: Credential, reader: User, *, current: ClientSecret | None, now: datetime
) -> Actions:
    """What this reader may do with it now. `current` is the secret without an end, if there is one."""
    owns = permissions.may_own(reader, credential)
    works = is_working(credential, now=now)
    return Actions(
        connect=permissions.may_connect(reader, credential, now=now),
        first_key=owns and works and _no_secret_yet(current),
        new_secret=owns and works and _some_secret(current),
        replace=owns and _is_held(credential) and _some_secret(current),
        take_token=owns and works,
        renew=owns and policies.is_renewable(credential, now=now),
        revoke=permissions.may_revoke(reader, credential),
    )


def _is_held(credential: Credential) -> Answer:
    """Whether there is anything a leaked secret could still come to open."""
    if credential.state in (CredentialState.ACTIVE, CredentialState.LOST):
        return YES
    if credential.state in (CredentialState.AWAITING_CONSENT, CredentialState.ISSUING):
        return no("Connect it first.")
    return no("It is ending or has ended.")


def is_working(credential: Credential, *, now: datetime) -> Answer:
    """Whether tokens can be had from it now."""
    if credential.state in (CredentialState.AWAITING_CONSENT, CredentialState.ISSUING):
        return no("Connect it first.")
    if credential.state == CredentialState.LOST:
        return no("It is disconnected. Connect it again first.")
    is_over = credential.lives_until is not None and credential.lives_until <= now
    if credential.state != CredentialState.ACTIVE or is_over:
        return no("It is ending or has ended.")
    return YES


def _no_secret_yet(current: ClientSecret | None) -> Answer:
    if current is None:
        return YES
    return no("Its secret was shown once already. Make a new one if nobody has it any more.")


def _some_secret(current: ClientSecret | None) -> Answer:
    return YES if current is not None else no("Take the key first.")


# --- The page ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ending:
    """How far its end has come: since when, what failed last, when it is tried again."""

    since: datetime | None
    tries: int
    error: str
    error_at: datetime | None
    next_try: datetime | None

    @property
    def is_red(self) -> bool:
        """Whether it has failed so often that somebody should look."""
        return self.tries >= outbox.TRIES_BEFORE_RED


@dataclass(frozen=True)
class CredentialPage:
    """Everything the page of one access shows."""

    credential: Credential
    state: str
    may_do: list[ScopeLine]
    is_owner: bool
    reads_all: bool
    clocks: Clocks
    step: str
    actions: Actions
    secrets: list[ClientSecret]
    use: queries.Use
    renewal: AccessRequest | None
    connecting_since: datetime | None
    ends_others: str
    ending: Ending | None
    history: list[Sentence]

    @property
    def follows_by_itself(self) -> bool:
        return self.credential.state in FOLLOWED

    @property
    def back_href(self) -> str:
        """The page above this one for somebody who is not its owner."""
        return "/inventory" if self.reads_all else "/"

    @property
    def back_label(self) -> str:
        return "Inventory" if self.reads_all else "My access"

    @property
    def renew_query(self) -> str:
        """What leads from the form for asking to a renewal of this access."""
        return f"?renews={self.credential.pk}"

    @property
    def end_label(self) -> str:
        """The verb that fits: what was never connected is cancelled."""
        is_unconnected = self.credential.state == CredentialState.AWAITING_CONSENT
        return "Cancel this access" if is_unconnected else "End this access"

    @property
    def mark(self) -> str:
        """Changes whenever the page that follows by itself should be drawn anew."""
        return f"{self.credential.state}-{self.ending.tries if self.ending else 0}"

    @property
    def has_ended(self) -> bool:
        return self.credential.state in CREDENTIAL_ENDED

    @property
    def is_ending(self) -> bool:
        return self.credential.state == CredentialState.REVOKING


def page(credential: Credential, reader: User, *, now: datetime) -> CredentialPage:
    """The page of one access for this reader. A deputy reads no reasons of requests."""
    secrets = queries.secrets_of(credential, now=now)
    current = next((secret for secret in secrets if secret.ends_at is None), None)
    can = actions(credential, reader, current=current, now=now)
    ending = ending_of(credential, now=now)
    ended = policies.ended_by_connecting(credential) if can.connect else []
    is_connecting = credential.state == CredentialState.ISSUING
    asked = queries.requests_of(credential)
    is_owner, reads_all = reader.pk == credential.owner_id, bool(permissions.may_read_all(reader))
    return CredentialPage(
        credential=credential,
        state="not_confirmed" if ending and ending.is_red else shown_state(credential, now=now),
        may_do=may_do(credential),
        is_owner=is_owner,
        reads_all=reads_all,
        clocks=clocks(credential),
        step=_step(credential, can),
        actions=can,
        secrets=secrets,
        use=queries.use_of(credential),
        renewal=queries.open_renewal(credential),
        connecting_since=queries.consented_at(credential) if is_connecting else None,
        ends_others=policies.one_per_person_words(
            credential.helpdesk, ended, how="connecting this"
        ),
        ending=ending,
        history=history(credential, *asked, with_reasons=is_owner or reads_all),
    )


def may_do(credential: Credential) -> list[ScopeLine]:
    """What it may do, in words, the riskiest first."""
    return scope_lines(credential.scopes, credential.helpdesk.kind, request_queries.scope_table())


@dataclass(frozen=True)
class Ended:
    """One access that connecting another one ends, and how much it is in use."""

    credential: Credential
    use: queries.Use


def ended_by_connecting(credential: Credential) -> list[Ended]:
    """What connecting this access ends, where the helpdesk keeps only one of each person."""
    return [
        Ended(other, queries.use_of(other)) for other in policies.ended_by_connecting(credential)
    ]


def clocks(credential: Credential) -> Clocks:
    """The three dates of an access: what is past says so, the rest says until when."""
    connect_by: datetime | str = credential.connect_by
    if credential.issued_at is not None:
        connect_by = "connected"
    elif credential.state in CREDENTIAL_ENDED:
        connect_by = "never connected"
    return Clocks("decided", connect_by, _lives_until(credential))


def _lives_until(credential: Credential) -> datetime | str:
    """The lease's end while it lives; afterwards when it really ended."""
    if credential.state in CREDENTIAL_ENDED:
        has_lived = credential.issued_at is not None and credential.ended_at is not None
        return credential.ended_at if has_lived and credential.ended_at else "never lived"
    if credential.state == CredentialState.REVOKING:
        return credential.ending_since or "ending"
    days = "1 day" if credential.days == 1 else f"{credential.days} days"
    return credential.lives_until or f"{days} from connecting"


def _step(credential: Credential, can: Actions) -> str:
    """The one obvious next step: `connect`, `reconnect`, `wait`, `take_key`, or "" for none."""
    if credential.state == CredentialState.ISSUING:
        return "wait"
    if can.connect:
        return "reconnect" if credential.state == CredentialState.LOST else "connect"
    return "take_key" if can.first_key else ""


def ending_of(credential: Credential, *, now: datetime) -> Ending | None:
    """How far its end has come; None while it is not ending."""
    if credential.state != CredentialState.REVOKING:
        return None
    return ending_from(credential.ending_since, queries.jobs_of_ending(credential), now=now)


def ending_from(since: datetime | None, jobs: list[Job], *, now: datetime) -> Ending:
    """What the jobs of an end say, the one that has failed most first. A try that is due is now."""
    worst = jobs[0] if jobs else None
    waits = [max(job.not_before, now) for job in jobs if not job.parked_because]
    return Ending(
        since=since,
        tries=worst.tries if worst else 0,
        error=worst.error if worst else "",
        error_at=worst.error_at if worst else None,
        next_try=min(waits) if waits else None,
    )


# --- The key -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyFacts:
    """What stands beside a secret: where to call, and how it is used where the script runs."""

    token_address: str
    helpdesk_url: str
    recipes: list[Recipe]
    may_do: list[ScopeLine]
    proved_at: datetime | None
    overlap: timedelta


def key_facts(credential: Credential) -> KeyFacts:
    """For the page that shows a secret once. It never holds the secret itself."""
    address = f"{settings.PORTAL_URL}/oauth/token"
    config = settings.HELPDESKS.get(credential.helpdesk.slug)
    url = config.url if config else ""
    live = queries.live_grant(credential)
    return KeyFacts(
        token_address=address,
        helpdesk_url=url,
        recipes=recipes(
            Facts(address, credential.client_id, url), runs_where=credential.runs_where
        ),
        may_do=may_do(credential),
        proved_at=live.proved_at if live else None,
        overlap=settings.SECRET_OVERLAP,
    )
