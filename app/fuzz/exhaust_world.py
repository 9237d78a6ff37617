"""The world of exhaustive search: the same actors, journal and exchanges, and nothing left to chance.

What two events share is touched by name, so that the search knows which of them commute: an actor, by its address; the
journal; an exchange; what is on its way from an actor, which its death may lose; the one fault.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from itertools import count
from random import Random
from typing import Any

from attrs import evolve

from actors import environment as e
from actors.failover_coordinator import FailoverCoordinatorActor
from actors.health_monitor import HealthMonitorActor
from actors.position_synchronizer import PositionSynchronizerActor
from app.domain import calls as c
from app.fuzz.exhaust_scheduler import ChosenScheduler
from app.fuzz.exhaust_scopes import BEGIN_S, PRIMARY, Loss, Scope
from app.fuzz.exhaust_steps import Guide
from app.fuzz.profiles import Profile
from app.fuzz.runner import SimRunner, lost, not_sent, timed_out
from app.fuzz.scheduler import Address, Killed
from app.fuzz.world import START_S, World
from app.journal.store import Journal
from messages.executions import CaughtUp, Heard, ToldUpTo
from messages.failover import RouteChanged, Subscribe
from messages.supervision import Directory, GetTree, Listen, Ping, Pong, Started

CHOSEN = (c.PlaceCall, c.CancelCall, c.LookUpCall, c.OpenOrdersCall, c.FillsCall)
"""Calls whose arrival and answer are chosen; what else is asked serves health and the book."""

LOSSY = {"place": c.PlaceCall, "cancel": c.CancelCall, "look-up": c.LookUpCall}

UPKEEP = (Subscribe, Listen, Directory, RouteChanged, CaughtUp)
"""What repeats itself while nothing happens; it waits for the rest where a wake-up sends it, or what itself waited, or
a child that says that it has started: those who need it know its address by then."""

ALWAYS_WAITS = (Heard, ToldUpTo, Ping, Pong)

STARTED = f" {Started.__name__}"

HASTE_S = 2.0
"""What an exchange does within so long of being asked is chosen; later than that it is due at a time."""

PROFILE = Profile(refusals=0.0, deaths=(0, 1))
"""Nothing is drawn; and something may go wrong, as checkers are told that else know only one right answer."""

JOURNAL, FAULT = "journal", "the fault"


class Steady(Random):
    """Draws the same each time: an order rests whole, and what executes is listed at once."""

    def random(self) -> float:
        """Half."""
        return 0.5

    def getrandbits(self, k: int, /) -> int:
        """A one, and noughts."""
        return 1 << (k - 1)

    def randint(self, a: int, b: int) -> int:
        """The middle."""
        return (a + b) // 2

    def shuffle(self, x: Any) -> None:
        """As it is."""


class ChosenRunner(SimRunner):
    """Its calls travel in steps that are chosen: to the exchange, and back."""

    owner: str
    scheduler: ChosenScheduler
    loss: Callable[[str, c.Call], Loss | None]
    calls: count[int]

    def _travel(self, call: c.Call, answer: Callable[[c.Result], None]) -> None:
        now_s, scheduler, name = (
            self._now(),
            self.scheduler,
            f"{type(call).__name__} {next(self.calls)} of {self.owner}",
        )
        mine, there = {self.owner: True}, {f"exchange {self._name}": True}
        if now_s >= call.deadline_s:
            answer(not_sent(call))
            return
        waits = not isinstance(call, CHOSEN)
        loss = self.loss(self._name, call)
        if loss is not None:
            self._exchange.note(self._name, f"{type(call).__name__}: {loss.value}")
        answered = False

        def told(result: c.Result) -> None:
            nonlocal answered
            answered = True
            answer(result)

        timer = scheduler.timer(call.deadline_s, f"{name} times out", lambda: told(timed_out(call)), mine)
        timer.needed = lambda: not (answered or self._closed)

        def back(result: c.Result) -> None:
            if loss is None:
                scheduler.soon(f"{name} is answered", lambda: told(result), mine, waits=waits)

        def arrives() -> None:
            match call:
                case c.PlaceCall():
                    self._exchange.place(call, back)
                case c.CancelCall():
                    self._exchange.cancel(call, back)
                case c.LeverageCall() | c.MarginModeCall() | c.PositionModeCall():
                    back(self._exchange.set(call))
                case c.DeadManCall():
                    back(self._exchange.arm(call))
                case _:
                    back(self._exchange.read(call, now_s, 0.0))

        if loss in (None, Loss.ANSWER):
            scheduler.soon(f"{name} arrives", arrives, there, waits=waits)
        elif loss in (Loss.LATE, Loss.HANGS):
            scheduler.anytime(f"{name} arrives", arrives, there)
        if loss in (Loss.REQUEST, Loss.ANSWER, Loss.LATE):
            scheduler.soon(f"{name} is cut off", lambda: told(lost(call)), mine)


class SmallWorld(World):
    """A world within a scope, under a guide.

    Attributes:
        left: How many faults may still happen.
    """

    scheduler: ChosenScheduler

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.left = 1
        self._waiting: dict[str, bool] = {}
        super().__init__(PROFILE, scope.plan(), Steady())
        self.scheduler.waits, self.scheduler.mortal = self._waits, self._mortal
        for name, exchange in self.exchanges.items():
            exchange.rng = Steady()
            exchange.later = partial(self._exchange_later, f"exchange {name}")
        _recorded(self.journal, self.scheduler)

    def _make_scheduler(self, rng: Random) -> ChosenScheduler:
        return ChosenScheduler(Guide(), start_s=START_S)

    def warm_up(self) -> None:
        """Everything up to just before the first order; it is the same in every run."""
        self.begin()
        first_s = min(order.at_s for order in self.plan.strategies[0].orders.values())
        self.scheduler.run_until(min(first_s, START_S + BEGIN_S) - 0.05)
        for name in (*self.exchanges, "health_monitor", "failover_coordinator", "position_synchronizer"):
            self._address(name)
        for plan in self.plan.strategies:
            self._address(plan.name)

    def go_on(self, guide: Guide) -> None:
        """From there to the end.

        Raises:
            Asleep: The guide has seen all that can follow.
        """
        scheduler = self.scheduler
        scheduler.run_until(START_S + BEGIN_S - 0.05)
        scheduler.guide, scheduler.choosing, scheduler.until_s = guide, True, START_S + self.scope.until_s
        scheduler.run_until(START_S + self.plan.times.end_s)
        self.end()

    def end(self) -> None:
        """Asks for the last time how all is."""
        self.tree = None
        self.scheduler.tell(self.supervisor, GetTree(correlation_id="end", deadline_s=0.0))
        self.scheduler.run_until(self.scheduler.now_s + 0.1)

    # ------------------------------------------------------------------------------------------------ pieces

    def _environment(self) -> e.Environment:
        return evolve(super()._environment(), retry_jitter=lambda: 0.5)

    def _background(self, address: Address) -> bool:
        name = address.actorAddressString
        known = self._waiting.get(name)
        if known is None:
            actor = self.scheduler.instance(address)
            if actor is None:
                return False
            known = isinstance(actor, HealthMonitorActor | PositionSynchronizerActor)
            known = known or (isinstance(actor, FailoverCoordinatorActor) and not self.scope.coordinates)
            self._waiting[name] = known
        return known

    def _waits(self, sender: Address, to: Address, message: Any) -> bool:
        if self._background(sender) or self._background(to) or isinstance(message, ALWAYS_WAITS):
            return True
        item = self.scheduler.item
        routine = item is not None and (item.waits or item.queue.endswith("@") or item.name.endswith(STARTED))
        return routine and isinstance(message, UPKEEP)

    def _faulty(self) -> bool:
        """Whether the fault may still happen."""
        until_s = START_S + BEGIN_S + self.scope.fault_s
        return bool(self.left) and self.scheduler.choosing and self._now() < until_s

    def _mortal(self, address: Address) -> bool:
        actor = self.scheduler.instance(address)
        if not self.scope.death or not self._faulty() or getattr(actor, "name", "") != self.scope.death:
            return False
        self.scheduler.touch(FAULT)
        return True

    def _killed(self, address: Address, where: str) -> None:
        self.left -= 1
        super()._killed(address, where)

    def _touch(self, point: str) -> None:
        current = self.scheduler.current
        if current is not None and self._mortal(current) and self.scheduler.choose("goes on", f"dies {point}"):
            raise Killed(point)

    def _loss(self, exchange: str, call: c.Call) -> Loss | None:
        losses = self.scope.losses
        kinds = tuple(LOSSY[kind] for kind in self.scope.lossy)
        if not (losses and self._faulty() and exchange == PRIMARY and isinstance(call, kinds)):
            return None
        self.scheduler.touch(FAULT)
        chosen = self.scheduler.choose("goes well", *losses)
        if not chosen:
            return None
        self.left -= 1
        return losses[chosen - 1]

    def _exchange_later(self, name: str, after_s: float, function: Callable[[], None]) -> None:
        item = self.scheduler.item
        if item is None or after_s > HASTE_S:
            self.scheduler.timer(self._now() + after_s, f"{name}, by itself", function, {name: True})
        else:
            self.scheduler.soon(f"{item.name}, then", function, {name: True}, waits=item.waits)

    def _open_runner(self, name: str, owner: Any) -> SimRunner:
        runner = ChosenRunner(
            self.exchanges[name],
            weather=self._weather,
            rng=Steady(),
            record=self.record,
            now=self._now,
            later=self._later,
            announce=lambda waits: self.scheduler.send_from(owner, owner, waits),
            touch=self._touch,
            sent=self._held_to,
        )
        runner.owner, runner.scheduler, runner.loss = owner.actorAddressString, self.scheduler, self._loss
        runner.calls = count(1)
        self._runners[owner.actorAddressString] = runner
        return runner


def _recorded(journal: Journal, scheduler: ChosenScheduler) -> None:
    """Whatever is asked of the journal touches it, and changes it if a row was written."""
    database = journal._db
    for name in dir(Journal):
        method = getattr(journal, name)
        if name.startswith("_") or not callable(method):
            continue

        @wraps(method)
        def asked(*positional: Any, _method: Callable[..., Any] = method, **arguments: Any) -> Any:
            before = database.total_changes
            try:
                return _method(*positional, **arguments)
            finally:
                scheduler.touch(JOURNAL, changes=database.total_changes != before)

        setattr(journal, name, asked)
