"""A death at each crash point: all armed before anybody starts, until none is left that was reached."""

from collections.abc import Iterable
from pathlib import Path

from tests.resilience import sites
from tests.resilience.city import City
from tests.resilience.run import Goal, Report, prepared

MOST_SECONDS = 1500.0
SIDES = ("before", "after")


def run(folder: Path, *, seed: int, **environment: str) -> tuple[Report, set[str]]:
    """Play until every place in the product's source was reached and every point at it has killed somebody.

    Returns those that were not, or did not. What is reached for the first time when all calms down, and nobody is
    to die any more, is not asked for.
    """
    left: set[str] = set()

    def is_done() -> bool:
        left.clear()
        left.update(missing(played.city))
        return not left

    armed = [f"{place} {side}" for place in sites.places() for side in SIDES]
    with prepared(
        folder, seed=seed, armed=armed, armed_at_once=0, share=0.15, is_loud=True, **environment
    ) as played:
        played.chaos.random_deaths, played.chaos.climate_changes, played.chaos.losses = 2, 8, 6
        report = played.play(
            Goal(kills=1, calls=1, most_seconds=MOST_SECONDS),
            until=is_done,
        )
        return report, left | unlisted(played.city.seen())


def missing(city: City) -> set[str]:
    """Places nobody came to, points at which nobody died, and what was done at no place in the list."""
    return missing_places(city.seen()) | missing_points(city) | unlisted(city.seen())


def unlisted(seen: Iterable[str]) -> set[str]:
    """Calls, and commits of `tokens`, that were made where the source showed none: it was read past them."""
    done = {name for name in seen if not name.endswith((" before", " after"))}
    return {
        f"{name}, which stands in no list"
        for name in done - sites.places()
        if name.startswith(("call ", "commit tokens."))
    }


def missing_places(seen: Iterable[str]) -> set[str]:
    """Places in the source that were not reached, but for those that are set apart with a reason."""
    return sites.places() - set(seen) - set(sites.APART)


def missing_points(city: City) -> set[str]:
    """Points that were reached, or belong to a place that was, and have killed nobody yet."""
    known, seen = sites.places(), city.seen()
    around = {name.rsplit(" ", 1)[0] for name in seen if name.endswith((" before", " after"))}
    wanted = {f"{place} {side}" for place in around & known for side in SIDES}
    return wanted - set(city.ordered_deaths())
