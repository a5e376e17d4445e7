"""Who somebody is on a helpdesk, as a worker found out."""

from datetime import datetime

from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import User
from tokens import outbox
from tokens.connectors.base import RemoteUser
from tokens.models import Helpdesk, HelpdeskLink, HelpdeskUser, Job


def order_links(*, user: User, now: datetime) -> None:
    """After a sign-in: let workers look the person up on every helpdesk."""
    with transaction.atomic():
        for helpdesk in Helpdesk.objects.all():
            outbox.order(Job.Kind.LINK, user.pk, helpdesk=helpdesk, now=now)


def link(
    *, user: User, helpdesk: Helpdesk, found: RemoteUser | None, matched_by: str, now: datetime
) -> HelpdeskLink:
    """Keep what a look-up found; the audit hears of it when it is another than before. A suspended, deleted, unknown or taken user is no link, and says why."""
    before = HelpdeskLink.objects.filter(user=user, helpdesk=helpdesk).first()
    with transaction.atomic():
        remote = note_user(helpdesk=helpdesk, found=found, now=now) if found else None
        facts = {"helpdesk_user": remote, "matched_by": matched_by, "looked_up_at": now}
        try:
            kept = _keep(user, helpdesk, {**facts, "problem": _problem(user, helpdesk, remote)})
        except IntegrityError:
            taken = f"Your user on {helpdesk} is linked to another person already. Ask an admin."
            kept = _keep(user, helpdesk, {**facts, "problem": taken})
        if before is None or _said(before) != _said(kept):
            audit.record(
                "person.looked_up", by=None, target=user, now=now, helpdesk=helpdesk.slug,
                remote_id=remote.remote_id if remote else None, problem=kept.problem,
            )  # fmt: skip
    return kept


def _keep(user: User, helpdesk: Helpdesk, facts: dict[str, object]) -> HelpdeskLink:
    with transaction.atomic():
        kept, _ = HelpdeskLink.objects.update_or_create(
            helpdesk=helpdesk, user=user, defaults=facts
        )
    return kept


def _said(link: HelpdeskLink) -> tuple[int | None, str]:
    return link.helpdesk_user_id, link.problem


def _problem(user: User, helpdesk: Helpdesk, remote: HelpdeskUser | None) -> str:
    if remote is None:
        return (
            f"You have no user on {helpdesk} with the address {user.email}, so there is nothing "
            "your scripts could act as. Ask your helpdesk admin for one, then sign in again."
        )
    if not remote.active or remote.suspended:
        return f"Your user on {helpdesk} is suspended or deleted. Ask your helpdesk admin."
    if remote.role not in ("agent", "admin"):
        return f"Your user on {helpdesk} is no agent, so it has no API access to give."
    return ""


def note_user(*, helpdesk: Helpdesk, found: RemoteUser, now: datetime) -> HelpdeskUser:
    """Keep what the helpdesk says about one of its users, and since when the role is another one."""
    role = (found.role, found.role_type, found.custom_role_id)
    before = HelpdeskUser.objects.filter(helpdesk=helpdesk, remote_id=found.id).first()
    changed_at = before.role_changed_at if before else None
    if before and role != (before.role, before.role_type, before.custom_role_id):
        changed_at = now
    row, _ = HelpdeskUser.objects.update_or_create(
        helpdesk=helpdesk, remote_id=found.id,
        defaults={
            "name": found.name, "email": found.email, "external_id": found.external_id,
            "role": found.role, "role_type": found.role_type,
            "custom_role_id": found.custom_role_id, "active": found.active,
            "suspended": found.suspended, "role_changed_at": changed_at, "seen_at": now,
        },
    )  # fmt: skip
    return row
