"""What the actors of one daemon are given: clock, journal, exchanges, settings.

The composition root (`app.bootstrap`) installs it once, before the first actor is forked; every actor process inherits
it. Nothing in it is a secret: an exchange's credentials are read by the factory, in the connector that calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import field, frozen

from app.domain.calls import Call, Result
from app.domain.connector_settings import ConnectorSettings
from app.domain.failover import FailoverSettings
from app.domain.health import HealthSettings
from app.domain.position_settings import PositionSettings
from app.domain.restart import RestartPolicy
from app.domain.retries import middle
from app.domain.supervision import Timing
from app.exchanges.port import ExchangePort
from app.journal.store import Journal
from messages.supervision import Address, Role


class PortRunner(Protocol):
    """A port and what runs it beside the actor: calls go in, results are fetched when `fileno` is readable."""

    @property
    def port(self) -> ExchangePort:
        """The exchange."""
        ...

    @property
    def not_ready(self) -> str:
        """Why the last attempt to load the markets failed, in one sentence; empty where none has failed since."""
        ...

    def start(self) -> None:
        """Begins loading the markets; `port.ready` tells when that is done. May be called again to try anew."""
        ...

    def submit(self, call_id: int, call: Call) -> None:
        """Performs a call; its result will be among what `drain` returns."""
        ...

    def drain(self) -> list[tuple[int, Result]]:
        """Results that have come since the last time."""
        ...

    def next_s(self) -> float | None:
        """When `drain` has something to do by time alone; None for never."""
        ...

    def stalled_s(self) -> float:
        """For how long the port's event loop has stood still on a thread of its own; 0 where the actor turns it."""
        ...

    def fileno(self) -> int | None:
        """Readable when `drain` has something to do; None where a `ResultsWait` message says so instead.

        Another one after `start` and after `drain`, it may be.
        """
        ...

    def close(self) -> None:
        """Ends everything."""
        ...


class Connects(Protocol):
    """Plain connects to addresses, beside the actor: whether somebody lets us."""

    def begin(self, target: str) -> None:
        """Begins to connect to ``"ip:port"``; one to the same that is under way is given up."""
        ...

    def ended(self) -> list[tuple[str, str]]:
        """(target, why it did not succeed; empty where it did) of each that has ended since the last time."""
        ...

    def abandon(self, target: str) -> None:
        """It is not waited for any more."""
        ...

    def fileno(self) -> int | None:
        """Readable when `ended` has something to tell; None where a tick will do. Another one after `begin`, maybe."""
        ...

    def close(self) -> None:
        """Ends everything."""
        ...


class NoConnects:
    """Where there is nobody to connect to."""

    def begin(self, target: str) -> None:
        """Is never called."""

    def ended(self) -> list[tuple[str, str]]:
        """Nothing."""
        return []

    def abandon(self, target: str) -> None:
        """Is never called."""

    def fileno(self) -> int | None:
        """None."""
        return None

    def close(self) -> None:
        """Nothing to end."""


@frozen
class ResultsWait:
    """Told to a connector whose runner has no file descriptor to watch."""


@frozen(kw_only=True)
class StrategySpec:
    """A user's strategy.

    Attributes:
        target: ``"module:Class"``.
        path: Folder added to the import path; None for none.
        arguments: Handed to the class as keyword arguments.
    """

    name: str
    target: str
    path: str | None = None
    arguments: Mapping[str, Any] = field(factory=dict)


def _nothing() -> None:
    """Where nothing is to be done."""


def _unknown(_pid: int) -> bool:
    return False


@frozen(kw_only=True)
class Environment:
    """Everything an actor needs from outside.

    Attributes:
        clock: Unix seconds of the host's anchored clock.
        open_journal: Opens the journal for one actor.
        open_runner: Opens the exchange of a name, for its connector at `owner`.
        adopt: Called by every actor when it starts, in its own process: guards, logs, closing what was inherited.
        connectors: Settings by exchange.
        kill: Ends the process of a child, by its key and pid, without asking.
        child_pids: Process ids of this process's children, to learn that of one just made.
        jitter: A number between 0 and 1, drawn anew each time; `retry_jitter`, one that spreads retries of orders.
        restarts: How often one child may end; `root_restarts`, all of them together.
        is_gone: Whether the process of a child that was killed has ended; False where that cannot be told.
        witnesses: Addresses, ``"ip:port"``, that tell an outage of exchanges from one of our own network.
        open_connects: Opens what connects to them, for the health monitor.
        copy_log: Begins to copy the journal's log, in a process that has opened it and keeps no order waiting.
    """

    clock: Callable[[], float]
    open_journal: Callable[[], Journal]
    open_runner: Callable[[str, Address], PortRunner]
    adopt: Callable[[Role | None, str], None]
    connectors: Mapping[str, ConnectorSettings]
    health: HealthSettings
    failover: FailoverSettings
    restarts: RestartPolicy
    root_restarts: RestartPolicy
    kill: Callable[[str, int], None]
    child_pids: Callable[[], frozenset[int]]
    jitter: Callable[[], float]
    sync_interval_s: float
    max_retry_attempts: int
    retry_delay_s: float
    order_timeout_s: float
    market_type: str
    strategies: tuple[StrategySpec, ...] = ()
    timing: Timing = field(factory=Timing)
    copy_log: Callable[[], None] = _nothing
    is_gone: Callable[[int], bool] = _unknown
    positions: PositionSettings = field(factory=PositionSettings)
    retry_jitter: Callable[[], float] = middle
    witnesses: tuple[str, ...] = ()
    open_connects: Callable[[], Connects] = NoConnects


_installed: list[Environment] = []


def install(environment: Environment) -> None:
    """Makes it the environment of this process and of every process forked from it."""
    _installed[:] = [environment]


def installed() -> Environment:
    """The environment of this process; RuntimeError where none was installed."""
    if not _installed:
        raise RuntimeError("No environment is installed in this process: start actors through app.bootstrap.")
    return _installed[0]
