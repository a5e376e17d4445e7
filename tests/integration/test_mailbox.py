"""Mail that is really sent over SMTP can be read on the demo's page, as text and nothing more."""

import smtplib
import subprocess
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from demo.identity_provider import process as identity_process
from demo.mailbox import process
from tests.integration.sign_in_helpers import free_port, wait_for
from tests.plain_browser import PlainBrowser

pytestmark = pytest.mark.processes


@pytest.fixture
def post(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """The port mail is received on, and the address it is read at."""
    smtp, web = free_port(), free_port()
    started = [
        subprocess.Popen(process.command(smtp, tmp_path / "mail"), env={"PATH": ""}),
        subprocess.Popen(
            identity_process.command(web),
            env=identity_process.environment(
                tmp_path / "idp", port=web, client_id="keydesk", client_secret="x",
                portal_url="http://127.0.0.1:1", mail_folder=tmp_path / "mail",
            ),
        ),
    ]  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{web}", started[1])
        yield smtp, f"http://127.0.0.1:{web}"
    finally:
        for one in started:
            one.terminate()
            one.wait(10)


def send(port: int, subject: str, text: str, date: str) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "Keydesk <keydesk@acme.test>", "ada@acme.test"
    message["Subject"], message["Date"] = subject, date
    message.set_content(text)
    for _ in range(100):
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=5) as smtp:
                smtp.send_message(message)
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("Nobody received the mail.")


def test_mail_is_received_and_read_newest_first(post: tuple[int, str]) -> None:
    port, address = post
    browser = PlainBrowser(address).open("/mail/")
    assert "No mail yet." in browser.text
    send(
        port,
        "Your access ends tomorrow",
        "Renew: http://127.0.0.1/x",
        "Mon, 23 Nov 2026 09:00:00 +0000",
    )
    send(
        port, "Gr\u00fc\u00dfe <b>", "<script>alert(1)</script>", "Mon, 23 Nov 2026 10:00:00 +0000"
    )
    browser.open("/mail/")
    assert browser.text.index("Gr\u00fc\u00dfe") < browser.text.index("Your access ends tomorrow")
    browser.follow("Your access ends tomorrow")
    assert ("http://127.0.0.1/x", "http://127.0.0.1/x") in browser.page.links
    browser.open("/mail/").follow("Gr\u00fc\u00dfe")
    assert "<script>" not in browser.answer.text
    assert "To ada@acme.test" in browser.text
    assert "Sent 23 Nov 2026, 11:00" in browser.text


def test_a_mail_that_is_not_there_is_a_404(post: tuple[int, str]) -> None:
    browser = PlainBrowser(post[1])
    for key in ("nothing", "..%2f..%2fetc%2fpasswd"):
        assert browser.open(f"/mail/{key}").answer.status_code == 404
