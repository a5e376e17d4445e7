"""What people may send about the queue: what to see of it, and a name for that. What makes no sense narrows nothing."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django import forms
from django.core.exceptions import ValidationError

from accounts.together import Row
from tokens.forms.fields import INCOMPLETE, RefusableForm, one_line, text_field
from tokens.models.catalogue import Risk
from tokens.queries.order import View
from tokens.queries.queue import PAGE, Filters, Shown
from tokens.refusals import Invalid

RISK_WORDS = {
    Risk.LOW: "Low", Risk.MEDIUM: "Medium", Risk.HIGH: "Can write", Risk.WIDE: "Wide",
}  # fmt: skip
MOST_QUERY = 2_000
TOO_LONG = "This is too long to be kept under a name. Look for less."
TICKED = re.compile(r"[1-9][0-9]{0,17}:[1-9][0-9]{0,8}")
SHOWN = re.compile(TICKED.pattern + r":[0-9]{1,2}")
AGES = {1: "More than a day", 2: "More than 2 days", 7: "More than a week"}


class QueueForm(forms.Form):
    """The state of the queue's page, as its address has it."""

    hide_optional = True

    text = forms.CharField(
        label="Person, script or purpose",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    profile = forms.TypedChoiceField(label="Access", required=False, coerce=int, empty_value=None)
    helpdesk = forms.TypedChoiceField(
        label="Helpdesk", required=False, coerce=int, empty_value=None
    )
    risk = forms.ChoiceField(
        label="Risk", required=False, choices=[("", "Any"), *RISK_WORDS.items()]
    )
    age = forms.TypedChoiceField(
        label="Waiting", required=False, coerce=int, empty_value=None,
        choices=[("", "However long"), *AGES.items()],
    )  # fmt: skip
    view = forms.ChoiceField(
        required=False, choices=[(v.value, v.value) for v in View], widget=forms.HiddenInput
    )
    requester = forms.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput
    )

    def __init__(self, data: Mapping[str, Any], *, profiles: Iterable[Row]) -> None:
        super().__init__(data)
        by_helpdesk: dict[str, list[tuple[int, str]]] = defaultdict(list)
        helpdesks: dict[int, str] = {}
        for row in profiles:
            by_helpdesk[row["helpdesk__name"]].append((row["pk"], row["current__name"]))
            helpdesks[row["helpdesk_id"]] = row["helpdesk__name"]
        self._choose("profile", [("", "Every access"), *by_helpdesk.items()])
        self._choose("helpdesk", [("", "Every helpdesk"), *helpdesks.items()])
        if len(helpdesks) < 2:
            self.fields["helpdesk"].widget = forms.HiddenInput()
        if data.get("view") == View.DECIDED:
            del self.fields["age"]  # it is about what waits
        self.is_valid()

    def _choose(self, name: str, choices: list[Any]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    @property
    def filters(self) -> Filters:
        """What was chosen, as far as it makes sense."""
        said = self.cleaned_data
        age = said.get("age")
        return Filters(
            view=View(said.get("view") or View.WAITING),
            profile_id=said.get("profile"),
            requester_id=said.get("requester"),
            helpdesk_id=said.get("helpdesk"),
            risk=said.get("risk") or "",
            older_than=timedelta(days=age) if age else None,
            text=said.get("text") or "",
        )

    @property
    def address(self) -> str:
        """The state of the page as an address's query, "" where nothing is narrowed."""
        said = self.cleaned_data
        return urlencode({name: said[name] for name in self.fields if said.get(name)})


def read_ticked(words: Sequence[str]) -> dict[int, int]:
    """Request → the revision that was shown, as the list's boxes say it. Raises `Invalid` for what no page of ours sends."""
    if len(words) > PAGE or not all(TICKED.fullmatch(word) for word in words):
        raise Invalid(INCOMPLETE)
    return {int(pk): int(revision) for pk, revision in (word.split(":") for word in words)}


def read_shown(words: Sequence[str]) -> dict[int, Shown]:
    """Request → how it was shown, as the list says it to ask what became of it. Raises `Invalid` as `read_ticked` does."""
    if len(words) > PAGE or not all(SHOWN.fullmatch(word) for word in words):
        raise Invalid(INCOMPLETE)
    found = (word.split(":") for word in words)
    return {int(pk): Shown(int(revision), int(approvals)) for pk, revision, approvals in found}


class SaveViewForm(RefusableForm):
    """A name for the state of the page."""

    use_required_attribute = False
    name = text_field("Name of this view", 40, "Give it a name.", validators=[one_line])
    query = forms.CharField(
        widget=forms.HiddenInput,
        max_length=MOST_QUERY,
        required=False,
        error_messages={"max_length": TOO_LONG},
    )

    def clean_query(self) -> str:
        """Of the address, what the queue's page understands."""
        pairs = parse_qsl(self.cleaned_data["query"])
        kept = urlencode([(name, value) for name, value in pairs if name in QueueForm.base_fields])
        if len(kept) > MOST_QUERY:
            raise ValidationError(TOO_LONG)
        return kept


GOES_BACK = "queue"


def read_back(word: str) -> str:
    """Where a decision leads back to, as the queue's own address ("queue?…") without what it does not understand; ""."""
    path, _, query = word.partition("?")
    if path != GOES_BACK or len(query) > MOST_QUERY:
        return ""
    known = {*QueueForm.base_fields, "after", "selected"}
    kept = urlencode([(name, value) for name, value in parse_qsl(query) if name in known])
    return f"{GOES_BACK}?{kept}" if kept else GOES_BACK
