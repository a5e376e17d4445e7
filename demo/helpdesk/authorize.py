"""`/oauth/authorizations/new`: may this application act as you? Allow gives it a code.

A wrong client or redirect address is an error page, never a redirect; everything else that is wrong
goes back to the application (RFC 6749 section 4.1.2.1).
"""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from demo.helpdesk import clock
from demo.helpdesk.answers import PageRefused
from demo.helpdesk.configuration import configuration
from demo.helpdesk.events import record
from demo.helpdesk.issuing import digest
from demo.helpdesk.models import AuthorizationCode, HelpdeskUser, OAuthClient
from demo.helpdesk.people import person_at
from demo.helpdesk.scopes import in_words, unknown_in

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_KNOWN = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
)


class _Back(Exception):
    """What is wrong goes back to the application."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


@dataclass(frozen=True)
class Ask:
    """What an application asks for, checked."""

    client: OAuthClient
    scopes: tuple[str, ...]
    state: str
    challenge: str

    def answer(self, **fields: str) -> HttpResponseRedirect:
        """Back to the application with `fields` and the state it sent."""
        return _back_to(self.client, self.state, fields)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Show what is asked and decide it; who is not signed in picks a person first."""
    client = _client(request)
    try:
        ask = _ask(request, client)
    except _Back as problem:
        fields = {"error": problem.code, "error_description": problem.description}
        return _back_to(client, request.GET.get("state", ""), fields)
    person = person_at(request)
    if person is None:
        return HttpResponseRedirect(_picker(request))
    if person.suspended:
        raise PageRefused(f"{person.name} is suspended here and cannot allow anything.", status=403)
    # The form names who read it: another tab may have switched the person meanwhile.
    if request.method == "GET" or request.POST.get("person") != str(person.id):
        return _page(request, ask)
    return _decide(request, ask, person)


def _client(request: HttpRequest) -> OAuthClient:
    for name in _KNOWN:
        if len(request.GET.getlist(name)) > 1:
            raise PageRefused(f"The application sent {name} more than once.")
    identifier = request.GET.get("client_id", "")
    client = OAuthClient.objects.filter(identifier=identifier, is_service=False).first()
    if client is None:
        raise PageRefused("The application that sent you here is not known to this helpdesk.")
    if request.GET.get("redirect_uri") != client.redirect_uri:
        raise PageRefused("The application wants the answer at an address it has not registered.")
    return client


def _ask(request: HttpRequest, client: OAuthClient) -> Ask:
    if request.GET.get("response_type") != "code":
        raise _Back("unsupported_response_type", "Only response_type=code is answered.")
    challenge = request.GET.get("code_challenge", "")
    method = request.GET.get("code_challenge_method")
    if method != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise _Back("invalid_request", "A PKCE code_challenge with method S256 is required.")
    scopes = tuple(dict.fromkeys(request.GET.get("scope", "").split()))
    _refuse_scopes(scopes)
    return Ask(client, scopes, request.GET.get("state", ""), challenge)


def _refuse_scopes(scopes: tuple[str, ...]) -> None:
    if not scopes:
        raise _Back("invalid_scope", "No scope was asked for.")
    if unknown := unknown_in(scopes):
        raise _Back("invalid_scope", f"There is no scope {unknown[0][:80]}.")
    allowed = configuration().allowed_scopes
    if allowed and (beyond := [scope for scope in scopes if scope not in allowed]):
        raise _Back("invalid_scope", f"The scope {beyond[0]} is not allowed for this client.")


def _page(request: HttpRequest, ask: Ask) -> HttpResponse:
    context = {
        "client": ask.client,
        "scopes": [(scope, in_words(scope)) for scope in ask.scopes],
        "switch": _picker(request),
    }
    return render(request, "demo_helpdesk/consent.html", context)


def _picker(request: HttpRequest) -> str:
    return f"/sign-in?{urlencode({'next': request.get_full_path()})}"


def _decide(request: HttpRequest, ask: Ask, person: HelpdeskUser) -> HttpResponse:
    decision = request.POST.get("decision")
    if decision == "allow":
        return ask.answer(code=_allow(ask, person))
    if decision == "deny":
        _note("authorization.denied", ask, person)
        return ask.answer(
            error="access_denied",
            error_description="The end-user or authorization server denied the request.",
        )
    return _page(request, ask)


def _allow(ask: Ask, person: HelpdeskUser) -> str:
    now = clock.now()
    secret = secrets.token_hex(32)
    with transaction.atomic():
        code = AuthorizationCode.objects.create(
            digest=digest(secret),
            client=ask.client,
            user=person,
            scopes=list(ask.scopes),
            redirect_uri=ask.client.redirect_uri,
            challenge=ask.challenge,
            created_at=now,
            expires_at=now + timedelta(seconds=configuration().code_life),
        )
        _note("authorization.allowed", ask, person)
        client = ask.client.identifier
        record("code.issued", at=now, user_id=person.id, client=client, code=code.id)
    return secret


def _note(kind: str, ask: Ask, person: HelpdeskUser) -> None:
    client = ask.client.identifier
    record(kind, at=clock.now(), user_id=person.id, client=client, scopes=list(ask.scopes))


def _back_to(client: OAuthClient, state: str, fields: dict[str, str]) -> HttpResponseRedirect:
    query = urlencode({**fields, **({"state": state} if state else {})})
    mark = "&" if "?" in client.redirect_uri else "?"
    return HttpResponseRedirect(f"{client.redirect_uri}{mark}{query}")
