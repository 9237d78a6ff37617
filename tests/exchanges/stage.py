"""A real connector actor, alone in this process: its exchange is simulated, and its wake-ups are counted.

What Thespian does with an actor is done here by hand: a message is delivered, the descriptors it returns are watched,
and its wake-ups come when they are due.
"""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from thespian.actors import ActorExitRequest, WakeupMessage, WatchMessage

from actors import environment as e
from actors.connector import ConnectorActor
from app.domain.connector_settings import ConnectorSettings
from app.domain.dead_man import DeadManSettings
from app.domain.failover import FailoverSettings
from app.domain.health import HealthSettings
from app.domain.pretrade import PretradeLimits
from app.domain.restart import RestartPolicy
from app.exchanges.port import ExchangePort
from app.exchanges.runner import LoopRunner
from app.journal.store import Journal
from messages.base import Together
from messages.supervision import Directory, Start, Started


class _Alone(ConnectorActor):
    """Tells the stage what it would tell Thespian."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        super().__init__()

    @property
    def myAddress(self) -> Any:
        """Of itself."""
        return "itself"

    def send(self, targetAddr: Any, msg: Any) -> None:
        """Keeps what was sent, and when."""
        if targetAddr != "itself":
            told = msg.messages if isinstance(msg, Together) else (msg,)
            self._stage.sent += [(time.time(), targetAddr, each) for each in told]

    def wakeupAfter(self, timePeriod: timedelta, payload: Any = None) -> None:
        """Plans a wake-up."""
        wait_s = timePeriod.total_seconds() / self._stage.speed
        heapq.heappush(self._stage.planned, (time.monotonic() + wait_s, payload))


class Stage:
    """One connector; a context manager.

    Args:
        clock: Of the connector, in Unix seconds.
        speed: How many of its seconds pass in one of ours.

    Attributes:
        sent: When, to whom and what the actor has sent.
        wakes: How many wake-ups it was given.
        ready: How often its descriptor was readable.
    """

    def __init__(
        self,
        port: ExchangePort,
        journal: Path,
        *,
        request_timeout_s: float = 30.0,
        limits: PretradeLimits | None = None,
        poll_s: float = 2.0,
        clock: Callable[[], float] = time.time,
        speed: float = 1.0,
        market_type: str = "swap",
        dead_man: DeadManSettings | None = None,
    ) -> None:
        self.speed = speed
        self.sent: list[tuple[float, Any, Any]] = []
        self.planned: list[tuple[float, Any]] = []
        self.wakes = self.ready = 0
        self._watched: list[int] = []
        self._before = list(e._installed)
        self.runner: LoopRunner
        name = port.exchange
        settings = ConnectorSettings(
            request_timeout_s=request_timeout_s,
            limits=limits or PretradeLimits(),
            poll_s=poll_s,
            dead_man=dead_man,
        )

        def open_runner(_exchange: str, _owner: Any) -> LoopRunner:
            self.runner = LoopRunner(port, clock=clock, open_timeout_s=request_timeout_s)
            return self.runner

        e.install(
            e.Environment(
                clock=clock,
                open_journal=lambda: Journal(journal),
                open_runner=open_runner,
                adopt=lambda role, name: None,
                connectors={name: settings},
                health=HealthSettings(),
                failover=FailoverSettings(exchanges=(name,)),
                restarts=RestartPolicy.within(intensity=1, period_s=60.0),
                root_restarts=RestartPolicy.within(intensity=1, period_s=60.0),
                kill=lambda key, pid: None,
                child_pids=frozenset,
                jitter=lambda: 0.5,
                sync_interval_s=60.0,
                max_retry_attempts=3,
                retry_delay_s=1.0,
                order_timeout_s=10.0,
                market_type=market_type,
            )
        )
        self.actor = _Alone(self)
        self._name = name

    def __enter__(self) -> Stage:
        nobody = Directory(generation=1, journal_id="", entries=())
        self.deliver(Start(name=self._name, incarnation=1, directory=nobody))
        assert any(isinstance(message, Started) for _, _, message in self.sent)
        return self

    def __exit__(self, *_: object) -> None:
        self.deliver(ActorExitRequest())
        e._installed[:] = self._before

    def deliver(self, message: Any, sender: Any = "outside") -> None:
        """One message, as Thespian delivers it."""
        watch = self.actor.receiveMessage(message, sender)
        assert not self.actor._dying, "the actor has failed; see its log"
        self._watched = [] if watch is None else list(watch.filenos)

    def run(self, until: Callable[[], Any], patience_s: float) -> bool:
        """Lets the actor live until something is true, or that long; whether it became true."""
        end_s = time.monotonic() + patience_s
        while not until():
            now_s = time.monotonic()
            if now_s >= end_s:
                return False
            due_s = min(end_s, self.planned[0][0] if self.planned else end_s)
            readable = select.select(self._watched, [], [], max(0.0, due_s - now_s))[0]
            if readable:
                self.ready += 1
                self.deliver(WatchMessage(readable))
            while self.planned and self.planned[0][0] <= time.monotonic():
                _, payload = heapq.heappop(self.planned)
                self.wakes += 1
                self.deliver(WakeupMessage(timedelta(0), payload))
        return True

    def heard(self, kind: type) -> list[tuple[float, Any]]:
        """When and what of a kind it has sent."""
        return [(at_s, message) for at_s, _, message in self.sent if isinstance(message, kind)]
