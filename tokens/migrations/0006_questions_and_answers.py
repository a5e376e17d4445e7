import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tokens", "0005_what_a_scope_lets_a_role_do"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Comment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("words", models.CharField(max_length=500)),
                ("submission_key", models.CharField(max_length=64, unique=True)),
                ("at", models.DateTimeField()),
                ("access_request", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="comments", to="tokens.accessrequest")),
                ("author", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "indexes": [models.Index(fields=["access_request", "-id"], name="comments_on_a_request")],
            },
        ),
    ]
