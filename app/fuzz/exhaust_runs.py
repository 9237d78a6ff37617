"""Runs of a scope: each in a process of its own, forked from one world that is ready, judged as every run is."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import select
import signal
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from types import FrameType, TracebackType

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

RUN_S = 120.0
"""Of real time, which no run takes by far: one that does has a handler that loops or waits, and violates that."""

KILL_S = 60.0
"""So long after that the process of a run is killed which does not say so itself."""


class Overdue(BaseException):
    """A run takes too long. Nothing of the router is to catch it."""


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


def finished(world: SmallWorld, guide: Guide, for_s: float = RUN_S) -> tuple[Seen, tuple[Violation, ...]]:
    """Runs a world that is warm to its end under a guide, and judges it; one that does not end in time violates that.

    Raises:
        Asleep: The guide has seen all that can follow.
        ValueError: What the guide was told fits no run.
    """
    broken = []
    try:
        with _at_most(for_s):
            world.go_on(guide)
        if guide.wrong:
            raise ValueError(guide.wrong)
    except (RuntimeError, Overdue) as error:
        broken.append(Violation("the run itself", world.scheduler.now_s, 0, str(error)))
    return judge(world, None, broken)


@contextmanager
def _at_most(for_s: float) -> Iterator[None]:
    def over(_: int, frame: FrameType | None) -> None:
        at = "" if frame is None else f": it is in {frame.f_code.co_qualname}, line {frame.f_lineno}"
        raise Overdue(f"It does not end within {for_s:g} s{at}.")

    handler, (timer_s, _) = signal.signal(signal.SIGALRM, over), signal.setitimer(signal.ITIMER_REAL, for_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, timer_s)
        signal.signal(signal.SIGALRM, handler)


@define
class Forks(AbstractContextManager["Forks"]):
    """Runs of one scope, of which each goes on from a copy of one warm world.

    Attributes:
        run_s: Of real time for each; one that takes longer violates that.
        took: How many were run.
    """

    scope: Scope
    run_s: float = field(default=RUN_S, kw_only=True)
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
            RuntimeError: The process of the run died, or had to be killed since it did not end.
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
        try:
            answer = _read(reading, self.run_s + KILL_S)
        finally:
            os.close(reading)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)  # whoever has told all has nothing left to do
            os.waitpid(child, 0)
        if not answer:
            how = "died" if answer is not None else "did not end and was killed"
            raise RuntimeError(f"The process of a run {how}: {list(told)}, {digits!r}.")
        found: Trace = pickle.loads(answer)
        return found

    def _run(self, guide: Guide) -> Trace:
        try:
            _, violations = finished(self._world, guide, self.run_s)
        except Asleep:
            return Trace(steps=tuple(guide.steps), places=tuple(guide.places), cut=True, joined=guide.joined)
        return Trace(
            steps=tuple(guide.steps),
            places=tuple(guide.places),
            outcome=outcome(self._world),
            violations=tuple((v.rule, v.words) for v in violations),
        )


def _read(pipe: int, for_s: float) -> bytes | None:
    """All that is written to a pipe until it is closed; None where that takes too long."""
    until_s, poll, parts = time.monotonic() + for_s, select.poll(), list[bytes]()
    poll.register(pipe, select.POLLIN)
    while poll.poll(1000.0 * max(0.0, until_s - time.monotonic())):
        part = os.read(pipe, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


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


def shortest(digits: str, bad: Callable[[str], bool], until_s: float = float("inf")) -> str:
    """The choices with as few of them other than the first as can be, and as short as can be, that are still bad.

    Args:
        until_s: When it ends with the shortest so far, by the monotonic clock.
    """
    changed = True
    while changed:
        changed = False
        for at in reversed(range(len(digits))):
            if digits[at] == "0":
                continue
            for shorter in (digits[:at], digits[:at] + "0" + digits[at + 1 :]):
                shorter = shorter.rstrip("0")
                if time.monotonic() >= until_s:
                    return digits
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
