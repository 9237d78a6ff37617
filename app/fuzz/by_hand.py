"""A world without a plan: whoever plays it says what happens next, and whether all is right is asked at any moment.

A seed's plan is drawn before its run begins; here each order, fault and death is a call, so that a machine of rules can
draw them, look after each, and shrink what it did. In the end it becomes calm, settles, and is judged as any other run.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from attrs import evolve
from thespian.actors import WakeupMessage

from app.fuzz.account import Terms
from app.fuzz.book_plan import BookPlan, VerbPlan
from app.fuzz.checker import Seen, check_so_far
from app.fuzz.checker_again import again_violations
from app.fuzz.checker_news import Violation
from app.fuzz.exposure import exposure_violations
from app.fuzz.faults import OUTAGES, Window
from app.fuzz.model import model_violations
from app.fuzz.parts import HARMLESS
from app.fuzz.plan import Plan, Stall
from app.fuzz.profiles import Profile, Times
from app.fuzz.prose import tell_in_sentences
from app.fuzz.run import judge, seen_so_far
from app.fuzz.sim_orders import Traits
from app.fuzz.strategy import OrderPlan, StrategyPlan
from app.fuzz.world import START_S, World
from messages.carries import CarryPolicy
from messages.positions import PositionPolicy

FAR_S = 1e6
"""So long nobody plays."""
SETTLED_S, ASKED_S, OVER_S = 145.0, 180.0, 200.0
"""After the last fault: when another order has to be accepted, when owners ask after all of theirs, and the end."""
STRATEGY = "strategy1"
ROUGH = Profile(outages=(1, 1), refusals=0.0)
"""Anything may be wrong at any time, and nothing is by chance."""


def books_of(names: tuple[str, ...]) -> BookPlan:
    """Accounts with money enough, positions that go along slice by slice, orders that are placed anew."""
    return BookPlan(
        carry=CarryPolicy.REPLACE,
        positions=PositionPolicy.MIGRATE,
        failback="manual",
        slice_notional=Decimal(6_000),
        slice_pause_s=0.2,
        max_carry_age_s=3_600.0,
        hold_down_s=15.0,
        across=False,
        dead_man_s=None,
        terms={name: Terms(money=Decimal(10_000_000)) for name in names},
        poor="",
        foreign=(),
        verbs=(),
    )


class ByHand:
    """One world, from its first moment on; it has to be closed.

    Args:
        chance: Decides what nobody who plays it does: how long a message takes, what fills.
        books: Whether positions count: then orders and positions go along when trading moves.
        odd: Traits of the exchanges that differ from those of an easy one.
    """

    def __init__(
        self,
        *,
        chance: int = 0,
        exchanges: tuple[str, ...] = ("bybit", "okx"),
        books: bool = False,
        odd: dict[str, Any] | None = None,
    ) -> None:
        traits = tuple(Traits(name=name, **(HARMLESS | (odd or {}))) for name in exchanges)
        strategy = StrategyPlan(name=STRATEGY, orders={}, final_get_s=FAR_S)
        plan = Plan(
            traits=traits,
            strategies=(strategy,),
            windows=(),
            deaths=(),
            stalls=(),
            lags=(),
            switches=(),
            price_moves=(),
            books=books_of(exchanges) if books else None,
            times=Times(calm_s=FAR_S, final_orders_s=FAR_S, final_get_s=FAR_S, end_s=FAR_S),
        )
        self.world = World(ROUGH, plan, Random(chance))
        self._strategy = strategy
        self._within = ExitStack()
        self._within.enter_context(self.world.entered())
        self.world.begin()
        self.wait(2.0)

    # ------------------------------------------------------------------------------------------------ time

    @property
    def now_s(self) -> float:
        """Seconds since the world began."""
        return self.world.scheduler.now_s - START_S

    def wait(self, for_s: float) -> None:
        """Time goes by."""
        self.world.scheduler.run_until(self.world.scheduler.now_s + for_s)

    # ------------------------------------------------------------------------------------------------ the strategy

    def place(self, side: str, quantity: Decimal, price: Decimal | None, **more: Any) -> int:
        """A new order; returns by which number it is told apart. `more` is as `OrderPlan` has it."""
        serial = len(self._strategy.orders) + 1
        body = {"time_in_force": "GTC", "timeout_s": 4.0, "asks": True, "marked": self.world.plan.books is None, **more}
        now_s = self.world.scheduler.now_s
        order = OrderPlan(serial=serial, at_s=now_s, side=side, quantity=quantity, price=price, **body)
        self._strategy.orders[serial] = order
        self._do(serial, "place")
        return serial

    def again(self, serial: int) -> None:
        """Placed once more under the same id."""
        self._do(serial, "place")

    def otherwise(self, serial: int) -> None:
        """Placed under the same id for half as much, which is another body."""
        self._do(serial, "other")

    def cancel(self, serial: int) -> None:
        """Cancelled, if its owner has heard of it by now."""
        self._do(serial, "cancel")

    def change(self, serial: int, quantity: Decimal | None, price: Decimal) -> None:
        """Changed, if its owner has heard of it by now."""
        order = self._strategy.orders[serial]
        if order.order_id:
            order.changes = (*order.changes[: order.changed], (0.0, quantity, price))
            self._do(serial, "amend")

    def ask(self, serial: int) -> None:
        """Asked after."""
        self._do(serial, "get")

    def _do(self, serial: int, kind: str) -> None:
        """Now, if the strategy has begun; one that has not does by itself what it must when it does."""
        actor = self.world.actor(STRATEGY)
        if actor is None or not getattr(actor, "_begun", False):
            return
        actor.strategy._later(self.world.scheduler.now_s, self._strategy.orders[serial], kind)
        address, wake = actor.myAddress, WakeupMessage(timedelta(0), actor._wakes)
        self.world.scheduler._push(self.world.scheduler.now_s, address, address, wake)
        self.wait(0.0)

    # ------------------------------------------------------------------------------------------------ what befalls it

    def breaks(self, exchange: str, kind: str, share: float = 1.0, *, places_only: bool = False) -> None:
        """An exchange fails from now on, in one of the ways of `app.fuzz.faults.OUTAGES`."""
        now_s = self.world.scheduler.now_s
        self.world._fail(Window(exchange, now_s, START_S + FAR_S, OUTAGES[kind], share, places_only))

    def heals(self, exchange: str) -> None:
        """Nothing of it fails any more."""
        now_s = self.world.scheduler.now_s
        weather, plan = self.world._weather, self.world.plan

        def ended(window: Window, at_s: float) -> Window:
            return evolve(window, end_s=min(window.end_s, at_s)) if window.exchange == exchange else window

        weather.windows = [ended(each, now_s) for each in weather.windows]
        windows = tuple(ended(each, now_s - START_S) for each in plan.windows)
        self.world.plan = evolve(plan, windows=windows)
        self.world._note(exchange, "is well again")

    def kill(self, actor: str, point: str = "") -> None:
        """An actor is killed: now, or within its handler the next time it gets to a point."""
        self.world._kill(actor, point)

    def stall(self, actor: str, for_s: float) -> None:
        """An actor is stopped for a while."""
        stalls = (*self.world.plan.stalls, Stall(self.now_s, actor, for_s))
        self.world.plan = evolve(self.world.plan, stalls=stalls)
        self.world._stall(actor, for_s)

    def fail_over(self, exchange: str) -> None:
        """A person asks for it."""
        self.world._switch(len(self.world.operator.switches), exchange)

    def verb(self, kind: str, exchange: str) -> None:
        """A person asks for something, one of `app.fuzz.book_plan.VERBS` or "any order"."""
        verb = VerbPlan(at_s=self.now_s, kind=kind, exchange=exchange, dry_run=False)
        books = self.world.plan.books
        assert books is not None, "without books nobody holds the router to anything"
        self.world.plan = evolve(self.world.plan, books=evolve(books, verbs=(*books.verbs, verb)))
        self.world.person.ask(verb)

    def price_moves(self) -> None:
        """Some of what rests fills."""
        self.world._price_moves()

    # ------------------------------------------------------------------------------------------------ the judgement

    def so_far(self) -> tuple[Seen, list[Violation]]:
        """What was seen up to now, and what of it is wrong whatever is still to come."""
        seen = seen_so_far(self.world)
        return seen, [*check_so_far(seen), *again_violations(seen), *model_violations(seen), *exposure_violations(seen)]

    def finish(self) -> tuple[Seen, tuple[Violation, ...]]:
        """Everything heals, one more order is placed, all is asked after, and the whole run is judged."""
        world = self.world
        for name in world.exchanges:
            self.heals(name)
        self._until_answered()
        calm_s = self.now_s
        world.plan = evolve(
            world.plan,
            times=Times(
                calm_s=calm_s, final_orders_s=calm_s + SETTLED_S, final_get_s=calm_s + ASKED_S, end_s=calm_s + OVER_S
            ),
        )
        world.calm_s = world._weather.calm_s = world.scheduler.now_s
        world._calm()
        self._strategy.final_get_s = START_S + calm_s + ASKED_S
        self.wait(SETTLED_S)
        self.place("buy", Decimal("0.01"), None, timeout_s=20.0)
        self.wait(ASKED_S - SETTLED_S)
        for serial in self._strategy.orders:
            self.ask(serial)
        self.wait(OVER_S - ASKED_S)
        world.end()
        return judge(world)

    def _until_answered(self) -> None:
        """A person who asks is answered first: what releases an exchange does nothing before it is isolated."""
        for asking in self.world.person.asked.values():
            while asking.reply is None and self.world.scheduler.now_s < asking.request.deadline_s:
                self.wait(0.5)

    def close(self) -> None:
        """Ends everything."""
        self._within.close()
        self.world.close()


def story_of(seen: Seen, violations: list[Violation] | tuple[Violation, ...]) -> str:
    """What went wrong first, in sentences."""
    return f"{violations[0].rule}\n{tell_in_sentences(seen, violations, violations[0].rule)}"
