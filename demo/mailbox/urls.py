"""The mailbox's pages, mounted by the demo's identity provider."""

from django.urls import path

from demo.mailbox import views

urlpatterns = [
    path("", views.mails, name="mails"),
    path("<str:key>", views.mail, name="mail"),
]
