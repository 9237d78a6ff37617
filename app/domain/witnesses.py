"""Addresses that have nothing to do with the exchanges: when they are asked to let us connect, and what they say.

They are somebody else's, so they are asked seldom: each minute, so that one that is of no use is known before it is
needed, and when an exchange falls ill, since only an answer from after that proves anything (`app.domain.network`).
While a proof is missing they are asked again, `retry_delay_s` after the last round and then twice as rarely each time,
up to `health_check_interval_s`. All are asked together; one that does not answer within `probe_timeout_s` does not let
us connect. A round that began before something fell ill is not waited for.
"""

from __future__ import annotations

from attrs import define, field

from app.domain.health_settings import HealthSettings
from app.domain.network import ILL, missing
from messages.health import HealthView, Witness

IDLE_S = 60.0
"""Between two rounds while nothing is ill: soon enough known that one is of no use, and no burden to anybody."""


@define
class Witnesses:
    """What is known of each. Whoever connects asks `due_s` when, `begin` whom, and says by `heard` what came of it."""

    targets: tuple[str, ...]
    settings: HealthSettings
    _told: dict[str, Witness] = field(init=False, factory=dict)
    _asked: dict[str, float] = field(init=False, factory=dict)
    _round_s: float | None = field(init=False, default=None)
    _rounds: int = field(init=False, default=0)

    @property
    def told(self) -> tuple[Witness, ...]:
        """The newest answer of each that was asked, in their order."""
        return tuple(self._told[target] for target in self.targets if target in self._told)

    def due_s(self, views: tuple[HealthView, ...], now_s: float) -> float | None:
        """When the next round begins; None where there is nobody to ask."""
        if not self.targets:
            return None
        if self._round_s is None:
            return now_s
        trouble_s = max((view.since_s for view in views if view.health in ILL), default=None)
        if trouble_s is not None and trouble_s > self._round_s:
            return trouble_s
        wait_s = IDLE_S
        if missing(views, self.told, now_s, self.settings):
            longest_s = max(self.settings.health_check_interval_s, self.settings.retry_delay_s)
            wait_s = min(longest_s, self.settings.retry_delay_s * 2.0 ** min(max(0, self._rounds - 1), 16))
        return max((self._round_s + wait_s, *(self._late_s(target) for target in self._asked)))

    def begin(self, views: tuple[HealthView, ...], now_s: float) -> tuple[str, ...]:
        """A round begins: whom to ask. What was asked before and has not been answered is not waited for any more."""
        again = missing(views, self.told, now_s, self.settings)
        self._rounds = self._rounds + 1 if again else 0
        self._round_s = now_s
        self._asked = dict.fromkeys(self.targets, now_s)
        return self.targets

    def heard(self, target: str, words: str, *, asked_s: float) -> bool:
        """One has let us connect, or not, for the reason in `words`. Whether it says otherwise than before."""
        if self._asked.get(target) != asked_s:
            return False  # of a round that is not waited for any more
        del self._asked[target]
        before = self._told.get(target)
        turned = before is None or before.ok is bool(words)
        since_s = asked_s if before is None or turned else before.since_s
        silent_s = since_s if words else None if before is None else before.silent_s
        self._told[target] = Witness(
            target=target,
            ok=not words,
            at_s=asked_s,
            words=words,
            since_s=since_s,
            silent_s=silent_s,
            good=not words or (before is not None and before.good),
        )
        return turned

    def late(self, now_s: float) -> tuple[tuple[str, float, str], ...]:
        """Who has not answered in time, when it was asked, and that in words: for `heard`."""
        words = f"no answer within {self.settings.probe_timeout_s:g} s"
        return tuple((each, asked_s, words) for each, asked_s in self._asked.items() if now_s >= self._late_s(each))

    def late_s(self) -> float | None:
        """When the next one will be too late."""
        return min((self._late_s(target) for target in self._asked), default=None)

    def _late_s(self, target: str) -> float:
        return self._asked[target] + self.settings.probe_timeout_s
