"""Executions at the end of a run: the journal has each that an exchange's engine made, once, and legs add up to them.

Looks into the journal, and judges it by the exchanges' books; and what strategies were told of executions by the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from app.domain.fill_sums import FillSum
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.record import TradeHeard
from app.fuzz.sim_orders import SimOrder
from app.fuzz.world import World

RULE = "fills differ"

_LEGS = "SELECT order_id, number, exchange, wire_id, filled, listed, average_price FROM legs"
_FILLS = "SELECT order_id, leg, exchange, trade_id, quantity, price FROM fills"


def fills_kept(world: World) -> Iterator[Violation]:
    """Every leg whose executions in the journal are not those of its exchange."""
    database = world.journal._db
    books: dict[tuple[str, str], list[SimOrder]] = {}
    for exchange in world.exchanges.values():
        for order in exchange.orders:
            books.setdefault((exchange.traits.name, order.wire_id), []).append(order)
    kept: dict[tuple[str, int, str], list[tuple[str, Decimal, Decimal]]] = {}
    for row in database.execute(_FILLS):
        trade = row["trade_id"], Decimal(row["quantity"]), Decimal(row["price"])
        kept.setdefault((row["order_id"], row["leg"], row["exchange"]), []).append(trade)
    for row in database.execute(_LEGS):
        there = books.get((row["exchange"], row["wire_id"]), [])
        true = sorted((each.trade_id, each.quantity, each.price) for order in there for each in order.trades)
        known = sorted(kept.pop((row["order_id"], row["number"], row["exchange"]), []))
        words = _difference(row, known, true)
        if words:
            yield Violation(RULE, world.scheduler.now_s, there[0].serial if there else 0, words)
    if kept:
        yield Violation(RULE, world.scheduler.now_s, 0, f"executions of no leg: {kept}")


def fills_heard(seen: Seen) -> Iterator[Violation]:
    """Every trade is told to its strategy: at least once, and again only to another life, as the same news."""
    told: dict[tuple[int, str, str], list[TradeHeard]] = {}
    for fact in seen.facts:
        if isinstance(fact, TradeHeard):
            told.setdefault((fact.serial, fact.exchange, fact.trade_id), []).append(fact)
    true = {(o.serial, o.exchange, t.trade_id) for o in seen.orders if o.serial not in seen.untold for t in o.trades}
    for serial, exchange, trade_id in sorted(true - set(told)):
        yield Violation("trade not told", seen.end_s, serial, f"{trade_id} on {exchange}")
    for (serial, exchange, trade_id), heard in told.items():
        numbers, lives = {each.number for each in heard}, [each.life for each in heard]
        if len(numbers) > 1 or len(set(lives)) < len(lives) or (serial, exchange, trade_id) not in true:
            words = f"{trade_id} on {exchange}, as number {sorted(numbers)} in lives {lives}"
            yield Violation("trade told twice", heard[-1].at_s, serial, words)


def _difference(row: Any, known: list[tuple[str, Decimal, Decimal]], true: list[tuple[str, Decimal, Decimal]]) -> str:
    if known != true:
        return f"the journal has the executions {known}, and {row['exchange']} {true}"
    total = FillSum.of((quantity, price) for _, quantity, price in true)
    if row["filled"] != row["listed"] or Decimal(row["listed"]) != total.quantity:
        return f"filled {row['filled']}, listed {row['listed']}; the executions add up to {total.quantity}"
    if true and Decimal(row["average_price"]) != total.average_price:
        return f"average {row['average_price']}, and of the executions {total.average_price}"
    return ""
