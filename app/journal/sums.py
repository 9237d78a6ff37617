"""What `traded` and `ended` are sums of: all legs, read once from beginning to end.

For a journal that is brought to the schema which has these tables, for whoever doubts them, and for nobody else: a
million legs take seconds. The driver's own connection is used, since nothing here is worth making an engine for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from attrs import define

from app.domain.leg_life import MAY_FILL
from app.domain.moving import balances
from messages.orders import LegState, OrderKey, Side

TRADED_AGAIN_S: Final = 3600.0
"""When a symbol was traded last is known to the hour: it is not written with every order."""

_LEGS = (
    "SELECT legs.exchange, orders.base, orders.quote, orders.settle, orders.market_type, orders.side, legs.state,"
    " legs.filled, legs.created_s, orders.strategy, orders.client_order_id"
    " FROM legs JOIN orders ON orders.order_id = legs.order_id"
)
_TRADED = (
    "SELECT exchange, base, quote, settle, market_type, symbol, attributed, last_s, moved, adopted, beside FROM traded"
)

_ADJUSTED = "SELECT exchange, symbol, market_type, quantity, ours FROM adjustments"

Market = tuple[str, str, str, str | None, str]
"""Exchange, base, quote, settle, type."""


@define
class Traded:
    """Of one market on one exchange.

    Attributes:
        attributed: Base coin that our fills add up to, sells below zero; None where nothing has filled yet.
        moved: Of that, what slices of positions that are moved have filled; None where none has.
        last_s: When its newest leg was placed.
        placed_then: Whether a leg was placed at the moment that was looked for.
    """

    symbol: str
    attributed: Decimal | None = None
    moved: Decimal | None = None
    last_s: float = 0.0
    placed_then: bool = False

    @property
    def attributed_text(self) -> str | None:
        """As it is kept."""
        return None if self.attributed is None else sum_text(self.attributed)

    @property
    def moved_text(self) -> str | None:
        """Likewise."""
        return None if self.moved is None else sum_text(self.moved)


def spelled(base: str, quote: str, settle: str | None) -> str:
    """A symbol as it is named."""
    return f"{base}/{quote}:{settle}" if settle else f"{base}/{quote}"


def sum_text(value: Decimal) -> str:
    """A sum as it is kept: however it came about, it has the same digits."""
    return format(value.normalize(), "f") if value else "0"


def add_up(
    db: sqlite3.Connection, then: Mapping[Market, float] | None = None
) -> tuple[dict[Market, Traded], dict[str, int]]:
    """What our fills add up to by market, and how many legs ended by state.

    Args:
        then: When something is said to have been placed last in a market: whether anything was.

    Raises:
        ArithmeticError: What has filled of a leg is no number.
    """
    markets: dict[Market, Traded] = {}
    states: dict[str, int] = {}
    for exchange, base, quote, settle, kind, side, state, filled, created_s, strategy, named in db.execute(_LEGS):
        market = (exchange, base, quote, settle, kind)
        traded = markets.get(market)
        if traded is None:
            traded = markets[market] = Traded(spelled(base, quote, settle))
        traded.last_s = max(traded.last_s, created_s)
        if then is not None and then.get(market) == created_s:
            traded.placed_then = True
        if filled != "0":
            quantity = Decimal(filled) if side == Side.BUY else -Decimal(filled)
            traded.attributed = quantity if traded.attributed is None else traded.attributed + quantity
            if balances(OrderKey(strategy=strategy, client_order_id=named)):
                traded.moved = quantity if traded.moved is None else traded.moved + quantity
        if state not in MAY_FILL:
            states[state] = states.get(state, 0) + 1
    return markets, states


def differences(db: sqlite3.Connection) -> Iterator[str]:
    """Where `traded` or `ended` is not what the legs add up to, a sentence each; to be read of one moment."""
    there = {tuple(row[:5]): row[5:] for row in db.execute(_TRADED)}
    try:
        markets, states = add_up(db, {market: row[2] for market, row in there.items()})
        adjusted: dict[tuple[str, str, str], tuple[Decimal, Decimal]] = {}
        for *place, quantity, ours in db.execute(_ADJUSTED):
            own, foreign = adjusted.get(key := (place[0], place[1], place[2]), (Decimal(0), Decimal(0)))
            adjusted[key] = own + Decimal(ours), foreign + Decimal(quantity) - Decimal(ours)
    except ArithmeticError as error:
        yield f"What has filled cannot be added up: {error}."
        return
    for market, due in markets.items():
        where = f"{due.symbol} on {market[0]}"
        symbol, attributed, last_s, moved, *kept_sums = there.pop(market, (None, None, None, None, None, None))
        if symbol is None:
            yield f"{where} was traded, and is not among what was."
            continue
        if symbol != due.symbol:
            yield f"{where} is called {symbol} among what was traded."
        if attributed != due.attributed_text:
            yield f"{where} adds up to {due.attributed_text}, and is kept as {attributed}."
        if moved != due.moved_text:
            yield f"{where} was moved by {due.moved_text}, and is kept as {moved}."
        if not due.placed_then or not 0 <= due.last_s - last_s < TRADED_AGAIN_S:
            yield f"{where} was traded last at {due.last_s}, and is kept as {last_s}."
        yield from _adjusted(where, kept_sums, adjusted.pop((market[0], due.symbol, market[4]), None))
    for (exchange, base, quote, settle, kind), (symbol, attributed, last_s, moved, *kept_sums) in there.items():
        where = f"{base}/{quote} on {exchange}"
        if symbol != spelled(base, quote, settle):
            yield f"{where} is called {symbol} among what was traded."
        taken_over = adjusted.pop((exchange, symbol, kind), None)
        if taken_over is None or attributed is not None or moved is not None or last_s:
            yield f"{where} is among what was traded, and no leg is of it."
        yield from _adjusted(where, kept_sums, taken_over)
    for exchange, symbol, _ in adjusted:
        yield f"{symbol} on {exchange} was adjusted, and is not among what was traded."
    kept = dict(row[:2] for row in db.execute("SELECT state, legs FROM ended"))
    for state in sorted(states.keys() | kept.keys(), key=str):
        if states.get(state, 0) != kept.get(state, 0) or state not in set(LegState):
            yield f"{states.get(state, 0)} legs are {state}, and {kept.get(state, 0)} are counted."


def _adjusted(where: str, kept: list[str | None], due: tuple[Decimal, Decimal] | None) -> Iterator[str]:
    for name, there, taken_over in zip(("our own", "others'"), kept, due or (None, None), strict=True):
        if there != (None if taken_over is None else sum_text(taken_over)):
            yield f"{where} was adjusted by {taken_over} as {name}, and is kept as {there}."
