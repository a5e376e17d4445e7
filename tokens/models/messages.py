"""What people and other systems are told: one row per event and addressee, and how somebody wants their mail."""

from datetime import datetime
from typing import ClassVar

from django.db import models

from accounts.models import User
from tokens.destinations import kind_of

UNSENT = models.Q(sent_at=None, given_up_at=None)


def for_a_daily_mail(now: datetime) -> models.Q:
    """Unsent, and so far never tried: nothing else waits for a moment to come."""
    return UNSENT & models.Q(tries=0, not_before__gt=now)


class NotificationQuerySet(models.QuerySet["Notification"]):
    """Messages with a question of their own."""

    def unsent(self) -> "NotificationQuerySet":
        """Those still to be sent."""
        return self.filter(UNSENT)

    def for_a_daily_mail(self, now: datetime) -> "NotificationQuerySet":
        """Those that wait for somebody's daily mail."""
        return self.filter(for_a_daily_mail(now))


class Notification(models.Model):
    """One message about one event to one person, or to one destination of the settings; once for ever."""

    class Failure(models.TextChoices):
        """Why the last try failed."""

        AWAY = "away"
        """The place (the mail server, or the destination) does not answer as it should: it is left alone until the next try."""
        REFUSED = "refused"
        """It is this message that does not go, by the place's word or for an error of our own: no other one waits for it."""

    event = models.CharField(max_length=80)
    recipient = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    destination = models.CharField(max_length=40, blank=True, default="", db_default="")
    """Where it goes: a name in WEBHOOKS, for a row that is for no person; `destinations.MAIL`, for one that is."""
    channel = models.CharField(max_length=10, default="mail")
    """Read by nobody but the constraint below: `destination` says where it goes."""
    template = models.CharField(max_length=40)
    target_id = models.BigIntegerField()
    created_at = models.DateTimeField()
    not_before = models.DateTimeField()
    bundle = models.UUIDField(null=True)
    """The rows it went out with, or is tried again with, have the same; it is their one id outside."""
    tries = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    failure = models.CharField(
        max_length=10, choices=Failure, blank=True, default="", db_default=""
    )
    sent_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["event", "recipient", "channel"], name="one_message_per_event"
            ),
            models.UniqueConstraint(
                fields=["event", "destination"],
                condition=~models.Q(destination=""),
                name="one_message_per_destination",
            ),
            models.CheckConstraint(
                condition=models.Q(recipient__isnull=False, destination="")
                | models.Q(recipient__isnull=True) & ~models.Q(destination=""),
                name="a_message_has_one_addressee",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["not_before", "id"],
                condition=models.Q(sent_at__isnull=True),
                name="messages_to_send",
            ),
            models.Index(
                fields=["bundle"],
                condition=models.Q(sent_at__isnull=True, bundle__isnull=False),
                name="messages_tried",
            ),
        ]

    def __str__(self) -> str:
        return self.event

    @property
    def kind(self) -> str:
        """What happened, as destinations name it: the event without what it happened to."""
        return kind_of(self.event)


class MailChoice(models.Model):
    """How somebody wants their mail; who has no row is written to at once."""

    class How(models.TextChoices):
        AT_ONCE = "at_once", "At once, as it happens"
        DAILY = "daily", "One mail a day, at eight in the morning"

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="mail_choice")
    how = models.CharField(max_length=10, choices=How)

    def __str__(self) -> str:
        return f"{self.user}: {self.how}"
