"""Wrong about the proof: something is kept or handed out that is not exactly what was approved."""

from dataclasses import replace
from typing import Any

from tests.resilience.wrong import NO_STORM, swap, wrong
from tokens import policies
from tokens.models import Credential, Grant
from tokens.operations import credentials
from tokens.provisioning import issuing, proof
from tokens.refusals import Answer


def _forgiving(**overlooked: str) -> None:
    """`is_proved` with some facts taken from what was wanted."""
    right = policies.is_proved

    def is_proved(record: Any, want: policies.Wanted) -> Answer:
        facts = {name: getattr(want, source) for name, source in overlooked.items()}
        return right(replace(record, **facts), want)

    swap(policies, is_proved=is_proved)


@wrong("any-user", caught_by="wrong_user", climate={"other_user": 1}, **NO_STORM)
def any_user() -> None:
    """Whose token it is is not looked at."""
    _forgiving(user_id="user_id")
    swap(proof, _is_plainly_ours=lambda _line, _grant, _record: True)


@wrong("any-scopes", caught_by="wider", climate={"wider_scopes": 1}, **NO_STORM)
def any_scopes() -> None:
    """What the token may do is not looked at."""
    _forgiving(scopes="scopes")


@wrong("no-end-needed", caught_by="endless", climate={"no_expiry": 1}, **NO_STORM)
def no_end_needed() -> None:
    """Whether the token has an end at all is not looked at."""
    right = policies.is_proved

    def is_proved(record: Any, want: policies.Wanted) -> Answer:
        known = replace(
            record,
            expires_at=record.expires_at or want.access_by,
            refresh_expires_at=record.refresh_expires_at or want.refresh_by,
        )
        return right(known, want)

    swap(policies, is_proved=is_proved)


@wrong("any-end", caught_by="endless", climate={"later_expiry": 1}, **NO_STORM)
def any_end() -> None:
    """Until when the token lives is not looked at."""
    _forgiving(expires_at="access_by", refresh_expires_at="refresh_by")


@wrong("unproved", caught_by="unproved", share=0.0, plans=("short",), **NO_STORM)
def unproved() -> None:
    """A pair is handed out as it came: nobody asks the helpdesk what it is."""

    def prove(line: Any, grant: Grant) -> None:
        credential = Credential.objects.select_related("helpdesk", "owner").get(
            pk=grant.credential_id
        )
        credentials.activate(credential=credential, grant=grant, now=line.clock())

    swap(issuing, prove=prove)
