"""The root supervisor: what runs, in which order it starts, and what happens when one of it dies.

Child specs, in the order they start; stopping goes the other way round:

    connector (one per exchange) → health monitor → failover coordinator → position synchronizer → strategies

A child that ends is started again (`one_for_one`), after a wait that grows, with its state from the journal and a new
place in the directory, of which everybody is told. One that ends more often than its restart intensity allows makes the
supervisor give up: it stops everything and says so, and whoever is above (the launcher, then systemd) decides.
"""

from __future__ import annotations

from typing import Any

import structlog
from attrs import define, frozen
from thespian.actors import ActorExitRequest

from actors._shell import Shell
from actors.connector import ConnectorActor
from actors.environment import Environment
from actors.failover_coordinator import FailoverCoordinatorActor
from actors.health_monitor import HealthMonitorActor
from actors.position_synchronizer import PositionSynchronizerActor
from actors.strategy import StrategyActor
from app.domain.restart import GiveUp, Restarts, on_exit
from messages.failover import ActorInfo
from messages.supervision import (
    Address,
    Directory,
    DirectoryEntry,
    GetTree,
    Listen,
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
    """One child: what it is and how it is called."""

    role: Role
    name: str
    actor: type[Shell]


def child_specs(environment: Environment) -> tuple[ChildSpec, ...]:
    """Every child of the root supervisor, in the order they start."""
    connectors = [ChildSpec(role=Role.CONNECTOR, name=name, actor=ConnectorActor) for name in environment.connectors]
    control = [
        ChildSpec(role=Role.HEALTH_MONITOR, name=Role.HEALTH_MONITOR.value, actor=HealthMonitorActor),
        ChildSpec(role=Role.FAILOVER_COORDINATOR, name=Role.FAILOVER_COORDINATOR.value, actor=FailoverCoordinatorActor),
        ChildSpec(
            role=Role.POSITION_SYNCHRONIZER, name=Role.POSITION_SYNCHRONIZER.value, actor=PositionSynchronizerActor
        ),
    ]
    strategies = [ChildSpec(role=Role.STRATEGY, name=spec.name, actor=StrategyActor) for spec in environment.strategies]
    return (*connectors, *control, *strategies)


@define
class _Child:
    spec: ChildSpec
    restarts: Restarts
    address: Address = None
    pid: int | None = None
    incarnation: int = 0
    started: bool = False
    start_at_s: float | None = None


class RootSupervisor(Shell):
    """Creates the children, restarts them, and keeps the directory of who lives where."""

    needs_start = False

    def __init__(self) -> None:
        super().__init__()
        self.name = "supervisor"
        self._children: list[_Child] = []
        self._listeners: dict[str, tuple[Address, float]] = {}
        self._generation = 0
        self._journal_id = ""
        self._gave_up = ""

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """The launcher's orders, children's first words, and who wants to know."""
        match message:
            case StartTree():
                self._start_tree(now_s)
            case Started():
                self._child_started(message, sender)
            case Listen():
                self._listen(message, sender, now_s)
            case Unlisten():
                self._listeners.pop(message.session_id, None)
            case GetTree():
                self.send(sender, self._tree(message.correlation_id))
            case StopTree():
                self._stop_all()
                self.send(sender, self._tree(message.correlation_id))
            case _:
                log.warning("supervisor.unexpected_message", message_type=type(message).__name__)

    def on_tick(self, now_s: float) -> None:
        """Starts the children whose wait is over."""
        for child in self._children:
            if child.start_at_s is not None and now_s >= child.start_at_s:
                self._start(child)

    def next_s(self, now_s: float) -> float | None:
        """The end of the next wait."""
        return min((child.start_at_s for child in self._children if child.start_at_s is not None), default=None)

    # ------------------------------------------------------------------------------------------------ children

    def _start_tree(self, now_s: float) -> None:
        if self._children:
            return
        self.environment.adopt(self.name)
        journal = self.environment.open_journal()
        self._journal_id = journal.journal_id
        journal.close()  # before any fork: a connection must not cross one
        policy = self.environment.restarts
        for spec in child_specs(self.environment):
            child = _Child(spec, Restarts(name=f"{spec.role.value} {spec.name}", policy=policy))
            self._children.append(child)
            self._start(child)

    def _start(self, child: _Child) -> None:
        child.start_at_s = None
        child.started = False
        child.incarnation += 1
        child.address = self.createActor(child.spec.actor)
        # Known from the first moment, so that messages wait in its mailbox rather than nowhere.
        self._publish()
        start = Start(name=child.spec.name, incarnation=child.incarnation, directory=self._directory())
        self.send(child.address, start)

    def _child_started(self, message: Started, sender: Address) -> None:
        for child in self._children:
            if child.address == sender and not child.started:
                child.started, child.pid = True, message.pid
                log.info(
                    "child.started",
                    role=child.spec.role.value,
                    name=message.name,
                    child_pid=message.pid,
                    incarnation=child.incarnation,
                )
                self._publish()

    def on_child_exited(self, child: Address, now_s: float) -> None:
        """Starts it again, or gives up."""
        dead = next((known for known in self._children if known.address == child), None)
        if dead is None or self._gave_up:
            return
        dead.address, dead.pid, dead.started = None, None, False
        answer = on_exit(dead.restarts, now_s)
        if isinstance(answer, GiveUp):
            log.error("supervisor.gave_up", words=answer.words)
            self._gave_up = answer.words
            self._stop_all()
            return
        log.warning(
            "child.died", role=dead.spec.role.value, name=dead.spec.name, restart_after_s=round(answer.after_s, 3)
        )
        dead.restarts = answer.state
        dead.start_at_s = now_s + answer.after_s
        self._publish()
        self.on_tick(now_s)

    def _stop_all(self) -> None:
        for child in reversed(self._children):
            child.start_at_s = None
            if child.address is not None:
                self.send(child.address, ActorExitRequest())
                child.address, child.started = None, False
        self._gave_up = self._gave_up or "Stopped."

    # ------------------------------------------------------------------------------------------------ directory

    def _directory(self) -> Directory:
        return Directory(
            generation=self._generation,
            journal_id=self._journal_id,
            entries=tuple(
                DirectoryEntry(
                    role=child.spec.role,
                    name=child.spec.name,
                    address=child.address,
                    incarnation=child.incarnation,
                    pid=child.pid,
                )
                for child in self._children
                if child.address is not None
            ),
        )

    def _publish(self) -> None:
        self._generation += 1
        directory = self._directory()
        now_s = self.now_s()
        for child in self._children:
            if child.address is not None and child.started:
                self.send(child.address, directory)
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
        self.send(sender, self._directory())

    def _tree(self, correlation_id: str) -> TreeState:
        missing = [child.spec.name for child in self._children if not child.started]
        words = self._gave_up or (f"Not started yet: {', '.join(missing)}." if missing else "")
        return TreeState(
            correlation_id=correlation_id,
            ready=bool(self._children) and not missing,
            gave_up=bool(self._gave_up),
            words=words,
            actors=tuple(
                ActorInfo(
                    name=f"{child.spec.role.value}:{child.spec.name}", pid=child.pid, restarts=child.incarnation - 1
                )
                for child in self._children
            ),
        )
