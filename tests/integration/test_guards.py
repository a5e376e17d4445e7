"""What must stay true of the code as a whole: routes, events, clocks, layers."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from tests.functional.every_page import LEADS_ON, SET_APART, pages_of
from tests.sign_in import sign_in
from tokens.presenters import history

ROOT = Path(settings.BASE_DIR)
OURS = [
    path
    for app in ("accounts", "tokens", "portal")
    for path in sorted((ROOT / app).rglob("*.py"))
    if "migrations" not in path.parts
]
ALLAUTHS = "allauth"


def every_route(resolver: URLResolver, before: str = ""):
    for one in resolver.url_patterns:
        where = f"{before}{one.pattern}"
        if isinstance(one, URLResolver):
            yield from every_route(one, where)
        else:
            yield where, one


ROUTES = dict(every_route(get_resolver()))


@pytest.mark.parametrize("where", sorted(ROUTES))
def test_every_route_has_a_permission(where):
    route: URLPattern = ROUTES[where]
    if route.callback.__module__.startswith(ALLAUTHS):
        pytest.fail(f"{where} is allauth's own view: shut it or wrap it.")
    assert hasattr(route.callback, "permission"), f"{where} carries neither @public nor @requires"


class Whatever(dict[tuple[str, str, str], int]):
    """Rows as they might be, to know the addresses without a portal."""

    def __missing__(self, _: tuple[str, str, str]) -> int:
        return 1


def fetched(client: Client, route: str):
    return client.get("/" + re.sub("<slug:[^>]+>", "sso", re.sub("<int:[^>]+>", "1", route)))


def kind_of(client: Client, route: str) -> str:
    """Whether a person reads something there, only sends forms there, or it is for machines."""
    answer = fetched(client, route)
    if not answer.headers.get("Content-Type", "text/html").startswith("text/html"):
        return "machine"
    return "form" if answer.status_code == 405 else "page"


@pytest.mark.django_db
def test_every_page_is_looked_at_or_set_apart_with_a_reason(client):
    sign_in(client, "omar")
    rows = Whatever({("request", "x", "pending"): 1, ("credential", "x", "active"): 1})
    addresses = [address for those in pages_of(rows).values() for address in those]
    looked_at = {
        resolve(path).route
        for path in (address.partition("?")[0] for address in addresses)
        if path != "/no-such-page"
    }
    assert set(SET_APART) <= set(ROUTES) - looked_at
    kinds = {route: kind_of(client, route) for route in set(ROUTES) - set(SET_APART)}
    assert {route for route, kind in kinds.items() if kind == "page"} == looked_at
    assert {route for route, kind in kinds.items() if kind == "form"} == LEADS_ON


def test_the_admin_is_not_mounted():
    assert not any("admin" in where for where in ROUTES)


def recorded_events() -> set[str]:
    """Every event the code can write, also where its name is put together."""
    found = set()
    for path in OURS:
        for node in ast.walk(ast.parse(path.read_text())):
            is_record = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "record"
            )
            if is_record and node.args:
                found |= names_in(node.args[0], path)
    return found


def names_in(node: ast.expr, path: Path) -> set[str]:
    """The names an expression can stand for; one this test does not know fails it."""
    if isinstance(node, ast.Constant):
        return {node.value}
    return PUT_TOGETHER[f"{path.name}: {ast.unparse(node)}"]


PUT_TOGETHER = {
    "requests.py: f'request.{target}'": {"request.withdrawn", "request.closed", "request.lapsed"},
    "keys.py: event": {"key.issued", "key.replaced"},
    "profiles.py: event": {"profile.proposed", "profile.changed"},
    "catalogue.py: event": {"profile.retired", "profile.restored"},
    "credentials.py: f'credential.{action}d'": {"credential.revoked", "credential.expired"},
}


def test_every_audit_event_has_a_sentence():
    events = recorded_events()
    assert len(events) > 30
    assert events - set(history.SENTENCES) == set()


def test_every_sentence_is_of_an_event_that_is_written():
    events = recorded_events()
    assert set(history.SENTENCES) - events == set()


def test_events_are_a_noun_and_what_happened():
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", event) for event in recorded_events())


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_time_comes_from_the_clock_alone(path):
    if path.name == "clock.py":
        return
    text = path.read_text()
    for other in ("datetime.now(", "timezone.now(", "utcnow(", "time.time("):
        assert other not in text, f"{path.name} asks {other.rstrip('(')}, not accounts/clock.py"


WRITES = {
    "create", "bulk_create", "get_or_create", "update_or_create", "update", "bulk_update", "delete", "save",
}  # fmt: skip


def test_only_audit_writes_audit_rows():
    for path in OURS:
        if path != ROOT / "accounts" / "audit.py":
            for node in ast.walk(ast.parse(path.read_text())):
                assert not _writes_audit(node), f"{path}:{node.lineno}"


def test_a_write_of_audit_rows_is_known_by_its_looks():
    for written in ("AuditEvent(event='x')", "AuditEvent.objects.filter(pk=1).delete()"):
        assert any(_writes_audit(node) for node in ast.walk(ast.parse(written))), written
    assert not any(
        _writes_audit(n) for n in ast.walk(ast.parse("AuditEvent.objects.filter(pk=1).first()"))
    )


def _writes_audit(node: ast.AST) -> bool:
    """Whether this calls the model, or something that writes on what the model's name began."""
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    if isinstance(called, ast.Attribute) and called.attr not in WRITES:
        return False
    while isinstance(called, ast.Attribute | ast.Call):
        called = called.value if isinstance(called, ast.Attribute) else called.func
    return isinstance(called, ast.Name) and called.id == "AuditEvent"


def test_no_operation_asks_a_clock_or_a_network():
    for path in (ROOT / "tokens" / "operations").glob("*.py"):
        imported = set(imports_of(path))
        assert imported.isdisjoint({"accounts.clock", "time", "requests", "urllib.request"}), path
        assert not any(name.startswith("tokens.connectors.http") for name in imported), path


def imports_of(path: Path) -> Iterator[str]:
    """The full name of everything a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{one.name}" for one in node.names)
