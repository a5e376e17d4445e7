"""The rows about people: users, the groups they came with, who stands in for whom, and the append-only audit."""

from datetime import datetime, timedelta
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower, Now


class UserManager(BaseUserManager["User"]):
    """Users are made by sign-in alone; see accounts/operations.py."""


class User(AbstractBaseUser):
    """One person: an issuer and a subject. An e-mail address is what they are written to, never who they are."""

    identity = models.CharField(max_length=64, unique=True)
    """SHA-256, in hex, of issuer, NUL, subject: what makes two sign-ins the same person."""
    issuer = models.URLField(max_length=255)
    subject = models.CharField(max_length=255)
    email = models.EmailField(max_length=254, blank=True)
    email_verified = models.BooleanField(default=False)
    name = models.CharField(max_length=150)
    time_zone = models.CharField(max_length=64, blank=True)
    lead_name = models.CharField(max_length=255, blank=True, default="", db_default="")
    """Whom the identity provider named as this person's lead: a subject, or an address."""
    groups_read_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    deactivated_at = models.DateTimeField(null=True)

    objects = UserManager()

    known_groups: frozenset[str] | None = None
    """No column: the groups read for this instance, so that a request asks once; see accounts/roles.py."""
    known_absent: tuple["User", ...] | None = None
    """No column: for whom this person stands in now, read as the groups are; see accounts/absence.py."""
    known_to_lead: bool | None = None
    """No column: whether the identity provider names this person as somebody's lead; see accounts/leads.py."""
    known_leads: tuple["User", ...] | None = None
    """No column: this person's lead, or nobody, read once; see accounts/leads.py."""
    read_at: datetime | None = None
    """No column: the database's time when somebody signed in was read for a page; see accounts/clock.py."""

    USERNAME_FIELD = "identity"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["lead_name"], condition=~models.Q(lead_name=""), name="people_by_lead"
            ),
            models.Index(
                Lower("lead_name"),
                condition=~models.Q(lead_name=""),
                name="people_by_leads_address",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email or f"person {self.pk}"

    @property
    def is_active(self) -> bool:  # type: ignore[override]  # a column in Django, a fact here
        """Whether this person may sign in and act."""
        return self.deactivated_at is None


class Membership(models.Model):
    """One group the identity provider last said this person is in."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    group = models.CharField(max_length=255)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "group"], name="one_membership_per_group")
        ]
        indexes: ClassVar = [models.Index(fields=["group"], name="membership_by_group")]

    def __str__(self) -> str:
        return self.group


GROUPS_HOLD = timedelta(days=60)
"""How long what the identity provider said of somebody's groups counts while they are away."""


class StandInQuerySet(models.QuerySet["StandIn"]):
    """Rows with a question of their own."""

    def not_over(self) -> "StandInQuerySet":
        """Those that hold now or later, by the database's time."""
        return self.filter(ended_at=None, ends_at__gt=Now())

    def in_force(self) -> "StandInQuerySet":
        """Those that hold at this moment: not for somebody whose groups nobody has read for sixty days."""
        known = Now() - GROUPS_HOLD
        return self.not_over().filter(starts_at__lte=Now(), away__groups_read_at__gt=known)


class StandIn(models.Model):
    """Somebody is away for a time, and somebody else decides in their place."""

    away = models.ForeignKey(User, on_delete=models.PROTECT, related_name="stand_ins")
    instead = models.ForeignKey(User, on_delete=models.PROTECT, related_name="stands_in")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    """When its person was back, or named somebody else."""

    objects = StandInQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["away"], condition=models.Q(ended_at=None), name="one_stand_in_at_a_time"
            ),
            models.CheckConstraint(
                condition=~models.Q(away=models.F("instead")),
                name="nobody_stands_in_for_themselves",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instead} for {self.away}"

    @property
    def last_moment(self) -> datetime:
        """The last moment of it: it ends with a day, and people read that day."""
        return self.ends_at - timedelta(seconds=1)


class AuditEvent(models.Model):
    """What somebody did, written in the transaction that did it. Never changed, never deleted.

    Actor and target are text on purpose: the record outlives the rows it speaks of.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    event = models.CharField(max_length=64)
    actor = models.CharField(max_length=64)
    actor_name = models.CharField(max_length=150)
    target_type = models.CharField(max_length=32)
    target_id = models.CharField(max_length=32)
    request_id = models.CharField(max_length=36, blank=True)
    body = models.TextField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["target_type", "target_id", "id"], name="audit_by_target")
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.target_type} {self.target_id}"
