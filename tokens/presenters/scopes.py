"""Scopes in words: how risky each is, what it would be to a person, and what it does for their role."""

from collections.abc import Iterable
from dataclasses import dataclass

from tokens import policies
from tokens.models import HelpdeskUser, Scope
from tokens.models.catalogue import RISKS, Risk
from tokens.queries.requests import ScopeTable
from tokens.refusals import YES, Answer


@dataclass(frozen=True)
class ScopeLine:
    """One scope: in words, how risky, what it would be to the person who asks, and what it does for their role."""

    name: str
    words: str
    risk: str
    change: policies.Change = policies.Change.NEW
    effect: Answer = YES


def scope_lines(
    scopes: Iterable[str],
    kind: str,
    table: ScopeTable,
    *,
    held: frozenset[str] = frozenset(),
    acts_as: HelpdeskUser | None = None,
) -> list[ScopeLine]:
    """Scopes as people read them, the riskiest on top; one that left the table keeps its own name.

    With `acts_as`: also what each lets that user do.
    """
    known = [
        table.get((kind, name)) or Scope(name=name, words=name, risk=Risk.WIDE) for name in scopes
    ]
    known.sort(key=lambda scope: (-RISKS.index(Risk(scope.risk)), scope.words))
    return [
        ScopeLine(
            s.name,
            s.words,
            s.risk,
            policies.change_of(s.name, held),
            policies.effect_of(s, acts_as) if acts_as else YES,
        )
        for s in known
    ]


def in_words(scopes: Iterable[str], kind: str, table: ScopeTable) -> str:
    """Scopes as one line: "Read tickets and comments · Read users"."""
    return " · ".join(line.words for line in scope_lines(scopes, kind, table))
