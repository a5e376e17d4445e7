"""Every address of the demo helpdesk: pages, OAuth, the API, the control."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter

from demo.helpdesk import (
    authorize,
    catalogue,
    control,
    control_faults,
    home,
    people,
    search,
    tickets,
    token_endpoint,
    tokens,
    users,
)
from demo.helpdesk.access import by_method


class WholeConverter(IntConverter):
    """A number no database stumbles over."""

    regex = "[0-9]{1,18}"


register_converter(WholeConverter, "whole")

handler400 = "demo.helpdesk.answers.bad_request"
handler404 = "demo.helpdesk.answers.nothing_here"
handler500 = "demo.helpdesk.answers.server_error"

urlpatterns = [
    path("", home.home),
    path("style.css", home.style),
    path("sign-in", people.sign_in),
    path("oauth/authorizations/new", authorize.new),
    path("oauth/tokens", token_endpoint.tokens),
    path("api/v2/oauth/tokens", by_method(GET=tokens.index)),
    path(
        "api/v2/oauth/tokens/current",
        by_method(GET=tokens.current, DELETE=tokens.delete_current),
    ),
    path(
        "api/v2/oauth/tokens/<whole:token_id>",
        by_method(GET=tokens.show, DELETE=tokens.destroy),
    ),
    path("api/v2/oauth/clients", by_method(GET=tokens.clients)),
    path("api/v2/users", by_method(GET=users.index)),
    path("api/v2/users/me", by_method(GET=users.me)),
    path("api/v2/users/search", by_method(GET=users.search)),
    path("api/v2/users/show_many", by_method(GET=users.show_many)),
    path("api/v2/users/<whole:user_id>", by_method(GET=users.show)),
    path("api/v2/users/<whole:user_id>/identities", by_method(GET=users.identities)),
    path("api/v2/tickets", by_method(GET=tickets.index)),
    path("api/v2/tickets/<whole:ticket_id>", by_method(GET=tickets.show, PUT=tickets.update)),
    path("api/v2/tickets/<whole:ticket_id>/comments", by_method(GET=tickets.comments)),
    path("api/v2/search", by_method(GET=search.index)),
    path("api/v2/ticket_fields", by_method(GET=catalogue.ticket_fields)),
    path("api/v2/macros", by_method(GET=catalogue.macros)),
    path("api/v2/groups", by_method(GET=catalogue.groups)),
    path("control/time", control.guarded(GET=control.read_time, POST=control.set_time)),
    path(
        "control/faults",
        control.guarded(GET=control_faults.list_faults, POST=control_faults.set_faults),
    ),
    path(
        "control/weather",
        control.guarded(GET=control_faults.show_weather, POST=control_faults.set_weather),
    ),
    path("control/whose", control.guarded(POST=control.whose)),
    path("control/events", control.guarded(GET=control.list_events)),
    path("control/users/<whole:user_id>", control.guarded(POST=control.change_user)),
    path("control/tokens", control.guarded(GET=control.list_tokens)),
    path("control/tokens/<whole:token_id>", control.guarded(POST=control.change_token)),
    path("control/tokens/<whole:token_id>/expire", control.guarded(POST=control.expire_token)),
    path("control/tokens/<whole:token_id>/delete", control.guarded(POST=control.delete_token)),
]
