"""How somebody wants their mail."""

from django import forms

from tokens.forms.fields import RefusableForm
from tokens.models import MailChoice

WRONG = "Choose one of the two."


class MailForm(RefusableForm):
    """At once or once a day."""

    use_required_attribute = False
    how = forms.ChoiceField(
        label="When",
        choices=MailChoice.How.choices,
        widget=forms.RadioSelect,
        error_messages={"required": WRONG, "invalid_choice": WRONG},
    )
