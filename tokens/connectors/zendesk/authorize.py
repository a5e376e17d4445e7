"""Where an agent consents on Zendesk. Pure, so that the web tier may use it without ever calling out."""

from collections.abc import Iterable
from urllib.parse import quote, urlencode


def authorize_url(
    *,
    base_url: str,
    client_id: str,
    redirect_uri: str,
    scopes: Iterable[str],
    state: str,
    code_challenge: str,
) -> str:
    """The address of the consent page. `code_challenge` is S256; `client_id` the client's identifier."""
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(sorted(scopes)),
        "state": state,
        "code_challenge": code_challenge,
        "code_challenge_method": "S256",
    }
    return f"{base_url.rstrip('/')}/oauth/authorizations/new?{urlencode(query, quote_via=quote)}"
