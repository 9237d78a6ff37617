"""One world for a file of scenes: an exchange falls ill in one way, is looked at, and gets well before the next scene.

Intervals are as short as a busy machine allows, so that a scene takes a second or two; what is proven about them holds
for any.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.core.order_router import OrderRouter, OrderRouterError
from app.core.shapes import ExchangeHealth, HistoryEntry
from tests.e2e.world import Answered, World, all_well, check_once, place, until

PATIENCE_S = 25.0
STAGGERED_S = 0.15
"""Between the first calls of two callers: failures in a burst are one failure."""
QUICK: Mapping[str, Mapping[str, Any]] = {
    "health": {
        "health_check_interval": 0.8,
        "max_retry_attempts": 3,
        "retry_delay": 0.1,
        "probe_timeout_s": 0.8,
        "hold_down_s": 0.2,
        "hold_down_max_s": 0.5,
        "flap_half_life_s": 1.0,
        "trial_calls": 2,
        "latency_min_s": 0.15,
        "latency_min_calls": 10,
        "ban_tolerance_s": 3.0,
        "maintenance_lead_s": 20.0,
        "status_interval_s": 1.0,
        "stale_after_s": 3.0,
    },
    "failover": {
        "dwell_s": 0.0,
        "settle_timeout_s": 2.0,
        "preflight_timeout_s": 2.0,
        "preflight_interval_s": 0.5,
        "preflight_max_age_s": 10.0,
        "return_settle_s": 0.0,
    },
}


class Scene:
    """A router on a world, between two scenes as at the beginning: everything well, trading on the first exchange."""

    def __init__(self, world: World, router: OrderRouter) -> None:
        self.world = world
        self.router = router
        self.first = world.names[0]
        self._seen = 0

    # ---- looking ----------------------------------------------------------------------------------------------------

    def health(self, name: str) -> ExchangeHealth:
        """What the router believes of an exchange."""
        return self.router.get_status()["exchange_health"][name]

    @property
    def current(self) -> str | None:
        """Where trading is."""
        return self.router.get_status()["current_exchange"]

    def switches(self) -> list[HistoryEntry]:
        """Switches since the scene began, oldest first."""
        return self.router.get_failover_history()[self._seen :]

    def requests(self, name: str) -> int:
        """How many an exchange has got so far."""
        return len(self.world[name].control.requests())

    def asked(self, name: str, since: int, *calls: str) -> list[dict[str, Any]]:
        """The requests of some kinds that an exchange got after so many."""
        return [row for row in self.world[name].control.requests()[since:] if row["call"] in calls]

    # ---- waiting ----------------------------------------------------------------------------------------------------

    def until(self, what: Callable[[], Any], means: str) -> Any:
        """As `world.until`; a failure tells what the router knew."""
        try:
            return until(what, patience_s=PATIENCE_S, means=means)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told()}") from None

    def moved(self, *, to: str | None = None) -> HistoryEntry:
        """The switch that takes trading away from where the scene began, once it is made."""
        self.until(lambda: any(s["result"] == "completed" for s in self.switches()), "trading moving")
        switch = next(s for s in self.switches() if s["result"] == "completed")
        assert to is None or switch["to_exchange"] == to, switch
        return switch

    def rounds(self, name: str, count: int) -> None:
        """Until an exchange has been asked so often more, whatever it answers."""
        since = self.requests(name)
        self.until(lambda: self.requests(name) >= since + count, f"{name} being asked {count} times more")

    def told(self) -> str:
        """What the router says, for a failing test."""
        status = self.router.get_status()
        lines = [f"status {status['status']} on {status['current_exchange']}: {status['words']}"]
        lines += [f"{name}: {health}" for name, health in status["exchange_health"].items()]
        lines += [f"readiness {each}" for each in status["readiness"]]
        return "\n".join([*lines, *(f"switch {switch}" for switch in self.switches())])

    # ---- before each scene ------------------------------------------------------------------------------------------

    def begin(self, name: str | None = None) -> None:
        """Heals everything, and goes back to the first exchange, or another."""
        name = name or self.first
        for each in self.world.names:
            control = self.world[each].control
            control.clear_faults()
            control.maintenance(False)
            control.clock(0.0)
            control.revoke(self.world[each].api_key, False)
            control.ask("POST", "/limits", {"on": False})
            for symbol in self.world[each].exchange.venue.suspended.copy():
                control.suspend(symbol, False)
        self.until(lambda: all_well(self.router, self.world.names), "every exchange being well")
        self.until(self._fit, "nothing speaking against any exchange")
        self.until(lambda: all(each["ready"] for each in self.router.get_status()["readiness"]), "ready backups")
        if self.current != name:
            self.until(lambda: self._back(name), f"trading being on {name}")
            self.until(lambda: all(each["ready"] for each in self.router.get_status()["readiness"]), "ready backups")
        self.until(lambda: all(s["finished"] for s in self.router.get_failover_history()), "switches being settled")
        self._seen = len(self.router.get_failover_history())

    def _back(self, name: str) -> bool:
        """A pre-flight that was asked for in the scene before may have met its fault: then once more."""
        with suppress(OrderRouterError):
            self.router.manual_failover(name)
        return self.current == name

    def _fit(self) -> bool:
        found = self.router.get_status()["exchange_health"].values()
        return not any(health["unfit"] or health["credentials"] or health["stale"] for health in found)


@contextmanager
def scene(exchanges: Sequence[str], folder: Path, **sections: Mapping[str, Any]) -> Iterator[Scene]:
    """A world with quick settings and prices that move, and a router on it."""
    tables = {name: {**QUICK.get(name, {}), **sections.get(name, {})} for name in {*QUICK, *sections}}
    with ExitStack() as stack:
        world = stack.enter_context(World(exchanges, folder / "state", **tables))
        for name in exchanges:
            world[name].control.walk(0.25, seed=len(name))
        yield Scene(world, stack.enter_context(world.running()))


class Traffic:
    """Callers who place small orders, one after the other, for as long as the context lasts.

    None is left behind: they are good for the moment only, or, where calls are `mixed`, cancelled, beside asking for
    prices. Every order is checked at the end: never twice, whatever befell it.
    """

    def __init__(self, scene: Scene, *, callers: int = 2, mixed: bool = False, pause_s: float = 0.01) -> None:
        self._scene = scene
        self._mixed = mixed
        self._pause_s = pause_s
        self._over = threading.Event()
        self._number = 0
        self._lock = threading.Lock()
        self.answers: list[Answered] = []
        self.calls = 0
        self._threads = [
            threading.Thread(target=self._call, args=(n * STAGGERED_S,), daemon=True) for n in range(callers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        if error is None:
            books = self._scene.world.books()
            journal_id = self._scene.world.presence().journal_id
            for answered in self.answers:
                check_once(books, journal_id, self._scene.router.strategy, answered)

    def _call(self, begin_s: float) -> None:
        router = self._scene.router
        self._over.wait(begin_s)
        while not self._over.is_set():
            with self._lock:
                self._number += 1
                name = f"traffic-{id(self)}-{self._number}"
            answered = place(router, name, **({} if self._mixed else {"time_in_force": "ImmediateOrCancel"}))
            with self._lock:
                self.answers.append(answered)
                self.calls += 1
            if self._mixed:
                try:
                    if answered.order is not None:
                        router.cancel_order("BTCUSDT", answered.order["orderId"])
                    router.get_market_data("BTCUSDT")
                except OrderRouterError:
                    pass
                with self._lock:
                    self.calls += 2
            self._over.wait(self._pause_s)
