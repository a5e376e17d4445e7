"""Somebody's browser on a demo helpdesk, for the seeding: signs in, reads the consent page, clicks Allow or Deny.

Real HTTP against the real process, through the same pages a person sees; and the loopback control beside it.
"""

import re
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import requests
from django.conf import settings

from demo.people import Person
from tokens.connectors.registry import authorize_url_for
from tokens.models import Credential, Grant
from tokens.operations.connections import Return, Trip
from tokens.states import GrantState

_HIDDEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_CONTROL = {"X-Demo-Control": "1"}
TIMEOUT = 20


def set_clock(slug: str, moment: datetime | None) -> None:
    """Tell a demo helpdesk what time it is, running on from there; None: the real time."""
    body: dict[str, object] = {"now": moment.isoformat() if moment else None, "runs": moment is not None}
    _control(slug, "time", body)


def end_token(credential: Credential) -> None:
    """An administrator ends a credential's token on the helpdesk itself, behind Keydesk's back."""
    grant = Grant.objects.get(credential=credential, state=GrantState.LIVE)
    config = settings.HELPDESKS[credential.helpdesk.slug]
    wish = {
        "grant_type": "client_credentials",
        "client_id": config.service_client_id,
        "client_secret": config.service_client_secret,
        "scope": "read write",
        "expires_in": 600,
    }
    own = requests.post(f"{config.url}/oauth/tokens", json=wish, timeout=TIMEOUT)
    own.raise_for_status()
    requests.delete(
        f"{config.url}/api/v2/oauth/tokens/{grant.remote_id}",
        headers={"Authorization": f"Bearer {own.json()['access_token']}"},
        timeout=TIMEOUT,
    ).raise_for_status()


def _control(slug: str, path: str, body: dict[str, object]) -> None:
    address = f"{settings.HELPDESKS[slug].url}/control/{path}"
    answer = requests.post(address, json=body, headers=_CONTROL, timeout=TIMEOUT)
    answer.raise_for_status()


def consent(credential: Credential, trip: Trip, person: Person, *, says_no: bool = False) -> Return:
    """Go to the consent page as `person` and decide; what the helpdesk sends back to the portal."""
    slug = credential.helpdesk.slug
    address = authorize_url_for(
        settings.HELPDESKS[slug],
        redirect_uri=f"{settings.PORTAL_URL}/helpdesks/{slug}/callback",
        scopes=credential.scopes,
        state=trip.state,
        code_challenge=trip.code_challenge,
    )
    return decide(address, settings.HELPDESKS[slug].url, person, says_no=says_no)


def decide(address: str, base: str, person: Person, *, says_no: bool = False) -> Return:
    """Open the consent page at `address` of the helpdesk `base` as a person, and click."""
    with requests.Session() as browser:
        _sign_in(browser, base, person)
        page = browser.get(address, timeout=TIMEOUT)
        fields = {
            **_hidden(page.text),
            "person": str(person.helpdesk_id),
            "decision": "deny" if says_no else "allow",
        }
        answer = browser.post(address, data=fields, allow_redirects=False, timeout=TIMEOUT)
    return _came_back(answer)


def _sign_in(browser: requests.Session, base: str, person: Person) -> None:
    page = browser.get(f"{base}/sign-in", timeout=TIMEOUT)
    fields = {**_hidden(page.text), "person": str(person.helpdesk_id)}
    browser.post(f"{base}/sign-in", data=fields, timeout=TIMEOUT).raise_for_status()


def _hidden(html: str) -> dict[str, str]:
    found = _HIDDEN.search(html)
    return {"csrfmiddlewaretoken": found.group(1)} if found else {}


def _came_back(answer: requests.Response) -> Return:
    if answer.status_code not in {302, 303}:
        raise RuntimeError(f"The demo helpdesk did not send anybody back: {answer.status_code}.")
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    return Return(
        state=query["state"][0],
        code=query.get("code", [""])[0],
        error=query.get("error", [""])[0],
    )
