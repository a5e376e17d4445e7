"""What admins send who edit the terms of an access profile."""

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from tokens import policies
from tokens.forms.fields import INCOMPLETE, RefusableForm, one_line, revision_field, text_field
from tokens.models import ProfileVersion, Scope
from tokens.refusals import Invalid


def _number(label: str, least: int, most: int, **more: Any) -> forms.IntegerField:
    between = f"Write a whole number from {least} to {most}."
    wrong = ("required", "invalid", "min_value", "max_value")
    return forms.IntegerField(
        label=label,
        min_value=least,
        max_value=most,
        error_messages=dict.fromkeys(wrong, between),
        **more,
    )


class ProfileForm(RefusableForm):
    """The terms of one profile."""

    use_required_attribute = False
    seen = revision_field()
    name = text_field("Name", policies.LONGEST_NAME, "Give it a name.", validators=[one_line])
    words = text_field(
        "In a sentence", policies.LONGEST_WORDS, "Say in a sentence what it is for.", validators=[one_line],
        widget=forms.Textarea(attrs={"rows": 2}), help_text="Whoever asks reads this.",
    )  # fmt: skip
    scopes = forms.MultipleChoiceField(
        label="What it gives", widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Tick at least one.", "invalid_choice": "%(value)s is not in the table.",
        },
    )  # fmt: skip
    longest_days = _number("Days at most", 1, policies.MOST_DAYS)
    token_minutes = _number(
        "Minutes of each token", policies.LEAST_MINUTES, policies.MOST_MINUTES,
        help_text="How long a token works that was taken out of Keydesk; 480 is a working day.",
    )  # fmt: skip
    ask_groups = text_field(
        "Groups that may ask", 1000, "", required=False,
        help_text="Separated by commas. Empty: everybody who has a user on the helpdesk.",
    )  # fmt: skip
    approver_group = forms.ChoiceField(
        label="Group that decides",
        error_messages={"required": "Choose a group.", "invalid_choice": "Choose one of the list."},
    )
    lead_decides = forms.BooleanField(
        label="The lead of whoever asks may decide too", required=False,
        help_text="They are asked first; the group hears of it when nobody has decided in time.",
    )  # fmt: skip
    approvals_needed = _number("Approvals it takes", 1, policies.MOST_APPROVALS)
    policy_days = _number(
        "Approved by itself up to this many days", 0, policies.MOST_DAYS, help_text="0: never."
    )

    def __init__(
        self, *args: Any, version: ProfileVersion, scopes: Sequence[Scope], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.version = version
        self.table = {
            scope.name: scope
            for scope in scopes
            if policies.scope_is_grantable(scope.name, bare_write=settings.BARE_WRITE_ALLOWED)
        }
        groups = dict.fromkeys([*settings.ROLE_APPROVER_GROUPS, version.approver_group])
        self._choose("scopes", [(scope.name, scope.words) for scope in self.table.values()])
        self._choose("approver_group", [(group, group) for group in groups])

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    def clean_ask_groups(self) -> frozenset[str]:
        """Names without blanks, as they are kept."""
        words = [
            word.strip() for word in self.cleaned_data["ask_groups"].replace("\n", ",").split(",")
        ]
        groups = [word for word in words if word]
        if any(len(word.split()) > 1 for word in groups):
            raise ValidationError(
                "A group's name or id has no blanks here; separate groups by commas."
            )
        return frozenset(groups)

    def clean(self) -> dict[str, Any]:
        """What is approved by itself lies within what can be asked for."""
        cleaned = super().clean() or self.cleaned_data
        if (cleaned.get("policy_days") or 0) > (cleaned.get("longest_days") or policies.MOST_DAYS):
            self.add_error("policy_days", "That is longer than the days at most.")
        return cleaned

    def terms(self) -> dict[str, Any]:
        """The terms that were written; only of a valid form."""
        said = self.cleaned_data
        scopes = frozenset(said["scopes"])
        return {
            "name": said["name"], "words": said["words"], "scopes": scopes,
            "risk": policies.risk_of(self.table[name].risk for name in scopes),
            "longest_days": said["longest_days"],
            "access_token_seconds": said["token_minutes"] * 60,
            "ask_groups": said["ask_groups"], "approver_group": said["approver_group"],
            "lead_decides": said["lead_decides"],
            "approvals_needed": said["approvals_needed"], "policy_days": said["policy_days"],
        }  # fmt: skip


def start_of(version: ProfileVersion) -> dict[str, Any]:
    """What the form starts with."""
    return {
        "seen": version.number, "name": version.name, "words": version.words,
        "scopes": sorted(version.scopes), "longest_days": version.longest_days,
        "token_minutes": version.access_token_seconds // 60,
        "ask_groups": ", ".join(sorted(version.ask_groups)),
        "approver_group": version.approver_group, "lead_decides": version.lead_decides,
        "approvals_needed": version.approvals_needed, "policy_days": version.policy_days,
    }  # fmt: skip


def read_number(word: str) -> int:
    """A small number in a hidden field. Raises `Invalid` for what no page of ours sends."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", word):
        raise Invalid(INCOMPLETE)
    return int(word)
