"""Whether each strategy heard all that it was told, in order, whatever died: judged by the numbers of what it heard."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import frozen

from app.fuzz import record as r

if TYPE_CHECKING:
    from app.fuzz.checker import Seen


@frozen
class Violation:
    """A rule that did not hold; `serial` of the order, 0 where it is about none."""

    rule: str
    at_s: float
    serial: int
    words: str

    def facts(self) -> dict[str, object]:
        """For programs."""
        return {"rule": self.rule, "order": self.serial, "words": self.words}


def news_violations(seen: Seen) -> Iterator[Violation]:
    """Every violation."""
    for strategy in seen.plan.strategies:
        given = seen.given[strategy.name]
        if given != tuple(range(1, len(given) + 1)):
            yield Violation("news numbered wrongly", seen.end_s, 0, f"{strategy.name}: {given}")
        heard = [h for h in seen.heard() if h.strategy == strategy.name and h.number]
        yield from _in_order(strategy.name, heard)
        last = max((h.number for h in heard), default=0)
        if last != len(given):
            words = f"{strategy.name} heard up to {last} of {len(given)}"
            yield Violation("news not told", seen.end_s, 0, words)
    yield from _fills(seen)


def _in_order(name: str, heard: list[r.Heard]) -> Iterator[Violation]:
    last, life = 0, 0
    for each in heard:
        # A death may come before it was kept that something was heard: a new life hears that again, and skips nothing.
        right = each.number <= last + 1 if each.life != life else each.number == last + 1
        if not right:
            words = f"{name} heard number {each.number} after {last}, in life {each.life} after {life}"
            yield Violation("news out of order", each.at_s, each.serial, words)
        last, life = each.number, each.life


def _fills(seen: Seen) -> Iterator[Violation]:
    told: dict[int, dict[int, Decimal]] = {}
    for fact in seen.facts:
        if isinstance(fact, r.FillHeard):
            known = told.setdefault(fact.serial, {}).setdefault(fact.number, fact.quantity)
            if known != fact.quantity:
                words = f"number {fact.number} was of {known}, and is of {fact.quantity} when it is told again"
                yield Violation("news changed", fact.at_s, fact.serial, words)
    for strategy in seen.plan.strategies:
        for serial in strategy.orders:
            filled = sum((order.filled for order in seen.truth(serial)), Decimal(0))
            heard = sum(told.get(serial, {}).values(), Decimal(0))
            if heard != filled:
                words = f"{heard} was told to have filled, of {filled}"
                yield Violation("news of fills differ", seen.end_s, serial, words)
