"""What scripts call: the token endpoint, and the metadata document that says where it is (RFC 8414)."""

import logging
from datetime import datetime

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from accounts import clock
from accounts.decorators import public
from tokens.models import ClientSecret, Credential
from tokens.operations import keys
from tokens.refusals import Denied, StaleState
from tokens.sealing import Unsealable
from tokens.states import CredentialState
from tokens.views import token_calls, waiting
from tokens.views.token_calls import OAuthError, TokenCall

logger = logging.getLogger(__name__)


@csrf_exempt
@public
def token(request: HttpRequest) -> HttpResponse:
    """RFC 6749 section 4.4: a client id and secret for the helpdesk's current access token. JSON always."""
    try:
        return _hand_out(request)
    except OAuthError as error:
        return token_calls.error_answer(error)
    except (OperationalError, InterfaceError, Unsealable):
        logger.exception("The token endpoint could not answer.")
        return token_calls.error_answer(_later("Keydesk cannot answer now."))


def _hand_out(request: HttpRequest) -> HttpResponse:
    call, now = token_calls.read(request), clock.now()
    secret = _authenticated(call, now=now)
    credential = secret.credential
    if beyond := call.scopes - credential.scopes:
        raise OAuthError(
            "invalid_scope", f"{len(beyond)} of the scopes asked for were not approved."
        )
    try:
        handed = waiting.current_token(
            credential, secret=secret, address=client_address(request), now=now
        )
    except Denied as refusal:
        raise token_calls.wrong_client(is_basic=call.is_basic) from refusal
    except StaleState as refusal:
        raise _unusable(credential) from refusal
    except waiting.Busy as busy:
        raise _later("The token is being renewed.") from busy
    return token_calls.answer(_content(handed))


def _authenticated(call: TokenCall, *, now: datetime) -> ClientSecret:
    found = None
    if call.is_well_formed:
        found = keys.find_secret(
            client_id=call.client_id, client_secret=call.client_secret, now=now
        )
    if found is None:
        raise token_calls.wrong_client(is_basic=call.is_basic)
    return found


def client_address(request: HttpRequest) -> str | None:
    """Who called, as far as the proxies in front can be believed; None over a Unix socket."""
    address: str = getattr(request, "client_address", "")
    return address or None


def _content(handed: keys.HandedOut) -> dict[str, object]:
    return {
        "access_token": handed.access_token,
        "token_type": "bearer",
        "expires_in": handed.expires_in,
        "scope": " ".join(sorted(handed.scopes)),
    }


def _unusable(credential: Credential) -> OAuthError:
    """The key is right, but there is nothing behind it any more."""
    credential.refresh_from_db(fields=["state"])
    link = f"{settings.PORTAL_URL}/credentials/{credential.pk}"
    if credential.state == CredentialState.LOST:
        return OAuthError(
            "invalid_grant", f"This access is disconnected. Its owner can connect it again: {link}"
        )
    return OAuthError("invalid_grant", f"This access has ended. What became of it: {link}")


def _later(sentence: str) -> OAuthError:
    return OAuthError(
        "temporarily_unavailable",
        f"{sentence} Try again in {waiting.COME_BACK} seconds.",
        status=503,
        headers={"Retry-After": str(waiting.COME_BACK)},
    )


@public
@require_safe
def metadata(_: HttpRequest) -> JsonResponse:
    """What any OAuth client needs to know about this portal."""
    content = {
        "issuer": settings.PORTAL_URL,
        "token_endpoint": f"{settings.PORTAL_URL}/oauth/token",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "response_types_supported": [],
    }
    return JsonResponse(content, headers={"Cache-Control": "public, max-age=3600"})
