"""The Django app of the demo helpdesk."""

from django.apps import AppConfig


class DemoHelpdesk(AppConfig):
    """One helpdesk with its tables."""

    name = "demo.helpdesk"
    label = "demo_helpdesk"
    verbose_name = "Demo helpdesk"
