"""How long from a click on *End this access* until the token is dead on the helpdesk, behind ten thousand due jobs."""

import random
import statistics
import time
from pathlib import Path

import requests

from bench.stage import CLICKED, Stage, moment, now, staged, text, until
from tests.story import Actor

PER_MINUTE = 2500
CLICKS = 12


def over(folder: Path) -> dict[str, float]:
    """Milliseconds beyond one round trip and one slot: the median and the worst of the clicks.

    Raises `AssertionError` when a token does not die, or when the queue ran empty meanwhile.
    """
    with staged(folder, per_minute=PER_MINUTE) as stage:
        stage.fill(due_in=86_400, jobs=True)
        stage.stack.start_portal()
        ada = Actor(stage.stack.address("portal"), "ada").sign_in()
        began = now()
        until(lambda: stage.served(since=began, until=now()) > 100, seconds=60)
        times = [_click(stage, ada, number) for number in range(1, CLICKS + 1)]
        trip = statistics.median(_round_trip(stage) for _ in range(10))
        left = stage.portal("select count(*) from tokens_job where done_at is null")[0][0]
    assert left > CLICKS, "The queue ran empty, so nothing was overtaken."
    spare = trip + stage.slot
    print(
        f"  clicks {', '.join(f'{one * 1000:.0f}' for one in times)} ms; round trip "
        f"{trip * 1000:.0f} ms, slot {stage.slot * 1000:.0f} ms, {left} jobs left",
        flush=True,
    )
    beyond = [(one - spare) * 1000 for one in times]
    return {"revoke_click": statistics.median(beyond), "revoke_click_worst": max(beyond)}


def _click(stage: Stage, ada: Actor, credential: int) -> float:
    """Seconds from the click to the token's death in the helpdesk's log."""
    assert credential <= CLICKED
    ada.open(f"/credentials/{credential}/revoke")
    time.sleep(random.uniform(0.2, 1.2))
    clicked = now()
    ada.press("End this access")
    question = "select at from demo_helpdesk_event where kind = 'token.deleted' and token_id = ? and at > ?"
    until(lambda: bool(stage.helpdesk(question, credential, text(clicked))), seconds=30)
    died = moment(stage.helpdesk(question, credential, text(clicked))[0][0])
    return (died - clicked).total_seconds()


def _round_trip(stage: Stage) -> float:
    began = time.monotonic()
    address = f"{stage.stack.address('production helpdesk')}/api/v2/oauth/tokens/current"
    requests.get(address, headers={"Authorization": "Bearer nobody"}, timeout=20)
    return time.monotonic() - began
