"""Out of office: who decides in one's place."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts import clock
from accounts.absence import stand_in_of
from accounts.decorators import fresh_groups, requires, signed_in
from tokens import permissions
from tokens.forms.absence import AwayForm
from tokens.operations import absence as operations
from tokens.queries.requests import other_people
from tokens.views.requester import form_page, tried


@require_http_methods(["GET", "HEAD", "POST"])
@requires(permissions.may_name_stand_in)
@fresh_groups
def away(request: HttpRequest) -> HttpResponse:
    """Who stands in for the reader, and a form to name somebody."""
    now, user = clock.now(), signed_in(request)
    form = AwayForm(request.POST or None, by=user, initial={"first": timezone.localdate(now)})
    named = tried(
        form,
        lambda: operations.name_stand_in(
            away=user, instead=form.cleaned_data["instead"],
            starts_at=form.starts_at, ends_at=form.ends_at, now=now,
        ),
    )  # fmt: skip
    if named:
        messages.success(request, f"{named.instead} decides in your place.")
        return redirect("away")
    return form_page(
        request, "queue/away.html", form,
        stand_in=stand_in_of(user), people=other_people(user), now=now,
    )  # fmt: skip


@require_POST
@requires(permissions.decides_something)
@fresh_groups
def back(request: HttpRequest) -> HttpResponse:
    """The reader is back."""
    operations.be_back(away=signed_in(request), now=clock.now())
    return redirect("away")
