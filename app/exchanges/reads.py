"""Calls that read and change nothing: from the port's language to the profile's, and back.

Whatever goes wrong is raised; the adapter makes a result of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from attrs import evolve

from app.domain import calls
from app.exchanges import reports
from app.exchanges.client import type_client
from app.exchanges.clock_offset import Measured
from app.exchanges.profiles.base import Profile
from app.exchanges.profiles.rows import AccountRow
from app.exchanges.symbols import MarketTable, NotTradable
from messages.market import MarketType

Read = (
    calls.OpenOrdersCall
    | calls.ClosedOrdersCall
    | calls.FillsCall
    | calls.TickerCall
    | calls.OrderBookCall
    | calls.KlinesCall
    | calls.StatusCall
    | calls.BalancesCall
    | calls.PositionsCall
    | calls.AccountCall
)
PUBLIC = calls.TickerCall | calls.OrderBookCall | calls.KlinesCall | calls.StatusCall
"""Those that are not signed."""


async def read(
    profile: Profile, client: type_client, table: MarketTable, call: Read, clock: Callable[[], float]
) -> calls.Result:
    """Asks the exchange."""
    name = profile.name
    match call:
        case calls.OpenOrdersCall():
            asked_s = clock()
            only = None if call.symbol is None else table.known(call.symbol)
            rows = await profile.open_orders(client, table, only, conditional=call.conditional)
            return calls.OpenOrders(reports=tuple(reports.listed(row, table) for row in rows), asked_s=asked_s)
        case calls.ClosedOrdersCall():
            market = table.known(call.symbol)
            rows = await profile.closed_orders(client, market, int(call.since_s * 1000))
            return calls.ClosedOrders(reports=tuple(reports.order(row, market, call.symbol) for row in rows))
        case calls.FillsCall():
            market = table.known(call.symbol)
            since_ms = int(call.since_s * 1000)
            if call.wire_id is None:
                executed = await profile.fills(client, market, since_ms)
            else:
                executed = await profile.fills_of(
                    client, market, call.wire_id, call.exchange_order_id, since_ms, conditional=call.conditional
                )
            return calls.Fills(fills=reports.fills(executed, market, call.symbol))
        case calls.TickerCall():
            ticker = await profile.ticker(client, table.known(call.symbol))
            return calls.TickerResult(ticker=reports.ticker(ticker, name, call.symbol, clock()))
        case calls.OrderBookCall():
            market = table.known(call.symbol)
            book = await profile.order_book(client, market, call.depth)
            return calls.OrderBookResult(
                book=reports.order_book(book, market, name, call.symbol, depth=call.depth, now_s=clock())
            )
        case calls.KlinesCall():
            market = table.known(call.symbol)
            begin_ms = None if call.since_s is None else int(call.since_s * 1000)
            bars = await profile.klines(client, market, call.interval.value, begin_ms, call.limit)
            return calls.KlinesResult(klines=reports.klines(bars, market, since_ms=begin_ms, limit=call.limit))
        case calls.StatusCall():
            said = await profile.status(client)
            return calls.StatusResult(
                status=reports.status(said, name, clock()), notice=reports.notice(said, name, clock())
            )
        case calls.BalancesCall():
            balance = await client.fetch_balance()
            return calls.BalancesResult(balances=reports.balances(balance, name, clock()))
        case calls.PositionsCall():
            held = await profile.positions(client, table)
            return calls.PositionsResult(positions=reports.positions(held, table, name, clock()))
        case calls.AccountCall():
            return await _account(profile, client, table, call, clock)


def timed(found: calls.Result, held: Measured | None, now_s: float) -> calls.Result:
    """An account with what is known of the exchange's clock, a notice by our own clock; anything else as it is."""
    if held is None:
        return found
    if isinstance(found, calls.StatusResult) and found.notice is not None:
        notice = found.notice
        end_s = None if notice.end_s is None else notice.end_s - held.offset_s
        return evolve(found, notice=evolve(notice, begin_s=notice.begin_s - held.offset_s, end_s=end_s))
    if not isinstance(found, calls.AccountResult):
        return found
    known = evolve(found.account, clock_offset_s=held.offset_s, clock_error_s=held.error_at_s(now_s))
    return evolve(found, account=known)


async def _account(
    profile: Profile, client: type_client, table: MarketTable, call: calls.AccountCall, clock: Callable[[], float]
) -> calls.AccountResult:
    """Markets that the exchange does not have are left out."""
    asked = {}
    for symbol in call.symbols[: calls.MAX_SYMBOLS]:
        with contextlib.suppress(NotTradable):
            asked[symbol] = table.known(symbol)
    markets = {market.native_id: market for market in asked.values()}
    spot = profile.market_type is MarketType.SPOT
    row = AccountRow() if spot else await profile.account(client, tuple(markets.values()))
    prices = []
    for symbol in call.priced[: calls.MAX_PRICED]:
        with contextlib.suppress(NotTradable):
            market = table.known(symbol)
            ticker = reports.ticker(await profile.ticker(client, market), profile.name, symbol, clock())
            if (price := ticker.mark or ticker.last) is not None:
                prices.append((symbol, price))
    coins = reports.balances(await client.fetch_balance(), profile.name, clock()) if row.free is None else ()
    told = reports.account(row, asked, profile.name, clock())
    return calls.AccountResult(account=told, balances=coins, prices=tuple(prices))
