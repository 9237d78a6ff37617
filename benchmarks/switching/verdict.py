"""What became of the orders of a strategy whose exchange died, by the exchanges' books; and the bars. Pure.

An order is found in the books by its size, which no other order of its run has, so that both ways of placing are judged
by the same rule, whatever ids they use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import define, frozen

from app.domain.health import HealthSettings, detection_budget_s
from benchmarks.figures import percentile

SWITCH_S = 0.300
"""What is granted beyond the detection budget, at the 95th percentile."""


class Told(StrEnum):
    """What whoever asked for an order believes in the end."""

    DONE = "done"
    """It was placed, once."""
    NOT_DONE = "not done"
    UNKNOWN = "unknown"
    """The call ended, and nobody says which."""
    NOTHING = "nothing"
    """The call did not end."""


@define(kw_only=True)
class Asked:
    """One order of the strategy.

    Attributes:
        qty: Base coin; its mark in the books.
        sent_s, answered_s: Moments, by one clock.
        told: In the end; `first` is what the call itself ended with.
        exchange: That accepted it, as the caller was told.
        words: Of an error.
    """

    qty: Decimal
    side: str
    sent_s: float
    answered_s: float | None = None
    first: Told = Told.NOTHING
    told: Told = Told.NOTHING
    exchange: str = ""
    words: str = ""


@frozen(kw_only=True)
class Tally:
    """What became of the orders of one run, or of several.

    Attributes:
        asked: How many.
        once: Executed once, and the caller knows.
        doubled: Executed more than once.
        lost: Executed, and the caller was told that it was not, or was left without knowing; or told that it was done
            where nothing was executed.
        not_done: Not executed, and the caller knows.
        waited: Of all of these, those of which nobody could know before the exchange was back: the answer came after
            it, or was that nobody can know yet.
    """

    asked: int = 0
    once: int = 0
    doubled: int = 0
    lost: int = 0
    not_done: int = 0
    waited: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            asked=self.asked + other.asked,
            once=self.once + other.once,
            doubled=self.doubled + other.doubled,
            lost=self.lost + other.lost,
            not_done=self.not_done + other.not_done,
            waited=self.waited + other.waited,
        )


def tally(asked: Sequence[Asked], books: Iterable[Mapping[str, Any]], *, back_s: float) -> Tally:
    """Holds what callers believe against the orders in the books of all exchanges, since the run began.

    Args:
        back_s: When the exchange was back.

    Raises:
        ValueError: Two orders have the same size, so that the books cannot tell them apart.
    """
    executed: dict[Decimal, int] = {}
    for order in books:
        if Decimal(order["filled"]) > 0:
            qty = Decimal(order["qty"]).normalize()
            executed[qty] = executed.get(qty, 0) + 1
    if len({each.qty.normalize() for each in asked}) != len(asked):
        raise ValueError("two orders of a run have the same size")
    total = Tally()
    for each in asked:
        times = executed.get(each.qty.normalize(), 0)
        right = (each.told, times) in ((Told.DONE, 1), (Told.NOT_DONE, 0))
        total += Tally(
            asked=1,
            once=times == 1 and right,
            doubled=times > 1,
            lost=times <= 1 and not right,
            not_done=times == 0 and right,
            waited=each.first in (Told.UNKNOWN, Told.NOTHING) or each.answered_s is None or each.answered_s > back_s,
        )
    return total


def first_accepted_s(asked: Iterable[Asked], exchange: str) -> float | None:
    """When the first order was answered that `exchange` accepted; None where it accepted none."""
    times = [each.answered_s for each in asked if each.exchange == exchange and each.answered_s is not None]
    return min(times, default=None)


@frozen(kw_only=True)
class Budget:
    """What a death may cost, in seconds.

    Attributes:
        detection_s: Until the exchange is known to be down, when no order notices it sooner (`app.domain.health`).
        bar_s: Until the first order is accepted by the backup, at the 95th percentile.
    """

    detection_s: float
    bar_s: float


def budget(settings: HealthSettings, *, silent: bool, request_timeout_s: float) -> Budget:
    """Of an exchange that refuses connections, or of one that is silent: there each failure takes its time-out."""
    detection_s = detection_budget_s(settings, silent=silent)
    return Budget(detection_s=detection_s, bar_s=detection_s + SWITCH_S + (request_timeout_s if silent else 0.0))


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and the largest, in milliseconds."""
    return {
        "runs": len(values),
        "p50_ms": round(1000 * percentile(values, 50), 1),
        "p95_ms": round(1000 * percentile(values, 95), 1),
        "max_ms": round(1000 * max(values), 1),
    }
