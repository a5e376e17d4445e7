"""Tokens that are not what was asked for: really so on the helpdesk, and told so."""

from collections.abc import Callable
from dataclasses import replace

from django.http import HttpRequest, HttpResponseBase

from demo.helpdesk.calls import call_of
from demo.helpdesk.faults.fits import makes_a_pair, makes_a_token
from demo.helpdesk.faults.kind import Act, Kind, Next
from demo.helpdesk.issuing import Draft
from demo.helpdesk.models import Fault, HelpdeskUser

Bend = Callable[[Fault, Draft], Draft]
_LATER = 3_600
_WIDER = ("users:write", "tickets:write", "macros:read", "groups:read")


def _bends(bend: Bend) -> Act:
    """The token made by this request is bent."""

    def act(fault: Fault, request: HttpRequest, go_on: Next) -> HttpResponseBase:
        call_of(request).twists.append(lambda draft: bend(fault, draft))
        return go_on(request)

    return act


def _other_user(_fault: Fault, draft: Draft) -> Draft:
    others = HelpdeskUser.objects.filter(active=True, role="agent").exclude(id=draft.user.id)
    return replace(draft, user=others.order_by("id").first() or draft.user)


def _wider_scopes(_fault: Fault, draft: Draft) -> Draft:
    more = next((one for one in _WIDER if one not in draft.scopes), "write")
    return replace(draft, scopes=(*draft.scopes, more))


def _narrower_scopes(_fault: Fault, draft: Draft) -> Draft:
    return replace(draft, scopes=draft.scopes[:-1])


def _no_expiry(_fault: Fault, draft: Draft) -> Draft:
    return replace(draft, access_seconds=None)


def _later_expiry(fault: Fault, draft: Draft) -> Draft:
    return replace(draft, access_seconds=(draft.access_seconds or 0) + _more(fault))


def _no_refresh_expiry(_fault: Fault, draft: Draft) -> Draft:
    return replace(draft, refresh_seconds=None)


def _later_refresh_expiry(fault: Fault, draft: Draft) -> Draft:
    return replace(draft, refresh_seconds=(draft.refresh_seconds or 0) + _more(fault))


def _dead_access(_fault: Fault, draft: Draft) -> Draft:
    return replace(draft, is_stillborn=True)


def _more(fault: Fault) -> int:
    return int(_LATER if fault.seconds is None else fault.seconds)


KINDS = {
    "other_user": Kind(_bends(_other_user), makes_a_pair),
    "wider_scopes": Kind(_bends(_wider_scopes), makes_a_pair),
    "narrower_scopes": Kind(_bends(_narrower_scopes), makes_a_pair),
    "no_expiry": Kind(_bends(_no_expiry), makes_a_token),
    "later_expiry": Kind(_bends(_later_expiry), makes_a_pair),
    "no_refresh_expiry": Kind(_bends(_no_refresh_expiry), makes_a_pair),
    "later_refresh_expiry": Kind(_bends(_later_refresh_expiry), makes_a_pair),
    "dead_access": Kind(_bends(_dead_access), makes_a_pair),
}
