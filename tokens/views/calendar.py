"""The portal's calendar: which days count for the clocks of requests."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts import clock
from accounts.decorators import fresh_groups, requires, signed_in
from tokens import permissions
from tokens.forms.holidays import HolidayForm
from tokens.operations import holidays as operations
from tokens.presenters.words import span_words, weekdays_words
from tokens.queries import calendar as queries
from tokens.views.requester import form_page, tried


@require_http_methods(["GET", "HEAD", "POST"])
@requires(permissions.may_operate)
@fresh_groups
def calendar(request: HttpRequest) -> HttpResponse:
    """The days that are not worked, and a form to enter another."""
    now, form = clock.now(), HolidayForm(request.POST or None)
    today = timezone.localdate(now, queries.calendar().zone)
    added = tried(
        form,
        lambda: operations.add(
            day=form.cleaned_data["day"], name=form.cleaned_data["name"], by=signed_in(request),
            today=today, now=now,
        ),
    )  # fmt: skip
    if added:
        return redirect("calendar")
    return form_page(
        request, "operator/calendar.html", form,
        holidays=queries.holidays_from(today), weekdays=weekdays_words(), now=now,
        decide=span_words(settings.DECIDE_WITHIN),
        connect=span_words(settings.CONNECT_BY_WITHIN),
    )  # fmt: skip


@require_POST
@requires(permissions.may_operate)
@fresh_groups
def remove_holiday(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a day a working day again."""
    holiday = queries.holiday_by_id(pk)
    if holiday is None:
        raise Http404("There is no such day; somebody may have taken it out.")
    operations.remove(holiday=holiday, by=signed_in(request), now=clock.now())
    return redirect("calendar")
