"""The scheduler of exhaustive search: what happens next is chosen among all that could, and nothing is drawn.

What could happen next: the oldest message of each sender to each receiver; a request's arrival at its exchange, what
its engine then does, and its answer, each on its own; wake-ups that are due at the same moment; and what is on its way
for however long, which may come at any time. A message takes no time: virtual time passes only when nothing else
could happen, to the next moment at which something is due (moments are a hundredth of a second apart). So of two
things that are due at different moments the later never comes first, and no message is overtaken by a timer.

What serves health and the book only is not chosen among: it waits until the rest has come to rest, and then happens
in one order.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from heapq import heappop, heappush
from math import ceil
from random import Random
from typing import Any

from attrs import define
from thespian.actors import ChildActorExited, WakeupMessage

from actors._shell import Shell
from app.fuzz.exhaust_steps import ANYTIME, EVERYTHING, Guide
from app.fuzz.scheduler import Address, Scheduler

MOMENTS_PER_S = 100
TICK_S = 1e-5
"""What each event takes, so that a run's facts have an order in time; far less than a moment, all together."""

TIME, REST = "time passes", "what waits happens"


@define(eq=False)
class Item:
    """Something that can happen.

    Attributes:
        name: The same in every run in which it happens to the same actors after the same of their events.
        queue: Things of one queue happen in order.
        cause: The step that brought it about.
        to: The actor it is delivered to; None where `what` is a function.
        touches: What it touches in any case.
        waits: Whether it waits for the rest, and with it whatever is behind it.
    """

    name: str
    queue: str
    serial: int
    cause: int
    sender: Address
    to: Address
    what: Any
    touches: Mapping[str, bool]
    waits: bool


@define(order=False)
class Timer:
    """Something that is due at a moment; `needed` says, then, whether it still is."""

    name: str
    queue: str
    to: Address
    what: Any
    touches: Mapping[str, bool]
    needed: Callable[[], bool]


class ChosenScheduler(Scheduler):
    """The world's clock and post office, under a guide.

    Attributes:
        choosing: Whether events are chosen; else the oldest happens first.
        until_s: When choosing ends.
        waits: Whether a message of one actor to another waits for the rest.
        mortal: Whether the guide may let an actor die now.
        digest: Where the world is.
    """

    def __init__(self, guide: Guide, *, start_s: float) -> None:
        super().__init__(Random(0), start_s=start_s)
        self.guide = guide
        self.choosing = False
        self.until_s = start_s
        self.waits: Callable[[Address, Address, Any], bool] = lambda sender, to, message: False
        self.mortal: Callable[[Address], bool] = lambda address: False
        self.digest: Callable[[], str] = lambda: ""
        self.item: Item | None = None
        self._start_s = start_s
        self._queues: dict[str, deque[Item]] = {}
        self._anytime: dict[str, deque[Item]] = {}
        self._timers: list[tuple[int, str, int, Timer]] = []
        self._counts: Counter[str] = Counter()
        self._heard: set[str] = set()

    # ------------------------------------------------------------------------------------------------ choices

    def choose(self, *options: str) -> int:
        """How the event that is happening goes on; the first where nothing is chosen now."""
        return self.guide.within(options) if self.choosing and self.guide.event_number >= 0 else 0

    def touch(self, name: str, *, changes: bool = True) -> None:
        """The event that is happening touches something that not only its actor does."""
        if self.choosing:
            self.guide.touch(name, changes=changes)

    # ------------------------------------------------------------------------------------------------ from outside

    def call_at(self, at_s: float, function: Callable[[], None]) -> None:
        """Calls a function at a moment, before whatever is due then."""
        self._plan(at_s, Timer("", "", None, function, {}, lambda: True))

    def timer(self, at_s: float, name: str, function: Callable[[], None], touches: Mapping[str, bool]) -> Timer:
        """Calls a function at a moment; whoever does not need it any more says so by its `needed`."""
        timer = Timer(name, name, None, function, touches, lambda: True)
        self._plan(at_s, timer)
        return timer

    def soon(
        self, name: str, function: Callable[[], None], touches: Mapping[str, bool], *, waits: bool = False
    ) -> None:
        """Something happens as soon as it is chosen, or when the rest has come to rest."""
        self._add(self._queues, name, name, None, None, function, touches, waits)

    def anytime(self, name: str, function: Callable[[], None], touches: Mapping[str, bool]) -> None:
        """Something happens when it is chosen, though time may pass before."""
        self._add(self._anytime, name, ANYTIME + name, None, None, function, touches, False)

    def wake_ups(self) -> dict[str, list[float]]:
        """Wake-ups that wait and are still needed, by actor: when each was asked for, the oldest first."""
        asked: dict[str, list[float]] = {}
        for moment, _, _, timer in self._timers:
            if timer.to is not None and not self._stale(timer):
                asked_s = self._time_s(moment) - timer.what.delayPeriod.total_seconds()
                asked.setdefault(timer.to.actorAddressString, []).append(asked_s)
        return {name: sorted(times) for name, times in asked.items()}

    def due(self) -> list[tuple[int, str, object]]:
        """What is due when, and still needed; and what may come at any time."""
        timers = sorted(self._timers, key=lambda each: each[:3])
        due: list[tuple[int, str, object]] = [
            (moment, timer.name if timer.to is None else queue, timer.what if timer.to is not None else "")
            for moment, queue, _, timer in timers
            if timer.needed() and not self._stale(timer)
        ]
        return due + [(0, name, len(items)) for name, items in sorted(self._anytime.items())]

    def living(self) -> dict[str, Any]:
        """Every actor that lives, by its address."""
        refs = self._base.actorRegistry.items()
        return {name: ref.instance for name, ref in refs if ref is not None and isinstance(ref.instance, Shell)}

    # ------------------------------------------------------------------------------------------------ death

    def kill(self, address: Address, where: str = "") -> None:
        """SIGKILL; for each receiver it is chosen how much of what was under way is lost, the latest first."""
        name = address.actorAddressString
        self.touch(f"out of {name}")
        self.touch(name)
        ref = self._base.actorRegistry[name]
        ref._inst = None
        for queue, items in list(self._queues.items()):
            if items[0].to == address:
                del self._queues[queue]
            elif items[0].sender == address:
                sent = 0 if items[0].waits else len(items)
                options = ("all arrives", *(f"{n} of {sent} lost, {queue}" for n in range(1, sent + 1)))
                for _ in range(self.choose(*options) if sent else 0):
                    items.pop()
                if not items:
                    del self._queues[queue]
        self._send(self._system.systemAddress, ref.parent, ChildActorExited(address))
        self.on_killed(address, where)

    def stall(self, address: Address, until_s: float) -> None:
        """Nobody is stopped here."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------ time

    def run_until(self, until_s: float, *, max_steps: int = 100_000) -> None:
        """Lets everything happen up to a time.

        Raises:
            Asleep: The guide has seen all that can follow.
            RuntimeError: More than `max_steps` events: something goes round in circles.
        """
        while True:
            if self.steps > max_steps:
                raise RuntimeError(f"{max_steps} events by {self.now_s:.3f} s: something goes round in circles.")
            if self.choosing and self.now_s >= self.until_s and not self._queues:
                self.guide.end()
                self.choosing = False
            if any(not queue[0].waits for queue in self._queues.values()):
                self._next()
            elif self._queues:
                self._rest()
            elif not self._pass(until_s):
                break
        self.now_s = max(self.now_s, until_s)

    def _next(self) -> None:
        places = self._queues, self._anytime
        heads = [(place, queue[0]) for place in places for queue in place.values() if not queue[0].waits]
        heads.sort(key=lambda each: (each[0] is self._anytime, each[1].serial))
        chosen = 0
        if self.choosing:
            items = [item for _, item in heads]
            chosen = self.guide.event([i.name for i in items], [i.queue for i in items], [i.cause for i in items])
        place, item = heads[chosen]
        self._happen(self._taken(place, item))

    def _rest(self) -> None:
        """Whatever waits, until something does not."""
        if self._goes_on(REST, last=False):
            while self._queues and all(queue[0].waits for queue in self._queues.values()):
                first = min(self._queues)
                self._happen(self._taken(self._queues, self._queues[first][0]))

    def _goes_on(self, name: str, *, last: bool) -> bool:
        """Whether what is named happens now, and not what may happen at any time; that must where it is the last."""
        if not self.choosing:
            return True
        heads = [queue[0] for queue in self._anytime.values()]
        own = [] if last and heads else [name]
        queues, causes = [*own, *(i.queue for i in heads)], [*[-1] * len(own), *(i.cause for i in heads)]
        chosen = self.guide.event([*own, *(i.name for i in heads)], queues, causes)
        if chosen < len(own):
            self.guide.touch(EVERYTHING, changes=True)
            return True
        self._happen(self._taken(self._anytime, heads[chosen - len(own)]))
        return False

    def _pass(self, until_s: float) -> bool:
        """To the next moment at which something is due; False where none is so soon."""
        while self._timers and not self._timers[0][3].needed():
            heappop(self._timers)
        if self.choosing and self.guide.branched:
            self.guide.came_to(self.digest())
        due_s = self._time_s(self._timers[0][0]) if self._timers else float("inf")
        if due_s > until_s and not self._anytime:
            return False
        if not self._goes_on(TIME, last=due_s >= self.until_s):
            return True
        self.now_s = max(self.now_s, due_s)
        self._heard.clear()
        moment = self._timers[0][0]
        while self._timers and self._timers[0][0] == moment:
            timer = heappop(self._timers)[3]
            if not timer.needed() or self._stale(timer):
                continue
            if timer.to is None and not timer.name:
                timer.what()
                continue
            waits = timer.to is not None and self.waits(timer.to, timer.to, timer.what)
            self._add(self._queues, timer.name, timer.queue, timer.to, timer.to, timer.what, timer.touches, waits=waits)
        return True

    def _stale(self, timer: Timer) -> bool:
        """Whether a wake-up was overtaken, or its actor is dead: nothing would come of it."""
        if timer.to is None:
            return False
        instance = self.instance(timer.to)
        return instance is None or (isinstance(instance, Shell) and timer.what.payload != instance._wakes)

    def _happen(self, item: Item) -> None:
        self.now_s += TICK_S
        self.steps += 1
        self.item = item
        for name, changes in item.touches.items():
            self.touch(name, changes=changes)
        if item.to is None:
            item.what()
        else:
            self._take(item)
        self.item = None

    def _take(self, item: Item) -> None:
        to = item.to
        name = to.actorAddressString
        self.touch(name)
        self.touch(f"out of {item.sender.actorAddressString}", changes=False)
        first = name not in self._heard
        self._heard.add(name)
        if first and self.mortal(to) and self.choose("goes on", "dies before"):
            self.kill(to, "between two messages")
            return
        self._deliver(item.sender, to, item.what)
        if self.mortal(to) and self.alive(to) and self.choose("goes on", "dies after"):
            self.kill(to, "between two messages")

    # ------------------------------------------------------------------------------------------------ pieces

    def _send(self, sender: Address, to: Address, message: Any) -> None:
        if to != self._external.address and not self.alive(to):
            return
        what = self._as_sent(message)
        queue = f"{sender.actorAddressString}>{to.actorAddressString}"
        self._counts[queue] += 1
        name = f"{queue}#{self._counts[queue]} {type(message).__name__}"
        self._add(self._queues, name, queue, sender, to, what, {}, waits=self.waits(sender, to, message))

    def _wake(self, sender: Address, period: timedelta, payload: Any) -> None:
        name = sender.actorAddressString
        queue = f"{name}@"
        self._counts[queue] += 1
        timer = Timer(f"{queue}{self._counts[queue]}", queue, sender, WakeupMessage(period, payload), {}, lambda: True)
        self._plan(self.now_s + period.total_seconds(), timer)

    def _plan(self, at_s: float, timer: Timer) -> None:
        moment = ceil((max(at_s, self.now_s) - self._start_s) * MOMENTS_PER_S - 1e-3)
        key = timer.queue
        self._serial += 1
        heappush(self._timers, (moment, key, self._serial, timer))

    def _time_s(self, moment: int) -> float:
        return self._start_s + moment / MOMENTS_PER_S

    def _add(
        self,
        place: dict[str, deque[Item]],
        name: str,
        queue: str,
        sender: Address,
        to: Address,
        what: Any,
        touches: Mapping[str, bool],
        waits: bool,
    ) -> None:
        self._serial += 1
        item = Item(name, queue, self._serial, self.guide.event_number, sender, to, what, touches, waits)
        place.setdefault(queue, deque()).append(item)

    def _taken(self, place: dict[str, deque[Item]], item: Item) -> Item:
        queue = place[item.queue]
        queue.popleft()
        if not queue:
            del place[item.queue]
        return item
