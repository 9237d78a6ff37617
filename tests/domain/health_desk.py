"""What tests of the failure detector use: evidence in a word, a detector in each state, and a simulated run."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from app.domain import health
from app.domain.health import (
    EVIDENCE_PROBE,
    PROBE_EVIDENCE,
    Detector,
    HealthSettings,
    next_probes,
    observe,
    probes_sent,
    start,
    view,
)
from messages.health import Cause, Evidence, EvidenceKind, HealthState, HealthView, Maintenance, ProbeKind
from messages.market import MarketType, Symbol

PUBLIC, SIGNED = EvidenceKind.PUBLIC_PROBE, EvidenceKind.SIGNED_PROBE
STATUS, MARKET = EvidenceKind.STATUS_PROBE, EvidenceKind.MARKET_PROBE
PLACE, CANCEL, READ = EvidenceKind.PLACE, EvidenceKind.CANCEL, EvidenceKind.READ
STARTING, WELL, SUSPECT, DOWN = HealthState.STARTING, HealthState.WELL, HealthState.SUSPECT, HealthState.DOWN
HALF_OPEN, MAINTENANCE, ISOLATED = HealthState.HALF_OPEN, HealthState.MAINTENANCE, HealthState.ISOLATED
ALL = (ProbeKind.PUBLIC, ProbeKind.SIGNED)
COUNTED = tuple(kind for kind in EvidenceKind if kind not in (STATUS, MARKET))
DEFAULTS = HealthSettings()
STEADY = HealthSettings(jitter=0.0)
BTC = Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
ETH = Symbol(base="ETH", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
ILLNESS = (Cause.SILENT, Cause.CONNECTION, Cause.SERVER, Cause.LOCAL, Cause.MAINTENANCE)
TOLD = (Cause.RATE_LIMITED, Cause.BANNED, Cause.CREDENTIALS, Cause.CLOCK, Cause.HALTED)

Answer = Callable[[EvidenceKind, float], tuple[bool, float]]
"""(kind, when sent) -> (ok, latency in seconds)."""


def seen(
    kind: EvidenceKind,
    ok: bool,
    at_s: float,
    latency_s: float = 0.0,
    words: str | None = None,
    cause: Cause | None = None,
    symbol: Symbol | None = None,
    until_s: float | None = None,
    notice: Maintenance | None = None,
) -> Evidence:
    """One piece."""
    if words is None:
        words = "" if ok and cause is None else "refused"
    return Evidence(
        exchange="bybit",
        kind=kind,
        ok=ok,
        words=words,
        latency_s=latency_s,
        at_s=at_s,
        cause=cause,
        symbol=symbol,
        until_s=until_s,
        notice=notice,
    )


def fed(detector: Detector, *pieces: tuple[EvidenceKind, bool, float], use: HealthSettings = DEFAULTS) -> Detector:
    """After ordinary pieces."""
    for kind, ok, at_s in pieces:
        detector = observe(detector, seen(kind, ok, at_s), use)
    return detector


def given_all(detector: Detector, *pieces: Evidence, use: HealthSettings = DEFAULTS) -> Detector:
    """After pieces of any sort."""
    for piece in pieces:
        detector = observe(detector, piece, use)
    return detector


def told(detector: Detector, use: HealthSettings = DEFAULTS, now_s: float | None = None) -> HealthView:
    """What others are told, as of the newest evidence."""
    if now_s is None:
        now_s = detector.instant.at_s if detector.instant is not None else 0.0
    if not detector.stale:  # what others make of it is not known to it alone
        detector = health.compared({detector.exchange: detector}, now_s, use)[detector.exchange]
    return view(detector, use, now_s)


def well() -> Detector:
    """WELL since 1 s."""
    return fed(start("bybit", 0.0), (SIGNED, True, 1.0))


def suspect() -> Detector:
    """SUSPECT since 2 s."""
    return fed(well(), (READ, False, 2.0))


def down(use: HealthSettings = DEFAULTS) -> Detector:
    """DOWN since 20.6 s, for the first time."""
    detector = fed(well(), (SIGNED, False, 10.0), (SIGNED, False, 15.0), (SIGNED, False, 20.0), use=use)
    return fed(detector, (SIGNED, False, 20.5), (PUBLIC, False, 20.6), use=use)


def rounds(detector: Detector, *at_s: float, use: HealthSettings = DEFAULTS) -> Detector:
    """After good rounds."""
    for each in at_s:
        detector = fed(detector, (PUBLIC, True, each), (SIGNED, True, each + 0.1), use=use)
    return detector


def half_open(use: HealthSettings = DEFAULTS) -> Detector:
    """HALF_OPEN since 35.1 s."""
    return rounds(down(use), 30.0, 35.0, use=use)


def closed() -> Detector:
    """In MAINTENANCE since 11 s."""
    return given_all(
        well(), *(seen(kind, False, 10.0 + n, cause=Cause.MAINTENANCE) for n, kind in enumerate((READ, SIGNED)))
    )


STATES: dict[HealthState, Callable[[], Detector]] = {
    STARTING: lambda: start("bybit", 0.0),
    WELL: well,
    SUSPECT: suspect,
    DOWN: down,
    HALF_OPEN: half_open,
    MAINTENANCE: closed,
}
"""A detector in each state, before 40 s."""


class Run:
    """An exchange that answers as told, and a detector driven the way its shell drives it, in simulated time."""

    def __init__(
        self,
        use: HealthSettings,
        answer: Answer,
        detector: Detector | None = None,
        draw: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.use, self.answer, self.draw = use, answer, draw
        self.detector = detector or start("bybit", 0.0)
        self.now_s = self.detector.now.since_s
        self.changes: list[tuple[float, HealthState]] = []
        self.sent: list[float] = []
        self._pending: list[tuple[float, int, Evidence]] = []
        self._serial = itertools.count()

    def call(self, kind: EvidenceKind, at_s: float) -> None:
        """A call sent at `at_s`, whose outcome becomes evidence when it is there."""
        ok, latency_s = self.answer(kind, at_s)
        probe = EVIDENCE_PROBE.get(kind)
        patience_s = latency_s if probe is None else health.patience_s(self.detector, probe, self.use)
        if latency_s > patience_s:
            self._push(seen(kind, False, at_s + patience_s, patience_s, cause=Cause.SILENT))
        if latency_s <= patience_s or (ok and latency_s <= self.use.probe_timeout_s):
            self._push(seen(kind, ok, at_s + latency_s, latency_s))

    def _push(self, evidence: Evidence) -> None:
        heapq.heappush(self._pending, (evidence.at_s, next(self._serial), evidence))

    def until(self, end_s: float, stop: HealthState | None = None) -> Run:
        """Runs to `end_s`, or until the state is `stop`."""
        while self.now_s < end_s and (stop is None or self.detector.state is not stop):
            kinds, due_s = next_probes(self.detector, self.use, self.now_s)
            if due_s <= self.now_s:
                self.detector = probes_sent(self.detector, kinds, self.now_s, self.draw())
                self.sent.append(self.now_s)
                for kind in kinds:
                    self.call(PROBE_EVIDENCE[kind], self.now_s)
                continue
            if self._pending and self._pending[0][0] <= min(due_s, end_s):
                self.now_s, _, evidence = heapq.heappop(self._pending)
                before = self.detector.state
                self.detector = observe(self.detector, evidence, self.use)
                if self.detector.state is not before:
                    self.changes.append((self.now_s, self.detector.state))
            else:
                self.now_s = min(due_s, end_s)
        return self


def refusing(_kind: EvidenceKind, _at_s: float) -> tuple[bool, float]:
    """Connections are refused."""
    return False, 0.001


def answering(kind: EvidenceKind, _at_s: float) -> tuple[bool, float]:
    """All is well."""
    return True, 0.05 if kind is PUBLIC else 0.08


def dies_at(death_s: float, latency_s: float) -> Answer:
    """Well until then."""
    return lambda kind, at_s: answering(kind, at_s) if at_s < death_s else (False, latency_s)
