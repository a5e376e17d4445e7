"""What the demo helpdesk remembers: people, OAuth clients, codes, tokens, tickets and its event log."""

from datetime import datetime
from typing import ClassVar, Self

from django.db import models

END_USER, AGENT, ADMIN = "end-user", "agent", "admin"
LIGHT_AGENT_ROLE_TYPE, ADMIN_ROLE_TYPE = 1, 4


class Row(models.Model):
    """A row of the helpdesk's own database; the declaration is for the type checker."""

    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True


class HelpdeskUser(Row):
    """One user, in Zendesk's fields. Inactive means deleted."""

    id = models.BigIntegerField(primary_key=True)
    external_id = models.CharField(max_length=255, null=True, unique=True)
    name = models.CharField(max_length=255)
    email = models.EmailField(unique=True)
    is_email_verified = models.BooleanField(default=True)
    role = models.CharField(max_length=16, default=END_USER)
    role_type = models.IntegerField(null=True)
    active = models.BooleanField(default=True)
    suspended = models.BooleanField(default=False)
    last_login_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    @property
    def is_admin(self) -> bool:
        return self.role == ADMIN

    @property
    def is_light_agent(self) -> bool:
        return self.role == AGENT and self.role_type == LIGHT_AGENT_ROLE_TYPE

    @property
    def is_staff(self) -> bool:
        """Whether this user works here: an agent or an administrator, and not deleted."""
        return self.active and self.role in {AGENT, ADMIN}

    @property
    def may_sign_in(self) -> bool:
        return self.is_staff and not self.suspended

    @property
    def role_in_words(self) -> str:
        if self.is_light_agent:
            return "light agent"
        return {END_USER: "customer", AGENT: "agent", ADMIN: "administrator"}[self.role]


class OAuthClient(Row):
    """An OAuth client: for agents (code and refresh) or for service (client credentials)."""

    id = models.BigIntegerField(primary_key=True)
    identifier = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=255)
    secret_digest = models.CharField(max_length=64)
    redirect_uri = models.CharField(max_length=2000, blank=True)
    is_service = models.BooleanField(default=False)
    owner_id: int
    owner: models.ForeignKey[HelpdeskUser, HelpdeskUser] = models.ForeignKey(
        HelpdeskUser, on_delete=models.PROTECT
    )
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.identifier


class AuthorizationCode(Row):
    """What somebody allowed, until it is exchanged: once, and within the code's life."""

    id: int
    digest = models.CharField(max_length=64, unique=True)
    client_id: int
    client: models.ForeignKey[OAuthClient, OAuthClient] = models.ForeignKey(
        OAuthClient, on_delete=models.CASCADE
    )
    user_id: int
    user: models.ForeignKey[HelpdeskUser, HelpdeskUser] = models.ForeignKey(
        HelpdeskUser, on_delete=models.CASCADE
    )
    scopes = models.JSONField()
    redirect_uri = models.CharField(max_length=2000)
    challenge = models.CharField(max_length=128)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"code {self.id}"


class Token(Row):
    """An access half and, but for service access, a refresh half under one id.

    An `…ended_at` is when a half was killed; `removed_at` is when the row left list and show. A half
    without an expiry lives until it is killed. Ids are never given twice (SQLite AUTOINCREMENT).
    """

    id: int
    client_id: int
    client: models.ForeignKey[OAuthClient, OAuthClient] = models.ForeignKey(
        OAuthClient, on_delete=models.PROTECT
    )
    user_id: int
    user: models.ForeignKey[HelpdeskUser, HelpdeskUser] = models.ForeignKey(
        HelpdeskUser, on_delete=models.PROTECT
    )
    scopes = models.JSONField()
    access_digest = models.CharField(max_length=64, unique=True)
    refresh_digest = models.CharField(max_length=64, unique=True, null=True)
    hint = models.CharField(max_length=10)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    refresh_expires_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)
    access_ended_at = models.DateTimeField(null=True)
    refresh_ended_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)
    ended_because = models.CharField(max_length=40, blank=True)
    replaces_id: int | None
    replaces: models.ForeignKey["Token | None", "Token | None"] = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT
    )

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["client", "id"],
                condition=models.Q(removed_at=None),
                name="demo_helpdesk_token_listed",
            )
        ]

    def __str__(self) -> str:
        return f"token {self.id}"

    def access_state(self, now: datetime) -> str:
        """`live`, `expired` or `dead`."""
        return _state(self.access_ended_at, self.expires_at, now)

    def refresh_state(self, now: datetime) -> str:
        """`live`, `expired`, `dead`, or `none` where there is no refresh half."""
        if self.refresh_digest is None:
            return "none"
        return _state(self.refresh_ended_at, self.refresh_expires_at, now)


def _state(ended_at: datetime | None, expires_at: datetime | None, now: datetime) -> str:
    if ended_at is not None:
        return "dead"
    return "expired" if expires_at is not None and expires_at <= now else "live"


class Ticket(Row):
    """A ticket, in Zendesk's fields."""

    id: int
    subject = models.CharField(max_length=255)
    description = models.TextField()
    status = models.CharField(max_length=16)
    priority = models.CharField(max_length=16, null=True)
    kind = models.CharField(max_length=16)
    tags = models.JSONField()
    group_id = models.BigIntegerField()
    requester_id: int
    requester: models.ForeignKey[HelpdeskUser, HelpdeskUser] = models.ForeignKey(
        HelpdeskUser, on_delete=models.PROTECT, related_name="+"
    )
    assignee_id: int | None
    assignee: models.ForeignKey[HelpdeskUser | None, HelpdeskUser | None] = models.ForeignKey(
        HelpdeskUser, on_delete=models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"ticket {self.id}"


class Comment(Row):
    """One comment on a ticket; a private one is for agents."""

    id: int
    ticket_id: int
    ticket: models.ForeignKey[Ticket, Ticket] = models.ForeignKey(
        Ticket, on_delete=models.CASCADE, related_name="+"
    )
    author_id: int
    author: models.ForeignKey[HelpdeskUser, HelpdeskUser] = models.ForeignKey(
        HelpdeskUser, on_delete=models.PROTECT
    )
    body = models.TextField()
    public = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"comment {self.id}"


class Event(Row):
    """The append-only log. A database trigger refuses every update and delete."""

    id: int
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    token_id = models.BigIntegerField(null=True)
    user_id = models.BigIntegerField(null=True)
    client = models.CharField(max_length=255, blank=True)
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.id} {self.kind}"


class Fault(Row):
    """A fault ordered over the control: it befalls the next `times` requests that match."""

    id: int
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=255)
    grant_type = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=40)
    times = models.IntegerField()
    seconds = models.FloatField(null=True)

    def __str__(self) -> str:
        return f"{self.kind} on {self.method} {self.path}"


class WeatherSetting(Row):
    """The terms of the weather, one row; none of them is fair weather."""

    terms = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"weather {self.terms}"


class ClockSetting(Row):
    """The helpdesk's time, where one was set: no row is real time."""

    now = models.DateTimeField()
    is_running = models.BooleanField(default=False)
    set_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.now:%Y-%m-%d %H:%M:%S}"


class RateWindow(Row):
    """How many requests one minute of real time has served."""

    minute = models.BigIntegerField(primary_key=True)
    used = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"minute {self.minute}"
