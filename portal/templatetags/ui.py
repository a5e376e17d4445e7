"""How are states, people, times and buttons put on a page?

The words, colours and shapes of badges stand here and nowhere else. Presentation only: no rule, no
query but the one for what time it is, and only where the view has not put `now` into the context.
The library is a template builtin, so no page needs to load it.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, get_args

from django import template
from django.db.models import Model
from django.forms import BoundField
from django.template import Context
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import clock
from tokens.presenters.words import time_off

register = template.Library()

Tone = Literal["neutral", "accent", "good", "warning", "bad"]
ButtonKind = Literal["plain", "primary", "danger", "link", "danger-link"]
TimeForm = Literal["moment", "date", "full"]


@dataclass(frozen=True)
class Badge:
    """A state as people see it: the shape says it to those who do not see the colour."""

    word: str
    tone: Tone = "neutral"
    shape: str = ""


BADGES: Mapping[str, Badge] = {
    # access requests ("lapsed" and "approved" mean the same wherever they stand)
    "pending": Badge("waiting", "accent", "○"),
    "approved": Badge("approved", "good", "✓"),
    "denied": Badge("denied", "bad", "✕"),
    "withdrawn": Badge("withdrawn", "neutral", "□"),
    "closed": Badge("closed", "neutral", "■"),
    "lapsed": Badge("timed out", "neutral", "◇"),
    # credentials
    "awaiting_consent": Badge("to connect", "accent", "→"),
    "issuing": Badge("connecting", "accent", "…"),
    "active": Badge("active", "good", "●"),
    "ends_soon": Badge("ends soon", "warning", "◆"),
    "lost": Badge("disconnected", "bad", "▲"),
    "revoking": Badge("ending", "warning", "▼"),
    "not_confirmed": Badge("not confirmed gone", "bad", "▲"),
    "revoked": Badge("ended", "neutral", "■"),
    "cancelled": Badge("cancelled", "neutral", "□"),
    "bound": Badge("bound", "good", "●"),
    # the line to a helpdesk, and processes
    "running": Badge("working", "good", "●"),
    "stopped": Badge("stopped", "bad", "▲"),
    "frozen": Badge("frozen", "warning", "◆"),
    # risk
    "low": Badge("low risk", "neutral", "○"),
    "medium": Badge("medium risk", "warning", "◆"),
    "high": Badge("high risk", "bad", "▲"),
    "can_write": Badge("can write", "warning", "▲"),
    "wide": Badge("wide", "warning", "▲"),
    # what an approval would change
    "new": Badge("new", "accent", "+"),
    "wider": Badge("wider", "warning", "▲"),
    "narrower": Badge("narrower", "neutral", "▽"),
    "same": Badge("same", "neutral", "="),
    "renewal": Badge("same, renewal", "neutral", "="),
    "no_effect": Badge("no effect", "neutral", "○"),
}

ROLES: Mapping[str, str] = {
    "agent": "Agent",
    "approver": "Approver",
    "admin": "Admin",
    "auditor": "Auditor",
}


# --- What is kept --------------------------------------------------------------------------------
MOST_KEPT = 5_000


@register.simple_tag
def kept(template_name: str, **arguments: Hashable) -> SafeString:
    """A component that depends on its arguments alone, neither on the reader nor on the time; rendered once for each.

    The arguments are its whole context, and values: what is equal to something else must read the same.
    """
    if any(isinstance(value, Model) for value in arguments.values()):
        raise template.TemplateSyntaxError(f"{template_name} is kept, so it takes no rows.")
    return _rendered(template_name, tuple((n, v, type(v)) for n, v in arguments.items()))


@lru_cache(MOST_KEPT)
def _rendered(template_name: str, arguments: tuple[tuple[str, Hashable, type], ...]) -> SafeString:
    """The types are told apart, since a text that may hold anything is equal to the same one that is safe."""
    return render_to_string(template_name, {name: value for name, value, _ in arguments})


# --- Badges, people, counts ----------------------------------------------------------------------
@register.simple_tag
def badge(state: str = "", label: str = "", tone: str = "") -> SafeString:
    """A state as word, colour and shape. `label` replaces the word, `tone` the colour.

    Without a state it is a neutral label. An unknown state raises KeyError: a page never invents one.
    """
    shown = BADGES[state] if state else Badge(label)
    return kept(
        "components/badge.html", word=label or shown.word, tone=_one_of(tone or shown.tone, Tone), shape=shown.shape
    )  # fmt: skip


@register.filter
def state_word(state: str) -> str:
    """The word people read for a state, for running text and filters."""
    return BADGES[state].word


@register.filter
def role_word(role: str) -> str:
    """The word people read for a role; one the table does not know is shown as it is."""
    return ROLES.get(role, role)


@register.filter
def message_tone(level: str) -> str:
    """The tone of a message by Django's name of its level; "" (neutral) for info and debug."""
    return {"success": "good", "warning": "warning", "error": "bad"}.get(level, "")


@register.simple_tag
def avatar(name: str) -> SafeString:
    """A person's initials. Decoration beside the name, so hidden from screen readers."""
    return format_html('<span class="avatar" aria-hidden="true">{}</span>', _initials(name))


@register.filter
def count(number: int) -> str:
    """A count for a small place: beyond 99 it reads 99+."""
    return "99+" if number > 99 else str(number)


def _initials(name: str) -> str:
    words = [word for word in name.split() if word[0].isalnum()]
    if not words:
        return "?"
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()


# --- Times: absolute with relative beside, in the reader's zone ------------------------------------
@register.simple_tag(takes_context=True)
def when(
    context: Context,
    moment: datetime | date | str | None,
    form: str = "moment",
    *,
    relative: bool = True,
    never: str = "never",
) -> SafeString | str:
    """A moment in the reader's time zone, with how far off it is.

    `form`: "moment" (26 Nov 17:00, the year where it is another one), "date" (26 Nov 2026) or
    "full" (26 Nov 2026 17:00, for histories). None reads `never`; a text is shown as it is.
    """
    if moment is None or isinstance(moment, str):
        return moment or never
    _one_of(form, TimeForm)
    now = timezone.localtime(_now(context))
    if isinstance(moment, datetime) and form != "date":
        words, beside = _absolute(timezone.localtime(moment), now, form), time_off(moment, now)
    else:
        day = timezone.localdate(moment) if isinstance(moment, datetime) else moment
        words, beside = _absolute(day, now, "date"), _days_off(day, now.date())
    time = format_html('<time datetime="{}">{}</time>', moment.isoformat(), words)
    if not relative:
        return time
    return format_html('{} <span class="when-relative">{}</span>', time, beside)


@register.filter
def duration(span: timedelta) -> str:
    """A span in its two largest units: 2 d 4 h, 3 h 10 m, 26 m."""
    minutes = max(0, int(span.total_seconds())) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes:02} m"
    return f"{minutes} m" if minutes else "under a minute"


@register.filter
def age(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, as a span."""
    return duration(now - moment)


@register.filter
def days(span: int | timedelta) -> str:
    """A life in whole days: "1 day", "30 days"; a life under a day as hours and minutes."""
    if isinstance(span, timedelta):
        if span < timedelta(days=1):
            return duration(span)
        span = span.days
    return "1 day" if span == 1 else f"{span} days"


def _now(context: Context) -> datetime:
    """The view's `now`; else the database's time, asked once for each page."""
    if "now" in context:
        given: datetime = context["now"]
        return given
    request = getattr(context, "request", None)
    if request is None:
        return clock.now()
    if not hasattr(request, "shown_at"):
        request.shown_at = clock.now()
    asked: datetime = request.shown_at
    return asked


def _absolute(moment: datetime | date, now: datetime, form: str) -> str:
    text = f"{moment.day} {moment:%b}"
    if form != "moment" or moment.year != now.year:
        text += f" {moment.year}"
    return text if form == "date" else f"{text} {moment:%H:%M}"


def _days_off(day: date, today: date) -> str:
    off = (day - today).days
    if abs(off) <= 1:
        return {-1: "yesterday", 0: "today", 1: "tomorrow"}[off]
    return f"in {days(off)}" if off > 0 else f"{days(-off)} ago"


# --- Fields of a filter --------------------------------------------------------------------------
@register.simple_tag
def filter_field(field: BoundField) -> SafeString:
    """A text, a choice or a hidden word of a form that narrows a list, with what was said and what is wrong with it."""
    widget, value = field.field.widget, field.value()
    return kept(
        "components/filter_field.html", name=field.html_name, id=field.auto_id, label=field.label,
        kind=widget.input_type, attributes=tuple(widget.attrs.items()),
        value="" if value is None else str(value), groups=_groups(getattr(field.field, "choices", ())),
        errors=tuple(field.errors),
    )  # fmt: skip


def _groups(choices: Iterable[Any]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Choices as Django writes them, each of them in a group; "" is none."""
    return tuple(
        ("", ((str(value), words),))
        if isinstance(words, str)
        else (value, tuple((str(one), label) for one, label in words))
        for value, words in choices
    )


# --- Buttons -------------------------------------------------------------------------------------
@register.simple_tag(takes_context=True)
def button(
    context: Context,
    label: str,
    kind: str = "plain",
    *,
    about: str = "",
    href: str = "",
    post: str = "",
    name: str = "",
    value: str = "",
    form: str = "",
    why_not: str = "",
    key: str = "",
    focus: bool = False,
) -> SafeString:
    """A link (`href`), a form of its own (`post`), or the submit button of the form it stands in.

    `about` is read out after the label, never shown ("Revoke *Billing export*"); `why_not` disables
    the button and says the reason in text. `key` presses it where the page's script listens for keys;
    with `focus` a page that was opened for this one press has it under the Enter key.
    A form of its own takes the page's CSRF token by itself.
    """
    _one_of(kind, ButtonKind)
    classes = {"danger-link": "button-link button-danger", "plain": ""}.get(kind, f"button-{kind}")
    arguments = {
        "label": label, "classes": classes, "about": str(about), "href": href, "post": post, "name": name, "value": value,
        "form": form, "why_not": why_not, "key": key, "focus": focus,
    }  # fmt: skip
    if post:
        token = context.get("csrf_token")
        return render_to_string("components/button.html", {**arguments, "csrf_token": token})
    return kept("components/button.html", **arguments)


def _one_of(word: str, allowed: Any) -> str:
    """The word, if the literal type lists it; a misspelt colour or kind is an error in the page."""
    if word not in get_args(allowed):
        raise template.TemplateSyntaxError(f"{word!r} is none of: {', '.join(get_args(allowed))}.")
    return word
