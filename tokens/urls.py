"""Every address of the tokens app. Pages for people first, then what machines call."""

from django.urls import path

from tokens.views import (
    approver,
    credentials,
    emergencies,
    machine,
    operations,
    operator,
    queue,
    requester,
)

urlpatterns = [
    path("", requester.my_access, name="my_access"),
    path("ended", requester.ended, name="ended"),
    path("requests/new", requester.ask, name="ask"),
    path("requests/<int:pk>", requester.access_request, name="access_request"),
    path("requests/<int:pk>/amend", requester.amend, name="amend"),
    path("requests/<int:pk>/withdraw", requester.withdraw, name="withdraw"),
    path("queue", queue.queue, name="queue"),
    path("queue/views", queue.save_view, name="save_view"),
    path("queue/views/<int:pk>/forget", queue.forget_view, name="forget_view"),
    path("requests/<int:pk>/approve", approver.approve, name="approve"),
    path("requests/<int:pk>/narrow", approver.narrow, name="narrow"),
    path("requests/<int:pk>/deny", approver.deny, name="deny"),
    path("credentials/<int:pk>", credentials.credential, name="credential"),
    path("credentials/<int:pk>/connect", credentials.connect, name="connect"),
    path("credentials/<int:pk>/key", credentials.key, name="key"),
    path("credentials/<int:pk>/secret", credentials.new_secret, name="new_secret"),
    path("credentials/<int:pk>/replace", credentials.replace_now, name="replace_now"),
    path("credentials/<int:pk>/token", credentials.take_token, name="take_token"),
    path("credentials/<int:pk>/revoke", credentials.revoke, name="revoke"),
    path("helpdesks/<slug:slug>/callback", credentials.callback, name="callback"),
    path("inventory", operator.inventory, name="inventory"),
    path("audit", operator.audit, name="audit"),
    path("operations", operations.operations, name="operations"),
    path("operations/<slug:slug>/freeze", operations.freeze, name="freeze"),
    path("operations/<slug:slug>/unfreeze", operations.unfreeze, name="unfreeze"),
    path("operations/<slug:slug>/inventory", operations.take_inventory, name="take_inventory"),
    path("operations/<slug:slug>/forget", operations.forget_capability, name="forget_capability"),
    path("operations/<slug:slug>/confirm", operations.confirm_inventory, name="confirm_inventory"),
    path("emergencies", emergencies.emergencies, name="emergencies"),
    path("emergencies/<int:pk>", emergencies.emergency, name="emergency"),
    path("oauth/token", machine.token, name="token"),
    path(".well-known/oauth-authorization-server", machine.metadata, name="oauth_metadata"),
]
