"""Which mails did Keydesk send? Newest first, and one mail in full; read from the Maildir each time."""

import mailbox
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from demo.identity_provider.configuration import configuration

MOST = 200
"""Mails on one page; a demo seldom has more."""


@dataclass(frozen=True)
class Mail:
    """One mail as it is shown."""

    key: str
    sender: str
    to: str
    subject: str
    sent_at: datetime
    text: str


def _mailbox() -> mailbox.Maildir:
    return mailbox.Maildir(configuration().mail_folder, create=True)


def _mail(box: mailbox.Maildir, key: str) -> Mail:
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(box.get_bytes(key))
    body = message.get_body(preferencelist=("plain", "html"))
    return Mail(
        key=key,
        sender=str(message["From"] or ""),
        to=str(message["To"] or ""),
        subject=str(message["Subject"] or "(no subject)"),
        sent_at=_sent_at(message),
        text=str(body.get_content()) if body else "",
    )


def _sent_at(message: EmailMessage) -> datetime:
    try:
        return parsedate_to_datetime(str(message["Date"])).astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


@require_GET
def mails(request: HttpRequest) -> HttpResponse:
    """The newest mails."""
    box = _mailbox()
    found = sorted((_mail(box, key) for key in box.keys()), key=lambda mail: mail.sent_at)  # noqa: SIM118
    return render(request, "mailbox/mails.html", {"mails": found[::-1][:MOST]})


@require_GET
def mail(request: HttpRequest, key: str) -> HttpResponse:
    """One mail; its addresses can be followed."""
    try:
        found = _mail(_mailbox(), key)
    except KeyError as error:
        raise Http404 from error
    return render(request, "mailbox/mail.html", {"mail": found})
