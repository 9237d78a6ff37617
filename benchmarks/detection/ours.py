"""The router's own detector in the bench: the real pure machines, and around them no more than the shells do.

`app.domain.health` gets the evidence that connectors and probes give, and is asked what to send next, as the health
monitor does it (`health_rounds`). Where to trade is decided by the coordinator's own rules: `leaving` says why, where
to and when, `network` whether it is our own network, and `failback` when the first exchange is used again, which is
`failback = "auto"` here. What is left out is what this bench has no part for: a backup always passes its pre-flight,
and a switch takes no time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import asdict

from app.domain import health
from app.domain.failback import hold_down_s
from app.domain.health import HealthSettings
from app.domain.health_rounds import COMPARE_S, due, tells_of_others
from app.domain.leaving import Candidate, Leave, Why, best_first, calm_until_s, may_not, why_leave
from app.domain.network import judge
from app.domain.saga_effects import FailoverSettings
from app.domain.saga_state import PAST
from benchmarks.detection.world import EXCHANGES, Answer, Effect, drawn
from messages.failover import Readiness, Switch, SwitchResult
from messages.health import Cause, Evidence, EvidenceKind, HealthState, HealthView, NetworkState, ProbeKind, Waiting

HERE: Final = range(len(EXCHANGES))
LOOK_S: Final = 0.5
"""So often at least it is looked at whether an exchange that answers is unfit."""

QUICK: Final = HealthSettings(health_check_interval_s=2.0, max_retry_attempts=3, retry_delay_s=2.0, probe_timeout_s=2.0)
"""HAProxy's own numbers in this router's words: asked each 2 s, three failures 2 s apart, 2 s for a probe."""

SEEDS: Final = HealthSettings()
"""The seed's defaults, 30, 3 and 5."""

SETTINGS: Final[Mapping[str, HealthSettings]] = {"ours": QUICK, "ours_seed_defaults": SEEDS}

CAUSES: Final[Mapping[int, tuple[bool, Cause | None, str]]] = {
    Effect.FINE: (True, None, ""),
    Effect.REFUSED: (False, Cause.CONNECTION, "connection refused"),
    Effect.SILENT: (False, Cause.SILENT, "no answer in time"),
    Effect.SERVER: (False, Cause.SERVER, "HTTP 503"),
    Effect.CLOSED: (False, Cause.MAINTENANCE, "HTTP 503, system maintenance"),
    Effect.LIMITED: (True, Cause.RATE_LIMITED, "HTTP 429"),
    Effect.BANNED: (True, Cause.BANNED, "HTTP 418"),
    Effect.CLOCK: (True, Cause.CLOCK, "HTTP 400, timestamp out of bounds"),
    Effect.LOCAL: (False, Cause.LOCAL, "name not resolved"),
}
"""As the adapters tell it: whether it is no illness, what was wrong, and in words."""

ALSO: Final = (ProbeKind.STATUS,)
_S = HealthState


class Ours:
    """One detector for each exchange, and the rules by which trading is moved."""

    waits = True

    def __init__(self, settings: HealthSettings, phase: float, seed: int = 0) -> None:
        self._settings = settings
        self.late_s = settings.probe_timeout_s
        self._failover = FailoverSettings(exchanges=EXCHANGES, failback_auto=True)
        self._detectors = [health.start(name, 0.0) for name in EXCHANGES]
        spread_s = settings.health_check_interval_s
        self._due_s = [(phase + where / len(EXCHANGES)) % 1.0 * spread_s for where in HERE]
        self._begun = [False for _ in HERE]
        self._seed, self._draws = seed, 0
        self._troubled = False
        self._look_s = self._compare_s = 0.0
        self._leave: Leave | None = None
        self._words = ""
        self._past: list[Switch] = []

    # What the health monitor does.

    def next_s(self) -> float:
        """The next probe."""
        return min(self._due_s)

    def wake(self, now_s: float) -> Sequence[tuple[int, EvidenceKind, float]]:
        """Probes that are due."""
        out: list[tuple[int, EvidenceKind, float]] = []
        if now_s >= self._compare_s:
            self._compare(now_s)
        for where in HERE:
            if self._due_s[where] > now_s:
                continue
            self._begun[where] = True
            kinds, due_s = self._next(where, now_s)
            if kinds and due_s <= now_s:
                self._draws += 1
                draw = drawn(self._seed, 7, self._draws)
                self._detectors[where] = health.probes_sent(self._detectors[where], kinds, now_s, draw)
                patience_s = [health.patience_s(self._detectors[where], kind, self._settings) for kind in kinds]
                out += [(where, health.PROBE_EVIDENCE[kind], p_s) for kind, p_s in zip(kinds, patience_s, strict=True)]
            self._plan(where, now_s)
        return out

    def heard(self, where: int, kind: EvidenceKind, answer: Answer, sent_s: float, now_s: float, probe: bool) -> None:
        """One piece of evidence."""
        ok, cause, words = CAUSES[answer.effect]
        evidence = Evidence(
            exchange=EXCHANGES[where],
            kind=kind,
            ok=ok,
            words=words,
            latency_s=now_s - sent_s,
            at_s=now_s,
            cause=cause,
            until_s=answer.until_s,
            notice=answer.notice,
        )
        before = self._detectors[where]
        self._judged(where, before, health.observe(before, evidence, self._settings), now_s, probe)
        if cause is not None or answer.notice is not None:
            self._look_s = now_s

    def unanswered(self, where: int, kind: EvidenceKind, sent_s: float, now_s: float) -> None:
        """A call of the strategy's that waits."""
        waiting = Waiting(exchange=EXCHANGES[where], kind=kind, sent_s=sent_s, at_s=now_s)
        before = self._detectors[where]
        self._judged(where, before, health.waited(before, waiting, self._settings), now_s, True)

    def _judged(self, where: int, before: health.Detector, after: health.Detector, now_s: float, plan: bool) -> None:
        """What one learns may hurry what the others are asked."""
        self._detectors[where] = after
        was, now = before.now, after.now
        if now.state is not was.state:
            self._look_s = now_s
            self._troubled = any(each.now.state is _S.DOWN for each in self._detectors)
        elif not plan and not self._troubled and now.counts is was.counts:
            return  # one more good answer of a call: nothing is due sooner or later for it
        hurry = tells_of_others(before, after)
        if hurry:
            for other in HERE:
                if other != where:
                    self._detectors[other] = health.hurried(self._detectors[other])
        if hurry or self._troubled:
            for other in HERE:
                self._plan(other, now_s)
        else:
            self._plan(where, now_s)

    def _compare(self, now_s: float) -> None:
        self._compare_s = now_s + COMPARE_S
        named: dict[str, health.Detector] = dict(zip(EXCHANGES, self._detectors, strict=True))
        self._detectors = [*health.compared(named, now_s, self._settings).values()]

    def _plan(self, where: int, now_s: float) -> None:
        if self._begun[where]:
            kinds, due_s = self._next(where, now_s)
            self._due_s[where] = due_s if kinds else math.inf

    def _next(self, where: int, now_s: float) -> tuple[tuple[ProbeKind, ...], float]:
        if self._troubled:
            return due(self._detectors[where], self._views(now_s), self._settings, now_s, ALSO)
        return health.next_probes(self._detectors[where], self._settings, now_s, ALSO)

    def _views(self, now_s: float) -> tuple[HealthView, ...]:
        return tuple(health.view(detector, self._settings, now_s) for detector in self._detectors)

    # What the coordinator does.

    def choose(self, active: int, now_s: float) -> int:
        """Leaves for a reason, or goes back to the first."""
        state = self._detectors[active].now.state
        if state is not _S.DOWN and now_s < self._look_s:
            return active
        self._look_s = now_s + LOOK_S
        unfit = health.unfit(self._detectors[active], self._settings, now_s)
        if unfit:
            self._compare(now_s)  # as the monitor before it tells of that
        elif not active and (state is _S.WELL or state is _S.SUSPECT):
            return active
        views = self._views(now_s)
        self._leave = why_leave(views[active], "")
        to = self._back(views, now_s) if self._leave is None else self._where_to(self._leave, active, views, now_s)
        return active if to is None or to == active else self._moved(active, to, now_s)

    def _where_to(self, leave: Leave, active: int, views: tuple[HealthView, ...], now_s: float) -> int | None:
        if leave.why is Why.DOWN:
            network = judge(views, (), now_s, self._settings, EXCHANGES[active])
            self._detectors[active] = health.attributed(self._detectors[active], network.state)
            if network.state is not NetworkState.THEIRS:
                return None
        others = [_candidate(where, views[where], now_s) for where in HERE if where != active]
        takers = best_first(each for each in others if not may_not(leave.why, each))
        calm_s = calm_until_s(self._past, self._failover.dwell_s, now_s, forced=leave.why is Why.DOWN)
        return EXCHANGES.index(takers[0]) if takers and now_s >= calm_s else None

    def _back(self, views: tuple[HealthView, ...], now_s: float) -> int | None:
        first = views[0]
        hold_s = hold_down_s(self._past, self._failover)
        if hold_s is None or first.state is not _S.WELL or first.keeps_away:
            return None
        calm_s = calm_until_s(self._past, self._failover.dwell_s, now_s, forced=False)
        return 0 if now_s >= max(first.since_s + hold_s, first.hold_until_s or 0.0, calm_s) else None

    def _moved(self, active: int, to: int, now_s: float) -> int:
        self._words = self._leave.words if self._leave is not None else "back"
        switch = Switch(
            epoch=len(self._past) + 1,
            from_exchange=EXCHANGES[active],
            to_exchange=EXCHANGES[to],
            reason=self._words,
            at_s=now_s,
            duration_s=0.0,
            result=SwitchResult.COMPLETED,
        )
        self._past = [*self._past[1 - PAST :], switch]
        self._look_s = now_s
        return to

    def ill(self, where: int, now_s: float) -> bool:
        """Whether it had a reason to leave an exchange, when it chose last."""
        return self._leave is not None

    def words(self) -> str:
        """The reason of the last leaving."""
        return self._words


def _candidate(where: int, view: HealthView, now_s: float) -> Candidate:
    return Candidate(
        exchange=EXCHANGES[where],
        place=where,
        health=view.health,
        since_s=view.since_s,
        unfit=view.unfit,
        no_better=view.no_better,
        ready=Readiness(exchange=EXCHANGES[where], problems=(), at_s=now_s),
        answered=True,
    )


def told(settings: HealthSettings) -> dict[str, Any]:
    """The settings, for the page."""
    return asdict(settings)
