"""Sending messages to people: one at a time, each once; a dead mail server delays nothing."""

import logging
import random
import re
import smtplib
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import F, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.models import StandIn
from tokens.models import AccessRequest, Comment, Credential, Notification
from tokens.presenters.requests import again_path

logger = logging.getLogger(__name__)
HOLD = timedelta(seconds=120)
PAUSES = (30, 60, 300, 900, 3600)
ABOUT_REQUESTS = ("request_waits", "request_ended")
ABOUT_COMMENTS = ("request_commented",)
ABOUT_STAND_INS = ("stands_in",)
ENDED = {
    "approved": "was approved",
    "denied": "was denied",
    "lapsed": "timed out",
    "closed": "was closed",
}
SUBJECTS = {
    "request_waits": "{row.requester} asks for {row.profile_version}",
    "request_ended": "Your request for {row.script_name} {ended}",
    "request_commented": "{row.author} wrote about {row.access_request.script_name}",
    "stands_in": "You decide for {row.away} for a while",
    "connect_failed": "{row.script_name} could not be connected",
    "access_works": "{row.script_name} works: take your key",
    "access_lost": "{row.script_name} is disconnected",
    "access_ended": "{row.script_name} has ended",
    "ends_soon": "{row.script_name} ends soon",
}


def send_due(*, clock: Callable[[], datetime], most: int = 200) -> int:
    """Send the messages whose time has come. Returns how many went out.

    A message is held before it is sent, so that two senders do not send it twice; one whose sending
    is cut off by a crash is sent again, which is the lesser evil.
    """
    sent = 0
    for pk in _due(clock()).values_list("pk", flat=True)[:most]:
        now = clock()
        if _due(now).filter(pk=pk).order_by().update(not_before=now + HOLD, tries=F("tries") + 1):
            message = Notification.objects.select_related("recipient").get(pk=pk)
            sent += _send(message, now=now)
    return sent


def _due(now: datetime) -> QuerySet[Notification]:
    return Notification.objects.filter(sent_at=None, not_before__lte=now).order_by(
        "not_before", "id"
    )


def _send(message: Notification, *, now: datetime) -> int:
    try:
        _compose(message).send()
    except (OSError, ValueError, smtplib.SMTPException) as error:
        bound = PAUSES[min(message.tries, len(PAUSES)) - 1]
        pause = random.uniform(bound / 2, bound)  # noqa: S311 - jitter, no secret
        Notification.objects.filter(pk=message.pk).update(
            error=f"{type(error).__name__}: {error}"[:300],
            not_before=now + timedelta(seconds=pause),
        )
        logger.warning("Message %s was not sent: %s", message.pk, error)
        return 0
    Notification.objects.filter(pk=message.pk).update(sent_at=now, error="")
    return 1


def _compose(message: Notification) -> EmailMultiAlternatives:
    row = _about(message)
    zone = message.recipient.time_zone or settings.READERS_TIME_ZONE
    context = {"row": row, "person": message.recipient, "portal_url": settings.PORTAL_URL}
    if isinstance(row, AccessRequest):
        context["again_path"] = again_path(row)
    with timezone.override(zone):
        text = render_to_string(f"mail/{message.template}.txt", context)
    html = render_to_string("mail/message.html", {"paragraphs": _paragraphs(text)})
    ended = ENDED.get(row.state, "") if isinstance(row, AccessRequest) else ""
    subject = SUBJECTS[message.template].format(row=row, ended=ended)
    mail = EmailMultiAlternatives(
        " ".join(subject.split()), text, settings.DEFAULT_FROM_EMAIL, [message.recipient.email]
    )
    mail.attach_alternative(html, "text/html")
    return mail


def _paragraphs(text: str) -> list[SafeString]:
    """The text as paragraphs; only the portal's own addresses become links, never what people wrote."""
    ours = re.compile(rf"({re.escape(settings.PORTAL_URL)}/[\w/?=&.-]*)")
    found = []
    for paragraph in text.strip().split("\n\n"):
        parts = ours.split(paragraph)
        found.append(
            format_html_join(
                "",
                "{}",
                (
                    (
                        format_html('<a href="{}">{}</a>', part, part)
                        if ours.fullmatch(part)
                        else part,
                    )
                    for part in parts
                ),
            )
        )
    return found


def _about(message: Notification) -> AccessRequest | Comment | Credential | StandIn:
    if message.template in ABOUT_STAND_INS:
        return StandIn.objects.select_related("away", "instead").get(pk=message.target_id)
    if message.template in ABOUT_COMMENTS:
        return Comment.objects.select_related("author", "access_request").get(pk=message.target_id)
    if message.template in ABOUT_REQUESTS:
        return AccessRequest.objects.select_related(
            "requester", "profile_version", "profile__helpdesk"
        ).get(pk=message.target_id)
    return Credential.objects.select_related("owner", "helpdesk", "profile_version").get(
        pk=message.target_id
    )
