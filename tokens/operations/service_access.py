"""Keydesk's own access to a helpdesk, shared by all workers; and the turns that only one of them has at a time."""

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from accounts import audit
from tokens.models import Helpdesk


def take_turn(*, helpdesk: Helpdesk, now: datetime) -> datetime | None:
    """Be the one who renews our own access, until the moment returned. None: somebody else does, or has since it was looked at.

    That it will be asked for is on record before it is: an answer that is lost leaves a token nobody has.
    """
    until = now + settings.CLAIM
    free = Q(service_turn_until=None) | Q(service_turn_until__lte=now)
    with transaction.atomic():
        mine = Helpdesk.objects.filter(free, pk=helpdesk.pk, service_token=helpdesk.service_token)
        if not mine.update(service_turn_until=until):
            return None
        audit.record("helpdesk.access_asked", by=None, target=helpdesk, now=now)
    return until


def end_turn(*, helpdesk: Helpdesk, until: datetime) -> None:
    """Let others have it; a turn that ran out and is another's by now stays his."""
    Helpdesk.objects.filter(pk=helpdesk.pk, service_turn_until=until).update(
        service_turn_until=None
    )


def keep(*, helpdesk: Helpdesk, sealed: str, expires_at: datetime, now: datetime) -> None:
    """Share a fresh service token, sealed under the workers' ring."""
    with transaction.atomic():
        Helpdesk.objects.filter(pk=helpdesk.pk).update(
            service_token=sealed, service_token_expires_at=expires_at
        )
        audit.record("helpdesk.access_renewed", by=None, target=helpdesk, now=now, until=expires_at)


def drop(*, helpdesk: Helpdesk, sealed: str) -> None:
    """Forget a service token that was refused, unless another worker has renewed it since."""
    Helpdesk.objects.filter(pk=helpdesk.pk, service_token=sealed).update(service_token="")


def note_client_number(*, helpdesk: Helpdesk, number: int) -> None:
    """Keep the numeric id of Keydesk's client, which never changes."""
    Helpdesk.objects.filter(pk=helpdesk.pk).update(client_number=number)
    helpdesk.client_number = number


# --- The turn to prove by list ---------------------------------------------------------------------------


def take_proof_turn(*, helpdesk: Helpdesk, credential_id: int, now: datetime) -> bool:
    """Be the only one who exchanges or refreshes on this helpdesk for a while."""
    free = Q(proof_turn=None) | Q(proof_turn=credential_id) | Q(proof_turn_until__lte=now)
    return bool(
        Helpdesk.objects.filter(free, pk=helpdesk.pk).update(
            proof_turn=credential_id, proof_turn_until=now + settings.CLAIM
        )
    )


def end_proof_turn(*, helpdesk: Helpdesk, credential_id: int) -> None:
    """Let the next one have the turn."""
    Helpdesk.objects.filter(pk=helpdesk.pk, proof_turn=credential_id).update(
        proof_turn=None, proof_turn_until=None
    )


def is_proof_turn_of_another(*, helpdesk: Helpdesk, credential_id: int, now: datetime) -> bool:
    """Whether somebody else holds the turn now."""
    held = Helpdesk.objects.filter(pk=helpdesk.pk, proof_turn_until__gt=now)
    return held.exclude(proof_turn=credential_id).exists()
