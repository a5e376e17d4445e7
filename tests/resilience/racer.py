"""One racer: an operating-system process that sends a prepared form at a moment it is told.

`python -m tests.resilience.racer`: a line of JSON in is a shot, a line out is what came of it. Each shot opens
a connection of its own, so that the two web processes share the racers between them.
"""

import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import requests


def fire(shot: dict[str, Any]) -> dict[str, Any]:
    """Connect, wait for the moment, send, follow where it leads; with the times of sending and answer."""
    with requests.Session() as session:
        session.trust_env = False
        session.cookies.update(shot["cookies"])
        home = urlsplit(shot["address"])
        session.get(f"{home.scheme}://{home.netloc}/healthz", timeout=30)
        time.sleep(max(0.0, shot["at"] - time.monotonic() - 0.002))
        while time.monotonic() < shot["at"]:
            pass
        sent = time.monotonic()
        answer = session.post(
            shot["address"], data=shot["fields"], headers=shot["headers"],
            auth=tuple(shot["auth"]) if shot["auth"] else None, timeout=60,
        )  # fmt: skip
        first = answer.history[0] if answer.history else answer
        answered = sent + first.elapsed.total_seconds()
    return {"status": answer.status_code, "html": answer.text, "sent": sent, "answered": answered}


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(fire(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
