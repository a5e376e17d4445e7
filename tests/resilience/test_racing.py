"""What a loser of a race must be told. No processes."""

import pytest

from demo.people import BY_KEY
from tests.resilience.racing import Outcome, Shot, is_told

ADA, BEN, OMAR = (BY_KEY[key].name for key in ("ada", "ben", "omar"))
WHEN = "at 13:05 on 28 November 2026"


def _outcome(who: str, act: str, sentence: str = "", status: int = 409) -> Outcome:
    html = f"<h1>Not possible now</h1><p>{sentence} Your click changed nothing.</p>"
    return Outcome(Shot(who, act, "/", []), status, html, 0.0, 1.0)


def _won(who: str, act: str) -> list[Outcome]:
    return [_outcome(who, act, status=200)]


@pytest.mark.parametrize(
    ("winner", "act", "sentence"),
    [
        ("ben", "Deny", f"Already denied by {BEN} {WHEN}."),
        ("ada", "Send again", f"Already amended by {ADA} {WHEN}."),
        ("omar", "End this access", f"Already revoked by {OMAR} {WHEN}."),
        (
            "omar",
            "End this access",
            f"This access has been ending since {WHEN.removeprefix('at ')}, ended by {OMAR}.",
        ),
        ("june", "Show my key", f"The key was shown already, {WHEN}, and it is shown only once."),
        ("june", "Replace now", f"A new secret was made already {WHEN}, so none was made now."),
    ],
)
def test_who_reads_what_happened_when_and_by_whom_is_told(winner, act, sentence):
    assert is_told(_outcome("june", "Approve", sentence), _won(winner, act))


@pytest.mark.parametrize(
    "sentence",
    [
        f"Already amended by {BEN} {WHEN}.",
        f"Already denied by {ADA} {WHEN}.",
        f"Already denied by {BEN}.",
        f"This has changed {WHEN}, by {BEN}.",
    ],
    ids=("something else", "somebody else", "no time", "nothing"),
)
def test_whoever_lacks_one_of_them_is_not(sentence):
    assert not is_told(_outcome("june", "Approve", sentence), _won("ben", "Deny"))


def test_who_was_first_themselves_still_reads_what_happened():
    won = _won("ada", "Withdraw")
    assert is_told(_outcome("ada", "Withdraw", f"Already withdrawn {WHEN}."), won)
    assert not is_told(_outcome("ada", "Withdraw", f"This has changed {WHEN}."), won)


def test_a_right_sentence_on_the_wrong_kind_of_page_tells_nobody():
    sentence = f"Already denied by {BEN} {WHEN}."
    assert not is_told(_outcome("june", "Approve", sentence, status=500), _won("ben", "Deny"))
