"""Marks on the way of an order, by wrapping the real components from outside: production code has no trace in it.

Used by the traced daemon (`benchmarks.traced_daemon`) and, for the client's part, by the benchmark itself. A place that
is not there any more makes this fail at once rather than measure something else.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thespian.actors import ActorSystemMessage

from benchmarks import stages
from benchmarks.stages import Mark
from messages.base import Together

VARIABLE = "BENCHMARK_MARKS"
"""Environment variable that tells the traced daemon the folder for its marks."""

_files: dict[tuple[int, Path], int] = {}


def mark(folder: Path, name: str, word: str = "", of: str = "") -> None:
    """Writes a mark to this process's file."""
    at_s = time.monotonic()
    pid = os.getpid()
    fd = _files.get((pid, folder))
    if fd is None:
        fd = _files[pid, folder] = os.open(folder / f"{pid}.marks", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.write(fd, Mark(at_s, name, word, of).line().encode())


def read_marks(folder: Path) -> list[Mark]:
    """Every mark that any process wrote."""
    return [Mark.read(line) for path in folder.glob("*.marks") for line in path.read_text().splitlines()]


def _message(folder: Path, name: str, message: Any) -> None:
    """Marks a message, or each of several that travel as one."""
    for each in message.messages if isinstance(message, Together) else (message,):
        mark(folder, name, type(each).__name__, getattr(each, "correlation_id", ""))


def _handed_over(folder: Path, message: Any) -> None:
    """Marks what the transport is given: one message, whatever travels in it."""
    parts = message.messages if isinstance(message, Together) else (message,)
    words = "+".join(type(each).__name__ for each in parts)
    of = ",".join(getattr(each, "correlation_id", "") for each in parts if hasattr(each, "correlation_id"))
    mark(folder, stages.HANDED_OVER, words, of)


def _wrap(owner: Any, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(around(original)))


def mark_daemon(folder: Path) -> None:
    """Marks the daemon's side, in this process and in all that are forked from it."""
    from actors._shell import Shell
    from app.domain.calls import PlaceCall
    from app.exchanges.adapter import CcxtPort
    from app.exchanges.client import _Fitted
    from app.exchanges.runner import LoopRunner
    from app.journal.store import Journal

    def delivered(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, message: Any, sender: Any) -> Any:
            if not isinstance(message, ActorSystemMessage):
                _message(folder, stages.DELIVERED, message)
            return original(self, message, sender)

        return call

    def sent(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, address: Any, message: Any) -> Any:
            _message(folder, stages.SENT, message)
            _handed_over(folder, message)
            return original(self, address, message)

        return call

    def both(begin: str, end: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                mark(folder, begin)
                try:
                    return original(*args, **kwargs)
                finally:
                    mark(folder, end)

            return call

        return around

    def submitted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, call_id: int, asked: Any) -> None:
            if isinstance(asked, PlaceCall):
                mark(folder, stages.SUBMITTED)
            original(self, call_id, asked)

        return call

    def performed(original: Callable[..., Any]) -> Callable[..., Any]:
        async def call(self: Any, asked: Any) -> Any:
            if not isinstance(asked, PlaceCall):
                return await original(self, asked)
            mark(folder, stages.PERFORMING)
            try:
                return await original(self, asked)
            finally:
                mark(folder, stages.PERFORMED)

        return call

    def fetched(original: Callable[..., Any]) -> Callable[..., Any]:
        async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            mark(folder, stages.FETCH)
            try:
                return await original(self, *args, **kwargs)
            finally:
                mark(folder, stages.FETCHED)

        return call

    def drained(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any) -> Any:
            taken = original(self)
            if taken:
                mark(folder, stages.DRAINED)
            return taken

        return call

    _wrap(Shell, "receiveMessage", delivered)
    _wrap(Shell, "send", sent)
    _wrap(Journal, "commit_intent", both(stages.COMMIT, stages.COMMITTED))
    _wrap(Journal, "record", both(stages.RECORD, stages.RECORDED))
    _wrap(LoopRunner, "submit", submitted)
    _wrap(LoopRunner, "drain", drained)
    _wrap(CcxtPort, "perform", performed)
    _wrap(_Fitted, "fetch", fetched)


@contextmanager
def mark_client(folder: Path) -> Iterator[None]:
    """Marks the client's mailbox in this process, until left."""
    from app.transport.mailbox import Mailbox

    def told(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, address: Any, message: Any, **kwargs: Any) -> None:
            _message(folder, stages.TOLD, message)
            _handed_over(folder, message)
            original(self, address, message, **kwargs)

        return call

    def received(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, timeout_s: float) -> Any:
            got = original(self, timeout_s)
            if got is not None:
                _message(folder, stages.RECEIVED, got)
            return got

        return call

    tell, receive = Mailbox.tell, Mailbox.receive
    _wrap(Mailbox, "tell", told)
    _wrap(Mailbox, "receive", received)
    try:
        yield
    finally:
        Mailbox.tell, Mailbox.receive = tell, receive  # type: ignore[method-assign]
