"""The health monitor's witnesses: a thin shell that connects as `app.domain.witnesses` says, and hears what came of it.

No threads and no names: the connects are made beside the actor by what the environment gives it, and told by one file
descriptor, or by the next tick.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from attrs import define, field

from actors.environment import Connects
from app.domain.witnesses import Witnesses
from messages.health import HealthView, Witness

log = structlog.get_logger()


@define
class Asking:
    """Connects under way."""

    witnesses: Witnesses
    connects: Connects
    _asked_s: float = field(init=False, default=0.0)

    @property
    def told(self) -> tuple[Witness, ...]:
        """What was last heard of each."""
        return self.witnesses.told

    def turn(self, views: tuple[HealthView, ...], now_s: float) -> None:
        """Hears what has come, gives up what is late, and begins a round that is due."""
        self._hear(self.connects.ended())
        for target, asked_s, words in self.witnesses.late(now_s):
            self.connects.abandon(target)
            self._note(target, words, asked_s)
        due_s = self.witnesses.due_s(views, now_s)
        if due_s is not None and now_s >= due_s:
            self._asked_s = now_s
            for target in self.witnesses.begin(views, now_s):
                self.connects.begin(target)
            self._hear(self.connects.ended())  # some end at once

    def next_s(self, views: tuple[HealthView, ...], now_s: float) -> float | None:
        """When there is something to do by time alone."""
        moments = self.witnesses.due_s(views, now_s), self.witnesses.late_s()
        return min((at_s for at_s in moments if at_s is not None), default=None)

    def _hear(self, ended: Iterable[tuple[str, str]]) -> None:
        for target, words in ended:
            self._note(target, words, self._asked_s)

    def _note(self, target: str, words: str, asked_s: float) -> None:
        if self.witnesses.heard(target, words, asked_s=asked_s):
            if words:
                log.warning("health.witness_not_reached", target=target, words=words)
            else:
                log.info("health.witness_reached", target=target)
