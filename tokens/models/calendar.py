"""On which days nobody is expected to decide."""

from django.db import models


class Holiday(models.Model):
    """A day that is not worked. Clocks set before it was entered, or taken out, stay as they are."""

    day = models.DateField(unique=True)
    name = models.CharField(max_length=60)

    def __str__(self) -> str:
        return self.name
