"""Who asked for what, and who decided how."""

import hashlib
from typing import ClassVar

from django.db import models
from django.db.models.functions import Lower

from accounts.models import User
from tokens.models.catalogue import AccessProfile, ProfileVersion
from tokens.models.fields import WordsField
from tokens.models.people import HelpdeskUser
from tokens.states import RequestState


def submission_key(by: User, key: str) -> str:
    """What a row keeps of a page's `key`, so that the same one sent twice by one person is one row."""
    return hashlib.sha256(f"{by.pk}:{key}".encode()).hexdigest()


class RunsWhere(models.TextChoices):
    """Where a script runs: picks the recipe on the key page."""

    SERVER = "server", "Cron or a server"
    GITHUB_ACTIONS = "github_actions", "GitHub Actions"
    POSTMAN = "postman", "Postman"
    N8N = "n8n", "n8n or Make"
    POWER_AUTOMATE = "power_automate", "Power Automate"
    APPS_SCRIPT = "apps_script", "Google Apps Script"
    BY_HAND = "by_hand", "By hand, on my computer"


class Rhythm(models.TextChoices):
    """How often a script says it will run."""

    UNSAID = "", "I cannot say"
    HOURLY = "hourly", "Every hour or more often"
    DAILY = "daily", "Every day"
    WEEKLY = "weekly", "Every week"
    MONTHLY = "monthly", "Every month"
    ONCE = "once", "Once"


class ScriptFacts(models.Model):
    """What a request and the credential that comes of it both say about the script."""

    script_name = models.CharField(max_length=60)
    runs_where = models.CharField(max_length=20, choices=RunsWhere)
    rhythm = models.CharField(max_length=10, choices=Rhythm, blank=True)
    deputy = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    scopes = WordsField()

    class Meta:
        abstract = True


class AccessRequest(ScriptFacts):
    """One wish for access. `revision` counts what was shown; what is approved is the revision seen."""

    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="access_requests")
    acts_as = models.ForeignKey(HelpdeskUser, on_delete=models.PROTECT, related_name="+")
    profile = models.ForeignKey(AccessProfile, on_delete=models.PROTECT, related_name="+")
    profile_version = models.ForeignKey(ProfileVersion, on_delete=models.PROTECT, related_name="+")
    approver_group = models.CharField(max_length=255, default="", db_default="")
    """Copied from the version, so that the queue of a group is read along an index, however much waits.

    Empty where a web process of before this column made the row, until the next sweep.
    """
    lead = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="requests_to_lead"
    )
    """The requester's lead when it was asked, where the profile lets leads decide."""
    escalate_at = models.DateTimeField(null=True)
    """When others are told that nobody has decided yet; None where nobody is, or they were."""
    escalated_to = models.CharField(max_length=255, default="", db_default="", blank=True)
    """The group that may decide as well since then."""
    credential = models.ForeignKey(
        "Credential", null=True, on_delete=models.PROTECT, related_name="access_requests"
    )
    """None for new access until ordered; set from the start for a renewal."""
    is_renewal = models.BooleanField(default=False)
    days = models.PositiveIntegerField()
    purpose = models.CharField(max_length=500)
    ticket_url = models.URLField(max_length=500, blank=True)
    submission_key = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=12, choices=[(s.value, s.value) for s in RequestState])
    revision = models.PositiveIntegerField(default=1)
    approvals = models.PositiveSmallIntegerField(default=0)
    granted_scopes = WordsField(null=True)
    granted_days = models.PositiveIntegerField(null=True)
    submitted_at = models.DateTimeField()
    revised_at = models.DateTimeField()
    decide_by = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "requester",
                "profile",
                Lower("script_name"),
                condition=models.Q(state=RequestState.PENDING),
                name="one_open_request_per_script",
            ),
            models.CheckConstraint(condition=models.Q(days__gte=1), name="a_request_lasts"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["decide_by", "id"],
                condition=models.Q(state=RequestState.PENDING),
                name="requests_to_decide",
            ),
            models.Index(
                fields=["approver_group", "decide_by", "id"],
                condition=models.Q(state=RequestState.PENDING),
                name="requests_a_group_decides",
            ),
            models.Index(
                fields=["-ended_at", "-id"],
                condition=models.Q(ended_at__isnull=False),
                name="requests_decided",
            ),
            models.Index(
                fields=["approver_group", "-ended_at", "-id"],
                condition=models.Q(ended_at__isnull=False),
                name="requests_a_group_decided",
            ),
            models.Index(
                fields=["lead", "decide_by", "id"],
                condition=models.Q(state=RequestState.PENDING, lead__isnull=False),
                name="requests_a_lead_decides",
            ),
            models.Index(
                fields=["lead", "-ended_at", "-id"],
                condition=models.Q(ended_at__isnull=False, lead__isnull=False),
                name="requests_a_lead_decided",
            ),
            models.Index(
                fields=["escalated_to", "decide_by", "id"],
                condition=models.Q(state=RequestState.PENDING) & ~models.Q(escalated_to=""),
                name="requests_escalated",
            ),
            models.Index(
                fields=["escalated_to", "-ended_at", "-id"],
                condition=models.Q(ended_at__isnull=False) & ~models.Q(escalated_to=""),
                name="requests_escalated_decided",
            ),
            models.Index(
                fields=["escalate_at"],
                condition=models.Q(state=RequestState.PENDING, escalate_at__isnull=False),
                name="requests_to_escalate",
            ),
            models.Index(fields=["requester", "-id"], name="requests_of_a_person"),
        ]

    def __str__(self) -> str:
        return self.script_name


class Decision(models.Model):
    """One answer to one revision of a request, by an approver, or by policy (no approver)."""

    class Verdict(models.TextChoices):
        APPROVE = "approve", "approved"
        DENY = "deny", "denied"

    access_request = models.ForeignKey(
        AccessRequest, on_delete=models.PROTECT, related_name="decisions"
    )
    revision = models.PositiveIntegerField()
    approver = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    """Copied from the request, so that the database itself refuses self-approval."""
    stands_in_for = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    """In whose place the approver decided; None by own right."""
    verdict = models.CharField(max_length=8, choices=Verdict)
    scopes = WordsField()
    days = models.PositiveIntegerField()
    reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["access_request", "revision", "approver"],
                name="one_decision_per_approver",
            ),
            models.UniqueConstraint(
                fields=["access_request", "revision"],
                condition=models.Q(approver__isnull=True),
                name="one_decision_by_policy",
            ),
            models.UniqueConstraint(
                fields=["access_request", "revision", "stands_in_for"],
                name="one_decision_in_a_place",
            ),
            models.CheckConstraint(
                condition=models.Q(approver__isnull=True)
                | ~models.Q(approver=models.F("requester")),
                name="nobody_decides_their_own",
            ),
            models.CheckConstraint(
                condition=models.Q(stands_in_for__isnull=True)
                | ~models.Q(stands_in_for=models.F("requester")),
                name="nobody_has_their_own_decided",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.approver or 'policy'}"


class Comment(models.Model):
    """A question about a request that waits, or its answer. Never changed."""

    access_request = models.ForeignKey(
        AccessRequest, on_delete=models.PROTECT, related_name="comments"
    )
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    words = models.CharField(max_length=500)
    submission_key = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["access_request", "-id"], name="comments_on_a_request")
        ]

    def __str__(self) -> str:
        return self.words
