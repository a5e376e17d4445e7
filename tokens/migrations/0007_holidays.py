from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tokens", "0006_questions_and_answers")]

    operations = [
        migrations.CreateModel(
            name="Holiday",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(unique=True)),
                ("name", models.CharField(max_length=60)),
            ],
        ),
    ]
