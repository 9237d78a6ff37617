"""`order-router run` as systemd runs it, with places to make it hang, on a world's exchanges."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import tomli_w

from app.core.order_router import OrderRouter
from tests.e2e.hooked import PARENT, VARIABLE
from tests.e2e.world import PATIENCE_S, World, environment, settled, tree


class Daemon:
    """A daemon of its own process; a context manager that kills it, should it still run.

    It dies with the process that made it: tests that are killed leave none behind. To be made by the main thread, since
    the kernel ties that to the thread.
    """

    def __init__(
        self,
        world: World,
        folder: Path,
        *,
        watchdog_s: float | None = None,
        environ: Mapping[str, str] | None = None,
        module: str = "tests.e2e.hooked",
        **tables: Mapping[str, Any],
    ):
        """
        Args:
            watchdog_s: As the unit's WatchdogSec; None where it has none.
            environ: More variables.
            module: What is run, with the command's own arguments.
            tables: Over those of the world, by section.
        """
        self._world = world
        self.folder = folder
        self.config = folder / "order-router.toml"
        self.hooks = folder / "hooks"
        self.hooks.mkdir()
        self._systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._systemd.bind(str(folder / "notify"))
        self._said: list[dict[str, str]] = []
        self.write(**tables)
        watchdog = {} if watchdog_s is None else {"WATCHDOG_USEC": str(int(watchdog_s * 1_000_000))}
        self._stderr = (folder / "stderr.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, "run", "--config", str(self.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env={
                **environment(),
                **watchdog,
                **(environ or {}),
                VARIABLE: str(self.hooks),
                PARENT: str(os.getpid()),
                "NOTIFY_SOCKET": str(folder / "notify"),
            },
            start_new_session=True,
        )

    def write(self, **tables: Mapping[str, Any]) -> None:
        """The configuration, anew."""
        written = self._world.tables()
        written["router"]["state_dir"] = str(self._world.state_dir)
        for section, table in tables.items():
            written[section] = {**written.get(section, {}), **table}
        self.config.write_text(tomli_w.dumps(written))
        self.config.chmod(0o600)

    def serves(self) -> None:
        """Waits until it says so."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "ready on" in line, f"{line!r}; {(self.folder / 'stderr.log').read_text()}"

    @contextmanager
    def router(self, *, well: bool = True, **arguments: Any) -> Iterator[OrderRouter]:
        """A router attached to it, with every exchange well and the backups ready, unless that cannot be waited for."""
        with_config = self._world.router(config=str(self.config), **arguments)
        with_config.attach()
        try:
            if well:
                settled(with_config, self._world.names)
            yield with_config
        finally:
            with_config.close()

    # ---- what it says ------------------------------------------------------------------------------------------------

    def said(self) -> list[dict[str, str]]:
        """Everything that systemd was told so far, a datagram each."""
        while select.select([self._systemd], [], [], 0)[0]:
            lines = self._systemd.recv(65536).decode().splitlines()
            self._said.append(dict(line.split("=", 1) for line in lines))
        return self._said

    def fed(self) -> int:
        """How often the watchdog was fed."""
        return sum("WATCHDOG" in each for each in self.said())

    def statuses(self) -> list[str]:
        """STATUS, each time."""
        return [each["STATUS"] for each in self.said() if "STATUS" in each]

    def log(self) -> list[dict[str, Any]]:
        """Its log so far."""
        lines = (self.folder / "stderr.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Of the log, those of a name."""
        return [event for event in self.log() if event["event"] == name]

    # ---- what is done to it ------------------------------------------------------------------------------------------

    def set(self, hook: str) -> None:
        """Arms a place."""
        (self.hooks / hook).touch()

    def armed(self, hook: str) -> bool:
        """Whether it has not acted yet."""
        return (self.hooks / hook).exists()

    def unset(self, hook: str) -> None:
        """Disarms it."""
        (self.hooks / hook).unlink()

    def tree(self) -> list[psutil.Process]:
        """It and everything under it."""
        return tree(self.process.pid)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Its exit code after a signal, and how long that took, in seconds."""
        began_s = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(4 * PATIENCE_S)
        return code, time.monotonic() - began_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._stderr.close()
        self._systemd.close()


def stopped(pid: int) -> bool:
    """Whether a process is stopped."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def file_mode(path: Path) -> int:
    """Its permissions."""
    return os.stat(path).st_mode & 0o777
