"""Time as a value that is passed in: the pure core takes `now`, the shells ask a `Clock`.

Two readings, because they answer different questions. `now_s` never jumps and is the one to subtract (time-outs,
latencies, ages); `wall_ms` is the date that exchanges, files and people understand, and may step.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """A source of time; tests pass their own."""

    def now_s(self) -> float:
        """Monotonic seconds from an arbitrary zero; comparable between the processes of one host until it restarts."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC as this host believes; not monotonic."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def now_s(self) -> float:
        """Monotonic seconds (CLOCK_MONOTONIC: it stands still while the host sleeps)."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000


class AnchoredClock:
    """Unix seconds that never jump: the date read once, when the daemon starts, and from then on the time since boot.

    Every process of a daemon, and every process attached to it, uses the same anchor, so their times compare exactly,
    and a step of the system's date moves no deadline and no expiry. What the date drifts from an exchange's is measured
    against the exchange, as any clock offset is.
    """

    def __init__(self, anchor_s: float | None = None) -> None:
        """Takes the daemon's anchor, or, for the daemon itself, makes one."""
        self.anchor_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) if anchor_s is None else anchor_s

    def __call__(self) -> float:
        """Unix seconds; CLOCK_BOOTTIME counts on while the host sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) + self.anchor_s
