from django.db import migrations, models

ROLES = [("light agent", "Light Agent"), ("agent", "Agent"), ("admin", "Admin")]


class Migration(migrations.Migration):
    dependencies = [("tokens", "0004_a_queue_of_a_million")]

    operations = [
        migrations.AddField(
            model_name="scope",
            name="least_role",
            field=models.CharField(choices=ROLES, db_default="light agent", default="light agent", max_length=12),
        ),
        migrations.AddField(
            model_name="scope",
            name="light_words",
            field=models.CharField(blank=True, db_default="", default="", max_length=80),
        ),
    ]
