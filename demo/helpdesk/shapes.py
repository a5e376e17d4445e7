"""How users, tokens and tickets look in the API: Zendesk's field names and date format."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest

from demo.helpdesk.models import Comment, HelpdeskUser, OAuthClient, Ticket, Token

BRAND_ID = 360003000001
_BASE = "demo_helpdesk.base"
ANONYMOUS = {
    "id": None,
    "url": None,
    "name": "Anonymous user",
    "email": "invalid@example.com",
    "role": "end-user",
    "verified": False,
    "active": True,
}


def date(moment: datetime | None) -> str | None:
    """A moment as Zendesk writes it: UTC, whole seconds, a trailing Z."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def url(request: HttpRequest, path: str) -> str:
    """The full address of an object of the API."""
    if _BASE not in request.META:
        request.META[_BASE] = request.build_absolute_uri("/api/v2/")
    return f"{request.META[_BASE]}{path}.json"


def user(request: HttpRequest, row: HelpdeskUser) -> dict[str, Any]:
    """A user."""
    return {
        "id": row.id,
        "url": url(request, f"users/{row.id}"),
        "name": row.name,
        "email": row.email,
        "external_id": row.external_id,
        "role": row.role,
        "role_type": row.role_type,
        "custom_role_id": None,
        "active": row.active,
        "suspended": row.suspended,
        "verified": row.is_email_verified,
        "restricted_agent": row.is_light_agent,
        "ticket_restriction": None if row.is_staff else "requested",
        "two_factor_auth_enabled": row.is_staff,
        "time_zone": "Amsterdam",
        "iana_time_zone": "Europe/Amsterdam",
        "locale": "en-US",
        "organization_id": None,
        "tags": [],
        "user_fields": {},
        "last_login_at": date(row.last_login_at),
        "created_at": date(row.created_at),
        "updated_at": date(row.updated_at),
    }


def identity(request: HttpRequest, row: HelpdeskUser) -> dict[str, Any]:
    """A user's primary address as an identity; its id is derived from the user's."""
    number = row.id + 5_000_000
    return {
        "id": number,
        "url": url(request, f"users/{row.id}/identities/{number}"),
        "user_id": row.id,
        "type": "email",
        "value": row.email,
        "verified": row.is_email_verified,
        "primary": True,
        "created_at": date(row.created_at),
        "updated_at": date(row.updated_at),
    }


def client(request: HttpRequest, row: OAuthClient) -> dict[str, Any]:
    """An OAuth client; the secret is never shown again."""
    return {
        "id": row.id,
        "url": url(request, f"oauth/clients/{row.id}"),
        "identifier": row.identifier,
        "name": row.name,
        "kind": "confidential",
        "user_id": row.owner_id,
        "redirect_uri": [row.redirect_uri] if row.redirect_uri else [],
        "created_at": date(row.created_at),
        "updated_at": date(row.created_at),
    }


def token(request: HttpRequest, row: Token) -> dict[str, Any]:
    """A token: of its secret only the first ten characters, which are nearly the same for all."""
    return {
        "id": row.id,
        "url": url(request, f"oauth/tokens/{row.id}"),
        "client_id": row.client_id,
        "user_id": row.user_id,
        "scopes": row.scopes,
        "token": row.hint,
        "created_at": date(row.created_at),
        "expires_at": date(row.expires_at),
        "refresh_token_expires_at": date(row.refresh_expires_at),
        "used_at": date(row.used_at),
    }


def ticket(request: HttpRequest, row: Ticket) -> dict[str, Any]:
    """A ticket."""
    return {
        "id": row.id,
        "url": url(request, f"tickets/{row.id}"),
        "external_id": None,
        "subject": row.subject,
        "raw_subject": row.subject,
        "description": row.description,
        "status": row.status,
        "priority": row.priority,
        "type": row.kind,
        "tags": row.tags,
        "requester_id": row.requester_id,
        "submitter_id": row.requester_id,
        "assignee_id": row.assignee_id,
        "organization_id": None,
        "group_id": row.group_id,
        "brand_id": BRAND_ID,
        "recipient": None,
        "collaborator_ids": [],
        "follower_ids": [],
        "email_cc_ids": [],
        "sharing_agreement_ids": [],
        "custom_fields": [],
        "fields": [],
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": None,
        "satisfaction_rating": {"score": "unoffered"},
        "via": _VIA_EMAIL,
        "created_at": date(row.created_at),
        "updated_at": date(row.updated_at),
    }


def comment(row: Comment) -> dict[str, Any]:
    """A comment on a ticket."""
    return {
        "id": row.id,
        "type": "Comment",
        "author_id": row.author_id,
        "body": row.body,
        "plain_body": row.body,
        "html_body": "",
        "public": row.public,
        "attachments": [],
        "audit_id": row.id,
        "via": _VIA_EMAIL,
        "metadata": {},
        "created_at": date(row.created_at),
    }


_VIA_EMAIL = {"channel": "email", "source": {"from": {}, "to": {}, "rel": None}}
