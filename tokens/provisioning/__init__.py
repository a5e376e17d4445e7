"""What workers do on the helpdesk, a job at a time. Only the commands `verify` and `check_helpdesk` call connectors too.

Every step is safe to repeat after a crash: what was committed before it is read again first.
"""

from tokens.provisioning.ending import close, confirm
from tokens.provisioning.inventory import inventory
from tokens.provisioning.issuing import exchange, refresh
from tokens.provisioning.line import Later, Line, open_line
from tokens.provisioning.people import link

__all__ = [
    "Later",
    "Line",
    "close",
    "confirm",
    "exchange",
    "inventory",
    "link",
    "open_line",
    "refresh",
]
