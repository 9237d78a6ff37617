"""What a connector answers to a pre-flight, and to a question for its account: a shell over `app.domain.readiness`."""

from __future__ import annotations

from collections.abc import Iterable

from actors.environment import PortRunner
from app.domain import calls as c
from app.domain.limiter import Priority
from app.domain.no_room import NO_ROOM
from app.domain.readiness import Found, judge, need_of
from messages.failover import PreflightReply, PreflightRequest
from messages.health import Evidence, EvidenceKind
from messages.market import MarketType

SERVES_S = 60.0
"""For so long an account that was read serves where our own rate limit leaves no room to read it again."""
NOT_READY = "exchange_not_ready"
"""Code of a call that was not made, since the markets are not loaded."""
_ORDERS = (EvidenceKind.PLACE, EvidenceKind.CANCEL)


class Preflights:
    """Of one connector."""

    def __init__(self, exchange: str, runner: PortRunner, market_type: MarketType) -> None:
        self._exchange = exchange
        self._runner = runner
        self._market_type = market_type
        self._order_call: Evidence | None = None
        self._silent = False
        self._silent_s: float | None = None
        self._read: c.AccountResult | None = None

    def observed(self, evidence: Iterable[Evidence]) -> None:
        """How real calls and probes went, oldest first."""
        for each in evidence:
            if each.kind in _ORDERS:
                self._order_call = each
            elif each.kind is EvidenceKind.SIGNED_PROBE:
                self._silent = not each.ok
            if self._silent and not each.ok:  # an order that fails before probes are answered again is of that outage
                self._silent_s = each.at_s

    def priority(self, request: PreflightRequest, now_s: float) -> Priority:
        """Behind everything else: it is asked all the time. Not so for a switch that waits, or where it went without
        an answer for so long that a backup would soon be taken for one that is not ready."""
        if request.urgent:
            return Priority.PROBE
        known = self._read is not None and now_s - self._read.account.at_s < SERVES_S / 2
        return Priority.READ if known else Priority.LOOK_UP

    def reply(self, request: PreflightRequest, result: c.Result, now_s: float) -> PreflightReply:
        """What is to be said of the exchange."""
        account = self._account(result, now_s)
        port = self._runner.port
        found = Found(
            exchange=self._exchange,
            market_type=self._market_type,
            account=account,
            clock_error_s=port.proof.clock_error_s,
            order_call=self._order_call,
            silent_s=self._silent_s,
        )
        verdict = judge(need_of(request), found, port, now_s)
        read = account if isinstance(account, c.AccountResult) else None
        return PreflightReply(
            correlation_id=request.correlation_id,
            exchange=self._exchange,
            problems=verdict.problems,
            shortfalls=verdict.shortfalls,
            notes=verdict.notes,
            refused=verdict.refused,
            at_s=now_s if read is None else read.account.at_s,
            account=None if read is None else read.account,
            opening=isinstance(result, c.CallFailed) and result.code == NOT_READY and not self._runner.not_ready,
        )

    def _account(self, result: c.Result, now_s: float) -> c.AccountResult | c.CallFailed:
        if isinstance(result, c.AccountResult):
            self._read = result
            return result
        if isinstance(result, c.CallFailed):
            young = self._read is not None and now_s - self._read.account.at_s < SERVES_S
            return self._read if self._read is not None and young and result.code == NO_ROOM else result
        return c.CallFailed(code="unexpected_answer", words=f"{self._exchange} gave no answer about its account.")
