"""Several reads in one statement, and reads that are made once and filled in for each page."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import BigIntegerField, CharField, DateTimeField
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership, User
from accounts.together import Prepared, given, together
from tests.world import World

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 2, 8, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def people():
    world = World(now=NOW)
    return [world.person(key) for key in ("ada", "ben")]


def one_with(pk):
    return User.objects.filter(pk=pk).values("pk", "name")


def test_reads_of_different_things_are_one_statement(people):
    ada, ben = people
    with CaptureQueriesContext(connection) as asked:
        found = together(
            {
                "ada": one_with(ada.pk),
                "nobody": User.objects.none().values("pk"),
                "ben": one_with(ben.pk),
            }
        )
    assert len(asked) == 1
    assert found == {
        "ada": [{"pk": ada.pk, "name": ada.name}],
        "nobody": [],
        "ben": [{"pk": ben.pk, "name": ben.name}],
    }


def test_a_prepared_read_finds_what_is_filled_in_each_time(people):
    ada, ben = people
    read = one_with(given("who", BigIntegerField()))
    found = together(
        {"first": Prepared(read, {"who": ada.pk}), "second": Prepared(read, {"who": ben.pk})}
    )
    assert [found["first"][0]["pk"], found["second"][0]["pk"]] == [ada.pk, ben.pk]
    assert together({"third": Prepared(read, {"who": 0})}) == {"third": []}


def test_a_prepared_read_is_written_once(people, monkeypatch):
    read = one_with(given("who", BigIntegerField()))
    together({"one": Prepared(read, {"who": 1})})
    monkeypatch.setattr(type(read.query), "get_compiler", None)
    ada = people[0]
    assert together({"one": Prepared(read, {"who": ada.pk})})["one"][0]["pk"] == ada.pk


def test_moments_and_words_mean_in_a_place_what_they_mean_elsewhere(people):
    ada = people[0]
    User.objects.filter(pk=ada.pk).update(groups_read_at=NOW, name="O'Hara %s")
    Membership.objects.create(user=ada, group='a "quoted" %s group')
    until = User.objects.filter(groups_read_at__lte=given("at", DateTimeField()))
    named = User.objects.filter(
        memberships__group=given("group", CharField()), name=given("name", CharField())
    )

    def count(at):
        found = together({"found": Prepared(until.values("pk", "groups_read_at"), {"at": at})})
        return found["found"]

    assert {"pk": ada.pk, "groups_read_at": NOW} in count(NOW)
    assert ada.pk not in {row["pk"] for row in count(NOW - timedelta(microseconds=1))}
    values = {"group": 'a "quoted" %s group', "name": "O'Hara %s"}
    assert together({"found": Prepared(named.values("pk"), values)}) == {"found": [{"pk": ada.pk}]}


def test_a_place_without_a_value_is_an_error_and_no_empty_list(people):
    with pytest.raises(KeyError, match="who"):
        together({"one": Prepared(one_with(given("who", BigIntegerField())), {})})


@pytest.mark.django_db(transaction=True)
def test_threads_share_a_prepared_read(people):
    ids = [person.pk for person in people] * 20

    def ask(pk):
        try:
            return together({"one": Prepared(read, {"who": pk})})["one"][0]["pk"]
        finally:
            connection.close()

    read = one_with(given("who", BigIntegerField()))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, ids)) == ids
