"""What the demo's identity provider is told by its environment. Nothing else here reads the environment."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

PREFIX = "DEMO_IDP_"


@dataclass(frozen=True)
class Configuration:
    """Where it keeps its data, who it is, and the one client it knows."""

    folder: Path
    url: str
    client_id: str
    client_secret: str
    portal_url: str
    mail_folder: Path

    def __repr__(self) -> str:
        return f"Configuration({self.url})"

    @property
    def redirect_uri(self) -> str:
        """The only address people are sent back to."""
        return f"{self.portal_url}/accounts/oidc/sso/login/callback/"


@cache
def configuration() -> Configuration:
    """The configuration of this process. Raises ImproperlyConfigured with the variable's name."""
    folder = Path(_text(f"{PREFIX}DIR"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Configuration(
        folder=folder,
        url=_text(f"{PREFIX}URL"),
        client_id=_text(f"{PREFIX}CLIENT_ID"),
        client_secret=_text(f"{PREFIX}CLIENT_SECRET"),
        portal_url=_text(f"{PREFIX}PORTAL_URL"),
        mail_folder=Path(_text("DEMO_MAIL_DIR")),
    )


def _text(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set. The demo identity provider's environment is made by "
            "demo.identity_provider.process.environment()."
        )
    return value
