"""The router's own detector in the bench: the real pure machines, and around them no more than the shells do.

`app.domain.health` gets the evidence that connectors and probes give, and is asked what to send next, as the health
monitor does it. Where to trade is decided by the coordinator's rules, in small, since orders, funds and pre-flights
have no part in this bench:

- DOWN: left at once for an exchange that is well, else for one on trial (HALF_OPEN), but only with a proof that our own
  network works (`app.domain.network`).
- Unfit, or closed for maintenance: left for an exchange that is well and not unfit itself, at most once in `DWELL_S`.
- Back to the first by `failback = "auto"`: when it has been well for the hold-down of `app.domain.failback`, which
  doubles with each failback that was followed by leaving again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import asdict

from app.domain import health
from app.domain.failback import hold_down_s
from app.domain.health import HealthSettings
from app.domain.health_rounds import due
from app.domain.network import judge
from app.domain.saga_effects import FailoverSettings
from benchmarks.detection.world import EXCHANGES, Answer, Effect, drawn
from messages.failover import Switch, SwitchResult
from messages.health import Cause, Evidence, EvidenceKind, HealthState, HealthView, NetworkState, ProbeKind, Waiting

HERE: Final = range(len(EXCHANGES))
DWELL_S: Final = 60.0
"""`failover.dwell_s`, its default."""
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
TRIED: Final = (_S.DOWN, _S.MAINTENANCE)


class Ours:
    """One detector for each exchange, and the rule by which trading is moved."""

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
        self._words = ""
        self._look_s = 0.0
        self._left_s = -math.inf
        self._past: list[Switch] = []
        self._unfit = ["" for _ in HERE]
        self._ill = [False for _ in HERE]

    def next_s(self) -> float:
        """The next probe."""
        return min(self._due_s)

    def wake(self, now_s: float) -> Sequence[tuple[int, EvidenceKind, float]]:
        """Probes that are due."""
        out: list[tuple[int, EvidenceKind, float]] = []
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
        self._judged(where, before, health.observe(before, evidence, self._settings), now_s)
        if cause is not None or answer.notice is not None:
            self._look_s = now_s

    def unanswered(self, where: int, kind: EvidenceKind, sent_s: float, now_s: float) -> None:
        """A call of the strategy's that waits."""
        waiting = Waiting(exchange=EXCHANGES[where], kind=kind, sent_s=sent_s, at_s=now_s)
        before = self._detectors[where]
        self._judged(where, before, health.waited(before, waiting, self._settings), now_s)

    def _judged(self, where: int, before: health.Detector, after: health.Detector, now_s: float) -> None:
        """As the health monitor: what one learns may hurry what the others are asked."""
        self._detectors[where] = after
        if after.state is not before.state:
            hurry = after.state is _S.SUSPECT
            self._look_s = now_s
        else:
            hurry = before.state is _S.DOWN and after.now.last_ok_s != before.now.last_ok_s and _silent(before)
        if hurry:
            for other in HERE:
                if other != where:
                    self._detectors[other] = health.hurried(self._detectors[other])
        if hurry or self._troubled():
            for other in HERE:
                self._plan(other, now_s)
        else:
            self._plan(where, now_s)

    def _troubled(self) -> bool:
        return any(detector.state is _S.DOWN for detector in self._detectors)

    def _plan(self, where: int, now_s: float) -> None:
        if self._begun[where]:
            kinds, due_s = self._next(where, now_s)
            self._due_s[where] = due_s if kinds else math.inf

    def _next(self, where: int, now_s: float) -> tuple[tuple[ProbeKind, ...], float]:
        if self._troubled():
            return due(self._detectors[where], self._views(now_s), self._settings, now_s, ALSO)
        return health.next_probes(self._detectors[where], self._settings, now_s, ALSO)

    def choose(self, active: int, now_s: float) -> int:
        """See above."""
        state = self._detectors[active].state
        if state is _S.DOWN:
            return self._moved(active, self._leave_dead(active, now_s), now_s)
        if now_s < self._look_s:
            return active
        self._look_s = now_s + LOOK_S
        self._unfit = [health.unfit(detector, self._settings, now_s) for detector in self._detectors]
        if state is _S.MAINTENANCE or self._unfit[active]:
            return self._moved(active, self._leave_unfit(active, now_s), now_s)
        self._ill[active] = False
        if active and self._well(0):
            hold_s = hold_down_s(self._past, self._failover)
            if hold_s is not None and now_s >= self._detectors[0].now.since_s + hold_s:
                return self._moved(active, 0, now_s)
        return active

    def _leave_dead(self, active: int, now_s: float) -> int:
        self._ill[active] = True
        views = self._views(now_s)
        if judge(views, (), now_s, self._settings, EXCHANGES[active]).state is not NetworkState.THEIRS:
            return active
        others = [where for where in HERE if where != active]
        for state in (_S.WELL, _S.HALF_OPEN):
            for where in others:
                if self._detectors[where].state is state:
                    self._words = views[active].reason
                    return where
        return active

    def _leave_unfit(self, active: int, now_s: float) -> int:
        self._ill[active] = True
        if now_s < self._left_s + DWELL_S:
            return active
        for where in HERE:
            if where != active and self._well(where):
                self._words = self._unfit[active] or self._detectors[active].now.reason
                return where
        return active

    def _well(self, where: int) -> bool:
        return self._detectors[where].state is _S.WELL and not self._unfit[where]

    def _moved(self, active: int, to: int, now_s: float) -> int:
        if to == active:
            return active
        self._left_s = now_s
        switch = Switch(
            epoch=len(self._past) + 1,
            from_exchange=EXCHANGES[active],
            to_exchange=EXCHANGES[to],
            reason=self._words,
            at_s=now_s,
            duration_s=0.0,
            result=SwitchResult.COMPLETED,
        )
        self._past = [*self._past[-50:], switch]
        self._look_s = now_s
        return to

    def ill(self, where: int, now_s: float) -> bool:
        """Whether it has a reason to leave an exchange."""
        return self._ill[where]

    def words(self) -> str:
        """The reason of the last leaving."""
        return self._words

    def _views(self, now_s: float) -> tuple[HealthView, ...]:
        return tuple(health.view(detector, self._settings, now_s) for detector in self._detectors)


def _silent(detector: health.Detector) -> bool:
    last_ok_s = detector.now.last_ok_s
    return last_ok_s is None or last_ok_s <= detector.now.since_s


def told(settings: HealthSettings) -> dict[str, Any]:
    """The settings, for the page."""
    return asdict(settings)
