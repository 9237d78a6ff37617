"""What counting in a row cannot see, kept beside the belief: error rates, latencies, and data that stands still.

The judges have rooms of their own (`health_rate`, `health_latency`, `health_stale`, and of the way there
`health_line`); here is what each is given.
Order within an instant does not matter to them, so they stand beside it, as of everything heard.

- An answer that refuses for our doing (a rate limit, a ban, credentials, the clock, a halted symbol) is neither a
  success nor a failure to them.
- Failures on our own side (a name not resolved, a network not reachable) are no share of the exchange's errors, and
  neither are those of one symbol while others' placements go through: they count for the moment (the error-rate window,
  which only makes SUSPECT) and not for what makes an exchange unfit.
- While it is DOWN, or closed, nothing is held against it, and what was is forgotten: it has been judged by that.
"""

from __future__ import annotations

from attrs import field, frozen

from app.domain.health_kinds import NO_ILLNESS, UNCOUNTED
from app.domain.health_latency import Latencies
from app.domain.health_line import UNHEARD, Line
from app.domain.health_rate import Rate
from app.domain.health_settings import HealthSettings
from app.domain.health_stale import Marks
from messages.health import Cause, Evidence


@frozen
class Judges:
    """Of one exchange."""

    rate: Rate = field(factory=Rate)
    latencies: Latencies = field(factory=Latencies)
    marks: Marks = field(factory=Marks)
    line: Line = field(factory=Line)


def judged(before: Judges, evidence: Evidence, settings: HealthSettings, *, out: bool, alone: bool) -> Judges:
    """The judges after one more piece.

    Args:
        out: The exchange was DOWN, or closed, before this instant.
        alone: Its symbol is one of which placements fail while others' go through.
    """
    rate, latencies, line = before.rate, before.latencies, before.line
    kind, ok, at_s, cause = evidence.kind, evidence.ok, evidence.at_s, evidence.cause
    marks = before.marks.seen(evidence, settings) if evidence.mark else before.marks
    if kind not in UNCOUNTED and not (ok and cause in NO_ILLNESS):
        line = line.seen(at_s, settings, lost=not ok and cause in UNHEARD)
        if out:
            rate, latencies = rate.seen(kind, ok, at_s, settings).restarted(), latencies.restarted()
        elif not ok and (cause is Cause.LOCAL or alone):
            rate = Rate(rate.window.plus(at_s, 1, 1, settings.error_window_s), rate.scores)
        else:
            rate = rate.seen(kind, ok, at_s, settings)
            latencies = latencies.seen(kind, evidence.latency_s if ok else None, at_s, settings)
    return Judges(rate, latencies, marks, line)
