"""What a run plays on: simulated exchanges in a process of their own, a real daemon, and a caller outside of it.

The exchanges live in another process than daemon and caller, so that nothing of the truth dies with anybody; it removes
the folder and ends when this process does, however that happens (`app.demo.keeper`).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import tomli_w

from app.core.order_router import OrderRouter
from app.demo.world import World
from app.launcher.presence import Presence, read_presence
from app.process.foreign import our_root
from tests.chaos.census import Census, family

START_TIMEOUT_S: Final = 40.0
STOP_TIMEOUT_S: Final = 15.0
ORDER_TIMEOUT_S: Final = 15.0
"""Longer than it takes to prove that an order which a dead connector may have sent never arrived, so that callers hear
what became of it. The default is longer still."""
STRATEGY: Final = "chaos"
SUPERVISION: Final = {"intensity": 1000, "period_s": 10.0}
"""Two hundred deaths in some minutes are what the usual limit (5 in 30 s) exists to end. With this one it never ends
them, and waits 5 ms at most before a restart: each death is treated like the first one of a period."""


class StageFailed(Exception):
    """The daemon did not start; one sentence."""


class Stage:
    """Exchanges, daemon, router; a context manager.

    Attributes:
        folder: Everything of this run, removed at its end.
        world: The exchanges.
        router: Attached from outside, as a bot's is.
        census: Who is which process.
    """

    def __init__(self, exchanges: Sequence[str], **sections: Mapping[str, Any]) -> None:
        """
        Args:
            sections: Of the configuration, over the stage's own.
        """
        self._names = list(exchanges)
        self._sections = sections
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def __enter__(self) -> Self:
        self.world = World(self._names)
        try:
            assert self.world.folder is not None
            self.folder: Path = self.world.folder
            self.state_dir = self.world.state_dir
            self.temporary = self.folder / "tmp"
            self.temporary.mkdir()
            self._config = self.folder / "order-router.toml"
            self._config.touch(mode=0o600)
            self._config.write_text(tomli_w.dumps(self._tables()))
            self.census = Census(self.state_dir)
            self.start()
            self.router = OrderRouter(state_dir=self.state_dir, config=self._tables(), strategy=STRATEGY)
            self.router.attach()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.router.close()
        self._leave()

    def _leave(self) -> None:
        if hasattr(self, "census"):
            self.census.close()
        try:
            self.stop()
        finally:
            self.world.close()

    # ------------------------------------------------------------------------------------------------ the daemon

    def start(self) -> float:
        """Starts the daemon, as somebody outside does. Returns the seconds from exec to READY.

        Raises:
            StageFailed: It did not say so in time.
        """
        began_s = time.monotonic()
        paths = os.pathsep.join(filter(None, [str(our_root()), os.environ.get("PYTHONPATH")]))
        with self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tests.chaos.daemon", str(self._config), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **self._secrets(), "PYTHONPATH": paths, "TMPDIR": str(self.temporary)},
                start_new_session=True,  # a Ctrl-C here is ours to handle
            )
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_TIMEOUT_S)
        line = self._process.stdout.readline() if readable else b""
        if b"ready on" not in line:
            raise StageFailed(f"The daemon did not start: {self.errors.read_text()[-1000:] or line!r}")
        self.starts += 1
        return time.monotonic() - began_s

    @property
    def errors(self) -> Path:
        """What the daemon wrote to stderr, over all its starts."""
        return self.folder / "stderr.log"

    def presence(self) -> Presence:
        """Of the daemon that runs; StageFailed where none does."""
        found = read_presence(self.state_dir)
        if found is None:
            raise StageFailed("No daemon runs.")
        return found

    @property
    def alive(self) -> bool:
        """Whether the launcher runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> float:
        """Ends the daemon as a service manager does. Returns how long that took."""
        began_s = time.monotonic()
        process = self._process
        if process is not None:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdout is not None:
                process.stdout.close()
        return time.monotonic() - began_s

    def family(self) -> list[int]:
        """Every process of the daemon, also one that nobody knows of any more."""
        return family(str(self._config))

    # ------------------------------------------------------------------------------------------------ what it is told

    def _secrets(self) -> dict[str, str]:
        return {
            _variable(name, key): fact[key] for name, fact in self.world.facts.items() for key in _KEYS if fact[key]
        }

    def secrets(self) -> tuple[str, ...]:
        """What must be found nowhere."""
        return tuple(self._secrets().values())

    def _tables(self) -> dict[str, Any]:
        tables: dict[str, Any] = {
            "router": {
                "primary_exchange": self._names[0],
                "failover_exchanges": self._names[1:],
                "state_dir": str(self.state_dir),
                "request_timeout_s": 2.0,
                "order_timeout_s": ORDER_TIMEOUT_S,
            },
            "health": {"health_check_interval": 5.0, "retry_delay": 0.2, "flap_half_life_s": 5.0},
            "logging": {"file": str(self.state_dir / "order-router.log")},
            "supervision": SUPERVISION,
            "exchanges": {name: self._account(name) for name in self._names},
        }
        for section, table in self._sections.items():
            tables[section] = {**tables.get(section, {}), **table}
        return tables

    def _account(self, name: str) -> dict[str, Any]:
        fact = self.world.facts[name]
        named = {f"{key}_env": _variable(name, key) for key in _KEYS if fact[key]}
        # What a tree that comes back is asked at once is more than an exchange's usual share for so short a time.
        return {"base_url": fact["base_url"], "rate_limit_per_s": 500, **named}


_KEYS: Final = ("api_key", "secret", "password")


def _variable(name: str, key: str) -> str:
    return f"CHAOS_{name}_{key}".upper()
