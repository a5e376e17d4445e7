"""What stands around every page: addresses behind proxies, refusals as pages, health, system checks."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from accounts import clock, operations
from accounts.models import AuditEvent, User
from accounts.refusals import Refused
from accounts.roles import Role, fresh, roles_of
from portal import checks, health
from portal.middleware import Refusals, TrustedProxy
from tests.sign_in import claims_of, sign_in
from tokens.queries.people import Asked, deciders
from tokens.refusals import Denied, Invalid, StaleState


def seen(peer: str, **headers: str) -> HttpRequest:
    """The request as a view would see it."""
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
    TrustedProxy(lambda _: HttpResponse())(request)
    return request


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "1.1.1.1, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "<script>", "10.1.2.3"),
        ("10.1.2.3", "fe80::1%eth0", "10.1.2.3"),
        ("10.1.2.3", "<script>, 198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "2001:db8::1", "2001:db8::1"),
        ("::1", "198.51.100.1", "::1"),
        ("", "198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_callers_address_is_believed_from_our_proxies_only(
    settings: Settings, peer: str, forwarded: str, address: str
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8", "unix"]
    assert seen(peer, **{"X-Forwarded-For": forwarded}).client_address == address  # type: ignore[attr-defined]


def test_https_is_believed_from_our_proxies_only(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert seen("10.1.2.3", **{"X-Forwarded-Proto": "https"}).is_secure()
    assert not seen("203.0.113.9", **{"X-Forwarded-Proto": "https"}).is_secure()
    assert not seen("10.1.2.3", **{"X-Forwarded-Proto": "http"}).is_secure()


def test_proxies_that_are_no_addresses_stop_the_process(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["our proxy"]
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES"):
        seen("10.1.2.3")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status"),
    [(Denied("No."), 403), (StaleState("Ben was first."), 409), (Invalid("That is no date."), 400),
     (Refused("Not you."), 403), (Refused("Gone already.", status=409), 409), (Refused("Away.", status=503), 503)],
)  # fmt: skip
def test_a_refusal_becomes_a_page(error: Exception, status: int) -> None:
    page = Refusals(lambda _: HttpResponse()).process_exception(RequestFactory().get("/"), error)
    assert page is not None
    assert page.status_code == status
    assert status == 503 or str(error) in page.content.decode()


def test_any_other_error_stays_an_error() -> None:
    refusals = Refusals(lambda _: HttpResponse())
    assert refusals.process_exception(RequestFactory().get("/"), ValueError("x")) is None


# --- Health ----------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_the_process_is_alive_and_says_when_work_waits(client: Client) -> None:
    assert client.get("/healthz").json() == {"is_ok": True}
    answer = client.get("/readyz")
    parts = {part["name"]: part for part in answer.json()["parts"]}
    assert answer.status_code == 503
    assert parts["database"]["is_ok"]
    assert not parts["worker"]["is_ok"]
    assert health.healthz(RequestFactory().post("/healthz")).status_code == 405


def test_a_database_that_is_away_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DatabaseError

    monkeypatch.setattr(clock, "now", fail)
    assert health.parts() == [("database", False, "The database does not answer.")]


@pytest.mark.django_db
def test_a_redis_that_is_away_is_a_sentence(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert ("redis", False, "Redis does not answer: pages go on, work waits.") in health.parts()


# --- Checks ----------------------------------------------------------------------------------------
Check = Callable[[None], list[object]]


def ids(*found: Check) -> set[str]:
    return {message.id for check in found for message in check(None)}  # type: ignore[attr-defined]


ALL = (checks.sign_in, checks.deciding, checks.secrets, checks.places)


def test_a_portal_that_is_set_up_has_nothing_to_say() -> None:
    assert ids(*ALL) == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("OIDC_SERVER_URL", "", "E001"), ("OIDC_CLIENT_ID", "", "E002"),
        ("OIDC_CLIENT_SECRET", "", "E003"), ("SEALING_KEYS", [], "E004"), ("HELPDESKS", {}, "E005"),
        ("PORTAL_URL", "http://keydesk.acme.test", "E006"),
        ("OIDC_SERVER_URL", "http://id.acme.test", "E007"),
        ("READERS_TIME_ZONE", "Mars/Olympus", "E008"), ("TRUSTED_PROXIES", ["x"], "E009"),
        ("ESCALATE_TO_GROUP", "agents", "E010"),
        ("HELPDESKS", {"a": SimpleNamespace(name="A", url="http://desk.acme.test")}, "E012"),
    ],
)  # fmt: skip
def test_each_thing_that_is_missing_has_an_id(
    settings: Settings, name: str, value: object, expected: str
) -> None:
    setattr(settings, name, value)
    assert ids(*ALL) == {f"keydesk.{expected}"}


def test_nobody_who_can_decide_is_a_warning(settings: Settings) -> None:
    settings.ROLE_APPROVER_GROUPS = settings.ROLE_ADMIN_GROUPS = []
    assert ids(*ALL) == {"keydesk.W001"}


# --- People ----------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_who_has_a_role_and_who_is_in_a_group(settings: Settings) -> None:
    now = clock.now()
    settings.ROLE_ADMIN_SUBJECTS = ["zoe"]
    for key in ("zoe", "ben", "june", "omar", "ada"):
        operations.sign_in(claims=claims_of(key), now=now)
    operations.deactivate(user=User.objects.get(subject="ben"), by=None, reason="left", now=now)
    ada = User.objects.get(subject="ada").pk
    leads, agents = (Asked(frozenset({group}), ada) for group in ("helpdesk-leads", "agents"))
    assert [person.subject for person in deciders(leads)] == ["june", "omar", "zoe"]
    assert [person.subject for person in deciders(agents)] == ["omar", "zoe"], "no approvers"


@pytest.mark.django_db
def test_roles_are_read_once_and_fresh_ones_again() -> None:
    ben = operations.sign_in(claims=claims_of("ben"), now=clock.now())
    assert Role.APPROVER in roles_of(ben)
    ben.memberships.all().delete()
    assert Role.APPROVER in roles_of(ben)
    assert Role.APPROVER not in roles_of(fresh(ben))


@pytest.mark.django_db
def test_deactivating_twice_says_so_and_coming_back_works() -> None:
    now = clock.now()
    ben, omar = (operations.sign_in(claims=claims_of(key), now=now) for key in ("ben", "omar"))
    operations.deactivate(user=ben, by=omar, reason="left", now=now)
    with pytest.raises(Refused, match="deactivated already"):
        operations.deactivate(user=ben, by=omar, reason="left", now=now)
    assert roles_of(fresh(ben)) == frozenset()
    operations.reactivate(user=ben, by=omar, reason="came back", now=now)
    with pytest.raises(Refused, match="active already"):
        operations.reactivate(user=ben, by=omar, reason="came back", now=now)
    written = AuditEvent.objects.filter(event__in=["person.deactivated", "person.reactivated"])
    assert [(row.event, row.actor_name) for row in written.order_by("pk")] == [
        ("person.deactivated", "Omar Said"), ("person.reactivated", "Omar Said"),
    ]  # fmt: skip


@pytest.mark.django_db
def test_times_are_shown_in_the_readers_zone(client: Client, settings: Settings) -> None:
    settings.READERS_TIME_ZONE = "Asia/Tokyo"
    assert "times in Asia/Tokyo" in client.get("/accounts/login/").content.decode()
    sign_in(client, "ada")
    assert "times in Europe/Amsterdam" in client.get("/accounts/logout/").content.decode()


@pytest.mark.django_db
def test_a_fragment_of_somebody_signed_out_reloads_the_page(client: Client) -> None:
    answer = client.get("/accounts/confirm/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (204, "true")


@pytest.mark.django_db
def test_the_helper_signs_in_as_recently_confirmed_or_not(client: Client) -> None:
    sign_in(client, "ada")
    assert client.session["authenticated_at"]
    sign_in(client, "ada", authenticated_at=None)
    assert "authenticated_at" not in client.session
    sign_in(client, "ada", authenticated_at=clock.now() - timedelta(hours=1))
    assert client.session["signed_in_at"] > client.session["authenticated_at"]


@pytest.mark.django_db
def test_a_file_is_never_spooled_to_the_disk(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """No page takes one, so what is sent all the same is read and dropped, and fills no disk."""

    def spool(*_: object) -> None:
        raise AssertionError("A file was spooled.")

    monkeypatch.setattr(TemporaryUploadedFile, "__init__", spool)
    huge = SimpleUploadedFile("huge.bin", b"x" * 3_000_000)
    stranger = Client(enforce_csrf_checks=True)
    # With a cookie the body is looked into for its twin.
    stranger.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32
    assert stranger.post("/", {"file": huge}).status_code == 403
