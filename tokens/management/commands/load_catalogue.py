"""`manage.py load_catalogue [FILE]`: load scopes and access profiles from a file an admin may edit."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import clock
from tokens.operations import catalogue
from tokens.refusals import Invalid

STARTER = Path(__file__).resolve().parents[2] / "catalogue" / "zendesk.json"


class Command(BaseCommand):
    help = "Load scopes and access profiles; changed profiles get a new version."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", default=str(STARTER), help="a JSON file")

    def handle(self, *_: Any, **options: Any) -> None:
        path = Path(options["file"])
        try:
            contents = json.loads(path.read_text())
            lines = catalogue.load(catalogue=contents, now=clock.now())
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise CommandError(f"{path} is no UTF-8 text.") from error
        except json.JSONDecodeError as error:
            raise CommandError(f"{path} is no JSON, line {error.lineno}: {error.msg}.") from error
        except Invalid as refused:
            raise CommandError(refused.sentence) from refused
        for line in lines or ["Nothing has changed."]:
            self.stdout.write(line)
