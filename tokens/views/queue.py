"""The queue: what waits for whom, narrowed as its address says, one request opened beside the list."""

from datetime import datetime
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import clock
from accounts.absence import absent_of
from accounts.decorators import fresh_groups, has_fresh_groups, requires, signed_in
from accounts.models import User
from accounts.together import Prepared, Read
from tokens import permissions
from tokens.forms.queue import QueueForm, SaveViewForm, read_shown
from tokens.operations import views as operations
from tokens.presenters import queue as presenters
from tokens.presenters import requests as request_presenters
from tokens.presenters.around import around, queue_reader
from tokens.presenters.history import sentence_of
from tokens.queries import deciding
from tokens.queries import queue as queries
from tokens.queries.listed import Listed
from tokens.refusals import Invalid

ASK_NO_MORE = 286
"""The status by which htmx ends asking again and again; https://htmx.org/attributes/hx-trigger/."""


@requires(permissions.may_use_queue)
@require_safe
@fresh_groups
def queue(request: HttpRequest) -> HttpResponse:
    """The requests of a view, the one to be decided first on top. Five queries, however many there are."""
    user = signed_in(request)
    now, reader = clock.of_page(user), queue_reader(user)
    view, after = presenters.view_named(request.GET.get("view", "")), request.GET.get("after", "")
    edges = queries.edges(reader, view, after=after, now=now)
    read = around(user, now=now, beside={**edges, **_beside(request, user)})
    request.around = read  # type: ignore[attr-defined]  # for the top bar; see portal/nav.py
    form = QueueForm(request.GET, profiles=read.found["profiles"])
    ends = [row for name in edges for row in read.found[name]]
    page = queries.page(reader, form.filters, after=after, edges=ends, now=now)
    chosen = _chosen(page.rows, request.GET.get("selected", ""))
    rows, card = _shown(page.rows, chosen, user, now=now) if chosen else ([], None)
    context = {
        "rows": rows, "card": card,
        "bar": presenters.bar(form.filters, form.address, read, reader),
        "may_tick": presenters.may_tick(rows, view, reader),
        "links": presenters.links(request.GET, page.rows, chosen),
        "form": form, "page": page, "reader": reader, "now": now, "absent": absent_of(user),
        "may_be_away": bool(permissions.may_name_stand_in(user)),
    }  # fmt: skip
    return render(request, "queue/queue.html", context)


def _beside(request: HttpRequest, user: User) -> dict[str, Read | Prepared]:
    """What the bar above the list needs."""
    reads: dict[str, Read | Prepared] = {
        "profiles": queries.profiles(), "saved": queries.saved(user)
    }  # fmt: skip
    requester = request.GET.get("requester", "")
    if requester.isascii() and requester.isdigit() and len(requester) < 19:
        reads["person"] = queries.person(int(requester))
    return reads


def _chosen(rows: list[Listed], word: str) -> Listed | None:
    """The row that was chosen, else the first."""
    return next((row for row in rows if str(row.pk) == word), rows[0] if rows else None)


def _shown(
    listed: list[Listed], chosen: Listed, user: User, *, now: datetime
) -> tuple[list[presenters.QueueRow], request_presenters.Card]:
    """What stands in the list, and the card of the row that was chosen."""
    opened, facts = deciding.opened(chosen, user, listed=listed)
    rows = presenters.queue_rows(listed, chosen, facts, now=now)
    return rows, request_presenters.card(opened, user, now=now, facts=facts)


@requires(permissions.may_use_queue)
@require_safe
def changes(request: HttpRequest) -> HttpResponse:
    """What became meanwhile of requests that a page shows: a sentence for each that changed, for htmx.

    To whom it may not be told, since their groups were read too long ago: that the page has to be loaded again.
    """
    user, shown = signed_in(request), read_shown(request.GET.getlist("shown"))
    may_know = has_fresh_groups(user, clock.of_page(user))
    changed = queries.changed(queue_reader(user), shown) if may_know else {}
    found = [(row.pk, sentence_of(event)) for row, event in changed.items()]
    status = HTTPStatus.OK if may_know else ASK_NO_MORE
    return render(
        request, "queue/_changes.html", {"changes": found, "is_old": not may_know}, status=status
    )


@requires(permissions.may_use_queue)
@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the state of the page under a name, and go on there."""
    form = SaveViewForm(request.POST)
    if not form.is_valid():
        raise Invalid(str(next(iter(form.errors.values()))[0]))
    said = form.cleaned_data
    made = operations.keep(name=said["name"], query=said["query"], by=signed_in(request))
    return redirect(f"/queue?{made.query}")


@requires(permissions.may_use_queue)
@require_POST
def forget_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a named state of the page."""
    operations.forget(pk=pk, by=signed_in(request))
    return redirect("queue")
