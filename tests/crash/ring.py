"""Where connectors are killed: one simulated exchange, a real daemon on it, and a caller outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderOutcomeUnknown, OrderRouter, OrderRouterError
from app.core.shapes import Order
from app.domain import ids
from app.journal.store import Journal
from app.simulator.control_shapes import order_truth
from app.simulator.thread import Simulated, SimulatorThread
from messages.market import MarketType
from messages.orders import OrderKey, OrderView
from tests.crash.judge import Held, difference, lie
from tests.crash.mortal import HASTE, PLAN, RECORD, VARIABLE
from tests.crash.steps import BEGUN, KILLED, Passed, Plan, Step, lives, steps_of
from tests.e2e.daemons import Daemon
from tests.e2e.world import World, slack_s, until
from tests.exchanges.desk import host

QUIET_S: Final = 1.0
"""Nothing was passed for so long: what was to come has come. Longer than the first distances between look-ups."""
PATIENCE_S: Final = 40.0
"""Longer than any proof of absence takes, and a placement after it."""
ANSWER_SLACK_S: Final = 3.0
"""Over its deadline, for the machine this runs on, where that is idle."""
TAKEN_UP: Final = "the connector has taken up what was left"
SYMBOL: Final = "BTCUSDT"
RESTS_AT, WAITS_FOR, RESTING, AT_ONCE = "20000", "60000", "0.03", "0.01"
LARGER, SMALLER = "0.04", "0.02"
"""What a resting order is changed to; spot orders on Binance can only be made smaller."""


@frozen(kw_only=True)
class Verb:
    """What is asked while the connector dies.

    Attributes:
        call: "place", "cancel" or "amend".
        fills: Of a placement: at once.
        larger: Of a change: always to more, which spot orders on Binance are replaced for.
        waits: Of what is changed: for a trigger, which swap orders on Binance are replaced for.
    """

    title: str
    call: str
    fills: bool = False
    larger: bool = False
    waits: bool = False


PLACE, PLACE_RESTING = (
    Verb(title="place at the market", call="place", fills=True),
    Verb(title="place to rest", call="place"),
)
CANCEL, AMEND = Verb(title="cancel", call="cancel"), Verb(title="amend", call="amend")
REPLACE = Verb(title="replace", call="amend", larger=True)
REPLACE_WAITING = Verb(title="replace one that waits for a trigger", call="amend", larger=True, waits=True)
"""Changes that the exchange makes in place where it can."""
PLACE_WAITING = Verb(title="place to wait for a trigger", call="place", waits=True)
VERBS = (PLACE, PLACE_RESTING, CANCEL, AMEND)


@frozen(kw_only=True)
class Ended:
    """What came of one order during which connectors died.

    Attributes:
        met: Whether all of the deaths planned came about.
        answer: "done", "unknown" or the kind of error, as the caller was told.
        took_s: How long the caller waited.
        certain_s: From the last death until the journal equalled the exchange's books.
        wrong: What is not as it must be; empty where everything is.
        life: The steps of the first life that was not planned to end.
    """

    name: str
    met: bool
    answer: str
    took_s: float
    certain_s: float
    wrong: str
    life: tuple[Step, ...] = field(repr=False)


class _Hosts(SimulatorThread):
    """By the router's names of exchanges."""

    def __init__(self, exchange: str, market_type: MarketType) -> None:
        self._host = host(exchange, market_type)
        super().__init__([self._host])

    def __getitem__(self, name: str) -> Simulated:
        return super().__getitem__(self._host)


class _World(World):
    def __init__(self, exchange: str, market_type: MarketType, state_dir: Path, order_timeout_s: float) -> None:
        router = {"market_type": market_type.value, "order_timeout_s": order_timeout_s}
        # Hundreds of deaths are what the usual limit exists to end; with this one none waits longer than a first one.
        supervision = {"intensity": 1000, "period_s": 10.0}
        super().__init__([exchange], state_dir, router=router, supervision=supervision)
        self.sims = _Hosts(exchange, market_type)

    def account(self, name: str) -> dict[str, Any]:
        more = (
            {"allow_settlement_change": True}
            if name == "kraken" and self._sections["router"]["market_type"] == "swap"
            else {}
        )
        return {**super().account(name), **more}


class Ring:
    """One exchange under attack; made by `ring`."""

    def __init__(
        self, world: World, router: OrderRouter, folder: Path, order_timeout_s: float, *, larger: bool
    ) -> None:
        self._router = router
        self._changed = LARGER if larger else SMALLER
        self._plan, self._record = folder / PLAN, folder / RECORD
        self._exchange = world[world.names[0]]
        self._journal = Journal(world.state_dir / JOURNAL_NAME)
        self._order_timeout_s = order_timeout_s
        self._names: list[str] = []
        self._caller = ThreadPoolExecutor(1)

    # ---- one order ---------------------------------------------------------------------------------------------------

    def attack(self, verb: Verb, ends: Sequence[Step] = ()) -> Ended:
        """One order, during which the connector ends at a step, and the next ones at theirs. Raises for a broken ring:
        orders do not even get through while nobody is killed, or the connector does not come back."""
        name = f"order-{len(self._names)}"
        self._names.append(name)
        order_id = ids.order_id(
            self._journal.journal_id, OrderKey(strategy=self._router.strategy, client_order_id=name)
        )
        if verb.call != "place":
            self._call(PLACE_WAITING if verb.waits else PLACE_RESTING, name, order_id)
            until(lambda: not self._differs(order_id), patience_s=PATIENCE_S, means=f"{name} resting")
            self._quiet()
        offset = self._record.stat().st_size
        Plan(about=(name, order_id), ends=tuple(ends)).written(self._plan)
        began_s = time.monotonic()
        asked = self._caller.submit(self._ask, verb, name, order_id)
        met, killed_s, certain_s = self._settled(order_id, offset, len(ends), asked)
        told, error, answered_s = asked.result()
        took_s = answered_s - began_s
        changed = LARGER if verb.larger else self._changed
        wrong = self._differs(order_id) or lie(verb.call, told, error, self._there(order_id), changed)
        if took_s > self._order_timeout_s + slack_s(ANSWER_SLACK_S):
            wrong = wrong or f"answered after {took_s:.1f} s, and the deadline was {self._order_timeout_s:g} s"
        found = lives(self._passed(offset))
        life = tuple(steps_of(found[len(ends)])) if len(found) > len(ends) else ()
        self._tidy(order_id)
        return Ended(
            name=name,
            met=met,
            answer="done" if told is not None else error,
            took_s=took_s,
            certain_s=certain_s - (killed_s if killed_s is not None else began_s),
            wrong=wrong,
            life=life,
        )

    def _ask(self, verb: Verb, name: str, order_id: str) -> tuple[Order | None, str, float]:
        """What the caller was told, or the error, and when."""
        try:
            told: Order | None = self._call(verb, name, order_id)
            error = ""
        except OrderOutcomeUnknown:
            told, error = None, "unknown"
        except OrderRouterError as raised:
            told, error = None, f"{type(raised).__name__}: {raised}"
        return told, error, time.monotonic()

    def _call(self, verb: Verb, name: str, order_id: str) -> Order:
        router = self._router
        if verb.call == "cancel":
            return router.cancel_order(SYMBOL, order_id)
        if verb.call == "amend":
            return router.amend_order(SYMBOL, order_id, qty=LARGER if verb.larger else self._changed)
        if verb.fills:
            side = "Buy" if len(self._names) % 2 else "Sell"
            return router.place_order(SYMBOL, side, "Market", AT_ONCE, client_order_id=name)
        if verb.waits:
            trigger: dict[str, Any] = {"trigger_price": WAITS_FOR, "trigger": "Stop"}
            return router.place_order(SYMBOL, "Buy", "Market", RESTING, client_order_id=name, **trigger)
        return router.place_order(SYMBOL, "Buy", "Limit", RESTING, RESTS_AT, client_order_id=name)

    def _settled(self, order_id: str, offset: int, deaths: int, asked: Future[Any]) -> tuple[bool, float | None, float]:
        """Waits until the last death has come, or is not coming any more, the caller is answered, and journal and books
        are equal.

        Returns whether all deaths came, when the last one was, and since when both have been equal.
        """
        equal_s: float | None = None

        def over() -> bool:
            nonlocal equal_s
            now_s = time.monotonic()
            record = self._passed(offset)
            killed = [each.at_s for each in record if each.name == KILLED]
            if self._differs(order_id) or not any(each.name == BEGUN for each in record):
                equal_s = None
                return False
            equal_s = equal_s or now_s
            back = not killed or any(each.name == TAKEN_UP and each.at_s > killed[-1] for each in record)
            if not back or not asked.done():
                return False
            return 0 < deaths == len(killed) or now_s > max(equal_s, record[-1].at_s) + QUIET_S

        try:
            until(over, patience_s=PATIENCE_S, means=f"{order_id} being equal on both sides")
        except AssertionError:
            equal_s = time.monotonic()  # what differs is told by whoever judges
        killed = [each.at_s for each in self._passed(offset) if each.name == KILLED]
        assert equal_s is not None
        return len(killed) == deaths, max(killed, default=None), equal_s

    def _tidy(self, order_id: str) -> None:
        """Leaves nothing open behind, and shows that orders get through again."""
        there = self._there(order_id)
        if there is not None and there["status"] in ("open", "partially_filled"):
            until(lambda: self._cancelled(order_id), patience_s=PATIENCE_S, means=f"{order_id} being cancelled")
            until(lambda: not self._differs(order_id), patience_s=PATIENCE_S, means=f"{order_id} being over")
        self._quiet()

    def _cancelled(self, order_id: str) -> bool:
        try:
            self._router.cancel_order(SYMBOL, order_id)
        except OrderOutcomeUnknown:
            return False
        return True

    def _quiet(self) -> None:
        """Waits until the connector has nothing to do with orders."""
        seen, since_s = -1, 0.0

        def still() -> bool:
            nonlocal seen, since_s
            size, now_s = self._record.stat().st_size, time.monotonic()
            if size != seen:
                seen, since_s = size, now_s
            return now_s >= since_s + QUIET_S / 10

        until(still, patience_s=PATIENCE_S, means="a connector at rest")

    # ---- looking -----------------------------------------------------------------------------------------------------

    def _passed(self, offset: int) -> list[Passed]:
        with self._record.open() as file:
            file.seek(offset)
            return [Passed.read(line) for line in file.read().splitlines(keepends=True) if line.endswith("\n")]

    def _held(self, order: OrderView | None = None) -> Held:
        """What the exchange has of an order, or all it has; read where it is kept, without asking over HTTP for all of
        it again and again, which would keep the machine busy."""
        wanted = None if order is None else {leg.wire_id for leg in order.legs}
        held: dict[str, list[dict[str, Any]]] = {}
        for each in list(self._exchange.exchange.engine.all_orders()):
            if each.client_order_id and (wanted is None or each.client_order_id in wanted):
                held.setdefault(each.client_order_id, []).append(order_truth(each))
        return held

    def _differs(self, order_id: str) -> str:
        order = self._journal.order(order_id)
        return "" if order is None else difference(order, self._held(order))

    def _there(self, order_id: str) -> dict[str, Any] | None:
        order = self._journal.order(order_id)
        found = [] if order is None else [each for there in self._held(order).values() for each in there]
        return dict(found[-1]) if found else None

    def verdict(self) -> list[str]:
        """Everything once more, at the end: a sentence for each order that is not the same on both sides, for each that
        nobody asked for, and for a position that is not the sum of what filled."""
        held = dict(self._held())
        wrong = []
        for name in self._names:
            key = OrderKey(strategy=self._router.strategy, client_order_id=name)
            order = self._journal.order(ids.order_id(self._journal.journal_id, key))
            words = difference(order, held)
            if words:
                wrong.append(f"{name}: {words}, at the end.")
            for leg in order.legs if order is not None else ():
                held.pop(leg.wire_id, None)
        wrong += [f"{wire_id} is on the exchange, and nobody asked for it." for wire_id in held]
        return wrong

    def close(self) -> None:
        """Closes what is open."""
        self._caller.shutdown()
        self._journal.close()


@contextmanager
def ring(
    exchange: str,
    market_type: MarketType,
    folder: Path,
    *,
    order_timeout_s: float = 15.0,
    validity_s: float | None = None,
) -> Iterator[Ring]:
    """A ring whose orders get through.

    Args:
        order_timeout_s: Longer than a proof of absence takes, so that callers hear what became of a lost placement.
        validity_s: Of a placement, instead of the declared one, where time is short.
    """
    assert threading.current_thread() is threading.main_thread(), "the daemon ends with the thread that started it"
    (folder / "crashes").mkdir()
    environ = {VARIABLE: str(folder / "crashes")}
    if validity_s is not None:
        environ[HASTE] = str(validity_s)
    with (
        _World(exchange, market_type, folder / "state", order_timeout_s) as world,
        Daemon(world, folder, module="tests.crash.mortal", environ=environ) as daemon,
    ):
        if market_type is MarketType.SPOT:
            world[exchange].control.deposit("BTC", "100")
        daemon.serves()
        with daemon.router() as router:
            larger = (exchange, market_type) != ("binance", MarketType.SPOT)
            made = Ring(world, router, folder / "crashes", order_timeout_s, larger=larger)
            try:
                yield made
            finally:
                made.close()
