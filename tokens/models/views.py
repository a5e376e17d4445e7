"""What people keep of how they look at pages."""

from typing import ClassVar

from django.db import models

from accounts.models import User


class SavedView(models.Model):
    """A state of the queue that somebody gave a name. Theirs alone; it grants nothing and hides nothing."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=2000)
    """The query of the page's address."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "name"], name="one_view_per_name")
        ]

    def __str__(self) -> str:
        return self.name
