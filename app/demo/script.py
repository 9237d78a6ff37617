"""What befalls the exchange in use: first it executes without answering, then refuses connections, then is well again.

That order is the nasty one. A dead exchange is easy: nothing executes there. One that executes and hangs leaves orders
of which nobody can know, just before it can no longer be asked.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import define, field

from app.demo.scene import Scene
from app.simulator.client import ControlClient

BREAK_AT = 0.3
"""Share of the trading time at which it breaks, at the earliest."""
MEND_AT = 0.7
MEND_AT_LATEST = 0.85
HUNG_ORDERS = 4
"""Orders executed and never answered, at least, before connections are refused."""
HANG_LONGEST_S = 3.0
LEAST_ACCEPTED = 5


class Act(StrEnum):
    """Where the script is."""

    WELL = "well"
    HANGING = "hanging"
    REFUSING = "refusing"
    MENDED = "mended"


@define
class Script:
    """Performs the faults; `step` is called often and never waits for longer than a call to the exchange's control."""

    victim: str
    control: ControlClient
    act: Act = Act.WELL
    broke_s: float | None = None
    hung: int = 0
    _rule: int = field(default=0)

    def step(self, scene: Scene) -> None:
        """Does what is due.

        Raises:
            OSError, ControlError: The simulated exchange does not answer.
        """
        now_s, share = scene.now_s, scene.elapsed_s / scene.seconds
        if self.act is Act.WELL and share >= BREAK_AT and (_can_move(scene) or share >= MEND_AT):
            self._rule = self.control.fault("hang_after", call="place")
            self.act, self.broke_s = Act.HANGING, now_s
            scene.note(now_s, f"{self.victim} breaks: it executes orders and never answers", "bad")
        elif self.act is Act.HANGING and self.broke_s is not None:
            self.hung = next(rule["hits"] for rule in self.control.faults() if rule["id"] == self._rule)
            if self.hung >= HUNG_ORDERS or now_s >= self.broke_s + HANG_LONGEST_S:
                self.control.fault("refused")
                self.hung = next(rule["hits"] for rule in self.control.faults() if rule["id"] == self._rule)
                self.act = Act.REFUSING
                scene.note(now_s, f"{self.victim} is gone: it executed {self.hung} unanswered, now refuses all", "bad")
        elif self.act is Act.REFUSING:
            moved = scene.active not in (None, self.victim)
            if (moved and share >= MEND_AT) or share >= MEND_AT_LATEST:
                self.control.clear_faults()
                self.act = Act.MENDED
                scene.note(now_s, f"{self.victim} answers again")


def _can_move(scene: Scene) -> bool:
    """Trading runs, and could move to another exchange: what breaks now is a fair test."""
    others = scene.status is not None and any(backup["ready"] for backup in scene.status["readiness"])
    return others and len(scene.accepted_at) >= LEAST_ACCEPTED
