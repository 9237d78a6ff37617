"""Whether somebody who is asked for a sign of life still gives one: the rule, without the asking.

Asked each `heartbeat_s` after the last answer; who owes one for `timeout_s` has hung. What is owed counts from the
question and not from the last answer, so that an asker that was itself stopped for a while blames nobody for it. One
that was stopped after it had asked may have the answer before it, unread: it lets the wait begin anew, once.
"""

from __future__ import annotations

from attrs import define


@define
class Pulse:
    """One who is asked.

    Attributes:
        heartbeat_s: Between an answer and the next question, in seconds.
        timeout_s: How long an answer may be owed.
    """

    heartbeat_s: float
    timeout_s: float
    _heard_s: float = 0.0
    _asked_s: float | None = None
    _looked_s: float | None = None
    _forgiven: bool = False

    def begin(self, now_s: float) -> None:
        """Nothing is owed yet."""
        self.heard(now_s)
        self._looked_s = None

    def due(self, now_s: float) -> bool:
        """Whether to ask now; who is told so has asked."""
        if self._asked_s is not None or now_s < self._heard_s + self.heartbeat_s:
            return False
        self._asked_s = now_s
        return True

    @property
    def waits(self) -> bool:
        """Whether an answer is owed."""
        return self._asked_s is not None

    def heard(self, now_s: float) -> None:
        """An answer."""
        self._heard_s, self._asked_s, self._forgiven = now_s, None, False

    def silent(self, now_s: float) -> bool:
        """Whether an answer has been owed for too long. To be asked often: who is not was away."""
        away = self._looked_s is not None and now_s > self._looked_s + self.timeout_s / 2
        self._looked_s = now_s
        if away and self._asked_s is not None and not self._forgiven:
            self._asked_s, self._forgiven = now_s, True
        return self._asked_s is not None and now_s >= self._asked_s + self.timeout_s
