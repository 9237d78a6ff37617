"""Time as a value that is passed in: the pure core takes `now_s`, the shells ask the clock."""

from __future__ import annotations

import time


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
