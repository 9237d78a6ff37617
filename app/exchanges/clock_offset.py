"""How far an exchange's clock is from ours, out of many noisy measurements, and from an earlier life of the process.

**What a measurement is worth.** The exchange read its clock somewhere between our question and its answer, so half of
that interval bounds the error, however the delay is shared. What proves absence allows for `Proof.clock_error_s`, 0.5 s
(`app.domain.calls`): a measurement that may err by more is not used, and where there is no other, nothing is signed.

**Why an offset may be handed over.** It is a fact about two clocks, not about the process that measured it. Ours counts
from the host's boot and is never set. It may be slewed, so what it counted since the measurement is compared with the
kernel's raw clock, a crystal's alone, which is good for 100 parts in a million: 0.09 s in the quarter of an hour for
which an offset is handed over. Where the two differ by more than 0.25 s, because of a slew or of a sleep, it is not;
what they differ by counts as its error. A connector that did not die relies on its last measurement in the same way.
Handed over, it is one measurement among those of this life, the first of which is asked for before anything else: it
stands until there is one that errs less, or two that prove it wrong.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median

import structlog
from attrs import frozen

from app.process.private_file import Untrusted, read_private, write_private

log = structlog.stdlib.get_logger(__name__)

SAMPLES = 9
"""How many of the newest measurements count."""
MOST_ERROR_S = 0.5
"""What may err by more is no measurement."""
DRIFT = 5e-4
"""By which two clocks may drift apart, of the time that passes: as fast as ntpd slews one."""
SET_S = 0.05
"""Two measurements that contradict each other by more: a clock was set. Servers of one exchange differ by less."""
AGAINST = 2
"""So many in a row that contradict what is held prove it wrong: one alone may be an answer out of some cache."""
HANDED_MAX_S = 900.0
"""What was measured longer ago is not handed over."""
SLEW_MAX_S = 0.25
"""By which our clock may differ from the raw one since the measurement."""
KEEP_EVERY_S = 10.0
"""Between two writings of the newest offset."""
RAW_DRIFT = 1e-4
"""The same of the kernel's raw clock, and a crystal's."""
CLOCK_READINGS = 5
"""Of two clocks at once, at most: until nothing came between."""
AT_ONCE_S = 0.0005
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MOST_BYTES = 4096


@frozen
class Measured:
    """The exchange's clock minus ours, and by how much that may err, in seconds; `at_s` by our clock."""

    offset_s: float
    error_s: float
    at_s: float

    def error_at_s(self, now_s: float) -> float:
        """By how much it may err by now."""
        return self.error_s + DRIFT * max(0.0, now_s - self.at_s)


class ClockOffset:
    """Exchange clock minus ours, in seconds.

    Of the newest measurements those count whose error is bound about as closely as the best one's, and of these the
    median.

    Attributes:
        known: It was measured, or handed over.
        contradicted: The newest measurement says otherwise than what is held, and has not replaced it.
    """

    def __init__(self, most_error_s: float = MOST_ERROR_S) -> None:
        """
        Args:
            most_error_s: What a measurement may err by.
        """
        self._most_error_s = most_error_s
        self._samples: deque[Measured] = deque(maxlen=SAMPLES)
        self._held = Measured(0.0, 0.0, 0.0)
        self._against = 0
        self.known = False
        self.contradicted = False

    @property
    def value_s(self) -> float:
        """0 while unknown."""
        return self._held.offset_s

    @property
    def held(self) -> Measured | None:
        """The value, what it may err by, and as of when; None while unknown."""
        return self._held if self.known else None

    def hand_over(self, handed: Measured) -> None:
        """Takes what an earlier life measured, unless this one has measured already."""
        if not self._samples and handed.error_s <= self._most_error_s:
            self._take(handed)

    def doubt(self) -> None:
        """The exchange refuses our time: the next measurement that contradicts what is held proves it wrong alone."""
        self._against = max(self._against, AGAINST - 1)

    def measured(self, sent_s: float, server_s: float, answered_s: float, *, resolution_s: float = 0.0) -> float | None:
        """Takes in one measurement and returns its own offset; None where it took too long to tell anything.

        Args:
            sent_s: When we asked, by our clock.
            server_s: What the exchange's clock showed.
            answered_s: When the answer was here, by our clock.
            resolution_s: What the exchange's clock was cut down to: it showed up to so much more.
        """
        middle_s, error_s = (sent_s + answered_s) / 2, (answered_s - sent_s) / 2
        new = Measured(server_s + resolution_s / 2 - middle_s, error_s + resolution_s / 2, answered_s)
        apart_s = abs(new.offset_s - self._held.offset_s)
        if self.known and apart_s > new.error_s + self._held.error_at_s(answered_s) + SET_S:
            self._against += 1
            if self._against < AGAINST:
                self.contradicted = True
                return new.offset_s if new.error_s <= self._most_error_s else None
            self._samples.clear()
            self._held, self.known = Measured(0.0, 0.0, 0.0), False
        self._against, self.contradicted = 0, False
        if new.error_s > self._most_error_s:
            return None
        self._take(new)
        return new.offset_s

    def _take(self, new: Measured) -> None:
        self._samples.append(new)
        errors = [(each.error_at_s(new.at_s), each.offset_s) for each in self._samples]
        limit_s = 2 * min(errors)[0] + 0.001
        close = [(error_s, offset_s) for error_s, offset_s in errors if error_s <= limit_s]
        self._held = Measured(median(offset_s for _, offset_s in close), max(close)[0], new.at_s)
        self.known = True


class OffsetFile:
    """Where the offset of one exchange waits for the next life of its connector.

    It is kept against the time since boot, so that it also holds for a daemon that anchored its clock at another date.
    """

    def __init__(self, path: Path, *, exchange: str) -> None:
        self._path = path
        self._exchange = exchange
        self._written_s = -KEEP_EVERY_S

    def read(self, clock: Callable[[], float]) -> Measured | None:
        """The offset against a clock, as of now, where one can be relied on."""
        try:
            content = read_private(self._path, MOST_BYTES)
            if content is None:
                return None
            found = json.loads(content)
            then_s, then_raw_s = float(found["boot_s"]), float(found["raw_s"])
            server_minus_boot_s, error_s = float(found["server_minus_boot_s"]), float(found["error_s"])
            same_boot = found["boot"] == _boot()
        except Untrusted as error:
            log.warning("clock.not_handed_over", exchange=self._exchange, words=str(error))
            return None
        except (ValueError, TypeError, KeyError, RecursionError):
            log.warning("clock.not_handed_over", exchange=self._exchange, words=f"{self._path} is damaged.")
            return None
        boot_s = _boot_s()
        since_s = boot_s - then_s
        slewed_s = abs(since_s - (_raw_s() - then_raw_s))
        if not same_boot or not 0 <= since_s <= HANDED_MAX_S or not slewed_s <= SLEW_MAX_S or not error_s >= 0:
            return None
        ours_minus_boot_s, apart_s = _minus_boot(clock)
        error_s += slewed_s + RAW_DRIFT * since_s + apart_s
        return Measured(server_minus_boot_s - ours_minus_boot_s, error_s, boot_s + ours_minus_boot_s)

    def write(self, held: Measured, clock: Callable[[], float]) -> None:
        """Keeps it, at most every ten seconds. That it cannot be kept is logged, and changes nothing else."""
        boot_s = _boot_s()
        if boot_s < self._written_s + KEEP_EVERY_S:
            return
        self._written_s = boot_s
        ours_minus_boot_s, apart_s = _minus_boot(clock)
        kept = {
            "boot": _boot(),
            "boot_s": boot_s,
            "raw_s": _raw_s(),
            "server_minus_boot_s": held.offset_s + ours_minus_boot_s,
            "error_s": held.error_at_s(boot_s + ours_minus_boot_s) + apart_s,
        }
        try:
            write_private(self._path, json.dumps(kept).encode())
        except Untrusted as error:
            log.warning("clock.not_kept", exchange=self._exchange, words=str(error))


def _minus_boot(clock: Callable[[], float]) -> tuple[float, float]:
    """A clock minus the time since boot, and by how much that may err: two clocks are not read at once."""
    readings = []
    for _ in range(CLOCK_READINGS):
        before_s, ours_s, after_s = _boot_s(), clock(), _boot_s()
        readings.append(((after_s - before_s) / 2, ours_s - (before_s + after_s) / 2))
        if after_s - before_s <= AT_ONCE_S:
            break
    apart_s, minus_boot_s = min(readings)
    return minus_boot_s, apart_s


def _boot() -> str:
    return BOOT_ID.read_text().strip()


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _raw_s() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
