"""Pages of access profiles: the list, editing the terms, and a second admin's word on wider ones."""

from datetime import datetime

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import clock
from accounts.decorators import fresh_groups, requires, signed_in
from accounts.models import User
from tokens import permissions
from tokens.forms.profiles import ProfileForm, read_number, start_of
from tokens.forms.requests import OTHER, AskForm
from tokens.models import AccessProfile, ProfileVersion
from tokens.operations import profiles as operations
from tokens.presenters import profiles as presenters
from tokens.presenters.asking import Offer
from tokens.presenters.history import history
from tokens.queries import profiles as queries
from tokens.views.requester import form_page, tried


def _load(pk: int) -> AccessProfile:
    found = queries.profile_by_id(pk)
    if found is None:
        raise Http404("There is no such access profile.")
    return found


@require_safe
@requires(permissions.may_read_all)
def profiles(request: HttpRequest) -> HttpResponse:
    """What can be asked for, under which terms, and what waits for a second admin."""
    user = signed_in(request)
    shown = {
        "lines": presenters.lines(queries.all_profiles()),
        "may_edit": permissions.may_operate(user),
        "now": clock.now(),
    }
    return render(request, "profiles/profiles.html", shown)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(permissions.may_operate)
@fresh_groups
def edit_profile(request: HttpRequest, pk: int) -> HttpResponse:
    """Write new terms, look at them as whoever asks would see them, save them."""
    profile, user, now = _load(pk), signed_in(request), clock.now()
    current = profile.current
    assert current is not None  # `_load` finds none without terms
    form = ProfileForm(
        request.POST or None, version=current, initial=start_of(current),
        scopes=queries.scopes_of(profile.helpdesk.kind),
    )  # fmt: skip
    preview: dict[str, object] = {}
    if "preview" in request.POST:
        if form.is_valid():
            written = ProfileVersion(profile=profile, number=current.number + 1, **form.terms())
            preview = _preview(presenters.preview(profile, written), user, now=now)
    elif form.is_valid():
        widens = tried(
            form,
            lambda: operations.edit(
                profile=profile,
                seen=form.cleaned_data["seen"],
                terms=form.terms(),
                by=user,
                now=now,
            ),
        )
        if widens is not None:
            messages.success(request, presenters.saved_words(form.cleaned_data["name"], widens))
            return redirect("profiles")
    return form_page(request, "profiles/edit.html", form, profile=profile, now=now, **preview)


def _preview(offer: Offer, user: User, *, now: datetime) -> dict[str, object]:
    """The form of whoever asks under these terms, with these chosen, and the lengths they allow."""
    form = AskForm(by=user, offers=[offer], initial={"profile": offer.key}, auto_id="preview_%s")
    longest = offer.version.longest_days
    lengths = [
        one
        for one in form.lengths(None, now=now)
        if one.value == OTHER or int(one.value) <= longest
    ]
    return {"preview": form, "lengths": lengths}


@require_safe
@requires(permissions.may_read_all)
def profile(request: HttpRequest, pk: int) -> HttpResponse:
    """One profile: its terms, what is proposed, and every version there was."""
    found, user = _load(pk), signed_in(request)
    proposed = found.proposed
    shown = {
        "profile": found,
        "terms": presenters.terms_of(found),
        "may_edit": permissions.may_operate(user),
        "may_confirm": permissions.may_confirm(user, proposed) if proposed else None,
        "history": history(found),
        "now": clock.now(),
    }
    return render(request, "profiles/profile.html", shown)


@require_POST
@requires(permissions.may_operate)
@fresh_groups
def confirm_profile(request: HttpRequest, pk: int) -> HttpResponse:
    """A second admin lets wider terms take effect."""
    found, number = _load(pk), read_number(request.POST.get("number", ""))
    seen = read_number(request.POST.get("seen", ""))
    operations.confirm(
        profile=found, number=number, seen=seen, by=signed_in(request), now=clock.now()
    )
    messages.success(request, f"Confirmed: “{found}” has these terms from now on.")
    return redirect("profile", pk)


@require_POST
@requires(permissions.may_operate)
@fresh_groups
def drop_profile(request: HttpRequest, pk: int) -> HttpResponse:
    """Give proposed terms up."""
    found, number = _load(pk), read_number(request.POST.get("number", ""))
    operations.drop(profile=found, number=number, by=signed_in(request), now=clock.now())
    messages.success(request, f"Given up; “{found}” keeps the terms it has.")
    return redirect("profile", pk)
