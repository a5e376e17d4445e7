"""What an admin writes on the operator's page: why a helpdesk is frozen, and which list is confirmed."""

from typing import Any

from django import forms

from tokens.forms.credentials import MOST_ID, UNSEEN
from tokens.forms.fields import plain_text
from tokens.operations.helpdesks import LONGEST_REASON


class FreezeForm(forms.Form):
    """Why no new access is to be issued for a while."""

    use_required_attribute = False
    reason = forms.CharField(
        label="Why",
        max_length=LONGEST_REASON,
        validators=[plain_text],
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Everybody who wants to connect access there reads it.",
        error_messages={
            "required": "Say why; everybody who wants to connect will read it.",
            "max_length": f"Use at most {LONGEST_REASON} characters.",
            "null_characters_not_allowed": UNSEEN,
        },
    )


class Findings(forms.JSONField):
    """JSON as the page wrote it; brackets in brackets without end are none."""

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except RecursionError as error:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error


class ConfirmForm(forms.Form):
    """Which list and which findings stood on the page when the button was pressed: nothing else is confirmed by it."""

    run = forms.IntegerField(min_value=1, max_value=MOST_ID, widget=forms.HiddenInput)
    shown = Findings(widget=forms.HiddenInput)

    def clean_shown(self) -> dict[str, list[int]]:
        """Numbers by kind, as `findings.ids_of` has them."""
        sent = self.cleaned_data["shown"]
        lists = sent.values() if isinstance(sent, dict) else [None]
        if not all(isinstance(ids, list) and all(type(one) is int for one in ids) for ids in lists):
            raise forms.ValidationError("These are no findings.")
        found: dict[str, list[int]] = sent
        return found

    @property
    def run_id(self) -> int:
        """The list's id; 0: what was sent is none."""
        return int(self.cleaned_data["run"]) if self.is_valid() else 0
