"""What a connector answers to what it was asked to read: a call's result in the words of the reply."""

from __future__ import annotations

from typing import Any

from actors.environment import PortRunner
from actors.order_path import OrderPath
from app.domain import calls as c
from app.domain.connector import NO_ROOM
from app.domain.ids import order_id
from app.journal.store import Journal
from messages.base import Failed, Request
from messages.failover import PreflightReply, PreflightRequest
from messages.health import Evidence, EvidenceKind, Probe, ProbeKind, ProbeReply
from messages.market import BalancesReply, GetBalances, GetTicker, TickerReply
from messages.orders import GetOpenOrders, GetOrder, OrderKey, OrderReply, OrdersReply, OrderView
from messages.positions import GetPositions, PositionsReply
from messages.supervision import CheckOrderPath


class Replies:
    """Of one connector."""

    def __init__(self, exchange: str, journal: Journal, runner: PortRunner, path: OrderPath) -> None:
        self._exchange = exchange
        self._journal = journal
        self._runner = runner
        self._path = path
        self._probe_sent_s: dict[str, float] = {}

    def probing(self, request: Probe, now_s: float) -> None:
        """A probe is sent; its reply says how long it took."""
        self._probe_sent_s[request.correlation_id] = now_s

    def by_id(self, request: GetOrder) -> GetOrder:
        """The same question by our order id, where it is asked by the caller's."""
        if request.order_id is not None or request.client_order_id is None:
            return request
        key = OrderKey(strategy=request.strategy, client_order_id=request.client_order_id)
        return GetOrder(
            correlation_id=request.correlation_id,
            deadline_s=request.deadline_s,
            strategy=request.strategy,
            order_id=order_id(self._journal.journal_id, key),
            client_order_id=request.client_order_id,
        )

    def order(self, request: GetOrder) -> OrderView | None:
        """What the journal knows of the order asked for."""
        named = self.by_id(request).order_id
        return None if named is None else self._journal.order(named)

    def reply(self, request: Request, result: c.Result, now_s: float) -> Any:
        """A read's result in the words of the reply to its request."""
        correlation_id = request.correlation_id
        match request, result:
            case Probe(), _:
                return ProbeReply(correlation_id=correlation_id, evidence=self._probe_evidence(request, result, now_s))
            case PreflightRequest(), _:
                return self._preflight(request, result)
            case CheckOrderPath(), _:
                return self._path.answer(request, result)
            case GetTicker(), c.TickerResult(ticker=ticker):
                return TickerReply(correlation_id=correlation_id, ticker=ticker)
            case GetBalances(), c.BalancesResult(balances=balances):
                chosen = tuple(b for b in balances if request.coin in (None, b.coin))
                return BalancesReply(correlation_id=correlation_id, balances=chosen)
            case GetPositions(), c.PositionsResult(positions=positions):
                return PositionsReply(correlation_id=correlation_id, exchange=self._exchange, positions=positions)
            case GetOpenOrders(), _:
                # The exchange's answer, if any, is in the journal by now; what lives elsewhere is there too.
                orders = self._journal.open_orders(strategy=request.strategy)
                chosen_orders = tuple(o for o in orders if request.symbol in (None, o.spec.symbol))
                return OrdersReply(correlation_id=correlation_id, orders=chosen_orders)
            case GetOrder(), _:
                order = self.order(request)
                if order is not None:
                    return OrderReply(correlation_id=correlation_id, order=order)
        failed = result if isinstance(result, c.CallFailed) else None
        return Failed(
            correlation_id=correlation_id,
            code=failed.code if failed is not None else "unexpected_answer",
            words=failed.words
            if failed is not None
            else f"{self._exchange} gave no answer to {type(request).__name__}.",
            native_code=failed.native_code if failed is not None else None,
            retryable=failed.retryable if failed is not None else False,
        )

    def _probe_evidence(self, request: Probe, result: c.Result, now_s: float) -> Evidence | None:
        sent_s = self._probe_sent_s.pop(request.correlation_id, now_s)
        if isinstance(result, c.CallFailed) and result.code == NO_ROOM:
            return None
        kind = EvidenceKind.PUBLIC_PROBE if request.kind is ProbeKind.PUBLIC else EvidenceKind.SIGNED_PROBE
        failed = isinstance(result, c.CallFailed) and result.ill
        return Evidence(
            exchange=self._exchange,
            kind=kind,
            ok=not failed,
            words=result.words if isinstance(result, c.CallFailed) and failed else "",
            latency_s=now_s - sent_s,
            at_s=now_s,
            clock_offset_s=result.clock_offset_s if isinstance(result, c.ProbeOk) else None,
        )

    def _preflight(self, request: PreflightRequest, result: c.Result) -> PreflightReply:
        problems: list[str] = []
        if not isinstance(result, c.BalancesResult):
            words = result.words if isinstance(result, c.CallFailed) else "the account could not be read."
            problems.append(f"{self._exchange} is not ready: {words}")
        elif not any(balance.free > 0 for balance in result.balances):
            problems.append(f"{self._exchange} has no free funds.")
        else:
            problems += [problem for symbol in request.symbols if (problem := self._runner.port.tradable(symbol))]
        return PreflightReply(correlation_id=request.correlation_id, exchange=self._exchange, problems=tuple(problems))
