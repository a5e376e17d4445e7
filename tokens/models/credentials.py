"""What was granted: credentials, the consents and token pairs behind them, secrets, and each use."""

from typing import ClassVar

from django.db import models

from accounts.models import User
from tokens.models.catalogue import Helpdesk, ProfileVersion
from tokens.models.fields import WordsField
from tokens.models.people import HelpdeskUser
from tokens.models.requests import ScriptFacts
from tokens.states import GRANT_OPEN, GRANT_VOID, CredentialState, GrantState


class Credential(ScriptFacts):
    """Access that is one helpdesk user, within `scopes`, until `lives_until`."""

    client_id = models.CharField(max_length=60, unique=True)
    helpdesk = models.ForeignKey(Helpdesk, on_delete=models.PROTECT, related_name="credentials")
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="credentials")
    acts_as = models.ForeignKey(HelpdeskUser, on_delete=models.PROTECT, related_name="credentials")
    profile_version = models.ForeignKey(ProfileVersion, on_delete=models.PROTECT, related_name="+")
    days = models.PositiveIntegerField()
    """How long it lives from its first issue."""
    access_token_seconds = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=[(s.value, s.value) for s in CredentialState])
    came_from = models.CharField(max_length=20, blank=True)
    """While issuing: the state a refusal leads back to."""
    problem = models.CharField(max_length=500, blank=True)
    """Why it is not connected, as a sentence; empty while nothing is wrong."""
    end_reason = models.CharField(max_length=500, blank=True)
    ordered_at = models.DateTimeField()
    connect_by = models.DateTimeField()
    issued_at = models.DateTimeField(null=True)
    lives_until = models.DateTimeField(null=True)
    ending_since = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=~models.Q(state=CredentialState.ACTIVE)
                | models.Q(lives_until__isnull=False),
                name="what_lives_has_an_end",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "lives_until"], name="credentials_by_end"),
            models.Index(fields=["owner", "-id"], name="credentials_of_a_person"),
            models.Index(fields=["state", "-id"], name="credentials_by_state"),
            models.Index(
                fields=["-id"],
                condition=models.Q(ended_at__isnull=True),
                name="credentials_not_ended",
            ),
            models.Index(
                fields=["acts_as"],
                condition=models.Q(ended_at__isnull=True),
                name="credentials_held_as",
            ),
        ]

    def __str__(self) -> str:
        return self.script_name


class Connection(models.Model):
    """One trip to the helpdesk's consent page: who went, for what, and what came back."""

    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="connections")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    state_digest = models.CharField(max_length=64, unique=True)
    session_digest = models.CharField(max_length=64)
    verifier = models.TextField(blank=True)
    """Sealed; wiped after use, like the code."""
    code = models.TextField(blank=True)
    started_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=300, blank=True)
    replaces_others = models.BooleanField(default=False, db_default=False)
    """The owner agreed that this person's other access on the helpdesk ends by it."""

    def __str__(self) -> str:
        return f"connection of {self.credential}"

    @property
    def place(self) -> tuple[str, int, str]:
        """Where its sealed texts belong; see tokens/sealing.py."""
        return ("connection", self.pk, f"credential {self.credential_id}")


class ClientSecret(models.Model):
    """One secret of a credential, as a digest. It works until `ends_at`; None: it is the current one."""

    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="secrets")
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12)
    created_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["credential"],
                condition=models.Q(ends_at__isnull=True),
                name="one_current_secret",
            )
        ]

    def __str__(self) -> str:
        return self.hint


class Grant(models.Model):
    """One token pair on the helpdesk. The row is committed before the call that makes the pair."""

    class Purpose(models.TextChoices):
        EXCHANGE = "exchange"
        REFRESH = "refresh"
        CLOSE = "close"
        """A refresh that only tests whether a doomed pair is dead; never served."""
        STRAY = "stray"

    helpdesk = models.ForeignKey(Helpdesk, on_delete=models.PROTECT, related_name="grants")
    credential = models.ForeignKey(
        Credential, null=True, on_delete=models.PROTECT, related_name="grants"
    )
    connection = models.ForeignKey(
        Connection, null=True, on_delete=models.PROTECT, related_name="grants"
    )
    purpose = models.CharField(max_length=10, choices=Purpose)
    generation = models.PositiveIntegerField()
    replaces = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="successors"
    )
    state = models.CharField(max_length=12, choices=[(s.value, s.value) for s in GrantState])
    list_before = models.ForeignKey(
        "InventoryRun", null=True, on_delete=models.PROTECT, related_name="+"
    )
    """The list of all tokens taken before the call, where the proof may have to be by inventory."""
    asked_access_seconds = models.PositiveIntegerField(default=0)
    asked_refresh_seconds = models.PositiveIntegerField(default=0)
    intended_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    """When it was written off, refused or abandoned."""
    access_sealed = models.TextField(blank=True)
    refresh_sealed = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=80, blank=True)
    remote_id = models.BigIntegerField(null=True)
    remote_user_id = models.BigIntegerField(null=True)
    scopes = WordsField(null=True)
    access_expires_at = models.DateTimeField(null=True)
    refresh_expires_at = models.DateTimeField(null=True)
    proved_at = models.DateTimeField(null=True)
    serve_until = models.DateTimeField(null=True)
    is_withheld = models.BooleanField(default=False)
    """Replaced by a person's word: never to be served again, whatever becomes of the refresh."""
    reason = models.CharField(max_length=500, blank=True)
    """Why it was refused, lost track of or doomed."""
    doomed_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    """Deleted by id and no longer shown; gone once a later list lacks it too."""
    is_refresh_dead = models.BooleanField(default=False)
    gone_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["credential", "generation"], name="one_grant_per_generation"
            ),
            models.UniqueConstraint(
                fields=["helpdesk", "remote_id"],
                condition=models.Q(state=GrantState.LIVE),
                name="one_live_grant_per_remote_token",
            ),
            models.UniqueConstraint(
                fields=["credential"],
                condition=models.Q(state__in=GRANT_OPEN),
                name="one_open_grant",
            ),
            models.UniqueConstraint(
                fields=["credential"],
                condition=models.Q(state=GrantState.LIVE),
                name="one_live_grant",
            ),
            models.UniqueConstraint(
                fields=["replaces"],
                condition=~models.Q(state__in=GRANT_VOID),
                name="one_successor_per_grant",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["helpdesk", "id"],
                condition=models.Q(state__in=(*GRANT_OPEN, GrantState.DOOMED)),
                name="grants_to_settle",
            ),
            models.Index(
                fields=["refresh_expires_at"],
                condition=models.Q(state=GrantState.LIVE),
                name="grants_to_keep_alive",
            ),
            models.Index(
                fields=["fingerprint"],
                condition=~models.Q(fingerprint=""),
                name="grants_by_fingerprint",
            ),
        ]

    def __str__(self) -> str:
        return f"grant {self.pk} ({self.state})"

    @property
    def place(self) -> tuple[str, int, str]:
        """Where its sealed halves belong: table, row, owner; see tokens/sealing.py."""
        return ("grant", self.pk, self.helpdesk.slug)


class Fetch(models.Model):
    """One time somebody was handed the current access token. Insert only."""

    id = models.BigAutoField(primary_key=True)
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="fetches")
    secret = models.ForeignKey(ClientSecret, null=True, on_delete=models.PROTECT, related_name="+")
    """None: taken by hand, on the credential's page."""
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    address = models.GenericIPAddressField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["credential", "-at"], name="fetches_by_time")]

    def __str__(self) -> str:
        return f"fetch {self.pk}"
