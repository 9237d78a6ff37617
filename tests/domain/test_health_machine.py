"""Failure detectors driven the way their shell drives them, over exchanges that fall ill in every way and get well.

The model keeps what was heard, as a list, and says from that alone what an exchange may be called: it counts no more
than the theory does (`app.domain.health_table`).
"""

from __future__ import annotations

import heapq
import itertools

from attrs import define, field, frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain import health
from app.domain.health import Detector, HealthSettings, next_probes, observe, probes_sent
from messages.health import Cause, Evidence, EvidenceKind, HealthState, NetworkState, Waiting
from tests.depth import stateful
from tests.domain.health_desk import (
    CANCEL,
    DOWN,
    HALF_OPEN,
    MAINTENANCE,
    PLACE,
    PUBLIC,
    READ,
    SIGNED,
    STARTING,
    SUSPECT,
    WELL,
)

USE = HealthSettings(
    health_check_interval_s=10.0,
    max_retry_attempts=3,
    retry_delay_s=2.0,
    probe_timeout_s=2.0,
    place_failures=3,
    error_min_calls=4,
    error_window_s=20.0,
    trial_calls=4,
    hold_down_s=8.0,
    hold_down_max_s=60.0,
    flap_half_life_s=60.0,
)
"""Settings under which much happens within a minute."""
NAMES = ("bybit", "okx")
APART_S = USE.retry_delay_s - 0.001
SIGNED_KINDS = (SIGNED, PLACE, CANCEL)
TO = {
    STARTING: {WELL, SUSPECT, DOWN, MAINTENANCE},
    WELL: {SUSPECT, DOWN, MAINTENANCE},
    SUSPECT: {WELL, DOWN, MAINTENANCE},
    DOWN: {HALF_OPEN, MAINTENANCE},
    HALF_OPEN: {WELL, DOWN, MAINTENANCE},
    MAINTENANCE: {HALF_OPEN, DOWN},
}
"""Where each state may go: never from DOWN to WELL without a trial."""
OURS, THEIRS = NetworkState.OURS, NetworkState.THEIRS
WHOSE: tuple[list[NetworkState], ...] = ([], [OURS], [OURS, THEIRS], [THEIRS, OURS])
RECOVERY_S = 200.0
"""From when all is well: the longest hold-down, the rarest rounds of a trial, and what failed before."""

names = st.sampled_from(NAMES)
modes = st.sampled_from(
    ["fine", "silent", "refuses", "slow", "no orders", "public only", "hangs", "closed", "bans", "noisy"]
)
noises = st.lists(st.booleans(), min_size=3, max_size=8)
faults = st.sampled_from([OURS, THEIRS])


@frozen
class Heard:
    """One call that was answered, or failed."""

    kind: EvidenceKind
    ok: bool
    good: bool
    sent_s: float
    at_s: float
    closed: bool = False


def spaced(times_s: list[float]) -> list[float]:
    """Failures that count: each `retry_delay_s` after the one before that counted."""
    out: list[float] = []
    for at_s in times_s:
        if not out or at_s >= out[-1] + APART_S:
            out.append(at_s)
    return out


@define
class Model:
    """What may be said of one exchange, by what was heard of it in this life."""

    heard: list[Heard] = field(factory=list)
    placed_from: int = 0
    """Of `heard`: placements before that count no longer."""

    def since(self, *kinds: EvidenceKind) -> list[Heard]:
        """Failures since one of these kinds was last answered; what fails at that moment comes after."""
        last_s = max((each.at_s for each in self.heard if each.ok and each.kind in kinds), default=-1.0)
        return [each for each in self.heard if not each.ok and each.at_s >= last_s]

    def gone(self, attempts: int) -> bool:
        """So many failures in a row and two witnesses that were asked after them; or placements alone."""
        failed = self.since(*SIGNED_KINDS)
        candidate_s = self.candidate_s(attempts)
        if candidate_s is not None:
            after = [each for each in failed if each.sent_s >= candidate_s - 0.001]
            public_s = max((each.at_s for each in self.heard if each.ok and each.kind is PUBLIC), default=-1.0)
            public = any(each.kind is PUBLIC and each.at_s >= public_s for each in after)
            if any(each.kind is SIGNED for each in after) and (
                public or any(each.kind in (PLACE, CANCEL) for each in after)
            ):
                return True
        return self.no_orders()

    def candidate_s(self, attempts: int) -> float | None:
        """When so many failures in a row were reached; None where they are not."""
        counted = spaced([each.at_s for each in self.since(*SIGNED_KINDS)])
        return counted[attempts - 1] if len(counted) >= attempts else None

    def no_orders(self) -> bool:
        """Placements fail, whatever else is answered."""
        placed = [each for each in self.heard[self.placed_from :] if each.kind is PLACE]
        last_s = max((each.at_s for each in placed if each.ok), default=-1.0)
        failed = [each.at_s for each in placed if not each.ok and each.at_s >= last_s]
        return len(spaced(failed)) >= USE.place_failures and failed[-1] == self.heard[-1].at_s

    def closed(self) -> bool:
        """Calls of two kinds, or at two times, were refused for maintenance since a signed one was answered well."""
        last_s = max((each.at_s for each in self.heard if each.good and each.kind in SIGNED_KINDS), default=-1.0)
        refused = [each for each in self.heard if each.closed and each.at_s >= last_s]
        if len({each.kind for each in refused}) > 1:
            return True
        return bool(refused) and refused[-1].at_s >= refused[0].at_s + APART_S

    def good_since(self, since_s: float, *kinds: EvidenceKind) -> int:
        """Good answers of these kinds since then, and since anything failed."""
        failed_s = max((each.at_s for each in self.heard if not each.ok), default=-1.0)
        return sum(each.good and each.kind in kinds and each.at_s > max(since_s, failed_s) for each in self.heard)


@define
class Exchange:
    """One exchange, its detector, and what is on its way."""

    name: str
    now_s: float
    detector: Detector
    mode: str = "fine"
    noise: list[bool] = field(factory=lambda: [True])
    """Of a noisy one: which of its calls, in turn, are answered."""
    model: Model = field(factory=Model)
    pending: list[tuple[float, int, Evidence]] = field(factory=list)
    orders: dict[int, tuple[EvidenceKind, float]] = field(factory=dict)
    silent_s: float | None = None
    before: HealthState = STARTING
    ours: bool = False
    blamed: bool = False
    half_open_s: float = 0.0
    confirmed_s: float = -100.0
    """When a round was last sent that was to confirm a candidate."""
    unheld: bool = False
    """Nothing is held down for the outage before this trial: it began as that of our own network."""
    serial: itertools.count[int] = field(factory=itertools.count)

    @property
    def attempts(self) -> int:
        """Failures in a row that make it a candidate."""
        strict = self.state is HALF_OPEN and not (self.ours and not self.blamed)
        return 1 if strict else USE.max_retry_attempts

    @property
    def state(self) -> HealthState:
        """As believed, whoever keeps it out."""
        return self.detector.now.state

    def turns(self, mode: str, now_s: float) -> None:
        """It falls ill, or gets well."""
        self.mode = mode
        self.silent_s = now_s if mode in ("silent", "refuses") else None

    def call(self, kind: EvidenceKind, now_s: float) -> None:
        """A call leaves: its outcome is known later."""
        probe = health.EVIDENCE_PROBE.get(kind)
        patience_s = USE.probe_timeout_s if probe is None else health.patience_s(self.detector, probe, USE)
        ill = {
            "silent": True,
            "refuses": True,
            "hangs": True,
            "closed": True,
            "no orders": kind is PLACE,
            "public only": kind in SIGNED_KINDS,
            "noisy": not self.noise[0],
        }.get(self.mode, False)
        self.noise = [*self.noise[1:], self.noise[0]]
        latency_s, cause, until_s = 0.05, None, None
        if ill:
            cause = {"closed": Cause.MAINTENANCE, "silent": Cause.SILENT}.get(self.mode, Cause.SERVER)
            silent = self.mode == "silent" or (self.mode in ("hangs", "noisy") and probe is not None)
            latency_s = patience_s if silent else 0.05
        elif self.mode == "bans":
            cause, until_s = Cause.BANNED, now_s + 3.0
        elif self.mode == "slow":
            latency_s = 1.5
            if latency_s > patience_s:
                self._push(kind, now_s, patience_s, ok=False, cause=Cause.SILENT)
        self._push(kind, now_s, latency_s, ok=not ill, cause=cause, until_s=until_s)
        if probe is None:
            self.orders[next(self.serial)] = kind, now_s + latency_s

    def _push(
        self,
        kind: EvidenceKind,
        sent_s: float,
        latency_s: float,
        *,
        ok: bool,
        cause: Cause | None,
        until_s: float | None = None,
    ) -> None:
        evidence = Evidence(
            exchange=self.name,
            kind=kind,
            ok=ok,
            words="" if ok and cause is None else "No.",
            latency_s=latency_s,
            at_s=sent_s + latency_s,
            cause=cause,
            until_s=until_s,
        )
        heapq.heappush(self.pending, (evidence.at_s, next(self.serial), evidence))

    # ------------------------------------------------------------------------------------------------ what is heard

    def hears(self, evidence: Evidence) -> None:
        """One piece, and what may be made of it."""
        settled = self.state
        if self.detector.instant is not None and evidence.at_s <= self.detector.instant.at_s:
            settled = self.before
        self.before = settled
        self.detector = observe(self.detector, evidence, USE)
        good = evidence.ok and evidence.cause is None
        sent_s = evidence.at_s - evidence.latency_s
        closed = not evidence.ok and evidence.cause is Cause.MAINTENANCE
        self.model.heard.append(Heard(evidence.kind, evidence.ok, good, sent_s, evidence.at_s, closed))
        if evidence.ok and self.silent_s is not None:
            self.silent_s = max(self.silent_s, evidence.at_s)
        self.judged(settled, evidence.at_s)

    def judged(self, was: HealthState, at_s: float) -> None:
        """What the state is now follows from what was heard."""
        model, state = self.model, self.state
        assert state is was or state in TO[was], f"{was} to {state}"
        assert not model.closed() or state is MAINTENANCE, "it says that it is closed"
        fails = any(not each.ok and each.at_s == at_s for each in model.heard)
        if was in (STARTING, WELL, SUSPECT) and state is not MAINTENANCE:
            gone = fails and model.gone(USE.max_retry_attempts)
            assert (state is DOWN) == gone, f"{was} to {state}, and the model says {gone}"
            assert state is not WELL or not fails or was is WELL, "it fails, and is well again"
        if was is HALF_OPEN and state is not MAINTENANCE:
            lenient = self.ours and not self.blamed
            placed = any(not each.ok and each.at_s == at_s and each.kind is PLACE for each in model.heard)
            gone = fails and (model.gone(USE.max_retry_attempts if lenient else 1) or (placed and not lenient))
            assert (state is DOWN) == gone, f"on trial to {state}, and the model says {gone}"
        if state is was:
            return
        if state is MAINTENANCE:
            assert model.closed(), "it never said that it is closed"
        if state is HALF_OPEN:
            assert model.good_since(-1.0, PUBLIC) >= USE.rise
            assert model.good_since(-1.0, SIGNED) >= USE.rise
            self.half_open_s, self.unheld = at_s, self.ours
            if self.ours and not self.blamed:
                model.placed_from = len(model.heard)
        if was is HALF_OPEN and state is WELL:
            assert model.good_since(self.half_open_s, *SIGNED_KINDS) >= USE.trial_calls
            assert self.unheld or at_s >= self.half_open_s + USE.hold_down_s - 1e-6, "the hold-down is not over"
        if state is DOWN or (state is WELL and was is HALF_OPEN):
            self.ours = self.blamed = False

    # ------------------------------------------------------------------------------------------------ time

    def until(self, end_s: float, draw: float) -> None:
        """Probes are sent when they are due, and answers heard when they are there."""
        for _ in range(2000):
            kinds, due_s = next_probes(self.detector, USE, self.now_s)
            banned_s = self.detector.now.told.banned_until_s(self.now_s)
            assert due_s >= max(self.now_s, banned_s or 0.0), "asking lengthens a ban"
            assert due_s <= max(self.now_s, banned_s or 0.0) + USE.health_check_interval_s * 1.2
            next_s = self.pending[0][0] if self.pending else end_s
            self.now_s = min(end_s, due_s, next_s)
            if self.pending and next_s <= self.now_s:
                self.hears(heapq.heappop(self.pending)[2])
                self.confirms()
            elif due_s <= self.now_s:
                self.detector = probes_sent(self.detector, kinds, self.now_s, draw)
                if self.model.candidate_s(self.attempts) is not None:
                    self.confirmed_s = self.now_s
                for kind in kinds:
                    self.call(health.PROBE_EVIDENCE[kind], self.now_s)
            else:
                self.orders = {n: (kind, at_s) for n, (kind, at_s) in self.orders.items() if at_s > self.now_s}
                return
            self.in_time()
        raise AssertionError("it asks without end")

    def confirms(self) -> None:
        """A round that is to confirm a candidate is sent at once."""
        found = self.state not in (DOWN, MAINTENANCE) and self.model.candidate_s(self.attempts) == self.now_s
        if found and self.now_s > self.confirmed_s + USE.retry_delay_s * 1.2:
            _, due_s = next_probes(self.detector, USE, self.now_s)
            assert due_s == (self.detector.now.told.banned_until_s(self.now_s) or self.now_s), "it is to be confirmed"

    def in_time(self) -> None:
        """What says nothing is found out within the budget, whatever was before."""
        if self.silent_s is None:
            return
        budget_s = health.detection_budget_s(USE)
        banned_s = self.detector.now.told.banned_until_s(self.silent_s) or 0.0
        late = self.now_s > max(self.silent_s, banned_s) + budget_s + 0.1
        assert not late or self.state in (DOWN, MAINTENANCE), f"silent since {self.silent_s}, and {self.state}"


class HealthMachine(RuleBasedStateMachine):
    """Exchanges that fall silent, refuse, slow down, ban, close and come back, with orders or without; monitors that
    begin anew; our own network; a person.

    - I7: an exchange that says nothing is DOWN within the detection budget, and one that is well again is WELL, within
      the longest hold-down: never in between a state that nobody leaves.
    - It is DOWN if, and only if, so many failures in a row were confirmed by two witnesses that were asked after them,
      or placements alone failed so often: by what was heard, in the model's own count. On trial one failure is enough,
      unless it was our own network.
    - It is closed if, and only if, it said so twice.
    - From DOWN it comes back over a trial alone, by good rounds, good signed calls, and not before the hold-down.
    - I6: there is always a next probe, never during a ban, and never without a pause.
    - What a person says lies over it, and changes nothing below.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0
        self.all = {name: Exchange(name, 100.0, health.start(name, 100.0)) for name in NAMES}

    @rule(name=names, mode=modes, noise=noises)
    def turns(self, name: str, mode: str, noise: list[bool]) -> None:
        one = self.all[name]
        one.noise = noise
        one.turns(mode, self.now_s)

    @rule(name=names, kind=st.sampled_from([PLACE, PLACE, PLACE, CANCEL, READ]))
    def order(self, name: str, kind: EvidenceKind) -> None:
        self.all[name].call(kind, self.now_s)

    @rule(seconds=st.sampled_from([0.1, 2.0, 2.5, 7.0, 20.0]), draw=st.sampled_from([0.0, 0.5, 1.0]))
    def wait(self, seconds: float, draw: float) -> None:
        self.now_s += seconds
        for each in self.all.values():
            each.until(self.now_s, draw)

    @rule(
        name=names,
        mode=modes,
        noise=noises,
        draw=st.sampled_from([0.0, 1.0]),
        orders=st.sampled_from(["", PLACE, CANCEL]),
    )
    def lasts(self, name: str, mode: str, noise: list[bool], draw: float, orders: str) -> None:
        """Something goes on for a while, perhaps under orders; it begins just after a round was answered."""
        asked = len(self.all[name].model.heard)
        for _ in range(120):
            if {each.kind for each in self.all[name].model.heard[asked:]} >= {PUBLIC, SIGNED}:
                break
            self.wait(0.1, draw)
        self.turns(name, mode, noise)
        for _ in range(10):
            if orders:
                self.order(name, EvidenceKind(orders))
            self.wait(2.5, draw)

    @rule(name=names, whose=st.sampled_from(WHOSE), mode=modes, noise=noises)
    def on_trial(self, name: str, whose: list[NetworkState], mode: str, noise: list[bool]) -> None:
        """It is down, and comes back; then something else happens to it."""
        self.turns(name, "silent", noise)
        for _ in range(20):
            if self.all[name].state is not DOWN:
                self.wait(2.0, 0.5)
        for each in whose:
            self.attributed(name, each)
        self.turns(name, "fine", noise)
        for _ in range(30):
            if self.all[name].state is DOWN:
                self.wait(1.0, 0.5)
        self.turns(name, mode, noise)

    @precondition(lambda self: any(each.orders for each in self.all.values()))
    @rule(data=st.data())
    def waits(self, data: st.DataObject) -> None:
        """A call of ours has had no answer yet: that alone makes nobody DOWN."""
        one = self.all[data.draw(st.sampled_from([name for name, each in self.all.items() if each.orders]))]
        kind, _ = one.orders[min(one.orders)]
        was = one.state
        waiting = Waiting(exchange=one.name, kind=kind, sent_s=self.now_s - 1.9, at_s=self.now_s)
        same = one.detector.instant is not None and one.detector.instant.at_s >= self.now_s
        one.detector = health.waited(one.detector, waiting, USE)
        assert one.state is was or (one.state is SUSPECT and was in (STARTING, WELL)) or same

    @rule(name=names, fault=faults)
    def attributed(self, name: str, fault: NetworkState) -> None:
        """It is known whose fault it is that an exchange is DOWN."""
        one = self.all[name]
        one.detector = health.attributed(one.detector, fault)
        if one.state is DOWN:
            one.ours = one.ours or (fault is NetworkState.OURS and not one.blamed)
            one.blamed = one.blamed or fault is NetworkState.THEIRS

    @rule(name=names, why=st.sampled_from(["", "It is watched."]))
    def isolated(self, name: str, why: str) -> None:
        one = self.all[name]
        was = one.detector
        one.detector = health.isolated(was, why, self.now_s)
        assert one.detector.now == was.now
        assert (one.detector.state is HealthState.ISOLATED) == bool(why)

    @rule()
    def compared(self) -> None:
        detectors = {name: each.detector for name, each in self.all.items()}
        for name, detector in health.compared(detectors, self.now_s, USE).items():
            assert detector.now == self.all[name].detector.now, "what others do changes no state"
            self.all[name].detector = detector

    @rule(name=names)
    def begins_anew(self, name: str) -> None:
        """The monitor died; the next one goes on from what was told, and counts from nothing."""
        one = self.all[name]
        was = one.state
        told = health.view(one.detector, USE, self.now_s)
        one.detector = health.resumed(told, self.now_s)
        assert one.state is was, f"it was {was}, and is {one.state}"
        assert health.view(one.detector, USE, self.now_s).state is told.state
        one.model, one.before = Model(), was
        one.pending.clear()
        one.orders.clear()
        one.ours = one.blamed = False
        one.silent_s = None if one.silent_s is None else self.now_s

    @invariant()
    def told_as_it_is(self) -> None:
        for each in self.all.values():
            told = health.view(each.detector, USE, self.now_s)
            assert told.state is (HealthState.ISOLATED if each.detector.isolated else each.state)
            assert not told.unfit or each.state not in (DOWN, MAINTENANCE)
            assert (told.hold_until_s is None) or each.state is HALF_OPEN
            assert each.state is not HALF_OPEN or told.hold_until_s is not None
            assert 0.0 <= told.penalty <= 10.0
            assert (told.hold_until_s or 0.0) <= each.half_open_s + USE.hold_down_max_s

    def teardown(self) -> None:
        for each in self.all.values():
            each.turns("fine", self.now_s)
            each.until(self.now_s + RECOVERY_S, 0.5)
            assert each.state is WELL, f"it is well again, and {each.state}: {each.detector.now.reason}"


TestHealthMachine = stateful(HealthMachine, 25, 300, steps=15)
