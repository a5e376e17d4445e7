"""Pages of one access: its state and history, connecting it, its key, a token by hand, its end."""

import secrets
from datetime import timedelta
from http import HTTPStatus

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts import clock
from accounts.decorators import fresh_groups, recently_authenticated, requires, signed_in
from accounts.roles import Role
from tokens import permissions
from tokens.connectors.registry import authorize_url_for
from tokens.forms.credentials import ReplacesForm, RevokeForm, SecretForm
from tokens.models import Credential
from tokens.operations import connections, credentials, keys
from tokens.operations.moves import stale
from tokens.presenters import credentials as presenters
from tokens.queries import credentials as queries
from tokens.refusals import Denied, Invalid, Refusal, StaleState, moment_words
from tokens.states import CREDENTIAL_ENDED, CredentialState
from tokens.views import waiting
from tokens.views.machine import client_address

BINDING = "connect_binding"
"""The session's own random word, which ties a trip to the consent page to this browser."""
LONGEST_STATE = 200
LONGEST_CODE = 4000
LONGEST_ERROR = 200


class SeeOther(HttpResponseRedirect):
    """A 303: whatever this was, what comes next is a GET."""

    status_code = 303


# --- What the views share ----------------------------------------------------------------------------


def _load(request: HttpRequest, pk: int) -> Credential:
    """An access this person may see; a 404 for any other, so that its number says nothing."""
    found = queries.credential_by_id(pk)
    if found is None or not permissions.may_see_credential(signed_in(request), found):
        raise Http404("There is no such access, or it is not yours to see.")
    return found


def _load_own(request: HttpRequest, pk: int) -> Credential:
    """An access whose owner this person is."""
    found = _load(request, pk)
    if not (answer := permissions.may_own(signed_in(request), found)):
        raise Denied(answer.reason)
    return found


def _address(credential: Credential) -> str:
    return f"/credentials/{credential.pk}"


def _stale(credential: Credential, sentence: str) -> StaleState:
    return StaleState(sentence, href=_address(credential), label="Open this access")


def _refused(credential: Credential, why: str | StaleState) -> StaleState:
    """Why something cannot be done any more; of access that is ending or over: since when, and who ended it."""
    if credential.state in (CredentialState.REVOKING, *CREDENTIAL_ENDED):
        return _ended_already(credential)
    return why if isinstance(why, StaleState) else _stale(credential, why)


def _secret_page(request: HttpRequest, template: str, **shown: object) -> HttpResponse:
    """A page that holds a secret: nobody on the way keeps it, the browser neither."""
    response = render(request, template, shown)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


# --- The page ----------------------------------------------------------------------------------------


@require_GET
@requires(Role.AGENT)
def credential(request: HttpRequest, pk: int) -> HttpResponse:
    """One access: where it stands, what comes next, what can be done with it, and what happened."""
    now, found = clock.now(), _load(request, pk)
    page = presenters.page(found, signed_in(request), now=now)
    if request.headers.get("HX-Request") and request.GET.get("seen") == page.mark:
        return HttpResponse(
            status=HTTPStatus.NO_CONTENT
        )  # nothing has changed, so nothing is swapped
    return render(request, "credentials/credential.html", {"page": page, "now": now})


# --- Connecting --------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@requires(Role.AGENT)
def connect(request: HttpRequest, pk: int) -> HttpResponse:
    """Off to the helpdesk's consent page. Read as a page it says what connecting would end, if anything."""
    found = _load(request, pk)
    if request.method == "GET":
        return _what_it_ends(request, found)
    config = settings.HELPDESKS.get(found.helpdesk.slug)
    if config is None:
        raise _stale(found, f"{found.helpdesk} is no longer set up in Keydesk. Ask an admin.")
    try:
        trip = connections.start(
            credential=found, by=signed_in(request), session_key=_binding(request), now=clock.now(),
            replaces=ReplacesForm(request.POST).named,
        )  # fmt: skip
    except StaleState as refusal:
        raise _refused(_load(request, pk), refusal) from refusal
    return SeeOther(
        authorize_url_for(
            config,
            redirect_uri=connections.callback_address(config.slug),
            scopes=found.scopes,
            state=trip.state,
            code_challenge=trip.code_challenge,
        )
    )


def _what_it_ends(request: HttpRequest, found: Credential) -> HttpResponse:
    """The page before the consent where the helpdesk keeps one access per person; elsewhere there is none."""
    now, user = clock.now(), signed_in(request)
    can_connect = presenters.actions(found, user, current=None, now=now).connect
    ended = presenters.ended_by_connecting(found) if can_connect else []
    if not ended:
        return redirect("credential", found.pk)
    shown = {"credential": found, "ended": ended, "now": now}
    return render(request, "credentials/replace.html", shown)


def _binding(request: HttpRequest) -> str:
    """Made once; it stays when the session's key is changed by a re-authentication."""
    word: str = request.session.setdefault(BINDING, secrets.token_urlsafe(32))
    return word


@require_GET
@requires(Role.AGENT)
def callback(request: HttpRequest, slug: str) -> HttpResponse:
    """Where the consent page sends people back to: the one GET that changes state.

    Leads on at once, so that code and state leave the address bar; sends no referrer either way.
    """
    try:
        found = connections.come_back(
            came=_what_came(request), slug=slug, by=signed_in(request),
            session_key=request.session.get(BINDING, ""), now=clock.now(),
        )  # fmt: skip
    except Refusal as refusal:
        response = _not_accepted(request, refusal)
    else:
        response = SeeOther(_address(found))
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


# Code and state do not go into the sign-in page's address; the trip was bound to the session that is over.
callback.return_to = "/"  # type: ignore[attr-defined]


def _what_came(request: HttpRequest) -> connections.Return:
    return connections.Return(
        state=_once(request, "state", LONGEST_STATE),
        code=_once(request, "code", LONGEST_CODE),
        error=_once(request, "error", LONGEST_ERROR),
    )


def _once(request: HttpRequest, name: str, longest: int) -> str:
    """A parameter that stands in the address exactly once and is not too long; else ""."""
    values = request.GET.getlist(name)
    return values[0] if len(values) == 1 and len(values[0]) <= longest else ""


def _not_accepted(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    status = HTTPStatus.BAD_REQUEST if isinstance(refusal, Invalid) else HTTPStatus.CONFLICT
    shown = {"sentence": refusal.sentence, "back_href": refusal.href, "back_label": refusal.label}
    return render(request, f"{status.value}.html", shown, status=status)


# --- The key -----------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@requires(Role.AGENT)
@fresh_groups
@recently_authenticated
def key(request: HttpRequest, pk: int) -> HttpResponse:
    """The first secret, shown once in the answer to the form."""
    found = _load_own(request, pk)
    now, current = clock.now(), queries.current_secret(found)
    if request.method == "POST":
        if current is not None:
            raise _shown_before(found, moment_words(current.created_at))
        try:
            new = keys.issue_secret(credential=found, by=signed_in(request), now=now)
        except StaleState as refusal:
            raise _refused(_load_own(request, pk), refusal) from refusal
        return _key_page(request, found, new)
    answer = presenters.actions(found, signed_in(request), current=current, now=now).first_key
    if not answer and current is None:
        return redirect("credential", pk)
    shown = {"credential": found, "may": answer, "may_do": presenters.may_do(found), "now": now}
    return render(request, "credentials/key.html", shown)


def _shown_before(credential: Credential, when: str) -> StaleState:
    return StaleState(
        f"The key was shown already, at {when}, and it is shown only once. Make a new secret if nobody has it any more.",
        href=f"{_address(credential)}/secret",
        label="New secret",
    )


def _key_page(request: HttpRequest, credential: Credential, new: keys.NewSecret) -> HttpResponse:
    facts = presenters.key_facts(credential)
    return _secret_page(
        request,
        "credentials/key_shown.html",
        credential=credential,
        new=new,
        facts=facts,
        now=clock.now(),
    )


@require_http_methods(["GET", "POST"])
@requires(Role.AGENT)
@fresh_groups
@recently_authenticated
def new_secret(request: HttpRequest, pk: int) -> HttpResponse:
    """A second secret; the one before works for another day."""
    return _another_secret(request, pk, is_now=False)


@require_http_methods(["GET", "POST"])
@requires(Role.AGENT)
@fresh_groups
@recently_authenticated
def replace_now(request: HttpRequest, pk: int) -> HttpResponse:
    """A new secret; the old ones and the token they could fetch stop at once."""
    return _another_secret(request, pk, is_now=True)


def _another_secret(request: HttpRequest, pk: int, *, is_now: bool) -> HttpResponse:
    """Asks on GET. The form names the secret it saw, so that sent twice it makes one."""
    found = _load_own(request, pk)
    now, current = clock.now(), queries.current_secret(found)
    can = presenters.actions(found, signed_in(request), current=current, now=now)
    answer = can.replace if is_now else can.new_secret
    if not answer or current is None:
        raise _refused(found, answer.reason)
    if request.method == "GET":
        form = SecretForm(initial={"seen": current.pk})
        shown = {
            "credential": found, "form": form, "current": current, "is_now": is_now,
            "overlap": settings.SECRET_OVERLAP, "now": now,
        }  # fmt: skip
        return render(request, "credentials/another_secret.html", shown)
    make = keys.replace_now if is_now else keys.issue_secret
    seen = SecretForm(request.POST).seen_id
    try:
        new = make(credential=found, by=signed_in(request), seen=seen, now=now)
    except StaleState as refusal:
        raise _refused(_load_own(request, pk), refusal.sentence) from refusal
    return _key_page(request, found, new)


@require_http_methods(["GET", "POST"])
@requires(Role.AGENT)
@fresh_groups
@recently_authenticated
def take_token(request: HttpRequest, pk: int) -> HttpResponse:
    """The current access token for work by hand, shown once in the answer to the form."""
    now, found = clock.now(), _load_own(request, pk)
    if not (answer := presenters.is_working(found, now=now)):
        raise _refused(found, answer.reason)
    shown = {"credential": found, "facts": presenters.key_facts(found)}
    if request.method == "GET":
        return render(request, "credentials/token.html", shown)
    try:
        handed = waiting.current_token(
            found, secret=None, address=client_address(request), by=signed_in(request), now=now
        )
    except waiting.Busy:
        return _busy(request, shown)
    ends_at = clock.now() + timedelta(seconds=handed.expires_in)
    return _secret_page(
        request, "credentials/token_shown.html", **shown, handed=handed, ends_at=ends_at, now=now
    )


def _busy(request: HttpRequest, shown: dict[str, object]) -> HttpResponse:
    """The helpdesk did not renew the token in time: the same page, and nothing is lost."""
    response = render(request, "credentials/token.html", {**shown, "is_busy": True}, status=503)
    response.headers["Retry-After"] = str(waiting.COME_BACK)
    return response


# --- The end -----------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@requires(Role.AGENT)
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End access, after a page that says what stops.

    An admin's groups are read again if they are old; an owner's do not matter, so it works while nobody can read them.
    """
    found = _load(request, pk)
    is_owner = signed_in(request).pk == found.owner_id
    return _revoke(request, found) if is_owner else fresh_groups(_revoke)(request, found)


def _revoke(request: HttpRequest, found: Credential) -> HttpResponse:
    user = signed_in(request)
    if found.state == CredentialState.REVOKING or found.state in CREDENTIAL_ENDED:
        raise _ended_already(found)
    if not (answer := permissions.may_revoke(user, found)):
        raise Denied(answer.reason)
    is_owner = user.pk == found.owner_id
    sent = request.POST if request.method == "POST" else None
    form = RevokeForm(sent, needs_reason=not is_owner)
    if form.is_valid():
        reason = form.cleaned_data["reason"]
        credentials.revoke(credential=found, by=user, reason=reason, now=clock.now())
        return redirect("credential", found.pk)
    shown = {"credential": found, "form": form, "use": queries.use_of(found), "now": clock.now()}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "credentials/revoke.html", shown, status=status)


def _ended_already(credential: Credential) -> StaleState:
    """Since when it ends or has ended, and by whom."""
    since = credential.ending_since or credential.ended_at
    refusal = stale(credential)
    if since is not None:
        word = "ending" if credential.state == CredentialState.REVOKING else "over"
        who = queries.who_ended(credential)
        by = f", ended by {who}" if who else ""
        sentence = f"This access has been {word} since {moment_words(since)}{by}."
        refusal = _stale(credential, sentence)
    return refusal
