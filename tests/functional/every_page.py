"""Which pages are there to look at, by whose eyes, and which addresses are set apart, and why.

A guard in test_browser_pages.py holds both against the URL configuration.
"""

Rows = dict[tuple[str, str, str], int]
"""Kind, name and state → number, as prepared.py prints them."""

SET_APART = {
    "accounts/send-again/":
        "shows a form that was sent with old groups; test_browser_pages.py sends one and looks",
    "operations/<slug:slug>/confirm":
        "waits for a list after a restored backup; test_browser_operator.py looks at it",
    "queue/approve":
        "asks before several are approved that were ticked; test_browser_pages.py ticks some and looks",
    "queue/changes": "sentences that htmx puts into the queue's page, which is looked at",
}  # fmt: skip

LEADS_ON = {
    "accounts/oidc/<slug:provider_id>/login/", "calendar/<int:pk>/remove", "operations/<slug:slug>/forget",
    "operations/<slug:slug>/inventory", "operations/<slug:slug>/unfreeze", "profiles/<int:pk>/confirm",
    "profiles/<int:pk>/drop", "queue/back", "queue/views", "queue/views/<int:pk>/forget",
}  # fmt: skip
"""Where forms alone are sent that have no page of their own: they lead to one, or to a refusal's."""


def pages_of(rows: Rows) -> dict[str, list[str]]:
    """Person → addresses: each page in each state that lasts, empty ones and refusals too."""
    first: dict[tuple[str, str], int] = {}
    for (kind, _, state), pk in rows.items():
        first.setdefault((kind, state), pk)
    requests = [f"/requests/{pk}" for (kind, _), pk in first.items() if kind == "request"]
    credentials = [f"/credentials/{pk}" for (kind, _), pk in first.items() if kind == "credential"]
    mine = rows["credential", "weekly-csat-export", "active"]
    asked = rows["request", "csat-by-queue", "pending"]
    waits = rows["request", "requeue-stale", "pending"]
    denied = rows["request", "publish-articles", "denied"]
    labels = rows["credential", "sandbox-labels", "awaiting_consent"]
    proposed = rows["profile", "production/read-rules", "proposed"]
    emergency = rows["emergency", "profile", "ordered"]
    return {
        "ada": [
            "/", "/ended", "/messages", "/requests/new", f"/requests/new?renews={mine}", f"/requests/{asked}",
            f"/requests/{asked}/amend", f"/requests/{asked}/withdraw", f"/credentials/{mine}",
            f"/credentials/{mine}/key", f"/credentials/{mine}/secret", f"/credentials/{mine}/replace",
            f"/credentials/{mine}/token", f"/credentials/{mine}/revoke", "/no-such-page", "/queue",
            "/helpdesks/production/callback?state=wrong&code=wrong", "/accounts/logout/",
            "/accounts/confirm/?next=/ended", "/accounts/oidc/sso/login/callback/?error=access_denied",
        ],
        "june": [
            "/queue", "/queue?text=nothing-fits-this", f"/requests/{waits}", f"/requests/{waits}/comment",
            "/queue?view=all&risk=high", "/queue?view=decided", "/queue/away",
            f"/requests/{asked}/narrow", f"/requests/{asked}/deny", f"/requests/{asked}/approve",
            f"/requests/{denied}/approve",
        ],
        "noor": [f"/credentials/{labels}", f"/credentials/{labels}/connect"],
        "omar": [
            "/inventory", "/audit", "/queue", "/operations", "/operations/production/freeze",
            "/calendar", "/profiles", "/profiles/1", "/profiles/1/edit", f"/profiles/{proposed}",
            "/emergencies", "/emergencies?subject=helpdesk:1", f"/emergencies/{emergency}", *requests, *credentials,
        ],
        "zoe": ["/", "/ended", "/requests/new"],
        "nobody": ["/accounts/login/", "/accounts/login/?next=/queue"],
    }  # fmt: skip
