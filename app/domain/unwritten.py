"""What the coordinator does while the journal takes nothing: it waits, and says so.

A step of a switch that could not be written has not been made. Dying of it would not help: whoever is started anew
meets the same full disk, dies as well, and takes the others along when the limit of restarts is reached. So the step is
given up, what the journal says is taken up again after a growing pause, and meanwhile nothing is begun.
"""

from __future__ import annotations

from attrs import define

FIRST_S = 0.5
LONGEST_S = 10.0


@define
class Unwritten:
    """Whether the journal took nothing.

    Attributes:
        words: Why it took nothing, last; empty where it does.
        again_s: When it is tried again; None where nothing is to be.
    """

    words: str = ""
    again_s: float | None = None
    _pause_s: float = FIRST_S

    @property
    def waits(self) -> bool:
        """Whether nothing is to be begun."""
        return self.again_s is not None

    def failed(self, words: str, now_s: float) -> bool:
        """The journal took nothing. Returns whether that is news."""
        news = words != self.words
        self.words, self.again_s = words, now_s + self._pause_s
        self._pause_s = min(LONGEST_S, 2 * self._pause_s)
        return news

    def due(self, now_s: float) -> bool:
        """Whether it is to be tried again now; until it fails again, nothing waits."""
        if self.again_s is None or now_s < self.again_s:
            return False
        self.again_s = None
        return True

    def written(self) -> None:
        """The journal took something."""
        self.words, self._pause_s = "", FIRST_S
