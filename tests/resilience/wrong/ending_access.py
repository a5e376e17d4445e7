"""Wrong about ends: what is gone, when a lease is over, and what a list of tokens says."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from accounts import clock
from tests.resilience.wrong import wrong
from tokens import worker
from tokens.connectors.base import ConnectorError, TokenRecord
from tokens.connectors.zendesk import connector as zendesk
from tokens.models import Credential, Grant, Job, SeenToken
from tokens.operations import credentials, grants, inventories, sweeps
from tokens.provisioning import ending
from tokens.states import GrantState


@wrong("gone-after-204", caught_by="false_end unowned")
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


@wrong("ended-at-once", caught_by="false_end")
def ended_at_once() -> None:
    """A revoked credential is called ended without waiting for its tokens."""
    credentials._still_there = lambda _credential: ""


@wrong("ended-beside-a-call", caught_by="false_end")
def ended_beside_a_call() -> None:
    """A revoke does not wait for a call that is out, nor look for what an unknown one made."""

    def still_there(credential: Credential) -> str:
        held = credential.grants.filter(state__in=(GrantState.LIVE, GrantState.DOOMED))
        return "Not yet." if held.exists() else ""

    credentials._still_there = still_there


@wrong("refresh-half-forgotten", caught_by="false_end unowned")
def refresh_half_forgotten() -> None:
    """Once the access half is deleted nobody asks about the refresh half."""
    ending._kill_refresh_half = lambda line, grant: grants.note_refresh_dead(
        grant, now=line.clock()
    )
    ending._was_alive = lambda _line, _shown: True


@wrong("swallowed-404", caught_by="false_end")
def swallowed_404() -> None:
    """Whatever goes wrong at a look or a delete counts as not there, and so as gone."""
    show, delete = zendesk.ZendeskConnector.show, zendesk.ZendeskConnector.delete

    def swallowing_show(self: Any, **asked: Any) -> TokenRecord | None:
        try:
            return show(self, **asked)
        except ConnectorError:
            return None

    def swallowing_delete(self: Any, **asked: Any) -> None:
        try:
            delete(self, **asked)
        except ConnectorError:
            return

    zendesk.ZendeskConnector.show = swallowing_show
    zendesk.ZendeskConnector.delete = swallowing_delete
    ending._await_list = lambda line, grant: grants.bury(grant, now=line.clock())


@wrong("never-expires", caught_by="outlived unsettled")
def never_expires() -> None:
    """The sweep for ends is missing."""
    sweeps.SWEEPS = tuple(one for one in sweeps.SWEEPS if one is not sweeps.expire_credentials)
    sweeps.expire_credentials = lambda *, now: 0
    credentials.expire = lambda *, credential, now: None


@wrong("stray-adopted", caught_by="unowned")
def stray_adopted() -> None:
    """A token nobody owns is kept: it will be somebody's."""
    inventories._end_strays = lambda *_args, **_kept: 0


@wrong("sweep-without-minimum-age", caught_by="early_judgement killed_early")
def sweep_without_minimum_age() -> None:
    """Whatever nobody owns at this moment is ended, however young, also beside an open call."""

    def strays(run: Any) -> Any:
        owned = Grant.objects.filter(
            helpdesk=run.helpdesk, state__in=inventories.OWNING, remote_id__isnull=False
        )
        return SeenToken.objects.filter(last_run=run).exclude(
            remote_id__in=owned.values("remote_id")
        )

    inventories.strays = strays


@wrong("sweep-on-half-a-list", caught_by="false_end early_judgement killed_early")
def sweep_on_half_a_list() -> None:
    """A list that breaks off counts as far as it came, and what it lacks counts as gone."""

    def tokens_of_client(self: Any, **asked: Any) -> Sequence[TokenRecord]:
        try:
            return right(self, **asked)[:1]
        except ConnectorError:
            return ()

    right = zendesk.ZendeskConnector.tokens_of_client
    zendesk.ZendeskConnector.tokens_of_client = tokens_of_client
    inventories.is_refresh_half_dead = lambda *_args, **_at: True


@wrong("local-clock", caught_by="outlived late_served killed_early unaudited")
def local_clock() -> None:
    """Every process believes its own clock, and this one's is slow."""
    right, slow = clock.now, 6 * settings.MINIMUM_AGE

    def now() -> datetime:
        return right() - min(slow, timedelta(hours=1))

    clock.now = now
