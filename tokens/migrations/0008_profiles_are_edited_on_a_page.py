import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tokens", "0007_holidays")]

    operations = [
        migrations.AddField(
            model_name="accessprofile",
            name="proposed",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tokens.profileversion"
            ),
        ),
    ]
