"""From a request to its answer: gateway, engine, and the faults between the steps.

In the order of a real exchange: rate limits, maintenance, then the dialect's own gateway (key, signature, timestamp,
expiry), what the key may do, and the handler over the account's engine. A fault spares, repeats, delays or spoils some
of it, as its kind says in `fault_rules`.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import web
from attrs import evolve, frozen

from app.simulator.accounts import Key
from app.simulator.calls import ALWAYS, READS, Call, Trouble
from app.simulator.dialects.base import LATENESS_BOUND_S, Dialect, Matched, Request
from app.simulator.dialects.wire import Answer
from app.simulator.fault_rules import STATUSES, TROUBLES, Kind, Rule
from app.simulator.faults import Plan
from app.simulator.limits import FREE
from app.simulator.port import cut

if TYPE_CHECKING:
    from app.simulator.server import SimulatedExchange

MAX_LATE = 10_000
"""Executions waiting under the `late` fault; beyond it such a request is not executed at all."""
_HTML = b"<html><head><title>%d</title></head><body><h1>%d</h1><hr>nginx</body></html>"
_NOT_EXECUTED = Answer(body=b'{"result":{"not":"executed"},"time":0}')
_LIMIT_STATUSES = frozenset({418, 429})


@frozen(kw_only=True)
class Arrival:
    """A request and what is known of it. `key` None: unsigned, or of a key that nobody has; `matched` None: no path."""

    http: web.BaseRequest
    request: Request
    dialect: Dialect
    key: Key | None
    matched: Matched | None
    symbol: str | None
    ip: str

    @property
    def call(self) -> Call:
        """What it is for."""
        return self.matched.route.call if self.matched is not None else Call.OTHER


class Performer:
    """Performs the requests of one exchange."""

    def __init__(self, exchange: "SimulatedExchange") -> None:
        self._exchange = exchange
        self._late: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """End every late execution."""
        late = list(self._late)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def perform(self, arrival: Arrival, plan: Plan) -> Answer:
        """The answer; or never one, or a broken connection."""
        rule = plan.ending
        if rule is None:
            return self._execute(arrival, plan)
        if rule.kind in TROUBLES:
            return self._trouble(arrival, plan, rule)
        match rule.kind:
            case Kind.BLACKHOLE | Kind.HANG_BEFORE:
                return await _never()
            case Kind.HANG_AFTER:
                self._execute(arrival, plan)
                return await _never()
            case Kind.LATE:
                self._execute_late(arrival, plan)
                return await _never()
            case Kind.DROP_BEFORE | Kind.DROP_AFTER | Kind.LOSSY:
                if rule.kind is Kind.DROP_AFTER or plan.executed:
                    self._execute(arrival, plan)
                return await _drop(arrival.http, rule.terms.how)
            case Kind.SLOW:
                answer = self._execute(arrival, plan)
                await asyncio.sleep(plan.delay_s)
                return answer
            case Kind.SUSPENDED:
                return self._suspended(arrival, plan)
            case Kind.ACKNOWLEDGED:
                return self._acknowledged(arrival, rule)
            case _:
                return await self._spoilt(arrival, plan, rule)

    async def _spoilt(self, arrival: Arrival, plan: Plan, rule: Rule) -> Answer:
        """An answer that is not what the exchange wrote."""
        whole = self._execute(arrival, plan) if plan.executed else _NOT_EXECUTED
        half = whole.body[: len(whole.body) // 2]
        match rule.kind:
            case Kind.HALF_JSON:
                return evolve(whole, body=half)
            case Kind.TRUNCATED:
                return await _truncated(arrival.http, whole, half, rule.terms.how)
            case Kind.EMPTY:
                return Answer(body=b"")
            case Kind.HTML_200:
                return Answer(body=_HTML % (200, 200), content_type="text/html")
            case _:
                status = STATUSES[rule.kind] if rule.kind is Kind.HTTP_504 else rule.terms.status
                return Answer(body=_HTML % (status, status), status=status, content_type="text/html")

    def _trouble(self, arrival: Arrival, plan: Plan, rule: Rule) -> Answer:
        """The exchange's own words, whatever was asked."""
        if plan.executed:
            self._execute(arrival, plan)
        now_ms, wait_s = self._exchange.clock(), rule.terms.retry_after_s
        answer = arrival.dialect.trouble_answer(
            TROUBLES[rule.kind], arrival.request, now_ms, until_ms=now_ms + wait_s * 1000
        )
        status = STATUSES.get(rule.kind, answer.status)
        headers = {"Retry-After": str(wait_s)} if rule.kind in STATUSES else {}
        return evolve(answer, status=status, headers={**answer.headers, **headers})

    def _acknowledged(self, arrival: Arrival, rule: Rule) -> Answer:
        """What the exchange would have answered, had it been done: it is done to a copy of the books."""
        self._exchange.advance()
        now_ms = self._exchange.clock()
        refused, headers = self._admit(arrival, now_ms)
        if refused is not None:
            return refused
        copy = self._exchange.freeze(rule.id).dialects.get(arrival.dialect.credentials.api_key)
        matched = copy.match(arrival.request) if copy is not None else None
        if copy is None or matched is None:
            return arrival.dialect.unknown_path(arrival.request)
        answer = copy.execute(arrival.request, matched, now_ms)
        return evolve(answer, headers={**answer.headers, **headers})

    def _suspended(self, arrival: Arrival, plan: Plan) -> Answer:
        venue = self._exchange.venue
        stopped = ({arrival.symbol} if arrival.symbol is not None else set(venue.markets)) - venue.suspended
        venue.suspended |= stopped
        try:
            return self._execute(arrival, plan)
        finally:
            venue.suspended -= stopped

    # ---- the exchange itself ----------------------------------------------------------------------------------------

    def _execute(self, arrival: Arrival, plan: Plan) -> Answer:
        """The gateway, then the engine, now; twice under the `double` fault."""
        self._exchange.advance()
        refused, headers = self._admit(arrival, self._exchange.clock())
        return refused if refused is not None else self._run(arrival, plan, headers)

    def _admit(self, arrival: Arrival, now_ms: int) -> tuple[Answer | None, Mapping[str, str]]:
        """The gateway's answer if it turns the request away, and the headers of an answer that it lets through."""
        exchange, dialect, request, verdict = self._exchange, arrival.dialect, arrival.request, FREE
        if exchange.limits is not None:
            verdict = exchange.limits.take(arrival.call, arrival.key.api_key if arrival.key else "", now_ms)
            if verdict.refused or verdict.banned:
                trouble = Trouble.BANNED if verdict.banned else Trouble.RATE_LIMIT
                answer = dialect.trouble_answer(trouble, request, now_ms, until_ms=verdict.until_ms)
                told = dialect.limit_headers(verdict, now_ms)
                if answer.status in _LIMIT_STATUSES:
                    told = {**told, "Retry-After": str(verdict.retry_after_s(now_ms))}
                return evolve(answer, headers=told), {}
        elif exchange.usage is not None:
            verdict = exchange.usage.take(arrival.call, arrival.key.api_key if arrival.key else "", now_ms)
        if arrival.matched is None:
            return dialect.unknown_path(request), {}
        if exchange.venue.is_down(now_ms) and arrival.call not in ALWAYS:
            return dialect.trouble_answer(Trouble.MAINTENANCE, request, now_ms), {}
        refused = dialect.admit(request, arrival.matched, now_ms)
        if refused is None and arrival.matched.route.private and arrival.key is not None:
            denied = arrival.key.trouble(arrival.call, request.method, arrival.ip)
            if denied is not None:
                refused = dialect.trouble_answer(denied, request, now_ms)
        return refused, dialect.limit_headers(verdict, now_ms)

    def _run(self, arrival: Arrival, plan: Plan, headers: Mapping[str, str]) -> Answer:
        now_ms = self._exchange.clock()
        request, dialect, matched = arrival.request, arrival.dialect, arrival.matched
        if plan.stale is not None and arrival.call in READS:
            dialect = self._exchange.stale(plan.stale, dialect)
            matched = dialect.match(request)
        if matched is None:
            return dialect.unknown_path(request)
        delay_s = plan.not_visible.delay_s if plan.not_visible is not None else 0.0
        visible_from_ms = now_ms + round(delay_s * 1000) if delay_s else 0
        answer = dialect.execute(request, matched, now_ms, visible_from_ms=visible_from_ms)
        if plan.double is not None:
            dialect.execute(request, matched, now_ms, allow_duplicate=True, visible_from_ms=visible_from_ms)
        if arrival.call not in READS and arrival.call not in ALWAYS:
            self._exchange.keep()
        return evolve(answer, headers={**answer.headers, **headers}) if headers else answer

    def _execute_late(self, arrival: Arrival, plan: Plan) -> None:
        """Admit now, execute later; nobody waits for the answer.

        Where only the gateway looks at the expiry, what it admitted still executes, at most LATENESS_BOUND_S after it.
        Where the engine looks too, the dialect's handler refuses what is past its expiry by then.
        """
        request, dialect, matched = arrival.request, arrival.dialect, arrival.matched
        if self._admit(arrival, request.arrived_ms)[0] is not None or matched is None:
            return
        if len(self._late) >= MAX_LATE:
            return
        delay_s = plan.delay_s
        expiry_ms = dialect.expiry_ms(request) if matched.route.private else None
        if expiry_ms is not None and not dialect.engine_enforces_expiry:
            delay_s = min(delay_s, max(0.0, (expiry_ms - request.arrived_ms) / 1000 + LATENESS_BOUND_S))

        async def later() -> None:
            await asyncio.sleep(delay_s)
            self._exchange.advance()
            self._run(arrival, plan, {})

        task = asyncio.get_running_loop().create_task(later())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


async def _never() -> Answer:
    """Hold the request; the client's going away, or `stop`, cancels it."""
    await asyncio.Event().wait()
    raise AssertionError("Nothing sets this event.")


async def _drop(http: web.BaseRequest, how: str) -> Answer:
    """Close the connection without an answer; the loss of the connection cancels this handler."""
    cut(http.transport, how)
    return await _never()


async def _truncated(http: web.BaseRequest, whole: Answer, half: bytes, how: str) -> Answer:
    """Announce the whole, send half, and close."""
    response = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
    response.content_length = len(whole.body)
    await response.prepare(http)
    await response.write(half)
    return await _drop(http, how)
