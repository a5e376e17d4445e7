import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """What is added to a message is empty in the rows of processes that do not know it yet."""

    dependencies = [
        ("tokens", "0009_leads_and_passing_on"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="MailChoice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "how",
                    models.CharField(
                        choices=[
                            ("at_once", "At once, as it happens"),
                            ("daily", "One mail a day, at eight in the morning"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mail_choice",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="notification",
            name="bundle",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="notification",
            name="destination",
            field=models.CharField(blank=True, db_default="", default="", max_length=40),
        ),
        migrations.AddField(
            model_name="notification",
            name="failure",
            field=models.CharField(
                blank=True,
                choices=[("away", "Away"), ("refused", "Refused")],
                db_default="",
                default="",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="given_up_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="notification",
            name="recipient",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(sent_at__isnull=True, bundle__isnull=False),
                fields=["bundle"],
                name="messages_tried",
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(
                condition=~models.Q(destination=""),
                fields=("event", "destination"),
                name="one_message_per_destination",
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.CheckConstraint(
                condition=models.Q(recipient__isnull=False, destination="")
                | models.Q(recipient__isnull=True) & ~models.Q(destination=""),
                name="a_message_has_one_addressee",
            ),
        ),
    ]
