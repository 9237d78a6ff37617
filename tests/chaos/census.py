"""Who is which process, asked of the supervisor and of the kernel; and whether everybody who should serves."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import threading
import time
from pathlib import Path
from typing import Any, Final

import psutil
from attrs import frozen

from app.launcher.presence import Presence, presence_mark, read_presence
from app.transport.address import address_from_str
from app.transport.base import NotRunningError, attach, detach
from app.transport.mailbox import Mailbox
from messages.supervision import GetTree, TreeState
from tests.chaos.injury import Target

LOOK_S: Final = 0.01
ASK_S: Final = 0.2


@frozen(kw_only=True)
class Roll:
    """Everybody, at one moment.

    Attributes:
        ready: Everybody who should serve does.
        children: Process ids by the supervisor's own name for a child, such as ``"connector:bybit"``.
        dead: Names of those who, as the supervisor has it, are none or one that has ended; of the logger, in truth.
    """

    ready: bool
    launcher: int
    admin: int
    logger: int | None
    supervisor: int
    children: dict[str, int | None]
    dead: tuple[str, ...] = ()

    def of(self, target: Target, exchange: str) -> int | None:
        """The process of a target; None while it has none. `exchange` says which connector is meant."""
        match target:
            case Target.LAUNCHER:
                return self.launcher
            case Target.ADMIN:
                return self.admin
            case Target.LOGGER:
                return self.logger
            case Target.SUPERVISOR:
                return self.supervisor
            case Target.CONNECTOR:
                return self.children[f"connector:{exchange}"]
            case Target.OTHER:
                others = (pid for name, pid in self.children.items() if name.startswith("connector:"))
                return next((pid for pid in others if pid != self.children[f"connector:{exchange}"]), None)
        return self.children[f"{target}:{target}"]


class Census:
    """Calls rolls, on whatever tree there is. For one thread; close it."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._mark: tuple[int, int] | None = None
        self._presence: Presence | None = None
        self._system: Any = None
        self._mailbox: Mailbox | None = None

    def roll(self) -> Roll | None:
        """Who is there now; None while the supervisor cannot be reached, or somebody is just going."""
        if not self._reach():
            return None
        assert self._mailbox is not None
        assert self._presence is not None
        asked = GetTree(correlation_id=secrets.token_hex(8), deadline_s=0.0)
        self._mailbox.tell(address_from_str(self._presence.supervisor), asked, timeout_s=ASK_S)
        until_s = time.monotonic() + ASK_S
        while (left_s := until_s - time.monotonic()) > 0:
            got = self._mailbox.receive(left_s)
            if isinstance(got, TreeState) and got.correlation_id == asked.correlation_id:
                return self._of(got, self._presence.pid)
        return None

    def well(self, timeout_s: float) -> Roll | None:
        """The first roll on which everybody serves and nobody is dead; None when there was none in time."""
        until_s = time.monotonic() + timeout_s
        pause = threading.Event()
        while time.monotonic() < until_s:
            roll = self.roll()
            if roll is not None and roll.ready and not roll.dead:
                return roll
            pause.wait(LOOK_S)
        return None

    def close(self) -> None:
        """Leaves the tree; safe to call again."""
        if self._mailbox is not None:
            self._mailbox.close()
        if self._system is not None:
            detach(self._system)
        self._mailbox = self._system = self._mark = None

    def _reach(self) -> bool:
        mark = presence_mark(self._state_dir)
        if mark is not None and mark == self._mark and self._mailbox is not None:
            return True
        self.close()
        presence = read_presence(self._state_dir)
        if mark is None or presence is None:
            return False
        try:
            self._system = attach(
                presence.admin_port,
                bytes.fromhex(presence.key),
                timeout_s=ASK_S,
                base=presence.transport,
                state_dir=self._state_dir,
            )
        except NotRunningError:
            return False
        self._mailbox, self._presence, self._mark = Mailbox(self._system), presence, mark
        return True

    @staticmethod
    def _of(tree: TreeState, launcher: int) -> Roll | None:
        try:
            admin = psutil.Process(tree.pid).parent()
            below = [] if admin is None else [each for each in admin.children() if each.pid != tree.pid]
            loggers = [each.pid for each in below if each.status() != psutil.STATUS_ZOMBIE]
        except psutil.NoSuchProcess:
            return None
        if admin is None or admin.pid == launcher:
            return None
        dead = [actor.name for actor in tree.actors if actor.pid is None or not _lives(actor.pid)]
        return Roll(
            ready=tree.ready,
            launcher=launcher,
            admin=admin.pid,
            logger=loggers[0] if loggers else None,
            supervisor=tree.pid,
            children={actor.name: actor.pid for actor in tree.actors},
            dead=(*dead, *(() if loggers else ("logger",))),
        )


class Ends:
    """Watches one process from before it is hurt; a context manager."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError where there is none."""
        self._fd = os.pidfd_open(pid)

    def send(self, number: int) -> None:
        """Sends it a signal; ProcessLookupError where it has ended."""
        signal.pidfd_send_signal(self._fd, number)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended in time."""
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        return bool(poller.poll(max(0.0, timeout_s) * 1000))

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def family(mark: str) -> list[int]:
    """Every process with this text in its command line, which forks keep, wherever in the tree of processes it is."""
    found, wanted = [], mark.encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if wanted in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found
