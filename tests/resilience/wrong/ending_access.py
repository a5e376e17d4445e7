"""Wrong about ends: what is gone, when a lease is over, and what a list of tokens says."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts import audit, clock
from tests.resilience.wrong import NO_STORM, swap, wrong
from tokens import findings, policies, worker
from tokens.connectors.base import ConnectorError, TokenRecord
from tokens.connectors.zendesk import parse
from tokens.connectors.zendesk.connector import ZendeskConnector
from tokens.models import ClientSecret, Credential, Grant, InventoryRun, Job, SeenToken
from tokens.operations import credentials, emergencies, grants, inventories, keys, sweeps
from tokens.operations.moves import try_move
from tokens.provisioning import ending, issuing
from tokens.queries import inventories as lists
from tokens.refusals import YES, StaleState
from tokens.states import CREDENTIAL, CredentialState, GrantState

_TAKING = import_module("tokens.provisioning.inventory")
"""The module, whose name in its package is a function."""
BY_HAND: dict[str, Any] = {"share": 0.0, "armed_at_once": 0, "has_council": False}
"""Options of a run in which the helpdesk's people change and end tokens, and answers come as they should."""


@wrong(
    "gone-after-204", caught_by="false_end", share=0.5, climate={"keeps_token": 1},
    plans=("short",), **NO_STORM,
)  # fmt: skip
def gone_after_204() -> None:
    """A delete that was answered with 204 is the end of it: nobody looks again."""

    def close(line: Any, grant_id: int) -> None:
        grant = Grant.objects.select_related("helpdesk", "credential").get(pk=grant_id)
        if grant.state != GrantState.DOOMED or grant.remote_id is None:
            return
        token_id = grant.remote_id
        line.as_service(lambda t: line.connector.delete(token_id=token_id, access_token=t))
        now = line.clock()
        grants.mark_deleted(grant, is_refresh_dead=True, now=now)
        grants.bury(grant, now=now)

    worker.WORK[Job.Kind.CLOSE] = close


@wrong(
    "ended-at-once", caught_by="false_end", climate={"500_before": 1}, plans=("short",), **NO_STORM
)
def ended_at_once() -> None:
    """A revoked credential is called ended without waiting for its tokens."""
    swap(credentials, _still_there=lambda _credential: "")


@wrong(
    "ended-beside-a-call", caught_by="false_end", climate={"drop_after": 1, "late_commit": 1},
    plans=("regretted", "short"), **NO_STORM,
)  # fmt: skip
def ended_beside_a_call() -> None:
    """A revoke does not wait for a call that is out, nor look for what an unknown one made."""

    def still_there(credential: Credential) -> str:
        held = credential.grants.filter(state__in=(GrantState.LIVE, GrantState.DOOMED))
        return "Not yet." if held.exists() else ""

    swap(credentials, _still_there=still_there)


@wrong("refresh-half-forgotten", caught_by="false_end", share=0.0, plans=("idle",), **NO_STORM)
def refresh_half_forgotten() -> None:
    """Once the access half is deleted nobody asks about the refresh half, not even of one that had ended."""
    swap(ending, _was_alive=lambda _line, _shown: True)


@wrong(
    "swallowed-404", caught_by="false_end", share=0.5, climate={"404": 1},
    plans=("short",), **NO_STORM,
)  # fmt: skip
def swallowed_404() -> None:
    """A 404 means that the token is gone: nobody asks the list or the refresh half."""
    swap(
        ending,
        _was_alive=lambda _line, _shown: True,
        _await_list=lambda line, grant: grants.bury(grant, now=line.clock()),
    )


@wrong("never-expires", caught_by="outlived", share=0.0, plans=("expired",), **NO_STORM)
def never_expires() -> None:
    """Nothing finds out that a lease is over."""
    swap(sweeps, SWEEPS=tuple(one for one in sweeps.SWEEPS if one is not sweeps.expire_credentials))
    swap(sweeps, expire_credentials=lambda *, now, most=0: 0)
    swap(issuing, _has_ended=lambda _line, _credential: False)


@wrong(
    "stray-adopted", caught_by="unowned", share=0.15, climate={"drop_after": 1, "500_after": 1},
    plans=("short", "expired"), **NO_STORM,
)  # fmt: skip
def stray_adopted() -> None:
    """A token that nobody owns is kept, as if it were somebody's."""

    def end_stray(run: Any, seen: SeenToken, *, now: datetime) -> bool:
        if not lists.strays(run).filter(pk=seen.pk).exists():
            return False
        stray = grants.adopt(helpdesk=run.helpdesk, seen=seen, now=now)
        Job.objects.filter(kind=Job.Kind.CLOSE, target_id=stray.pk).delete()
        Grant.objects.filter(pk=stray.pk).update(state=GrantState.LIVE, proved_at=now)
        return True

    swap(inventories, _end_stray=end_stray)


@wrong(
    "sweep-without-minimum-age", caught_by="early_judgement killed_early", share=0.15, at_once=4,
    climate={"drop_after": 1, "500_after": 1}, plans=("short",), **NO_STORM,
)  # fmt: skip
def sweep_without_minimum_age() -> None:
    """Whatever nobody owns at this moment is ended, however young, also beside an open call."""

    def strays(run: InventoryRun, *, only: int | None = None) -> QuerySet[SeenToken]:
        found = lists.unowned(run)
        return found if only is None else found.filter(pk=only)

    swap(lists, strays=strays)


@wrong(
    "sweep-on-half-a-list", caught_by="early_judgement",
    climate={"500_before": 1, "half_json_after": 1, "drop_before": 1}, share=0.2,
    plans=("stays",), at_once=12, INVENTORY_SECONDS="2", **NO_STORM,
)  # fmt: skip
def sweep_on_half_a_list() -> None:
    """A list that breaks off counts as far as it came, and what it lacks counts as gone, however much."""

    def tokens_of_client(
        self: Any, *, client_number: int, access_token: str
    ) -> Sequence[TokenRecord]:
        query, found = {"all": "true", "client_id": client_number}, []
        pages = self._every("/api/v2/oauth/tokens", "tokens", access_token, query)
        with suppress(ConnectorError):
            found.extend(parse.token_record(value) for value in pages)
        return found

    def looks(line: Any, run: Any) -> dict[int, TokenRecord | None]:
        return dict.fromkeys(grant.pk for grant in findings.of(run, now=line.clock()).suspects)

    swap(ZendeskConnector, tokens_of_client=tokens_of_client)
    swap(findings, share=lambda _helpdesk: 1_000_000)
    swap(_TAKING, _look_at_suspects=looks, _must_not_lack=lambda _line, _ids: None)


@wrong("lost-in-name", caught_by="unowned", plans=("stays",), **BY_HAND)
def lost_in_name() -> None:
    """What is called lost keeps its pair: nothing is ended on the helpdesk."""

    def lose(*, credential: Credential, reason: str, now: datetime) -> None:
        with transaction.atomic():
            if try_move(credential, CREDENTIAL, "lose", CredentialState.LOST, problem=reason):
                audit.record("credential.lost", by=None, target=credential, now=now, reason=reason)

    swap(credentials, lose=lose)


@wrong(
    "served-while-lost", caught_by="late_served", plans=("stays",),
    ACCESS_TOKEN_MOST_SECONDS="40", **BY_HAND,
)  # fmt: skip
def served_while_lost() -> None:
    """The same, and scripts go on getting the pair, for as long as it was to be served."""
    lost_in_name()
    right_works, right_holds = keys._works, keys._still_holds

    def works(credential: Credential, now: datetime) -> bool:
        if credential.state == CredentialState.LOST:
            credential.state = CredentialState.ACTIVE  # only here: nobody saves it
        return right_works(credential, now)

    def still_holds(grant: Grant, secret: ClientSecret | None, now: datetime) -> None:
        with suppress(StaleState):
            right_holds(grant, secret, now)

    swap(keys, _works=works, _still_holds=still_holds)


@wrong("past-its-lease", caught_by="outlived", share=0.0, plans=("closing",), **NO_STORM)
def past_its_lease() -> None:
    """A token is asked for as long as its profile says, however soon its access ends."""
    right = policies.access_seconds

    def access_seconds(credential: Credential, *, now: datetime) -> int:
        credential.lives_until = None
        return right(credential, now=now)

    swap(policies, access_seconds=access_seconds)


@wrong(
    "emergency-half-done", caught_by="disobeyed", share=0.0, plans=("stays",), seconds=45,
    at_once=8, is_deadly=False,
)  # fmt: skip
def emergency_half_done() -> None:
    """Of everything that was to be ended, the first is, and the order is called done."""
    right = emergencies.carry_on

    def carry_on(*, emergency: Any, now: datetime, most: int = 1) -> int:
        ended = right(emergency=emergency, now=now, most=1)
        type(emergency).objects.filter(pk=emergency.pk, finished_at=None).update(finished_at=now)
        return ended

    swap(emergencies, carry_on=carry_on)


@wrong(
    "freeze-ignored", caught_by="disobeyed", share=0.0, plans=("short", "regretted"), at_once=8,
    is_deadly=False,
)  # fmt: skip
def freeze_ignored() -> None:
    """A frozen helpdesk goes on giving new access."""
    swap(policies, takes_new_access=lambda _helpdesk: YES)


@wrong("local-clock", caught_by="late_served killed_early", share=0.0, plans=("short",), **NO_STORM)
def local_clock() -> None:
    """Every process believes its own clock, and the web's is slow while the workers' are right."""
    # Slower, and the workers would take every code for dead.
    right, slow = clock.now, settings.CODE_LIFE * 0.6
    if "gunicorn" in sys.argv[0]:
        swap(clock, now=lambda: right() - slow)
