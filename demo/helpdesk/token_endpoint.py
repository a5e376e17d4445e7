"""`POST /oauth/tokens`: a code, a refresh token or a service client's secret becomes a token."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from demo.helpdesk import clock
from demo.helpdesk.answers import Refused, oauth_error
from demo.helpdesk.bodies import json_object
from demo.helpdesk.calls import Call, call_of
from demo.helpdesk.configuration import configuration
from demo.helpdesk.events import record
from demo.helpdesk.issuing import Draft, Pair, delete_siblings_of, digest, issue, refresh
from demo.helpdesk.lifetimes import lifetimes_of
from demo.helpdesk.models import AuthorizationCode, OAuthClient, Token
from demo.helpdesk.scopes import unknown_in

Form = Mapping[str, str]
Grant = Callable[[Form, OAuthClient, Call, datetime], Pair]
_DEAD = (
    "The provided authorization grant is invalid, expired, revoked or was issued to another client."
)


@csrf_exempt
def tokens(request: HttpRequest) -> HttpResponse:
    """Answer one token call; JSON and form bodies alike."""
    if request.method != "POST":
        raise Refused(405, "Send this as a POST.", {"Allow": "POST"})
    now = clock.now()
    form, call = fields_of(request), call_of(request)
    try:
        with transaction.atomic():
            client = _client(form)
            pair = _grant(form, client)(form, client, call, now)
    except Refused as refused:
        _record_refusal(form, refused, now)
        raise
    call.token = pair.token
    return JsonResponse(_body(pair), headers={"Cache-Control": "no-store"})


def fields_of(request: HttpRequest) -> Form:
    """The body's fields as text. Raises Refused where it is no flat JSON object and no form."""
    if request.content_type != "application/json":
        return {name: value for name, value in request.POST.items() if isinstance(value, str)}
    found = json_object(request)
    if not all(_is_plain(value) for value in found.values()):
        raise oauth_error("invalid_request", "The body must be an object of texts and numbers.")
    return {name: str(value) for name, value in found.items() if value is not None}


def _is_plain(value: object) -> bool:
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _grant(form: Form, client: OAuthClient) -> Grant:
    grant = _GRANTS.get(form.get("grant_type", ""))
    if grant is None:
        raise oauth_error("unsupported_grant_type", "This grant_type is not supported.")
    if client.is_service != (grant is _by_secret):
        raise oauth_error("unauthorized_client", "This client may not use this grant_type.")
    return grant


def _client(form: Form) -> OAuthClient:
    client = OAuthClient.objects.filter(identifier=form.get("client_id", "")).first()
    secret = digest(form.get("client_secret", ""))
    if client is None or not secrets.compare_digest(client.secret_digest, secret):
        raise oauth_error("invalid_client", "The client is unknown or its secret is wrong.")
    return client


def _by_code(form: Form, client: OAuthClient, call: Call, now: datetime) -> Pair:
    lives = lifetimes_of(form, has_refresh=True)
    code = AuthorizationCode.objects.filter(digest=digest(form.get("code", ""))).first()
    if code is None or not _is_good(code, form, client, now) or not code.user.may_sign_in:
        raise oauth_error("invalid_grant", _DEAD)
    scopes = _scopes_within(form, code.scopes)
    code.used_at = now
    code.save()
    record("code.used", at=now, user_id=code.user_id, client=client.identifier, code=code.id)
    draft = Draft(
        client=client,
        user=code.user,
        scopes=scopes,
        access_seconds=lives.access,
        refresh_seconds=lives.refresh,
        has_refresh=True,
        says_expires_in=lives.access_was_sent,
    )
    pair = issue(draft, twists=call.twists, now=now, grant_type="authorization_code", **call.facts)
    if configuration().one_grant_per_user:
        delete_siblings_of(pair.token, now=now)
    return pair


def _is_good(code: AuthorizationCode, form: Form, client: OAuthClient, now: datetime) -> bool:
    return (
        code.client_id == client.id
        and code.used_at is None
        and now < code.expires_at
        and form.get("redirect_uri") == code.redirect_uri
        and challenge_of(form.get("code_verifier", "")) == code.challenge
    )


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636 section 4.2)."""
    hashed = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


def _by_refresh(form: Form, client: OAuthClient, call: Call, now: datetime) -> Pair:
    lives = lifetimes_of(form, has_refresh=True)
    wanted = digest(form.get("refresh_token", ""))
    old = Token.objects.select_related("user").filter(refresh_digest=wanted).first()
    if old is None or old.client_id != client.id or old.refresh_state(now) != "live":
        raise oauth_error("invalid_grant", _DEAD)
    draft = Draft(
        client=client,
        user=old.user,
        scopes=_scopes_within(form, old.scopes),
        access_seconds=lives.access,
        refresh_seconds=lives.refresh,
        has_refresh=True,
        says_expires_in=lives.access_was_sent,
    )
    return refresh(old, draft, twists=call.twists, now=now, **call.facts)


def _by_secret(form: Form, client: OAuthClient, call: Call, now: datetime) -> Pair:
    lives = lifetimes_of(form, has_refresh=False)
    scopes = tuple(form.get("scope", "read write").split())
    if not scopes or unknown_in(scopes):
        raise oauth_error("invalid_scope", "A scope is unknown.")
    draft = Draft(
        client=client,
        user=client.owner,
        scopes=scopes,
        access_seconds=lives.access,
        refresh_seconds=None,
        has_refresh=False,
        says_expires_in=lives.access_was_sent,
    )
    return issue(draft, twists=call.twists, now=now, grant_type="client_credentials", **call.facts)


_GRANTS: dict[str, Grant] = {
    "authorization_code": _by_code,
    "refresh_token": _by_refresh,
    "client_credentials": _by_secret,
}


def _scopes_within(form: Form, granted: Sequence[str]) -> tuple[str, ...]:
    """The scopes a call names, which may be fewer than were granted; none named means all of them."""
    wanted = tuple(dict.fromkeys(form.get("scope", "").split())) or tuple(granted)
    if set(wanted) - set(granted):
        raise oauth_error("invalid_scope", "A scope goes beyond what was granted.")
    return wanted


def _record_refusal(form: Form, refused: Refused, now: datetime) -> None:
    error = refused.body if isinstance(refused.body, str) else refused.body.get("error")
    record(
        "grant.refused",
        at=now,
        client=form.get("client_id", "")[:255],
        grant_type=form.get("grant_type", "")[:64],
        error=error,
    )


def _body(pair: Pair) -> dict[str, object]:
    body: dict[str, object] = {
        "access_token": pair.access_token,
        "token_type": "bearer",
        "scope": " ".join(pair.token.scopes),
    }
    if pair.refresh_token:
        body["refresh_token"] = pair.refresh_token
        body["refresh_token_expires_in"] = pair.draft.refresh_seconds
    if pair.draft.says_expires_in and pair.draft.access_seconds is not None:
        body["expires_in"] = pair.draft.access_seconds
    return body
