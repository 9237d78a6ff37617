"""Lines of the log to a stderr that may be a pipe which nobody empties.

A full pipe blocks who writes to it, for ever: every actor would stand in the middle of an order, be killed as one that
hangs, and so on with the next. So a line waits a moment for room, and after one that found none the next ones do
not even wait for some seconds; what is dropped is counted, and told when there is room again.

Room is asked for before each write, since making stderr non-blocking would do so for everybody who shares it. Two
processes may see the same last room; then one waits as it always did.
"""

from __future__ import annotations

import io
import json
import logging
import os
import select
import sys
import time

PIECE = select.PIPE_BUF
"""Bytes: whoever is told that there is room can write so many."""
PATIENCE_S = 0.05
HURRIED_S = 5.0
"""After there was no room: nothing is waited for."""


class StderrHandler(logging.Handler):
    """Writes each record as a line, or drops it."""

    def __init__(self) -> None:
        super().__init__()
        self._dropped = 0
        self._hurried_until_s = 0.0
        self._torn = b""

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        try:
            line = self.format(record)
        except Exception:  # logging's own way to tell of a bug in a call
            self.handleError(record)
            return
        self._write(f"{line}\n".encode(errors="backslashreplace"))

    def _write(self, line: bytes) -> None:
        stderr = sys.stderr
        try:
            fd = stderr.fileno()
        except (AttributeError, io.UnsupportedOperation, ValueError):  # none, or one of a test's own
            if stderr is not None:
                stderr.write(line.decode())
            return
        try:
            if self._dropped:
                told = {"event": "log.lines_dropped", "count": self._dropped, "level": "warning"}
                if not self._wrote(fd, self._torn + json.dumps(told).encode() + b"\n"):
                    self._dropped += 1
                    return
                self._dropped, self._torn = 0, b""
            for start in range(0, len(line), PIECE):
                if not self._wrote(fd, line[start : start + PIECE]):
                    self._dropped += 1
                    self._torn = b"\n" if start else b""
                    return
        except OSError:  # nobody can be told
            self._dropped += 1

    def _wrote(self, fd: int, piece: bytes) -> bool:
        patience_s = 0.0 if time.monotonic() < self._hurried_until_s else PATIENCE_S
        waiting = select.poll()
        waiting.register(fd, select.POLLOUT)
        if not any(event & select.POLLOUT for _, event in waiting.poll(patience_s * 1000)):
            self._hurried_until_s = time.monotonic() + HURRIED_S
            return False
        os.write(fd, piece)
        return True
