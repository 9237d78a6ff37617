"""What an exchange shows, as what the router passes around: base coin, the router's symbols, Decimals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from app.domain.calls import FillReport, OrderReport
from app.exchanges.client import Unreadable
from app.exchanges.profiles.base import ServerStatus
from app.exchanges.profiles.rows import AccountRow, FillRow, OrderRow, PositionRow
from app.exchanges.sizes import to_base
from app.exchanges.symbols import Market, MarketTable
from messages.account import AccountView, SymbolSettings
from messages.health import Maintenance
from messages.market import (
    Balance,
    ExchangeStatus,
    Kline,
    Level,
    Lots,
    OrderBook,
    Symbol,
    Ticker,
)
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
        quantity=None if row.contracts is None else to_base(row.contracts, market.rules),
        price=row.price,
        trigger_price=row.trigger_price,
        ended=row.ended,
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
        price=row.price,
        trigger_price=row.trigger_price,
    )


def fills(rows: Iterable[FillRow], market: Market, symbol: Symbol) -> tuple[FillReport, ...]:
    """Executions of a market, each once, the oldest first. A trade of the account with itself is two."""
    once = {(row.trade_id, row.side): row for row in rows if row.native_id == market.native_id}
    return tuple(
        FillReport(
            trade_id=row.trade_id,
            exchange_order_id=row.order_id,
            wire_id=row.wire_id,
            symbol=symbol,
            side=row.side,
            quantity=to_base(row.contracts, market.rules),
            price=row.price,
            fee=row.fee,
            fee_coin=row.fee_coin,
            maker=row.maker,
            at_s=row.at_s,
            cause=row.cause,
        )
        for row in sorted(once.values(), key=lambda each: each.at_s)
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
            liquidation_price=row.liquidation_price if other is None else None,
        )
    return tuple(position for position in net.values() if position.quantity)


def account(row: AccountRow, asked: Mapping[Symbol, Market], exchange: str, at_s: float) -> AccountView:
    """What an account is like, of the markets asked for. Nothing is known of its clock here."""
    told = {market.native_id: market for market in row.markets}
    return AccountView(
        exchange=exchange,
        position_mode=row.position_mode,
        free=row.free,
        symbols=tuple(
            SymbolSettings(symbol=symbol, leverage=found.leverage, margin_mode=found.margin_mode)
            for symbol, market in asked.items()
            if (found := told.get(market.native_id)) is not None
        ),
        clock_offset_s=None,
        clock_error_s=None,
        at_s=at_s,
    )


def lots(market: Market) -> Lots:
    """Which orders a market takes."""
    rules = market.rules
    return Lots(
        step=rules.base_step,
        minimum=rules.base_minimum,
        maximum=rules.base_maximum,
        tick=rules.tick,
        minimum_notional=rules.minimum_notional,
        settle=market.symbol.settle,
        max_leverage=market.max_leverage,
    )


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


def order_book(
    found: Mapping[str, Any], market: Market, exchange: str, symbol: Symbol, *, depth: int, now_s: float
) -> OrderBook:
    """ccxt's unified order book; `now_s` stands where it has no time."""
    at_ms = found.get("timestamp")
    return OrderBook(
        exchange=exchange,
        symbol=symbol,
        bids=_levels(found.get("bids"), market, depth),
        asks=_levels(found.get("asks"), market, depth),
        at_s=now_s if at_ms is None else float(at_ms) / 1000,
    )


def _levels(found: Any, market: Market, depth: int) -> tuple[Level, ...]:
    if not isinstance(found, list):
        raise Unreadable("the order book lacks a side")
    return tuple(
        Level(price=_exactly(level[0]), quantity=to_base(_exactly(level[1]), market.rules)) for level in found[:depth]
    )


def klines(found: Iterable[Any], market: Market, *, since_ms: int | None, limit: int) -> tuple[Kline, ...]:
    """ccxt's unified bars, the oldest first; of too many the newest, or those after a time."""
    bars = sorted(
        (
            Kline(
                start_s=float(bar[0]) / 1000,
                open=_exactly(bar[1]),
                high=_exactly(bar[2]),
                low=_exactly(bar[3]),
                close=_exactly(bar[4]),
                volume=to_base(_exactly(bar[5]), market.rules),
            )
            for bar in found
            if since_ms is None or bar[0] >= since_ms
        ),
        key=lambda bar: bar.start_s,
    )
    return tuple(bars[-limit:] if since_ms is None else bars[:limit])


def status(said: ServerStatus, exchange: str, at_s: float) -> ExchangeStatus:
    """What an exchange says of itself."""
    until_s = None if said.ok else said.until_s
    return ExchangeStatus(exchange=exchange, ok=said.ok, words=said.words, until_s=until_s, at_s=at_s)


NOT_BEGUN_S = 600.0
"""A maintenance that should have begun so long ago, and has not by the exchange's word, was put off. Declared by us."""


def notice(said: ServerStatus, exchange: str, now_s: float) -> Maintenance | None:
    """The maintenance that is under way, or announced with its beginning; None where there is none.

    Args:
        now_s: The clock that the times are told by, roughly.
    """
    if said.ok and (said.begin_s is None or said.begin_s < now_s - NOT_BEGUN_S):
        return None
    begin_s = now_s if said.begin_s is None else said.begin_s
    if not said.ok:
        begin_s = min(begin_s, now_s)  # it is under way, whatever the announcement said
    return Maintenance(begin_s=begin_s, end_s=said.until_s, words=said.words)


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


def _exactly(value: object) -> Decimal:
    """A number that has to be there."""
    number = _number(value)
    if number is None:
        raise Unreadable("a number is missing")
    return number


def _number(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))
