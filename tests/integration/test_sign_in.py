"""Sign-in over plain HTTP against the real identity provider: what works, and every way it can go wrong."""

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from allauth.account.signals import user_logged_in
from allauth.socialaccount.models import SocialAccount
from django.contrib.sessions.models import Session
from django.core.management import call_command
from pytest_django.fixtures import Settings

from accounts import clock, operations, sessions
from accounts import identity_provider as provider_calls
from accounts.models import AuditEvent, User
from demo.people import BY_KEY
from tests.integration.sign_in_helpers import (
    IdentityProvider,
    browser_of,
    free_port,
    identity_provider,
    portal,
)
from tests.plain_browser import PlainBrowser

__all__ = ["identity_provider", "portal"]
pytestmark = pytest.mark.processes


def events(*names: str) -> list[str]:
    found = AuditEvent.objects.filter(event__startswith="person.").order_by("pk")
    return [row.event for row in found if not names or row.event in names]


def last(event: str) -> AuditEvent:
    return AuditEvent.objects.filter(event=event).latest("pk")


def cookie(browser: PlainBrowser) -> str:
    return browser.session.cookies.get("keydesk_session", "")


def session_of(browser: PlainBrowser) -> dict[str, object]:
    return Session.objects.get(session_key=cookie(browser)).get_decoded()


def change_session(browser: PlainBrowser, **values: object) -> None:
    row = Session.objects.get(session_key=cookie(browser))
    data = {**row.get_decoded(), **values}
    row.session_data = Session.get_session_store_class()().encode(data)
    row.save()


def is_out(browser: PlainBrowser) -> bool:
    return "Sign in to Keydesk" in browser.open("/guarded/anybody").text


# --- The way that works ----------------------------------------------------------------------------
def test_signing_in_leads_to_the_page_one_asked_for(portal: str) -> None:
    browser = browser_of(portal, "Ben Achterberg", page="/guarded/anybody?a=1&b=%2F")
    assert browser.url == f"{portal}/guarded/anybody?a=1&b=%2F"
    said = "you=Ben Achterberg roles=agent,approver recent=True query=a=1&b=%2F"
    assert browser.answer.text == said


def test_the_person_is_what_the_identity_provider_says(portal: str) -> None:
    browser_of(portal, "June Moreno")
    june = User.objects.get()
    assert (june.subject, june.name, june.email) == ("june", "June Moreno", "june@acme.test")
    assert (june.email_verified, june.time_zone) == (True, "Europe/Amsterdam")
    assert {row.group for row in june.memberships.all()} == set(BY_KEY["june"].groups)
    assert not june.has_usable_password()
    assert events() == ["person.signed_in"]
    assert not SocialAccount.objects.exists(), "allauth keeps nothing of its own"


def test_what_is_sent_carries_state_nonce_and_pkce(portal: str) -> None:
    browser = PlainBrowser(portal).open("/accounts/login/")
    browser.press("Sign in with company sign-in")
    asked = parse_qs(parse_qs(urlsplit(browser.url).query)["next"][0].split("?", 1)[1])
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["code_challenge"][0]) == 43
    assert len(asked["nonce"][0]) == 32
    assert asked["state"][0]
    assert asked["redirect_uri"] == [f"{portal}/accounts/oidc/sso/login/callback/"]
    assert set(asked["scope"][0].split()) == {"openid", "profile", "email", "groups"}
    assert "prompt" not in asked


def test_a_visitor_cannot_add_to_what_is_sent(portal: str) -> None:
    browser = PlainBrowser(portal).open("/accounts/login/")
    form = browser.page.forms[0]
    form.action += "?auth_params=prompt%3Dnone&scope=offline_access&process=connect"
    browser.press("Sign in with company sign-in")
    assert "Who are you?" in browser.text
    assert "offline_access" not in browser.url


def test_signing_in_says_so_to_whoever_listens(portal: str) -> None:
    heard: list[str] = []

    def hear(user: User, **_: object) -> None:
        heard.append(user.subject)

    user_logged_in.connect(hear)
    try:
        browser_of(portal, "Ada Lindqvist")
    finally:
        user_logged_in.disconnect(hear)
    assert heard == ["ada"]


def test_the_session_gets_a_new_key_at_sign_in(portal: str) -> None:
    browser = PlainBrowser(portal).open("/guarded/anybody")
    browser.press("Sign in with company sign-in")
    before = cookie(browser)
    browser.press("Ada Lindqvist")
    assert before
    assert cookie(browser) not in ("", before)


@pytest.mark.parametrize(
    "wished",
    ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/accounts/logout/",
     "/" + "x" * 9000],
)  # fmt: skip
def test_only_pages_of_the_portal_are_led_to(portal: str, wished: str) -> None:
    browser = PlainBrowser(portal).open("/accounts/login/")
    browser.press("Sign in with company sign-in", next=wished)
    answer = browser.session.post(
        browser.page.forms[0].action and f"{browser.url.split('/pick')[0]}/pick",
        data=[*browser.page.forms[0].values, ("person", "ada")],
        headers={"Referer": browser.url},
        timeout=10,
    )
    assert [step.headers["Location"] for step in answer.history][-1] == "/"


def test_somebody_signed_in_skips_the_sign_in_page(portal: str) -> None:
    browser = browser_of(portal, "Ada Lindqvist")
    browser.open("/accounts/login/?next=/guarded/anybody")
    assert "you=Ada Lindqvist" in browser.answer.text


def test_two_people_with_one_address_stay_two(portal: str) -> None:
    browser_of(portal, "Ada Lindqvist")
    User.objects.update(email="ben@acme.test")
    browser_of(portal, "Ben Achterberg")
    assert User.objects.filter(email="ben@acme.test").count() == 2


def test_the_same_subject_of_another_issuer_is_another_person(portal: str) -> None:
    browser_of(portal, "Ada Lindqvist")
    old = User.objects.get()
    User.objects.update(identity="0" * 64, issuer="https://old.test")
    browser_of(portal, "Ada Lindqvist")
    assert User.objects.exclude(pk=old.pk).get().subject == "ada"


# --- Groups and roles ------------------------------------------------------------------------------
def test_groups_are_read_at_every_sign_in(portal: str, identity_provider: IdentityProvider) -> None:
    browser_of(portal, "Ben Achterberg")
    identity_provider.groups("ben", ["agents", "internal-audit"])
    try:
        browser = browser_of(portal, "Ben Achterberg")
    finally:
        identity_provider.groups("ben", None)
    assert "roles=agent,auditor " in browser.answer.text
    body = last("person.roles_changed").body
    assert '"gained": ["auditor"]' in body
    assert '"lost": ["approver"]' in body
    assert '"left": ["helpdesk-leads"]' in body


def test_groups_that_stayed_leave_no_row(portal: str) -> None:
    browser_of(portal, "Ben Achterberg")
    browser_of(portal, "Ben Achterberg")
    assert events() == ["person.signed_in", "person.signed_in"]


def test_a_page_for_others_says_for_whom(portal: str) -> None:
    browser = browser_of(portal, "Ada Lindqvist").open("/guarded/decide")
    assert browser.answer.status_code == 403
    assert "Only approvers and admins see this page." in browser.text


# --- Faults of the identity provider ---------------------------------------------------------------
FAULTS = {
    "no_groups": (403, "sent no “groups” claim"),
    "odd_groups": (403, "no list of group names"),
    "wrong_nonce": (400, "it answers another sign-in"),
    "no_nonce": (400, "it answers another sign-in"),
    "bad_signature": (400, "its signature is wrong"),
    "other_key": (400, "not among the provider's keys"),
    "no_algorithm": (400, "not signed in a way Keydesk accepts"),
    "shared_secret": (400, "not signed in a way Keydesk accepts"),
    "other_issuer": (400, "it comes from another issuer"),
    "other_audience": (400, "another application"),
    "expired": (400, "it has expired"),
    "other_subject": (400, "two different people"),
    "no_id_token": (503, "without an ID token"),
    "down": (503, "does not answer as it should"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_in_words_and_lets_nobody_in(
    portal: str, identity_provider: IdentityProvider, fault: str
) -> None:
    status, words = FAULTS[fault]
    identity_provider.order(fault)
    browser = browser_of(portal, "Omar Said")
    assert (browser.answer.status_code, words in browser.text) == (status, True), browser.text
    assert not User.objects.exists()
    assert is_out(browser)
    browser.press("Sign in with company sign-in").press("Omar Said")
    assert "you=Omar Said" in browser.answer.text, "the next sign-in works again"


def test_somebody_known_leaves_a_row_when_the_groups_are_missing(
    portal: str, identity_provider: IdentityProvider
) -> None:
    browser_of(portal, "Omar Said")
    identity_provider.order("no_groups")
    browser = browser_of(portal, "Omar Said")
    assert "Try again" in browser.text
    assert "no “groups” claim" in json.loads(last("person.sign_in_refused").body)["reason"]
    assert User.objects.get().memberships.count() == 1, "the groups he had are not lost"


def test_an_address_that_is_not_verified_is_kept_as_such(
    portal: str, identity_provider: IdentityProvider
) -> None:
    identity_provider.order("unverified_email")
    browser_of(portal, "Ada Lindqvist")
    assert not User.objects.get().email_verified


def test_an_identity_provider_that_is_away_is_a_503(portal: str, settings: Settings) -> None:
    settings.OIDC_SERVER_URL = f"http://127.0.0.1:{free_port()}"
    browser = PlainBrowser(portal).open("/accounts/login/")
    browser.press("Sign in with company sign-in")
    assert browser.answer.status_code == 503
    assert "does not answer as it should" in browser.text


def test_an_identity_provider_with_another_name_is_a_503(portal: str, settings: Settings) -> None:
    settings.OIDC_SERVER_URL = settings.OIDC_SERVER_URL.replace("127.0.0.1", "localhost")
    browser = PlainBrowser(portal).open("/accounts/login/")
    browser.press("Sign in with company sign-in")
    assert browser.answer.status_code == 503
    assert "calls itself" in browser.text


def test_a_wrong_client_secret_is_told(portal: str, settings: Settings) -> None:
    settings.OIDC_CLIENT_SECRET = "wrong"
    browser = browser_of(portal, "Ada Lindqvist")
    assert browser.answer.status_code == 503
    assert "OIDC_CLIENT_SECRET" in browser.text
    assert not User.objects.exists()


# --- The way back, tampered with -------------------------------------------------------------------
def callback(portal: str, **query: str) -> str:
    return f"{portal}/accounts/oidc/sso/login/callback/?{urlencode(query)}"


@pytest.mark.parametrize(
    "query",
    [{}, {"code": "x"}, {"state": "x"}, {"code": "x", "state": "y"}, {"state": "\x00", "code": "\x00"},
     {"error": "access_denied"}, {"error": "<script>", "state": "y"}],
)  # fmt: skip
def test_a_return_nobody_was_sent_for_is_refused(portal: str, query: dict[str, str]) -> None:
    browser = PlainBrowser(portal).open(callback(portal, **query))
    assert browser.answer.status_code == 400
    assert "not started in this browser" in browser.text


def _returned(portal: str) -> tuple[PlainBrowser, str]:
    """A browser at the point where the identity provider sends it back, and the address it is sent to."""
    browser = PlainBrowser(portal).open("/guarded/anybody")
    browser.press("Sign in with company sign-in")
    address = f"{browser.url.split('/pick')[0]}/pick"
    data = [*browser.page.forms[0].values, ("person", "ada")]
    answer = browser.session.post(
        address, data=data, headers={"Referer": browser.url}, allow_redirects=False, timeout=10
    )
    answer = browser.session.get(
        f"{browser.url.split('/pick')[0]}{answer.headers['Location']}",
        allow_redirects=False,
        timeout=10,
    )
    return browser, answer.headers["Location"]


def test_another_browser_cannot_use_the_return(portal: str) -> None:
    browser, address = _returned(portal)
    other = PlainBrowser(portal).open(address)
    assert other.answer.status_code == 400
    assert is_out(other)
    assert "you=Ada Lindqvist" in browser.open(address).answer.text


def test_a_return_works_once(portal: str) -> None:
    browser, address = _returned(portal)
    browser.open(address)
    key = cookie(browser)
    browser.open(address)
    assert browser.answer.status_code == 400
    assert cookie(browser) == key
    assert "you=Ada Lindqvist" in browser.open("/guarded/anybody").answer.text


def test_a_changed_code_is_refused(portal: str) -> None:
    browser, address = _returned(portal)
    browser.open(address.replace("code=", "code=x"))
    assert browser.answer.status_code == 400
    assert "did not accept" in browser.text
    assert is_out(browser)


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [("access_denied", 403, "before it was finished"), ("server_error", 503, "not available"),
     ("login_required", 400, "(login_required)"), ("<b>x</b>", 400, "cannot mend. Try again")],
)  # fmt: skip
def test_an_error_of_the_provider_is_told_in_words(
    portal: str, code: str, status: int, words: str
) -> None:
    browser, address = _returned(portal)
    state = parse_qs(urlsplit(address).query)["state"][0]
    browser.open(callback(portal, state=state, error=code))
    assert browser.answer.status_code == status
    assert words in browser.text
    assert "<b>" not in browser.answer.text


def test_a_sign_in_begins_with_a_form_of_ours(portal: str) -> None:
    browser = PlainBrowser(portal).open("/accounts/login/")
    address = f"{portal}/accounts/oidc/sso/login/"
    assert browser.session.get(address, timeout=5).status_code == 405
    assert browser.session.post(address, timeout=5).status_code == 403
    assert browser.open("/accounts/oidc/other/login/callback/").answer.status_code == 404


@pytest.mark.parametrize(
    "path",
    ["signup", "email", "password/change", "password/set", "password/reset", "reauthenticate", "inactive",
     "confirm-email", "3rdparty", "3rdparty/signup", "3rdparty/login/error", "social/connections",
     "login/code/confirm", "sessions", "2fa"],
)  # fmt: skip
def test_nothing_else_of_allauth_can_be_reached(portal: str, path: str) -> None:
    browser = browser_of(portal, "Ada Lindqvist").open(f"/accounts/{path}/")
    assert browser.answer.status_code == 404
    assert PlainBrowser(portal).open(f"/accounts/{path}/").answer.status_code == 404


# --- Leaving ---------------------------------------------------------------------------------------
def test_signing_out_asks_once_and_ends_the_session(portal: str) -> None:
    browser = browser_of(portal, "Ada Lindqvist").open("/accounts/logout/")
    key = cookie(browser)
    browser.press("Sign out")
    assert "You are signed out of Keydesk." in browser.text
    assert not Session.objects.filter(session_key=key).exists()
    assert events() == ["person.signed_in", "person.signed_out"]
    assert is_out(browser)


def test_a_deactivated_person_is_told_so_at_sign_in(portal: str) -> None:
    browser_of(portal, "Piotr Wolny")
    operations.deactivate(user=User.objects.get(), by=None, reason="left", now=clock.now())
    browser = browser_of(portal, "Piotr Wolny")
    assert browser.answer.status_code == 403
    assert "has been deactivated" in browser.text
    assert events()[-1] == "person.sign_in_refused"


def test_a_deactivated_person_is_out_at_once(portal: str) -> None:
    browser = browser_of(portal, "Piotr Wolny")
    operations.deactivate(user=User.objects.get(), by=None, reason="left", now=clock.now())
    browser.open("/guarded/anybody")
    assert "Sign in to Keydesk" in browser.text
    assert "has been deactivated" in browser.text


# --- How long a session lasts ----------------------------------------------------------------------
def test_a_session_ends_after_an_hour_without_activity(portal: str) -> None:
    browser = browser_of(portal, "Ada Lindqvist")
    change_session(browser, seen_at=(clock.now() - timedelta(minutes=61)).isoformat())
    browser.open("/guarded/anybody?x=1")
    assert "You were signed out after an hour without activity." in browser.text
    browser.press("Sign in with company sign-in").press("Ada Lindqvist")
    assert browser.url.endswith("/guarded/anybody?x=1")


def test_a_session_ends_after_twelve_hours(portal: str) -> None:
    browser = browser_of(portal, "Ada Lindqvist")
    change_session(browser, signed_in_at=(clock.now() - timedelta(hours=12)).isoformat())
    browser.open("/guarded/anybody")
    assert "a session lasts 12 hours" in browser.text


def test_activity_is_noted_at_most_every_five_minutes(portal: str) -> None:
    browser = browser_of(portal, "Ada Lindqvist")
    before = session_of(browser)[sessions.SEEN_AT]
    browser.open("/guarded/anybody")
    assert session_of(browser)[sessions.SEEN_AT] == before
    change_session(browser, seen_at=(clock.now() - timedelta(minutes=6)).isoformat())
    browser.open("/guarded/anybody")
    assert str(session_of(browser)[sessions.SEEN_AT]) > str(before)


# --- Confirm it is you -----------------------------------------------------------------------------
def not_recent(portal: str, name: str = "Ada Lindqvist") -> PlainBrowser:
    """A browser whose person proved who they are too long ago, on the page with a key."""
    browser = browser_of(portal, name)
    change_session(browser, authenticated_at=(clock.now() - timedelta(minutes=11)).isoformat())
    return browser.open("/guarded/secret?from=here")


def test_a_key_needs_a_confirmation_and_then_comes(portal: str) -> None:
    browser = not_recent(portal)
    browser.press("Go on")
    assert browser.answer.status_code == 403
    assert "Confirm it is you" in browser.text
    key = cookie(browser)
    browser.press("Confirm with company sign-in")
    assert "Who are you?" in browser.text
    browser.press("Ada Lindqvist")
    assert browser.url == f"{portal}/guarded/secret?from=here"
    assert cookie(browser) != key
    assert "the secret" in browser.press("Go on").answer.text
    assert events() == ["person.signed_in", "person.confirmed"]


def test_a_fresh_sign_in_needs_no_confirmation(portal: str) -> None:
    browser = browser_of(portal, "Ada Lindqvist").open("/guarded/secret")
    assert "the secret" in browser.press("Go on").answer.text


def test_a_sign_in_without_a_time_is_not_recent(
    portal: str, identity_provider: IdentityProvider
) -> None:
    identity_provider.order("no_auth_time")
    browser = browser_of(portal, "Ada Lindqvist")
    assert "recent=False" in browser.answer.text


def test_somebody_else_cannot_confirm(portal: str) -> None:
    browser = not_recent(portal).press("Go on")
    browser.press("Confirm with company sign-in").press("Ben Achterberg")
    assert browser.answer.status_code == 403
    assert "says you are Ben Achterberg" in browser.text
    assert "Confirm it is you" in browser.open("/guarded/secret").press("Go on").text
    assert events()[-1] == "person.confirmation_refused"
    assert User.objects.count() == 1


@pytest.mark.parametrize("fault", ["old_auth_time", "no_auth_time"])
def test_only_the_returned_time_counts(
    portal: str, identity_provider: IdentityProvider, fault: str
) -> None:
    browser = not_recent(portal).press("Go on")
    identity_provider.order(fault)
    browser.press("Confirm with company sign-in").press("Ada Lindqvist")
    assert browser.answer.status_code == 403
    assert "did not ask you to prove who you are" in browser.text
    assert "Confirm it is you" in browser.open("/guarded/secret").press("Go on").text
    assert events()[-1] == "person.confirmation_refused"


def test_confirming_needs_somebody_who_is_signed_in(portal: str) -> None:
    browser = PlainBrowser(portal).open("/accounts/confirm/")
    assert "Sign in to Keydesk" in browser.text


# --- Groups read again -----------------------------------------------------------------------------
def stale(portal: str, name: str) -> PlainBrowser:
    browser = browser_of(portal, name)
    User.objects.update(groups_read_at=clock.now() - timedelta(minutes=61))
    return browser


def test_stale_groups_are_read_again_without_a_word(portal: str) -> None:
    browser = stale(portal, "Ben Achterberg")
    key = cookie(browser)
    browser.open("/guarded/decide?selected=7")
    assert browser.url == f"{portal}/guarded/decide?selected=7"
    assert "A page that decides" in browser.text
    assert clock.now() - User.objects.get().groups_read_at < timedelta(minutes=1)
    assert cookie(browser) == key, "the session goes on"


def test_a_role_that_was_lost_counts_from_then_on(
    portal: str, identity_provider: IdentityProvider
) -> None:
    browser = stale(portal, "Ben Achterberg")
    identity_provider.groups("ben", ["agents"])
    try:
        browser.open("/guarded/decide")
    finally:
        identity_provider.groups("ben", None)
    assert browser.answer.status_code == 403
    assert '"lost": ["approver"]' in last("person.roles_changed").body


def test_a_stale_form_is_kept_and_sent_again(portal: str) -> None:
    browser = browser_of(portal, "Ben Achterberg").open("/guarded/decide?selected=7")
    User.objects.update(groups_read_at=clock.now() - timedelta(minutes=61))
    browser.press("Go on", reason="looks “right” & fine")
    assert "nothing was done yet" in browser.text
    browser.press("Send it")
    assert browser.answer.text == "decided=looks “right” & fine"


def test_a_form_too_big_to_keep_leads_back_to_its_page(portal: str) -> None:
    browser = browser_of(portal, "Ben Achterberg").open("/guarded/decide")
    User.objects.update(groups_read_at=clock.now() - timedelta(minutes=61))
    browser.press("Go on", reason="x" * 30_000)
    assert browser.url == f"{portal}/guarded/decide"


def test_a_company_sign_in_that_is_over_ends_ours(
    portal: str, identity_provider: IdentityProvider
) -> None:
    browser = stale(portal, "Ben Achterberg")
    browser.open(identity_provider.url).press("Sign out here")
    browser.open(f"{portal}/guarded/decide?selected=7")
    assert "Your company sign-in is over." in browser.text
    browser.press("Sign in with company sign-in").press("Ben Achterberg")
    assert browser.url == f"{portal}/guarded/decide?selected=7"


def test_another_persons_company_sign_in_changes_nothing(
    portal: str, identity_provider: IdentityProvider
) -> None:
    browser = stale(portal, "Ben Achterberg")
    other = PlainBrowser(portal)
    other.session.cookies.update(browser.session.cookies)
    other.session.cookies.pop("keydesk_session")
    other.open("/guarded/anybody").press("Sign in with company sign-in").press("Omar Said")
    name = "demo_idp_session"
    browser.session.cookies.set(name, other.session.cookies.get(name), domain="127.0.0.1", path="/")
    browser.open("/guarded/decide")
    assert browser.answer.status_code == 403
    assert "says you are Omar Said" in browser.text


def test_an_identity_provider_that_is_away_is_told_on_the_page_that_decides(
    portal: str, settings: Settings
) -> None:
    browser = stale(portal, "Ben Achterberg")
    settings.OIDC_SERVER_URL = f"http://127.0.0.1:{free_port()}"
    browser.open("/guarded/decide")
    assert browser.answer.status_code == 503


# --- Around every page -----------------------------------------------------------------------------
def test_pages_of_a_person_are_never_cached_and_carry_a_request_id(portal: str) -> None:
    answer = browser_of(portal, "Ada Lindqvist").answer
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.headers["X-Request-Id"]) == 36
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert last("person.signed_in").request_id


def test_a_form_from_elsewhere_is_refused_in_words(portal: str) -> None:
    browser = browser_of(portal, "Ada Lindqvist").open("/guarded/secret")
    browser.press("Go on", csrfmiddlewaretoken="x" * 64)
    assert browser.answer.status_code == 403
    assert "nothing was done" in browser.text


# --- check_sign_in ---------------------------------------------------------------------------------
def test_the_check_finds_nothing_missing(portal: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("check_sign_in")
    printed = capsys.readouterr().out
    assert "missing" not in printed
    assert f"Redirect URI: {portal}/accounts/oidc/sso/login/callback/" in printed
    assert "PKCE with S256 is supported." in printed
    assert "1 public keys" in printed
    assert "lists the claim “groups”" in printed


def test_the_check_names_what_is_missing(
    portal: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.OIDC_CLIENT_SECRET = ""
    settings.ROLE_APPROVER_GROUPS = []
    settings.OIDC_SERVER_URL = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(SystemExit) as ended:
        call_command("check_sign_in")
    printed = capsys.readouterr().out
    assert ended.value.code == 1
    assert "missing  OIDC_CLIENT_SECRET is not set." in printed
    assert "missing  ROLE_APPROVER_GROUPS is not set." in printed
    assert f"missing  {provider_calls.discovery_address(settings.OIDC_SERVER_URL)}" in printed
    assert "3 missing." in printed
