"""What admins send who enter a holiday."""

from django import forms

from tokens.forms.fields import RefusableForm, one_line, text_field


class HolidayForm(RefusableForm):
    """A day and what it is called."""

    use_required_attribute = False
    day = forms.DateField(
        label="Day",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={
            "required": "Choose a day.", "invalid": "Write the day as year-month-day.",
        },
    )  # fmt: skip
    name = text_field("Name", 60, "Say what the day is called.", validators=[one_line])
