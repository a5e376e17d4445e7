"""`/api/v2/users`: me, by id, search, many, by role, identities. Agents and administrators may read."""

from functools import partial

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse

from demo.helpdesk import paging, shapes
from demo.helpdesk.access import Caller, has_credential, needs
from demo.helpdesk.answers import bad_parameter, not_found
from demo.helpdesk.models import ADMIN, AGENT, END_USER, HelpdeskUser


def me(request: HttpRequest) -> HttpResponse:
    """The caller. Zendesk's trap: without a credential it answers 200 and an anonymous user."""
    if not has_credential(request):
        return JsonResponse({"user": shapes.ANONYMOUS})
    return _myself(request)


@needs("users:read")
def _myself(request: HttpRequest, caller: Caller) -> HttpResponse:
    return JsonResponse({"user": shapes.user(request, caller.user)})


@needs("users:read")
def index(request: HttpRequest, _caller: Caller) -> HttpResponse:
    """Users, of the roles named if any is named."""
    roles = request.GET.getlist("role[]") + request.GET.getlist("role")
    rows = HelpdeskUser.objects.filter(active=True)
    if roles:
        rows = rows.filter(role__in=_known(roles))
    return _page(request, rows)


@needs("users:read")
def show(request: HttpRequest, _caller: Caller, user_id: int) -> HttpResponse:
    """One user by id; a deleted one too, marked inactive, as Zendesk does."""
    return JsonResponse({"user": shapes.user(request, _found(user_id))})


@needs("users:read")
def search(request: HttpRequest, _caller: Caller) -> HttpResponse:
    """By `external_id`, exactly; or by `query`, partially: the caller has to compare."""
    rows = HelpdeskUser.objects.filter(active=True)
    if "external_id" in request.GET:
        return _page(request, rows.filter(external_id=request.GET["external_id"]))
    if "query" not in request.GET:
        raise bad_parameter("query", "Say query or external_id.")
    return _page(request, rows.filter(matching(request.GET["query"])))


def matching(query: str) -> Q:
    """Users of whom name, address or external id contain what `query` says: partial matches."""
    found = Q()
    for word in query.replace('"', "").split():
        field, colon, text = word.partition(":")
        if colon and field in {"email", "name", "external_id", "role"}:
            found &= Q(**{f"{field}__icontains": text})
        elif word != "type:user":
            found &= Q(name__icontains=word) | Q(email__icontains=word)
    return found


@needs("users:read")
def show_many(request: HttpRequest, _caller: Caller) -> HttpResponse:
    """Up to a hundred users by `ids` or `external_ids`; the ones that do not exist are left out."""
    if "external_ids" in request.GET:
        keys = _few(request.GET["external_ids"])
        return _page(request, HelpdeskUser.objects.filter(external_id__in=keys))
    numbers = [paging.whole_number("ids", word) for word in _few(request.GET.get("ids", ""))]
    return _page(request, HelpdeskUser.objects.filter(id__in=numbers))


@needs("users:read")
def identities(request: HttpRequest, _caller: Caller, user_id: int) -> HttpResponse:
    """The addresses of one user."""
    return paging.answer(
        request, "identities", paging.Fixed([shapes.identity(request, _found(user_id))])
    )


def _found(user_id: int) -> HelpdeskUser:
    user = HelpdeskUser.objects.filter(id=user_id).first()
    if user is None:
        raise not_found()
    return user


def _known(roles: list[str]) -> list[str]:
    if unknown := set(roles) - {END_USER, AGENT, ADMIN}:
        raise bad_parameter("role", f"There is no role {min(unknown)[:40]}.")
    return roles


def _few(words: str) -> list[str]:
    found = [word.strip() for word in words.split(",") if word.strip()]
    if not 1 <= len(found) <= paging.LARGEST_PAGE:
        raise bad_parameter("ids", f"Name between 1 and {paging.LARGEST_PAGE}.")
    return found


def _page(request: HttpRequest, rows: QuerySet[HelpdeskUser]) -> HttpResponse:
    return paging.answer(request, "users", paging.Rows(rows, partial(shapes.user, request)))
