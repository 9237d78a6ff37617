"""The failure detector's state: what is believed of one exchange, the newest instant, and the probes under way."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from app.domain.health_belief import Belief
from app.domain.health_evidence import Instant
from app.domain.health_judges import Judges
from messages.health import HealthState, ProbeKind


@frozen(kw_only=True)
class Detector:
    """All that is known of one exchange's health.

    Attributes:
        settled: As of before the newest instant, from which the instant is judged anew when more of it arrives.
        now: As of the newest instant.
        isolated: Why a person keeps it out, since `isolated_s`; empty where nobody does.
        judges: What counting in a row cannot see, as of everything heard.
        stale: What has stopped moving there, compared with other exchanges; empty where nothing has.
        slow: That it is slow just now while another exchange is, too; or empty.
        errors: Why it is unfit for its error rate, as of when the exchanges were last held against each other.
        proving: How its own test stands while another one is that (`health_better`); `no_better`: what that says.
        asked_s: When each kind of probe was last sent, while it is in flight.
        last_s: When each kind that is not of a round was last sent.
        round_s: When the last round was sent; None before the first.
        confirm_s: When the last round was sent that was to confirm a candidate.
        hurry: The next round is wanted soon, since another exchange is SUSPECT.
        draw: Between 0 and 1: by how much the pause after the last round is shorter or longer than set; likewise
            `last_draw` after the last probe that is not of a round.
        down_rounds: Rounds sent since the exchange is DOWN, or closed, and last answered: they grow rarer.
    """

    exchange: str
    settled: Belief
    now: Belief
    instant: Instant | None = None
    isolated: str = ""
    isolated_s: float = 0.0
    judges: Judges = field(factory=Judges)
    stale: str = ""
    slow: str = ""
    errors: str = ""
    proving: float | None = None
    no_better: str = ""
    asked_s: Mapping[ProbeKind, float] = field(factory=dict)
    last_s: Mapping[ProbeKind, float] = field(factory=dict)
    round_s: float | None = None
    confirm_s: float | None = None
    hurry: bool = False
    draw: float = 0.5
    last_draw: float = 0.5
    down_rounds: int = 0

    @property
    def state(self) -> HealthState:
        """What others are to go by now."""
        return HealthState.ISOLATED if self.isolated else self.now.state
