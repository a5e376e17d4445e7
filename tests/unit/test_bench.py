"""What `make bench` prints and keeps, without measuring anything."""

import re
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench.__main__ import Benchmark, Figure, single

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"bench (\w+) (-?\d+\.\d{3}) goal (\d+(?:\.\d+)?) (ok|short)")
EARLIER = """# Benchmarks

```
bench share 0.910 goal 0.95 short
bench seconds 1.000 goal 2 ok
bench phone 99.000 goal 95 ok
bench forgotten 7.000 goal 8 ok
```
"""
MEASURED = {"share": 0.96, "refused": 0, "seconds": 1.5, "phone": 100}


class Stage:
    """Three benchmarks that measure nothing, and the page they are kept on."""

    def __init__(self, page: Path) -> None:
        self.page, self.ran = page, list[str]()
        self.values: dict[str, float] = dict(MEASURED)
        page.write_text(EARLIER)
        self.benchmarks = {
            "budget": Benchmark(
                lambda folder: self._measured("budget", folder),
                {
                    "share": Figure(0.95, "share used", is_least=True),
                    "refused": Figure(0, "answered with 429"),
                },
            ),
            "phone": Benchmark(
                lambda folder: self._measured("phone", folder),
                {"phone": Figure(95, "of a hundred", is_least=True)},
                is_extra=True,
            ),
            "seconds": single(
                "seconds",
                lambda folder: self._measured("seconds", folder)["seconds"],
                Figure(2, "until it goes on"),
            ),
        }

    def _measured(self, name: str, folder: Path) -> dict[str, float]:
        assert not list(folder.iterdir()), "it gets an empty folder of its own"
        self.ran.append(name)
        return self.values

    def kept(self) -> list[str]:
        return [line for line in self.page.read_text().splitlines() if line.startswith("bench ")]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    made = Stage(tmp_path / "benchmarks.md")
    monkeypatch.setattr(bench, "PAGE", made.page)
    monkeypatch.setattr(bench, "BENCHMARKS", made.benchmarks)
    return made


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """`make bench ONLY=…`, which passes on what ONLY says."""
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    return bench.main()


# --- The line ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "value", "line"),
    [
        (Figure(0.98, "", is_least=True), 0.99, "bench it 0.990 goal 0.98 ok"),
        (Figure(0.98, "", is_least=True), 0.98, "bench it 0.980 goal 0.98 ok"),
        (Figure(0.98, "", is_least=True), 0.97, "bench it 0.970 goal 0.98 short"),
        (Figure(2, ""), 1.9724, "bench it 1.972 goal 2 ok"),
        (Figure(2, ""), 2, "bench it 2.000 goal 2 ok"),
        (Figure(2, ""), 2.001, "bench it 2.001 goal 2 short"),
        (Figure(250, ""), -3.25, "bench it -3.250 goal 250 ok"),
        (Figure(1.0, ""), 0.5, "bench it 0.500 goal 1 ok"),
        (Figure(0, ""), 1, "bench it 1.000 goal 0 short"),
    ],
)
def test_a_line_says_value_goal_and_verdict(figure, value, line):
    assert bench.line("it", figure, value) == line
    assert LINE.fullmatch(line)


def test_the_bound_is_said_from_its_side():
    assert Figure(0.98, "", is_least=True).bound == "at least 0.98"
    assert Figure(250, "").bound == "at most 250"


# --- Which run ---------------------------------------------------------------------------------------


def test_all_run_but_the_extra_one_and_print_a_line_a_figure(stage, monkeypatch, capsys):
    assert run(monkeypatch) == 0
    assert stage.ran == ["budget", "seconds"]
    assert capsys.readouterr().out.splitlines() == [
        "bench share 0.960 goal 0.95 ok",
        "bench refused 0.000 goal 0 ok",
        "bench seconds 1.500 goal 2 ok",
    ]


@pytest.mark.parametrize(
    ("only", "ran"),
    [("seconds", ["seconds"]), ("refused", ["budget"]), ("phone", ["phone"]), ("", ["budget", "seconds"])],
)  # fmt: skip
def test_only_names_a_benchmark_or_one_of_its_figures(stage, monkeypatch, only, ran):
    assert run(monkeypatch, only) == 0
    assert stage.ran == ran


def test_two_figures_of_one_benchmark_measure_it_once(stage, monkeypatch):
    run(monkeypatch, "share", "refused")
    assert stage.ran == ["budget"]


def test_what_only_names_is_what_make_passes_on():
    assert "-m bench $(ONLY)\n" in (ROOT / "Makefile").read_text()


def test_a_name_nobody_knows_measures_nothing_and_says_which_there_are(stage, monkeypatch, capsys):
    assert run(monkeypatch, "seconds", "moon") == 2
    assert capsys.readouterr().out == "No benchmark moon; there are: budget, phone, seconds.\n"
    assert (stage.ran, stage.page.read_text()) == ([], EARLIER)


@pytest.mark.parametrize(("name", "value"), [("share", 0.94), ("seconds", 2.5)])
def test_one_that_falls_short_is_the_exit_status(stage, monkeypatch, name, value):
    stage.values[name] = value
    assert run(monkeypatch) == 1
    assert [line for line in stage.kept() if line.endswith("short")] == [
        bench.line(
            name, bench.BENCHMARKS["budget" if name == "share" else name].figures[name], value
        )
    ]


def test_a_figure_that_was_not_measured_is_an_error(stage, monkeypatch):
    del stage.values["refused"]
    with pytest.raises(KeyError, match="refused"):
        run(monkeypatch)
    assert stage.page.read_text() == EARLIER


# --- What is kept ------------------------------------------------------------------------------------


def test_results_take_the_place_of_earlier_ones_and_leave_the_others(stage, monkeypatch):
    run(monkeypatch, "seconds")
    assert stage.kept() == [
        "bench share 0.910 goal 0.95 short",
        "bench phone 99.000 goal 95 ok",
        "bench seconds 1.500 goal 2 ok",
    ]
    run(monkeypatch, "budget")
    assert stage.kept() == [
        "bench share 0.960 goal 0.95 ok",
        "bench refused 0.000 goal 0 ok",
        "bench phone 99.000 goal 95 ok",
        "bench seconds 1.500 goal 2 ok",
    ]


def test_what_was_measured_before_another_failed_is_kept(stage, monkeypatch):
    del stage.values["seconds"]
    with pytest.raises(KeyError):
        run(monkeypatch)
    assert "bench share 0.960 goal 0.95 ok" in stage.kept()
    assert "bench seconds 1.000 goal 2 ok" in stage.kept()


@pytest.mark.parametrize(("server", "database"), [("postgres://x", "PostgreSQL"), ("", "SQLite")])
def test_the_page_says_what_each_figure_is_and_where_it_was_measured(
    stage, monkeypatch, server, database
):
    monkeypatch.setenv("KEYDESK_TEST_POSTGRES", server)
    monkeypatch.setattr(bench.os, "getloadavg", lambda: (3.14, 9, 9))
    run(monkeypatch)
    page = stage.page.read_text()
    assert f"the last time on {database} and a machine with " in page
    assert "its load before was 3.1." in page
    assert (
        "\n- `share`: share used; at least 0.95\n- `refused`: answered with 429; at most 0\n"
        in page
    )


def test_the_page_in_docs_is_about_the_figures_there_are():
    """Each is described, and each result kept there names the goal of today and the verdict it deserves."""
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    figures = {
        name: one for each in bench.BENCHMARKS.values() for name, one in each.figures.items()
    }
    for name, figure in figures.items():
        assert f"\n- `{name}`: {figure.says}; {figure.bound}\n" in page
    kept = [LINE.fullmatch(line) for line in page.splitlines() if line.startswith("bench ")]
    assert kept
    assert all(kept)
    for name, value, goal, verdict in (found.groups() for found in kept):
        figure = figures[name]
        assert goal == f"{figure.goal:g}", name
        is_on_the_line = float(value) == figure.goal  # it was judged before it was rounded
        assert is_on_the_line or (verdict == "ok") is figure.is_met(float(value)), name
