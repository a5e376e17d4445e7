"""What people may send about a request: asking, amending, renewing.

Each field is bounded and says in a sentence what is wrong with it. Whether the wish is allowed is asked
of policies by the operation; its `Invalid` comes back here through `refused`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from accounts.models import User
from tokens import policies
from tokens.forms.fields import (
    RefusableForm,
    key_field,
    one_line,
    plain_text,
    revision_field,
    text_field,
)
from tokens.forms.people import colleague
from tokens.models import AccessProfile, AccessRequest, Credential
from tokens.models.requests import Rhythm, RunsWhere, ScriptFacts
from tokens.operations.requests import Wish
from tokens.presenters.asking import Offer
from tokens.presenters.clocks import until
from tokens.presenters.words import days_words
from tokens.queries import requests as queries

DAYS = (7, 30, 60, 90)
OTHER = "other"
MOST_DAYS = policies.MOST_DAYS
PURPOSE_LEAST = 5
NO_SCOPES = "Choose at least one thing the script may do."


@dataclass(frozen=True)
class Length:
    """One choice of *how long*."""

    value: str
    label: str
    is_chosen: bool
    ends: datetime | None


class TermsForm(RefusableForm):
    """What every wish says: where it runs, for how long, what for."""

    use_required_attribute = False
    key = key_field()
    runs_where = forms.ChoiceField(
        label="Where will it run?",
        choices=[("", "Choose one"), *RunsWhere.choices],
        help_text="This picks the instructions shown beside your key.",
        error_messages={
            "required": "Choose where it will run.",
            "invalid_choice": "Choose one of the list.",
        },
    )
    days = forms.ChoiceField(
        label="How long?",
        widget=forms.RadioSelect,
        choices=[*((str(n), days_words(n)) for n in DAYS), (OTHER, "Another number of days")],
        error_messages={
            "required": "Choose how long.",
            "invalid_choice": "Choose one of the list.",
        },
    )
    other_days = forms.IntegerField(
        label="Number of days",
        required=False,
        min_value=1,
        max_value=MOST_DAYS,
        error_messages={
            "invalid": "Write a whole number of days.",
            "min_value": "Choose at least one day.",
            "max_value": f"Choose at most {MOST_DAYS} days.",
        },
    )
    purpose = text_field(
        "What is it for?",
        500,
        "Say what the script does with it; whoever decides reads this.",
        min_length=PURPOSE_LEAST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One or two sentences. Whoever decides reads this.",
    )
    ticket_url = forms.CharField(
        label="Ticket",
        required=False,
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
        help_text="A link to where this was asked for.",
        error_messages={"max_length": "Use at most 500 characters."},
    )
    rhythm = forms.ChoiceField(
        label="How often will it run?",
        required=False,
        choices=Rhythm,
        error_messages={"invalid_choice": "Choose one of the list."},
    )
    deputy = text_field(
        "Deputy",
        254,
        "",
        required=False,
        validators=[one_line],
        widget=forms.EmailInput(attrs={"list": "people", "autocomplete": "off"}),
        help_text="The e-mail address of a colleague who also hears when this access is about to end.",
    )

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by = by

    def clean_ticket_url(self) -> str:
        """Only https, and an address a browser can follow."""
        address: str = self.cleaned_data["ticket_url"]
        if address:
            plain_text(address)
            URLValidator(schemes=["https"], message="Write a link that starts with https://.")(
                address
            )
        return address

    def clean_deputy(self) -> User | None:
        """The one active person with that address."""
        email: str = self.cleaned_data["deputy"]
        if not email:
            return None
        found = queries.active_by_email(email)
        return colleague(found, of=self.by, themselves="Your deputy must be somebody else.")

    def clean(self) -> dict[str, Any]:
        """The number of days, from the choice or from the field beside it."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("days") == OTHER and cleaned.get("other_days", 0) is None:
            self.add_error("other_days", "Write how many days.")
        return cleaned

    def lengths(self, credential: Credential | None, *, now: datetime) -> list[Length]:
        """The choices of *how long*, each with the date it means if it began now.

        Of a renewal those that would change nothing are left out, but for one that was chosen already.
        """
        chosen = str(self["days"].value() or "")
        ends = {str(n): until(credential, n, now=now) for n in DAYS}
        least = policies.least_days(credential, now=now) if credential else 0
        return [
            Length(value, label, value == chosen, ends.get(value))
            for value, label in self.fields["days"].choices  # type: ignore[attr-defined]
            if value in (chosen, OTHER) or int(value) >= least
        ]

    @property
    def wanted_days(self) -> int:
        """How many days were asked for; only of a valid form."""
        chosen = self.cleaned_data["days"]
        return int(self.cleaned_data["other_days"] if chosen == OTHER else chosen)

    def _wish(
        self,
        profile: AccessProfile,
        scopes: frozenset[str],
        script_name: str,
        *,
        renews: Credential | None = None,
        about: ScriptFacts | None = None,
    ) -> Wish:
        """The wish this form makes; what it does not ask about the script is as `about` has it."""
        said = self.cleaned_data
        return Wish(
            profile=profile, scopes=scopes, script_name=script_name, renews=renews,
            days=self.wanted_days, purpose=said["purpose"], ticket_url=said["ticket_url"],
            runs_where=about.runs_where if about else said["runs_where"],
            rhythm=about.rhythm if about else said["rhythm"],
            deputy=about.deputy if about else said["deputy"],
        )  # fmt: skip


def _script_name() -> forms.CharField:
    return text_field(
        "What is the script called?",
        60,
        "Say what the script is called.",
        validators=[one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="A name you will recognise in a year, such as weekly-csat-export.",
    )


def _scopes(offer: Offer) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label="What the script may do",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(line.name, line.words) for line in offer.scopes],
        initial=sorted(offer.version.scopes),
        error_messages={
            "required": NO_SCOPES,
            "invalid_choice": "%(value)s is not part of this access.",
        },
    )


@dataclass(frozen=True)
class OfferCard:
    """An offer, the field of its scopes (None where it cannot be asked for), and whether it is chosen."""

    offer: Offer
    scopes: forms.BoundField | None
    is_chosen: bool


class AskForm(TermsForm):
    """A wish for new access: one of the profiles, less what is left out."""

    script_name = _script_name()
    profile = forms.CharField(
        label="Which access?", max_length=110, error_messages={"required": "Choose an access."}
    )
    field_order = ("script_name", "runs_where", "profile", "days", "other_days", "purpose")

    def __init__(self, *args: Any, offers: Sequence[Offer], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offers = {offer.key: offer for offer in offers}
        for offer in offers:
            if offer.may:
                self.fields[scopes_name(offer)] = _scopes(offer)

    def clean_profile(self) -> Offer:
        """One of the offers, and one this person may ask for."""
        offer = self.offers.get(self.cleaned_data["profile"])
        if offer is None:
            raise ValidationError("Choose an access from the list.")
        if not offer.may:
            raise ValidationError(offer.may.reason)
        return offer

    def clean(self) -> dict[str, Any]:
        """The scopes of the chosen profile; what stands under the others does not matter."""
        cleaned = super().clean()
        offer = cleaned.get("profile")
        for name in [n for n in self.errors if n.startswith("scopes-")]:
            if offer is None or name != scopes_name(offer):
                del self.errors[name]
        if offer is not None and not cleaned.get(scopes_name(offer), True):
            self.add_error(scopes_name(offer), NO_SCOPES)
        return cleaned

    def wish(self) -> Wish:
        """What was asked for; only of a valid form."""
        offer: Offer = self.cleaned_data["profile"]
        scopes = frozenset(self.cleaned_data[scopes_name(offer)])
        return self._wish(offer.profile, scopes, self.cleaned_data["script_name"])

    def why_none(self) -> list[str]:
        """The reasons, each once, where not one of the offers can be asked for; else nothing."""
        if not self.offers:
            return ["There is no access to ask for yet. Your Keydesk admin has to load it first."]
        if any(offer.may for offer in self.offers.values()):
            return []
        return list(dict.fromkeys(offer.may.reason for offer in self.offers.values()))

    def cards(self) -> list[OfferCard]:
        """Each offer as the page shows it."""
        chosen = self["profile"].value()
        return [
            OfferCard(offer, self[scopes_name(offer)] if offer.may else None, offer.key == chosen)
            for offer in self.offers.values()
        ]


def scopes_name(offer: Offer) -> str:
    return f"scopes-{offer.profile.pk}"


ABOUT_THE_SCRIPT = ("runs_where", "rhythm", "deputy")
"""What a renewal does not change, so does not ask."""


class RenewForm(TermsForm):
    """A wish for more time on a living credential: everything about the script stays."""

    def __init__(self, *args: Any, credential: Credential, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.credential = credential
        for name in ABOUT_THE_SCRIPT:
            del self.fields[name]

    def wish(self) -> Wish:
        """What was asked for; only of a valid form."""
        held = self.credential
        profile = held.profile_version.profile
        return self._wish(profile, held.scopes, held.script_name, renews=held, about=held)


class AmendForm(TermsForm):
    """A change of a pending request: the profile stays; a renewal keeps its script and scopes too."""

    revision = revision_field()
    field_order = ("script_name", "runs_where", "scopes", "days", "other_days", "purpose")

    def __init__(
        self, *args: Any, access_request: AccessRequest, offer: Offer, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.access_request, self.offer = access_request, offer
        del self.fields["key"]
        if access_request.is_renewal:
            for name in ABOUT_THE_SCRIPT:
                del self.fields[name]
        else:
            self.fields["script_name"] = _script_name()
            self.fields["scopes"] = _scopes(offer)
            self.fields["scopes"].required = True
            self.order_fields(self.field_order)

    def wish(self) -> Wish:
        """What is asked for now; only of a valid form."""
        before, said = self.access_request, self.cleaned_data
        if before.is_renewal:
            return self._wish(
                self.offer.profile, before.scopes, before.script_name,
                renews=before.credential, about=before,
            )  # fmt: skip
        return self._wish(self.offer.profile, frozenset(said["scopes"]), said["script_name"])
