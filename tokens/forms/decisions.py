"""What people may send who decide: which revision they saw, what they give, why not."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from tokens.forms.fields import RefusableForm, revision_field, text_field
from tokens.models import AccessRequest
from tokens.presenters.scopes import ScopeLine
from tokens.presenters.words import days_words


class RevisionForm(RefusableForm):
    """Which revision was shown to whoever presses the button."""

    revision = revision_field()


class NarrowForm(RevisionForm):
    """Less than was asked for. Nothing is ticked beforehand: what is given is chosen."""

    use_required_attribute = False
    days = forms.IntegerField(
        label="For how many days?",
        min_value=1,
        error_messages={
            "required": "Write how many days.",
            "invalid": "Write a whole number of days.",
            "min_value": "Choose at least one day.",
        },
    )
    reason = text_field(
        "Why less?",
        500,
        "",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="The person who asked reads this.",
    )

    def __init__(
        self, *args: Any, access_request: AccessRequest, scopes: Sequence[ScopeLine], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.access_request = access_request
        self.fields[
            "days"
        ].help_text = f"Asked for: {days_words(access_request.days)}. At most that."
        if not access_request.is_renewal:
            self.fields["scopes"] = forms.MultipleChoiceField(
                label="What may the script do?",
                widget=forms.CheckboxSelectMultiple,
                choices=[(line.name, line.words) for line in scopes],
                help_text="Tick what you give.",
                error_messages={
                    "required": "Tick at least one, or deny the request.",
                    "invalid_choice": "%(value)s was not asked for.",
                },
            )
            self.order_fields(("scopes", "days", "reason"))

    def clean_days(self) -> int:
        """At most what was asked for."""
        days: int = self.cleaned_data["days"]
        if days > self.access_request.days:
            raise ValidationError(
                f"Asked for: {days_words(self.access_request.days)}. Give at most that."
            )
        return days

    @property
    def granted_scopes(self) -> frozenset[str]:
        """What is given; only of a valid form."""
        if self.access_request.is_renewal:
            return frozenset(self.access_request.scopes)
        return frozenset(self.cleaned_data["scopes"])


class DenyForm(RevisionForm):
    """No, and why."""

    use_required_attribute = False
    reason = text_field(
        "Why?",
        500,
        "Say why, so that they know what to change.",
        widget=forms.Textarea(attrs={"rows": 3, "data-focus": ""}),
        help_text="The person who asked reads this.",
    )
