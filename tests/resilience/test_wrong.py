"""Every wrong portal says what it does and which of the judge's rules may tell. Whether they do, the soak shows."""

import os
import subprocess
import sys

from tests.resilience.oracle.rules import NAMES
from tests.resilience.wrong import portals
from tests.stack import ROOT

EACH_IN_A_CHILD = """
import os, django
django.setup()
from tests.resilience import wrong
for name in wrong.portals():
    child = os.fork()
    if child == 0:
        wrong.install(name)
        os._exit(0)
    print(name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_there_are_many_and_each_names_rules_of_the_judge():
    found = portals()
    assert len(found) > 30
    for one in found.values():
        assert one.says, one.name
        assert one.caught_by, one.name
        assert set(one.caught_by) <= set(NAMES), one.name


def test_each_patch_fits_the_product():
    done = subprocess.run(
        [sys.executable, "-c", EACH_IN_A_CHILD], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ended = dict(line.split() for line in done.stdout.splitlines())
    assert ended == dict.fromkeys(portals(), "0"), done.stderr
