"""One life of the whole tree: Thespian's admin, the root supervisor and everything below, from start to end.

The launcher watches what nobody inside can watch: that admin and supervisor live and answer. When either ends or hangs
the tree is over, since whatever is below has lost its parent; all of it is killed, and the launcher begins another one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import structlog
from attrs import frozen

from app.process.parent_pipe import at_eof
from app.process.reap import reap_orphans
from app.transport.base import (
    Base,
    StartFailedError,
    admin_answers,
    admin_pid,
    detach,
    free_port,
    start_system,
    stop_system,
)
from app.transport.mailbox import Mailbox
from messages.failover import SettleReply, SettleRequest
from messages.supervision import Address, Directory, GetTree, Listen, Role, StartTree, StopTree, TreeState
from supervisor import RootSupervisor

log = structlog.get_logger()

START_TIMEOUT_S = 30.0
SLICE_S = 0.05
"""How long the launcher sleeps at most before it looks around."""
ASK_S = 0.25
"""Between questions to the supervisor."""
ADMIN_ASK_S = 1.0
"""Between questions to the admin, which is on nobody's way."""
ADMIN_SILENCE_S = 2.0
CANCEL_TIMEOUT_S = 3.0
STOP_TIMEOUT_S = 1.5
LEFTOVER_TIMEOUT_S = 2.0


class StartFailed(Exception):
    """The tree did not come up; nothing of it is left."""


class Stopped(Exception):
    """Somebody told us to stop while the tree was starting."""


@frozen(kw_only=True)
class Orders:
    """What the launcher is told from outside, looked at between any two steps.

    Attributes:
        bell: Readable when there is something to look at.
        stopped: Why to stop; empty while not told to.
        reload: Whether a new configuration waits.
        parent_gone: To be called when `parent_fd` reports its end.
        parent_fd: A pipe whose end of file means that whoever started us is gone.
        alive: To be called whenever the tree has shown that it is well.
    """

    bell: int
    stopped: Callable[[], str]
    reload: Callable[[], bool]
    parent_gone: Callable[[], None]
    parent_fd: int | None
    alive: Callable[[], None]


class Tree:
    """A tree of actors. Made by `running_tree`.

    Attributes:
        died: It ended by itself, or hangs.
    """

    def __init__(self, system: Any, orders: Orders, silence_s: float) -> None:
        self._system = system
        self._orders = orders
        self._silence_s = silence_s
        self._mailbox = Mailbox(system)
        self.supervisor: Address = None
        self.died = False
        self._supervisor_pid = 0
        self._heard_s = 0.0
        self._asked_s = 0.0
        self._admin_s = 0.0
        self._watched: dict[int, str] = {}

    def start(self) -> Directory:
        """Starts every actor. Returns where they live.

        Raises:
            StartFailed: One of them did not.
            Stopped: We were told to stop meanwhile.
        """
        self.supervisor = self._system.createActor(RootSupervisor)
        if self.supervisor is None:
            raise StartFailed("The daemon did not start: the root supervisor could not be created.")
        self._mailbox.tell(self.supervisor, StartTree())
        until_s = time.monotonic() + START_TIMEOUT_S
        words = "The actors did not start in time."
        while time.monotonic() < until_s:
            tree = self._ask(0.3)
            if tree is None:
                continue
            words = tree.words or words
            if tree.gave_up or tree.stays_down:
                words = " ".join(filter(None, (tree.words, *tree.stays_down)))
                break
            if tree.ready:
                self._supervisor_pid = tree.pid
                self._mailbox.tell(self.supervisor, Listen(session_id="launcher"))
                directory = self._receive(Directory, START_TIMEOUT_S)
                if isinstance(directory, Directory):
                    return directory
        raise StartFailed(f"The daemon did not start: {words}")

    def watch(self) -> str:
        """Watches until it is over. Returns why the tree died; empty when we were told to stop or to reload."""
        self._watched.clear()
        with contextlib.ExitStack() as open_fds:
            for name, pid in (("admin", admin_pid(self._system)), ("supervisor", self._supervisor_pid)):
                try:
                    fd = os.pidfd_open(pid)
                except ProcessLookupError:
                    self.died = True
                    return f"The {name} (pid {pid}) died."
                open_fds.callback(os.close, fd)
                self._watched[fd] = f"The {name} (pid {pid}) died."
            self._heard_s = self._admin_s = time.monotonic()
            while not self._orders.stopped() and not self._orders.reload():
                words = self._look()
                if words:
                    self.died = True
                    return words
        return ""

    def _look(self) -> str:
        """One look around, for at most SLICE_S; returns why the tree is dead, or nothing."""
        parent = () if self._orders.parent_fd is None else (self._orders.parent_fd,)
        ready, _, _ = select.select([*self._watched, *parent], [], [], 0)
        for fd in ready:
            if fd in self._watched:
                return self._watched[fd]
            if at_eof(fd):
                self._orders.parent_gone()
                return ""
        now_s = time.monotonic()
        if now_s >= self._asked_s + ASK_S:
            self._asked_s = now_s
            self._mailbox.tell(self.supervisor, GetTree(correlation_id=secrets.token_hex(8), deadline_s=0.0))
        got = self._mailbox.receive(SLICE_S)
        if isinstance(got, TreeState):
            self._heard_s = time.monotonic()
            if got.gave_up:
                return got.words
            self._orders.alive()
            reap_orphans({admin_pid(self._system)})
        if time.monotonic() - self._heard_s > self._silence_s:
            return f"The supervisor has not answered for {self._silence_s:g} s."
        if now_s >= self._admin_s + ADMIN_ASK_S:
            self._admin_s = now_s
            if not admin_answers(self._system, ADMIN_SILENCE_S):
                return f"The actor system's admin has not answered for {ADMIN_SILENCE_S:g} s."
        return ""

    def end(self, *, cancel: bool, now_s: float) -> None:
        """Asks everybody to end, within a few seconds; whoever does not is killed when the tree is left."""
        if cancel:
            self._cancel_all(now_s)
        stop = StopTree(correlation_id=secrets.token_hex(8), deadline_s=now_s + STOP_TIMEOUT_S)
        self._mailbox.tell(self.supervisor, stop)
        self._receive(TreeState, STOP_TIMEOUT_S, heed=False)

    def _cancel_all(self, now_s: float) -> None:
        self._mailbox.tell(self.supervisor, Listen(session_id="launcher"))
        directory = self._receive(Directory, 1.0, heed=False)
        if not isinstance(directory, Directory):
            return
        connectors = [entry for entry in directory.entries if entry.role is Role.CONNECTOR]
        for entry in connectors:
            deadline_s = now_s + 0.8 * CANCEL_TIMEOUT_S
            request = SettleRequest(correlation_id=f"shutdown-{entry.name}", deadline_s=deadline_s)
            self._mailbox.tell(entry.address, request)
        until_s = time.monotonic() + CANCEL_TIMEOUT_S
        for _ in connectors:
            reply = self._receive(SettleReply, until_s - time.monotonic(), heed=False)
            if isinstance(reply, SettleReply):
                log.info(
                    "daemon.cancelled", exchange=reply.exchange, cancelled=len(reply.cancelled), left=len(reply.left)
                )

    def close(self) -> None:
        """Closes our endpoint."""
        self._mailbox.close()

    def _ask(self, timeout_s: float) -> TreeState | None:
        self._mailbox.tell(self.supervisor, GetTree(correlation_id=secrets.token_hex(8), deadline_s=0.0))
        got = self._receive(TreeState, timeout_s)
        return got if isinstance(got, TreeState) else None

    def _receive(self, kind: type, timeout_s: float, *, heed: bool = True) -> object | None:
        """The next message of a kind; None when none came in time. Raises Stopped if it is to heed that."""
        until_s = time.monotonic() + timeout_s
        while (remaining_s := until_s - time.monotonic()) > 0:
            if heed:
                parent_fd = self._orders.parent_fd
                if parent_fd is not None and select.select([parent_fd], [], [], 0)[0] and at_eof(parent_fd):
                    self._orders.parent_gone()
                if self._orders.stopped():
                    raise Stopped(self._orders.stopped())
            got = self._mailbox.receive(min(remaining_s, SLICE_S))
            if isinstance(got, kind):
                return got
        return None


@contextmanager
def running_tree(
    key: bytes, orders: Orders, *, silence_s: float, log_defs: dict[str, Any], base: Base, state_dir: Path
) -> Iterator[tuple[Tree, int]]:
    """A tree, not started yet, and the port of its admin, if any; whatever is left of it is killed at the end.

    Raises:
        app.transport.base.StartFailedError: The actor system itself did not come up.
    """
    port, system = _started_system(key, log_defs, base, state_dir)
    tree = Tree(system, orders, silence_s)
    try:
        yield tree, port
    finally:
        tree.close()
        if tree.died:
            kill_leftovers()  # an admin that hangs would keep an orderly end waiting
            detach(system)
        else:
            stop_system(system, timeout_s=STOP_TIMEOUT_S)
            kill_leftovers()


def _started_system(key: bytes, log_defs: dict[str, Any], base: Base, state_dir: Path) -> tuple[int, Any]:
    if base == "unix":
        return 0, start_system(0, key, log_defs=log_defs, base=base, state_dir=state_dir)
    for _ in range(2):
        port = free_port()
        with contextlib.suppress(StartFailedError):  # somebody may have taken the port meanwhile
            return port, start_system(port, key, log_defs=log_defs)
    port = free_port()
    return port, start_system(port, key, log_defs=log_defs)


def kill_leftovers() -> None:
    """Whatever is still below us, adopted orphans included, is killed and reaped."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=LEFTOVER_TIMEOUT_S)
