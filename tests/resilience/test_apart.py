"""The judge shares no code with what it judges: it imports itself, Python's own, and two drivers."""

import ast
import sys
from collections.abc import Iterator

import pytest

from tests.stack import ROOT

ORACLE = "tests.resilience.oracle"
DRIVERS = {"psycopg", "redis"}
BY_A_NAME = {"importlib", "runpy", "pkgutil", "__import__", "exec", "eval"}
"""What imports a module by a text, which nobody reads here."""


def _shared(source: str) -> set[str]:
    """What a module of the judge takes from elsewhere and should not."""
    return {name for name in _taken(source) if not _may_take(name)}


def _may_take(name: str) -> bool:
    is_its_own = name == ORACLE or name.startswith(f"{ORACLE}.")
    first = name.split(".", maxsplit=1)[0]
    return is_its_own or first in DRIVERS or first in sys.stdlib_module_names - BY_A_NAME


def _taken(source: str) -> Iterator[str]:
    """Every module that is imported, wherever it stands, and what would import one by a text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.Name) and node.id in BY_A_NAME:
            yield node.id


def test_the_judge_takes_nothing_from_the_portal_its_demo_or_the_other_tests():
    modules = sorted((ROOT / ORACLE.replace(".", "/")).rglob("*.py"))
    assert len(modules) > 10
    taken = {str(module.relative_to(ROOT)): _shared(module.read_text()) for module in modules}
    assert {name: shared for name, shared in taken.items() if shared} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from tokens.states import GrantState", "import tokens.states as states", "import portal", "from accounts import clock",
        "from demo.people import BY_KEY", "from django.db import models", "from tests.stack import manage",
        "from tests.resilience import oracle, run", "from ..run import Goal",
        "def later():\n    from tokens import policies", "import importlib", "__import__('tokens')",
    ],
)  # fmt: skip
def test_whatever_it_would_take_is_seen(line):
    assert _shared(line)
    assert _shared("import json, sqlite3\nfrom tests.resilience.oracle.times import Times") == set()
