"""`manage.py rotate_sealing_keys`: seal again, under the newest keys, whatever is sealed under older ones."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from tokens.operations import sealed


class Command(BaseCommand):
    help = "Seal every secret again under the newest keys. Run where both rings are set."

    def handle(self, *_: Any, **__: Any) -> None:
        done = sealed.seal_again()
        self.stdout.write(f"{done.sealed} secrets sealed again")
        for line in done.unopened:
            self.stdout.write(line)
        if done.unopened:
            sys.exit(1)
