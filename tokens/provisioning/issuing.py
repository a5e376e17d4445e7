"""Getting a token and keeping it: exchange a code, refresh a pair, each proved before it counts."""

from django.conf import settings
from django.db import transaction

from tokens import permissions, policies
from tokens.connectors.base import GiveUp
from tokens.models import Connection, Credential, Grant, InventoryRun
from tokens.operations import capabilities, connections, credentials, grants
from tokens.provisioning import siblings
from tokens.provisioning.calls import make_pair, refresh_pair, resume, settle
from tokens.provisioning.line import Later, Line
from tokens.provisioning.proof import prove
from tokens.provisioning.turns import end_turn, line_up, must_not_cross
from tokens.states import GRANT_OPEN, CredentialState, GrantState

CODE_DEAD = "The helpdesk's permission ran out before Keydesk could use it. Connect again."
NO_ANSWER = "The helpdesk did not say whether it worked, so Keydesk let it go. Connect again."
WORDS = {
    "invalid_grant": CODE_DEAD,
    "invalid_scope": "The helpdesk does not let Keydesk's application have these permissions. "
    "Ask an admin to allow them for it, then connect again.",
}
CONSENT_DEAD = "The helpdesk no longer honours your consent. Connect it again."


class NotAnyMore(Exception):
    """What may have been done when the job began may not be done any more; `sentence` says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def exchange(line: Line, credential_id: int) -> None:
    """Turn the code a consent gave into a proved pair, or refuse with a reason; learn from it. Safe to repeat."""
    _issue(line, _load(credential_id))
    siblings.learn_from(line, credential_id)


def _issue(line: Line, credential: Credential) -> None:
    if credential.state != CredentialState.ISSUING or _has_ended(line, credential):
        return
    grant = _open_call(line, credential)
    if grant is not None:
        if resume(line, grant):
            return prove(line, grant)
        if grant.state == GrantState.UNKNOWN:
            with transaction.atomic():
                grants.write_off(grant, now=line.clock())
                credentials.refuse(credential=credential, reason=NO_ANSWER, now=line.clock())
            return
    connection = credential.connections.exclude(code="").order_by("-id").first()
    if refusal := _why_not(line, credential, connection):
        return _refuse(line, credential, refusal)
    assert connection is not None
    _exchange(line, credential, connection)


def _load(credential_id: int) -> Credential:
    return Credential.objects.select_related(
        "helpdesk", "owner", "acts_as", "profile_version__profile"
    ).get(pk=credential_id)


def _open_call(line: Line, credential: Credential) -> Grant | None:
    """The call an earlier try left open.

    One that was to close an older pair is settled first: its answer says nothing of the pair in clients'
    hands. Raises `Later` while nobody can know.
    """
    found = credential.grants.filter(state__in=GRANT_OPEN).select_related("helpdesk").first()
    if found is None or found.purpose != Grant.Purpose.CLOSE:
        return found
    settle(line, found, reason="It was made to close an older token.")
    return None


def _has_ended(line: Line, credential: Credential) -> bool:
    """Whether its lease is over; then it ends here and now, and nothing more is asked for."""
    now = line.clock()
    if credential.lives_until is None or now < credential.lives_until:
        return False
    credentials.expire(credential=credential, now=now)
    return True


def _why_not(line: Line, credential: Credential, connection: Connection | None) -> str:
    """Why no call is made at all; "" when it may be. Raises `Later` while a freeze may still end in time."""
    if not (answer := permissions.may_keep(credential)):
        return answer.reason
    if connection is None or connection.used_at is None or _was_tried(connection):
        return CODE_DEAD
    code_dies_at = connection.used_at + settings.CODE_LIFE
    frozen = policies.takes_new_access(line.helpdesk)
    if line.clock() > code_dies_at:
        return CODE_DEAD if frozen else f"{frozen.reason} Connect again when that is over."
    if not frozen:
        raise Later(code_dies_at)
    return _would_end(line, credential)


def _was_tried(connection: Connection) -> bool:
    """Whether its code has left for the helpdesk in a call that may have made something: a code is sent once."""
    made_nothing = (GrantState.ABANDONED, GrantState.REFUSED)
    return connection.grants.exclude(state__in=made_nothing).exists()


def _would_end(line: Line, credential: Credential) -> str:
    """Working access that this exchange would end without its owner's word: learned, or connected, since then."""
    ended = policies.ended_by_connecting(credential)
    working = [other for other in ended if other.state == CredentialState.ACTIVE]
    return policies.one_per_person_words(line.helpdesk, working, how="connecting this")


def _refuse(line: Line, credential: Credential, reason: str) -> None:
    """Back to where it came from; and on to its end when the owner may not have it any more."""
    now, credential = line.clock(), _load(credential.pk)
    is_over = not permissions.may_keep(credential)
    with transaction.atomic():
        credentials.refuse(credential=credential, reason=reason, now=now)
        if is_over:
            credentials.revoke(credential=credential, by=None, reason=reason, now=now)


def _exchange(line: Line, credential: Credential, connection: Connection) -> None:
    before = line_up(line, credential)
    try:
        siblings.look_before(line, credential)
        try:
            grant = _intend(line, credential, Grant.Purpose.EXCHANGE, before, connection=connection)
        except NotAnyMore as refusal:
            return _refuse(line, credential, refusal.sentence)
        must_not_cross(line, credential, before, intended=grant)
        code = connections.open_sealed(connection, connection.code)
        verifier = connections.open_sealed(connection, connection.verifier)
        try:
            make_pair(
                line,
                grant,
                lambda: line.connector.exchange(
                    code=code, code_verifier=verifier,
                    redirect_uri=connections.callback_address(line.helpdesk.slug),
                    scopes=credential.scopes, expires_in=grant.asked_access_seconds,
                    refresh_expires_in=grant.asked_refresh_seconds,
                ),
            )  # fmt: skip
        except GiveUp as error:
            return _refuse(line, credential, WORDS.get(error.code, error.reason))
        prove(line, grant)
    finally:
        end_turn(line, credential)


def _must_still_be_right(line: Line, credential: Credential, connection: Connection) -> None:
    """With the helpdesk's row held, so that a freeze comes wholly before the intent or after it."""
    capabilities.hold(line.helpdesk)
    line.helpdesk.refresh_from_db()
    if refusal := _why_not(line, _load(credential.pk), connection):
        raise NotAnyMore(refusal)


def refresh(line: Line, credential_id: int) -> None:
    """Replace the pair in clients' hands once it may die, and prove the new one. Safe to repeat."""
    credential = _load(credential_id)
    if credential.state != CredentialState.ACTIVE or _has_ended(line, credential):
        return
    written_off: Grant | None = None
    grant = _open_call(line, credential)
    if grant is not None:
        if resume(line, grant):
            return prove(line, grant)
        written_off = grant if grant.state == GrantState.UNKNOWN else None
    live = (
        credential.grants.filter(state=GrantState.LIVE)
        .select_related("helpdesk", "credential")
        .first()
    )
    if live is None or not (written_off or _is_due(line, credential, live)):
        return
    if not (answer := permissions.may_keep(credential)):
        now = line.clock()
        return credentials.revoke(credential=credential, by=None, reason=answer.reason, now=now)
    _refresh(line, credential, live, written_off)


def _is_due(line: Line, credential: Credential, live: Grant) -> bool:
    """Whether the pair may die now: no client was told that it lives longer. Raises `Later` to keep it alive."""
    now = line.clock()
    if live.is_withheld or live.serve_until is None or live.serve_until <= now:
        return True
    assert credential.lives_until is not None
    if policies.needs_keep_alive(live, credential.lives_until, now=now):
        raise Later(live.serve_until)
    return False


def _refresh(line: Line, credential: Credential, live: Grant, written_off: Grant | None) -> None:
    before = line_up(line, credential)
    try:
        with transaction.atomic():
            if written_off is not None:
                grants.write_off(written_off, now=line.clock())
            grant = _intend(line, credential, Grant.Purpose.REFRESH, before, replaces=live)
        must_not_cross(line, credential, before, intended=grant)
        try:
            refresh_pair(line, old=live, new=grant, scopes=credential.scopes)
        except GiveUp as error:
            if error.code != "invalid_grant":
                raise
            return credentials.lose(credential=credential, reason=CONSENT_DEAD, now=line.clock())
        prove(line, grant)
    finally:
        end_turn(line, credential)


def _intend(
    line: Line,
    credential: Credential,
    purpose: Grant.Purpose,
    before: InventoryRun | None,
    *,
    connection: Connection | None = None,
    replaces: Grant | None = None,
) -> Grant:
    """The row of the call. Raises `Later` where it would cross another's proof by list, or its access is about to end.

    An exchange is asked again whether it may be: a list may have taken long. Raises `NotAnyMore`.
    """
    if credential.lives_until and policies.is_about_to_end(credential, now=line.clock()):
        raise Later(credential.lives_until)
    must_not_cross(line, credential, before)
    with transaction.atomic():
        if connection is not None:
            _must_still_be_right(line, credential, connection)
        return grants.intend(
            credential=credential, purpose=purpose, now=line.clock(),
            connection=connection, replaces=replaces, list_before=before,
        )  # fmt: skip
