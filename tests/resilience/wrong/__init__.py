"""Portals that are wrong on purpose, each by one patch: what the judge must find out.

A wrong portal is a function in one of the modules here, marked `@wrong("name", caught_by=…)`, that
replaces one rule of the product in a process of its own. The product never imports this.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module


@dataclass(frozen=True)
class Wrong:
    """One wrong portal: how it is made, and which lines of the oracle may tell."""

    name: str
    says: str
    caught_by: tuple[str, ...]
    patch: Callable[[], None]
    share: float = 0.3
    """How many of the calls meet a fault while it is hunted."""
    environment: dict[str, str] = field(default_factory=dict)


PORTALS: dict[str, Wrong] = {}


def wrong(
    name: str, *, caught_by: str, share: float = 0.3, **environment: str
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a wrong portal; `caught_by` names rules of the oracle, separated by blanks."""

    def register(patch: Callable[[], None]) -> Callable[[], None]:
        says = (patch.__doc__ or "").strip()
        PORTALS[name] = Wrong(name, says, tuple(caught_by.split()), patch, share, environment)
        return patch

    return register


def install(name: str) -> None:
    """Make this process the wrong portal `name`; "" leaves it right. Raises `KeyError` for an unknown one."""
    if name:
        portals()[name].patch()


def portals() -> dict[str, Wrong]:
    """All of them, by name."""
    for module in ("calling", "proving", "ending_access", "working"):
        import_module(f"tests.resilience.wrong.{module}")
    return PORTALS
