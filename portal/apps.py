"""The composition root as an app: it registers the system checks."""

from importlib import import_module

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        """Register the checks of portal/checks.py."""
        import_module("portal.checks")
