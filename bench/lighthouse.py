"""What Google's Lighthouse says of the pages people live in, with a million requests in the database.

Needs Node.js and Chromium. Lighthouse itself is installed beside the project, as its lock file pins it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.pages import MANY, Portal, portal
from tests.stack import ROOT

TOOL = Path(__file__).parent / "lighthouse_tool"
INSTALLED = ROOT / ".cache" / "lighthouse"
PAGES = (("ben", "/queue"), ("omar", "/queue"), ("ben", "/requests/{waiting}"), ("ben", "/"))
CATEGORIES = ("performance", "accessibility", "best-practices")
ROUNDS = 3
AGAIN = 5
"""How often a page is loaded again whose recording Chromium lost, as Lighthouse itself asks for then."""
CHROMIUM = "chromium"


def measure(folder: Path) -> Mapping[str, float]:
    """The worst page's score in each category, of a hundred; of three runs of a page the middle one counts."""
    _install()
    with portal(folder / "portal", MANY) as crowd:
        scores = [_scores(crowd, folder, key, path) for key, path in PAGES]
    worst = {name: min(score[name] for score in scores) for name in CATEGORIES}
    return {f"lighthouse_{name.replace('-', '_')}": value for name, value in worst.items()}


def _install() -> None:
    """The versions of the lock file, whose hashes npm checks; nothing they bring is run to install them."""
    for program in ("npm", CHROMIUM):
        assert shutil.which(program), f"This benchmark needs {program}."
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(TOOL / name, INSTALLED / name)
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
        cwd=INSTALLED, check=True,
    )  # fmt: skip


def _scores(crowd: Portal, folder: Path, key: str, path: str) -> dict[str, float]:
    path = path.format(waiting=crowd.waiting)
    runs = [_run(crowd, folder / "report.json", key, path) for _ in range(ROUNDS)]
    found = {name: sorted(run[name] for run in runs)[ROUNDS // 2] for name in CATEGORIES}
    print(f"  {path} of {key}: {found}", flush=True)
    return found


def _run(crowd: Portal, report: Path, key: str, path: str) -> dict[str, float]:
    """Lighthouse's own defaults: a phone of middling speed."""
    command = [
        "node", str(INSTALLED / "node_modules" / "lighthouse" / "cli" / "index.js"), crowd.address + path,
        f"--extra-headers={json.dumps({'Cookie': crowd.cookies[key]})}",
        f"--only-categories={','.join(CATEGORIES)}", "--output=json", f"--output-path={report}", "--quiet",
        "--chrome-flags=--headless=new --no-sandbox --disable-dev-shm-usage",
    ]  # fmt: skip
    _record(command)
    said = json.loads(report.read_text())
    assert said["finalDisplayedUrl"] == crowd.address + path, said["finalDisplayedUrl"]
    found = {name: said["categories"][name]["score"] for name in CATEGORIES}
    assert None not in found.values(), (path, said.get("runtimeError"), said["runWarnings"])
    return {name: score * 100 for name, score in found.items()}


def _record(command: list[str]) -> None:
    environment = {**os.environ, "CHROME_PATH": str(shutil.which(CHROMIUM))}
    for _ in range(AGAIN):
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=180, check=False
        )
        if "NO_NAVSTART" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
