"""Whatever leads, stand-ins, groups and departures there are: who is named can decide, who is not cannot."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import clock
from accounts.models import Membership, StandIn, User
from accounts.roles import fresh
from accounts.together import together
from tests.world import World
from tokens import permissions, policies
from tokens.models import AccessRequest, ProfileVersion
from tokens.presenters.around import queue_reader
from tokens.queries import queue as queue_queries
from tokens.queries.people import asked_by, deciders
from tokens.queries.requests import links_to_decide
from tokens.refusals import Refusal

pytestmark = pytest.mark.django_db

CAST = ("ada", "ben", "june", "noor", "piotr", "omar")
GROUPS = ("helpdesk-leads", "security-reviewers", "keydesk-admins")

person = st.sampled_from(CAST)
step = st.one_of(
    st.tuples(st.just("stands in"), person, person),
    st.tuples(st.just("is back"), person),
    st.tuples(st.just("joins"), person, st.sampled_from(GROUPS)),
    st.tuples(st.just("leaves a group"), person, st.sampled_from(GROUPS)),
    st.tuples(st.just("leaves"), person),
    st.tuples(st.just("comes back"), person),
    st.tuples(st.just("is led by"), person, person),
    st.tuples(st.just("asks"), person),
    st.tuples(st.just("is passed on")),
    st.tuples(st.just("is approved by"), person),
)


def do(world: World, what: tuple[str, ...]) -> None:
    """One thing that happens."""
    name, *rest = what
    HAPPENS[name](world, *rest)


def stands_in(world: World, away: str, instead: str) -> None:
    now = clock.now()
    is_back(world, away)
    if away != instead:
        StandIn.objects.create(
            away=world.person(away), instead=world.person(instead), created_at=now,
            starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=1),
        )  # fmt: skip


def is_back(world: World, who: str) -> None:
    world.person(who).stand_ins.filter(ended_at=None).update(ended_at=clock.now())


def joins(world: World, who: str, group: str) -> None:
    Membership.objects.get_or_create(user=world.person(who), group=group)


def leaves_a_group(world: World, who: str, group: str) -> None:
    Membership.objects.filter(user=world.person(who), group=group).delete()


def leaves(_world: World, who: str) -> None:
    User.objects.filter(subject=who).update(deactivated_at=clock.now())


def comes_back(_world: World, who: str) -> None:
    User.objects.filter(subject=who).update(deactivated_at=None)


def is_led_by(_world: World, who: str, lead: str) -> None:
    User.objects.filter(subject=who).update(lead_name=lead)


def asks(world: World, who: str) -> None:
    world.people[who] = User.objects.get(subject=who)
    script = f"script-{world.clock().timestamp()}"
    with suppress(Refusal):  # who may not ask
        world.ask(by=who, profile="read-users", script_name=script)


def is_passed_on(_world: World) -> None:
    AccessRequest.objects.update(escalated_to="security-reviewers", escalate_at=None)


def approves(world: World, who: str) -> None:
    for row in AccessRequest.objects.filter(state="pending")[:2]:
        with suppress(Refusal):  # who may not decide, or has
            world.approve(row, by=who)


HAPPENS = {
    "stands in": stands_in, "is back": is_back, "joins": joins, "leaves a group": leaves_a_group,
    "leaves": leaves, "comes back": comes_back, "is led by": is_led_by, "asks": asks,
    "is passed on": is_passed_on, "is approved by": approves,
}  # fmt: skip


def may_decide(who: User, row: AccessRequest) -> bool:
    reader = fresh(who)
    return bool(
        permissions.may_decide(reader, row, links_to_decide(reader, row.acts_as.helpdesk_id))
    )


def is_unheard(who: User, row: AccessRequest) -> bool:
    """Not counted yet, neither themselves nor anybody in whose place they could decide."""
    said = list(row.decisions.values_list("approver_id", "stands_in_for_id"))
    reader, links = fresh(who), links_to_decide(fresh(who), row.acts_as.helpdesk_id)
    absent = permissions.in_place_of(reader, row, links, heard=policies.voices(said))
    return bool(policies.is_unheard(said, by=who.pk, absent=absent.pk if absent else None))


def check(world: World) -> None:
    people = [User.objects.get(subject=key) for key in CAST]
    now = clock.now()
    for row in AccessRequest.objects.filter(state="pending"):
        named = {one.pk for one in deciders(asked_by(row))} - {row.requester_id}
        able = {one.pk for one in people if may_decide(one, row)}
        assert named == able, f"named {named}, able {able}"
        for one in people:
            links = links_to_decide(fresh(one), row.acts_as.helpdesk_id)
            absent = permissions.in_place_of(fresh(one), row, links)
            assert absent is None or absent.pk != row.requester_id
    for one in people:
        waits = together({"waits": queue_queries.waiting(queue_reader(fresh(one)), now=now)})
        seen = {row["pk"] for row in waits["waits"]}
        wanted = {
            row.pk
            for row in AccessRequest.objects.filter(state="pending", decide_by__gt=now)
            if may_decide(one, row) and is_unheard(one, row)
        }
        assert wanted == seen, f"{one} could decide {wanted}, the queue shows {seen}"
        assert one.is_active or not wanted
    for row in AccessRequest.objects.all():
        for said in row.decisions.all():
            assert row.requester_id not in (said.approver_id, said.stands_in_for_id)
        voices = [
            v for d in row.decisions.all() for v in {d.approver_id, d.stands_in_for_id} - {None}
        ]
        assert len(voices) == len(set(voices)), "one voice was heard twice"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(step, min_size=4, max_size=14))
def test_who_is_named_can_decide_and_nobody_their_own(passed_on_to_reviewers, steps):
    with transaction.atomic():
        world = World(now=clock.now())
        ProfileVersion.objects.update(lead_decides=True, policy_days=0, approvals_needed=2)
        for key in CAST:
            world.person(key)
        for what in [("asks", "ada"), *steps]:
            do(world, what)
            check(world)
        transaction.set_rollback(True)


@pytest.fixture
def passed_on_to_reviewers(settings):
    settings.ESCALATE_TO_GROUP = "security-reviewers"
    settings.OIDC_MANAGER_CLAIM = "manager"
