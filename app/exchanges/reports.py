"""What an exchange shows, as what the router passes around: base coin, the router's symbols, Decimals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from app.domain.calls import OrderReport
from app.exchanges.client import Unreadable
from app.exchanges.profiles.base import OrderRow, PositionRow
from app.exchanges.sizes import to_base
from app.exchanges.symbols import Market, MarketTable
from messages.market import Balance, Symbol, Ticker
from messages.positions import Position


def order(row: OrderRow, market: Market, symbol: Symbol, wire_id: str | None = None) -> OrderReport:
    """An order of a market, reported under the symbol it was asked for by.

    Args:
        wire_id: Stands where the exchange does not echo it.

    Raises:
        Unreadable: It has no id.
    """
    if not row.order_id:
        raise Unreadable("an order has no id")
    return OrderReport(
        exchange_order_id=row.order_id,
        wire_id=row.wire_id or wire_id,
        symbol=symbol,
        state=row.state,
        filled=None if row.filled is None else to_base(row.filled, market.rules),
        average_price=row.average_price,
    )


def listed(row: OrderRow, table: MarketTable) -> OrderReport:
    """An order of a list; without symbol and quantities where its market is not one we trade."""
    market = None if row.native_id is None else table.market(row.native_id)
    if market is not None:
        return order(row, market, table.spoken(market.native_id) or market.symbol)
    return OrderReport(
        exchange_order_id=row.order_id or "",
        wire_id=row.wire_id,
        symbol=None,
        state=row.state,
        filled=None,
        average_price=row.average_price,
    )


def positions(rows: Iterable[PositionRow], table: MarketTable, exchange: str, at_s: float) -> tuple[Position, ...]:
    """Net by symbol: an account in hedge mode lists long and short apart."""
    net: dict[Symbol, Position] = {}
    for row in rows:
        market, symbol = table.market(row.native_id), table.spoken(row.native_id)
        if market is None or symbol is None or not row.contracts:
            continue
        quantity = to_base(row.contracts, market.rules)
        other = net.get(symbol)
        net[symbol] = Position(
            exchange=exchange,
            symbol=symbol,
            quantity=quantity if other is None else quantity + other.quantity,
            entry_price=row.entry_price if other is None else None,
            mark_price=row.mark_price,
            leverage=row.leverage,
            unrealised_pnl=row.unrealised_pnl if other is None else None,
            at_s=at_s,
        )
    return tuple(position for position in net.values() if position.quantity)


def ticker(found: Mapping[str, Any], exchange: str, symbol: Symbol, now_s: float) -> Ticker:
    """ccxt's unified ticker; `now_s` stands where it has no time."""
    at_ms = found.get("timestamp")
    return Ticker(
        exchange=exchange,
        symbol=symbol,
        bid=_number(found.get("bid")),
        ask=_number(found.get("ask")),
        last=_number(found.get("last")),
        mark=_number(found.get("markPrice")),
        at_s=now_s if at_ms is None else float(at_ms) / 1000,
    )


def balances(found: Mapping[str, Any], exchange: str, at_s: float) -> tuple[Balance, ...]:
    """ccxt's unified balance. What an exchange does not tell of free and used follows from the total."""
    coins = []
    for coin, total in found["total"].items():
        whole, free, used = _number(total), _number(found["free"].get(coin)), _number(found["used"].get(coin))
        if whole is None:
            continue
        free = whole if free is None else free
        used = whole - free if used is None else used
        coins.append(Balance(exchange=exchange, coin=coin, total=whole, free=free, used=used, at_s=at_s))
    return tuple(coins)


def _number(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))
