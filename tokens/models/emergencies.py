"""The big red switch: everything of one person, one profile or one helpdesk is ended, however long it takes."""

from typing import ClassVar

from django.db import models

from accounts.models import User


class Emergency(models.Model):
    """One order to end all access of one subject. Closed when all that stood at its start is ended or ending."""

    class Kind(models.TextChoices):
        PERSON = "person", "Everything of one person"
        PROFILE = "profile", "Everything of one access profile"
        HELPDESK = "helpdesk", "Everything on one helpdesk"

    kind = models.CharField(max_length=10, choices=Kind)
    subject_id = models.BigIntegerField()
    reason = models.CharField(max_length=500)
    ordered_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    ordered_at = models.DateTimeField()
    newest_credential_id = models.BigIntegerField()
    """What was ordered later is none of its business."""
    total = models.PositiveIntegerField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "subject_id"],
                condition=models.Q(finished_at__isnull=True),
                name="one_open_emergency_per_subject",
            )
        ]

    def __str__(self) -> str:
        return f"emergency {self.pk}"
