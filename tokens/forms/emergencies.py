"""What an admin sends who ends everything at once: of whom or what, why, and its name once more, typed."""

from typing import Any

from django import forms

from tokens.forms.credentials import UNSEEN
from tokens.forms.fields import plain_text
from tokens.operations.emergencies import LONGEST_REASON
from tokens.queries import emergencies as queries
from tokens.queries.emergencies import Kind, Subject

CHOOSE = "Choose one of the list."
GROUPS = {
    Kind.PERSON: "A person",
    Kind.PROFILE: "A profile",
    Kind.HELPDESK: "A whole helpdesk",
}
NAMES = {
    Kind.PERSON: "The person's name",
    Kind.PROFILE: "The profile's name",
    Kind.HELPDESK: "The helpdesk's name",
}


def _words(label: str, missing: str, longest: int, **more: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=longest,
        validators=[plain_text],
        error_messages={
            "required": missing,
            "max_length": f"Use at most {longest} characters.",
            "null_characters_not_allowed": UNSEEN,
        },
        **more,
    )


class SubjectForm(forms.Form):
    """Of whom or what. The list names whoever has something to end; an address may name anybody."""

    use_required_attribute = False
    subject = _words("All access of", CHOOSE, 40, widget=forms.Select)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **{"auto_id": "choose_%s", **more})
        found = queries.choices()
        groups = [
            (GROUPS[kind], [(one.key, one.label) for one in found[kind]])
            for kind in Kind
            if found[kind]
        ]
        self.has_choices = bool(groups)
        select = self.fields["subject"].widget
        assert isinstance(select, forms.Select)
        select.choices = [("", "Choose"), *groups]

    def clean_subject(self) -> Subject:
        """The subject itself."""
        found = queries.find(self.cleaned_data["subject"])
        if found is None:
            raise forms.ValidationError(CHOOSE)
        return found


class OrderForm(forms.Form):
    """The order, once its reach has been seen."""

    use_required_attribute = False
    reason = _words(
        "Why", "Say why; everybody whose access ends will read it.", LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Everybody whose access ends reads it, and it stays in the audit.",
    )  # fmt: skip
    name = _words(
        "Name", "Type the name, so that nothing ends by a slip.", 200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip

    def __init__(self, *args: Any, subject: Subject, **more: Any) -> None:
        super().__init__(*args, **more)
        self.subject = subject
        self.fields["name"].label = NAMES[subject.kind]
        self.fields["name"].help_text = f"Type “{subject.name}” to confirm. It cannot be undone."

    def clean_name(self) -> str:
        """The name as it is shown; blanks and capitals do not matter."""
        typed: str = self.cleaned_data["name"]
        if _folded(typed) != _folded(self.subject.name):
            raise forms.ValidationError(f"That is not “{self.subject.name}”.")
        return typed


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
