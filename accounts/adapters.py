"""allauth's hooks: what happens between its verified answer and our person. Nothing else belongs here.

People are rows of accounts.User, made by accounts/operations.py; allauth's own account tables stay empty.
"""

from datetime import timedelta
from typing import Any, NoReturn

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts import clock, id_token, oidc, operations, redirects, sessions
from accounts.claims import Claims, read
from accounts.models import User
from accounts.oidc import Purpose
from accounts.refusals import Refused

FRESH = timedelta(seconds=60)
"""How old the provider's `auth_time` may be when somebody comes back from confirming who they are."""

SIGN_IN_OVER = "Your company sign-in is over. Sign in again to go on."

_NOT_SIGNED_IN_THERE = frozenset(
    {"login_required", "interaction_required", "consent_required", "account_selection_required"}
)


class AccountAdapter(DefaultAccountAdapter):
    """Sign-in and sign-out, without passwords, sign-up, e-mail pages or flash messages."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never: people are made by their first sign-in."""
        return False

    def add_message(self, *_: Any, **__: Any) -> None:
        """The page one lands on says enough."""

    def post_login(
        self, request: HttpRequest, user: User, *, signal_kwargs: dict[str, Any], **kwargs: Any
    ) -> HttpResponse:
        """Stamp the new session with the times its limits count from."""
        now = clock.now()
        claims = signal_kwargs["sociallogin"].account.extra_data["id_token"]
        sessions.begin(
            request.session, now=now, authenticated_at=id_token.authenticated_at(claims, now=now)
        )
        answer: HttpResponse = super().post_login(
            request, user, signal_kwargs=signal_kwargs, **kwargs
        )
        return answer


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """From verified claims to a person, for each purpose somebody is sent to the provider for."""

    def get_provider(
        self, request: HttpRequest, provider: str, client_id: str | None = None
    ) -> oidc.Provider:
        """The one of the settings; allauth's database of providers is never asked."""
        return oidc.provider(request)

    def list_providers(self, request: HttpRequest) -> list[oidc.Provider]:
        """The one of the settings."""
        return [oidc.provider(request)]

    def authenticate_by_email(self, sociallogin: SocialLogin) -> None:
        """Never."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Never: `pre_social_login` has made the person already."""
        return False

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: Any) -> User:
        """Leave allauth's placeholder alone; `pre_social_login` puts the person in its place."""
        user: User = sociallogin.user
        return user

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Whoever came back, for what they were sent. Raises `Refused`."""
        now = clock.now()
        found = sociallogin.account.extra_data
        id_token.demand_nonce(found["id_token"], sociallogin.state.get("nonce"))
        claims = _claims(found)
        match Purpose(sociallogin.state["purpose"]):
            case Purpose.SIGN_IN:
                sociallogin.user = operations.sign_in(claims=claims, now=now)
            case Purpose.CONFIRM:
                _confirm(request, claims, found["id_token"])
            case Purpose.GROUPS:
                operations.read_groups(user=_person(request), claims=claims, now=now)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: oidc.Provider,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> NoReturn:
        """Every way allauth gives up, as a `Refused`; a silent look that found nobody signs out."""
        state = (extra_context or {}).get("state")
        if state is None:
            raise Refused(
                "This sign-in was not started in this browser, was used already, or is older than ten "
                "minutes.",
                status=400,
            )
        code = request.GET.get("error", "")[:60]
        if code in _NOT_SIGNED_IN_THERE and state.get("purpose") == Purpose.GROUPS:
            raise ImmediateHttpResponse(_sign_in_again(request, state.get("next")))
        raise _refused(code)


def _claims(found: dict[str, dict[str, Any]]) -> Claims:
    """The signed ID token first; userinfo only adds. A person who is known leaves a row when refused."""
    token = found["id_token"]
    try:
        return read(
            {**found["userinfo"], **token},
            groups_claim=settings.OIDC_GROUPS_CLAIM,
            manager_claim=settings.OIDC_MANAGER_CLAIM,
        )
    except Refused as refusal:
        operations.refuse_sign_in(
            issuer=str(token["iss"]),
            subject=str(token["sub"]),
            reason=refusal.sentence,
            now=clock.now(),
        )
        raise


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Refused("You are no longer signed in to Keydesk, so nothing was done.", status=400)
    return request.user


def _confirm(request: HttpRequest, claims: Claims, token: dict[str, Any]) -> None:
    """The same person, who authenticated a moment ago: only the returned `auth_time` counts."""
    now = clock.now()
    user = _person(request)
    at = id_token.authenticated_at(token, now=now)
    if at is None or now - at > FRESH:
        operations.refuse_confirmation(user=user, reason="no fresh auth_time", now=now)
        raise Refused(
            "The company sign-in did not ask you to prove who you are just now"
            + (", or does not say when it did" if at is None else "")
            + ", so Keydesk cannot go on."
        )
    operations.confirm(user=user, claims=claims, now=now)
    sessions.confirm(request.session, authenticated_at=at)


def _sign_in_again(request: HttpRequest, next_path: object) -> HttpResponse:
    logout(request)
    request.session[sessions.WHY_ENDED] = SIGN_IN_OVER
    return HttpResponseRedirect(redirects.sign_in_address(redirects.local_path(next_path)))


def _refused(code: str) -> Refused:
    """What the provider answered instead of a code (RFC 6749 section 4.1.2.1)."""
    if code == "access_denied":
        return Refused(
            "You left the company sign-in before it was finished, or it did not let you in."
        )
    if code in {"server_error", "temporarily_unavailable"}:
        return Refused(
            "The company sign-in is not available at the moment. Try again in a minute.", status=503
        )
    return Refused(
        "The company sign-in answered with an error that Keydesk cannot mend"
        + (f" ({code})" if code.isascii() and code.replace("_", "").isalnum() else "")
        + ". Try again; if it stays so, tell an administrator of Keydesk.",
        status=400,
    )
