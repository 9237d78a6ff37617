"""`python -m tests.real.daemon run --config FILE`: the command as it is, which also writes down what it sends.

In it actors can be told to kill themselves within a handler, and a bug can be planted, by name, as in the harness.
Nothing is replaced: each point is before or after what the code does by itself.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, Final

from aiohttp import http_writer

from actors.connector import ConnectorActor
from actors.failover_coordinator import FailoverCoordinatorActor
from app.cli.main import main
from app.domain import calls as c
from app.exchanges.adapter import CcxtPort
from app.fuzz.record import Died, Note, Sent
from app.journal.store import Journal
from messages.supervision import Start
from tests.e2e.hooked import die_with_the_tests
from tests.fuzz.planted import PLANTED
from tests.fuzz.planted_named import NAMED
from tests.real.diary import TURNED_AWAY, Diary

FOLDER: Final = "REAL_FOLDER"
"""Names the folder of the run."""
BUG: Final = "REAL_BUG"
"""Names the bug that is planted, if any."""

_who = ""
"""Which actor this process is; empty for one that can not be told to kill itself."""
_diary: Diary | None = None
_asked: ContextVar[str] = ContextVar("asked", default="")
"""What the running task asks of the exchange: after which point it is sent."""


def trap_path(folder: Path, actor: str, point: str) -> Path:
    """While this file is there, an actor kills itself the next time it comes to a point."""
    return folder / "traps" / f"{actor}, {point}"


def write_down() -> None:
    """Has connectors write down what they send, and actors die where they are told to."""
    folder = Path(os.environ[FOLDER])

    def comes_to(point: str) -> None:
        if not _who:
            return
        try:
            trap_path(folder, _who, point).unlink()
        except FileNotFoundError:
            return
        assert _diary is not None
        _diary.add(Died(time.time(), _who, f"killed {point}"))
        os.kill(os.getpid(), signal.SIGKILL)

    def named(real: Callable[..., None]) -> Callable[..., None]:
        @wraps(real)
        def on_start(self: Any, start: Start, now_s: float) -> None:
            global _who, _diary
            _who, _diary = start.name, Diary(folder, f"actor-{start.name}")
            real(self, start, now_s)

        return on_start

    for shell in (ConnectorActor, FailoverCoordinatorActor):
        shell.on_start = named(shell.on_start)  # type: ignore[method-assign]
    for name, thing in _POINTS.items():
        setattr(Journal, name, _between(getattr(Journal, name), thing, comes_to))

    real_perform, real_write = CcxtPort.perform, http_writer.StreamWriter._write
    real_lines = http_writer.StreamWriter._writelines

    @wraps(real_perform)
    async def perform(self: CcxtPort, call: c.Call) -> c.Result:
        if isinstance(call, c.PlaceCall):
            assert _diary is not None
            sent = call.wire_id, call.quantity, call.committed_s, call.expiry_s
            _diary.add(Sent(time.time(), _who, 0, *sent))
            _asked.set("after sending a placement")
        elif isinstance(call, c.CancelCall):
            _asked.set("after sending a cancel")
        result = await real_perform(self, call)
        if isinstance(call, c.PlaceCall) and isinstance(result, c.NotExecuted):
            assert _diary is not None
            _diary.add(Note(time.time(), TURNED_AWAY, call.wire_id))
        return result

    @wraps(real_write)
    def write(self: Any, chunk: Any) -> None:
        real_write(self, chunk)
        if point := _asked.get():
            comes_to(point)

    @wraps(real_lines)
    def writelines(self: Any, chunks: Any) -> None:
        real_lines(self, chunks)
        if point := _asked.get():
            comes_to(point)

    CcxtPort.perform = perform  # type: ignore[method-assign]
    http_writer.StreamWriter._write = write  # type: ignore[method-assign]
    http_writer.StreamWriter._writelines = writelines  # type: ignore[method-assign]


_POINTS: Final = {
    "commit_intent": "the intent",
    "record": "recording",
    "record_fills": "recording",
    "fence": "the fence",
    "commit_route": "the route",
    "save_switch": "the history",
}


def _between(real: Callable[..., Any], thing: str, comes_to: Callable[[str], None]) -> Callable[..., Any]:
    recording = thing == "recording"
    before, after = f"before {thing}", f"after {thing}"

    @wraps(real)
    def write(self: Journal, *arguments: Any, **more: Any) -> Any:
        comes_to(before)
        result = real(self, *arguments, **more)
        if not recording or not self._db.in_transaction:  # what is recorded within another write is not yet written
            comes_to(after)
        return result

    return write


def plant() -> None:
    """The bug that is named, for as long as the process lives; its children are forked with it."""
    name = os.environ.get(BUG, "")
    if name:
        bug = NAMED[name].plant if name in NAMED else PLANTED[name].plant
        _planted.append(bug())
        _planted[-1].__enter__()


_planted: list[Any] = []


if __name__ == "__main__":
    die_with_the_tests()
    write_down()
    plant()
    sys.exit(main())
