"""How is the demo's mail received? A process of its own; needs no Django."""

import sys
from pathlib import Path


def command(port: int, folder: Path) -> list[str]:
    """aiosmtpd on loopback, writing each mail into a Maildir at `folder`."""
    return [
        sys.executable, "-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{port}",
        "-c", "aiosmtpd.handlers.Mailbox", str(folder),
    ]  # fmt: skip
