"""Somebody who tries what is not theirs is refused in words, and leaves an audit row."""

from datetime import datetime, timedelta

import pytest
from django.http import HttpResponseRedirect

from accounts import oidc
from accounts.models import AuditEvent
from tests.sign_in import sign_in
from tests.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World()


def rows() -> list[str]:
    return [row.body for row in AuditEvent.objects.filter(event="person.refused")]


def test_deciding_ones_own_request_is_refused_and_recorded(world, client):
    ben = world.person("ben")
    row = world.ask(by="ben")
    sign_in(client, "ben")
    answer = client.post(f"/requests/{row.pk}/approve", {"revision": 1})
    assert answer.status_code == 403
    assert "You cannot decide your own request." in answer.content.decode()
    assert len(rows()) == 1
    assert f"POST /requests/{row.pk}/approve" in rows()[0]
    assert AuditEvent.objects.get(event="person.refused").actor == f"user:{ben.pk}"


@pytest.mark.parametrize("what", ["key", "secret", "replace", "token", "connect", "revoke"])
def test_a_form_sent_to_somebody_elses_access_is_a_404_and_recorded(world, client, what):
    credential = world.active()
    world.person("piotr")
    sign_in(client, "piotr")
    answer = client.post(f"/credentials/{credential.pk}/{what}")
    assert answer.status_code == 404
    assert f"/credentials/{credential.pk}/{what}" in rows()[0]
    credential.refresh_from_db()
    assert credential.state == "active"


def test_reading_what_is_not_there_leaves_no_row(world, client):
    world.person("piotr")
    sign_in(client, "piotr")
    assert client.get("/credentials/999999").status_code == 404
    assert rows() == []


def test_a_return_from_consent_without_a_session_keeps_no_code(client):
    answer = client.get("/helpdesks/production/callback?code=secret-code&state=some-state")
    assert answer.status_code == 302
    assert "secret-code" not in answer["Location"]
    assert "some-state" not in answer["Location"]


def test_a_page_that_follows_by_itself_is_no_activity(world, client):
    credential = world.active()
    sign_in(client, "ada")
    session = client.session
    quiet = (datetime.fromisoformat(session["seen_at"]) - timedelta(minutes=20)).isoformat()
    session["seen_at"] = quiet
    session.save()
    address = f"/credentials/{credential.pk}"
    assert client.get(address, headers={"HX-Request": "true"}).status_code == 200
    assert client.session["seen_at"] == quiet
    assert client.get(address).status_code == 200
    assert client.session["seen_at"] > quiet


def test_an_admin_with_old_groups_ends_nothing_before_they_are_read_and_an_owner_does(
    world, client, monkeypatch
):
    held = world.active()
    monkeypatch.setattr(oidc, "send", lambda *_, **__: HttpResponseRedirect("/away"))
    address = f"/credentials/{held.pk}/revoke"
    for key in ("omar", "ada"):
        person = sign_in(client, key)
        type(person).objects.filter(pk=person.pk).update(
            groups_read_at=person.groups_read_at - timedelta(hours=2)
        )
        found = [client.get(address), client.post(address, {"reason": "A drill."})]
        held.refresh_from_db()
        if key == "omar":
            assert [answer["Location"] for answer in found] == ["/away", "/away"]
            assert held.state == "active"
    assert found[0].status_code == 200
    assert held.state == "revoking"


def test_asking_and_amending_with_old_groups_reads_them_again_first(world, client, monkeypatch):
    row = world.ask()
    ada = sign_in(client, "ada")
    type(ada).objects.filter(pk=ada.pk).update(
        groups_read_at=ada.groups_read_at - timedelta(hours=2)
    )
    sent = []
    monkeypatch.setattr(
        oidc, "send", lambda _, **why: sent.append(why["purpose"]) or HttpResponseRedirect("/away")
    )
    for address in ("/requests/new", f"/requests/{row.pk}/amend"):
        assert client.get(address)["Location"] == "/away"
        assert client.post(address, {"days": "7"})["Location"] == "/away"
    assert sent == [oidc.Purpose.GROUPS] * 4
    row.refresh_from_db()
    assert row.revision == 1
