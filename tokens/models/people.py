"""Who somebody is on a helpdesk: the helpdesk's users, and the links from people to them."""

from typing import ClassVar

from django.db import models

from accounts.models import User
from tokens.models.catalogue import Helpdesk, RoleKind


class HelpdeskUser(models.Model):
    """One user of a helpdesk as a worker last saw him."""

    helpdesk = models.ForeignKey(Helpdesk, on_delete=models.PROTECT, related_name="users")
    remote_id = models.BigIntegerField()
    name = models.CharField(max_length=150)
    email = models.CharField(max_length=254, blank=True)
    external_id = models.CharField(max_length=255, blank=True)
    role = models.CharField(max_length=20)
    role_type = models.SmallIntegerField(null=True)
    custom_role_id = models.BigIntegerField(null=True)
    active = models.BooleanField()
    suspended = models.BooleanField()
    role_changed_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["helpdesk", "remote_id"], name="one_row_per_helpdesk_user"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def role_words(self) -> str:
        """The role as people call it on the helpdesk."""
        if self.role == "agent" and self.role_type == 1:
            return "light agent"
        return self.role

    @property
    def has_custom_role(self) -> bool:
        """Whether the helpdesk's admins have put its role together themselves: what it allows is theirs to know."""
        return self.custom_role_id is not None and self.role_words == RoleKind.AGENT


class HelpdeskLink(models.Model):
    """What the last look-up of a person on a helpdesk found. A link holds while `problem` is empty."""

    helpdesk = models.ForeignKey(Helpdesk, on_delete=models.PROTECT, related_name="links")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="helpdesk_links")
    helpdesk_user = models.ForeignKey(
        HelpdeskUser, null=True, on_delete=models.PROTECT, related_name="links"
    )
    """The user found, also where he could not be linked: nobody decides on his own helpdesk user."""
    problem = models.CharField(max_length=300, blank=True)
    matched_by = models.CharField(max_length=20, blank=True)
    looked_up_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["helpdesk", "user"], name="one_look_up_per_person"),
            models.UniqueConstraint(
                fields=["helpdesk_user"],
                condition=models.Q(problem=""),
                name="one_person_per_helpdesk_user",
            ),
            models.CheckConstraint(
                condition=~models.Q(problem="") | models.Q(helpdesk_user__isnull=False),
                name="a_link_names_its_user",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.helpdesk_user}"
