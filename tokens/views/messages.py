"""How one is written to."""

from django.contrib import messages as said
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from accounts import clock
from accounts.decorators import requires, signed_in
from accounts.roles import Role
from tokens.forms.messages import MailForm
from tokens.models import MailChoice
from tokens.mornings import next_morning
from tokens.notifications import zone_of
from tokens.operations import messages as operations
from tokens.queries import messages as queries
from tokens.views.requester import form_page


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Role.AGENT)
def messages(request: HttpRequest) -> HttpResponse:
    """Choose between mail at once and one mail a day."""
    now, user = clock.now(), signed_in(request)
    sent = request.POST if request.method == "POST" else None
    form = MailForm(sent, initial={"how": queries.mail_choice(user)})
    if form.is_valid():
        how = MailChoice.How(form.cleaned_data["how"])
        operations.choose(how=how, by=user, now=now)
        said.success(request, f"Saved: {how.label[:1].lower()}{how.label[1:]}.")
        return redirect("messages")
    return form_page(
        request, "messages.html", form, user=user, now=now,
        waiting=queries.waiting_for_a_daily_mail(user, now=now),
        next_mail=next_morning(now, zone_of(user)),
    )  # fmt: skip
