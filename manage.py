#!/usr/bin/env python
"""Keydesk's command line. `demo` prepares its own environment before the settings are read."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured


def main() -> None:
    """Run one management command. A setting that is missing or makes no sense is one sentence."""
    if len(sys.argv) > 1 and sys.argv[1] == "demo":
        from demo.environment import prepare  # the demo alone may be missing in production

        prepare()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
