"""The shapes Slack and Teams understand. Nothing in them decides anything: the one thing to press is a link.

Names and scripts are text there and nothing else: they mention nobody, make no link and no heading.
"""

import json
from collections.abc import Sequence
from typing import Any

from tokens.destinations import SLACK
from tokens.messages.wording import Words, words_of_all
from tokens.models import Notification

SHOWN = 10
"""Messages a post shows in words; it counts the rest."""
MOST_TEXT = 500
"""Characters of one message: Slack refuses blocks of more than 3000, escaped, and Teams posts of more than 28 KB."""


def body(shape: str, rows: Sequence[Notification]) -> bytes:
    """One post about all of these, as JSON."""
    said = words_of_all(rows[:SHOWN])
    more = len(rows) - len(rows[:SHOWN])
    rest = f"And {more} more, which stand in Keydesk." if more else ""
    payload = _slack(said, rest, len(rows)) if shape == SLACK else _teams(said, rest)
    return json.dumps(payload, ensure_ascii=False).encode()


def _slack(said: Sequence[Words], rest: str, count: int) -> dict[str, Any]:
    """Blocks of mrkdwn; `verbatim` keeps Slack from finding names, channels and addresses by itself."""
    texts = [*(_mrkdwn(words) for words in said), *([rest] if rest else [])]
    return {
        "text": _escaped(said[0].subject) + (f" ({count} messages)" if count > 1 else ""),
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
            for text in texts
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _mrkdwn(words: Words) -> str:
    return f"{_escaped(_text(words))}\n<{words.link}|{words.label}>"


def _escaped(text: str) -> str:
    """Without the three characters by which Slack makes mentions and links of a text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams(said: Sequence[Words], rest: str) -> dict[str, Any]:
    """An Adaptive Card of plain runs: unlike a TextBlock, a TextRun is never read as Markdown."""
    body = [part for words in said for part in _card_parts(words)]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body + ([_run(rest)] if rest else []),
    }
    content_type = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": content_type, "content": card}]}


def _card_parts(words: Words) -> list[dict[str, Any]]:
    link = {"type": "Action.OpenUrl", "title": words.label, "url": words.link}
    return [_run(_text(words)), {"type": "ActionSet", "actions": [link]}]


def _run(text: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]}


def _text(words: Words) -> str:
    text = " ".join(words.lines)
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"
