"""What admins send who enter a holiday."""

from tokens.forms.fields import RefusableForm, day_field, one_line, text_field


class HolidayForm(RefusableForm):
    """A day and what it is called."""

    use_required_attribute = False
    day = day_field("Day")
    name = text_field("Name", 60, "Say what the day is called.", validators=[one_line])
