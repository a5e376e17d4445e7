"""The rules by the names that `docs/resilience.md` explains."""

from tests.resilience.oracle.rules.calls import over_limit, repeated, unaudited
from tests.resilience.oracle.rules.deciding import decided, disobeyed, early_judgement
from tests.resilience.oracle.rules.endings import outlived
from tests.resilience.oracle.rules.finding import Rule
from tests.resilience.oracle.rules.ownership import dropped, false_end, two_pairs, unowned
from tests.resilience.oracle.rules.serving import bound, killed_early, late_served, unproved

ALWAYS: tuple[Rule, ...] = (
    unowned, outlived, bound, unproved, two_pairs, killed_early, over_limit, unaudited, repeated,
    false_end, early_judgement, dropped, decided, late_served, disobeyed,
)  # fmt: skip
"""Judged at every look. `leaked` looks where it is told to, `unsettled` and `unserved` wait for rest."""
NAMES = (
    "unowned", "outlived", "wider", "wrong_user", "wrong_client", "endless", "unproved", "two_pairs",
    "killed_early", "over_limit", "unaudited", "repeated", "false_end", "early_judgement", "dropped",
    "decided", "leaked", "late_served", "disobeyed", "unsettled", "unserved",
)  # fmt: skip
