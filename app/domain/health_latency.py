"""How long calls of one exchange take: lately, against what is usual there, and a call that is not answered yet.

**Usual.** An exchange that takes ten seconds for an order is worse than one that refuses it, and no count of failures
sees it. What is slow differs by exchange, kind of call and place on earth, so each kind is measured against itself:
`recent` is the median of the last `latency_min_calls` moments, a moment being the median of the calls of one
`retry_delay_s` (so that a thousand calls in one second of trouble are one of twenty); a call that failed counts as
slower than any. The median of medians stays where it is until half of the moments are bad.

`usual` follows `recent` with a limited step, in the logarithm: at most a factor of 2 in 24 hours, however many calls
there are and whatever they say. That is stochastic approximation of a median (Robbins and Monro, Ann. Math. Stat. 22,
1951; its O(1) form: Ma, Muthukrishnan and Sandler, "Frugal streaming", 2013) with its gain tied to the clock instead of
to the calls. So a ramp cannot take its own measure with it: over two hours `usual` moves by 6 % at the most, while a
moving average of an hour would have followed. Nor does an outage pollute it: moments without an answer do not move it.
The price: a change for good is called unfit for log2(latency_factor) days, then it is usual. Falling is quicker in its
first days (a factor of e in its age), so that one that began in bad hours soon learns better, and one in good hours
rises as slowly as ever. Hours of the day differ by a factor of 2 to 3: less than `latency_factor`, whichever of them
`usual` comes to lie at.

Unfit: above `latency_factor` x `usual` and above `latency_min_s`, until it is below that by the root of
`latency_factor`; by so many of the last moments that failures alone, where 5 % are borne (`health_rate`), come to it in
one of 1e9 windows: 11 of 20 (`slow_moments`). A verdict begins when a moment is over, or it would flutter with each
call. Public probes are told, and do not make unfit: other servers answer them. Moments before a silence of
`flap_half_life_s` are forgotten, so that an exchange nobody uses any more is not slow for ever.

**Suspicion of silence** is phi accrual (Hayashibara, Defago, Yared and Katayama, "The phi accrual failure detector",
SRDS 2004): phi = -log10 P(a call is answered after more than the time waited), by the calls of its kind; 8 means that
one call in 1e8 takes so long. They and Akka take time between heartbeats, with a normal distribution; Cassandra an
exponential one. Here nothing beats: it is one call's own age, and latencies of calls are skewed to the right (the long
tail is real), so that a normal distribution would cry wolf and the exponential one, which does not know its deviation,
would wait 18 means for an exchange as regular as a clock. So: normal in the logarithm. As in Akka (min-std-deviation)
and for its reason there is a floor on the deviation, here 0.5, a factor of 16 between the median and phi 8: a very
regular exchange would otherwise be suspected for one retransmission; and as with its acceptable pause nothing below
`latency_min_s` is suspicious. Few samples: mean and deviation are those of a normal-inverse-chi-square posterior
(Gelman et al., "Bayesian Data Analysis", 3.3) with a prior worth 4 calls around half a second, so that with no call at
all phi reaches 8 after two minutes, with a hundred calls of 80 ms after a good second. Phi of a real call only
hurries a probe; of a probe it says when that has failed (`patience_s`).

Everything is kept in integers (steps of 5 % of time): sums do not depend on order, so neither does a verdict within one
`retry_delay_s`. Given `usual`, slower or failing calls never make the verdict better: property tests. (A call that
fails teaches nothing of what is usual, so what is learnt, and phi with it, can go either way.)

**Slow together.** A congested line of our own slows every exchange down, but the one in use is found out within a
minute, by its many calls, and an idle one within ten, by its probes: meanwhile trading would move, and gain nothing. So
once one exchange is slow by the full measure, two or three slow probes are enough for the others (`slow_too`): more
than the root of `latency_factor` times their usual. Then nobody is fit, and nothing moves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

from attrs import evolve, field, frozen

from app.domain.health_kinds import JUDGED, ROUND_EVIDENCE
from app.domain.health_rate import P0
from app.domain.health_settings import HealthSettings, moment_s
from messages.health import EvidenceKind, Latency

TIMED = (*JUDGED, EvidenceKind.PUBLIC_PROBE)
"""The kinds whose latencies are kept, and told of in this order."""

STEPS = 20
"""Of a latency's logarithm: a step is 5 %, finer than any verdict needs."""
QUICKEST_S = 1e-4
SLOWEST_S = 1e3
"""No call over a network is quicker, and none is waited for so long: what is beyond counts as these."""
FAILED = 1_000_000
"""The step of a call that was not answered: far above that of `SLOWEST_S`, which is 138."""

DAY_S = 86_400.0
USUAL_DOUBLES_S = DAY_S
"""The usual latency needs as long to double, or to halve when it is old: the hours of one day must not pass for usual.
"""
YOUNG_S = 600.0
"""It counts as so old when it is known first, by which it may fall by a tenth in its first minute, and less later."""
LONGEST_S = 60.0
"""What one moment may move it: as much as so long a time may, or the first call after a night would move it by much."""
FEWEST = 7
"""Moments that `recent` is made of, however few calls are enough: that failures alone make all of fewer slow comes more
often than `CHANCE` (P0^7 = 8e-10)."""
CHANCE = 1e-9
"""Of calling an exchange slow for failures alone, in one window: a month has 2e6 of them."""

PRIOR_CALLS = 4
PRIOR_S = 0.5
PRIOR_DEVIATION = 1.0
LEAST_DEVIATION = 0.5
"""Of the logarithm (to the base e) of a latency; above says why."""
KEPT_CALLS = 1024
"""The distribution of latencies forgets the older half of so many calls: half as many tell its deviation to 3 %."""
CERTAIN = 37.0
"""More deviations than that are beyond what floats tell apart from never; phi is 299 there."""


def _step(latency_s: float) -> int:
    return round(math.log(min(max(latency_s, QUICKEST_S), SLOWEST_S)) * STEPS)


def _seconds(step: float) -> float:
    return math.exp(step / STEPS)


def _median(calls: Mapping[int, int]) -> int:
    """The upper one, so that a further slow call never lowers it."""
    rest = sum(calls.values()) // 2
    for step in sorted(calls):
        rest -= calls[step]
        if rest < 0:
            return step
    raise ValueError("no call has no median")


@cache
def slow_moments(moments: int) -> int:
    """So many of these must be slow. (The chance that so many or more fail is less than this first term and a half.)"""
    return next(
        (
            bad
            for bad in range(moments // 2 + 1, moments)
            if 1.5 * math.comb(moments, bad) * P0**bad * (1 - P0) ** (moments - bad) <= CHANCE
        ),
        moments,
    )


@frozen
class Calls:
    """Of one kind.

    Attributes:
        slot: Number of the newest moment since time began; `at_s` of its newest call.
        open: Its calls by their latency in steps.
        moments: (median, calls) of those before, oldest first.
        usual: In steps; None before enough is known.
        born_s: How old `usual` is, counts from here.
        slow_before: The verdict before the newest moment; `slow` with it, `slower` what it is if that is over.
        recent: In steps; None where too little is known.
        counted: The calls it is made of.
        n, total, squares: Of the steps of answered calls, for their distribution.
    """

    slot: int
    at_s: float
    open: Mapping[int, int] = field(factory=dict)
    moments: tuple[tuple[int, int], ...] = ()
    usual: float | None = None
    born_s: float = 0.0
    slow_before: bool = False
    slow: bool = False
    slower: bool = False
    recent: int | None = None
    counted: int = 0
    n: int = 0
    total: int = 0
    squares: int = 0


@frozen
class Latencies:
    """Of one exchange, by kind of call."""

    kinds: Mapping[EvidenceKind, Calls] = field(factory=dict)

    def seen(self, kind: EvidenceKind, latency_s: float | None, at_s: float, settings: HealthSettings) -> Latencies:
        """After one more call: None where it failed.

        One that is older than the newest of its kind is taken as of the same time as that.
        """
        if kind not in TIMED:
            return self
        slot = math.floor(at_s / moment_s(settings))
        calls = self.kinds.get(kind)
        if calls is None:
            calls = Calls(slot, at_s)
        elif calls.slot < slot and calls.open:
            calls = _closed(calls, slot, at_s, settings)
        return Latencies({**self.kinds, kind: _with(calls, slot, latency_s, at_s, settings)})

    def known(self, told: tuple[Latency, ...], now_s: float) -> Latencies:
        """With what another one has told to be usual, where this one does not know it yet."""
        kinds = dict(self.kinds)
        for each in told:
            if each.kind in TIMED and each.usual_s is not None and each.kind not in kinds:
                usual = float(_step(each.usual_s))
                kinds[each.kind] = Calls(-1, now_s, usual=usual, born_s=now_s - DAY_S)
        return Latencies(kinds)

    def restarted(self) -> Latencies:
        """Without what calls took lately, with what is usual: for an exchange that was DOWN."""
        return Latencies(
            {
                kind: evolve(
                    calls, open={}, moments=(), slow_before=False, slow=False, slower=False, recent=None, counted=0
                )
                for kind, calls in self.kinds.items()
            }
        )

    def unfit(self, now_s: float, settings: HealthSettings) -> str:
        """Why trading should move though it answers, in words with the numbers; empty where nothing speaks for that."""
        for kind, words in JUDGED.items():
            calls = self.kinds.get(kind)
            if calls is None or not calls.slow or calls.recent is None or calls.usual is None:
                continue
            if now_s - calls.at_s > _silence_s(settings):
                continue
            usual_s = _seconds(calls.usual)
            if calls.recent >= FAILED:
                return f"at least half of {words} fail, which usually take {usual_s:.3g} s"
            recent_s = _seconds(calls.recent)
            return (
                f"{words} take {recent_s:.3g} s (median of the last {calls.counted}), "
                f"{recent_s / usual_s:.3g} times the usual {usual_s:.3g} s"
            )
        return ""

    def slowed(self, now_s: float, settings: HealthSettings) -> tuple[EvidenceKind, float, float] | None:
        """What its probes take just now, if all kinds of them are slow: (kind, seconds, usual seconds).

        By the last three rounds; None where it is not slow, or where fewer than two are known.
        """
        found: list[tuple[float, EvidenceKind, float, float]] = []
        for kind in ROUND_EVIDENCE:  # what an exchange that is not in use is asked
            calls = self.kinds.get(kind)
            if calls is None or calls.usual is None or now_s - calls.at_s > _silence_s(settings):
                continue
            medians = [median for median, _ in calls.moments[-2:]]
            if calls.open:
                medians.append(_median(calls.open))
            if len(medians) < 2:
                continue
            newest_s, usual_s = (
                _seconds(min(sorted(medians)[len(medians) // 2], _step(SLOWEST_S))),
                _seconds(calls.usual),
            )
            found.append((newest_s / usual_s, kind, newest_s, usual_s))
        if not found:
            return None
        least, kind, newest_s, usual_s = min(found)
        return (kind, newest_s, usual_s) if least > math.sqrt(settings.latency_factor) else None

    def suspicion(self, kind: EvidenceKind, waited_s: float, settings: HealthSettings) -> float:
        """Phi of a call that was sent `waited_s` ago and is not answered."""
        if waited_s <= settings.latency_min_s:
            return 0.0
        middle, deviation = self._spread(kind)
        far = min(CERTAIN, (math.log(waited_s) - middle) / deviation)
        return -math.log10(math.erfc(far / math.sqrt(2)) / 2)

    def patience_s(self, kind: EvidenceKind, settings: HealthSettings) -> float:
        """After so long without an answer a call of a kind is as suspicious as `suspicion` allows."""
        middle, deviation = self._spread(kind)
        return max(settings.latency_min_s, math.exp(min(middle + deviation * _far(settings.suspicion), CERTAIN)))

    def _spread(self, kind: EvidenceKind) -> tuple[float, float]:
        """Middle and deviation of the logarithm of a kind's latencies."""
        calls = self.kinds.get(kind)
        n, total, squares = (calls.n, calls.total, calls.squares) if calls is not None else (0, 0, 0)
        mean = total / n / STEPS if n else 0.0
        spread = max(0.0, squares / n / STEPS**2 - mean * mean) * n if n else 0.0
        prior, weight = math.log(PRIOR_S), PRIOR_CALLS + n
        middle = (PRIOR_CALLS * prior + n * mean) / weight
        apart = PRIOR_CALLS * n / weight * (mean - prior) ** 2
        deviation = math.sqrt((PRIOR_CALLS * PRIOR_DEVIATION**2 + spread + apart) / weight)
        return middle, max(deviation, LEAST_DEVIATION)

    def told(self, now_s: float, settings: HealthSettings) -> tuple[Latency, ...]:
        """For people, and for the one that takes over."""
        silence_s = _silence_s(settings)
        return tuple(
            [
                Latency(
                    kind=kind,
                    recent_s=_recent_told(calls, now_s, silence_s),
                    usual_s=None if calls.usual is None else _seconds(calls.usual),
                )
                for kind in TIMED
                if (calls := self.kinds.get(kind)) is not None
            ]
        )


def slow_too(own: Latencies, others: tuple[Latencies, ...], now_s: float, settings: HealthSettings) -> str:
    """Why an exchange is no better than one that is unfit for being slow, in words with the numbers; or empty."""
    slowed = own.slowed(now_s, settings)
    if slowed is None or not any(other.unfit(now_s, settings) for other in others):
        return ""
    kind, newest_s, usual_s = slowed
    words = JUDGED.get(kind, "public probes")
    took = "fail" if newest_s >= SLOWEST_S * 0.99 else f"take {newest_s:.3g} s"
    return f"{words} {took} now, usually {usual_s:.3g} s, while another exchange is slow too: it may be our own network"


@cache
def _far(phi: float) -> float:
    """How many deviations from the middle phi is reached."""
    near, far = 0.0, CERTAIN
    for _ in range(60):
        middle = (near + far) / 2
        if -math.log10(math.erfc(middle / math.sqrt(2)) / 2) > phi:
            far = middle
        else:
            near = middle
    return far


def _size(settings: HealthSettings) -> int:
    return max(FEWEST, settings.latency_min_calls)


def _silence_s(settings: HealthSettings) -> float:
    """What was before so long a silence is not recent."""
    return max(settings.flap_half_life_s, 3 * settings.health_check_interval_s)


def _recent_told(calls: Calls, now_s: float, silence_s: float) -> float | None:
    if calls.recent is None or calls.recent >= FAILED or now_s - calls.at_s > silence_s:
        return None
    return _seconds(calls.recent)


def _with(calls: Calls, slot: int, latency_s: float | None, at_s: float, settings: HealthSettings) -> Calls:
    """One more call in the newest moment."""
    step = FAILED if latency_s is None else _step(latency_s)
    newest = {**calls.open, step: calls.open.get(step, 0) + 1}
    median, size = _median(newest), _size(settings)
    recent, least, counted = None, None, sum(newest.values())
    before = calls.moments[-(size - 1) :]
    for _, count in before:
        counted += count
    if counted >= settings.latency_min_calls and len(before) + 1 >= FEWEST:
        medians = sorted([moment for moment, _ in before] + [median])
        recent, least = medians[len(medians) // 2], medians[-slow_moments(len(medians))]
    answered = latency_s is not None
    over, nearly = _slow(least, calls.usual, settings)
    slow = calls.slow_before and nearly
    return Calls(
        slot=max(slot, calls.slot),
        at_s=max(at_s, calls.at_s),
        open=newest,
        moments=calls.moments,
        usual=calls.usual,
        born_s=calls.born_s,
        slow_before=calls.slow_before,
        slow=slow,
        slower=over or slow,
        recent=recent,
        counted=counted,
        n=calls.n + answered,
        total=calls.total + (step if answered else 0),
        squares=calls.squares + (step * step if answered else 0),
    )


def _closed(calls: Calls, slot: int, at_s: float, settings: HealthSettings) -> Calls:
    """The newest moment is over: what is usual learns from it."""
    moments = (*calls.moments, (_median(calls.open), sum(calls.open.values())))[-_size(settings) :]
    n, total, squares = calls.n, calls.total, calls.squares
    while n > KEPT_CALLS:
        n, total, squares = n // 2, total // 2, squares // 2
    usual, born_s = calls.usual, calls.born_s
    if calls.recent is not None and calls.recent < FAILED:
        usual, born_s = _learnt(calls, slot, settings)
    slow = calls.slower
    if at_s - calls.at_s > _silence_s(settings):
        moments, slow = (), False
    return Calls(
        slot=slot,
        at_s=at_s,
        moments=moments,
        usual=usual,
        born_s=born_s,
        slow_before=slow,
        slow=slow,
        n=n,
        total=total,
        squares=squares,
    )


def _learnt(calls: Calls, slot: int, settings: HealthSettings) -> tuple[float, float]:
    recent, usual = float(calls.recent or 0), calls.usual
    if usual is None:
        return recent, calls.at_s - YOUNG_S
    passed_s = min((slot - calls.slot) * moment_s(settings), LONGEST_S)
    rises = STEPS * math.log(2) / USUAL_DOUBLES_S * passed_s
    falls = max(rises, STEPS * passed_s / max(calls.at_s - calls.born_s, YOUNG_S))
    return usual + min(rises, max(-falls, recent - usual)), calls.born_s


def _slow(least: int | None, usual: float | None, settings: HealthSettings) -> tuple[bool, bool]:
    """Whether it is slow, and whether it is nearly, where enough moments took at least so long."""
    if least is None or usual is None:
        return False, False
    if least >= FAILED:
        return True, True
    limit_s = max(settings.latency_factor * _seconds(usual), settings.latency_min_s)
    least_s = _seconds(least)
    return least_s > limit_s, least_s > limit_s / math.sqrt(settings.latency_factor)
