#!/usr/bin/env python
"""Keydesk's command line. `demo` prepares its own environment before the settings are read."""

import os
import sys


def main() -> None:
    """Run one management command."""
    if len(sys.argv) > 1 and sys.argv[1] == "demo":
        from demo.environment import prepare  # the demo alone may be missing in production

        prepare()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
