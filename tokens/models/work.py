"""What is to be done and what was looked at: jobs, inventories, heartbeats."""

from typing import ClassVar

from django.db import models

from accounts.models import User
from tokens.models.catalogue import Helpdesk
from tokens.models.fields import WordsField


class Job(models.Model):
    """One thing workers owe. Written with the change that wants it, closed when it is done."""

    class Kind(models.TextChoices):
        CLOSE = "close", "Make sure a token is gone"
        CONFIRM = "confirm", "Confirm that access has ended"
        EXCHANGE = "exchange", "Take the token the consent gave"
        REFRESH = "refresh", "Refresh a token"
        LINK = "link", "Find a person on the helpdesk"
        INVENTORY = "inventory", "List all tokens"

    helpdesk = models.ForeignKey(Helpdesk, on_delete=models.PROTECT, related_name="jobs")
    kind = models.CharField(max_length=12, choices=Kind)
    target_id = models.BigIntegerField()
    key = models.CharField(max_length=90)
    urgency = models.PositiveSmallIntegerField()
    not_before = models.DateTimeField()
    created_at = models.DateTimeField()
    orders = models.PositiveIntegerField(default=1)
    """How often it was asked for: one asked for again while it runs is run again."""
    claimed_by = models.CharField(max_length=80, blank=True)
    claimed_until = models.DateTimeField(null=True)
    tries = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    error_at = models.DateTimeField(null=True)
    parked_because = models.CharField(max_length=300, blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(done_at__isnull=True), name="one_open_job"
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["helpdesk", "urgency", "not_before", "id"],
                condition=models.Q(done_at__isnull=True),
                name="jobs_due",
            ),
            models.Index(fields=["kind", "target_id"], name="jobs_by_target"),
        ]

    def __str__(self) -> str:
        return self.key


class InventoryRun(models.Model):
    """One reading of the list of all tokens of Keydesk's client. It counts only if complete."""

    helpdesk = models.ForeignKey(Helpdesk, on_delete=models.PROTECT, related_name="inventories")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    is_complete = models.BooleanField(default=False)
    token_count = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    held_back = models.PositiveIntegerField(default=0, db_default=0)
    """How many findings were too many to act on without a person's word."""
    confirmed_at = models.DateTimeField(null=True)
    """When an admin said that what this list shows is right, and may be acted on."""
    confirmed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["helpdesk", "-started_at"], name="inventories_by_time")
        ]

    def __str__(self) -> str:
        return f"inventory {self.pk}"


class SeenToken(models.Model):
    """One token as the lists showed it: since when, and until which reading."""

    helpdesk = models.ForeignKey(Helpdesk, on_delete=models.PROTECT, related_name="seen_tokens")
    remote_id = models.BigIntegerField()
    remote_user_id = models.BigIntegerField(null=True)
    scopes = WordsField()
    expires_at = models.DateTimeField(null=True)
    refresh_expires_at = models.DateTimeField(null=True)
    first_run = models.ForeignKey(InventoryRun, on_delete=models.PROTECT, related_name="+")
    last_run = models.ForeignKey(InventoryRun, on_delete=models.PROTECT, related_name="seen")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["helpdesk", "remote_id"], name="one_row_per_seen_token")
        ]

    def __str__(self) -> str:
        return f"token {self.remote_id}"


class Heartbeat(models.Model):
    """When a kind of process last showed that it lives."""

    name = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
