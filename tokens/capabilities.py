"""What may be learned of a helpdesk by trying: the names under which it is kept, and the words for it.

A name is a key of `Helpdesk.capabilities`, its value "yes" or "no"; what is not there is not known.
"""

SEVERAL_GRANTS = "several grants of one user"
"""Whether one user may hold several tokens of our client; assumed until proved wrong."""
SHOWS = "service access shows tokens"
ENDS = "service access ends tokens"
_CURRENT = "current: "
_WORDS = {
    SEVERAL_GRANTS: (
        "One person may hold several accesses.",
        "One person may hold one access at a time.",
        "Whether one person may hold several accesses is not known yet; Keydesk assumes so.",
    ),
    SHOWS: (
        "Keydesk's own access may look at tokens.",
        "Keydesk's own access may not look at tokens, so each token is asked about itself.",
        "Keydesk's own access looks at tokens, as far as is known.",
    ),
    ENDS: (
        "Keydesk's own access may delete tokens.",
        "Keydesk's own access may not delete tokens, so each token deletes itself.",
        "Keydesk's own access deletes tokens, as far as is known.",
    ),
}
"""The words for yes, for no, and for not yet."""
ALWAYS_ASKED = tuple(_WORDS)
"""What is said of every helpdesk, known or not."""


def keeps_one(word: str | None) -> bool:
    """Whether what is known under `SEVERAL_GRANTS` is that a user may hold one token of our client at a time."""
    return word == "no"


def current(scopes: frozenset[str]) -> str:
    """The name for whether a token with these scopes says itself whose it is (`current`)."""
    return _CURRENT + " ".join(sorted(scopes))


def says_itself(name: str, word: str) -> bool:
    """Whether it is the usual: tokens with these scopes say themselves whose they are."""
    return name.startswith(_CURRENT) and word == "yes"


def sentence(name: str, word: str = "") -> str:
    """What is known under a name, in words. `word`: yes, no, or "" where nothing is."""
    if name in _WORDS:
        yes, no, unknown = _WORDS[name]
        return {"yes": yes, "no": no}.get(word, unknown)
    if not name.startswith(_CURRENT):
        return f"{name.capitalize()}: {word}."
    scopes = ", ".join(name.removeprefix(_CURRENT).split())
    if word == "yes":
        return f"Keydesk can ask a token with {scopes} whose it is."
    return f"A token with {scopes} may not say whose it is, so the list of all tokens does."
