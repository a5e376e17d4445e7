"""Every address of the portal."""

from django.conf import settings
from django.urls import include, path

from portal import gallery, health

urlpatterns = [
    path("", include("tokens.urls")),
    path("accounts/", include("accounts.urls")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
if settings.DEBUG:
    urlpatterns.append(path("ui", gallery.gallery, name="ui"))

handler400 = "portal.errors.bad_request"
handler403 = "portal.errors.forbidden"
handler404 = "portal.errors.not_found"
handler500 = "portal.errors.server_error"
