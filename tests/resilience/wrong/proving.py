"""Wrong about the proof: something is kept or handed out that is not exactly what was approved."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.resilience.wrong import wrong
from tokens import policies
from tokens.models import Grant
from tokens.operations import grants
from tokens.provisioning import issuing, proof
from tokens.refusals import Answer

_FAR = datetime(2090, 1, 1, tzinfo=UTC)


def _forgiving(**overlooked: str) -> None:
    """`is_proved` with some facts taken from what was wanted."""
    right = policies.is_proved

    def is_proved(record: Any, want: policies.Wanted) -> Answer:
        facts = {name: getattr(want, source) for name, source in overlooked.items()}
        return right(replace(record, **facts), want)

    policies.is_proved = is_proved


@wrong("any-user", caught_by="wrong_user")
def any_user() -> None:
    """Whose token it is is not looked at."""
    _forgiving(user_id="user_id")


@wrong("any-scopes", caught_by="wider")
def any_scopes() -> None:
    """What the token may do is not looked at."""
    _forgiving(scopes="scopes")


@wrong("any-end", caught_by="endless outlived")
def any_end() -> None:
    """Until when the token lives is not looked at."""
    _forgiving(expires_at="access_by", refresh_expires_at="refresh_by")


@wrong("unproved", caught_by="unproved wrong_user wider endless")
def unproved() -> None:
    """A pair is handed out as it came; the proof is taken for granted."""

    def prove(line: Any, grant: Grant) -> None:
        Grant.objects.filter(pk=grant.pk).update(proved_at=None)
        right(line, grant)

    right = proof.prove
    is_proved, go_live = policies.is_proved, grants.go_live

    def anything(record: Any, want: policies.Wanted) -> Answer:
        is_proved(record, want)
        return policies.YES

    def live(grant: Grant, *, lives_until: datetime, now: datetime) -> None:
        go_live(grant, lives_until=lives_until, now=now)
        Grant.objects.filter(pk=grant.pk).update(proved_at=None)

    policies.is_proved, grants.go_live = anything, live
    issuing.prove = prove
