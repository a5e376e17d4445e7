"""What is read as plain values, or as several reads of one statement, says what the rows themselves say."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.together import Prepared, together
from tests.world import World
from tokens.capabilities import SEVERAL_GRANTS
from tokens.models import AccessRequest, Helpdesk
from tokens.operations import comments
from tokens.presenters.around import queue_reader
from tokens.queries import deciding, queue
from tokens.queries.listed import COMPUTED, ELSEWHERE, Listed, is_asked
from tokens.queries.requests import request_by_id
from tokens.queries.whole import REFERRED, request_from, whole_request

pytestmark = pytest.mark.django_db


def listed(world: World, by: str) -> list[Listed]:
    reader = queue_reader(world.person(by))
    return queue.page(reader, queue.Filters(), after="", edges=[], now=world.clock()).rows


def along(row: object, path: str) -> object:
    for name in path.split("__"):
        row = getattr(row, name)
    return row


def test_a_listed_request_says_what_its_row_says(world: World) -> None:
    asked = world.ask(by="noor", profile="update-tickets", purpose="Tagging")
    world.ask(by="noor", deputy=world.person("ada"), script_name="second")
    comments.write(
        access_request=asked, words="Why?", by=world.person("ben"), key="k", now=world.clock()
    )
    rows = listed(world, "ben")
    assert [row.pk for row in rows] == [*AccessRequest.objects.values_list("pk", flat=True)]
    for row in rows:
        there = AccessRequest.objects.get(pk=row.pk)
        for name in set(Listed.__annotations__) - set(COMPUTED):
            assert getattr(row, name) == along(there, ELSEWHERE.get(name, name)), name
        assert row.requester == str(there.requester)
    assert [row.last_word_by for row in rows] == [world.person("ben").pk, None]
    assert [is_asked(row) for row in rows] == [True, False]
    assert [row.keeps_one_per_person for row in rows] == [False, False]
    Helpdesk.objects.update(capabilities={SEVERAL_GRANTS: "no"})
    assert [row.keeps_one_per_person for row in listed(world, "ben")] == [True, True]


@pytest.mark.parametrize("has_deputy", [True, False])
def test_a_whole_request_is_the_one_that_joins_would_read(world: World, has_deputy: bool) -> None:
    deputy = world.person("noor") if has_deputy else None
    credential = world.active(deputy=deputy)
    pk = AccessRequest.objects.get(credential=credential).pk
    found = together({
        name: Prepared(read, {"request": pk}) for name, read in whole_request().items()
    })  # fmt: skip
    joined = request_by_id(pk)
    with CaptureQueriesContext(connection) as asked:
        whole = request_from(found)
        for path in ("", *REFERRED):
            mine = along(whole, path) if path else whole
            theirs = along(joined, path) if path else joined
            assert mine == theirs
            if mine is None:
                assert path == "deputy"
                continue
            for field in mine._meta.concrete_fields:
                assert getattr(mine, field.attname) == getattr(theirs, field.attname), (path, field)
    assert not asked.captured_queries
    assert (whole.deputy is None) is not has_deputy


def test_the_opened_request_comes_with_the_same_facts_as_on_its_own_page(world: World) -> None:
    world.active(script_name="earlier")
    world.ask(script_name="again")
    world.ask(by="noor", script_name="beside")
    ben = world.person("ben")
    rows = listed(world, "ben")
    with CaptureQueriesContext(connection) as asked:
        opened, facts = deciding.opened(rows[0], User.objects.get(pk=ben.pk), listed=rows)
    reads = [one["sql"] for one in asked.captured_queries if "json_" in one["sql"]]
    assert len(reads) == 1
    alone = deciding.facts(request_by_id(rows[0].pk), ben)
    assert opened.script_name == "again"
    for name in deciding.Facts.__annotations__:
        if name not in {"held", "links", "scopes"}:
            assert getattr(facts, name) == getattr(alone, name), name
    assert facts.held[opened.acts_as_id] == alone.held[opened.acts_as_id]
    assert {one.name for one in facts.scopes} == {one.name for one in alone.scopes}
