"""How Keydesk says no: an answer with its reason, and the three refusals an operation may raise."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone


@dataclass(frozen=True)
class Answer:
    """Yes or no, with the sentence that says why. Serves the view, the button and the operation."""

    is_yes: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.is_yes


YES = Answer(True)


def no(reason: str) -> Answer:
    """No, because of `reason`: a sentence a person can read."""
    return Answer(False, reason)


def moment_words(at: datetime) -> str:
    """A moment within a sentence, in the reader's zone."""
    return f"{timezone.localtime(at):%H:%M on %-d %B %Y}"


class Refusal(Exception):
    """Something was asked for and not done; `sentence` says why, for the page and for the error."""

    def __init__(self, sentence: str, *, href: str = "", label: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.href = href
        self.label = label


class Denied(Refusal):
    """This person may not do this. A 403."""


class StaleState(Refusal):
    """Somebody or something was first; the sentence says who and when. A 409."""


class Invalid(Refusal):
    """What was asked for makes no sense. The form is shown again, or a 400."""


def insist(answer: Answer) -> None:
    """Go on with a yes. Raises `Denied` with the reason of a no."""
    if not answer:
        raise Denied(answer.reason)
