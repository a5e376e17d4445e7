"""What somebody sends who is away for a while."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone

from accounts.addresses import who_has
from accounts.models import User
from tokens.forms.fields import NO_DAY, RefusableForm, day_field, one_line, text_field
from tokens.forms.people import colleague
from tokens.queries.requests import active_by_email

_OF_OUR_TIME = [
    MinValueValidator(date(2000, 1, 1), NO_DAY),
    MaxValueValidator(date(9000, 1, 1), NO_DAY),
]
"""A moment can be made of every day between."""


class AwayForm(RefusableForm):
    """Who decides meanwhile, from which day to which, both included."""

    use_required_attribute = False
    instead = text_field(
        "Who decides in your place", 254, "Write a colleague's address.", validators=[one_line],
        widget=forms.EmailInput(attrs={"list": "people", "autocomplete": "off"}),
        help_text="The e-mail address of a colleague who has signed in to Keydesk.",
    )  # fmt: skip
    first = day_field("First day", validators=_OF_OUR_TIME)
    last = day_field("Last day", validators=_OF_OUR_TIME)

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by = by

    def clean_instead(self) -> User:
        """The one active person with that address, if the company sign-in has verified it."""
        email: str = self.cleaned_data["instead"]
        found = who_has(email, like=self.by)
        if not found and active_by_email(email):
            raise ValidationError("The company sign-in has not verified this address.")
        return colleague(found, of=self.by, themselves="Name somebody else.")

    @property
    def starts_at(self) -> datetime:
        """The beginning of the first day, in the reader's zone."""
        return _beginning(self.cleaned_data["first"])

    @property
    def ends_at(self) -> datetime:
        """The end of the last day."""
        return _beginning(self.cleaned_data["last"] + timedelta(days=1))


def _beginning(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))
