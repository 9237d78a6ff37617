"""How far an exchange's clock is from ours, out of many noisy measurements."""

from __future__ import annotations

from collections import deque
from statistics import median

SAMPLES = 9
"""How many of the newest measurements count."""


class ClockOffset:
    """Exchange clock minus ours, in seconds.

    Each measurement is corrected by half its round trip. Of the newest ones, those with the shorter round trips count,
    since their correction errs least, and of these the median.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        self.value_s = 0.0

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
        self.value_s = median(value for _, value in best)
        return offset
