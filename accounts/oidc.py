"""How does a person come from the identity provider to us? allauth's OpenID Connect, made strict.

Beside allauth: PKCE always, a nonce in every request, the ID token's signature verified, the issuer pinned,
the redirect address taken from PORTAL_URL, no parameter taken from the visitor. One provider, from the
settings alone. What happens with the person is in accounts/adapters.py.
"""

import secrets
from enum import StrEnum
from typing import Any

from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.oauth2.utils import generate_code_challenge
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts import clock, id_token, identity_provider
from accounts.claims import identity_of
from accounts.refusals import Refused

PROVIDER_ID = "sso"
CALLBACK = "openid_connect_callback"


class Purpose(StrEnum):
    """Why somebody is sent to the identity provider; kept in allauth's state, bound to the session."""

    SIGN_IN = "sign in"
    CONFIRM = "confirm"
    GROUPS = "groups"


_ASKS: dict[Purpose, dict[str, str]] = {
    Purpose.SIGN_IN: {},
    Purpose.CONFIRM: {"prompt": "login", "max_age": "0"},
    Purpose.GROUPS: {"prompt": "none"},
}


def callback_address() -> str:
    """The redirect URI to register at the identity provider."""
    return f"{settings.PORTAL_URL}{reverse(CALLBACK, args=[PROVIDER_ID])}"


def provider(request: HttpRequest) -> "Provider":
    """The one identity provider, from the settings."""
    app = SocialApp(
        provider=OpenIDConnectProvider.id,
        provider_id=PROVIDER_ID,
        name="Company sign-in",
        client_id=settings.OIDC_CLIENT_ID,
        secret=settings.OIDC_CLIENT_SECRET,
        settings={"server_url": settings.OIDC_SERVER_URL, "scope": settings.OIDC_SCOPES},
    )
    return Provider(request, app=app)


def send(request: HttpRequest, *, purpose: Purpose, next_path: str) -> HttpResponse:
    """Send the browser to the identity provider; it comes back to the callback, then to `next_path`.

    Raises `Refused` (503) where the identity provider cannot be asked for its addresses.
    """
    # A sign-in makes a new session; the two others belong to the one there is.
    process = "login" if purpose is Purpose.SIGN_IN else "redirect"
    nonce = secrets.token_urlsafe(24)
    answer: HttpResponse = provider(request).redirect(
        request,
        process=process,
        next_url=next_path,
        auth_params={**_ASKS[purpose], "nonce": nonce},
        nonce=nonce,
        purpose=purpose.value,
    )
    return answer


def receive(request: HttpRequest) -> HttpResponse:
    """What comes back: allauth checks the state and exchanges the code. Raises `Refused`."""
    answer: HttpResponse = OAuth2CallbackView.adapter_view(Exchange(request, PROVIDER_ID))(request)
    return answer


class TokenClient(OAuth2Client):
    """The call that turns the code into tokens."""

    def get_access_token(
        self, code: str, pkce_code_verifier: str | None = None, extra_data: Any = None
    ) -> dict[str, Any]:
        """RFC 6749 section 4.1.3 with RFC 7636 section 4.5. Raises `Refused`."""
        data = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback_url,
            "code_verifier": pkce_code_verifier or "",
        }
        client = (self.consumer_key, self.consumer_secret)
        if not self.basic_auth:
            data |= {"client_id": client[0], "client_secret": client[1]}
        return identity_provider.ask(
            "POST", self.access_token_url, data=data, auth=client if self.basic_auth else None
        )


class Exchange(OpenIDConnectOAuth2Adapter):
    """allauth's adapter for one callback, with every answer of the provider checked."""

    client_class = TokenClient

    @property
    def openid_config(self) -> dict[str, Any]:
        """The discovery document, believed for ten minutes. Raises `Refused`."""
        return identity_provider.metadata(settings.OIDC_SERVER_URL)

    @property
    def basic_auth(self) -> bool:
        """Basic is the standard's default; used where the provider does not take the secret in the body."""
        methods = self.openid_config.get("token_endpoint_auth_methods_supported") or []
        return "client_secret_post" not in methods

    def get_provider(self) -> "Provider":
        """The provider this callback belongs to."""
        return provider(self.request)

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """From PORTAL_URL, never from the Host header."""
        return callback_address()

    def parse_token(self, data: dict[str, Any]) -> SocialToken:
        """Tokens are used once, for the userinfo, and never stored."""
        if not isinstance(data.get("access_token"), str):
            raise Refused("The company sign-in answered without an access token.", status=503)
        return SocialToken(token=data["access_token"])

    def complete_login(
        self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any
    ) -> SocialLogin:
        """The verified claims, as a login allauth can go on with. Raises `Refused`."""
        encoded = kwargs["response"].get("id_token")
        if not isinstance(encoded, str):
            raise Refused("The company sign-in answered without an ID token.", status=503)
        config = self.openid_config
        claims = id_token.verify(
            encoded,
            key_set=lambda again: identity_provider.keys(config["jwks_uri"], again=again),
            issuer=config["issuer"],
            client_id=app.client_id,
            now=clock.now(),
        )
        data = {"id_token": claims, "userinfo": self._userinfo(token.token, claims)}
        return self.get_provider().sociallogin_from_response(request, data)

    def _userinfo(self, access_token: str, claims: dict[str, Any]) -> dict[str, Any]:
        """What the userinfo endpoint adds; it must speak of the same subject (Core section 5.3.2)."""
        address = self.openid_config.get("userinfo_endpoint")
        if not isinstance(address, str):
            return {}
        found = identity_provider.ask(
            "GET", address, headers={"Authorization": f"Bearer {access_token}"}
        )
        if found.get("sub") != claims["sub"]:
            raise Refused(
                "The company sign-in spoke of two different people at once, so Keydesk trusts neither.",
                status=400,
            )
        return found


class Provider(OpenIDConnectProvider):
    """allauth's provider, without anything a visitor or a database row could choose."""

    oauth2_adapter_class = Exchange

    def get_pkce_params(self) -> dict[str, str]:
        """PKCE (S256) with every request."""
        made: dict[str, str] = generate_code_challenge()
        return made

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Issuer and subject together: a subject alone is unique only within its issuer."""
        return identity_of(str(data["id_token"]["iss"]), str(data["id_token"]["sub"]))

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        """None: accounts/claims.py reads the claims."""
        return {}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[Any]:
        """None: an e-mail address is never how somebody is recognised."""
        return []
