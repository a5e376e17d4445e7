"""Asking about a request and answering, while it waits."""

from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.models import User
from accounts.roles import fresh
from tokens import notifications, permissions
from tokens.models import AccessRequest, Comment
from tokens.models.requests import submission_key
from tokens.refusals import Invalid, insist

MOST = 20
"""Comments of one person on one request: each is a mail to others."""


def write(
    *, access_request: AccessRequest, words: str, by: User, key: str, now: datetime
) -> Comment:
    """Ask or answer; the other side hears of it. The same `key` by the same person is the same comment.

    Raises `Denied`, and `Invalid` after so many.
    """
    insist(permissions.may_comment(fresh(by), access_request))
    if access_request.comments.filter(author=by).count() >= MOST:
        raise Invalid(f"You have written {MOST} times about this request. Talk to each other.")
    with transaction.atomic():
        comment, is_new = Comment.objects.get_or_create(
            submission_key=submission_key(by, key),
            defaults={"access_request": access_request, "author": by, "words": words, "at": now},
        )
        if is_new:
            audit.record("request.commented", by=by, target=access_request, now=now, reason=words)
            notifications.request_commented(comment, now=now)
    return comment
