"""One life of the whole tree: Thespian's admin, the root supervisor and everything below, from start to end.

The launcher watches what nobody inside can watch: that admin and supervisor live and answer, and that orders get
through. When admin or supervisor ends or hangs the tree is over, since whatever is below has lost its parent; all of it
is killed, and the launcher begins another one. That orders do not get through is only told: what is wrong then may be
outside, and whoever is above (systemd) decides.

An end takes at most STOP_BUDGET_S from the word to the last process, whatever hangs: each step has its share, one
deadline cuts short the steps of an end that is late by then, and who has not ended is killed.
"""

from __future__ import annotations

import contextlib
import secrets
import select
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import structlog
from attrs import frozen
from thespian.actors import ActorSystemException

from app.domain.order_path import Ask, Effect, Feed, PathWatch, Withhold
from app.domain.pulse import Pulse
from app.launcher.lives import Lives
from app.launcher.logger_watch import LoggerWatch
from app.process.parent_pipe import at_eof
from app.process.reap import reap_orphans
from app.transport.base import (
    START_TIMEOUT_S as ACTOR_SYSTEM_TIMEOUT_S,
)
from app.transport.base import (
    STOP_TIMEOUT_S,
    Base,
    StartFailedError,
    admin_pid,
    admin_was_heard,
    ask_admin,
    detach,
    free_port,
    start_system,
    stop_system,
)
from app.transport.mailbox import Mailbox
from messages.account import Disarm, Disarmed
from messages.base import Request
from messages.failover import SettleReply, SettleRequest
from messages.supervision import (
    Address,
    CheckOrderPath,
    Directory,
    GetTree,
    Listen,
    OrderPathChecked,
    Role,
    StartTree,
    StopTree,
    TreeState,
)
from supervisor import RootSupervisor

log = structlog.get_logger()

START_TIMEOUT_S = 30.0
SLICE_S = 0.05
"""How long the launcher sleeps at most before it looks around."""
LISTEN_AGAIN_S = 10.0
CANCEL_TIMEOUT_S = 2.0
"""For the exchanges to cancel what is open, where that is wanted."""
CHILDREN_TIMEOUT_S = 1.0
"""For the actors to close what they have open."""
ADMIN_TIMEOUT_S = 0.5
LEFTOVER_TIMEOUT_S, LEAST_LEFTOVER_S = 1.0, 0.1
"""For the kernel to end what was killed; a process in an uninterruptible wait may take longer, and is left to it."""
OWN_TIME_S = 0.5
"""For the launcher itself, to work and to exit."""
STOP_BUDGET_S = 5.0
"""The shares above add up to less; leftovers have what is over."""
PORTS_TRIED = 3
"""Of "tcp": somebody may take a free port before it is used."""
CREATE_TIMEOUT_S = 50.0
"""Thespian's own, for the first actor (MAX_CHILD_ACTOR_CREATE_DELAY)."""


def starts_within_s(base: Base) -> float:
    """A tree serves, or has failed to, within that, whatever hangs: the sum of what bounds each step of a start."""
    tries = 1 if base == "unix" else PORTS_TRIED
    # The admin connects, then answers, and one that does not is reaped.
    admin_s = 2 * ACTOR_SYSTEM_TIMEOUT_S + STOP_TIMEOUT_S
    return tries * admin_s + CREATE_TIMEOUT_S + START_TIMEOUT_S


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
        order_path: To be called whenever orders were found to get through, with nothing; or with why they do not.
        clock: Unix seconds, the daemon's own.
    """

    bell: int
    stopped: Callable[[], str]
    reload: Callable[[], bool]
    parent_gone: Callable[[], None]
    parent_fd: int | None
    order_path: Callable[[str], None]
    clock: Callable[[], float]


@frozen(kw_only=True)
class Patience:
    """How often the launcher asks, and how long it waits, in seconds.

    Attributes:
        heartbeat_s, heartbeat_timeout_s: Of admin and supervisor, as the supervisor has it with the actors.
        path_every_s, path_timeout_s: Of the way of an order.
    """

    heartbeat_s: float
    heartbeat_timeout_s: float
    path_every_s: float
    path_timeout_s: float


class Tree:
    """A tree of actors. Made by `running_tree`.

    Attributes:
        died: It ended by itself, or hangs.
    """

    def __init__(self, system: Any, orders: Orders, patience: Patience) -> None:
        self._system = system
        self._orders = orders
        self._patience = patience
        self._mailbox = Mailbox(system)
        self.supervisor: Address = None
        self.died = False
        self._end_by_s: float | None = None
        self._supervisor_pid = 0
        self._supervisor_pulse = Pulse(patience.heartbeat_s, patience.heartbeat_timeout_s)
        self._admin_pulse = Pulse(patience.heartbeat_s, patience.heartbeat_timeout_s)
        self._path = PathWatch(patience.path_every_s, patience.path_timeout_s)
        self._listened_s = 0.0
        self._connectors: dict[str, Address] = {}
        self._logger: LoggerWatch | None = None

    def start(self) -> Directory:
        """Starts every actor, and waits for all but users' strategies. Returns where they live.

        Raises:
            StartFailed: One of them did not.
            Stopped: We were told to stop meanwhile.
        """
        try:
            self.supervisor = self._system.createActor(RootSupervisor)
        except ActorSystemException as error:
            raise StartFailed(
                f"The daemon did not start: the root supervisor could not be created ({type(error).__name__})."
            ) from error
        self._mailbox.tell(self.supervisor, StartTree())
        until_s = time.monotonic() + START_TIMEOUT_S
        words = "The actors did not start in time."
        with Lives() as lives:
            lives.watch(admin_pid(self._system), "admin")
            while (left_s := until_s - time.monotonic()) > 0:
                tree = self._ask(min(0.3, left_s))
                if tree is None:
                    if died := lives.ended():  # nobody would ever answer
                        words = died
                        break
                    continue
                lives.watch(tree.pid, "supervisor")
                words = tree.words or words
                if tree.gave_up:
                    break
                if tree.ready:
                    self._supervisor_pid = tree.pid
                    self._listen()
                    directory = self._receive(Directory, min(1.0, until_s - time.monotonic()))
                    if isinstance(directory, Directory):
                        self._learn(directory)
                        return directory
        raise StartFailed(f"The daemon did not start: {words}")

    def watch(self) -> str:
        """Watches until it is over. Returns why the tree died; empty when we were told to stop or to reload."""
        with Lives() as lives:
            lives.watch(admin_pid(self._system), "admin")
            lives.watch(self._supervisor_pid, "supervisor")
            if died := lives.ended():  # also when we are told to stop: nobody is left who could
                self.died = True
                return died
            timeout_s = self._patience.heartbeat_timeout_s
            self._logger = LoggerWatch(admin_pid(self._system), self._supervisor_pid, timeout_s)
            self._supervisor_pulse.begin(time.monotonic())
            self._admin_pulse.begin(time.monotonic())
            while not self._orders.stopped() and not self._orders.reload():
                words = self._look(lives)
                if words:
                    self.died = True
                    return words
        return ""

    def _look(self, lives: Lives) -> str:
        """One look around, for at most SLICE_S; returns why the tree is dead, or nothing."""
        if died := lives.ended():
            return died
        if self._parent_ended():
            self._orders.parent_gone()
            return ""
        now_s = time.monotonic()
        if self._supervisor_pulse.due(now_s):
            self._mailbox.tell(self.supervisor, GetTree(correlation_id=secrets.token_hex(8), deadline_s=0.0))
        if self._admin_pulse.due(now_s):
            ask_admin(self._system)
        if now_s >= self._listened_s + LISTEN_AGAIN_S:
            self._listen()
        words = self._handle(self._mailbox.receive(SLICE_S))
        now_s = time.monotonic()
        if self._logger is not None:
            self._logger.look(now_s)
        if self._admin_pulse.waits and admin_was_heard(self._system):
            self._admin_pulse.heard(now_s)
        timeout_s = self._patience.heartbeat_timeout_s
        if not words and self._supervisor_pulse.silent(now_s):
            words = f"The supervisor has not answered for {timeout_s:g} s."
        if not words and self._admin_pulse.silent(now_s):
            words = f"The actor system's admin has not answered for {timeout_s:g} s."
        if not words:
            self._perform(self._path.tick(self._orders.clock()))
        return words

    def _handle(self, got: object) -> str:
        """One message; returns why the tree is dead, or nothing."""
        match got:
            case TreeState():
                self._supervisor_pulse.heard(time.monotonic())
                reap_orphans({admin_pid(self._system)})
                if got.gave_up:
                    return got.words
            case Directory():
                self._learn(got)
            case OrderPathChecked():
                self._perform(self._path.answered(got, self._orders.clock()))
        return ""

    def _listen(self) -> None:
        self._listened_s = time.monotonic()
        self._mailbox.tell(self.supervisor, Listen(session_id="launcher"))

    def _learn(self, directory: Directory) -> None:
        entries = [entry for entry in directory.entries if entry.role is Role.CONNECTOR]
        self._connectors = {entry.name: entry.address for entry in entries}
        lives = {entry.name: entry.incarnation for entry in entries}
        self._perform(self._path.knows(lives, self._orders.clock()))

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Ask():
                    question = CheckOrderPath(
                        correlation_id=effect.correlation_id, since_s=effect.since_s, deadline_s=effect.deadline_s
                    )
                    self._mailbox.tell(self._connectors[effect.exchange], question)
                case Feed():
                    self._orders.order_path("")
                case Withhold(words):
                    self._orders.order_path(words)

    def end(self, *, cancel: bool, switched: Collection[str] = ()) -> None:
        """Asks everybody to end, within a few seconds; whoever does not is killed when the tree is left.

        Args:
            switched: Exchanges whose dead-man switch is on.
        """
        self._end_by_s = time.monotonic() + STOP_BUDGET_S - OWN_TIME_S
        self._leave_orders(cancel=cancel, switched=switched)
        share_s = self.share_s(CHILDREN_TIMEOUT_S)
        until_s = time.monotonic() + share_s
        stop = StopTree(correlation_id=secrets.token_hex(8), deadline_s=self._orders.clock() + share_s)
        self._mailbox.tell(self.supervisor, stop)
        while (left_s := until_s - time.monotonic()) > 0:
            tree = self._receive(TreeState, left_s, heed=False)
            if isinstance(tree, TreeState):
                if all(actor.pid is None for actor in tree.actors):
                    break
                again = GetTree(correlation_id=secrets.token_hex(8), deadline_s=0.0)
                self._mailbox.receive(SLICE_S / 5)  # its children need the time more than we need the answer
                self._mailbox.tell(self.supervisor, again)

    def share_s(self, wanted_s: float) -> float:
        """How long a step may take: what it wants or, at an end that `end` began, what is left of the budget."""
        return wanted_s if self._end_by_s is None else max(0.0, min(wanted_s, self._end_by_s - time.monotonic()))

    def _leave_orders(self, *, cancel: bool, switched: Collection[str]) -> None:
        """Cancels what rests, or has it stay: where a dead-man switch is on, its exchange would cancel it later."""
        deadline_s = self._orders.clock() + 0.8 * CANCEL_TIMEOUT_S
        awaited = 0
        for name, address in self._connectors.items():
            asked: list[Request] = []
            if cancel:
                asked.append(SettleRequest(correlation_id=f"shutdown-{name}", deadline_s=deadline_s))
            if name in switched:
                asked.append(Disarm(correlation_id=f"disarm-{name}", deadline_s=deadline_s))
            awaited += len(asked)
            for request in asked:
                self._mailbox.tell(address, request)
        until_s = time.monotonic() + CANCEL_TIMEOUT_S
        for _ in range(awaited):
            match self._receive((SettleReply, Disarmed), until_s - time.monotonic(), heed=False):
                case SettleReply() as reply:
                    taken, left = len(reply.cancelled), len(reply.left)
                    log.info("daemon.cancelled", exchange=reply.exchange, cancelled=taken, left=left)
                case Disarmed(words="") as reply:
                    log.info("dead_man.switched_off", exchange=reply.exchange)
                case Disarmed() as reply:
                    log.warning("dead_man.not_switched_off", exchange=reply.exchange, words=reply.words)
                case _:
                    log.warning("daemon.no_answer", words="A connector did not say in time what becomes of its orders.")

    def close(self) -> None:
        """Closes our endpoint."""
        self._mailbox.close()

    def _ask(self, timeout_s: float) -> TreeState | None:
        self._mailbox.tell(self.supervisor, GetTree(correlation_id=secrets.token_hex(8), deadline_s=0.0))
        got = self._receive(TreeState, timeout_s)
        return got if isinstance(got, TreeState) else None

    def _parent_ended(self) -> bool:
        parent_fd = self._orders.parent_fd
        return parent_fd is not None and bool(select.select([parent_fd], [], [], 0)[0]) and at_eof(parent_fd)

    def _receive(self, kind: type | tuple[type, ...], timeout_s: float, *, heed: bool = True) -> object | None:
        """The next message of a kind; None when none came in time. Raises Stopped if it is to heed that."""
        until_s = time.monotonic() + timeout_s
        while (remaining_s := until_s - time.monotonic()) > 0:
            if heed:
                if self._parent_ended():
                    self._orders.parent_gone()
                if self._orders.stopped():
                    raise Stopped(self._orders.stopped())
            got = self._mailbox.receive(min(remaining_s, SLICE_S))
            if isinstance(got, kind):
                return got
        return None


@contextmanager
def running_tree(
    key: bytes, orders: Orders, *, patience: Patience, log_defs: dict[str, Any], base: Base, state_dir: Path
) -> Iterator[tuple[Tree, int]]:
    """A tree, not started yet, and the port of its admin, if any; whatever is left of it is killed at the end.

    Raises:
        app.transport.base.StartFailedError: The actor system itself did not come up.
    """
    port, system = _started_system(key, log_defs, base, state_dir)
    tree = Tree(system, orders, patience)
    try:
        yield tree, port
    finally:
        tree.close()
        if tree.died:
            kill_leftovers()  # an admin that hangs would keep an orderly end waiting
            detach(system)
        else:
            stop_system(system, timeout_s=tree.share_s(ADMIN_TIMEOUT_S))
            kill_leftovers(max(LEAST_LEFTOVER_S, tree.share_s(LEFTOVER_TIMEOUT_S)))


def _started_system(key: bytes, log_defs: dict[str, Any], base: Base, state_dir: Path) -> tuple[int, Any]:
    if base == "unix":
        return 0, start_system(0, key, log_defs=log_defs, base=base, state_dir=state_dir)
    for _ in range(PORTS_TRIED - 1):
        port = free_port()
        with contextlib.suppress(StartFailedError):  # somebody may have taken the port meanwhile
            return port, start_system(port, key, log_defs=log_defs)
    port = free_port()
    return port, start_system(port, key, log_defs=log_defs)


def kill_leftovers(within_s: float = LEFTOVER_TIMEOUT_S) -> None:
    """Whatever is still below us, adopted orphans included, is killed and reaped."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=within_s)
