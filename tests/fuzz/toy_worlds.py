"""Small made-up worlds for the search: things that touch other things, send messages, wait and choose.

Each event reads what it touches and writes a digest of it, so that two orders lead to the same end only if what they
swapped does not depend on each other.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from random import Random

from attrs import define, field, frozen

from app.fuzz.exhaust_search import Trace
from app.fuzz.exhaust_steps import ANYTIME, EVERYTHING, Asleep, Footprint, Guide


@frozen
class Event:
    """What happens at an actor: what else it reads and writes, what it sends, and whether it has two ways."""

    name: str
    actor: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    sends: tuple[Event, ...] = ()
    chooses: bool = False
    anytime: bool = False


@frozen
class Toy:
    """Bursts of events; time passes between two bursts."""

    bursts: tuple[tuple[Event, ...], ...]

    def __call__(
        self, told: Sequence[str], since: int, asleep: Mapping[str, Footprint], known: Container[str]
    ) -> Trace:
        """One run."""
        run = _Run(Guide(told=told, since=since, asleep=dict(asleep), known=known))
        try:
            for burst in self.bursts:
                run.burst(burst)
            run.guide.end()
        except Asleep:
            return Trace(steps=tuple(run.guide.steps), places=tuple(run.guide.places), cut=True)
        return Trace(steps=tuple(run.guide.steps), places=tuple(run.guide.places), outcome=run.state())


@define
class _Run:
    guide: Guide
    _values: dict[str, int] = field(factory=dict)
    _queues: dict[str, list[tuple[Event, int]]] = field(factory=dict)

    def state(self) -> str:
        """All values."""
        return repr(sorted(self._values.items()))

    def burst(self, events: Sequence[Event]) -> None:
        """Until only what may happen at any time is left; then time passes, or that happens."""
        for event in events:
            self._add("outside", event, self.guide.event_number)
        while True:
            heads = [queue[0] for name, queue in self._queues.items() if not name.startswith(ANYTIME)]
            names, queues, causes = [], list[str](), list[int]()
            if not heads:
                if self.guide.branched:
                    self.guide.came_to(self.state() + repr(sorted(self._queues)) + repr(events))
                names, queues, causes = ["time passes"], ["time passes"], [-1]
            for name, queue in sorted(self._queues.items(), key=lambda each: each[0].startswith(ANYTIME)):
                names.append(queue[0][0].name)
                queues.append(name)
                causes.append(queue[0][1])
            chosen = self.guide.event(names, queues, causes)
            if names[chosen] == "time passes":
                self.guide.touch(EVERYTHING, changes=True)
                for name in self._values:
                    self._values[name] = hash((self._values[name], "time"))
                return
            queue = self._queues[queues[chosen]]
            event, _ = queue.pop(0)
            if not queue:
                del self._queues[queues[chosen]]
            self._happen(event)

    def _add(self, sender: str, event: Event, cause: int) -> None:
        queue = f"{ANYTIME}{event.name}" if event.anytime else f"{sender}>{event.actor}"
        self._queues.setdefault(queue, []).append((event, cause))

    def _happen(self, event: Event) -> None:
        way = self.guide.within(("one", "other")) if event.chooses else 0
        writes = (event.actor, *event.writes, *(("choice",) if way else ()))
        for name in event.reads:
            self.guide.touch(name, changes=False)
        for name in writes:
            self.guide.touch(name, changes=True)
        seen = tuple(self._values.get(name, 0) for name in (*event.reads, *writes))
        for name in writes:
            self._values[name] = hash((event.name, way, seen))
        for sent in event.sends[way:]:
            self._add(event.actor, sent, self.guide.event_number)


def drawn(seed: int) -> Toy:
    """One of them."""
    rng, names = Random(seed), iter(range(100))

    def event(depth: int) -> Event:
        shared = ("x", "y", "z")
        return Event(
            name=f"e{next(names)}",
            actor=rng.choice("abcd"),
            reads=tuple(rng.sample(shared, rng.choice((0, 0, 1, 2)))),
            writes=tuple(rng.sample(shared, rng.choice((0, 0, 0, 1)))),
            sends=tuple(event(depth + 1) for _ in range(rng.choice((0, 1, 1, 2)) if depth < 2 else 0)),
            chooses=rng.random() < 0.15,
            anytime=rng.random() < 0.1,
        )

    return Toy(tuple(tuple(event(1) for _ in range(rng.choice((1, 2, 2)))) for _ in range(2)))
