"""How a script walks through the consent page without a browser: the seeding and the tests use it.

It does what a person does: open the page, pick who one is, click Allow or Deny. Standard library
and requests only, so that it may be imported anywhere.
"""

import re
from html import unescape
from urllib.parse import urljoin, urlsplit

import requests

_HIDDEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_PERSON = re.compile(r'name="person" value="(\d+)"')
_TIMEOUT = 20


class ConsentRefused(Exception):
    """The helpdesk showed an error page instead of asking; the text is its sentence."""


def consent(address: str, *, person_id: int, allow: bool = True) -> str:
    """Open `address`, sign in as the user with this id, decide. Returns the redirect's address.

    A request that is refused with a redirect (a scope unknown, say) returns that redirect at once.
    Raises ConsentRefused where the helpdesk shows an error page.
    """
    browser = requests.Session()
    browser.trust_env = False
    host = urlsplit(address).netloc
    answer = _open(browser, address)
    if answer.is_redirect and urlsplit(urljoin(address, answer.headers["Location"])).netloc == host:
        _sign_in(browser, urljoin(address, answer.headers["Location"]), person_id)
        answer = _open(browser, address)
    if not answer.is_redirect:
        answer = _decide(browser, address, answer.text, "allow" if allow else "deny")
    return answer.headers["Location"]


def _open(browser: requests.Session, address: str) -> requests.Response:
    return _checked(browser.get(address, allow_redirects=False, timeout=_TIMEOUT))


def _sign_in(browser: requests.Session, address: str, person_id: int) -> None:
    fields = {"csrfmiddlewaretoken": _form_token(_open(browser, address).text), "person": person_id}
    _checked(browser.post(address, data=fields, allow_redirects=False, timeout=_TIMEOUT))


def _decide(browser: requests.Session, address: str, page: str, decision: str) -> requests.Response:
    person = _PERSON.search(page)
    fields = {
        "csrfmiddlewaretoken": _form_token(page),
        "person": person[1] if person else "",
        "decision": decision,
    }
    return _checked(browser.post(address, data=fields, allow_redirects=False, timeout=_TIMEOUT))


def _form_token(page: str) -> str:
    found = _HIDDEN.search(page)
    if found is None:
        raise ConsentRefused("The page has no form.")
    return found[1]


def _checked(answer: requests.Response) -> requests.Response:
    if answer.status_code >= 400:
        sentence = re.search(r'<p class="lead">(.*?)</p>', answer.text, re.DOTALL)
        raise ConsentRefused(
            unescape(sentence[1].strip()) if sentence else f"HTTP {answer.status_code}"
        )
    return answer
