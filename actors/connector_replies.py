"""What a connector answers to what it was asked to read: a call's result in the words of the reply."""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from actors.connector_readiness import Preflights
from actors.environment import PortRunner
from actors.order_path import OrderPath
from app.domain import calls as c
from app.domain.evidence import probe_evidence
from app.domain.health_kinds import ROUND
from app.domain.ids import order_id
from app.domain.misnamed import unknown_order
from app.journal.store import Journal
from messages.account import AccountReply, Disarm, Disarmed, GetAccount
from messages.base import Failed, Request
from messages.executions import Execution, ExecutionsReply, GetExecutions, GetOrderFills
from messages.failover import PreflightRequest
from messages.health import Evidence, Probe, ProbeReply
from messages.market import (
    BalancesReply,
    ExchangeStatusReply,
    GetBalances,
    GetExchangeStatus,
    GetKlines,
    GetOrderBook,
    GetQuote,
    GetServerTime,
    GetTicker,
    KlinesReply,
    OrderBookReply,
    QuoteReply,
    ServerTimeReply,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
    SettingDone,
    Ticker,
    TickerReply,
)
from messages.orders import (
    CancelOrder,
    GetClosedOrders,
    GetOpenOrders,
    GetOrder,
    OrderKey,
    OrderReply,
    OrdersReply,
    OrderView,
)
from messages.positions import GetPositions, PositionsReply
from messages.supervision import CheckOrderPath


@frozen
class Told:
    """What the connector knows beside a result.

    Attributes:
        fills: Of our orders, told by the exchange so far.
        silent_for_s: How long we are not to ask it anything; None where we may.
        not_ready: Why orders cannot be placed, though the start is over; empty where they can.
    """

    fills: int = 0
    silent_for_s: float | None = None
    not_ready: str = ""


class Replies:
    """Of one connector."""

    def __init__(
        self, exchange: str, journal: Journal, runner: PortRunner, path: OrderPath, preflights: Preflights
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._runner = runner
        self._path = path
        self._preflights = preflights
        self._probe_sent_s: dict[str, float] = {}
        self._clock_offset_s: float | None = None

    def probing(self, request: Probe, now_s: float) -> None:
        """A probe is sent; its reply says how long it took."""
        self._probe_sent_s[request.correlation_id] = now_s

    def by_id(self, request: GetOrder) -> GetOrder:
        """The same question by our order id, where it is asked by the caller's."""
        return evolve(request, order_id=self._named(request))

    def _named(self, request: GetOrder | CancelOrder | GetOrderFills) -> str | None:
        if request.order_id is not None or request.client_order_id is None:
            return request.order_id
        key = OrderKey(strategy=request.strategy, client_order_id=request.client_order_id)
        return order_id(self._journal.journal_id, key)

    def order(self, request: GetOrder | CancelOrder | GetOrderFills) -> OrderView | None:
        """What the journal knows of the order that is named by either of its ids."""
        named = self._named(request)
        return None if named is None else self._journal.order(named)

    def journalled(self, request: GetOpenOrders | GetClosedOrders) -> OrdersReply:
        """Orders as the journal knows them."""
        if isinstance(request, GetClosedOrders):
            orders = self._journal.closed_orders(request.strategy, request.symbol, request.limit)
        else:
            found = self._journal.open_orders(strategy=request.strategy)
            orders = tuple(order for order in found if request.symbol in (None, order.spec.symbol))
        return OrdersReply(correlation_id=request.correlation_id, orders=orders)

    def fills_of(self, request: GetOrderFills) -> ExecutionsReply | Failed:
        """What the journal has of an order's executions."""
        order = self.order(request)
        if order is None or order.key.strategy != request.strategy:
            return unknown_order(request)
        fills = self._journal.fills_of(order.order_id)
        return ExecutionsReply(correlation_id=request.correlation_id, executions=fills)

    def no_positions(self, request: GetPositions) -> PositionsReply:
        """Spot has balances, not positions."""
        return PositionsReply(correlation_id=request.correlation_id, exchange=self._exchange, positions=())

    def reply(self, request: Request, result: c.Result, now_s: float, told: Told) -> Any:
        """A read's result in the words of the reply to its request."""
        correlation_id = request.correlation_id
        if isinstance(result, c.ProbeOk) and result.clock_offset_s is not None:
            self._clock_offset_s = result.clock_offset_s
        match request, result:
            case Probe(), _:
                evidence = self._probe_evidence(request, result, now_s, told)
                if evidence is not None:
                    self._preflights.observed((evidence,))
                return ProbeReply(correlation_id=correlation_id, evidence=evidence)
            case PreflightRequest(), _:
                return self._preflights.reply(request, result, now_s)
            case CheckOrderPath(), _:
                return self._path.answer(request, result)
            case GetTicker(), c.TickerResult(ticker=ticker):
                return TickerReply(correlation_id=correlation_id, ticker=ticker)
            case GetQuote(), c.TickerResult(ticker=ticker):
                return self._quote(request, ticker)
            case GetBalances(), c.BalancesResult(balances=balances):
                chosen = tuple(b for b in balances if request.coin in (None, b.coin))
                return BalancesReply(correlation_id=correlation_id, balances=chosen)
            case Disarm(), _:
                words = "" if isinstance(result, c.DeadManArmed) else self._failed(request, result).words
                return Disarmed(correlation_id=correlation_id, exchange=self._exchange, words=words)
            case GetAccount(), c.AccountResult(account=account):
                return AccountReply(correlation_id=correlation_id, account=account)
            case GetPositions(), c.PositionsResult(positions=positions):
                return PositionsReply(correlation_id=correlation_id, exchange=self._exchange, positions=positions)
            case GetOpenOrders(), _:
                # The exchange's answer, if any, is in the journal by now; what lives elsewhere is there too.
                return self.journalled(request)
            case GetOrderBook(), c.OrderBookResult(book=book):
                return OrderBookReply(correlation_id=correlation_id, book=book)
            case GetKlines(symbol=symbol), c.KlinesResult(klines=klines):
                return KlinesReply(correlation_id=correlation_id, exchange=self._exchange, symbol=symbol, klines=klines)
            case GetExecutions(), c.Fills(fills=fills):
                return ExecutionsReply(correlation_id=correlation_id, executions=self._executions(fills))
            case GetExchangeStatus(), c.StatusResult(status=status):
                return ExchangeStatusReply(
                    correlation_id=correlation_id, status=status, clock_offset_s=self._clock_offset_s
                )
            case GetServerTime(), c.ProbeOk(clock_offset_s=float(offset_s)):
                return ServerTimeReply(
                    correlation_id=correlation_id,
                    exchange=self._exchange,
                    server_s=now_s + offset_s,
                    clock_offset_s=offset_s,
                )
            case ((SetLeverage() | SetMarginMode() | SetPositionMode()), c.SettingMade(changed=changed)):
                return SettingDone(correlation_id=correlation_id, exchange=self._exchange, changed=changed)
        if isinstance(request, GetOrder):
            order = self.order(request)
            if order is not None:
                return OrderReply(correlation_id=correlation_id, order=order)
        return self._failed(request, result)

    def _failed(self, request: Request, result: c.Result) -> Failed:
        failed = result if isinstance(result, c.CallFailed) else None
        return Failed(
            correlation_id=request.correlation_id,
            code=failed.code if failed is not None else "unexpected_answer",
            words=failed.words
            if failed is not None
            else f"{self._exchange} gave no answer to {type(request).__name__}.",
            native_code=failed.native_code if failed is not None else None,
            retryable=failed.retryable if failed is not None else False,
        )

    def _quote(self, request: GetQuote, ticker: Ticker) -> QuoteReply | Failed:
        lots = self._runner.port.lots(request.symbol)
        if lots is None:
            words = self._runner.port.tradable(str(request.symbol))
            return Failed(correlation_id=request.correlation_id, code="not_tradable", words=words)
        return QuoteReply(correlation_id=request.correlation_id, ticker=ticker, lots=lots)

    def _executions(self, fills: tuple[c.FillReport, ...]) -> tuple[Execution, ...]:
        owners = self._journal.owners({fill.wire_id for fill in fills if fill.wire_id is not None})
        unnamed = [fill for fill in fills if fill.wire_id is None]
        by_own_id = self._journal.owners_there(self._exchange, unnamed)
        out = []
        for fill in fills:
            known = by_own_id.get(fill) if fill.wire_id is None else owners.get(fill.wire_id)
            owner_id, key = known or (None, None)
            out.append(
                Execution(
                    exchange=self._exchange,
                    symbol=fill.symbol,
                    trade_id=fill.trade_id,
                    exchange_order_id=fill.exchange_order_id,
                    order_id=owner_id,
                    key=key,
                    side=fill.side,
                    quantity=fill.quantity,
                    price=fill.price,
                    fee=fill.fee,
                    fee_coin=fill.fee_coin,
                    maker=fill.maker,
                    at_s=fill.at_s,
                    cause=fill.cause,
                )
            )
        return tuple(out)

    def _probe_evidence(self, request: Probe, result: c.Result, now_s: float, told: Told) -> Evidence | None:
        """Without markets, an exchange that answers well is of no use all the same: that is a failure, too."""
        sent_s = self._probe_sent_s.pop(request.correlation_id, now_s)
        evidence = probe_evidence(
            self._exchange,
            request.kind,
            result,
            sent_s,
            now_s,
            symbol=request.symbol,
            silent_for_s=told.silent_for_s,
            fills=told.fills,
        )
        lives = request.kind in ROUND
        if evidence is not None and lives and told.not_ready and evidence.ok and evidence.cause is None:
            return evolve(evidence, ok=False, words=told.not_ready)
        return evidence
