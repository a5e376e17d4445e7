"""The machines themselves: every state is reached, and is left or final; every action has an actor."""

import pytest

from tokens import states

MACHINES = {
    "request": (states.ACCESS_REQUEST, states.RequestState),
    "credential": (states.CREDENTIAL, states.CredentialState),
    "grant": (states.GRANT, states.GrantState),
}
FINAL = {
    "request": {"approved", "denied", "withdrawn", "closed", "lapsed"},
    "credential": {"revoked", "lapsed", "cancelled"},
    "grant": {"abandoned", "refused", "written_off", "replaced", "gone"},
}


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_is_reached(name):
    machine, all_states = MACHINES[name]
    reached, frontier = (
        set(),
        {target for move in machine if not move.sources for target in move.targets},
    )
    while frontier:
        reached |= frontier
        frontier = {
            target for move in machine if set(move.sources) & reached for target in move.targets
        } - reached
    assert reached == set(all_states)


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_is_left_or_final(name):
    machine, all_states = MACHINES[name]
    left = {source for move in machine for source in move.sources if set(move.targets) != {source}}
    assert set(all_states) - left == FINAL[name]


@pytest.mark.parametrize("name", MACHINES)
def test_every_action_is_listed_once_and_has_an_actor(name):
    machine, _ = MACHINES[name]
    assert all(move.by for move in machine)
    births = [move.action for move in machine if not move.sources]
    changes = [move.action for move in machine if move.sources]
    assert len(births) == len(set(births))
    pairs = [(move.action, source) for move in machine for source in move.sources]
    assert changes
    assert len(pairs) == len(set(pairs))
