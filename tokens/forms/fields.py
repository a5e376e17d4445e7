"""What several forms are made of: bounded text that is all visible, hidden fields, and saying what was refused."""

import secrets
import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from tokens.refusals import Invalid

INCOMPLETE = "This page was incomplete. Open it again."
_JOINERS = "\u200c\u200d"


def plain_text(value: str) -> None:
    """Refuse what is not seen: control characters, and marks that turn or hide text."""
    for character in value:
        if character in "\r\n\t" or character in _JOINERS:
            continue
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            raise ValidationError("It holds a character that cannot be seen. Type it again.")


def one_line(value: str) -> None:
    """Refuse line breaks and tabs as well."""
    if any(character in value for character in "\r\n\t"):
        raise ValidationError("Write it on one line.")


def text_field(label: str, longest: int, missing: str, **more: Any) -> forms.CharField:
    validators = [plain_text, *more.pop("validators", ())]
    messages = {
        "required": missing,
        "max_length": f"Use at most {longest} characters.",
        "min_length": f"Use at least {more.get('min_length', 1)} characters.",
        "null_characters_not_allowed": "It holds a character that cannot be seen. Type it again.",
    }
    return forms.CharField(
        label=label, max_length=longest, error_messages=messages, validators=validators, **more
    )


class RefusableForm(forms.Form):
    """A form that can say what the operation refused."""

    def refused(self, refusal: Invalid) -> None:
        """Show the form again with the sentence on top."""
        self.add_error(None, refusal.sentence)


def new_key() -> str:
    """A submission key: the same one sent twice is one request."""
    return secrets.token_urlsafe(24)


def _made_by_us(key: str) -> None:
    """A key of visible characters, of the kind `new_key` makes."""
    if not key.isascii() or not key.replace("-", "").replace("_", "").isalnum():
        raise ValidationError(INCOMPLETE)


def key_field() -> forms.CharField:
    return forms.CharField(
        widget=forms.HiddenInput,
        min_length=16,
        max_length=64,
        initial=new_key,
        validators=[_made_by_us],
        error_messages=dict.fromkeys(("required", "min_length", "max_length"), INCOMPLETE),
    )


NO_DAY = "Write the day as year-month-day."


def day_field(label: str, **more: Any) -> forms.DateField:
    """A day of the calendar."""
    return forms.DateField(
        label=label,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"required": "Choose a day.", "invalid": NO_DAY},
        **more,
    )


def revision_field() -> forms.IntegerField:
    """A hidden field: which revision or version was shown."""
    wrong = ("required", "invalid", "min_value", "max_value")
    return forms.IntegerField(
        widget=forms.HiddenInput,
        min_value=1,
        max_value=2**31 - 1,
        error_messages=dict.fromkeys(wrong, INCOMPLETE),
    )
