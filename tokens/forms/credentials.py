"""What people may send about an access: why it ends, which secret they were looking at, what a list is to show."""

from typing import Any

from django import forms
from django.http import QueryDict

from tokens.forms.fields import plain_text
from tokens.models import Helpdesk
from tokens.presenters.history import SENTENCES
from tokens.states import CREDENTIAL_ENDED, CredentialState

UNSEEN = "It holds a character that cannot be seen. Type it again."
MOST_ID = 2**63 - 1


class RevokeForm(forms.Form):
    """Why access ends. An admin who ends somebody else's has to say it."""

    use_required_attribute = False
    reason = forms.CharField(
        label="Why",
        max_length=300,
        required=False,
        validators=[plain_text],
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Its owner and everybody who sees this access reads it.",
        error_messages={
            "required": "Say why; its owner will read it.",
            "max_length": "Use at most 300 characters.",
            "null_characters_not_allowed": UNSEEN,
        },
    )

    def __init__(self, *args: Any, needs_reason: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["reason"].required = needs_reason


class SecretForm(forms.Form):
    """Which secret stood on the page when the button was pressed: a page that is too old makes none."""

    seen = forms.IntegerField(
        min_value=0, max_value=MOST_ID, required=False, widget=forms.HiddenInput
    )

    @property
    def seen_id(self) -> int:
        """The id of the secret that was current on the page; 0: there was none."""
        return self.cleaned_data.get("seen") or 0 if self.is_valid() else -1


class ReplacesForm(forms.Form):
    """Which access stood on the page as ended by connecting, when its owner agreed to that."""

    replaces = forms.TypedMultipleChoiceField(coerce=int, required=False)

    def __init__(self, sent: QueryDict) -> None:
        super().__init__(sent)
        field = self.fields["replaces"]
        assert isinstance(field, forms.TypedMultipleChoiceField)
        field.choices = [(word, word) for word in sent.getlist("replaces") if _is_id(word)]

    @property
    def named(self) -> frozenset[int]:
        """The ids; none at all where one of them is no id."""
        return frozenset(self.cleaned_data["replaces"]) if self.is_valid() else frozenset()


def _is_id(word: str) -> bool:
    return word.isascii() and word.isdigit() and int(word[:20]) <= MOST_ID


class ListForm(forms.Form):
    """A filter of a list: what makes no sense filters nothing and says so at its field."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **{"auto_id": "filter_%s", **more})

    def chosen(self, name: str) -> str:
        """What a field narrows the list to; "" for everything."""
        self.is_valid()
        return str(self.cleaned_data.get(name) or "")


def _words(label: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=100,
        validators=[plain_text],
        widget=forms.TextInput(attrs={"type": "search"}),
        error_messages={
            "max_length": "Use at most 100 characters.",
            "null_characters_not_allowed": UNSEEN,
        },
    )


def _choice(label: str, choices: list[tuple[str, str]]) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        required=False,
        choices=choices,
        error_messages={"invalid_choice": "Choose one of the list."},
    )


class InventoryForm(ListForm):
    """What the inventory shows. The template names the states, since their words belong to the look."""

    state = _choice(
        "State", [("", ""), ("all", ""), *((s.value, s.value) for s in CredentialState)]
    )
    helpdesk = _choice("Helpdesk", [])
    owner = _words("Owner")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        helpdesk = self.fields["helpdesk"]
        assert isinstance(helpdesk, forms.ChoiceField)
        names = Helpdesk.objects.order_by("name").values_list("slug", "name")
        helpdesk.choices = [("", "Every helpdesk"), *names]

    def states(self) -> tuple[str, ...]:
        """The states to show: what has not ended, unless more was asked for."""
        chosen = self.chosen("state")
        if chosen == "all":
            return tuple(CredentialState)
        return (chosen,) if chosen else LIVING


LIVING = tuple(state for state in CredentialState if state not in CREDENTIAL_ENDED)

KINDS = {
    "": "Everything",
    "AccessRequest": "Request",
    "Credential": "Access",
    "Grant": "Token",
    "User": "Person",
    "Helpdesk": "Helpdesk",
    "InventoryRun": "Inventory",
    "AccessProfile": "Profile",
    "Emergency": "Emergency",
}


class AuditForm(ListForm):
    """What the audit page shows."""

    event = _choice("Event", [])
    actor = _words("By whom")
    kind = _choice("About", list(KINDS.items()))
    number = forms.IntegerField(
        label="Number",
        required=False,
        min_value=1,
        max_value=MOST_ID,
        error_messages={
            "invalid": "Write a whole number.",
            "min_value": "Numbers start at 1.",
            "max_value": "There is no such number.",
        },
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        event = self.fields["event"]
        assert isinstance(event, forms.ChoiceField)
        event.choices = [("", "Every event"), *((name, event_words(name)) for name in SENTENCES)]


def event_words(name: str) -> str:
    """An event's name for people: "Request approved"."""
    noun, _, verb = name.partition(".")
    return f"{NOUNS.get(noun, noun)} {VERBS.get(verb, verb.replace('_', ' '))}"


NOUNS = {
    "request": "Request",
    "credential": "Access",
    "connection": "Connecting",
    "key": "Key",
    "token": "Token",
    "grant": "Token",
    "emergency": "Emergency",
    "helpdesk": "Helpdesk",
    "inventory": "Inventory",
    "profile": "Profile",
    "person": "Person",
}
VERBS = {
    "lapsed": "timed out",
    "lost": "disconnected",
    "refused": "refused by the helpdesk",
    "revoked": "ended by somebody",
    "expired": "at its end",
    "ended": "confirmed gone",
    "lost_track_of": "asked for without an answer",
    "doomed": "set to be deleted",
    "buried": "confirmed gone",
    "hindered": "held up",
    "adopted": "of nobody found",
    "answered": "received",
    "sent": "asked for",
    "shown": "taken by hand",
}
