"""What runs have reached: pairs of state and event in the router's tables, and faults and deaths by step of a switch.

A harness that finds nothing may have been nowhere. So each run counts where it has been, and `report` holds that
against everything there is: what is missing is a gap, or a pair that only a bug would bring about, which it says too.

The tables are counted where they are looked up, by putting a counting one in their place for as long as a run takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from attrs import define, field

from app.domain import fill_sums, health_belief, leg_life, saga_steps, saga_table
from app.domain.health_table import TABLE as HEALTH
from app.domain.health_table import Finding
from app.domain.leg_life import Leg
from app.domain.leg_table import TABLE as LEGS
from app.domain.leg_table import Illegal as IllegalEvent
from app.domain.leg_table import LegEvent
from app.domain.leg_table import Stale as StaleEvent
from app.domain.saga_table import TABLE as SAGA
from app.domain.saga_table import Happened, Illegal, Stale, Step
from app.fuzz.faults import Fault
from app.journal import aside, store
from messages.supervision import Role

NO_FAULT = "none"

Where = tuple[str, ...]
"""What kind of place, and which: ("leg", state, event), ("saga", step, event), ("health", state, finding), ("fault",
fault, step), ("death", actor, step, fault)."""


class _Counted:
    """A table of health that notes which of its rows and columns is asked for."""

    def __init__(self, counts: Counter[Where]) -> None:
        self._counts = counts

    def __getitem__(self, state: Any) -> Any:
        return _Row(self._counts, state, HEALTH[state])


class _Row:
    def __init__(self, counts: Counter[Where], state: Any, row: Any) -> None:
        self._counts, self._state, self._row = counts, state, row

    def __getitem__(self, finding: Finding) -> Any:
        self._counts["health", self._state.value, finding.name.lower()] += 1
        return self._row[finding]


@define
class Reached:
    """Of one run, or of many together."""

    counts: Counter[Where] = field(factory=Counter)

    def fault(self, fault: Fault, step: Step | None) -> None:
        """A call met a fault while a switch was at a step; None where there was no coordinator."""
        self.counts["fault", fault.value, _name(step)] += 1

    def death(self, actor: str, step: Step | None, faults: Iterable[str]) -> None:
        """An actor died while a switch was at a step, and exchanges failed in these ways."""
        for each in set(faults) or {NO_FAULT}:
            self.counts["death", actor, _name(step), each] += 1

    @contextmanager
    def counted(self) -> Iterator[None]:
        """The tables count for as long as this lasts."""
        counts, advance, answer = self.counts, leg_life.advance, saga_table.answer

        def advanced(leg: Leg, event: LegEvent, **more: Any) -> Leg:
            counts["leg", leg.state.value, event.value] += 1
            return advance(leg, event, **more)

        def answered(step: Step, happened: Happened) -> Any:
            counts["saga", step.value, happened.value] += 1
            return answer(step, happened)

        puts: list[tuple[ModuleType, str, object]] = [(room, "advance", advanced) for room in (store, aside, fill_sums)]
        puts += [(saga_steps, "answer", answered), (health_belief, "TABLE", _Counted(counts))]
        kept = [vars(room)[name] for room, name, _ in puts]
        for room, name, put in puts:
            setattr(room, name, put)
        try:
            yield
        finally:
            for (room, name, _), was in zip(puts, kept, strict=True):
                setattr(room, name, was)


def _name(step: Step | None) -> str:
    return "no coordinator" if step is None else step.value


ACTORS = ("connector", "health_monitor", "failover_coordinator", "position_synchronizer", "strategy", "everything")
STEPS = (*(step.value for step in Step), "no coordinator")
WITHIN = (Step.FENCE.value, Step.COMMIT.value)
"""Steps that are over before their handler is, unless the journal is locked: only the coordinator can die in them."""


def role_of(actor: str, exchanges: Iterable[str]) -> str:
    """What kind of actor one is, by its name."""
    return "connector" if actor in exchanges else "strategy" if actor.startswith("strategy") else actor


def as_json(counts: Mapping[Where, int]) -> dict[str, int]:
    """Counts by places as text."""
    return {"/".join(where): n for where, n in sorted(counts.items())}


def from_json(kept: Mapping[str, int]) -> Counter[Where]:
    """The counts of such a text."""
    return Counter({tuple(where.split("/")): n for where, n in kept.items()})


# ------------------------------------------------------------------------------------------------ for people

Grid = Mapping[tuple[str, str], bool | None]
"""Rows by columns: whether being there changes anything; None where only a bug would be there."""


def grids() -> Mapping[str, tuple[str, Grid]]:
    """All there is, by kind of place, with its title."""
    legs = {(s.value, e.value): _changes(row[e]) for s, row in LEGS.items() for e in LegEvent if e in row}
    saga = {(s.value, h.value): _changes(answer) for s, row in SAGA.items() for h, answer in row.items()}
    health = {(s.value, f.name.lower()): row[f] is not s for s, row in HEALTH.items() for f in Finding}
    faults = {(fault.value, step): step not in WITHIN for fault in Fault for step in STEPS}
    own = Role.FAILOVER_COORDINATOR.value
    deaths = {
        (actor, step): step not in WITHIN or actor in (own, "everything")
        for actor in ACTORS
        for step in STEPS
        if (actor, step) != (own, STEPS[-1])
    }
    return {
        "leg": ("Legs: state by event", legs),
        "saga": ("A switch: step by event", saga),
        "health": ("Health: state by finding", health),
        "fault": ("Faults by step of a switch", faults),
        "death": ("Deaths by step of a switch", deaths),
    }


def report(counts: Mapping[Where, int]) -> Iterator[str]:
    """Tables in Markdown: what was not reached is a bold zero, or a dot where being there would change nothing."""
    pairs = Counter(counts)
    for (kind, *where), n in counts.items():
        if kind == "death":
            pairs["death", where[0], where[1]] += n
    for kind, (title, grid) in grids().items():
        changing = [place for place, changes in grid.items() if changes]
        idle = [place for place, changes in grid.items() if changes is False]
        yield f"### {title}"
        yield ""
        there, idly = (sum(1 for place in places if pairs[kind, *place]) for places in (changing, idle))
        also = f" Of {len(idle)} more that change nothing, {idly}." if idle else ""
        yield f"Reached are {there} of {len(changing)} pairs.{also}"
        yield ""
        yield from _table(pairs, kind, grid)
    yield from _triples(counts)


def _changes(answer: object) -> bool | None:
    if isinstance(answer, Illegal | IllegalEvent):
        return None
    return not isinstance(answer, Stale | StaleEvent)


def _table(counts: Counter[Where], kind: str, grid: Grid) -> Iterator[str]:
    rows = list(dict.fromkeys(row for row, _ in grid))
    columns = list(dict.fromkeys(column for _, column in grid))
    yield "| | " + " | ".join(column.replace("_", " ") for column in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for row in rows:
        cells = []
        for column in columns:
            n, changes = counts[kind, row, column], grid.get((row, column))
            cells.append(f"{n:,}" if n else "-" if changes is None else "**0**" if changes else "·")
        yield f"| {row.replace('_', ' ')} | " + " | ".join(cells) + " |"
    yield ""


def _triples(counts: Mapping[Where, int]) -> Iterator[str]:
    """Who died at which step under which fault."""
    faults = (NO_FAULT, *(fault.value for fault in Fault))
    yield "### Deaths by step of a switch and fault"
    yield ""
    yield f"With how many of {len(faults)} faults (none is one of them) under way such an actor died at such a step."
    yield ""
    yield "| | " + " | ".join(STEPS) + " |"
    yield "|---|" + "---:|" * len(STEPS)
    for actor in ACTORS:
        cells = (str(sum(1 for fault in faults if counts.get(("death", actor, step, fault)))) for step in STEPS)
        yield f"| {actor.replace('_', ' ')} | " + " | ".join(cells) + " |"
    yield ""
