"""Depth-first search over the choices of runs, complete within its scope, in which every run starts from the beginning.

Two events are dependent when both touched one thing and one of them changed it (`app.fuzz.exhaust_world` says what is
touched). Others commute: happening in either order, they leave the same state, and neither makes the other possible or
impossible, since a message that is on its way stays where it is until it is delivered. So of all runs that differ only
in the order of such events one is enough. How few are run:

    NONE    every order of events that are possible at the same time
    SLEEP   sleep sets (Godefroid): an event that was explored first here stays asleep below its siblings until
            something dependent on it happens. No two complete runs are equivalent; every state is still visited
    DPOR    besides, source sets (Abdulla, Aronis, Jonsson, Sagonas, "Optimal dynamic partial order reduction", 2014):
            an event is tried instead of another only where a run showed a race between what it leads to and that one:
            two dependent events, neither of which brought the other about, with nothing in between that orders them.
            And where nothing is under way a run is cut if another has been at the same place (`exhaust_state`): what
            follows depends on nothing else, and no race reaches across, since time is dependent on everything

What may happen at any time keeps no time from passing, so that its races with that cannot be seen as others are: it is
tried wherever it could happen. What is chosen within an event (its actor dies, its call is lost) is tried in each way,
and counts, for what the event touches, with all its ways together.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from attrs import define, field, frozen

from app.fuzz.exhaust_steps import ANYTIME, EVERYTHING, Footprint, Step, dependent


class Reduction(StrEnum):
    """How many orders of what commutes are run."""

    NONE = "none"
    SLEEP = "sleep"
    DPOR = "dpor"


@frozen(kw_only=True)
class Trace:
    """One run.

    Attributes:
        steps: Its choices.
        places: Where it has been while nothing was under way, and no run before it.
        cut: It led to nothing new, and was not run to its end.
        joined: It was cut where another run had been.
        outcome: What it came to, as a digest that knows no times; empty where it was cut.
        violations: The rules that were violated, and how.
    """

    steps: tuple[Step, ...]
    places: tuple[str, ...] = ()
    cut: bool = False
    joined: bool = False
    outcome: str = ""
    violations: tuple[tuple[str, str], ...] = ()


class Execute(Protocol):
    """Runs a world from its beginning."""

    def __call__(
        self, told: Sequence[str], since: int, asleep: Mapping[str, Footprint], known: Container[str]
    ) -> Trace:
        """As told, then on to the end; see `app.fuzz.exhaust_steps.Guide`."""
        ...


@define
class Node:
    """One choice on the way to where the search is.

    Attributes:
        todo: Options that are to be tried; only of an event.
        done: Those that were, with what they touched; likewise.
        asleep: Those that need not be, likewise.
        touched: What the chosen one touched, in all the ways it was tried.
    """

    options: tuple[str, ...]
    chosen: int
    is_event: bool
    todo: set[str] = field(factory=set)
    done: dict[str, Footprint] = field(factory=dict)
    asleep: dict[str, Footprint] = field(factory=dict)
    touched: dict[str, bool] = field(factory=dict)

    @property
    def name(self) -> str:
        """What is chosen."""
        return self.options[self.chosen]

    def next(self) -> bool:
        """Chooses the next option; False where none is left."""
        if not self.is_event:
            self.chosen += 1
            return self.chosen < len(self.options)
        self.done[self.name] = self.touched
        self.touched = {}
        for number, name in enumerate(self.options):
            if name in self.todo and name not in self.done and name not in self.asleep:
                self.chosen = number
                return True
        return False

    def share(self) -> tuple[float, float]:
        """How much of it was tried, and what the one under way is worth, if each is worth the same."""
        if not self.is_event:
            return self.chosen / len(self.options), 1.0 / len(self.options)
        left = sum(name not in self.asleep or name in self.done for name in self.todo)
        return len(self.done) / max(1, left), 1.0 / max(1, left)


@define
class Counts:
    """How far a search has come.

    Attributes:
        runs: To their end; `cut`, those that led to nothing new.
        states: Choices of an event, each counted once.
        depth: The most events in a run.
        branches: Where more than one thing could happen, or happen in more than one way.
    """

    runs: int = 0
    cut: int = 0
    states: int = 0
    depth: int = 0
    branches: int = 0


@define
class Search:
    """A search, which can be stopped after any run and gone on with."""

    execute: Execute
    reduction: Reduction = Reduction.DPOR
    counts: Counts = field(factory=Counts)
    path: list[Node] = field(factory=list)
    known: set[str] = field(factory=set)
    ended: bool = False

    def traces(self) -> Iterator[Trace]:
        """Runs one after the other, until there is no other."""
        while not self.ended:
            trace = self._run()
            self.ended = not self._back()
            yield trace

    def share(self) -> float:
        """How much is explored, if what is left is like what was: between 0 and 1."""
        if self.ended:
            return 1.0
        total, worth = 0.0, 1.0
        for node in self.path:
            done, each = node.share()
            total += worth * done
            worth *= each
        return total

    # ------------------------------------------------------------------------------------------------ one run

    def _run(self) -> Trace:
        events = [number for number, node in enumerate(self.path) if node.is_event]
        since = events[-1] if events else 0
        asleep: dict[str, Footprint] = {}
        if events and self.reduction is not Reduction.NONE:
            asleep = {**self.path[since].asleep, **self.path[since].done}
        trace = self.execute([node.name for node in self.path], since, asleep, self.known)
        if self.reduction is Reduction.DPOR:
            self.known.update(trace.places)
        self._follow(trace, since, asleep)
        if self.reduction is Reduction.DPOR:
            self._race(trace.steps)
        counts = self.counts
        counts.cut, counts.runs = counts.cut + trace.cut, counts.runs + (not trace.cut)
        counts.depth = max(counts.depth, sum(step.is_event for step in trace.steps))
        return trace

    def _follow(self, trace: Trace, since: int, asleep: dict[str, Footprint]) -> None:
        told = len(self.path)
        for number, step in enumerate(trace.steps):
            if number < told:
                node = self.path[number]
                if node.options != step.options:
                    raise RuntimeError(f"A run is not repeatable: {node.options} became {step.options}.")
            else:
                node = Node(step.options, step.chosen, step.is_event)
                self.path.append(node)
                self.counts.states += step.is_event
                self.counts.branches += len(step.options) > 1
                if step.is_event:
                    node.asleep = asleep
                    node.todo = _first_todo(step, asleep) if self.reduction is Reduction.DPOR else set(step.options)
            if step.is_event:
                for name, changes in step.touched.items():
                    node.touched[name] = node.touched.get(name, False) or changes
                if number >= since:
                    asleep = {name: foot for name, foot in asleep.items() if not dependent(foot, step.touched)}

    def _back(self) -> bool:
        """To the last choice that leaves another."""
        while self.path:
            if self.path[-1].next():
                return True
            self.path.pop()
        return False

    # ------------------------------------------------------------------------------------------------ races

    def _race(self, steps: Sequence[Step]) -> None:
        events = [number for number, step in enumerate(steps) if step.is_event]
        before: dict[int, int] = {}  # of each event, as bits, those that happen before it in every equivalent run
        for at, late in enumerate(events):
            step, known = steps[late], 0
            cause, queue = step.causes[step.chosen], step.queues[step.chosen]
            for early in reversed(events[:at]):
                other = steps[early]
                caused = cause == early or queue == other.queues[other.chosen]
                if not caused and not dependent(step.touched, other.touched):
                    continue
                if not known >> early & 1:
                    if not caused:
                        self._reverse(steps, [n for n in events[:at] if n > early], before, known, early, late)
                    known |= before[early] | 1 << early
                if EVERYTHING in other.touched:
                    break  # which everything before it happens before
            before[late] = known

    def _reverse(
        self,
        steps: Sequence[Step],
        between: Sequence[int],
        before: Mapping[int, int],
        known: int,
        early: int,
        late: int,
    ) -> None:
        """Sees to it that what leads to the later of two is tried instead of the earlier."""
        node = self.path[early]
        free = [n for n in between if not before[n] >> early & 1]
        bits = sum(1 << n for n in free)
        firsts = [n for n in free if not before[n] & bits]
        if not known & bits:
            firsts.append(late)
        names = [name for n in firsts if (name := steps[n].name) in node.options]
        if any(name in node.todo or name in node.asleep for name in names):
            return
        if names:
            node.todo.add(names[0])
        elif EVERYTHING not in steps[early].touched:
            node.todo.update(node.options)


def _first_todo(step: Step, asleep: Mapping[str, Footprint]) -> set[str]:
    """What is tried at an event before any race is known: whatever may happen at any time both now and later."""
    anytime = {n for n, queue in zip(step.options, step.queues, strict=True) if queue.startswith(ANYTIME)}
    others = [name for name in step.options if name not in anytime and name not in asleep]
    return {step.name, *anytime, *(others[:1] if anytime else ())}
