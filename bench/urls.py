"""The portal's addresses, and the admin's list of the rows that stand in the queue, as one would set it up."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import path

from portal.urls import handler400, handler403, handler404, handler500
from portal.urls import urlpatterns as portals
from tokens.models import AccessRequest

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


class Site(admin.AdminSite):
    """Open to whoever is signed in: the bench measures lists, not rights."""

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_authenticated


class Requests(admin.ModelAdmin):
    """What the queue shows of a request, in the queue's order, fifty a page."""

    list_display = (
        "requester", "profile_version", "script_name", "helpdesk", "scopes", "approvals", "days", "revised_at",
        "decide_by",
    )  # fmt: skip
    list_select_related = ("requester", "profile_version__profile__helpdesk")
    list_filter = ("state",)
    list_per_page = 50
    ordering = ("decide_by", "id")
    search_fields = ("script_name", "purpose", "requester__name", "requester__email")

    @admin.display
    def helpdesk(self, row: AccessRequest) -> str:
        return str(row.profile_version.profile.helpdesk)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return True

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


site = Site(name="admin")
site.register(AccessRequest, Requests)
urlpatterns = [*portals, path("admin/", site.urls)]
