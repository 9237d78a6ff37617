"""Runs of a scope: each in a process of its own, forked from one world that is ready, judged as every run is."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from types import TracebackType

from attrs import define, field

from app.fuzz import record as r
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.exhaust_scopes import Scope
from app.fuzz.exhaust_search import Trace
from app.fuzz.exhaust_state import digest
from app.fuzz.exhaust_steps import Asleep, Footprint, Guide, Step, as_digits
from app.fuzz.exhaust_world import SmallWorld
from app.fuzz.run import judge
from app.fuzz.story import tell

TABLES = ("orders", "legs", "fills", "routes", "switches", "events")
UNTOLD = ("checksum", "detail")
"""Columns that contain times."""


def outcome(world: SmallWorld) -> str:
    """What a run came to, but for times: the journal, what strategies heard, what exchanges have, in their order."""
    facts: list[object] = []
    for table in TABLES:
        rows = world.journal._db.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()
        facts += [
            (table, *((n, row[n]) for n in row.keys() if not n.endswith("_s") and n not in UNTOLD))  # noqa: SIM118
            for row in rows
        ]
    for fact in world.record.facts:
        if isinstance(fact, r.Heard):
            facts.append((fact.strategy, fact.request, fact.kind, fact.told, fact.serial, fact.state, fact.filled))
        elif isinstance(fact, r.FillHeard | r.TradeHeard):
            facts.append((fact.serial, fact.number))
    for exchange in world.exchanges.values():
        for order in exchange.orders:
            history = [(state, filled) for _, state, filled in order.history]
            facts.append((order.exchange, order.serial, order.wire_id, history, [t.quantity for t in order.trades]))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def finished(world: SmallWorld, guide: Guide) -> tuple[Seen, tuple[Violation, ...]]:
    """Runs a world that is warm to its end under a guide, and judges it.

    Raises:
        Asleep: The guide has seen all that can follow.
        ValueError: What the guide was told fits no run.
    """
    broken = []
    try:
        world.go_on(guide)
        if guide.wrong:
            raise ValueError(guide.wrong)
    except RuntimeError as error:
        broken.append(Violation("the run itself", world.scheduler.now_s, 0, str(error)))
    return judge(world, None, broken)


@define
class Forks(AbstractContextManager["Forks"]):
    """Runs of one scope, of which each goes on from a copy of one warm world.

    Attributes:
        took: How many were run.
    """

    scope: Scope
    took: int = 0
    _world: SmallWorld = field(init=False)
    _entered: AbstractContextManager[None] = field(init=False)

    def __enter__(self) -> Forks:
        self._world = SmallWorld(self.scope)
        self._world.scheduler.digest = partial(digest, self._world)
        self._entered = self._world.entered()
        self._entered.__enter__()
        self._world.warm_up()
        gc.collect()
        gc.freeze()  # what is not looked at is not copied
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        gc.unfreeze()
        self._entered.__exit__(kind, error, traceback)
        self._world.close()

    def __call__(
        self,
        told: Sequence[str] = (),
        since: int = 0,
        asleep: Mapping[str, Footprint] | None = None,
        known: Container[str] = (),
        digits: str = "",
    ) -> Trace:
        """One run; see `app.fuzz.exhaust_search.Execute`.

        Raises:
            RuntimeError: The process of the run died.
        """
        self.took += 1
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            with suppress(BaseException):  # a child that fails says nothing, which its parent tells
                os.close(reading)
                gc.disable()
                trace = self._run(Guide(told=told, since=since, asleep=dict(asleep or {}), known=known, digits=digits))
                with os.fdopen(writing, "wb") as pipe:
                    pickle.dump(trace, pipe, pickle.HIGHEST_PROTOCOL)
                os._exit(0)
            os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        if not answer:
            raise RuntimeError(f"The process of a run died: {list(told)}, {digits!r}.")
        found: Trace = pickle.loads(answer)
        return found

    def _run(self, guide: Guide) -> Trace:
        try:
            _, violations = finished(self._world, guide)
        except Asleep:
            return Trace(steps=tuple(guide.steps), places=tuple(guide.places), cut=True, joined=guide.joined)
        return Trace(
            steps=tuple(guide.steps),
            places=tuple(guide.places),
            outcome=outcome(self._world),
            violations=tuple((v.rule, v.words) for v in violations),
        )


def replayed(scope: Scope, digits: str) -> tuple[str, tuple[Violation, ...]]:
    """The story of one run by its choices, and what it violated.

    Raises:
        ValueError: The choices do not fit the scope.
    """
    world = SmallWorld(scope)
    guide = Guide(digits=digits)
    try:
        with world.entered():
            world.warm_up()
            seen, violations = finished(world, guide)
        return "\n".join([tell(seen, violations), "", *_told(guide.steps)]), violations
    finally:
        world.close()


def _told(steps: Sequence[Step]) -> Sequence[str]:
    """The choices other than the first of each."""
    return [f"chosen: {step.name}, of {len(step.options)}" for step in steps if step.chosen]


def shortest(digits: str, bad: Callable[[str], bool]) -> str:
    """The choices with as few of them other than the first as can be, and as short as can be, that are still bad."""
    changed = True
    while changed:
        changed = False
        for at in reversed(range(len(digits))):
            if digits[at] == "0":
                continue
            for shorter in (digits[:at], digits[:at] + "0" + digits[at + 1 :]):
                shorter = shorter.rstrip("0")
                if shorter != digits and _fits(shorter, bad):
                    digits, changed = shorter, True
                    break
            if changed:
                break
    return digits


def _fits(digits: str, bad: Callable[[str], bool]) -> bool:
    try:
        return bad(digits)
    except RuntimeError:
        return False  # choices that no run can make


__all__ = ["Forks", "as_digits", "finished", "outcome", "replayed", "shortest"]
