"""What is done to workers: killed, crashed, made to leave, stopped for a while, stopped and killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal

import attrs

WAYS = ("SIGKILL", "SIGSEGV", "os._exit", "SIGSTOP and SIGCONT", "SIGSTOP and SIGKILL")
STOPPED_S = (0.5, 4.0)
PAUSE_S = (2.0, 5.0)


@attrs.define
class Hurting:
    """Plans by its own random numbers; one at a time.

    Attributes:
        done: How often what.
    """

    chance: random.Random
    due_s: float
    done: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(WAYS, 0))
    stopped: tuple[int, int, float] | None = None
    """Process id, the signal that ends its stop, and when."""

    def due(self, now_s: float) -> str:
        """Which way somebody is to be hurt now; empty when nobody is."""
        if self.stopped is not None or now_s < self.due_s:
            return ""
        self.due_s = now_s + self.chance.uniform(*PAUSE_S)
        return self.chance.choice(WAYS)

    def hurt(self, pid: int, way: str, now_s: float) -> None:
        """Do it; "os._exit" is the worker's own to do."""
        self.done[way] += 1
        if way in ("SIGKILL", "SIGSEGV"):
            _send(pid, signal.Signals[way])
        elif way.startswith("SIGSTOP"):
            _send(pid, signal.SIGSTOP)
            ending = signal.Signals[way.rpartition(" ")[2]]
            self.stopped = (pid, ending, now_s + self.chance.uniform(*STOPPED_S))

    def go_on(self, now_s: float, *, at_once: bool = False) -> int:
        """End a stop whose time has come; the process id, or 0."""
        if self.stopped is None or not (at_once or now_s >= self.stopped[2]):
            return 0
        pid, ending, _ = self.stopped
        self.stopped = None
        _send(pid, ending)
        return pid


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it died of something earlier, and its keeper has not heard yet
        os.kill(pid, number)
