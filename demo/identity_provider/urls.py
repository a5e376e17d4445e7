"""Every address of the demo's identity provider: its pages, allauth's protocol, the control, the mailbox."""

from django.urls import include, path

from demo.identity_provider import control, pages, views

urlpatterns = [
    path("", views.home, name="home"),
    path("style.css", pages.style, name="style"),
    path("pick", views.pick, name="account_login"),
    path("sign-out", views.sign_out, name="sign_out"),
    path("control/next", control.next_fault),
    path("control/people/<slug:key>", control.person),
    path("mail/", include("demo.mailbox.urls")),
    # Before allauth's own, at the same addresses.
    path("identity/o/authorize", views.authorize),
    path("identity/o/api/token", views.token),
    path("", include("allauth.idp.urls")),
]

handler404 = "demo.identity_provider.views.unknown_page"
