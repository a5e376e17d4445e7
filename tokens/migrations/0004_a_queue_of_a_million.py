"""Tables and indexes for a queue that costs the same whatever waits: see docs/adr/0011."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def copy_groups(apps, schema_editor):
    requests = apps.get_model("tokens", "AccessRequest").objects
    versions = apps.get_model("tokens", "ProfileVersion").objects
    group = versions.filter(pk=OuterRef("profile_version_id")).values("approver_group")
    requests.update(approver_group=Subquery(group[:1]))


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0003_who_was_refused"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="accessrequest",
            name="approver_group",
            field=models.CharField(db_default="", default="", max_length=255),
        ),
        migrations.RunPython(copy_groups, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="accessrequest",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["approver_group", "decide_by", "id"],
                name="requests_a_group_decides",
            ),
        ),
        migrations.AddIndex(
            model_name="accessrequest",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", False)),
                fields=["-ended_at", "-id"],
                name="requests_decided",
            ),
        ),
        migrations.AddIndex(
            model_name="accessrequest",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", False)),
                fields=["approver_group", "-ended_at", "-id"],
                name="requests_a_group_decided",
            ),
        ),
        migrations.AddIndex(
            model_name="credential",
            index=models.Index(fields=["state", "-id"], name="credentials_by_state"),
        ),
        migrations.AddIndex(
            model_name="credential",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", True)), fields=["-id"], name="credentials_not_ended"
            ),
        ),
        migrations.AddIndex(
            model_name="credential",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", True)), fields=["acts_as"], name="credentials_held_as"
            ),
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=40)),
                ("query", models.CharField(max_length=2000)),
                ("user", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="saved_views", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "name"), name="one_view_per_name")],
            },
        ),
    ]
