"""Columns of our own: a set of words kept as sorted, space-separated text."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    _TextField = models.TextField[frozenset[str] | Iterable[str] | str | None, Any]
else:
    _TextField = models.TextField


class WordsField(_TextField):
    """A frozenset of words without blanks (scopes, groups), stored sorted so that equal sets are equal text."""

    def from_db_value(self, value: str | None, *_: Any) -> frozenset[str] | None:
        return None if value is None else frozenset(value.split())

    def to_python(self, value: Any) -> frozenset[str] | None:
        if value is None:
            return None
        return frozenset(value.split() if isinstance(value, str) else value)

    def get_prep_value(self, value: Iterable[str] | str | None) -> str | None:
        if value is None:
            return None
        words = value.split() if isinstance(value, str) else value
        return " ".join(sorted(words))

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""
