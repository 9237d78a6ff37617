"""Orders and legs for tests of the pure machines."""

from __future__ import annotations

from decimal import Decimal

from app.domain import ids
from app.journal.store import Journal
from messages.market import MarketType, Symbol
from messages.orders import LegState, LegView, OrderKey, OrderSpec, OrderType, OrderView, Side

BTC = Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
JOURNAL = "0123abcd"


def fixed_journal() -> Journal:
    """A journal in memory whose id is no random one: all ids come from it, so an example played again is the same."""
    journal = Journal(None)
    journal.journal_id = JOURNAL
    journal._db.execute("UPDATE meta SET value = ? WHERE name = 'journal_id'", (JOURNAL,))
    return journal


def spec(quantity: str = "1", price: str | None = "100") -> OrderSpec:
    """A limit order, or a market order where there is no price."""
    return OrderSpec(
        symbol=BTC,
        side=Side.BUY,
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
    )


def key(client_order_id: str = "one", strategy: str = "maker") -> OrderKey:
    """Identity of an order."""
    return OrderKey(strategy=strategy, client_order_id=client_order_id)


def leg(
    state: LegState, *, exchange: str = "bybit", number: int = 1, filled: str = "0", seen: bool | None = None
) -> LegView:
    """A leg; `seen` by its exchange where its state says so, or where told."""
    seen = state not in (LegState.INTENT, LegState.UNKNOWN, LegState.ABSENT) if seen is None else seen
    return LegView(
        number=number,
        exchange=exchange,
        epoch=1,
        wire_id=ids.wire_id(JOURNAL, key(), number),
        quantity=Decimal(1),
        state=state,
        committed_s=0.0,
        expiry_s=5.0,
        attempts=1,
        exchange_order_id="x1" if seen else None,
        filled=Decimal(filled),
        average_price=None,
        reason_code=None,
        reason_words=None,
        native_code=None,
        created_s=0.0,
        updated_s=0.0,
    )


def order(*legs: LegView, of: OrderKey | None = None, what: OrderSpec | None = None) -> OrderView:
    """An order with its legs."""
    named = of or key()
    return OrderView(
        order_id=ids.order_id(JOURNAL, named), key=named, spec=what or spec(), legs=tuple(legs), created_s=0.0
    )
