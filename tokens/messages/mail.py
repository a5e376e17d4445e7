"""Messages to people by mail, as text and HTML: one mail where several would go out."""

import smtplib
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from accounts.models import User
from tokens.destinations import MAIL
from tokens.messages.sending import Away, Bundle, Clock, Hopeless, Refused, Unmade
from tokens.messages.sending import send_due as send_from
from tokens.messages.wording import Words, words_of_all
from tokens.models import Notification, NotificationQuerySet

MOST_TOGETHER = 100
REFUSALS = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPNotSupportedError)
"""What a mail server says of one mail, or one address. Anything else it says is about itself."""


def send_due(*, clock: Clock, most: int = 200) -> int:
    """Try to send the mail whose time has come, at most `most` mails. Returns how many messages went out in them."""
    return send_from(place(), send=_send, clock=clock, together=MOST_TOGETHER, most=most)


def place() -> NotificationQuerySet:
    """Everything that goes by mail."""
    return Notification.objects.filter(destination=MAIL)


def _send(bundle: Bundle, now: datetime) -> None:
    person = bundle.rows[0].recipient
    if person is None or not person.is_active or not person.email:
        raise Hopeless(f"{person} has left, or has no address any more.")
    mail = _compose(bundle, person)
    try:
        mail.send()
    except ValueError as error:
        raise Unmade(_said(error)) from error
    except REFUSALS as error:
        raise Refused(_said(error)) from error
    except OSError as error:
        raise Away(_said(error)) from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _compose(bundle: Bundle, person: User) -> EmailMultiAlternatives:
    said = words_of_all(bundle.rows)
    context = {"said": said, "choose": f"{settings.PORTAL_URL}/messages"}
    host = urlsplit(settings.PORTAL_URL).hostname
    mail = EmailMultiAlternatives(
        _subject(said), render_to_string("mail/message.txt", context),
        settings.DEFAULT_FROM_EMAIL, [person.email],
        headers={"Message-ID": f"<{bundle.id}@{host}>", "Auto-Submitted": "auto-generated"},
    )  # fmt: skip
    mail.attach_alternative(render_to_string("mail/message.html", context), "text/html")
    return mail


def _subject(said: Sequence[Words]) -> str:
    more = len(said) - 1
    if not more:
        return said[0].subject
    return f"{said[0].subject}, and {more} more message{'s' if more > 1 else ''}"
