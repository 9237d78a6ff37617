"""The foreground process of a daemon: it starts the tree, watches it, and ends it without leftovers.

It is the parent of Thespian's admin and the adoptive parent of whatever is orphaned below it (a subreaper); everything
below dies with its own parent, so that killing this one process, even by -9, ends all of it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import structlog

from actors.environment import install
from app.bootstrap import JOURNAL_NAME, build_environment
from app.config import Config
from app.exchanges.preload import preload
from app.journal.store import Journal
from app.launcher.presence import Presence, remove_presence, write_presence
from app.process.clock import AnchoredClock
from app.process.guards import become_subreaper
from app.process.lock import StateLock
from app.process.logs import configure_logs, log_config
from app.process.parent_pipe import wait_for_eof
from app.transport.address import address_to_str
from app.transport.base import admin_pid, free_port, start_system, stop_system
from app.transport.mailbox import WAKE, Mailbox, Undelivered
from messages.base import Request
from messages.failover import SettleReply, SettleRequest
from messages.supervision import Address, Directory, GetTree, Listen, Role, StartTree, StopTree, TreeState
from supervisor import RootSupervisor

log = structlog.get_logger()

EX_OK = 0
EX_TEMPFAIL = 75
"""sysexits: try again; what systemd's `Restart=on-failure` acts on."""

START_TIMEOUT_S = 30.0
WATCH_S = 0.5
SILENCE_S = 10.0
"""A supervisor that does not answer for so long is taken for dead."""
CANCEL_TIMEOUT_S = 4.0
LEFTOVER_TIMEOUT_S = 2.0


class StartFailed(Exception):
    """The tree did not come up; nothing of it is left."""


class Daemon:
    """One run of the tree. Use `run` once, from the main thread of a process without other threads."""

    def __init__(
        self,
        config: Config,
        *,
        parent_fd: int | None = None,
        on_ready: Callable[[Presence], None] | None = None,
        log_file: Path | None = None,
    ) -> None:
        """
        Args:
            parent_fd: A pipe whose end of file means that whoever started us is gone; None when nobody did.
            on_ready: Called once every actor has started.
            log_file: Where to log, instead of the configured file or stderr.
        """
        self._config = config
        self._parent_fd = parent_fd
        self._on_ready = on_ready
        self._log_file = log_file or config.logging.file
        self._clock = AnchoredClock()
        self._stop: str | None = None
        self._mailbox: Mailbox | None = None
        self._lost = False
        self._supervisor: Address = None

    def run(self) -> int:
        """Runs until told to stop. Returns a sysexits code: 0 after a clean stop, 75 when the tree gave up.

        Raises:
            app.process.lock.StateDirError: The state directory cannot be used, or another daemon uses it.
            app.journal.store.JournalError: The journal cannot be opened.
            StartFailed: An actor did not start.
        """
        become_subreaper()
        with StateLock(self._config.router.state_dir) as lock:
            Journal(lock.state_dir / JOURNAL_NAME).close()  # what is wrong with it is said here, in one sentence
            level = self._config.logging.level.upper()
            configure_logs(level=level, path=self._log_file)
            install(build_environment(self._config, self._clock))
            preload()
            key = secrets.token_bytes(32)
            port = free_port()
            system = start_system(port, key, log_defs=log_config(level=level, path=self._log_file))
            try:
                return self._serve(system, port, key, lock.state_dir)
            finally:
                remove_presence(lock.state_dir)
                if self._mailbox is not None:
                    self._mailbox.close()
                stop_system(system)
                _kill_leftovers()

    def stop(self, reason: str) -> None:
        """Ends `run` soon; from any thread, and from a signal handler."""
        self._stop = self._stop or reason
        if self._mailbox is not None:
            self._mailbox.wake()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop, so that `StartFailed` is no failure."""
        return self._stop is not None

    # ------------------------------------------------------------------------------------------------ the run

    def _serve(self, system: Any, port: int, key: bytes, state_dir: Path) -> int:
        mailbox = self._mailbox = Mailbox(system)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda got, _frame: self.stop(signal.Signals(got).name))
        if self._parent_fd is not None:
            threading.Thread(target=self._watch_parent, args=(self._parent_fd,), daemon=True).start()
        self._supervisor = system.createActor(RootSupervisor)
        mailbox.tell(self._supervisor, StartTree())
        directory = self._started(mailbox)
        presence = Presence(
            pid=os.getpid(),
            created_s=psutil.Process().create_time(),
            admin_port=port,
            supervisor=address_to_str(self._supervisor),
            key=key.hex(),
            anchor_s=self._clock.anchor_s,
            journal_id=directory.journal_id,
            settings=public_settings(self._config),
        )
        write_presence(state_dir, presence)
        log.info("daemon.ready", state_dir=str(state_dir), exchanges=list(self._config.routed))
        if self._on_ready is not None:
            self._on_ready(presence)
        gave_up = self._watch(mailbox, admin_pid(system))
        if gave_up:
            log.error("daemon.gave_up", words=gave_up)
            print(f"order-router: {gave_up}", file=sys.stderr)
            return EX_TEMPFAIL
        log.info("daemon.stopping", reason=self._stop)
        self._end(mailbox)
        return EX_OK

    def _started(self, mailbox: Mailbox) -> Directory:
        until_s = time.monotonic() + START_TIMEOUT_S
        words = "The actors did not start in time."
        while time.monotonic() < until_s and self._stop is None:
            tree = self._ask(mailbox, GetTree(correlation_id=secrets.token_hex(8), deadline_s=0.0), TreeState, 0.2)
            if isinstance(tree, TreeState):
                words = tree.words or words
                if tree.gave_up:
                    break
                if tree.ready:
                    mailbox.tell(self._supervisor, Listen(session_id="launcher"))
                    directory = self._receive(mailbox, Directory, START_TIMEOUT_S)
                    if isinstance(directory, Directory):
                        return directory
        raise StartFailed(f"The daemon did not start: {words if self._stop is None else self._stop}")

    def _watch(self, mailbox: Mailbox, admin: int) -> str:
        """Returns why the tree gave up; empty when we were told to stop."""
        heard_s = time.monotonic()
        while self._stop is None:
            tree = self._ask(mailbox, GetTree(correlation_id=secrets.token_hex(8), deadline_s=0.0), TreeState, WATCH_S)
            if isinstance(tree, TreeState):
                heard_s = time.monotonic()
                if tree.gave_up:
                    return tree.words
                # Nothing more to say for a while: sleep in the mailbox, where a stop wakes us.
                self._receive(mailbox, _Nothing, WATCH_S)
            if not _alive(admin):
                return "The actor system's admin died, and with it every actor."
            if self._lost:
                return "The supervisor died, and with it every actor."
            if time.monotonic() - heard_s > SILENCE_S:
                return f"The supervisor has not answered for {SILENCE_S:g} s."
        return ""

    def _end(self, mailbox: Mailbox) -> None:
        if self._config.orders.on_shutdown == "cancel":
            self._cancel_all(mailbox)
        stop = StopTree(correlation_id=secrets.token_hex(8), deadline_s=self._clock() + 2.0)
        self._stop = None  # so that receiving waits again
        self._ask(mailbox, stop, TreeState, 2.0)

    def _cancel_all(self, mailbox: Mailbox) -> None:
        self._stop = None
        mailbox.tell(self._supervisor, Listen(session_id="launcher"))
        directory = self._receive(mailbox, Directory, 1.0)
        if not isinstance(directory, Directory):
            return
        connectors = [entry for entry in directory.entries if entry.role is Role.CONNECTOR]
        deadline_s = self._clock() + CANCEL_TIMEOUT_S * 0.8
        for entry in connectors:
            request = SettleRequest(correlation_id=f"shutdown-{entry.name}", deadline_s=deadline_s)
            mailbox.tell(entry.address, request)
        until_s = time.monotonic() + CANCEL_TIMEOUT_S
        for _ in connectors:
            reply = self._receive(mailbox, SettleReply, max(0.0, until_s - time.monotonic()))
            if isinstance(reply, SettleReply):
                log.info(
                    "daemon.cancelled", exchange=reply.exchange, cancelled=len(reply.cancelled), left=len(reply.left)
                )

    # ------------------------------------------------------------------------------------------------ pieces

    def _ask(self, mailbox: Mailbox, request: Request, kind: type, timeout_s: float) -> object | None:
        mailbox.tell(self._supervisor, request)
        return self._receive(mailbox, kind, timeout_s)

    def _receive(self, mailbox: Mailbox, kind: type, timeout_s: float) -> object | None:
        until_s = time.monotonic() + timeout_s
        while (remaining_s := until_s - time.monotonic()) > 0:
            got = mailbox.receive(remaining_s)
            if isinstance(got, kind):
                return got
            if isinstance(got, Undelivered) and got.gone and got.address == self._supervisor:
                self._lost = True
                return None
            if got is WAKE and self._stop is not None:
                return None
        return None

    def _watch_parent(self, fd: int) -> None:
        wait_for_eof(fd)
        self.stop("the process that started this daemon is gone")


class _Nothing:
    """No message is one of these."""


def public_settings(config: Config) -> dict[str, Any]:
    """What a router may be constructed with, by the names of the facade's arguments."""
    return {
        "primary_exchange": config.router.primary_exchange,
        "failover_exchanges": list(config.router.failover_exchanges),
        "health_check_interval": config.health.health_check_interval,
        "max_retry_attempts": config.health.max_retry_attempts,
        "retry_delay": config.health.retry_delay,
        "auto_failover": config.router.auto_failover,
        "market_type": config.router.market_type,
        "order_timeout_s": config.router.order_timeout_s,
    }


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill_leftovers() -> None:
    """Whatever is still below us, adopted orphans included, is killed and reaped."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(children, timeout=LEFTOVER_TIMEOUT_S)


def announce(fd: int, line: str) -> None:
    """Writes one line to whoever waits for our start, if it still does, and closes the pipe."""
    _, writable, _ = select.select([], [fd], [], 1.0)
    if writable:
        with contextlib.suppress(BrokenPipeError):  # the starter is gone, which its other pipe tells as well
            os.write(fd, line.encode() + b"\n")
    os.close(fd)
