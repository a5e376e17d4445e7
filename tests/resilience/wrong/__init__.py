"""Portals that are wrong on purpose, each by one patch: what the judge must find out.

A wrong portal is a function in one of the modules here, marked `@wrong("name", caught_by=…)`, that
replaces one rule of the product in a process of its own. The product never imports this.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from inspect import Parameter, isfunction, signature
from typing import Any

NO_STORM: dict[str, Any] = {"is_deadly": False, "has_council": False}
"""Options of a run in which nothing but the weather goes wrong, so that a hunt is short."""


@dataclass(frozen=True)
class Wrong:
    """One wrong portal: how it is made, which rules of the judge may tell, and the life in which it shows."""

    name: str
    says: str
    caught_by: tuple[str, ...]
    patch: Callable[[], None]
    seconds: float = 60.0
    """How long it may go wrong before it must have been caught; after that it calms down and is judged."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of `tests.resilience.run.prepared`. The right portal must come through the same without a violation."""


PORTALS: dict[str, Wrong] = {}


def wrong(
    name: str, *, caught_by: str, seconds: float = 60.0, **options: Any
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a wrong portal; `caught_by` names rules of the oracle, separated by blanks, the truest first."""

    def register(patch: Callable[[], None]) -> Callable[[], None]:
        says = (patch.__doc__ or "").strip()
        PORTALS[name] = Wrong(name, says, tuple(caught_by.split()), patch, seconds, options)
        return patch

    return register


def swap(*owners: Any, **replacements: Any) -> None:
    """Put something else in the place of a name.

    Raises `AttributeError` where the product has no such name, and `TypeError` where what stands there is
    called otherwise than its replacement can be: that would break the portal, not make it wrong.
    """
    for owner in owners:
        for name, replacement in replacements.items():
            _must_take_the_same(getattr(owner, name), replacement)
            setattr(owner, name, replacement)


def _must_take_the_same(right: Any, replacement: Any) -> None:
    if not isfunction(right):
        return
    asked = signature(right).parameters.values()
    places = [one for one in asked if one.kind is Parameter.POSITIONAL_OR_KEYWORD]
    words = {one.name: one for one in asked if one.kind is Parameter.KEYWORD_ONLY}
    signature(replacement).bind(*places, **words)


def install(name: str) -> None:
    """Make this process the wrong portal `name`; "" leaves it right. Raises `KeyError` for an unknown one."""
    if name:
        portals()[name].patch()


def portals() -> dict[str, Wrong]:
    """All of them, by name."""
    for module in ("calling", "proving", "ending_access", "working"):
        import_module(f"tests.resilience.wrong.{module}")
    return PORTALS
