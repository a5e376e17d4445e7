"""Token ids start high, as on a helpdesk that has been in use; the event log is append-only."""

from django.db import migrations

_REFUSE = """
CREATE TRIGGER demo_helpdesk_event_no_{what} BEFORE {what} ON demo_helpdesk_event
BEGIN SELECT RAISE(ABORT, 'The event log is append-only.'); END
"""


class Migration(migrations.Migration):
    dependencies = [("demo_helpdesk", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('demo_helpdesk_token', 14000000)",
            "DELETE FROM sqlite_sequence WHERE name = 'demo_helpdesk_token'",
        ),
        *(
            migrations.RunSQL(
                _REFUSE.format(what=what), f"DROP TRIGGER demo_helpdesk_event_no_{what}"
            )
            for what in ("update", "delete")
        ),
    ]
