"""A daemon of one's own, started by exec, that ends with the process that started it.

By exec and not by fork: the caller may have threads, locks and sockets that must not be doubled. The configuration goes
through an anonymous file in memory, so that secrets given in Python touch no disk and no command line.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from app.process.parent_pipe import ParentPipe

START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 10.0
ROOT = Path(__file__).resolve().parents[2]


class SpawnFailed(Exception):
    """The daemon did not start.

    Attributes:
        code: Its sysexits code.
    """

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code


class OwnDaemon:
    """A daemon that belongs to this process."""

    def __init__(self, tables: Mapping[str, Any], *, module: str = "app.launcher") -> None:
        """Starts it and waits until it serves.

        Args:
            tables: A configuration, as its TOML file would give it.
            module: What is run; another one prepares something and then runs the same.

        Raises:
            SpawnFailed: It said why it cannot start, or did not say anything in time.
        """
        self._pipe = ParentPipe()
        config_fd = os.memfd_create("order-router.toml", os.MFD_CLOEXEC)
        os.write(config_fd, tomli_w.dumps(tables).encode())
        ready_fd, told_fd = os.pipe2(os.O_CLOEXEC)
        try:
            self.process = subprocess.Popen(
                [
                    # -P: neither the caller's folder nor a script's may shadow the daemon's own packages
                    *(sys.executable, "-P", "-m", module),
                    *("--config", f"/proc/self/fd/{config_fd}"),
                    *("--parent-fd", str(self._pipe.read_fd), "--ready-fd", str(told_fd)),
                ],
                pass_fds=(config_fd, self._pipe.read_fd, told_fd),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
                },
                start_new_session=True,  # a Ctrl-C in the caller's terminal is the caller's to handle
            )
            os.close(told_fd)
            told_fd = -1
            self._pipe.started()
            self._await(ready_fd)
        except BaseException:
            self.close()
            raise
        finally:
            for fd in (config_fd, ready_fd, told_fd):
                if fd >= 0:
                    os.close(fd)

    def _await(self, fd: int) -> None:
        until_s = time.monotonic() + START_TIMEOUT_S
        text = b""
        while not text.endswith(b"\n"):
            readable, _, _ = select.select([fd], [], [], max(0.0, until_s - time.monotonic()))
            piece = os.read(fd, 65536) if readable else b""
            if not piece:
                why = "ended without a word" if readable else f"did not start within {START_TIMEOUT_S:g} s"
                raise SpawnFailed(f"The daemon {why}; its log is in the state directory.", 75)
            text += piece
        said = json.loads(text)
        if not said["ready"]:
            raise SpawnFailed(said["words"], said["code"])

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def close(self) -> None:
        """Ends it, waits for it; safe to call again."""
        self._pipe.close()
        process = getattr(self, "process", None)
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
            return
        process.kill()
        process.wait()
