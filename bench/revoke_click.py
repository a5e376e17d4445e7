"""How long from a click on *End this access* until the token is dead on the helpdesk, and until Keydesk knows that it is gone.

All behind ten thousand due jobs. *Dead* takes two requests, a look and the deletion, of which one round trip and one
slot are granted. *Gone* is what a look does not show any more, and a list of all tokens begun after the deletion
lacks: five requests besides the pages of that list, a hundred tokens each. They follow each other, so a round trip
and a slot are granted for every one of them, a page's round trip as the helpdesk's own log has it.
"""

import json
import math
import random
import statistics
import time
from datetime import datetime
from pathlib import Path

import requests

from bench.stage import CLICKED, ROWS, Stage, moment, now, staged, text, until
from tests.story import Actor

PER_MINUTE = 2500
CLICKS = 12
ALONE = 3
"""Clicks after these, each when the one before is gone: none waits for a list that was begun for another."""
BESIDE_PAGES = 5
"""Look, delete and look; and who we are, before the list and after it."""
PAGES = math.ceil((ROWS + CLICKED) / 100)
LIST = "/api/v2/oauth/tokens"


def over(folder: Path) -> dict[str, float]:
    """Milliseconds beyond the round trips and slots that are granted: until dead the median and the worst, until gone the median.

    Raises `AssertionError` when a token does not die or is not gone, or when the queue ran empty meanwhile.
    """
    with staged(folder, per_minute=PER_MINUTE) as stage:
        stage.fill(due_in=86_400, jobs=True)
        stage.stack.start_portal()
        ada = Actor(stage.stack.address("portal"), "ada").sign_in()
        began = now()
        until(lambda: stage.served(since=began, until=now()) > 100, seconds=60)
        clicks = range(1, CLICKS + 1)
        dead = [_until_dead(stage, number, _click(stage, ada, number)) for number in clicks]
        for number in clicks:
            _until_gone(stage, number, began)
        alone = range(CLICKS + 1, CLICKS + ALONE + 1)
        gone = [_until_gone(stage, number, _click(stage, ada, number)) for number in alone]
        trip = statistics.median(_round_trip(stage) for _ in range(10))
        page = trip + statistics.median(_pages_took(stage, began))
        left = stage.portal("select count(*) from tokens_job where done_at is null")[0][0]
    assert left > CLICKS, "The queue ran empty, so nothing was overtaken."
    granted = trip + stage.slot
    granted_gone = BESIDE_PAGES * granted + PAGES * (page + stage.slot)
    print(
        f"  dead after {_milliseconds(dead)} ms, gone after {_milliseconds(gone)} ms; round trip "
        f"{_milliseconds([trip])} ms, of a page {_milliseconds([page])} ms, slot "
        f"{_milliseconds([stage.slot])} ms; granted until gone {_milliseconds([granted_gone])} ms; {left} jobs left",
        flush=True,
    )
    return {
        "revoke_click": (statistics.median(dead) - granted) * 1000,
        "revoke_click_worst": (max(dead) - granted) * 1000,
        "revoke_click_gone": (statistics.median(gone) - granted_gone) * 1000,
    }


def _milliseconds(seconds: list[float]) -> str:
    return ", ".join(f"{one * 1000:.0f}" for one in seconds)


def _click(stage: Stage, ada: Actor, credential: int) -> datetime:
    """Press the button; the moment before."""
    assert credential <= CLICKED
    ada.open(f"/credentials/{credential}/revoke")
    time.sleep(random.uniform(0.2, 1.2))
    clicked = now()
    ada.press("End this access")
    return clicked


def _until_dead(stage: Stage, credential: int, clicked: datetime) -> float:
    """Seconds from the click to the token's death in the helpdesk's log."""
    question = "select at from demo_helpdesk_event where kind = 'token.deleted' and token_id = ? and at > ?"
    until(lambda: bool(stage.helpdesk(question, credential, text(clicked))), seconds=30)
    died = moment(stage.helpdesk(question, credential, text(clicked))[0][0])
    return (died - clicked).total_seconds()


def _until_gone(stage: Stage, credential: int, clicked: datetime) -> float:
    """Seconds from the click until the access stands as ended, which it does when its token is gone."""
    question = "select ended_at from tokens_credential where id = ? and state = 'revoked'"
    until(lambda: bool(stage.portal(question, credential)), seconds=120)
    ended = moment(stage.portal(question, credential)[0][0])
    return (ended - clicked).total_seconds()


def _round_trip(stage: Stage) -> float:
    began = time.monotonic()
    address = f"{stage.stack.address('production helpdesk')}{LIST}/current"
    requests.get(address, headers={"Authorization": "Bearer nobody"}, timeout=20)
    return time.monotonic() - began


def _pages_took(stage: Stage, since: datetime) -> list[float]:
    """Seconds each page of a list took the helpdesk itself."""
    rows = stage.helpdesk(
        "select at, detail from demo_helpdesk_event where kind = 'request.served'"
        " and at > ? and json_extract(detail, '$.path') = ?",
        text(since), LIST,
    )  # fmt: skip
    return [
        (moment(at) - moment(json.loads(detail)["arrived"])).total_seconds() for at, detail in rows
    ]
