"""The foreground process of a daemon: it keeps a tree of actors running, and ends it without leftovers.

It is the parent of Thespian's admin and the adoptive parent of whatever is orphaned below it (a subreaper); everything
below dies with its own parent, so that killing this one process, even by -9, ends all of it.

A tree that died or hung is replaced by a new one, whose state comes from the journal; one that keeps dying makes the
daemon give up with exit code 75, for systemd to decide. SIGHUP reads the configuration again: what is wrong with it is
logged and nothing changes, otherwise the tree is replaced in an orderly way by one with the new configuration.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import structlog

from actors.environment import install
from app.bootstrap import JOURNAL_NAME, build_environment
from app.config import Config, ConfigError, load, require_credentials
from app.config.accounts import AccountLocks
from app.config.handover import take_over
from app.domain.restart import GiveUp, Restarts, on_exit
from app.exchanges.preload import preload
from app.journal.place import ID_NAME, not_lost, remember, sound
from app.journal.store import Journal, JournalError, JournalUnusable
from app.launcher.presence import PRESENCE_NAME, Presence, remove_presence, write_presence
from app.launcher.reach import out_of_reach, sentence
from app.launcher.tree import (
    STOP_BUDGET_S,
    Orders,
    Patience,
    StartFailed,
    Stopped,
    Tree,
    kill_leftovers,
    running_tree,
    starts_within_s,
)
from app.process.account_lock import AccountInUse, AccountLockError
from app.process.clock import AnchoredClock
from app.process.early_signals import early
from app.process.guards import become_subreaper, disable_core_dumps, keep_files_private
from app.process.lock import LOCK_NAME, StateLock, private_file
from app.process.logs import configure_logs, log_config
from app.process.notify import Notifier
from app.process.remains import after_remains
from app.transport.address import address_to_str
from app.transport.base import Base, StartFailedError, sweep_sockets

__all__ = ["EX_OK", "EX_TEMPFAIL", "Daemon", "StartFailed", "announce", "public_settings"]

log = structlog.get_logger()

EX_OK = 0
EX_TEMPFAIL = 75
"""sysexits: try again; what systemd's `Restart=on-failure` acts on."""
PRIVATE_FILES = (
    LOCK_NAME,
    PRESENCE_NAME,
    ID_NAME,
    *(f"{JOURNAL_NAME}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")),
)
"""Of the state directory, those that decide or tell something; SQLite keeps the newest of a journal beside it."""


class Daemon:
    """Trees, one after the other. Use `run` once, from the main thread of a process without other threads."""

    def __init__(
        self,
        config: Config,
        *,
        config_path: Path | None = None,
        parent_fd: int | None = None,
        on_ready: Callable[[Presence], None] | None = None,
        log_file: Path | None = None,
    ) -> None:
        """
        Args:
            config_path: What SIGHUP reads again; None where it cannot be.
            parent_fd: A pipe whose end of file means that whoever started us is gone; None when nobody did.
            on_ready: Called once, when every actor has started for the first time.
            log_file: Where to log, instead of the configured file or stderr.
        """
        self._config = config
        self._config_path = config_path
        self._on_ready = on_ready
        self._served = False
        self._stranded: dict[str, int] = {}
        self._log_file = log_file
        self._clock = AnchoredClock()
        self._notifier = Notifier()
        self._stop = ""
        self._stuck = ""
        self._reload = False
        self._accounts: AccountLocks | None = None
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._orders = Orders(
            bell=self._bell,
            stopped=lambda: self._stop,
            reload=lambda: self._reload,
            parent_gone=lambda: self.stop("the process that started this daemon is gone"),
            parent_fd=parent_fd,
            order_path=self._order_path,
            clock=self._clock,
        )

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop, so that `StartFailed` is no failure."""
        return bool(self._stop)

    def stop(self, reason: str) -> None:
        """Ends `run` soon; from any thread, and from a signal handler."""
        self._stop = self._stop or reason
        os.eventfd_write(self._bell, 1)

    def reload(self) -> None:
        """Reads the configuration again soon; likewise."""
        self._reload = True
        os.eventfd_write(self._bell, 1)

    def run(self) -> int:
        """Runs until told to stop. Returns a sysexits code: 0 after a clean stop, 75 when the tree gave up.

        Raises:
            app.process.lock.StateDirError: The state directory cannot be used, or another daemon uses it.
            app.process.account_lock.AccountInUse: Another daemon on this host trades on one of the accounts.
            app.process.account_lock.AccountLockError: This system gives no such hold.
            ConfigError: An API key cannot be read.
            app.journal.store.JournalUnusable: What is there is no journal, or of another version.
            app.journal.store.JournalError: The journal cannot be opened now.
            StartFailed: An actor did not start.
            app.transport.base.StartFailedError: The actor system did not.
        """
        become_subreaper()
        disable_core_dumps()
        keep_files_private()
        # Out of the environment before anything is forked. They stay in this process's memory, and in the supervisor's:
        # both fork connectors again. Every other actor forgets what is not its own.
        take_over(self._config)
        with (
            after_remains(lambda: StateLock(self._config.router.state_dir)) as lock,
            after_remains(lambda: AccountLocks(self._config)) as self._accounts,
        ):
            for companion in PRIVATE_FILES:
                private_file(lock.state_dir / companion)
            not_lost(lock.state_dir, JOURNAL_NAME)
            with contextlib.closing(Journal(lock.state_dir / JOURNAL_NAME)) as journal:  # what is wrong is said here
                sound(lock.state_dir / JOURNAL_NAME)
                known(lock.state_dir, journal)
                self._stranded = out_of_reach(journal, self._config.routed)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda got, _frame: self.stop(signal.Signals(got).name))
            signal.signal(signal.SIGHUP, lambda _got, _frame: self.reload())
            if early.stop:
                self.stop(early.stop)
            if early.reload:
                self.reload()  # heeded once the first tree serves
            preload((name, self._config.market_type) for name in self._config.routed)
            try:
                return self._keep(lock.state_dir)
            except Stopped:
                return EX_OK
            finally:
                sweep_sockets(lock.state_dir)

    def _keep(self, state_dir: Path) -> int:
        """One tree after the other, until told to stop or there is no hope."""
        ends = Restarts(name="the tree of actors", policy=self._config.supervision.restart_policy)
        key = secrets.token_bytes(32)
        while not self._stop:
            if self._accounts is not None:
                self._accounts.keep_named()
            words = self._live(state_dir, key)
            if self._stop or not words:
                continue  # to the end, or reloaded
            log.error("tree.died", words=words)
            self._notifier.status(f"starting the actors anew: {words}")
            answer = on_exit(ends, time.monotonic())
            if isinstance(answer, GiveUp):
                log.error("daemon.gave_up", words=answer.words, last=words)
                print(f"order-router: {answer.words}; the last time: {words}", file=sys.stderr)
                return EX_TEMPFAIL
            ends = answer.state
            self._notifier.starting_anew(answer.after_s + starts_within_s(self._base))
            self._pause(answer.after_s)
        log.info("daemon.stopped", reason=self._stop)
        return EX_OK

    def _pause(self, for_s: float) -> None:
        """Waits, between two trees. Only an order to stop, or a new configuration that is good, ends that early."""
        until_s = time.monotonic() + for_s
        while not self._stop and (left_s := until_s - time.monotonic()) > 0:
            if self._reload and self._reloaded():
                self._notifier.reloading()
                return
            if select.select([self._bell], [], [], left_s)[0]:
                os.eventfd_read(self._bell)  # what it was rung for is looked at above, also what was before

    def _live(self, state_dir: Path, key: bytes) -> str:
        """One tree. Returns why it died, or did not come up again; empty when it was ended on purpose."""
        try:
            return self._live_tree(state_dir, key)
        except StartFailedError as error:
            if not self._served:
                raise
            kill_leftovers()
            return str(error)

    def _live_tree(self, state_dir: Path, key: bytes) -> str:
        level = self._config.logging.level.upper()
        log_file = self._log_file or self._config.logging.file
        configure_logs(level=level, path=log_file)
        if self._stranded:  # not refused: trading elsewhere must not wait for an exchange that somebody has left
            log.error("orders.out_of_reach", words=sentence(self._stranded), orders=self._stranded)
            self._stranded = {}
        install(build_environment(self._config, self._clock, log_file=log_file))
        base = self._base
        if self._served:
            self._notifier.starting_anew(starts_within_s(base))
        else:
            self._notifier.starting(starts_within_s(base))
        patience = self._patience()
        log_defs = log_config(level=level, path=log_file)
        with running_tree(key, self._orders, patience=patience, log_defs=log_defs, base=base, state_dir=state_dir) as (
            tree,
            port,
        ):
            try:
                directory = tree.start()
            except StartFailed as error:
                if not self._served:
                    raise
                tree.died = True
                return str(error)
            try:
                presence = self._presence(tree, base, port, key, directory.journal_id)
                write_presence(state_dir, presence)
                log.info("daemon.ready", state_dir=str(state_dir), exchanges=list(self._config.routed))
                if self._on_ready is not None and not self._served:
                    self._on_ready(presence)
                self._served = True
                self._notifier.ready(self._status())
                words = tree.watch()
                while not (words or self._stop or self._reloaded()):
                    words = tree.watch()
                if not words:
                    self._end(tree)
                return words
            finally:
                remove_presence(state_dir)

    @property
    def _base(self) -> Base:
        return "unix" if self._config.transport.base == "unix" else "tcp"

    def _patience(self) -> Patience:
        """As configured; orders' way is asked for often enough for a shorter watchdog of systemd's, too."""
        supervision, feed_s = self._config.supervision, self._notifier.watchdog_interval_s
        every_s = supervision.path_check_s if feed_s is None else min(supervision.path_check_s, feed_s / 2)
        return Patience(
            heartbeat_s=supervision.heartbeat_s,
            heartbeat_timeout_s=supervision.heartbeat_timeout_s,
            path_every_s=every_s,
            path_timeout_s=supervision.path_check_timeout_s,
        )

    def _order_path(self, words: str) -> None:
        """Orders get through, of which systemd's watchdog lives; or why they do not."""
        if not words:
            self._notifier.watchdog()
            if self._stuck:
                log.info("watchdog.fed_again", after=self._stuck)
                self._stuck = ""
                self._notifier.status(self._status())
        elif not self._stuck:
            log.error("watchdog.withheld", words=words)
            self._stuck = words
            self._notifier.status(f"orders do not get through: {words}")

    def _status(self) -> str:
        return f"routing to {', '.join(self._config.routed)}"

    def _end(self, tree: Tree) -> None:
        log.info("daemon.stopping", reason=self._stop or "a new configuration")
        if self._stop:
            self._notifier.stopping(STOP_BUDGET_S)
        else:
            self._notifier.reloading()
            self._notifier.starting_anew(STOP_BUDGET_S + starts_within_s(self._base))
        cancel = bool(self._stop) and self._config.orders.on_shutdown == "cancel"
        tree.end(cancel=cancel, switched=self._config.dead_man_switches)

    def _reloaded(self) -> bool:
        """Takes over the configuration as it is now; False when it stays as it was."""
        self._reload = False
        if self._config_path is None:
            log.warning("config.not_reloaded", words="This daemon's configuration did not come from a file.")
            return False
        try:
            config = load(self._config_path)
            require_credentials(config)
            if config.router.state_dir != self._config.router.state_dir:
                raise ConfigError("router.state_dir cannot be changed while the daemon runs: restart it.")
            not_lost(config.router.state_dir, JOURNAL_NAME)
            with contextlib.closing(Journal(config.router.state_dir / JOURNAL_NAME)) as journal:
                stranded = sentence(out_of_reach(journal, config.routed))
            if stranded:
                raise ConfigError(stranded)
            if self._accounts is not None:
                self._accounts.take(config)
        except (ConfigError, AccountInUse, AccountLockError, JournalError) as error:
            log.error("config.not_reloaded", words=str(error))
            return False
        self._config = config
        # As at the start, and as then before anything is forked: of what only the new configuration names.
        take_over(config)
        preload((name, config.market_type) for name in config.routed)
        log.info("config.reloaded", where=config.where)
        return True

    def _presence(self, tree: Tree, base: Base, port: int, key: bytes, journal_id: str) -> Presence:
        return Presence(
            pid=os.getpid(),
            created_s=psutil.Process().create_time(),
            transport=base,
            admin_port=port,
            supervisor=address_to_str(tree.supervisor),
            key=key.hex(),
            anchor_s=self._clock.anchor_s,
            journal_id=journal_id,
            settings=public_settings(self._config),
        )


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


def announce(fd: int, line: str) -> None:
    """Writes one line to whoever waits for our start, if it still does, and closes the pipe."""
    with contextlib.suppress(BrokenPipeError):  # the starter is gone, which its other pipe tells as well
        os.write(fd, line.encode() + b"\n")
    os.close(fd)


def known(folder: Path, journal: Journal) -> None:
    """Keeps which journal is used here; where there is no room for that, the daemon starts all the same.

    Raises:
        app.journal.store.JournalUnusable: This state directory had another one.
    """
    try:
        remember(folder, journal.journal_id)
    except JournalUnusable:
        raise
    except JournalError as error:
        log.warning("journal.not_remembered", words=str(error))
