"""How far an exchange's clock is from ours, out of many noisy measurements, and from an earlier life of the process.

**Why an offset may be handed over.** It is a fact about two clocks, not about the process that measured it. Ours counts
from the host's boot and is never set. It may be slewed, so what it counted since the measurement is compared with the
kernel's raw clock, a crystal's alone, which is good for 100 parts in a million: 0.09 s in the quarter of an hour for
which an offset is handed over. Where the two differ by more than 0.25 s, because of a slew or of a sleep, it is not.
Together that stays within what every proof allows for (`Proof.clock_error_s`, 0.5 s). A connector that did not die
relies on its last measurement in the same way. The first measurement of this life replaces what was handed over, and is
asked for before anything else.
"""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from statistics import median

import structlog

from app.process.private_file import Untrusted, read_private, write_private

log = structlog.stdlib.get_logger(__name__)

SAMPLES = 9
"""How many of the newest measurements count."""
HANDED_MAX_S = 900.0
"""What was measured longer ago is not handed over."""
SLEW_MAX_S = 0.25
"""By which our clock may differ from the raw one since the measurement."""
KEEP_EVERY_S = 10.0
"""Between two writings of the newest offset."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MOST_BYTES = 4096


class ClockOffset:
    """Exchange clock minus ours, in seconds.

    Each measurement is corrected by half its round trip. Of the newest ones, those with the shorter round trips count,
    since their correction errs least, and of these the median.

    Attributes:
        value_s: 0 while unknown.
        known: It was measured, or handed over.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self.value_s = 0.0
        self.known = False

    @property
    def measured_here(self) -> int:
        """How many measurements of this process count."""
        return len(self._samples)

    def hand_over(self, value_s: float) -> None:
        """Takes what an earlier life measured, unless this one has measured already."""
        if not self._samples:
            self.value_s, self.known = value_s, True

    def measured(self, sent_s: float, server_s: float, answered_s: float) -> float:
        """Takes in one measurement and returns its own offset.

        Args:
            sent_s: When we asked, by our clock.
            server_s: What the exchange's clock showed.
            answered_s: When the answer was here, by our clock.
        """
        offset = server_s - (sent_s + answered_s) / 2
        self._samples.append((answered_s - sent_s, offset))
        best = sorted(self._samples)[: len(self._samples) // 2 + 1]
        self.value_s, self.known = median(value for _, value in best), True
        return offset


class OffsetFile:
    """Where the offset of one exchange waits for the next life of its connector.

    It is kept against the time since boot, so that it also holds for a daemon that anchored its clock at another date.
    """

    def __init__(self, path: Path, *, exchange: str) -> None:
        self._path = path
        self._exchange = exchange
        self._written_s = -KEEP_EVERY_S

    def read(self, now_s: float) -> float | None:
        """The offset against the clock that shows `now_s`, where one can be relied on."""
        try:
            content = read_private(self._path, MOST_BYTES)
            if content is None:
                return None
            found = json.loads(content)
            then_s, then_raw_s = float(found["boot_s"]), float(found["raw_s"])
            server_minus_boot_s = float(found["server_minus_boot_s"])
            same_boot = found["boot"] == _boot()
        except Untrusted as error:
            log.warning("clock.not_handed_over", exchange=self._exchange, words=str(error))
            return None
        except (ValueError, TypeError, KeyError, RecursionError):
            log.warning("clock.not_handed_over", exchange=self._exchange, words=f"{self._path} is damaged.")
            return None
        boot_s = _boot_s()
        since_s = boot_s - then_s
        if not same_boot or not 0 <= since_s <= HANDED_MAX_S or abs(since_s - (_raw_s() - then_raw_s)) > SLEW_MAX_S:
            return None
        return server_minus_boot_s - (now_s - boot_s)

    def write(self, offset_s: float, now_s: float) -> None:
        """Keeps it, at most every ten seconds. That it cannot be kept is logged, and changes nothing else."""
        boot_s = _boot_s()
        if boot_s < self._written_s + KEEP_EVERY_S:
            return
        self._written_s = boot_s
        kept = {"boot": _boot(), "boot_s": boot_s, "raw_s": _raw_s(), "server_minus_boot_s": offset_s + now_s - boot_s}
        try:
            write_private(self._path, json.dumps(kept).encode())
        except Untrusted as error:
            log.warning("clock.not_kept", exchange=self._exchange, words=str(error))


def _boot() -> str:
    return BOOT_ID.read_text().strip()


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _raw_s() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
