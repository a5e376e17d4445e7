"""The only writer of the append-only event log, which tests and oracles read over the control."""

from datetime import datetime

from demo.helpdesk.models import Event, Token


def record(
    kind: str,
    *,
    at: datetime,
    token: Token | None = None,
    user_id: int | None = None,
    client: str = "",
    **detail: object,
) -> None:
    """Append one event. `at` is the helpdesk's time; user and client default to the token's."""
    if token is not None:
        user_id = token.user_id if user_id is None else user_id
        client = client or token.client.identifier
    Event.objects.create(
        at=at,
        kind=kind,
        token_id=token.id if token else None,
        user_id=user_id,
        client=client,
        detail=detail,
    )
