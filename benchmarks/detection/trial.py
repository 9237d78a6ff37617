"""One detector in one world: virtual time, event by event, with a router around it that trades where it says.

The router is the simplest there is: trading is on the first exchange; a detector that finds it ill moves trading to the
second where it believes that well, and back by its own rule of recovery. The strategy's calls go to the exchange in
use, and go on whatever becomes of them.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from attrs import define, field, frozen

from app.domain.unanswered import FIRST_S
from benchmarks.detection.world import HTTP, REQUEST_TIMEOUT_S, Answer, Calls, Effect, World, drawn, traffic
from messages.health import EvidenceKind


class Chooser(Protocol):
    """A detector, and its rule where to trade.

    Attributes:
        waits: Whether it wants to hear of calls that have not been answered yet.
        late_s: Up to this age the answer of a probe is heard that it has given up.
    """

    waits: bool
    late_s: float

    def next_s(self) -> float:
        """When it wants to be woken next."""
        ...

    def wake(self, now_s: float) -> Sequence[tuple[int, EvidenceKind, float]]:
        """Probes to send: exchange, kind, and how long an answer may take."""
        ...

    def heard(self, where: int, kind: EvidenceKind, answer: Answer, sent_s: float, now_s: float, probe: bool) -> None:
        """What came of a call; SILENT where it was given up."""
        ...

    def unanswered(self, where: int, kind: EvidenceKind, sent_s: float, now_s: float) -> None:
        """The oldest call of the strategy's of this kind is still waiting."""
        ...

    def choose(self, active: int, now_s: float) -> int:
        """Where to trade from now on."""
        ...

    def ill(self, where: int, now_s: float) -> bool:
        """Whether it finds an exchange ill: leaving it then is no way back."""
        ...

    def words(self) -> str:
        """Why it chose as it did last; empty where it gives no reasons."""
        ...


@frozen(kw_only=True)
class Fault:
    """An exchange is really ill, and leaving it is right, from `begin_s` to `end_s`; `wanted`: so it ought to be left.

    Attributes:
        known_s: From when on leaving is right, where that is earlier: an announcement.
    """

    begin_s: float
    end_s: float
    where: int = 0
    wanted: bool = True
    known_s: float | None = None
    label: str = ""


@frozen(kw_only=True)
class Run:
    """A world and what is true in it.

    Attributes:
        stop: Whether the run ends as soon as the last wanted fault was found.
    """

    world: World
    length_s: float
    faults: tuple[Fault, ...] = ()
    stop: bool = True


@define
class Played:
    """What a detector did in one run.

    Attributes:
        delays: Of each wanted fault, from its beginning to leaving the exchange; None where it was not left in time.
            Nought where it was left before, after an announcement.
        false_at_s: When an exchange was left that was truly well.
        switches_at_s: Every change of exchange.
    """

    delays: list[tuple[str, float | None]] = field(factory=list)
    false_at_s: list[float] = field(factory=list)
    switches_at_s: list[float] = field(factory=list)
    words: str = ""
    length_s: float = 0.0
    calls: int = 0


def play(chooser: Chooser, run: Run) -> Played:
    """One run, from beginning to end."""
    trial = _Trial(chooser, run)
    now_s = trial.next_s()
    while now_s <= run.length_s and not trial.step(now_s):
        now_s = trial.next_s()
    return trial.over(now_s)


class _Ahead(NamedTuple):
    """Something that will come: an answer, or, without one, the moment to tell that there is none yet.

    Attributes:
        serial: Of two at the same moment that which was sent first comes first.
        probe: Whether the detector asked, and not the strategy.
    """

    at_s: float
    serial: int
    where: int
    kind: EvidenceKind
    sent_s: float
    answer: Answer | None
    probe: bool


class _Trial:
    """A run under way: what is to come, and where trading is. Of one moment, what comes back is first, then the
    strategy, then the detector."""

    def __init__(self, chooser: Chooser, run: Run) -> None:
        self._chooser, self._run = chooser, run
        self._calls = Calls(run.world)
        self._flow = traffic(run.world.seed)
        self._sent_s, self._sent_kind = next(self._flow)
        self._wake_s = chooser.next_s()
        self._ahead: list[_Ahead] = []
        self._waiting: dict[tuple[int, EvidenceKind], deque[float]] = {}
        self._serial = self._active = 0
        self._wanted = [fault for fault in run.faults if fault.wanted]
        self._left: dict[int, float] = {}
        self._played = Played()

    def next_s(self) -> float:
        """When something happens next."""
        now_s = min(self._sent_s, self._wake_s)
        return min(now_s, self._ahead[0].at_s) if self._ahead else now_s

    def step(self, now_s: float) -> bool:
        """What happens at that moment. Whether the run has shown all that it is for."""
        if self._ahead and self._ahead[0].at_s <= now_s:
            self._come(heapq.heappop(self._ahead))
        elif self._sent_s <= self._wake_s:
            self._trade()
            return False  # nothing was learnt
        else:
            self._probe(now_s)
        chosen = self._chooser.choose(self._active, now_s)
        self._wake_s = self._chooser.next_s()
        return chosen != self._active and self._move(chosen, now_s)

    def over(self, now_s: float) -> Played:
        """What the detector did, when the run has ended."""
        played = self._played
        played.length_s = min(now_s, self._run.length_s)
        played.calls = self._calls.counted
        for fault in self._wanted:
            at_s = self._left.get(id(fault))
            played.delays.append((fault.label, None if at_s is None else max(0.0, at_s - fault.begin_s)))
        return played

    def _push(
        self, at_s: float, where: int, kind: EvidenceKind, sent_s: float, answer: Answer | None, probe: bool = False
    ) -> None:
        self._serial += 1
        heapq.heappush(self._ahead, _Ahead(at_s, self._serial, where, kind, sent_s, answer, probe))

    def _come(self, one: _Ahead) -> None:
        """An answer is heard, or a call waits on."""
        at_s, _, where, kind, sent_s, answer, probe = one
        if answer is None:
            self._wait_on(where, kind, sent_s, at_s)
            return
        if not probe and self._chooser.waits:
            self._waiting[where, kind].remove(sent_s)
        self._chooser.heard(where, kind, answer, sent_s, at_s, probe)

    def _wait_on(self, where: int, kind: EvidenceKind, sent_s: float, now_s: float) -> None:
        """Tells of the call, if it has no answer yet and is the oldest of its kind; likewise at twice its age,
        as connectors do (`app.domain.unanswered`)."""
        line = self._waiting[where, kind]
        if sent_s not in line:
            return
        if line[0] == sent_s:
            self._chooser.unanswered(where, kind, sent_s, now_s)
        after_s = 2.0 * (now_s - sent_s)
        if after_s < REQUEST_TIMEOUT_S:
            self._push(sent_s + after_s, where, kind, sent_s, None)

    def _trade(self) -> None:
        """The strategy's next call goes out, to the exchange in use."""
        active, sent_s, kind = self._active, self._sent_s, self._sent_kind
        answer = self._calls.ask(active, kind, sent_s)
        if answer.latency_s >= REQUEST_TIMEOUT_S:
            answer = Answer(Effect.SILENT, REQUEST_TIMEOUT_S)
        self._push(sent_s + answer.latency_s, active, kind, sent_s, answer)
        if self._chooser.waits:
            self._waiting.setdefault((active, kind), deque()).append(sent_s)
            if answer.latency_s > FIRST_S:
                self._push(sent_s + FIRST_S, active, kind, sent_s, None)
        self._sent_s, self._sent_kind = next(self._flow)

    def _probe(self, now_s: float) -> None:
        """The detector's probes go out; an answer that is too late is heard all the same where it wants that."""
        for where, kind, timeout_s in self._chooser.wake(now_s):
            answer = self._calls.ask(where, kind, now_s)
            if answer.latency_s >= timeout_s:
                if answer.latency_s < self._chooser.late_s and HTTP[answer.effect] in range(200, 500):
                    self._push(now_s + answer.latency_s, where, kind, now_s, answer, probe=True)
                answer = Answer(Effect.SILENT, timeout_s)
            self._push(now_s + answer.latency_s, where, kind, now_s, answer, probe=True)

    def _move(self, to: int, now_s: float) -> bool:
        """Trading moves: rightly, or falsely, or back. Whether every wanted fault was found by now."""
        played, active, self._active = self._played, self._active, to
        played.switches_at_s.append(now_s)
        if self._chooser.ill(active, now_s):
            if not _right(self._run.faults, active, now_s):
                played.false_at_s.append(now_s)
                played.words = played.words or self._chooser.words()
            for fault in self._wanted:
                if _right((fault,), active, now_s) and id(fault) not in self._left:
                    self._left[id(fault)] = now_s
                    played.words = self._chooser.words() or played.words
        return self._run.stop and bool(self._wanted) and len(self._left) == len(self._wanted)


def _known_s(fault: Fault) -> float:
    return fault.begin_s if fault.known_s is None else fault.known_s


def _right(faults: Sequence[Fault], where: int, now_s: float) -> bool:
    return any(fault.where == where and _known_s(fault) <= now_s < fault.end_s for fault in faults)


def phase(run: Run, name: int) -> float:
    """Where in its interval a detector begins: a number of [0, 1) that is the same for all."""
    return drawn(run.world.seed, 77, name)
