"""A world for one test or one file: simulated exchanges in this process, and routers whose daemons are real processes.

Nothing is replaced: orders go through the facade, the actors, ccxt and HTTP to a matching engine whose books are the
truth. Waiting is for conditions with a deadline, never for time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil

from app.core.order_router import InvalidRequest, OrderOutcomeUnknown, OrderRouter, OrderRouterError
from app.core.shapes import Event, Order
from app.domain import ids
from app.launcher.presence import Presence, read_presence
from app.simulator.thread import Simulated, SimulatorThread
from messages.orders import OrderKey
from tests.processes import Deaths

T = TypeVar("T")
PATIENCE_S = 15.0
ORDER_TIMEOUT_S = 6.0
BUDGET_S = 1.0 + 4 * 1.0 + 2 * 0.1
"""Of the settings below, by `app.domain.health.detection_budget_s`."""
SETTLED = frozenset({"New", "PartiallyFilled", "Filled", "Cancelled", "Rejected", "Expired", "NotExecuted"})
BTC = "BTC/USDT:USDT"
PAUSE_S = 0.02


def slack_s(idle_s: float) -> float:
    """What is granted to the machine the tests run on, over what is promised: more where others want it, too.

    The chaos suite, which is run alone, grants nothing.
    """
    load, running = Path("/proc/loadavg").read_text().split()[0], Path("/proc/loadavg").read_text().split()[3]
    wanting = max(float(load), float(running.partition("/")[0]))
    return idle_s * max(1.0, wanting / (os.cpu_count() or 1))


def until(what: Callable[[], T | None], *, patience_s: float = PATIENCE_S, means: str = "it") -> T:
    """What `what` returns as soon as it is true; AssertionError when it does not become so in time."""
    end_s = time.monotonic() + patience_s
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end_s, f"{means} did not come true within {patience_s:g} s"
        threading.Event().wait(PAUSE_S)


class World:
    """Exchanges, a state directory, and the configuration that joins them; a context manager."""

    def __init__(self, exchanges: Sequence[str], state_dir: Path, **sections: Mapping[str, Any]) -> None:
        """
        Args:
            sections: Tables over those of `tables`, by section.
        """
        self.names = list(exchanges)
        self.state_dir = state_dir
        self.sims = SimulatorThread(self.names)
        self._sections = sections

    def __enter__(self) -> Self:
        self.sims.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sims.stop()

    def __getitem__(self, name: str) -> Simulated:
        """One exchange."""
        return self.sims[name]

    # ---- routers -----------------------------------------------------------------------------------------------------

    def tables(self) -> dict[str, Any]:
        """A quick configuration of all exchanges, the first as primary."""
        tables: dict[str, Any] = {
            "router": {
                "primary_exchange": self.names[0],
                "failover_exchanges": self.names[1:],
                "request_timeout_s": 1.0,
                "order_timeout_s": ORDER_TIMEOUT_S,
            },
            "health": {
                "health_check_interval": 1.0,
                "max_retry_attempts": 3,
                "retry_delay": 0.1,
                "jitter": 0.0,
                "flap_half_life_s": 1.0,  # one that dies again and again in a test is trusted again all the same
            },
            "failover": {"settle_timeout_s": 2.0, "preflight_timeout_s": 2.0, "preflight_interval_s": 5.0},
            "supervision": {"intensity": 20},
            "exchanges": {name: self.account(name) for name in self.names},
        }
        for section, table in self._sections.items():
            tables[section] = {**tables.get(section, {}), **table}
        return tables

    def account(self, name: str) -> dict[str, Any]:
        """Where an exchange is and who we are there."""
        sim = self.sims[name]
        facts = {"base_url": sim.base_url, "api_key": sim.api_key, "secret": sim.secret, "password": sim.password}
        # The exchanges' own limits would go into the probes of these short intervals alone.
        return {"rate_limit_per_s": 60, **{key: value for key, value in facts.items() if value}}

    def router(self, **arguments: Any) -> OrderRouter:
        """A router on this world, not started."""
        arguments.setdefault("config", self.tables())
        arguments.setdefault("state_dir", self.state_dir)
        return OrderRouter(**arguments)

    @contextmanager
    def running(self, **arguments: Any) -> Iterator[OrderRouter]:
        """A router whose exchanges are all well, the backups ready; closed, with its daemon gone, afterwards."""
        router = self.router(**arguments)
        router.start()
        try:
            settled(router, self.names)
            yield router
        finally:
            with watching(self.state_dir) as deaths:
                owner = router._daemon is not None
                router.close()
                if owner:
                    deaths.wait(10.0)

    # ---- truth -------------------------------------------------------------------------------------------------------

    def truth(self, journal_id: str, strategy: str, client_order_id: str) -> list[tuple[str, dict[str, Any]]]:
        """(exchange, order) of everything the exchanges ever had of an order, over all its legs."""
        key = OrderKey(strategy=strategy, client_order_id=client_order_id)
        wire_ids = {ids.wire_id(journal_id, key, leg) for leg in range(1, 10)}
        return [
            (name, order)
            for name in self.names
            for order in self.sims[name].control.truth()["orders"]
            if order["client_order_id"] in wire_ids
        ]

    def books(self) -> dict[str, list[tuple[str, dict[str, Any]]]]:
        """Every order of every exchange, by wire id: read once for many questions."""
        found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for name in self.names:
            for order in self.sims[name].control.truth()["orders"]:
                found.setdefault(order["client_order_id"], []).append((name, order))
        return found

    def placements(self) -> int:
        """How many requests to place have arrived, on all exchanges."""
        return sum(1 for name in self.names for row in self.sims[name].control.requests() if row["call"] == "place")

    def presence(self) -> Presence:
        """Of the daemon that runs."""
        found = read_presence(self.state_dir)
        assert found is not None, "no daemon runs"
        return found


def of_order(
    books: Mapping[str, list[tuple[str, dict[str, Any]]]], journal_id: str, strategy: str, client_order_id: str
) -> list[tuple[str, dict[str, Any]]]:
    """(exchange, order) of everything in the books that belongs to an order, over all its legs."""
    key = OrderKey(strategy=strategy, client_order_id=client_order_id)
    return [held for leg in range(1, 10) for held in books.get(ids.wire_id(journal_id, key, leg), [])]


def all_well(router: OrderRouter, names: Sequence[str]) -> bool:
    """Whether the router believes every exchange well."""
    status = router.get_status()
    health = status["exchange_health"]
    return status["status"] == "ready" and all(name in health and health[name]["healthy"] for name in names)


def unready(router: OrderRouter, *names: str) -> list[str]:
    """What stands against trading moving to the exchanges named, or to any that is not in use; empty: it could, now."""
    return [
        f"{each['exchange']}: {'; '.join(each['problems'])}"
        for each in router.get_status()["readiness"]
        if not each["ready"] and (not names or each["exchange"] in names)
    ]


def backups_ready(router: OrderRouter, *names: str, patience_s: float = PATIENCE_S) -> None:
    """Waits until trading could move to the exchanges named, or to every one that is not in use.

    Before that (a backup has still to load its markets and to pass a pre-flight) a failover is rightly refused or late:
    so a test that breaks or leaves an exchange begins here, and does so again once it has mended what it broke.
    """
    try:
        until(lambda: not unready(router, *names), patience_s=patience_s, means="readiness")
    except AssertionError as error:
        raise AssertionError(f"{error}: {unready(router, *names)}") from None


def settled(router: OrderRouter, names: Sequence[str], *, patience_s: float = PATIENCE_S) -> None:
    """Waits until every exchange is well, and every backup ready."""
    until(lambda: all_well(router, names), patience_s=patience_s, means="every exchange being well")
    backups_ready(router, patience_s=patience_s)


def move_to(router: OrderRouter, exchange: str) -> None:
    """Trading moves there, if it is elsewhere, as soon as it can."""
    if router.get_status()["current_exchange"] != exchange:
        backups_ready(router, exchange)
        router.manual_failover(exchange)


def tree(pid: int) -> list[psutil.Process]:
    """A process and everything under it."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def watching(state_dir: Path) -> Deaths:
    """Watches the daemon of a state directory, and all under it, from now on."""
    presence = read_presence(state_dir)
    return Deaths([] if presence is None else tree(presence.pid))


def actor_pid(router: OrderRouter, name: str) -> int:
    """The process of an actor, e.g. ``"connector:bybit"``, as the status tells it."""
    found = [actor["pid"] for actor in router.get_status()["actors"] if actor["name"] == name]
    assert found, f"no actor {name}"
    assert found[0] is not None, f"{name} is not running"
    return found[0]


def restarted(router: OrderRouter, name: str, old_pid: int) -> bool:
    """Whether an actor runs in another process than before."""
    return any(actor["name"] == name and actor["pid"] not in (None, old_pid) for actor in router.get_status()["actors"])


class Heard:
    """A reader of a router's events on a thread of its own."""

    def __init__(self, router: OrderRouter) -> None:
        self._stream = router.events()
        self.events: list[Event] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for event in self._stream:
            self.events.append(event)

    def of(self, order_id: str) -> list[Order]:
        """What was told of an order, in order."""
        told = [e["order"] for e in list(self.events) if e["kind"] == "order_changed" or e["kind"] == "order_resolved"]
        return [order for order in told if order["orderId"] == order_id]

    def kinds(self, kind: str) -> list[Any]:
        """Events of a kind."""
        return [event for event in list(self.events) if event["kind"] == kind]

    def alarms(self) -> list[tuple[str, str, bool]]:
        """(code, exchange, over) of what was told of our own network and of credentials, in order."""
        told = [(e["alarm"], e["over"]) for e in self.kinds("health_alarm")]
        return [(alarm["code"], alarm["exchange"], over) for alarm, over in told]

    def close(self) -> None:
        """Ends the reading."""
        self._stream.close()
        self._thread.join(PATIENCE_S)


class Answered:
    """What a caller got for one order: an order, or an error; and how long it took."""

    def __init__(self, client_order_id: str) -> None:
        self.client_order_id = client_order_id
        self.asked: dict[str, Any] = {}
        self.order: Order | None = None
        self.error: OrderRouterError | None = None
        self.took_s = 0.0

    def __repr__(self) -> str:
        """For a failing test."""
        return f"{self.client_order_id}: {self.order or self.error!r} after {self.took_s:.2f} s"


def place(router: OrderRouter, client_order_id: str, **asked: Any) -> Answered:
    """Places an order and notes what came of it. Whatever is not a router's error is not caught."""
    answered = Answered(client_order_id)
    answered.asked = {
        "symbol": "BTCUSDT",
        "side": "Buy",
        "order_type": "Limit",
        "qty": "0.001",
        "price": "20000",
        **asked,
    }
    began_s = time.monotonic()
    try:
        answered.order = router.place_order(client_order_id=client_order_id, **answered.asked)
    except OrderRouterError as error:
        answered.error = error
    answered.took_s = time.monotonic() - began_s
    return answered


def resolved(router: OrderRouter, answered: Answered, *, patience_s: float = PATIENCE_S) -> Order | None:
    """What an order came to, asked by its id until it is known; None where it never reached the journal."""
    if answered.order is not None:
        return answered.order
    assert isinstance(answered.error, OrderOutcomeUnknown), answered

    def known() -> tuple[Order | None] | None:
        assert isinstance(answered.error, OrderOutcomeUnknown)
        try:
            order = router.get_order(answered.error.order_id)
        except InvalidRequest as never:
            if "nothing was ever sent" not in str(never):
                raise
            return (None,)
        return (order,) if order["orderStatus"] in SETTLED else None

    return until(known, patience_s=patience_s, means=f"{answered.client_order_id} being resolved")[0]


def check_once(
    books: Mapping[str, list[tuple[str, dict[str, Any]]]], journal_id: str, strategy: str, answered: Answered
) -> list[tuple[str, dict[str, Any]]]:
    """I1 for one order: all its legs on all exchanges together never more than what was asked; returns them."""
    held = of_order(books, journal_id, strategy, answered.client_order_id)
    wanted = Decimal(str(answered.asked["qty"]))
    filled = sum((Decimal(order["filled"]) for _, order in held), Decimal(0))
    assert filled <= wanted, f"{answered} filled {filled}: {held}"
    may_fill = sum(
        (Decimal(order["qty"]) for _, order in held if order["status"] in ("open", "partially_filled", "filled")),
        Decimal(0),
    )
    assert may_fill <= wanted, f"{answered} may fill {may_fill}: {held}"
    wire_ids = [order["client_order_id"] for _, order in held]
    assert len(wire_ids) == len(set(wire_ids)), f"{answered} was placed twice under one wire id: {held}"
    return held


def environment() -> dict[str, str]:
    """For a process started by a test."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
