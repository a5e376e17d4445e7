"""The table of faults in docs/resilience.md: does each name a test that exists and a rule that the judge has?"""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.resilience.oracle.rules import NAMES
from tests.stack import ROOT

TEXT = (ROOT / "docs" / "resilience.md").read_text()
CODE = re.compile(r"`([^`]+)`")
NAMED = {
    "*storm*": "resilience/test_storm.py::test_twenty_kills_and_a_handful_of_faults_break_no_promise",
    "*anywhere*": "resilience/test_faults_anywhere.py"
    "::test_a_fault_anywhere_in_a_life_leaves_nothing_and_does_nothing_twice",
}
"""Short names, as the text before the table says."""


def rows() -> list[tuple[str, str, str]]:
    """Fault, what makes it, what sees it; without the lines that only head a group."""
    table = TEXT.split("## Faults to survive")[1].split("\n## ")[0]
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    return [(row[0], row[1], row[2]) for row in found[2:] if not row[0].startswith("**")]


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of a file's tests."""
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def named_in(cell: str) -> Iterator[tuple[str, str]]:
    """Each file and name that a cell gives."""
    for word in (*CODE.findall(cell), *(NAMED[name] for name in NAMED if name in cell)):
        if "::" in word:
            path, _, name = word.partition("::")
            yield path, name


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_the_table_names_tests_that_exist(row: tuple[str, str, str]) -> None:
    fault, made, seen = row
    found = list(named_in(made))
    for path, name in found:
        assert name in names_in(path), f"{fault}: {path} has no {name}"
    for path in (word for word in CODE.findall(made) if word.startswith("bench/")):
        assert (ROOT / path).exists(), path
    assert found or "too long for a test" in made, f"{fault} is made by nothing"
    assert seen == "–" or CODE.findall(seen), f"{fault}: say which rule sees it, or a dash"
    assert set(CODE.findall(seen)) <= set(NAMES)


def test_the_table_is_whole() -> None:
    """Nobody shortens it without meaning to; each rule is explained once and of use to some fault."""
    assert len(rows()) >= 58
    assert len({fault for fault, _, _ in rows()}) == len(rows())
    explained = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert sorted(explained) == sorted(NAMES)
    used = {rule for _, _, seen in rows() for rule in CODE.findall(seen)}
    assert used == set(NAMES)


def test_the_short_names_are_those_of_the_text() -> None:
    for path in NAMED.values():
        assert f"`{path}`" in TEXT


def test_there_is_one_place_for_results() -> None:
    assert re.findall(r"<!-- (/?results) -->", TEXT) == ["results", "/results"]
