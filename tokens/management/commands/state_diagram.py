"""`manage.py state_diagram [--check]`: draw the machines of tokens/states.py as docs/states.md."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tokens.states import ACCESS_REQUEST, CREDENTIAL, GRANT, Move

HEAD = """# States

Drawn by `manage.py state_diagram` from `tokens/states.py`; `make check` refuses a stale copy.
"""
MACHINES = (("Access request", ACCESS_REQUEST), ("Credential", CREDENTIAL), ("Grant", GRANT))


def draw() -> str:
    """All machines as Mermaid diagrams in one page."""
    return "\n".join([HEAD, *(_machine(name, moves) for name, moves in MACHINES)])


def _machine(name: str, moves: tuple[Move, ...]) -> str:
    lines = [f"## {name}", "", "```mermaid", "stateDiagram-v2"]
    for move in moves:
        label = f"{move.action} ({', '.join(move.by)})"
        for source in move.sources or ("[*]",):
            lines += [f"    {source} --> {target}: {label}" for target in move.targets]
    starts = {source for move in moves for source in move.sources}
    ends = sorted({t for move in moves for t in move.targets} - starts)
    lines += [f"    {end} --> [*]" for end in ends]
    return "\n".join([*lines, "```", ""])


class Command(BaseCommand):
    help = "Draw the state machines into docs/states.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only say whether it is current")

    def handle(self, *_: Any, **options: Any) -> None:
        path = Path(settings.BASE_DIR) / "docs" / "states.md"
        if not options["check"]:
            path.write_text(draw())
        elif not path.exists() or path.read_text() != draw():
            raise CommandError("docs/states.md is stale; run manage.py state_diagram.")
