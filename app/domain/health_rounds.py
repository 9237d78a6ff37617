"""Whom to ask next how it is: what each detector wants for itself, and what is missing as a proof of our network.

A detector asks for its own exchange only (`health_probing`). When another one is down, the answer of this one is wanted
as well (`network.question_s`), sooner than its own interval would have it, and without waiting for what it was asked
before, since an answer to that would prove nothing. A ban is kept to in any case. And what one exchange shows may make
it urgent to hear of the others (`tells_of_others`).
"""

from __future__ import annotations

from app.domain.health import ROUND, Detector, next_probes
from app.domain.health_settings import HealthSettings
from app.domain.network import question_s
from messages.health import HealthState, HealthView, ProbeKind

COMPARE_S = 5.0
"""Between two times that exchanges are held against each other, no sooner than something else is to be done: what that
finds has come to be over minutes."""


def due(
    detector: Detector,
    views: tuple[HealthView, ...],
    settings: HealthSettings,
    now_s: float,
    also: tuple[ProbeKind, ...] = (),
) -> tuple[tuple[ProbeKind, ...], float]:
    """Which probes an exchange is sent next, and when, never before `now_s`.

    Args:
        views: Of every exchange.
        also: What this one can be asked besides whether it is there.
    """
    kinds, due_s = next_probes(detector, settings, now_s, also)
    own = next((view for view in views if view.exchange == detector.exchange), None)
    proof_s = question_s(own, views, detector.round_s, settings) if own is not None else None
    if own is None or proof_s is None:
        return kinds, due_s
    proof_s = max(now_s, proof_s, own.banned_until_s or now_s)
    return (ROUND, proof_s) if proof_s < due_s else (kinds, due_s)


def tells_of_others(before: Detector, after: Detector) -> bool:
    """Whether what an exchange has just shown may be true of the others as well, so that they are asked soon.

    It became SUSPECT: if all fail together it is our own network. Or it is DOWN, and is heard of for the first time
    since: if our own network is back, all come back together.
    """
    was, now = before.now, after.now
    if now.state is not was.state:
        return now.state is HealthState.SUSPECT
    silent = was.last_ok_s is None or was.last_ok_s <= was.since_s
    return was.state is HealthState.DOWN and silent and now.last_ok_s != was.last_ok_s
