"""What time it is: the database's time, so that web and workers cannot disagree.

Every decision takes `now` as an argument; the edges (views, tasks, commands) ask here, once. A
process's own time is for display and for measuring how long something took.
"""

from datetime import UTC, datetime

from django.db import connection

from accounts.models import User


def now() -> datetime:
    """The database's time, aware UTC, to the microsecond (SQLite: to the millisecond)."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
            return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment.astimezone(UTC)


def of_page(user: User) -> datetime:
    """The time a page that is only read was asked for: what came with its reader, so that it costs no query."""
    return user.read_at or now()
