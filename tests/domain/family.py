"""A family of children under the supervision machine: processes that do as they are told, when the test says so."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import define, field

from app.domain.restart import RestartPolicy
from app.domain.supervision import (
    ChildSpec,
    Contained,
    Effect,
    GaveUp,
    KillChild,
    Life,
    PingChild,
    RestartType,
    StartChild,
    StopChild,
    Strategy,
    Supervision,
    Timing,
)

CALM = RestartPolicy(intensity=1000, period_s=1_000_000.0, backoff_first_s=0.1, backoff_max_s=1.0)
TWICE = RestartPolicy(intensity=2, period_s=60.0, backoff_first_s=0.1, backoff_max_s=1.0)
TIMING = Timing(heartbeat_s=0.25, heartbeat_timeout_s=1.0, start_timeout_s=5.0, stop_timeout_s=2.0)


def spec(key: str, group: str = "", **more: object) -> ChildSpec:
    """A child of a group of its own unless said otherwise."""
    return ChildSpec(key=key, group=group or key, **{"policy": CALM, **more})  # type: ignore[arg-type]


FAMILY = (
    spec("one"),
    spec("two"),
    spec("elder", "control", strategy=Strategy.REST_FOR_ONE),
    spec("middle", "control", strategy=Strategy.REST_FOR_ONE),
    spec("younger", "control", strategy=Strategy.REST_FOR_ONE),
    spec("guest", restart=RestartType.TEMPORARY),
    spec("worker", restart=RestartType.TRANSIENT),
    spec("user", policy=TWICE, escalates=False),
)


ELDERS = {"middle": "elder", "younger": "middle"}


@define
class World:
    """Processes that do as they are told, when the test says so."""

    machine: Supervision
    now_s: float = 0.0
    processes: dict[str, int] = field(factory=dict)
    starts: Counter[str] = field(factory=Counter)
    ends: Counter[str] = field(factory=Counter)
    started_s: dict[str, float] = field(factory=dict)
    order: list[str] = field(factory=list)
    kills: list[tuple[str, int]] = field(factory=list)
    pings: list[str] = field(factory=list)
    stops: list[str] = field(factory=list)
    gave_up: bool = False
    contained: list[str] = field(factory=list)

    def perform(self, effects: list[Effect]) -> None:
        """Does what the machine wants, checking what must always hold."""
        for effect in effects:
            match effect:
                case StartChild(key, incarnation):
                    assert key not in self.processes, f"{key} was started while it lives"
                    assert not self.machine.stopping
                    elder = ELDERS.get(key)
                    assert elder is None or self.machine.children[elder].life is Life.RUNNING, f"before {elder} serves"
                    self.processes[key] = incarnation
                    self.starts[key] += 1
                    self.started_s[key] = self.now_s
                    self.order.append(key)
                    self.machine.born(key, 1000 + incarnation)
                case KillChild(key, _, _):
                    assert key in self.processes
                    assert (key, self.processes[key]) not in self.kills, f"{key} was killed twice"
                    self.kills.append((key, self.processes[key]))
                case StopChild(key):
                    self.stops.append(key)
                case PingChild(key):
                    self.pings.append(key)
                case GaveUp():
                    self.gave_up = True
                case Contained(key, _):
                    self.contained.append(key)

    def begin(self) -> World:
        """Starts the tree."""
        self.perform(self.machine.start(self.now_s))
        return self

    def serve(self, key: str) -> None:
        """The child says that it serves."""
        if key in self.processes:
            self.perform(self.machine.serves(key, self.processes[key], 1, self.now_s))

    def end(self, key: str, *, normally: bool = False) -> None:
        """The child's process ends."""
        incarnation = self.processes.pop(key, None)
        if incarnation is not None:
            self.ends[key] += 1
            self.perform(self.machine.ended(key, incarnation, normally, 0.5, self.now_s))

    def answer(self, key: str, ill: str = "") -> None:
        """The child gives a sign of life."""
        if key in self.processes:
            self.perform(self.machine.heard(key, self.processes[key], ill, self.now_s))

    def wait(self, seconds: float) -> None:
        """Time passes, step by step, with a tick whenever the machine asked for one."""
        until_s = self.now_s + seconds
        for _ in range(10_000):
            due_s = self.machine.next_s()
            if due_s is None or due_s > until_s:
                break
            self.now_s = max(self.now_s, due_s)
            self.perform(self.machine.tick(self.now_s))
        else:
            pytest.fail("the machine asks for ticks without end")
        self.now_s = until_s
        self.perform(self.machine.tick(self.now_s))

    def calm(self) -> None:
        """Everything that was to end ends, and everything made serves and answers, until nothing changes any more."""
        before: object = None
        quiet = 0
        for _ in range(40):
            now = len(self.order), len(self.kills), len(self.stops), sorted(self.processes), running(self)
            quiet = quiet + 1 if now == before else 0
            before = now
            if quiet > 8:  # longer than any wait before a restart
                return
            for key, child in self.machine.children.items():
                if key in self.processes and (child.killed or child.life is Life.STOPPING):
                    self.end(key)
            for key in list(self.processes):
                self.serve(key)
                self.answer(key)
            self.wait(0.2)


def running(world: World) -> set[str]:
    """Who serves."""
    return {key for key, child in world.machine.children.items() if child.life is Life.RUNNING}
