"""One simulated exchange on two loopback ports: the exchange itself, and its control.

Two sites, because the exchange's port must be able to refuse connections while the control still answers. Everything of
one exchange runs on one event loop, so the engine needs no lock, and a request executes whole or not at all.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from attrs import define, field

from app.simulator.accounts import MAX_KEYS, Key, Permission
from app.simulator.books import BadBooks, Books, merge
from app.simulator.calls import Call
from app.simulator.dialects import dialect_class
from app.simulator.dialects.base import Credentials, Dialect, Request
from app.simulator.engine import Engine
from app.simulator.fault_rules import Rule
from app.simulator.faults import Faults
from app.simulator.keeping import BooksFile
from app.simulator.limits import ENDLESS, RateLimits
from app.simulator.performing import Arrival, Performer
from app.simulator.port import Port

LOG_SIZE = 10_000
"""Requests remembered; older ones are forgotten."""
BODY_LIMIT_BYTES = 1 << 20
_LEAST_TICK_S = 0.02


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
    account: str | None
    symbol: str | None
    client_order_id: str | None
    fault: str | None
    status: int | None = None


@define
class _Replica:
    """Books as they were: what a stale look-up reads."""

    taken_ms: int
    dialects: dict[str, Dialect] = field(factory=dict)


class SimulatedExchange:
    """A running exchange. Made by `start`; ends with `stop` or `async with`."""

    def __init__(self, name: str, dialect: Dialect, clock: Callable[[], int], books: Path | None = None) -> None:
        self.name = name
        self.dialect = dialect
        self.engine = dialect.engine
        self.venue = dialect.engine.venue
        self.faults = Faults()
        self.limits: RateLimits | None = None
        """The exchange's rate limits, once somebody switched them on."""
        told = dialect.limits if dialect.tells_usage else None
        self.usage = RateLimits(told, scale=ENDLESS) if told is not None else None
        """Counts for the headers while they are off, where the exchange tells always."""
        self.ahead_ms = 0
        """How far the exchange's clock is ahead of the one it was given."""
        self.log: deque[Logged] = deque(maxlen=LOG_SIZE)
        self.base_url = ""
        self.control_url = ""
        self.api_key = dialect.credentials.api_key
        self.secret = dialect.credentials.secret
        self.password = dialect.credentials.password
        self.keys: dict[str, Key] = {}
        self._clock = clock
        self._dialects: dict[str, Dialect] = {self.api_key: dialect}
        self.keys[self.api_key] = Key(api_key=self.api_key, secret=self.secret, password=self.password)
        self._performer = Performer(self)
        self._replicas: dict[int, _Replica] = {}
        self._books = Books(self.engine)
        self._file = BooksFile(books) if books is not None else None
        self._last_kept: Mapping[str, Any] = {}
        self._tick: asyncio.TimerHandle | None = None
        self._http: web.Server | None = None
        self._control: web.AppRunner | None = None
        self._port: Port | None = None

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
        books: Path | None = None,
    ) -> Self:
        """Start an exchange by name or alias on 127.0.0.1; port 0 takes a free one, or the one it had.

        Credentials not given are the dialect's own. books: a file in which the exchange keeps its books; if it is
        there already, the exchange goes on with them, under the same keys, and on the same ports where none is given.
        Raises ValueError for an unknown name, BadBooks, OSError for a taken port or a file that cannot be written.
        """
        from app.simulator.control import control_app  # it needs this module's class for its type

        kind = dialect_class(name)
        default = kind.default_credentials
        credentials = Credentials(
            api_key=default.api_key if api_key is None else api_key,
            secret=default.secret if secret is None else secret,
            password=default.password if password is None else password,
        )
        self = cls(name, kind(Engine(kind.markets(), kind.rules()), credentials), clock, books)
        try:
            ports = self._come_back()
            # Cancelled when the client goes away: a held request ends with its connection.
            self._http = web.Server(self._answer, handler_cancellation=True, access_log=None)
            self._port = Port(self._http, port or ports.get("port", 0))
            await self.apply_port()
            self.base_url = f"http://127.0.0.1:{self._port.number}"
            self._control = web.AppRunner(control_app(self), access_log=None, shutdown_timeout=0.1)
            await self._control.setup()
            control = web.TCPSite(self._control, "127.0.0.1", control_port or ports.get("control_port", 0))
            await control.start()
            self.control_url = f"http://127.0.0.1:{self._control.addresses[0][1]}"
            self.keep_whole()
            self._wake()
        except BaseException:
            await self.stop()
            raise
        return self

    async def stop(self) -> None:
        """Close both ports, end every held request and every late execution. May be called twice."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        await self._performer.stop()
        if self._port is not None:
            self._port.close()
            self._port = None
        if self._http is not None:
            await self._http.shutdown(0.1)
            self._http = None
        if self._control is not None:
            await self._control.cleanup()
            self._control = None
        if self._file is not None:
            self._file.close()

    async def __aenter__(self) -> Self:
        """The exchange itself, already running."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self.stop()

    async def apply_port(self) -> None:
        """Open or close the exchange's port as the faults say; called after every change of the rules."""
        self._replicas = {i: r for i, r in self._replicas.items() if any(rule.id == i for rule in self.faults.rules)}
        if self._port is not None:
            await self._port.apply(self.faults.port)

    # ---- time -------------------------------------------------------------------------------------------------------

    def clock(self) -> int:
        """The exchange's time, Unix ms."""
        return self._clock() + self.ahead_ms

    def advance(self) -> None:
        """Do what is due by now: countdowns, funding."""
        self.venue.advance(self.clock())

    def _wake(self) -> None:
        """See to it that what is due later happens then, also if nobody asks anything."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        due_ms = self.venue.due_ms()
        if due_ms is not None and self._port is not None:
            wait_s = max((due_ms - self.clock()) / 1000, _LEAST_TICK_S)
            self._tick = asyncio.get_running_loop().call_later(wait_s, self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        self.advance()
        self.keep()

    # ---- accounts ---------------------------------------------------------------------------------------------------

    def account(self, name: str) -> Engine:
        """The engine of an account. Raises ValueError that lists them."""
        found = self.venue.accounts.get(name)
        if not isinstance(found, Engine):
            raise ValueError(f"There is no account {name!r}; there are {', '.join(self.venue.accounts)}.")
        return found

    def add_key(self, key: Key) -> None:
        """Accept an API key, or change what one may do. Raises ValueError for what cannot be a key here."""
        engine = self.account(key.account)
        if not key.api_key or (key.api_key not in self.keys and len(self.keys) >= MAX_KEYS):
            raise ValueError("A key needs a name, and there is a limit to their number.")
        credentials = Credentials(api_key=key.api_key, secret=key.secret, password=key.password)
        made = self.dialect if key.api_key == self.api_key else type(self.dialect)(engine, credentials)
        self._dialects[key.api_key], self.keys[key.api_key] = made, key

    def remove_key(self, api_key: str) -> None:
        """Know a key no more. Raises ValueError for one that is not there, or the exchange's first."""
        if api_key == self.api_key or self.keys.pop(api_key, None) is None:
            raise ValueError(f"There is no key {api_key!r} that can be removed.")
        del self._dialects[api_key]

    # ---- books ------------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Everything that must survive the process, as JSON: the books, the keys, the ports."""
        return {**self._books.dump(), **self._about()}

    def load(self, dump: Mapping[str, Any]) -> None:
        """Take over a dump, before anything happened here. Raises BadBooks."""
        if dump.get("exchange") != self.name:
            raise BadBooks(f"The books are those of {dump.get('exchange')!r}, not of {self.name!r}.")
        self._books.load(dump)
        try:
            for raw in dump.get("keys", []):
                allowed = frozenset(Permission(p) for p in raw["permissions"])
                self.add_key(Key(**{**raw, "permissions": allowed, "ips": frozenset(raw["ips"])}))
            for api_key, state in dump.get("dialects", {}).items():
                if api_key in self._dialects:
                    self._dialects[api_key].restore(state)
        except (ValueError, TypeError, KeyError) as error:
            raise BadBooks(f"The keys in the books cannot be read: {error}.") from error

    def keep(self) -> None:
        """Write what changed into the file, before anybody is answered; and wake for what is due."""
        self._wake()
        if self._file is None:
            return
        if self._file.is_full:
            self.keep_whole()
            return
        change = {**self._books.changes(), **self._about()}
        told = {**change, "accounts": {n: a["account"] for n, a in change["accounts"].items()}}
        if told != self._last_kept or any(a["orders"] or a["fills"] for a in change["accounts"].values()):
            self._file.add(change)
            self._last_kept = told

    def keep_whole(self) -> None:
        """Write the file anew."""
        if self._file is not None:
            self._books.follow()
            self._file.start(self.dump())

    def _about(self) -> dict[str, Any]:
        keys = [
            {
                "api_key": k.api_key,
                "secret": k.secret,
                "password": k.password,
                "account": k.account,
                "permissions": sorted(k.permissions),
                "ips": sorted(k.ips),
                "revoked": k.revoked,
            }
            for k in self.keys.values()
        ]
        ports = {"port": self.base_url.rpartition(":")[2], "control_port": self.control_url.rpartition(":")[2]}
        return {
            "exchange": self.name,
            "keys": keys,
            "dialects": {k: d.state() for k, d in self._dialects.items()},
            "ports": {k: int(v) for k, v in ports.items() if v},
        }

    def _come_back(self) -> dict[str, int]:
        parts = self._file.read() if self._file is not None else []
        if not parts:
            return {}
        whole = merge(parts)
        self.load(whole)
        ports: dict[str, int] = whole.get("ports", {})
        return ports

    def stale(self, rule: Rule, live: Dialect) -> Dialect:
        """The dialect of the same key over the books as they were when the rule was set, or `refresh_s` ago."""
        replica, refresh_s = self._replicas.get(rule.id), rule.terms.refresh_s
        now_ms = self.clock()
        if replica is None or (refresh_s is not None and now_ms - replica.taken_ms > refresh_s * 1000):
            # A refreshed one is what the look-up after this one reads: this one still gets the old.
            fresh = self.freeze(rule.id)
            replica = fresh if replica is None else replica
        return replica.dialects.get(live.credentials.api_key, live)

    def freeze(self, rule_id: int) -> _Replica:
        """Copy the books for a rule of stale look-ups."""
        kind = type(self.dialect)
        main = Engine(kind.markets(), kind.rules())
        Books(main).load(self._books.dump())
        replica = _Replica(taken_ms=self.clock())
        for api_key, key in self.keys.items():
            engine = main.venue.accounts.get(key.account)
            if isinstance(engine, Engine):
                made = kind(engine, Credentials(api_key=api_key, secret=key.secret, password=key.password))
                made.restore(self._dialects[api_key].state())
                replica.dialects[api_key] = made
        self._replicas[rule_id] = replica
        return replica

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
        key = self.keys.get(self.dialect.key_of(request) or "")
        dialect = self._dialects[key.api_key] if key is not None else self.dialect
        matched = dialect.match(request)
        call = matched.route.call if matched is not None else Call.OTHER
        symbol = dialect.symbol_of(request, matched) if matched is not None else None
        plan = self.faults.take(call, symbol, now_ms)
        logged = Logged(
            ts_ms=now_ms,
            call=call.value,
            method=request.method,
            path=path,
            account=key.account if key is not None else None,
            symbol=symbol,
            client_order_id=dialect.client_order_id_of(request) if matched is not None else None,
            fault=plan.name,
        )
        self.log.append(logged)
        arrival = Arrival(
            http=http,
            request=request,
            dialect=dialect,
            key=key,
            matched=matched,
            symbol=symbol,
            ip=http.remote or "",
        )
        answer = await self._performer.perform(arrival, plan)
        logged.status = answer.status
        headers = {"Content-Type": answer.content_type, **answer.headers}
        return web.Response(body=answer.body, status=answer.status, headers=headers)
