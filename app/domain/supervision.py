"""Supervision as OTP defines it, as a pure machine: who runs, what is done when one ends or hangs, when to give up.

Theory (Erlang/OTP, "Supervisor Behaviour", https://www.erlang.org/doc/system/sup_princ.html). Children are kept in the
order of their specs and belong to groups. When a child ends, its *restart type* says whether it comes back:

    permanent   always
    transient   unless it ended normally
    temporary   never

and its group's *strategy* says who else is affected: nobody (`one_for_one`), or those of the group that were started
after it, which are stopped and started again in order, each when the one before it serves (`rest_for_one`: what comes
later was built on what came before). How often is bounded by restart intensity (`app.domain.restart`), per child and
for all children together; a child that exceeds its own *escalates*: the whole tree is given up, and whoever is above
decides. The exception are children that `escalates=False` contains (users' strategies): only they stay down, and it is
told, since a user's bug must not stop the trading of others. Nor does anybody wait for one to serve, or count its ends
among those of all children. One that hangs at its start ends too seldom for any period, so its ends in a row without
ever having served between are counted as well, against the same intensity.

A child that hangs counts as one that ended. It is asked for a sign of life each `heartbeat_s`; one that owes an answer
for `heartbeat_timeout_s`, or says itself that it is not well, is killed, and what follows is the same as after any
death. One that does not serve `start_timeout_s` after it was made, or does not end `stop_timeout_s` after it was asked
to, is killed too. Who owed a sign of life when it was asked to end owes it still: of several that hang together, the
younger is not given the time to end besides.

A supervisor that was itself away (its host slept, it was stopped) finds everything overdue at once, and what was owed
meanwhile says nothing about who owes it. So a tick that comes late by more than half of `heartbeat_timeout_s` lets
every wait begin anew, once for each.

    | life, event  | serves  | ends (to come back) | ends (not to) | hangs  | elder ends | wait over      |
    | STARTING     | RUNNING | WAITING             | ENDED         | killed | STOPPING   | -              |
    | RUNNING      | -       | WAITING             | ENDED         | killed | STOPPING   | -              |
    | STOPPING     | -       | WAITING             | ENDED         | killed | -          | -              |
    | WAITING      | -       | -                   | -             | -      | -          | STARTING       |
    | ENDED        | -       | -                   | -             | -      | -          | -              |
"""

from __future__ import annotations

from enum import StrEnum

from attrs import define, field, frozen

from app.domain.restart import GiveUp, Restart, RestartPolicy, Restarts, never_served, on_exit


class RestartType(StrEnum):
    """Whether a child that ended comes back."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Strategy(StrEnum):
    """Who is restarted together with a child that ended."""

    ONE_FOR_ONE = "one_for_one"
    REST_FOR_ONE = "rest_for_one"


class Life(StrEnum):
    """Where a child is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    WAITING = "waiting"
    ENDED = "ended"


@frozen(kw_only=True)
class ChildSpec:
    """One child.

    Attributes:
        key: Unique; also how it is called in words.
        group: Children of one group are next to each other.
        escalates: Whether the whole tree is given up when it ends too often, and waits for it to serve.
    """

    key: str
    group: str
    strategy: Strategy = Strategy.ONE_FOR_ONE
    restart: RestartType = RestartType.PERMANENT
    policy: RestartPolicy
    escalates: bool = True


@frozen(kw_only=True)
class Timing:
    """Waits of a supervisor, in seconds; what each bounds is in the module's theory."""

    heartbeat_s: float = 0.25
    heartbeat_timeout_s: float = 1.5
    start_timeout_s: float = 20.0
    stop_timeout_s: float = 2.0


@frozen
class StartChild:
    """Make the child, and tell it to start."""

    key: str
    incarnation: int


@frozen
class StopChild:
    """Ask the child to end."""

    key: str


@frozen
class KillChild:
    """End the child without asking."""

    key: str
    pid: int | None
    why: str


@frozen
class PingChild:
    """Ask the child for a sign of life."""

    key: str


@frozen
class Published:
    """Who lives, or serves, has changed: tell everybody."""


@frozen
class GaveUp:
    """The tree is given up; everything is being stopped."""

    words: str


@frozen
class Contained:
    """A child that ended too often stays down; the others go on."""

    key: str
    words: str


Effect = StartChild | StopChild | KillChild | PingChild | Published | GaveUp | Contained


@define(kw_only=True)
class Child:
    """What is known of one child.

    Attributes:
        since_s: When it entered `life`.
        heard_s: Last sign of life.
        asked_s: When it was last asked for one; None before the first time.
        back_at_s: When it is to be started, while WAITING; None while an elder of its group must serve first.
        killed: It was killed and has not ended yet.
        forgiven: What it owes has begun anew, because we were away.
        unserved: Its ends since it last served.
    """

    spec: ChildSpec
    restarts: Restarts
    life: Life = Life.WAITING
    incarnation: int = 0
    pid: int | None = None
    since_s: float = 0.0
    heard_s: float = 0.0
    asked_s: float | None = None
    back_at_s: float | None = None
    killed: bool = False
    forgiven: bool = False
    unserved: int = 0
    words: str = ""

    @property
    def alive(self) -> bool:
        """It has a process."""
        return self.life in (Life.STARTING, Life.RUNNING, Life.STOPPING)

    @property
    def owes_since_s(self) -> float | None:
        """When the sign of life was asked for that has not come; None while none is owed."""
        return self.asked_s if self.asked_s is not None and self.asked_s > self.heard_s else None


@define
class Supervision:
    """The machine. Methods take an event and the time, and return effects to perform in order."""

    specs: tuple[ChildSpec, ...]
    root: RestartPolicy
    timing: Timing = Timing()
    children: dict[str, Child] = field(init=False)
    gave_up: str = field(init=False, default="")
    stopping: bool = field(init=False, default=False)
    _all: Restarts = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.children = {
            spec.key: Child(spec=spec, restarts=Restarts(name=spec.key, policy=spec.policy)) for spec in self.specs
        }
        self._all = Restarts(name="all children together", policy=self.root)

    # ------------------------------------------------------------------------------------------------ events

    def start(self, now_s: float) -> list[Effect]:
        """Starts every child, in order; within `rest_for_one` each when the one before it serves."""
        for child in self.children.values():
            child.back_at_s = now_s if self._elder_serves(child) else None
        return self.tick(now_s)

    def born(self, key: str, pid: int | None) -> None:
        """The process of a child that was just made."""
        self.children[key].pid = pid

    def serves(self, key: str, incarnation: int, pid: int, now_s: float) -> list[Effect]:
        """A child says that it has started. One of an earlier incarnation is not listened to."""
        child = self.children.get(key)
        if child is None or child.incarnation != incarnation or child.life is not Life.STARTING:
            return []
        self._enter(child, Life.RUNNING, now_s)
        child.pid, child.heard_s, child.asked_s, child.unserved = pid, now_s, None, 0
        for other in self._group(child):
            if other.life is Life.WAITING and other.back_at_s is None and self._elder_serves(other):
                other.back_at_s = now_s
        return [Published(), *self.tick(now_s)]

    def heard(self, key: str, incarnation: int, ill: str, now_s: float) -> list[Effect]:
        """A sign of life; `ill` says in words why the child is not well, and is empty when it is."""
        child = self.children.get(key)
        if child is None or child.incarnation != incarnation or not child.alive:
            return []
        child.heard_s, child.forgiven = now_s, False
        if ill and child.life is Life.RUNNING:
            return self._kill(child, ill)
        return []

    def ended(self, key: str, incarnation: int, normally: bool, jitter: float, now_s: float) -> list[Effect]:
        """A child's process has ended.

        Args:
            normally: It said before that it was done.
            jitter: Between 0 and 1, drawn anew for each call: spreads the waits of several children.
        """
        child = self.children.get(key)
        if child is None or child.incarnation != incarnation or not child.alive:
            return []
        asked = child.life is Life.STOPPING
        child.pid, child.killed, child.asked_s = None, False, None
        if self.stopping:
            self._enter(child, Life.ENDED, now_s)
            return [Published()]
        if asked:  # stopped because of an elder: it comes back after it, and its own intensity is not used up
            self._enter(child, Life.WAITING, now_s)
            child.back_at_s = None
            return [Published(), *self._release(child, now_s)]
        restart = child.spec.restart
        if restart is RestartType.TEMPORARY or (restart is RestartType.TRANSIENT and normally):
            self._enter(child, Life.ENDED, now_s)
            child.words = "It ended, and is not one to come back."
            return [Published()]
        return self._restart(child, jitter, now_s)

    def _restart(self, child: Child, jitter: float, now_s: float) -> list[Effect]:
        answer = on_exit(child.restarts, now_s)
        child.unserved += 1
        if not child.spec.escalates and isinstance(answer, Restart):
            answer = never_served(child.restarts, child.unserved) or answer
        if isinstance(answer, GiveUp):
            self._enter(child, Life.ENDED, now_s)
            child.words = answer.words
            if child.spec.escalates:
                return self._give_up(answer.words, now_s)
            return [Contained(child.spec.key, answer.words), Published()]
        if child.spec.escalates:
            together = on_exit(self._all, now_s)
            if isinstance(together, GiveUp):
                self._enter(child, Life.ENDED, now_s)
                return self._give_up(together.words, now_s)
            self._all = together.state
        child.restarts = answer.state
        self._enter(child, Life.WAITING, now_s)
        child.back_at_s = now_s + answer.after_s * (1.0 + 0.2 * jitter)
        out: list[Effect] = [Published()]
        if child.spec.strategy is Strategy.REST_FOR_ONE:
            younger = [other for other in self._group(child) if self._after(other, child) and other.alive]
            for other in reversed(younger):
                out += self._stop(other, now_s)
            if younger:
                child.back_at_s = None  # it starts when the last of them has ended
                return out
        return out + self.tick(now_s)

    def _release(self, stopped: Child, now_s: float) -> list[Effect]:
        """After the last of those that had to stop ended: the eldest that waits may start."""
        group = self._group(stopped)
        if any(child.life is Life.STOPPING for child in group):
            return []
        eldest = next((child for child in group if child.life is Life.WAITING), None)
        if eldest is not None and self._elder_serves(eldest):
            eldest.back_at_s = now_s
        return self.tick(now_s)

    def stop(self, now_s: float) -> list[Effect]:
        """Stops everything, the youngest first."""
        self.stopping = True
        out: list[Effect] = []
        for child in reversed(self.children.values()):
            if child.life is Life.WAITING:
                self._enter(child, Life.ENDED, now_s)
            elif child.alive and child.life is not Life.STOPPING:
                out += self._stop(child, now_s)
        return out

    def tick(self, now_s: float) -> list[Effect]:
        """Does what is due: starts, pings, kills."""
        due_s = self.next_s()
        if due_s is not None and now_s > due_s + self.timing.heartbeat_timeout_s / 2:
            self._forgive(now_s)
        out: list[Effect] = []
        timing = self.timing
        for child in self.children.values():
            if child.life is Life.WAITING:
                if not self.stopping and child.back_at_s is not None and now_s >= child.back_at_s:
                    self._enter(child, Life.STARTING, now_s)
                    child.incarnation += 1
                    child.back_at_s = None
                    out += [StartChild(child.spec.key, child.incarnation), Published()]
            elif child.killed or not child.alive:
                continue
            elif child.life is Life.STARTING and now_s >= child.since_s + timing.start_timeout_s:
                out += self._kill(child, f"did not start within {timing.start_timeout_s:g} s")
            elif child.life is Life.STOPPING and now_s >= child.since_s + timing.stop_timeout_s:
                out += self._kill(child, f"did not end within {timing.stop_timeout_s:g} s")
            elif child.life is Life.RUNNING or (child.life is Life.STOPPING and child.owes_since_s is not None):
                out += self._pulse(child, now_s)
        return out

    def _forgive(self, now_s: float) -> None:
        """We were away: whoever owes something owes it from now on."""
        for child in self.children.values():
            if child.killed or child.forgiven or not child.alive:
                continue
            child.forgiven = True
            if child.life is not Life.RUNNING:
                child.since_s = now_s
            if child.owes_since_s is not None:
                child.asked_s = now_s
            elif child.life is Life.RUNNING:
                child.forgiven = False  # it owes nothing

    def _pulse(self, child: Child, now_s: float) -> list[Effect]:
        if child.owes_since_s is not None:
            if now_s >= child.owes_since_s + self.timing.heartbeat_timeout_s:
                return self._kill(child, f"gave no sign of life for {self.timing.heartbeat_timeout_s:g} s")
            return []
        if now_s >= child.heard_s + self.timing.heartbeat_s:
            child.asked_s = now_s
            return [PingChild(child.spec.key)]
        return []

    def next_s(self) -> float | None:
        """When `tick` has something to do next; None when nothing is due."""
        heartbeat_s = self.timing.heartbeat_s
        due = [self._due_s(child, heartbeat_s) for child in self.children.values()]
        return min([at_s for at_s in due if at_s is not None], default=None)

    def _due_s(self, child: Child, heartbeat_s: float) -> float | None:
        timing = self.timing
        if child.life is Life.WAITING:
            return None if self.stopping else child.back_at_s
        if child.killed or not child.alive:
            return None
        if child.life is Life.STARTING:
            return child.since_s + timing.start_timeout_s
        owed_s = None if child.owes_since_s is None else child.owes_since_s + timing.heartbeat_timeout_s
        if child.life is Life.STOPPING:
            end_s = child.since_s + timing.stop_timeout_s
            return end_s if owed_s is None else min(end_s, owed_s)
        return child.heard_s + heartbeat_s if owed_s is None else owed_s

    # ------------------------------------------------------------------------------------------------ pieces

    @property
    def all_ended(self) -> bool:
        """No child has a process."""
        return not any(child.alive for child in self.children.values())

    @property
    def missing(self) -> tuple[str, ...]:
        """Children that should serve and do not; contained ones, for which nobody waits, are not among them."""
        return tuple(
            key
            for key, child in self.children.items()
            if child.spec.escalates and child.life not in (Life.RUNNING, Life.ENDED)
        )

    def _group(self, child: Child) -> list[Child]:
        return [other for other in self.children.values() if other.spec.group == child.spec.group]

    def _after(self, other: Child, child: Child) -> bool:
        order = list(self.children)
        return order.index(other.spec.key) > order.index(child.spec.key)

    def _elder_serves(self, child: Child) -> bool:
        if child.spec.strategy is Strategy.ONE_FOR_ONE:
            return True
        return all(
            other.life in (Life.RUNNING, Life.ENDED) for other in self._group(child) if self._after(child, other)
        )

    def _enter(self, child: Child, life: Life, now_s: float) -> None:
        child.life, child.since_s, child.forgiven = life, now_s, False

    def _stop(self, child: Child, now_s: float) -> list[Effect]:
        self._enter(child, Life.STOPPING, now_s)
        return [StopChild(child.spec.key)]

    def _kill(self, child: Child, why: str) -> list[Effect]:
        if child.killed:
            return []
        child.killed = True
        return [KillChild(child.spec.key, child.pid, why)]

    def _give_up(self, words: str, now_s: float) -> list[Effect]:
        self.gave_up = self.gave_up or words
        return [GaveUp(words), Published(), *self.stop(now_s)]
