"""The tokens app."""

from importlib import import_module

from django.apps import AppConfig


class TokensConfig(AppConfig):
    name = "tokens"

    def ready(self) -> None:
        """Listen to sign-ins, once the models are there."""
        import_module("tokens.signals")
