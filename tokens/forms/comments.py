"""What people may send who ask about a request, or answer."""

from django import forms

from tokens.forms.fields import RefusableForm, key_field, text_field


class CommentForm(RefusableForm):
    """A question or an answer."""

    use_required_attribute = False
    key = key_field()
    words = text_field(
        "Your words",
        500,
        "Write something.",
        widget=forms.Textarea(attrs={"rows": 3, "data-focus": ""}),
        help_text="The person who asked and everybody who decides on this request can read it.",
    )
