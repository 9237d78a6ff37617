"""One simulated exchange on two loopback ports: the exchange itself, and its control.

Two sites, because the exchange's port must be able to refuse connections while the control still answers. Everything of
one exchange runs on one event loop, so the engine needs no lock, and a request executes whole or not at all.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web
from attrs import define

from app.simulator.dialects import dialect_class
from app.simulator.dialects.base import LATENESS_BOUND_S, Call, Credentials, Dialect, Matched, Request
from app.simulator.dialects.wire import Answer
from app.simulator.engine import Engine
from app.simulator.faults import Faults, Kind, Plan, Rule

LOG_SIZE = 10_000
"""Requests remembered; older ones are forgotten."""
BODY_LIMIT_BYTES = 1 << 20
MAX_LATE = 10_000
"""Executions waiting under the `late` fault; beyond it such a request is not executed at all."""
_HTML = b"<html><head><title>%d</title></head><body><h1>%d</h1><hr>nginx</body></html>"


def wall_clock_ms() -> int:
    """Unix time in ms: the default clock of a simulated exchange."""
    return time.time_ns() // 1_000_000


@define(kw_only=True)
class Logged:
    """One request in the log. `status`: the HTTP status answered, None for none. `fault`: kinds, joined by "+"."""

    ts_ms: int
    call: str
    method: str
    path: str
    symbol: str | None
    client_order_id: str | None
    fault: str | None
    status: int | None = None


class SimulatedExchange:
    """A running exchange. Made by `start`; ends with `stop` or `async with`."""

    def __init__(self, name: str, dialect: Dialect, clock: Callable[[], int]) -> None:
        self.name = name
        self.dialect = dialect
        self.engine = dialect.engine
        self.faults = Faults()
        self.clock = clock
        self.log: deque[Logged] = deque(maxlen=LOG_SIZE)
        self.base_url = ""
        self.control_url = ""
        self.api_key = dialect.credentials.api_key
        self.secret = dialect.credentials.secret
        self.password = dialect.credentials.password
        self._late: set[asyncio.Task[None]] = set()
        self._http: web.Server | None = None
        self._control: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._held_port: socket.socket | None = None

    # ---- life -------------------------------------------------------------------------------------------------------

    @classmethod
    async def start(
        cls,
        name: str,
        *,
        port: int = 0,
        control_port: int = 0,
        api_key: str | None = None,
        secret: str | None = None,
        password: str | None = None,
        clock: Callable[[], int] = wall_clock_ms,
    ) -> Self:
        """Start an exchange by name or alias on 127.0.0.1; port 0 takes a free one.

        Credentials not given are the dialect's own. Raises ValueError for an unknown name, OSError for a taken port.
        """
        from app.simulator.control import control_app  # it needs this module's class for its type

        kind = dialect_class(name)
        default = kind.default_credentials
        credentials = Credentials(
            api_key=default.api_key if api_key is None else api_key,
            secret=default.secret if secret is None else secret,
            password=default.password if password is None else password,
        )
        self = cls(name, kind(Engine(kind.markets(), kind.rules()), credentials), clock)
        try:
            # Bound but never listening: it keeps the port ours while the exchange refuses connections.
            self._held_port = _bound(port)
            # Cancelled when the client goes away: a held request ends with its connection.
            self._http = web.Server(self._answer, handler_cancellation=True, access_log=None)
            await self.apply_refused()
            number = self._held_port.getsockname()[1]
            self.base_url = f"http://127.0.0.1:{number}"
            self._control = web.AppRunner(control_app(self), access_log=None, shutdown_timeout=0.1)
            await self._control.setup()
            control = web.TCPSite(self._control, "127.0.0.1", control_port)
            await control.start()
            self.control_url = f"http://127.0.0.1:{self._control.addresses[0][1]}"
        except BaseException:
            await self.stop()
            raise
        return self

    async def stop(self) -> None:
        """Close both ports, end every held request and every late execution. May be called twice."""
        late = list(self._late)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._close_exchange_port()
        if self._http is not None:
            await self._http.shutdown(0.1)
            self._http = None
        if self._control is not None:
            await self._control.cleanup()
            self._control = None
        if self._held_port is not None:
            self._held_port.close()
            self._held_port = None

    async def __aenter__(self) -> Self:
        """The exchange itself, already running."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self.stop()

    async def apply_refused(self) -> None:
        """Open or close the exchange's port as the `refused` faults say; called after every change of the rules."""
        if self.faults.refused:
            self._close_exchange_port()
        elif self._listener is None and self._http is not None and self._held_port is not None:
            listening = _bound(self._held_port.getsockname()[1])
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(self._http, sock=listening, backlog=1024)

    def _close_exchange_port(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._http is not None:
            # Kept-alive connections would go on trading behind a closed door.
            for connection in self._http.connections:
                if connection.transport is not None:
                    connection.transport.abort()

    # ---- requests ---------------------------------------------------------------------------------------------------

    async def _answer(self, http: web.BaseRequest) -> web.StreamResponse:
        length = http.content_length or 0
        if length > BODY_LIMIT_BYTES:
            return web.Response(status=413)
        now_ms = self.clock()
        body = await http.read() if http.body_exists else b""
        path, _, raw_query = http.raw_path.partition("?")
        request = Request(
            method=http.method,
            path=path,
            raw_query=raw_query,
            headers={name.lower(): value for name, value in http.headers.items()},
            body=body,
            arrived_ms=now_ms,
        )
        matched = self.dialect.match(request)
        call = matched.route.call if matched is not None else Call.OTHER
        symbol = self.dialect.symbol_of(request, matched) if matched is not None else None
        plan = self.faults.take(call, symbol)
        logged = Logged(
            ts_ms=now_ms,
            call=call.value,
            method=request.method,
            path=path,
            symbol=symbol,
            client_order_id=self.dialect.client_order_id_of(request) if matched is not None else None,
            fault=plan.name,
        )
        self.log.append(logged)
        answer = await self._through_faults(http, request, matched, plan)
        logged.status = answer.status
        return web.Response(body=answer.body, status=answer.status, headers={"Content-Type": answer.content_type})

    async def _through_faults(
        self, http: web.BaseRequest, request: Request, matched: Matched | None, plan: Plan
    ) -> Answer:
        rule = plan.ending
        if rule is None:
            return self._execute(request, matched, plan)
        match rule.kind:
            case Kind.BLACKHOLE | Kind.HANG_BEFORE:
                return await _never()
            case Kind.HANG_AFTER:
                self._execute(request, matched, plan)
                return await _never()
            case Kind.LATE:
                self._execute_late(request, matched, plan, rule)
                return await _never()
            case Kind.DROP_BEFORE:
                return await _drop(http)
            case Kind.DROP_AFTER:
                self._execute(request, matched, plan)
                return await _drop(http)
            case Kind.HTTP_5XX:
                if rule.executed:
                    self._execute(request, matched, plan)
                html = _HTML % (rule.status, rule.status)
                return Answer(body=html, status=rule.status, content_type="text/html")
            case Kind.HALF_JSON:
                whole = self._half_answer(request, matched, plan, rule)
                return Answer(
                    body=whole.body[: len(whole.body) // 2], status=whole.status, content_type=whole.content_type
                )
            case Kind.SLOW:
                answer = self._execute(request, matched, plan)
                await asyncio.sleep(rule.delay_s)
                return answer
            case Kind.REFUSED | Kind.DOUBLE | Kind.NOT_VISIBLE:
                raise AssertionError(f"{rule.kind} never ends a request.")

    def _half_answer(self, request: Request, matched: Matched | None, plan: Plan, rule: Rule) -> Answer:
        if rule.executed:
            return self._execute(request, matched, plan)
        return Answer(body=b'{"result":{"not":"executed"},"time":0}')

    def _execute(self, request: Request, matched: Matched | None, plan: Plan) -> Answer:
        """The gateway, then the engine, now; twice under the `double` fault."""
        now_ms = self.clock()
        if matched is None:
            return self.dialect.unknown_path(request)
        refused = self.dialect.admit(request, matched, now_ms)
        return refused if refused is not None else self._run(request, matched, plan)

    def _run(self, request: Request, matched: Matched, plan: Plan) -> Answer:
        now_ms = self.clock()
        visible_from_ms = now_ms + round(plan.not_visible.delay_s * 1000) if plan.not_visible is not None else 0
        answer = self.dialect.execute(request, matched, now_ms, visible_from_ms=visible_from_ms)
        if plan.double is not None:
            self.dialect.execute(request, matched, now_ms, allow_duplicate=True, visible_from_ms=visible_from_ms)
        return answer

    def _execute_late(self, request: Request, matched: Matched | None, plan: Plan, rule: Rule) -> None:
        """Admit now, execute later; nobody waits for the answer.

        Where only the gateway looks at the expiry, what it admitted still executes, at most LATENESS_BOUND_S after it.
        Where the engine looks too, the dialect's handler refuses what is past its expiry by then.
        """
        if matched is None or self.dialect.admit(request, matched, request.arrived_ms) is not None:
            return
        if len(self._late) >= MAX_LATE:
            return
        delay_s = rule.delay_s
        expiry_ms = self.dialect.expiry_ms(request) if matched.route.private else None
        if expiry_ms is not None and not self.dialect.engine_enforces_expiry:
            delay_s = min(delay_s, max(0.0, (expiry_ms - request.arrived_ms) / 1000 + LATENESS_BOUND_S))
        found = matched

        async def later() -> None:
            await asyncio.sleep(delay_s)
            self._run(request, found, plan)

        task = asyncio.get_running_loop().create_task(later())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


async def _never() -> Answer:
    """Hold the request; the client's going away, or `stop`, cancels it."""
    await asyncio.Event().wait()
    raise AssertionError("Nothing sets this event.")


async def _drop(http: web.BaseRequest) -> Answer:
    """Close the connection without an answer; the loss of the connection cancels this handler."""
    if http.transport is not None:
        http.transport.close()
    return await _never()


def _bound(port: int) -> socket.socket:
    """A socket bound to a loopback port; SO_REUSEADDR lets a second one bind while none listens."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock
