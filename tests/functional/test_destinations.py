"""Real workers tell destinations by themselves: a living one at once, whatever the dead one beside it does."""

import base64
import hashlib
import hmac

import pytest
import requests

from tests.stack import running
from tests.story import Actor, until
from tests.unit.connector_server import answer, serving, silent

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("destinations")]
KEY = b"a key that both sides know of 32"


def test_workers_tell_the_living_and_operations_names_the_dead(tmp_path):
    with serving(answer(200)) as alive, serving(silent) as dead, serving(answer(200)) as chat:
        said = {
            "WEBHOOKS": "alive,dead,chat",
            "WEBHOOK_ALIVE_URL": f"{alive.url}/hook",
            "WEBHOOK_ALIVE_SECRET": f"whsec_{base64.b64encode(KEY).decode()}",
            "WEBHOOK_DEAD_URL": f"{dead.url}/T0-hidden",
            "WEBHOOK_DEAD_SHAPE": "slack",
            "WEBHOOK_CHAT_URL": chat.url,
            "WEBHOOK_CHAT_SHAPE": "teams",
        }
        with running(tmp_path, **said) as stack:
            portal = stack.address("portal")
            ada, omar = Actor(portal, "ada").sign_in(), Actor(portal, "omar").sign_in()
            asked = ada.ask("told-about", "production/read-tickets", days=30)
            until(lambda: alive.seen and chat.seen and dead.seen)
            mail = f"{stack.address('identity provider')}/mail/"
            until(lambda: "Ada Lindqvist asks for" in requests.get(mail, timeout=10).text)
            until(lambda: "dead is away." in omar.open("/operations").text)
            assert "T0-hidden" not in omar.answer.text
            logs = "".join(path.read_text() for path in stack.supervisor.logs.glob("*.log"))
    seen = alive.seen[0]
    signed = f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}.".encode()
    wanted = base64.b64encode(hmac.new(KEY, signed + seen.body, hashlib.sha256).digest()).decode()
    assert seen.headers["webhook-signature"] == f"v1,{wanted}"
    assert seen.json()["data"]["link"] == f"{portal}/requests/{asked}"
    assert chat.seen[0].json()["type"] == "message"
    assert len(alive.seen) == 1
    assert "T0-hidden" not in logs
    assert "Traceback" not in logs
