"""The addresses people come and go by. allauth's own are not mounted, so what is not here is a 404.

The names without a namespace are those allauth asks for.
"""

from django.urls import include, path

from accounts import views

_named = [
    path("confirm/", views.reauthenticate, name="reauthenticate"),
    path("send-again/", views.send_again, name="send_again"),
]

urlpatterns = [
    path("login/", views.sign_in, name="account_login"),
    path("logout/", views.sign_out, name="account_logout"),
    path("oidc/<slug:provider_id>/login/", views.to_provider, name="openid_connect_login"),
    path(
        "oidc/<slug:provider_id>/login/callback/",
        views.from_provider,
        name="openid_connect_callback",
    ),
    path("", include((_named, "accounts"))),
]
