"""What does every component look like in every state? The page /ui, on development machines only.

The samples below are nobody: no database row, no person of the cast.
"""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from accounts import clock
from accounts.decorators import public
from portal.templatetags.ui import BADGES, ROLES

RUNS = [("cron", "Cron or server"), ("n8n", "n8n or Make"), ("hand", "By hand")]
PROFILES = [("", "Every access"), ("r", "Read tickets")]
SCOPES = [("tickets:read", "Read tickets and comments"), ("users:read", "Read users")]
CODE = """export KEYDESK_ID=kd_sample
# the secret comes from your secret store, never from this file
curl --user "$KEYDESK_ID:$KEYDESK_SECRET" --data grant_type=client_credentials \\
  https://keydesk.example/oauth/token"""


class SampleForm(forms.Form):
    """Every kind of field once."""

    script = forms.CharField(label="Script", max_length=60, help_text="The name people will see.")
    runs = forms.ChoiceField(label="Where it will run", choices=RUNS, widget=forms.RadioSelect)
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=SCOPES,
        widget=forms.CheckboxSelectMultiple,
        help_text="Untick what the script can do without.",
    )
    days = forms.IntegerField(label="Days", min_value=1, max_value=90)
    helpdesk = forms.ChoiceField(label="Helpdesk", choices=[("a", "Production"), ("b", "Sandbox")])
    purpose = forms.CharField(label="What for", widget=forms.Textarea(attrs={"rows": 3}))
    ticket = forms.URLField(label="Ticket", required=False, assume_scheme="https")
    regular = forms.BooleanField(label="It runs every day", required=False)


class SampleFilter(forms.Form):
    """The narrowing form of a list."""

    profile = forms.ChoiceField(label="Access", choices=PROFILES, required=False)
    requester = forms.CharField(label="Person", required=False)


@public
def gallery(request: HttpRequest) -> HttpResponse:
    """Every component in every state. 404 unless DEBUG is on."""
    if not settings.DEBUG:
        raise Http404
    return render(request, "ui.html", _samples(clock.now()))


def _samples(now: datetime) -> dict[str, Any]:
    return {
        "now": now,
        "badges": list(BADGES),
        "roles_known": list(ROLES),
        "moments": _moments(now),
        "facts": _facts(now),
        "entries": _history(now),
        "views": _views(),
        "filter_form": SampleFilter({"profile": ""}, auto_id="filter_%s"),
        "form": SampleForm(auto_id="empty_%s"),
        "refused_form": SampleForm(
            {"script": "weekly-csat-export", "days": "400"}, auto_id="refused_%s"
        ),
        "tabs": _tabs(),
        "code": CODE,
        "consequences": [
            "The script stops at its next call.",
            "Keydesk deletes the access on the helpdesk and checks that it is gone.",
        ],
        "decide_by": now + timedelta(days=2, hours=20),
        "lives_until": now + timedelta(days=90),
    }


def _moments(now: datetime) -> list[tuple[str, datetime | None]]:
    return [
        ("a moment ago", now - timedelta(seconds=5)),
        ("within the hour", now - timedelta(minutes=12)),
        ("within a day", now + timedelta(hours=3, minutes=10)),
        ("later", now + timedelta(days=47)),
        ("long ago", now - timedelta(days=400)),
        ("not at all", None),
    ]


def _facts(now: datetime) -> list[tuple[Any, ...]]:
    return [
        ("Acts as", "Asking Agent", "agent on Production"),
        ("Proved", now - timedelta(hours=3)),
        ("Deputy", None),
        ("To renew", "One click and one approval; your script keeps its key."),
    ]


def _history(now: datetime) -> list[dict[str, Any]]:
    return [
        {"at": now - timedelta(days=3), "text": "Asking Agent asked for Read tickets for 90 days."},
        {
            "at": now - timedelta(days=2),
            "text": "First Approver approved it for 30 days.",
            "note": "“Enough until the review in December.”",
        },
        {"at": now - timedelta(minutes=4), "text": "Connected on Zendesk as Asking Agent."},
    ]


def _views() -> list[dict[str, Any]]:
    return [
        {"label": "Waiting for me", "href": "?view=mine", "count": 4, "current": True},
        {"label": "All I may see", "href": "?view=all", "count": 120},
        {"label": "Decided", "href": "?view=decided"},
    ]


def _tabs() -> list[dict[str, str]]:
    return [
        {"key": "curl", "label": "Cron or server: curl", "text": "Ask for a token before each run.", "code": CODE},
        {"key": "n8n", "label": "n8n", "text": "Choose the OAuth2 credential, grant type Client Credentials."},
        {"key": "hand", "label": "By hand", "text": "Press Get a token now.", "note": "It works for hours, not days."},
    ]  # fmt: skip
