"""Asking about a request and answering."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from accounts import clock
from accounts.decorators import fresh_groups, requires, signed_in
from accounts.roles import Role
from tokens import permissions
from tokens.forms.comments import CommentForm
from tokens.operations import comments as operations
from tokens.refusals import Denied, StaleState
from tokens.states import RequestState
from tokens.views.approver import back_of
from tokens.views.requester import form_page, load_request, tried


@requires(Role.AGENT)
@require_http_methods(["GET", "HEAD", "POST"])
@fresh_groups
def comment(request: HttpRequest, pk: int) -> HttpResponse:
    """A page to write on, for who asked and for who decides; what was sent stands on the request."""
    found, user = load_request(request, pk), signed_in(request)
    if not (answer := permissions.may_comment(user, found)):
        if found.state == RequestState.PENDING:
            raise Denied(answer.reason)
        raise StaleState(answer.reason, href=f"/requests/{pk}", label="Open the request")
    form = CommentForm(request.POST or None)
    written = tried(
        form,
        lambda: operations.write(
            access_request=found, words=form.cleaned_data["words"], by=user,
            key=form.cleaned_data["key"], now=clock.now(),
        ),
    )  # fmt: skip
    if not written:
        back = back_of(request)
        return form_page(
            request, "requests/comment.html", form, asked=found, reader=user, back=back
        )
    messages.success(request, "Sent. The other side is told by mail.")
    if back := back_of(request):
        return redirect(f"/{back}")
    return redirect("access_request", pk)
