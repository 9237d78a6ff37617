"""What others do: four known rules, with their documented defaults, each as the whole detector of a router.

- *HAProxy*: active checks. `inter 2s`, `fall 3`, `rise 2`; a check that has not succeeded within `inter` has failed
  (no `timeout check`), and the next one begins `inter` after the end of the last (src/check.c). Any answer but 2xx and
  3xx is a failure (`option httpchk`). A `backup` server is used only while the first is down.
  https://docs.haproxy.org/2.8/configuration.html#5.2-inter
- *Envoy*: outlier detection, which only looks at real traffic. `consecutive_5xx 5`, counting time-outs and connection
  failures as well (`split_external_local_origin_errors false`); ejected at once for `base_ejection_time 30s` times the
  number of ejections in a row, at most `max_ejection_time 300s`; sweeps each `interval 10s` bring hosts back, and take
  one off that number where the host is well. `max_ejection_percent 10`: of two hosts one is ejected at most. Success
  rate and failure percentage need five hosts, so they never act here.
  https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier
- *Phi accrual* alone, as in Akka's cluster: `heartbeat-interval 1s`, `threshold 8.0`, `acceptable-heartbeat-pause 3s`,
  `min-std-deviation 100ms`, `max-sample-size 1000`; an interval that crossed the threshold is not learnt from.
  Available again with the next heartbeat. Akka looks once a second; here its moment is exact, which is quicker.
  https://doc.akka.io/libraries/akka-core/current/typed/failure-detector.html
- *The seed's plain loop*: `health_check_interval 30`, `max_retry_attempts 3`, `retry_delay 5`: each exchange is asked
  each 30 s, up to three times, 5 s after the failure before; it is down when all three failed, and back with the first
  answer. How long an attempt may take is not said: ccxt's own 10 s.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

from benchmarks.detection.world import EXCHANGES, HTTP, REQUEST_TIMEOUT_S, Answer
from messages.health import EvidenceKind

HERE: Final = range(len(EXCHANGES))
PUBLIC: Final = EvidenceKind.PUBLIC_PROBE

HAPROXY: Final = {"inter_s": 2.0, "fall": 3, "rise": 2}
ENVOY: Final = {
    "consecutive_5xx": 5,
    "interval_s": 10.0,
    "base_ejection_time_s": 30.0,
    "max_ejection_time_s": 300.0,
    "max_ejected_hosts": 1,
}
PHI: Final = {
    "threshold": 8.0,
    "acceptable_heartbeat_pause_s": 3.0,
    "min_std_deviation_s": 0.1,
    "heartbeat_interval_s": 1.0,
    "first_heartbeat_estimate_s": 1.0,
    "max_sample_size": 1000,
}
SEED_LOOP: Final = {"health_check_interval_s": 30.0, "max_retry_attempts": 3, "retry_delay_s": 5.0}


def good(answer: Answer) -> bool:
    """2xx or 3xx."""
    return 200 <= HTTP[answer.effect] < 400


class Anchor:
    """What they share: the first exchange that is not down, in their order; where all are, trading stays."""

    waits = False
    late_s = 0.0

    def __init__(self) -> None:
        self.down = [False for _ in HERE]
        self._due_s = [0.0 for _ in HERE]

    def next_s(self) -> float:
        """The next probe of any exchange."""
        return min(self._due_s)

    def wake(self, now_s: float) -> Sequence[tuple[int, EvidenceKind, float]]:
        """Probes that are due; none where only real traffic is looked at."""
        return ()

    def heard(self, where: int, kind: EvidenceKind, answer: Answer, sent_s: float, now_s: float, probe: bool) -> None:
        """By each its own rule."""
        raise NotImplementedError

    def unanswered(self, where: int, kind: EvidenceKind, sent_s: float, now_s: float) -> None:
        """None of them looks at that."""

    def choose(self, active: int, now_s: float) -> int:
        """See above."""
        for where in HERE:
            if not self.down[where]:
                return where
        return active

    def ill(self, where: int, now_s: float) -> bool:
        """Whether it is down by their rule."""
        return self.down[where]

    def words(self) -> str:
        """They give no reasons."""
        return ""


class HAProxy(Anchor):
    """Active checks with rise and fall."""

    def __init__(self, phase: float) -> None:
        super().__init__()
        inter_s, fall, rise = HAPROXY["inter_s"], int(HAPROXY["fall"]), int(HAPROXY["rise"])
        self._inter_s, self._fall, self._rise = inter_s, fall, rise
        # The first checks are spread over the interval (start_checks).
        self._due_s = [(phase + where / len(EXCHANGES)) % 1.0 * inter_s for where in HERE]
        self._failed = [0 for _ in HERE]
        self._passed = [0 for _ in HERE]

    def wake(self, now_s: float) -> Sequence[tuple[int, EvidenceKind, float]]:
        """Checks that are due."""
        due = [where for where in HERE if self._due_s[where] <= now_s]
        for where in due:
            self._due_s[where] = math.inf  # until this one ends
        return [(where, PUBLIC, self._inter_s) for where in due]

    def heard(self, where: int, kind: EvidenceKind, answer: Answer, sent_s: float, now_s: float, probe: bool) -> None:
        """Counts its own checks, and nothing else."""
        if not probe:
            return
        self._due_s[where] = now_s + self._inter_s
        if good(answer):
            self._failed[where] = 0
            self._passed[where] += 1
            if self._passed[where] >= self._rise:
                self.down[where] = False
        else:
            self._passed[where] = 0
            self._failed[where] += 1
            if self._failed[where] >= self._fall:
                self.down[where] = True


class Envoy(Anchor):
    """Outlier detection by consecutive errors of real traffic."""

    def __init__(self, phase: float) -> None:
        super().__init__()
        self._limit, self._interval_s = int(ENVOY["consecutive_5xx"]), ENVOY["interval_s"]
        self._base_s, self._most_s = ENVOY["base_ejection_time_s"], ENVOY["max_ejection_time_s"]
        self._hosts = int(ENVOY["max_ejected_hosts"])
        self._sweep_s = phase * self._interval_s
        self._errors = [0 for _ in HERE]
        self._times = [0 for _ in HERE]
        self._ejected_s = [-math.inf for _ in HERE]

    def next_s(self) -> float:
        """The next sweep, where it could change anything."""
        return self._sweep_s if any(self._times) else math.inf

    def wake(self, now_s: float) -> Sequence[tuple[int, EvidenceKind, float]]:
        """A sweep: hosts come back, and those that are well are forgiven."""
        for where in HERE:
            if self.down[where]:
                if now_s >= self._ejected_s[where] + min(self._base_s * self._times[where], self._most_s):
                    self.down[where] = False
                    self._errors[where] = 0
            elif self._times[where]:
                self._times[where] -= 1
        self._sweep_s += self._interval_s
        return ()

    def heard(self, where: int, kind: EvidenceKind, answer: Answer, sent_s: float, now_s: float, probe: bool) -> None:
        """5xx, time-outs and connections that fail count; every other answer begins anew."""
        status = HTTP[answer.effect]
        if status and status < 500:
            self._errors[where] = 0
            return
        self._errors[where] += 1
        if self._errors[where] >= self._limit and not self.down[where] and sum(self.down) < self._hosts:
            self.down[where] = True
            self._times[where] += 1
            self._ejected_s[where] = now_s
            while self._sweep_s <= now_s:
                self._sweep_s += self._interval_s


def phi(waited_s: float, mean_s: float, deviation_s: float) -> float:
    """Akka's: -log10 of the chance that a heartbeat comes this late, by a logistic approximation of the normal
    distribution; `mean_s` with the acceptable pause in it."""
    y = (waited_s - mean_s) / deviation_s
    e = math.exp(-y * (1.5976 + 0.070566 * y * y))
    return -math.log10(e / (1.0 + e)) if waited_s > mean_s else -math.log10(1.0 - 1.0 / (1.0 + e))


def crossing(threshold: float) -> float:
    """At how many deviations above the mean phi reaches a threshold."""
    low, high = 0.0, 30.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if phi(middle, 0.0, 1.0) < threshold else (low, middle)
    return high


class Phi(Anchor):
    """Suspicion from silence."""

    def __init__(self, phase: float) -> None:
        super().__init__()
        self._every_s, self._size = PHI["heartbeat_interval_s"], int(PHI["max_sample_size"])
        self._pause_s, self._least_s = PHI["acceptable_heartbeat_pause_s"], PHI["min_std_deviation_s"]
        self._y = crossing(PHI["threshold"])
        self._due_s = [(phase + where / len(EXCHANGES)) % 1.0 * self._every_s for where in HERE]
        mean_s = PHI["first_heartbeat_estimate_s"]
        first = (0.75 * mean_s, 1.25 * mean_s)
        self._known = [deque(first) for _ in HERE]
        self._sum: list[float] = [sum(first) for _ in HERE]
        self._squares: list[float] = [sum(each * each for each in first) for _ in HERE]
        self._last_s = [math.nan for _ in HERE]
        self._until_s = [math.inf for _ in HERE]

    def next_s(self) -> float:
        """The next heartbeat, or the moment in which one has been missing for too long."""
        return min(min(self._due_s), min(self._until_s))

    def wake(self, now_s: float) -> Sequence[tuple[int, EvidenceKind, float]]:
        """Heartbeats that are due; they do not wait for each other."""
        out = []
        for where in HERE:
            if self._until_s[where] <= now_s:
                self.down[where], self._until_s[where] = True, math.inf
            if self._due_s[where] <= now_s:
                self._due_s[where] += self._every_s
                out.append((where, PUBLIC, REQUEST_TIMEOUT_S))
        return out

    def heard(self, where: int, kind: EvidenceKind, answer: Answer, sent_s: float, now_s: float, probe: bool) -> None:
        """Only that a heartbeat came means anything."""
        if not probe or not good(answer):
            return
        last_s, self._last_s[where] = self._last_s[where], now_s
        if not math.isnan(last_s) and not self.down[where]:
            self._learn(where, now_s - last_s)
        self.down[where] = False
        known = self._known[where]
        mean_s = self._sum[where] / len(known)
        deviation_s = math.sqrt(max(0.0, self._squares[where] / len(known) - mean_s * mean_s))
        self._until_s[where] = now_s + mean_s + self._pause_s + self._y * max(deviation_s, self._least_s)

    def _learn(self, where: int, interval_s: float) -> None:
        known = self._known[where]
        if len(known) >= self._size:
            oldest_s = known.popleft()
            self._sum[where] -= oldest_s
            self._squares[where] -= oldest_s * oldest_s
        known.append(interval_s)
        self._sum[where] += interval_s
        self._squares[where] += interval_s * interval_s


class SeedLoop(Anchor):
    """Asked up to three times, then down."""

    def __init__(self, phase: float) -> None:
        super().__init__()
        self._every_s, self._delay_s = SEED_LOOP["health_check_interval_s"], SEED_LOOP["retry_delay_s"]
        self._attempts = int(SEED_LOOP["max_retry_attempts"])
        self._due_s = [phase * self._every_s for _ in HERE]
        self._failed = [0 for _ in HERE]

    def wake(self, now_s: float) -> Sequence[tuple[int, EvidenceKind, float]]:
        """Attempts that are due."""
        due = [where for where in HERE if self._due_s[where] <= now_s]
        for where in due:
            self._due_s[where] = math.inf
        return [(where, PUBLIC, REQUEST_TIMEOUT_S) for where in due]

    def heard(self, where: int, kind: EvidenceKind, answer: Answer, sent_s: float, now_s: float, probe: bool) -> None:
        """Its own attempts only."""
        if not probe:
            return
        if good(answer):
            self.down[where], self._failed[where] = False, 0
            self._due_s[where] = now_s + self._every_s
            return
        self._failed[where] += 1
        if self._failed[where] < self._attempts:
            self._due_s[where] = now_s + self._delay_s
            return
        self.down[where], self._failed[where] = True, 0
        self._due_s[where] = now_s + self._every_s


ANCHORS: Final = {"haproxy": HAProxy, "envoy": Envoy, "phi": Phi, "seed_loop": SeedLoop}
DEFAULTS: Final = {"haproxy": HAPROXY, "envoy": ENVOY, "phi": PHI, "seed_loop": SEED_LOOP}
