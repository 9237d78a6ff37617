"""The real command in real processes."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from app.cli.main import main
from app.process.foreign import our_root

ROOT = our_root()
COMMAND = [sys.executable, "-P", str(ROOT / "app" / "cli" / "order-router")]
DEADLINE_S = 90


def environment(home: Path, **more: str) -> dict[str, str]:
    """Ours, with no configuration to be found but what the test gives, and temporary files in the test's own folder."""
    kept = {name: value for name, value in os.environ.items() if name not in ("ORDER_ROUTER_CONFIG", "NO_COLOR")}
    folders = {"HOME": home, "XDG_CONFIG_HOME": home / "config", "XDG_STATE_HOME": home / "state", "TMPDIR": home}
    return {**kept, **{name: str(path) for name, path in folders.items()}, "PYTHONPATH": str(ROOT), **more}


def order_router(
    *arguments: str | Path, home: Path, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs `order-router ARGUMENTS` to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment(home, **(more or {})),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def within(*arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    """The same in this process, which costs no start of Python, for a command that only reads and ends."""
    out, err, given = io.StringIO(), io.StringIO(), [str(each) for each in arguments]
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment(home))
    try:
        with contextlib.chdir(home), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(given)
    finally:
        os.environ.clear()
        os.environ.update(kept)
    return subprocess.CompletedProcess(given, code, out.getvalue(), err.getvalue())


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence it ended with, which must be all it printed."""
    assert done.stdout == "", done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("order-router: ")
    assert lines[0].endswith((".", "?")), lines[0]
    return lines[0]


class Running:
    """`order-router ARGUMENTS` while it runs; a context manager that kills it, should it still run."""

    def __init__(self, *arguments: str | Path, home: Path) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            env=environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(home / "stderr.log").open("w"),
            text=True,
            start_new_session=True,
        )
        self._log = home / "stderr.log"

    def line(self) -> str:
        """The next line of its stdout; empty at its end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def line_with(self, words: str) -> str:
        """The next line that holds these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if words in line:
                return line.rstrip("\n")
        raise AssertionError(f"no line with {words!r}; stderr: {self.log()}")

    def log(self) -> str:
        """Its stderr so far."""
        return self._log.read_text()

    def tree(self) -> list[psutil.Process]:
        """It and every process below it."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def end(self, number: signal.Signals | None = None, *, whole_group: bool = False) -> int:
        """Its exit code, after the signal if one is given: to it alone, or to its group, as a terminal's Ctrl-C is."""
        if number is not None and whole_group:
            os.killpg(self.process.pid, number)
        elif number is not None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
