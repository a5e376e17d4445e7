"""Which scopes the helpdesk knows, what they cover and how they read in words.

The names are Zendesk's: `resource:read`, `resource:write`, a bare resource for both, and bare `read`
and `write` for every resource. Writing does not include reading.
"""

from collections.abc import Iterable

BOTH_WAYS = (
    "tickets",
    "users",
    "organizations",
    "hc",
    "apps",
    "triggers",
    "automations",
    "targets",
    "webhooks",
    "macros",
    "requests",
    "satisfaction_ratings",
    "dynamic_content",
    "account_settings",
    "brands",
    "custom_objects",
    "deletion_schedules",
    "groups",
    "sla_policies",
    "ticket_attachments",
    "ticket_views",
    "themes",
    "zis",
)
READ_ONLY = ("auditlogs", "security")
WRITE_ONLY = ("any_channel", "web_widget")

KNOWN = frozenset(
    ["read", "write"]
    + [f"{name}{way}" for name in BOTH_WAYS for way in ("", ":read", ":write")]
    + [f"{name}:read" for name in READ_ONLY]
    + [f"{name}:write" for name in WRITE_ONLY]
)
_NAMES = {"hc": "help center", "zis": "integration services", "auditlogs": "audit logs"}
_WIDE = {"read": "Read everything you can see", "write": "Change everything you can change"}


def unknown_in(scopes: Iterable[str]) -> list[str]:
    """The names the helpdesk does not know, in the order given."""
    return [scope for scope in scopes if scope not in KNOWN]


def covers(granted: Iterable[str], needed: str) -> bool:
    """Whether a token with the scopes `granted` may do what needs the one scope `needed`."""
    resource, _, way = needed.partition(":")
    enough = {needed, resource, way} if way else {needed}
    return not enough.isdisjoint(granted)


def in_words(scope: str) -> str:
    """A scope as a person reads it on the consent page."""
    if scope in _WIDE:
        return _WIDE[scope]
    resource, _, way = scope.partition(":")
    name = _NAMES.get(resource, resource.replace("_", " "))
    verb = {"read": "Read", "write": "Change", "": "Read and change"}[way]
    return f"{verb} {name}"
