"""One detector in one world: virtual time, event by event, with a router around it that trades where it says.

The router is the simplest there is: trading is on the first exchange; a detector that finds it ill moves trading to the
second where it believes that well, and back by its own rule of recovery. The strategy's calls go to the exchange in
use, and go on whatever becomes of them.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from attrs import define, field, frozen

from benchmarks.detection.world import HTTP, REQUEST_TIMEOUT_S, Answer, Calls, Effect, World, drawn, traffic
from messages.health import EvidenceKind

WAITED_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""At which ages the oldest unanswered call of each kind is told of."""


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
        away: Faults at whose beginning trading was not there.
    """

    delays: list[tuple[str, float | None]] = field(factory=list)
    false_at_s: list[float] = field(factory=list)
    switches_at_s: list[float] = field(factory=list)
    away: int = 0
    words: str = ""
    length_s: float = 0.0
    calls: int = 0


def play(chooser: Chooser, run: Run) -> Played:
    """One run, from beginning to end."""
    played = Played()
    calls = Calls(run.world)
    pending = [fault for fault in run.faults if fault.wanted]
    flow = traffic(run.world.seed)
    sent_s, sent_kind = next(flow)
    wake_s = chooser.next_s()
    heap: list[tuple[float, int, int, EvidenceKind, float, Answer | None, bool]] = []
    waiting: dict[tuple[int, EvidenceKind], deque[float]] = {}
    serial = active = 0
    left: dict[int, float] = {}
    push, pop = heapq.heappush, heapq.heappop
    ask, heard, choose = calls.ask, chooser.heard, chooser.choose
    while True:
        now_s = min(sent_s, wake_s)
        if heap and heap[0][0] <= now_s:
            now_s, _, where, kind, call_s, answer, probe = pop(heap)
            if now_s > run.length_s:
                break
            if answer is None:
                line = waiting.get((where, kind))
                if line and call_s in line:
                    if line[0] == call_s:
                        chooser.unanswered(where, kind, call_s, now_s)
                    after_s = 2.0 * (now_s - call_s)
                    if after_s <= WAITED_S[-1] * 1.01:
                        serial += 1
                        push(heap, (call_s + after_s, serial, where, kind, call_s, None, False))
            else:
                if not probe and chooser.waits:
                    line = waiting[where, kind]
                    line.remove(call_s)
                heard(where, kind, answer, call_s, now_s, probe)
        elif now_s > run.length_s:
            break
        elif sent_s <= wake_s:
            answer = ask(active, sent_kind, sent_s)
            if answer.latency_s >= REQUEST_TIMEOUT_S:
                answer = Answer(Effect.SILENT, REQUEST_TIMEOUT_S)
            serial += 1
            push(heap, (sent_s + answer.latency_s, serial, active, sent_kind, sent_s, answer, False))
            if chooser.waits:
                waiting.setdefault((active, sent_kind), deque()).append(sent_s)
                if answer.latency_s > WAITED_S[0]:
                    serial += 1
                    push(heap, (sent_s + WAITED_S[0], serial, active, sent_kind, sent_s, None, False))
            sent_s, sent_kind = next(flow)
            continue  # nothing was learnt
        else:
            for where, kind, timeout_s in chooser.wake(now_s):
                answer = ask(where, kind, now_s)
                if answer.latency_s >= timeout_s:
                    if answer.latency_s < chooser.late_s and HTTP[answer.effect] in range(200, 500):
                        serial += 1
                        push(heap, (now_s + answer.latency_s, serial, where, kind, now_s, answer, True))
                    answer = Answer(Effect.SILENT, timeout_s)
                serial += 1
                push(heap, (now_s + answer.latency_s, serial, where, kind, now_s, answer, True))
        chosen = choose(active, now_s)
        wake_s = chooser.next_s()
        if chosen == active:
            continue
        played.switches_at_s.append(now_s)
        if chooser.ill(active, now_s):
            if not _right(run.faults, active, now_s):
                played.false_at_s.append(now_s)
                played.words = played.words or chooser.words()
            for fault in pending:
                if fault.where == active and _known_s(fault) <= now_s < fault.end_s and id(fault) not in left:
                    left[id(fault)] = now_s
                    played.words = chooser.words() or played.words
        active = chosen
        if run.stop and pending and len(left) == len(pending):
            break
    played.length_s = min(now_s, run.length_s)
    played.calls = calls.counted
    for fault in pending:
        at_s = left.get(id(fault))
        played.delays.append((fault.label, None if at_s is None else max(0.0, at_s - fault.begin_s)))
    return played


def _known_s(fault: Fault) -> float:
    return fault.begin_s if fault.known_s is None else fault.known_s


def _right(faults: Sequence[Fault], where: int, now_s: float) -> bool:
    return any(fault.where == where and _known_s(fault) <= now_s < fault.end_s for fault in faults)


def phase(run: Run, name: int) -> float:
    """Where in its interval a detector begins: a number of [0, 1) that is the same for all."""
    return drawn(run.world.seed, 77, name)
