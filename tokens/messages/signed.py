"""The signed shape: JSON for machines, signed as the Standard Webhooks specification says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from accounts.models import StandIn
from tokens.destinations import Destination
from tokens.messages.sending import Bundle
from tokens.messages.wording import about, words_of
from tokens.models import AccessRequest, Comment, Credential, Notification


def headers(
    destination: Destination, bundle: Bundle, body: bytes, *, now: datetime
) -> dict[str, str]:
    """Id, time of this try, and a signature by each secret. The id is the same at every try."""
    number, at = f"msg_{bundle.id.hex}", str(int(now.timestamp()))
    signed = b".".join([number.encode(), at.encode(), body])
    signatures = [
        base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        for secret in destination.secrets
    ]
    return {
        "webhook-id": number,
        "webhook-timestamp": at,
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }


def body(bundle: Bundle) -> bytes:
    """One event: its type, when it happened, and who, what, how long, by when, with a link."""
    (row,) = bundle.rows
    words = words_of(row)
    said = {"text": " ".join([f"{words.subject}.", *words.lines]), "link": words.link}
    payload = {
        "type": row.kind,
        "timestamp": row.created_at.isoformat(),
        "data": {**_facts(row), **said},
    }
    return json.dumps(payload, default=_plain).encode()


def _facts(row: Notification) -> dict[str, Any]:
    found = about(row)
    assert not isinstance(found, Comment | StandIn)  # destinations are not told of them
    return _of_request(found) if isinstance(found, AccessRequest) else _of_access(found)


def _of_request(row: AccessRequest) -> dict[str, Any]:
    return {
        "request": row.pk, "who": str(row.requester), "access": str(row.profile_version),
        "helpdesk": row.profile.helpdesk.name, "script": row.script_name,
        "scopes": row.granted_scopes or row.scopes, "days": row.granted_days or row.days,
        "state": row.state, "is_renewal": row.is_renewal, "decide_by": row.decide_by,
    }  # fmt: skip


def _of_access(row: Credential) -> dict[str, Any]:
    return {
        "credential": row.pk, "who": str(row.owner), "access": str(row.profile_version),
        "helpdesk": row.helpdesk.name, "script": row.script_name, "scopes": row.scopes,
        "days": row.days, "state": row.state, "connect_by": row.connect_by,
        "lives_until": row.lives_until,
    }  # fmt: skip


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    assert isinstance(value, frozenset)
    return sorted(value)
