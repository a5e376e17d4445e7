"""What became of earlier requests, in words."""

from tokens.queries import deciding


def precedent_words(before: deciding.Precedent) -> list[str]:
    """What became of earlier requests, as one or two sentences."""
    if not before.earlier:
        return ["This person has never asked for this access."]
    if not before.granted:
        times = "once" if before.earlier == 1 else f"{before.earlier} times"
        return [f"Asked {times} before and never got it; approving gives it for the first time."]
    return [_asked_before(before), _used_before(before)]


def _asked_before(before: deciding.Precedent) -> str:
    if before.earlier >= deciding.MOST_EARLIER:
        return f"Asked at least {deciding.MOST_EARLIER} times before."
    count = before.earlier + 1
    return f"{ORDINALS.get(count, f'Request number {count}')}; {before.granted} approved before."


ORDINALS = {2: "Second request", 3: "Third request", 4: "Fourth request", 5: "Fifth request"}


def _used_before(before: deciding.Precedent) -> str:
    early = " and given back early" if before.given_back else ""
    if not before.fetches:
        return f"The last access was never used{early}."
    times = "once" if before.fetches == 1 else f"{before.fetches} times"
    return f"The last access was used {times}{early}."
