"""What can be asked for: helpdesks, their scopes, and access profiles as immutable versions."""

from typing import ClassVar

from django.db import models

from accounts.models import User
from tokens.models.fields import WordsField


class Risk(models.TextChoices):
    """How much harm a scope can do in the wrong hands."""

    LOW = "low", "low"
    MEDIUM = "medium", "medium"
    HIGH = "high", "can write"
    WIDE = "wide", "wide"


RISKS = (Risk.LOW, Risk.MEDIUM, Risk.HIGH, Risk.WIDE)


RESTORED = "The database came back from a backup; an admin has to confirm the list of tokens."
"""Why a helpdesk is frozen that nobody froze."""


def who_is_refused(*, of_agents: bool) -> str:
    """Which of Keydesk's two clients, within a sentence."""
    return "the client that gets the agents' tokens" if of_agents else "Keydesk's own access"


class Helpdesk(models.Model):
    """One configured helpdesk and what workers have learned of it. Its address and ids are settings."""

    slug = models.SlugField(unique=True, max_length=40)
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=20)
    client_number = models.BigIntegerField(null=True)
    capabilities = models.JSONField(default=dict)
    """Name → "yes" or "no"; a name that is missing is unknown."""
    frozen_at = models.DateTimeField(null=True)
    frozen_reason = models.CharField(max_length=300, blank=True)
    restored_at = models.DateTimeField(null=True)
    """When the database came back from a backup, until an admin has confirmed a list begun since."""
    stopped_at = models.DateTimeField(null=True)
    stopped_reason = models.CharField(max_length=300, blank=True)
    is_agents_client_refused = models.BooleanField(default=False, db_default=False)
    """Whether it was the client that gets the agents' pairs that was refused, not our own access."""
    service_token = models.TextField(blank=True)
    """Sealed under the workers' ring."""
    service_token_expires_at = models.DateTimeField(null=True)
    service_turn_until = models.DateTimeField(null=True)
    proof_turn = models.BigIntegerField(null=True)
    """The credential that alone may exchange or refresh while its proof is by inventory."""
    proof_turn_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name

    @property
    def what_is_refused(self) -> str:
        """Which access the helpdesk refuses while the line is stopped, within a sentence."""
        return who_is_refused(of_agents=self.is_agents_client_refused)

    @property
    def is_frozen_as_restored(self) -> bool:
        """Whether its freeze ends with an admin's word on the list; one that an admin ordered does not."""
        return self.frozen_at is not None and self.frozen_reason == RESTORED


class RoleKind(models.TextChoices):
    """The kinds of role a helpdesk's user can have, the least first."""

    LIGHT_AGENT = "light agent"
    AGENT = "agent"
    ADMIN = "admin"


class Scope(models.Model):
    """One scope string the portal may ever ask for, in plain words. The closed table."""

    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=60)
    words = models.CharField(max_length=120)
    risk = models.CharField(max_length=10, choices=Risk)
    least_role = models.CharField(
        max_length=12,
        choices=RoleKind,
        default=RoleKind.LIGHT_AGENT,
        db_default=RoleKind.LIGHT_AGENT,
    )
    """The least kind of role in which it has any effect; a token never exceeds its user's role."""
    light_words = models.CharField(max_length=80, blank=True, default="", db_default="")
    """What is left of it in the hands of a light agent, where that is less."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "name"], name="one_row_per_scope")
        ]

    def __str__(self) -> str:
        return self.words


class AccessProfile(models.Model):
    """A kind of access people ask for, such as "Read tickets for reporting". Its terms are versions."""

    helpdesk = models.ForeignKey(Helpdesk, on_delete=models.PROTECT, related_name="profiles")
    slug = models.SlugField(max_length=60)
    current = models.OneToOneField(
        "ProfileVersion", null=True, on_delete=models.PROTECT, related_name="+"
    )
    proposed = models.OneToOneField(
        "ProfileVersion", null=True, on_delete=models.PROTECT, related_name="+"
    )
    """A version that widens the terms, until a second admin confirms it."""
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["helpdesk", "slug"], name="one_profile_per_slug")
        ]

    def __str__(self) -> str:
        return str(self.current) if self.current else self.slug


class ProfileVersion(models.Model):
    """The terms of a profile from one edit to the next. Never changed: a request keeps the one it was asked under."""

    profile = models.ForeignKey(AccessProfile, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=80)
    words = models.CharField(max_length=300)
    scopes = WordsField()
    risk = models.CharField(max_length=10, choices=Risk)
    longest_days = models.PositiveIntegerField()
    access_token_seconds = models.PositiveIntegerField()
    ask_groups = WordsField(blank=True)
    """Empty: everybody who has a user on the helpdesk."""
    approver_group = models.CharField(max_length=255)
    lead_decides = models.BooleanField(default=False, db_default=False)
    """Whether the requester's lead may decide too, and is asked first."""
    approvals_needed = models.PositiveSmallIntegerField()
    policy_days = models.PositiveIntegerField(default=0)
    """Requests of at most this many days are approved by themselves; 0: none."""
    editor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    """Who wrote this version; None: loaded from the catalogue file."""
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["profile", "number"], name="one_row_per_version"),
            models.CheckConstraint(
                condition=models.Q(approvals_needed__gte=1), name="somebody_approves"
            ),
        ]

    def __str__(self) -> str:
        return self.name
