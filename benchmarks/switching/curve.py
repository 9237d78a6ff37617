"""The net exposure over time, from what the exchanges say they executed. Pure.

Every execution of every exchange is in it, with the exchange's own millisecond, so that no moment between two looks is
missed. What the strategy's own orders executed is what it wants; everything else the router did by itself. That is the
*drift*: it is 0 before a position is moved and after, and in between may be one slice, since a slice is opened on one
exchange before as much is closed on the other.

Executions of one millisecond are taken in the order that makes the drift largest: what is told is never too good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import field, frozen

ZERO = Decimal(0)


@frozen(kw_only=True)
class Execution:
    """One fill.

    Attributes:
        quantity: Base coin, above zero when bought.
        own: Of an order that the strategy asked for.
    """

    at_ms: int
    exchange: str
    base: str
    quantity: Decimal
    price: Decimal
    own: bool


@frozen(kw_only=True)
class Point:
    """How it stands from a moment on.

    Attributes:
        positions: By exchange and base coin, what is there, base coin.
        drift: By base coin, by how much the net of all exchanges is another than the strategy's own executions made it.
    """

    at_ms: int
    positions: Mapping[tuple[str, str], Decimal]
    drift: Mapping[str, Decimal] = field(factory=dict)


def executions(truths: Mapping[str, Mapping[str, Any]], own: Collection[str]) -> list[Execution]:
    """Every fill in the truths of the exchanges, oldest first; `own` are the wire ids of the strategy's orders."""
    found = [
        Execution(
            at_ms=int(fill["ts_ms"]),
            exchange=exchange,
            base=base_of(fill["symbol"]),
            quantity=Decimal(fill["qty"]) * (1 if fill["side"] == "buy" else -1),
            price=Decimal(fill["price"]),
            own=fill["client_order_id"] in own,
        )
        for exchange, truth in truths.items()
        for fill in truth["fills"]
    ]
    return sorted(found, key=lambda each: each.at_ms)


def base_of(symbol: str) -> str:
    """The coin that a market trades: BTC of BTC/USDT:USDT."""
    return symbol.partition("/")[0]


def points(made: Sequence[Execution]) -> list[Point]:
    """How it stands after each execution."""
    positions: dict[tuple[str, str], Decimal] = {}
    drift: dict[str, Decimal] = {}
    out = []
    for each in _worst_first(made):
        where = each.exchange, each.base
        positions[where] = positions.get(where, ZERO) + each.quantity
        if not each.own:
            drift[each.base] = drift.get(each.base, ZERO) + each.quantity
        out.append(Point(at_ms=each.at_ms, positions=dict(positions), drift=dict(drift)))
    return out


def _worst_first(made: Sequence[Execution]) -> Iterable[Execution]:
    """Of one millisecond, first what goes further away from no drift."""
    drift: dict[str, Decimal] = {}
    left = list(made)
    while left:
        now_ms = left[0].at_ms
        together = [each for each in left if each.at_ms == now_ms]

        def distance(each: Execution) -> Decimal:
            return ZERO if each.own else abs(drift.get(each.base, ZERO) + each.quantity)

        each = max(together, key=distance)
        left.remove(each)
        if not each.own:
            drift[each.base] = drift.get(each.base, ZERO) + each.quantity
        yield each


def unexplained(standing: Sequence[Point], truths: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Positions that the exchanges tell and their executions do not add up to, a sentence each."""
    summed = standing[-1].positions if standing else {}
    told = {
        (exchange, base_of(symbol)): Decimal(quantity)
        for exchange, truth in truths.items()
        for symbol, quantity in truth["positions"].items()
    }
    return [
        f"{exchange} tells of {told.get((exchange, base), ZERO)} {base}, and its executions add up to "
        f"{summed.get((exchange, base), ZERO)}."
        for exchange, base in sorted({*summed, *told})
        if summed.get((exchange, base), ZERO) != told.get((exchange, base), ZERO)
    ]


def largest_drift(standing: Iterable[Point], prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """By base coin, the largest drift at any moment, in quote coin at `prices`."""
    largest: dict[str, Decimal] = {}
    for point in standing:
        for base, drift in point.drift.items():
            largest[base] = max(largest.get(base, ZERO), abs(drift) * prices[base])
    return largest


def gross(point: Point, exchange: str, prices: Mapping[str, Decimal]) -> Decimal:
    """What the positions of an exchange are worth together, long and short alike, in quote coin."""
    return sum(
        (abs(quantity) * prices[base] for (name, base), quantity in point.positions.items() if name == exchange), ZERO
    )
