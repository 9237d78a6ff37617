"""Telling systemd how the daemon is: the protocol of sd_notify(3), which is one datagram of text.

The library that comes with systemd is a C dependency for twenty lines. Nothing here waits or fails: where nobody asked
to be told, or nobody listens, the daemon runs as well without.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Final

VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
MAX_STATUS_CHARS: Final = 512


class Notifier:
    """Speaks for the process that made it; in a process forked from it every call does nothing.

    What could not be handed over, because systemd was too busy to empty its socket, goes with the next call. So a lost
    `ready` is made good by the first `watchdog`.

    Attributes:
        watchdog_interval_s: How often to call `watchdog`: half of what systemd allows, as sd_watchdog_enabled(3)
            recommends. None where it does not ask.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Takes what systemd left in the environment out of it, so that no child takes it for its own."""
        found = {name: environ.pop(name, "") for name in VARIABLES}
        self._pid = os.getpid()
        self._address = _address(found["NOTIFY_SOCKET"])
        self._owed: dict[str, str] = {}
        self._lengthened = False
        self.watchdog_interval_s = _interval_s(found["WATCHDOG_USEC"], found["WATCHDOG_PID"], self._pid)

    def ready(self, status: str) -> None:
        """The daemon serves, or serves again after `reloading`; `status` is what `systemctl status` shows."""
        self._owed.pop("RELOADING", None)
        self._owed.pop("MONOTONIC_USEC", None)
        self._send({"READY": "1", "STATUS": _line(status), **self._watchdog_again()})

    def status(self, text: str) -> None:
        """How it goes, in a few words for people."""
        self._send({"STATUS": _line(text)})

    def reloading(self) -> None:
        """The configuration is being read again; `ready` ends that, and systemd waits for it."""
        # The time is what `Type=notify-reload` asks for: it tells this reload from an earlier one.
        self._owed.pop("READY", None)
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send({"RELOADING": "1", "MONOTONIC_USEC": str(now_us)})

    def starting(self, within_s: float) -> None:
        """The daemon starts, and has an answer by then: patience is asked for."""
        self._send(_more_time(within_s))

    def starting_anew(self, within_s: float) -> None:
        """A daemon that served starts its actors anew, and serves or has given up by then.

        Nothing can be said to be well meanwhile, and EXTEND_TIMEOUT_USEC does nothing for the watchdog, which has run
        since `ready`: so that one is given more time too, until the next `ready`.
        """
        more_us = {}
        if self.watchdog_interval_s is not None:
            self._lengthened = True
            more_us["WATCHDOG_USEC"] = _us(max(within_s, 2 * self.watchdog_interval_s))
        self._send({**_more_time(within_s), **more_us})

    def stopping(self, within_s: float) -> None:
        """The daemon ends, on purpose, by then."""
        self._owed.clear()
        self._send({"STOPPING": "1", **_more_time(within_s)})

    def watchdog(self) -> None:
        """Still well. To be said by the loop that would stop if something hung, and by no thread of its own."""
        self._send({"WATCHDOG": "1"})

    def _watchdog_again(self) -> dict[str, str]:
        if not self._lengthened or self.watchdog_interval_s is None:
            return {}
        self._lengthened = False
        return {"WATCHDOG_USEC": _us(2 * self.watchdog_interval_s)}

    def _send(self, assignments: dict[str, str]) -> None:
        if self._address is None or os.getpid() != self._pid:
            return
        self._owed |= assignments
        text = "\n".join(f"{name}={value}" for name, value in self._owed.items())
        try:
            # A socket for each datagram: one that is kept would be inherited by every actor.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError:
            return  # nobody there, or no room: whoever watches over us decides by what does not come
        self._owed.clear()


def _address(named: str) -> str | None:
    """A path, or the name of an abstract socket; other kinds (vsock, for virtual machines) are not spoken here."""
    if named.startswith("@") and len(named) > 1:
        return "\0" + named[1:]
    return named if named.startswith("/") else None


def _interval_s(allowed_us: str, pid: str, our_pid: int) -> float | None:
    # The pid is missing where a container's runtime hands the variables on.
    if not allowed_us.isdecimal() or int(allowed_us) == 0 or (pid and pid != str(our_pid)):
        return None
    return int(allowed_us) / 1_000_000 / 2


def _more_time(seconds: float) -> dict[str, str]:
    """Only ever lengthens what the unit grants, so a unit that grants more is not cut short."""
    return {"EXTEND_TIMEOUT_USEC": _us(seconds)}


def _us(seconds: float) -> str:
    return str(int(seconds * 1_000_000))


def _line(text: str) -> str:
    """`text` as one line: a newline would begin another assignment."""
    return " ".join(text.split())[:MAX_STATUS_CHARS]
