"""Signals that come before the daemon has its own answers to them: while Python imports, and while it is made ready.

The default would be death by signal: an exit code that says failure of what was only told to stop, and an end at SIGHUP
of a daemon that was asked to go on. So the command takes these signals as the first thing it does, and the daemon takes
them over. It forks nothing before. Only the standard library is imported here, and little of that.
"""

from __future__ import annotations

import signal
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT)


class EarlyStop(BaseException):
    """A signal said to stop before the daemon served."""


class EarlySignals:
    """What was asked for so far.

    Attributes:
        stop: The name of the signal that said to stop; empty before.
        reload: Whether the configuration is to be read again.
    """

    def __init__(self) -> None:
        self.stop = ""
        self.reload = False

    def take(self) -> None:
        """Takes the signals of this process, for its main thread; again makes no difference.

        The first that says to stop raises EarlyStop, wherever that is; a library may lose it, so `stop` is to be looked
        at too.
        """
        for number in STOPPING:
            signal.signal(number, self._stopped)
        signal.signal(signal.SIGHUP, self._reload)

    def _stopped(self, number: int, _frame: FrameType | None) -> None:
        self.stop = signal.Signals(number).name
        for each in STOPPING:
            signal.signal(each, signal.SIG_IGN)  # impatience must not end the end, nor Python's own
        raise EarlyStop

    def _reload(self, _number: int, _frame: FrameType | None) -> None:
        self.reload = True


early = EarlySignals()
"""Of this process: there is one set of signals."""
