"""What a connector asks its exchange for each request that places and cancels nothing: reads, and settings."""

from __future__ import annotations

from app.domain import calls as c
from app.domain.health_kinds import ROUND
from app.domain.limiter import Priority
from app.domain.readiness import asked_of, need_of
from messages.account import GetAccount
from messages.executions import GetExecutions
from messages.failover import PreflightRequest
from messages.health import Probe, ProbeKind
from messages.market import (
    GetBalances,
    GetExchangeStatus,
    GetKlines,
    GetOrderBook,
    GetQuote,
    GetServerTime,
    GetTicker,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
    Symbol,
)
from messages.orders import GetOpenOrders
from messages.positions import GetPositions

Asked = (
    GetOpenOrders
    | GetExecutions
    | GetTicker
    | GetQuote
    | GetOrderBook
    | GetKlines
    | GetExchangeStatus
    | GetServerTime
    | GetBalances
    | GetAccount
    | GetPositions
    | SetLeverage
    | SetMarginMode
    | SetPositionMode
    | Probe
    | PreflightRequest
)
"""Requests that one call to the exchange answers."""


def call_for(request: Asked, now_s: float, deadline_s: float, *, conditional: bool) -> tuple[c.Call, Priority]:
    """The call, and how urgent it is.

    Args:
        conditional: Whether an order of ours that rests was placed with a trigger, and has to be listed too.
    """
    vital = isinstance(request, Probe) and request.kind in ROUND
    priority = Priority.PROBE if vital else Priority.READ
    return _call(request, now_s, deadline_s, conditional=conditional), priority


def _call(request: Asked, now_s: float, deadline_s: float, *, conditional: bool) -> c.Call:
    match request:
        case GetTicker() | GetQuote():
            return c.TickerCall(symbol=request.symbol, deadline_s=deadline_s)
        case GetOrderBook():
            return c.OrderBookCall(symbol=request.symbol, depth=request.depth, deadline_s=deadline_s)
        case GetKlines():
            return c.KlinesCall(
                symbol=request.symbol,
                interval=request.interval,
                since_s=request.since_s,
                limit=request.limit,
                deadline_s=deadline_s,
            )
        case GetExchangeStatus():
            return c.StatusCall(deadline_s=deadline_s)
        case GetServerTime():
            return c.ProbeCall(kind=ProbeKind.PUBLIC, deadline_s=deadline_s)
        case GetBalances():
            return c.BalancesCall(deadline_s=deadline_s)
        case GetAccount():
            return c.AccountCall(symbols=request.symbols, deadline_s=deadline_s)
        case PreflightRequest():
            symbols, priced = asked_of(need_of(request))
            most_s = 0.8 * (deadline_s - now_s)  # the rest is to say that nobody answered
            return c.AccountCall(symbols=symbols, priced=priced, deadline_s=now_s + most_s)
        case GetPositions():
            return c.PositionsCall(deadline_s=deadline_s)
        case GetExecutions():
            return c.FillsCall(symbol=request.symbol, since_s=request.since_s, deadline_s=deadline_s)
        case GetOpenOrders():
            half_s = (deadline_s - now_s) / 2  # the rest is to say what the journal knows, should nobody answer
            return c.OpenOrdersCall(symbol=None, deadline_s=now_s + half_s, conditional=conditional)
        case SetLeverage():
            return c.LeverageCall(symbol=request.symbol, leverage=request.leverage, deadline_s=deadline_s)
        case SetMarginMode():
            return c.MarginModeCall(symbol=request.symbol, mode=request.mode, deadline_s=deadline_s)
        case SetPositionMode():
            return c.PositionModeCall(mode=request.mode, deadline_s=deadline_s)
        case Probe(kind=ProbeKind.STATUS):
            return c.StatusCall(deadline_s=deadline_s)
        case Probe(kind=ProbeKind.MARKET, symbol=Symbol() as symbol):
            return c.TickerCall(symbol=symbol, deadline_s=deadline_s)
        case Probe():
            return c.ProbeCall(kind=request.kind, deadline_s=deadline_s)
