"""The router as a bot sees it: one object through which orders go to whichever exchange is well.

    router = OrderRouter(primary_exchange="bybit_v5", failover_exchanges=["okx", "binance"])
    await router.initialize()
    order = router.place_order(symbol="BTCUSDT", side="Buy", order_type="Limit", qty="0.001", price="25000")

Every call exists twice: `router.place_order(…)` waits, `await router.aio.place_order(…)` does not block the loop. Both
may be used from several threads. A call inside a running event loop blocks that loop for as long as it takes, and never
deadlocks: the router's own work runs in a thread and in processes of its own.
"""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from app.core import parse, render_book, render_health, shapes
from app.core.aio import AsyncCalls
from app.core.calls import Call
from app.core.client import ANSWER_SLACK_S, Client, News, no_answer
from app.core.errors import (
    InvalidRequest,
    NoExchangeAvailable,
    NotRunning,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderRouterError,
)
from app.core.events import Callback, EventStream
from app.core.exchange_in_use import ExchangeInUse
from app.core.listening import Listening
from app.core.requests import Requests
from app.core.settings import Settings, settings
from app.core.steers import Steers
from app.core.trading import Trading
from app.domain import session as s
from app.domain.names import canonical_name
from app.launcher.presence import Presence, read_presence
from app.launcher.spawn import OwnDaemon, SpawnFailed
from app.process.lock import StateDirError, private_dir
from messages.failover import RouterState as OrderRouterStatus
from messages.health import HealthAlarms
from messages.positions import BookNews

__all__ = [
    "InvalidRequest",
    "NoExchangeAvailable",
    "NotRunning",
    "OrderOutcomeUnknown",
    "OrderRefused",
    "OrderRouter",
    "OrderRouterError",
    "OrderRouterStatus",
]

T = TypeVar("T")

ROUTE_TIMEOUT_S = 20.0
ATTACH_TIMEOUT_S = 30.0
"""For a daemon that somebody else is starting on the same state directory, at the same moment."""
SPAWN_AGAIN_S = 2.0
"""Between attempts meanwhile to start one of our own: each costs a process."""
DESCRIPTOR = re.compile(r"/proc/self/fd/\d+")


class OrderRouter(Trading, ExchangeInUse, Steers):
    """One door to several exchanges. Arguments that are not passed come from the configuration file, then the default.

    Args:
        primary_exchange: Where trading starts, e.g. ``"bybit_v5"``.
        failover_exchanges: Where it moves, in this order.
        health_check_interval: Seconds between health checks of an exchange that is well.
        max_retry_attempts: Attempts before failing over.
        retry_delay: Seconds between attempts.
        auto_failover: Whether trading moves by itself when the exchange in use is down.
        config: A TOML file, or its tables; by default `$ORDER_ROUTER_CONFIG`, `./order-router.toml`, then the user's
            configuration folder.
        state_dir: Where journal and daemon live; routers with the same one share a daemon.
        market_type: ``"swap"`` (perpetual contracts) or ``"spot"``.
        exchanges: Settings by exchange, as in the file: ``{"okx": {"api_key_env": "OKX_KEY", …}}``.
        strategy: A namespace for client order ids; a router sees its own strategy's orders.

    Raises:
        InvalidRequest: An argument, or the configuration, cannot be; one sentence.
    """

    def __init__(
        self,
        primary_exchange: str | None = None,
        failover_exchanges: Sequence[str] | None = None,
        health_check_interval: float | None = None,
        max_retry_attempts: int | None = None,
        retry_delay: float | None = None,
        auto_failover: bool | None = None,
        *,
        config: str | Path | Mapping[str, Any] | None = None,
        state_dir: str | Path | None = None,
        market_type: str | None = None,
        exchanges: Mapping[str, Mapping[str, Any]] | None = None,
        strategy: str = "default",
    ) -> None:
        if isinstance(failover_exchanges, str):
            raise InvalidRequest(f"failover_exchanges is {failover_exchanges!r}, and must be a list of names.")
        self._settings: Settings = settings(
            config,
            exchanges,
            primary_exchange=primary_exchange,
            failover_exchanges=failover_exchanges,
            health_check_interval=health_check_interval,
            max_retry_attempts=max_retry_attempts,
            retry_delay=retry_delay,
            auto_failover=auto_failover,
            state_dir=state_dir,
            market_type=market_type,
        )
        self.strategy = parse.identifier(strategy, "strategy")
        self.aio = AsyncCalls(self)
        self._requests = Requests(self._settings, self.strategy, self._connected)
        self._client: Client | None = None
        self._daemon: OwnDaemon | None = None
        self._closed = False
        self._last_exchange: str | None = None
        self._listening = Listening(self, self._settings.spell)
        self._lock = threading.RLock()

    # ------------------------------------------------------------------------------------------------ life

    async def initialize(self) -> None:
        """Starts a daemon of our own, or attaches to the one that runs on the state directory. May be called again.

        Raises:
            InvalidRequest: The configuration cannot be, or contradicts that of the daemon that runs.
            NotRunning: The daemon did not start; the sentence says why.
        """
        await asyncio.to_thread(self.start)

    def start(self) -> None:
        """`initialize`, for programs without an event loop."""
        self._start(self._find_or_start)

    def attach(self, *, timeout_s: float = ROUTE_TIMEOUT_S) -> None:
        """Attaches to the daemon that runs on the state directory, and never starts one: to look, or to steer.

        Args:
            timeout_s: For it to tell where trading is.

        Raises:
            InvalidRequest: The state directory is not this user's alone, or an argument contradicts the daemon.
            NotRunning: No daemon runs there.
        """
        self._start(self._find, timeout_s)

    def _start(self, find: Callable[[], Presence], route_timeout_s: float = ROUTE_TIMEOUT_S) -> None:
        with self._lock:
            if self._client is not None and not self._client.ended:
                return
            self._leave()  # of a daemon that has ended
            self._closed = False
            presence = find()
            try:
                self._client = self._connect(presence, route_timeout_s)
            except BaseException:  # interrupted, too: a daemon that nobody has a handle of would go on trading
                self._stop_daemon()
                raise

    def _find(self) -> Presence:
        state_dir = self._private_state_dir()
        presence = read_presence(state_dir)
        if presence is None:
            raise NotRunning(f"No order-router daemon runs on {state_dir}: start one with order-router run.")
        self._agree(presence)
        return presence

    def _private_state_dir(self) -> Path:
        """Where the daemon is; refused where somebody else could have put the file that says how to reach it."""
        state_dir = self._settings.config.router.state_dir
        if state_dir.exists():
            try:
                private_dir(state_dir)
            except StateDirError as error:
                raise InvalidRequest(str(error)) from None
        return state_dir

    def _find_or_start(self) -> Presence:
        state_dir = self._private_state_dir()
        until_s = time.monotonic() + ATTACH_TIMEOUT_S
        while True:
            presence = read_presence(state_dir)
            if presence is not None:
                self._agree(presence)
                return presence
            try:
                self._daemon = OwnDaemon(self._tables_with_state_dir())
            except SpawnFailed as error:
                # Somebody else may be starting one on the same directory at this moment: then attach to that.
                if "in use" in str(error) and time.monotonic() < until_s:
                    again_s = time.monotonic() + SPAWN_AGAIN_S
                    while read_presence(state_dir) is None and time.monotonic() < again_s:
                        time.sleep(0.1)
                    continue
                # The daemon reads the configuration from a descriptor; its caller knows it by another name.
                words = DESCRIPTOR.sub(self._settings.config.where, str(error))
                raise (InvalidRequest if error.code == 78 else NotRunning)(words) from None
            presence = read_presence(state_dir)
            if presence is None:
                raise NotRunning(f"The daemon on {state_dir} ended as soon as it had started; its log is there.")
            return presence

    def _tables_with_state_dir(self) -> dict[str, Any]:
        tables = dict(self._settings.tables)
        tables["router"] = {**tables.get("router", {}), "state_dir": str(self._settings.config.router.state_dir)}
        return tables

    def _agree(self, presence: Presence) -> None:
        for name, theirs in presence.settings.items():
            if name not in self._settings.given:
                continue
            ours = self._settings.given[name]
            if name == "primary_exchange":
                ours = canonical_name(ours)
            elif name == "failover_exchanges":
                ours = [canonical_name(each) for each in ours]
            if ours != theirs:
                raise InvalidRequest(
                    f"{name} is {ours!r} here, but the daemon that runs on this state directory (pid {presence.pid}) "
                    f"was started with {theirs!r}: leave it out, or use another state_dir."
                )

    def _connect(self, presence: Presence, route_timeout_s: float) -> Client:
        client = Client(
            presence,
            s.SessionSettings(
                session_id=f"{self.strategy}-{secrets.token_hex(8)}",
                strategy=self.strategy,
                max_retry_attempts=presence.settings["max_retry_attempts"],
                retry_delay_s=presence.settings["retry_delay"],
                jitter=random.random,
            ),
            state_dir=self._settings.config.router.state_dir,
            on_news=self._news,
            on_end=self._no_more_news,
        )
        if not client.routed.wait(route_timeout_s):
            client.close()
            raise NotRunning(f"The daemon (pid {presence.pid}) told no route within {route_timeout_s:g} s.")
        return client

    def stop_health_check_thread(self) -> None:
        """Ends the health checks, and with them the router; the name is the seed's. The same as `close`."""
        self.close()

    def close(self) -> None:
        """Leaves the router; a daemon of our own ends with it. Open orders stay as `orders.on_shutdown` says."""
        with self._lock:
            self._closed = True
            self._leave()
            self._listening.close()

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
        self._stop_daemon()

    def _stop_daemon(self) -> None:
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    # ------------------------------------------------------------------------------------------------ failover

    def get_status(self, *, timeout_s: float | None = None) -> shapes.Status:
        """The state of the router; answered also when it is not initialized, was closed, or its daemon has ended."""
        if not self._at_rest():
            try:
                return self._wait(self._requests.status(timeout_s=timeout_s))
            except NotRunning:
                if not self._at_rest():
                    raise
        return self._status_at_rest()

    def manual_failover(
        self, exchange: str, *, reason: str = "", timeout_s: float | None = None
    ) -> shapes.HistoryEntry:
        """Moves trading to an exchange. Returns when the new route is committed.

        What the old exchange still holds is settled before, where it answers, and told in the history. An exchange that
        has just come back, or whose connector has just started, is waited for.

        Args:
            reason: Why, for the history; "Manual failover" where none is given.

        Raises:
            InvalidRequest: The exchange is not configured, or trading is there already, or a switch is running.
            OrderRouterError: The exchange is not ready; trading stays where it was.
        """
        return self._wait(self._requests.failover(exchange, reason=reason, timeout_s=timeout_s))

    def get_failover_history(self, *, timeout_s: float | None = None) -> list[shapes.HistoryEntry]:
        """Every switch, oldest first."""
        return self._wait(self._requests.history(timeout_s=timeout_s))

    def events(self, callback: Callback | None = None, *, after: int | None = None) -> EventStream:
        """What happens from now on: changes and fills of this strategy's orders, and changes of the route.

        What is told of orders is numbered without a gap (`event["number"]`), and each is told once and in order, also
        when connectors or the daemon die in between: what is missing is read from the journal.

        Args:
            callback: Called with each event, one after the other, on a thread of its own; what it raises is logged.
                Without one, iterate over the stream that is returned, in a `for` or an `async for`.
            after: The number of the event heard last, in whichever process: what followed it is told first, each order
                as it is by now. 0 for everything there ever was.

        Raises:
            InvalidRequest: `after` is no number from 0 on.
        """
        stream = self._stream(after)
        if callback is not None:
            stream.tell(callback)
        return stream

    def _stream(self, after: int | None) -> EventStream:
        return self._listening.stream(
            after, lambda: self._client.session.news.heard if self._client is not None else None
        )

    # ------------------------------------------------------------------------------------------------ attributes

    @property
    def status(self) -> OrderRouterStatus:
        """The state, as last told; `get_status()` asks anew."""
        if self._client is None:
            return OrderRouterStatus.STOPPED if self._closed else OrderRouterStatus.INITIALIZING
        return OrderRouterStatus.ERROR if self._client.ended else self._client.session.state

    @property
    def current_connector_name(self) -> str | None:
        """The exchange in use, as last told; between two, the one before."""
        return self._last_exchange

    @property
    def failover_history(self) -> list[shapes.HistoryEntry]:
        """The same as `get_failover_history()`."""
        return self.get_failover_history()

    # ------------------------------------------------------------------------------------------------ pieces

    def _news(self, news: News) -> None:
        spell = self._settings.spell
        match news:
            case BookNews():
                events = render_book.events(news, spell)
            case HealthAlarms():
                events = render_health.events(news, spell)
            case s.RouteTold(route=route, state=state):
                exchange = spell(route.exchange) if route.exchange is not None else None
                self._last_exchange = exchange or self._last_exchange
                events = [
                    shapes.RouteEvent(kind="route_changed", exchange=exchange, epoch=route.epoch, status=state.value)
                ]
            case _:
                self._listening.tell(news)
                return
        for event in events:
            self._listening.tell(event)

    def _no_more_news(self) -> None:
        if self._closed:
            return
        epoch = self._client.session.route.epoch if self._client is not None and self._client.session.route else 0
        ended = OrderRouterStatus.ERROR.value
        self._listening.tell(shapes.RouteEvent(kind="route_changed", exchange=None, epoch=epoch, status=ended))

    def _connected(self) -> Client:
        if self._client is None:
            why = "it was closed" if self._closed else "call initialize() first"
            raise NotRunning(f"The router is not running: {why}.")
        return self._client

    def _wait(self, call: Call[T]) -> T:
        return self._begin(call)()

    def _begin(self, call: Call[T]) -> Callable[[], T]:
        client = self._connected()
        future = client.ask(call.request)

        def finish() -> T:
            wait_s = call.request.deadline_s - client.clock() + ANSWER_SLACK_S
            try:
                outcome = future.result(wait_s)
            except TimeoutError:
                no_answer(call.request, client)
            return call.read(outcome)

        return finish

    def _at_rest(self) -> bool:
        return self._client is None or bool(self._client.ended)

    def _words_at_rest(self) -> str:
        if self._client is not None:
            return f"{self._client.ended} Call initialize() to start it again."
        return "The router was closed." if self._closed else "The router is not initialized: call initialize()."

    def _status_at_rest(self) -> shapes.Status:
        routed = [self._settings.spell(name) for name in self._settings.config.routed]
        return shapes.Status(
            status=self.status.value,
            words=self._words_at_rest(),
            current_exchange=None,
            primary_exchange=routed[0],
            failover_exchanges=routed[1:],
            auto_failover=self._settings.config.router.auto_failover,
            epoch=0,
            exchange_health={},
            own_network=render_health.network(None, ()),
            actors=[],
            orders={},
            unknown_oldest_s=None,
            book=[],
            net=[],
            position_alarms=[],
            position_differences=[],
            limits=self._settings.config.orders.pretrade.shown(),
            unprotected=0,
            excess=0,
            held_notional="0",
            controls=[],
            readiness=[],
            dead_man={},
        )
