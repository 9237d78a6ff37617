"""The root supervisor: what runs, in which order it starts, and what happens when one of it dies or hangs.

Child specs, in the order they start; stopping goes the other way round:

    connectors        one per exchange     permanent, one_for_one
    health monitor                         permanent, one_for_one
    control           coordinator, then    permanent, rest_for_one: the synchronizer reports to the coordinator, and is
                      synchronizer         started anew with it
    strategies        users' own           transient, one_for_one, contained: one that keeps failing stays down alone,
                                           and nobody waits for one that does not get ready

The rules are `app.domain.supervision`'s; this shell makes and kills what they say, and keeps the directory of who lives
where, of which everybody is told at each change. When the machine gives up, everything is stopped and said so, and
whoever is above (the launcher, then systemd) decides.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from typing import Any

import structlog
from attrs import frozen
from thespian.actors import ActorExitRequest

from actors._shell import Shell
from actors.connector import ConnectorActor
from actors.environment import Environment
from actors.failover_coordinator import FailoverCoordinatorActor
from actors.health_monitor import HealthMonitorActor
from actors.position_synchronizer import PositionSynchronizerActor
from actors.strategy_actor import StrategyActor
from app.domain import supervision as s
from app.domain.supervision import Life, RestartType, Strategy, Supervision
from messages.failover import ActorInfo
from messages.supervision import (
    Address,
    Directory,
    DirectoryEntry,
    Finished,
    GetTree,
    Listen,
    Ping,
    Pong,
    Role,
    Start,
    Started,
    StartTree,
    StopTree,
    TreeState,
    Unlisten,
)

log = structlog.get_logger()

MAX_LISTENERS = 1000
LISTEN_S = 35.0
"""How long somebody is told of changes without renewing; sessions renew every ten seconds."""


@frozen(kw_only=True)
class ChildSpec:
    """One child: what it is, how it is called, and how it is supervised."""

    role: Role
    name: str
    actor: type[Shell]
    group: str
    strategy: Strategy = Strategy.ONE_FOR_ONE
    restart: RestartType = RestartType.PERMANENT
    escalates: bool = True

    @property
    def key(self) -> str:
        """Unique among all children."""
        return f"{self.role.value}:{self.name}"


def child_specs(environment: Environment) -> tuple[ChildSpec, ...]:
    """Every child of the root supervisor, in the order they start."""
    connectors = [
        ChildSpec(role=Role.CONNECTOR, name=name, actor=ConnectorActor, group="connectors")
        for name in environment.connectors
    ]
    monitor = ChildSpec(
        role=Role.HEALTH_MONITOR, name=Role.HEALTH_MONITOR.value, actor=HealthMonitorActor, group="monitor"
    )
    control = [
        ChildSpec(role=role, name=role.value, actor=actor, group="control", strategy=Strategy.REST_FOR_ONE)
        for role, actor in (
            (Role.FAILOVER_COORDINATOR, FailoverCoordinatorActor),
            (Role.POSITION_SYNCHRONIZER, PositionSynchronizerActor),
        )
    ]
    strategies = [
        ChildSpec(
            role=Role.STRATEGY,
            name=spec.name,
            actor=StrategyActor,
            group="strategies",
            restart=RestartType.TRANSIENT,
            escalates=False,
        )
        for spec in environment.strategies
    ]
    return (*connectors, monitor, *control, *strategies)


class RootSupervisor(Shell):
    """Creates the children, restarts them, and keeps the directory of who lives where."""

    needs_start = False

    def __init__(self) -> None:
        super().__init__()
        self.name = "supervisor"
        self._specs: dict[str, ChildSpec] = {}
        self._machine: Supervision | None = None
        self._addresses: dict[str, Address] = {}
        self._finished: set[str] = set()
        self._listeners: dict[str, tuple[Address, float]] = {}
        self._generation = 0
        self._journal_id = ""

    @property
    def machine(self) -> Supervision:
        """The rules; there once the tree was started."""
        assert self._machine is not None, "nothing reaches the children before StartTree"
        return self._machine

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """The launcher's orders, children's words, and who wants to know."""
        match message:
            case StartTree():
                self._start_tree(now_s)
            case Started():
                self._child_started(message, sender, now_s)
            case Pong():
                key = self._key(sender)
                if key is not None:
                    self._perform(self.machine.heard(key, message.incarnation, message.ill, now_s), now_s)
            case Finished():
                key = self._key(sender)
                if key is not None:
                    self._finished.add(key)
            case Listen():
                self._listen(message, sender, now_s)
            case Unlisten():
                self._listeners.pop(message.session_id, None)
            case GetTree():
                self.send(sender, self._tree(message.correlation_id))
            case StopTree():
                if self._machine is not None:
                    self._perform(self.machine.stop(now_s), now_s)
                self.send(sender, self._tree(message.correlation_id))
            case _:
                log.warning("supervisor.unexpected_message", message_type=type(message).__name__)

    def on_tick(self, now_s: float) -> None:
        """Whatever is due: starts, pings, kills."""
        if self._machine is not None:
            self._perform(self.machine.tick(now_s), now_s)
            self._look_for_dead(now_s)

    def _look_for_dead(self, now_s: float) -> None:
        """Whoever was killed and is gone has ended, whether or not Thespian comes to say so."""
        killed = [key for key, child in self.machine.children.items() if child.killed and key in self._addresses]
        for key in killed:
            pid = self.machine.children[key].pid
            if pid is not None and self.environment.is_gone(pid):
                self.on_child_exited(self._addresses[key], now_s)

    def next_s(self, now_s: float) -> float | None:
        """The machine's next moment."""
        return self._machine.next_s() if self._machine is not None else None

    # ------------------------------------------------------------------------------------------------ children

    def _start_tree(self, now_s: float) -> None:
        if self._machine is not None:
            return
        self.environment.adopt(None, self.name)
        journal = self.environment.open_journal()
        self._journal_id = journal.journal_id
        journal.close()  # before any fork: a connection must not cross one
        specs = child_specs(self.environment)
        self._specs = {spec.key: spec for spec in specs}
        rules = tuple(
            s.ChildSpec(
                key=spec.key,
                group=spec.group,
                strategy=spec.strategy,
                restart=spec.restart,
                policy=self.environment.restarts,
                escalates=spec.escalates,
            )
            for spec in specs
        )
        self._machine = Supervision(rules, self.environment.root_restarts, self.environment.timing)
        self._perform(self.machine.start(now_s), now_s)

    def _key(self, address: Address) -> str | None:
        return next((key for key, known in self._addresses.items() if known == address), None)

    def _child_started(self, message: Started, sender: Address, now_s: float) -> None:
        key = self._key(sender)
        if key is not None:
            log.info("child.started", child=key, child_pid=message.pid, incarnation=message.incarnation)
            self._perform(self.machine.serves(key, message.incarnation, message.pid, now_s), now_s)

    def on_child_exited(self, child: Address, now_s: float) -> None:
        """What follows is the machine's to say."""
        key = self._key(child)
        if key is None:
            return
        del self._addresses[key]
        normally = key in self._finished
        self._finished.discard(key)
        known = self.machine.children[key]
        log.warning("child.ended", child=key, incarnation=known.incarnation, normally=normally)
        jitter = self.environment.jitter()
        self._perform(self.machine.ended(key, known.incarnation, normally, jitter, now_s), now_s)

    def _perform(self, effects: Iterable[s.Effect], now_s: float) -> None:
        queue = deque(effects)
        publish = False
        while queue:
            effect = queue.popleft()
            match effect:
                case s.StartChild(key, incarnation):
                    self._start(key, incarnation)
                case s.StopChild(key):
                    self._send_child(key, ActorExitRequest())
                case s.PingChild(key):
                    self._send_child(key, Ping())
                case s.KillChild(key, pid, why):
                    log.error("child.killed", child=key, child_pid=pid, why=why)
                    if pid is not None:
                        self.environment.kill(key, pid)
                    else:
                        self._send_child(key, ActorExitRequest())
                case s.GaveUp(words):
                    log.error("supervisor.gave_up", words=words)
                case s.Contained(key, words):
                    log.error("child.stays_down", child=key, words=words)
                case s.Published():
                    publish = True
        if publish:
            self._publish(now_s)

    def _start(self, key: str, incarnation: int) -> None:
        spec = self._specs[key]
        before = self.environment.child_pids()
        address = self._addresses[key] = self.createActor(spec.actor)
        # Known from its first moment, since a child may hang before it can say anything.
        born = self.environment.child_pids() - before
        self.machine.born(key, min(born) if len(born) == 1 else None)
        # In the directory at once too, so that messages wait in its mailbox rather than nowhere.
        self._generation += 1
        self.send(address, Start(name=spec.name, incarnation=incarnation, directory=self._directory()))

    def _send_child(self, key: str, message: Any) -> None:
        address = self._addresses.get(key)
        if address is not None:
            self.send(address, message)

    # ------------------------------------------------------------------------------------------------ directory

    def _directory(self) -> Directory:
        entries = []
        for key, spec in self._specs.items():
            child = self.machine.children[key]
            if key in self._addresses and child.life is not Life.STOPPING:
                entries.append(
                    DirectoryEntry(
                        role=spec.role,
                        name=spec.name,
                        address=self._addresses[key],
                        incarnation=child.incarnation,
                        pid=child.pid,
                    )
                )
        return Directory(generation=self._generation, journal_id=self._journal_id, entries=tuple(entries))

    def _publish(self, now_s: float) -> None:
        self._generation += 1
        directory = self._directory()
        for key, child in self.machine.children.items():
            if child.life is Life.RUNNING:
                self._send_child(key, directory)
        for session, (address, until_s) in list(self._listeners.items()):
            if until_s < now_s:
                del self._listeners[session]
            else:
                self.send(address, directory)

    def _listen(self, message: Listen, sender: Address, now_s: float) -> None:
        if len(self._listeners) < MAX_LISTENERS or message.session_id in self._listeners:
            self._listeners[message.session_id] = (sender, now_s + LISTEN_S)
        else:
            log.warning("supervisor.too_many_listeners", limit=MAX_LISTENERS)
        if self._machine is not None:
            self.send(sender, self._directory())

    def _tree(self, correlation_id: str) -> TreeState:
        if self._machine is None:
            return TreeState(
                correlation_id=correlation_id,
                ready=False,
                gave_up=False,
                words="Not started yet.",
                actors=(),
                pid=os.getpid(),
            )
        machine = self.machine
        words = machine.gave_up
        if machine.missing and not words:
            words = f"Not started yet: {', '.join(machine.missing)}."
        return TreeState(
            correlation_id=correlation_id,
            ready=not machine.missing and not machine.stopping,
            gave_up=bool(machine.gave_up),
            words=words,
            actors=tuple(
                ActorInfo(name=key, pid=child.pid, restarts=max(0, child.incarnation - 1))
                for key, child in machine.children.items()
            ),
            pid=os.getpid(),
        )
