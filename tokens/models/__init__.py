"""The tables. Each file answers one question; what a row may become stands in states.py."""

from tokens.models.calendar import Holiday
from tokens.models.catalogue import AccessProfile, Helpdesk, ProfileVersion, Scope
from tokens.models.credentials import ClientSecret, Connection, Credential, Fetch, Grant
from tokens.models.emergencies import Emergency
from tokens.models.messages import MailChoice, Notification, NotificationQuerySet
from tokens.models.people import HelpdeskLink, HelpdeskUser
from tokens.models.requests import AccessRequest, Comment, Decision
from tokens.models.views import SavedView
from tokens.models.work import Heartbeat, InventoryRun, Job, SeenToken

__all__ = [
    "AccessProfile",
    "AccessRequest",
    "ClientSecret",
    "Comment",
    "Connection",
    "Credential",
    "Decision",
    "Emergency",
    "Fetch",
    "Grant",
    "Heartbeat",
    "Helpdesk",
    "HelpdeskLink",
    "HelpdeskUser",
    "Holiday",
    "InventoryRun",
    "Job",
    "MailChoice",
    "Notification",
    "NotificationQuerySet",
    "ProfileVersion",
    "SavedView",
    "Scope",
    "SeenToken",
]
