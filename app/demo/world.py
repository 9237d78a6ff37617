"""The demo's side of the keeper: starts it, knows its exchanges, and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from app.demo.keeper import FREE_TIMEOUT_S, STATE_NAME
from app.process.foreign import our_root
from app.process.parent_pipe import ParentPipe
from app.simulator.client import ControlClient

START_TIMEOUT_S = 30.0
END_TIMEOUT_S = FREE_TIMEOUT_S + 5.0


class WorldFailed(Exception):
    """The simulated exchanges did not start, or are gone; one sentence."""


class World:
    """Simulated exchanges and a private folder, in a process that ends with this one; a context manager.

    Attributes:
        folder: Removed at the end.
        state_dir: In it, for the daemon.
        facts: By exchange: base_url, control_url and credentials.
        controls: By exchange.
    """

    def __init__(self, exchanges: Sequence[str]) -> None:
        """Starts it, and waits until every exchange answers.

        Raises:
            WorldFailed: They did not start.
        """
        self._pipe = ParentPipe()
        ready_fd, told_fd = os.pipe2(os.O_CLOEXEC)
        paths = os.pathsep.join(filter(None, [str(our_root()), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "app.demo.keeper"),
                *("--parent-fd", str(self._pipe.read_fd), "--ready-fd", str(told_fd)),
                *exchanges,
            ],
            pass_fds=(self._pipe.read_fd, told_fd),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,
        )
        self.folder: Path | None = None
        try:
            os.close(told_fd)
            self._pipe.started()
            said = json.loads(_line(ready_fd))
        except BaseException:  # interrupted, too: its processes would be left running
            self.close()
            raise
        finally:
            os.close(ready_fd)
        self.folder = Path(said["folder"])
        self.state_dir = self.folder / STATE_NAME
        self.facts: Mapping[str, Mapping[str, str]] = said["exchanges"]
        self.controls = {name: ControlClient(fact["control_url"]) for name, fact in self.facts.items()}

    def close(self) -> None:
        """Ends the exchanges and removes the folder; safe to call again."""
        self._pipe.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self.folder is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self.folder)  # already gone, unless the keeper was killed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _line(fd: int) -> bytes:
    until_s = time.monotonic() + START_TIMEOUT_S
    text = b""
    while not text.endswith(b"\n"):
        readable, _, _ = select.select([fd], [], [], max(0.0, until_s - time.monotonic()))
        piece = os.read(fd, 65536) if readable else b""
        if not piece:
            why = "ended without a word" if readable else f"did not start within {START_TIMEOUT_S:g} s"
            raise WorldFailed(f"The simulated exchanges {why}.")
        text += piece
    return text
