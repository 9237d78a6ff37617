"""How many calls of one exchange fail: too many just now, or a few too many for too long.

Two questions, two answers. `Rate.suspect` counts the calls of the last minute: more than half failing makes an exchange
SUSPECT at once, which only means that it is asked more often. `Rate.unfit` tells 20 % errors, which are ill, from 5 %,
which are the weather: no short window can, for 3 failures of 10 come at 5 % every hour.

**The test** is Page's (E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954), P0 = 5 % against P1 = 20 %.
A failure adds ln(P1/P0) = +1.386 to a score, an answer ln((1-P1)/(1-P0)) = -0.172, and the score never falls below 0.
Where less than 11 % fail it sinks to 0 again and again, where more do it climbs. An exchange is unfit when the score
has reached the threshold h; there the score stops, and the verdict ends when it has come down to h/2: after 58 answers
without a failure, or 106 at 5 %. No test with as few false alarms is quicker in the worst case (Moustakides, Ann.
Stat. 14, 1986).

**What is an observation.** Not a call: a thousand orders refused in one second are one moment of trouble. The calls of
one kind within one `retry_delay_s` are one, and it fails in part: 3 failures of 10 calls move the score 3/10 of the way
from an answer to a failure. Only when it is over does it begin a verdict, which would flutter with each call otherwise.
Public probes are left out (that they fail says as little of orders as that they do not). Each kind has its own score,
so that healthy probes cannot water down failing orders, and one score takes all kinds together, so that trouble
everywhere is found sooner where each kind is called rarely.

**The threshold.** Let L be what one observation adds. At P0 the mean of e^L is P0 x P1/P0 + (1-P0) x (1-P1)/(1-P0) = 1,
and at most 1 for the mean of many calls, however these depend on each other (Jensen: e^mean <= mean of e^L). So e^sum
of L, begun anywhere, is a supermartingale, reaches e^h with a chance of at most e^-h (Ville), and within n observations
the chance of a false alarm is at most n x e^-h. *Whatever its rate of calls*, the router has at most 4 kinds x 30 days
/ `retry_delay_s` observations a month, and each counts twice (for its kind, and for all): n = 4,147,200 at 5 s. For at
most one false alarm in 100 months h = ln(100 n) = 19.84 (`threshold`). It is really rarer by a factor of 19, for a
score overshoots: the mean run length is about (e^b - b - 1) / 0.0939 with b = h + what a failure overshoots (Siegmund,
"Sequential Analysis", 1985, II.6), and 7.8e9 observations at 5 % by the Markov chain of the score; a test computes
both. Between observations independence is assumed: a disturbance that outlasts `retry_delay_s`, or hits all kinds at
once, counts more than once.

**How long it takes.** At 20 % the score climbs 0.14 an observation: 140 observations on average, in 99 of 100 cases at
most 300. With four busy kinds those are three minutes, with one twelve; on an idle exchange, asked each 30 s, an hour.
Five seconds in which everything fails touch two observations of each kind: 11.1, not unfit.

A kind that is not called any more, as placing is after trading moved away, would keep its verdict for ever: after
`flap_half_life_s` of silence its score halves each `flap_half_life_s`. More failures never lower a score, and within
one `retry_delay_s` order does not matter: property tests.
"""

from __future__ import annotations

import math

from attrs import frozen

from app.domain.health_kinds import JUDGED, UNCOUNTED
from app.domain.health_settings import HealthSettings, moment_s
from messages.health import EvidenceKind

P0 = 0.05
"""The share of failures that is borne for ever."""
P1 = 0.20
"""The share of failures that is an illness."""
FAILED = math.log(P1 / P0)
ANSWERED = math.log((1 - P1) / (1 - P0))
"""What a failure and an answer add to a score."""

BUCKETS = 12
"""The window forgets in steps of a twelfth of its length: of a minute, each `retry_delay_s` by default."""

MONTH_S = 30 * 86_400.0
FALSE_ALARMS = 0.01
"""At most so many false alarms a month, at P0 and the highest rate of observations there is."""

REMEMBERED = 512
"""For words only: after so many observations the older ones count half."""


def threshold(settings: HealthSettings) -> float:
    """The score from which on an exchange is unfit; above says why."""
    observations = 2 * len(JUDGED) * MONTH_S / moment_s(settings)
    return math.log(observations / FALSE_ALARMS)


def gain(calls: int, failed: int) -> float:
    """What the calls of one observation add to a score."""
    return ANSWERED + (FAILED - ANSWERED) * (failed / calls)


@frozen
class Window:
    """Calls and failures of the last while, in buckets of a fixed length.

    Attributes:
        buckets: (number of the bucket since time began, calls, failures), oldest first.
    """

    buckets: tuple[tuple[int, int, int], ...] = ()

    def plus(self, at_s: float, calls: int, failed: int, window_s: float) -> Window:
        """The window with calls added, and what is too old forgotten."""
        number = math.floor(at_s / window_s * BUCKETS)
        kept = self.buckets
        if kept and kept[-1][0] >= number:
            number = kept[-1][0]
            calls, failed = calls + kept[-1][1], failed + kept[-1][2]
            kept = kept[:-1]
        if kept and kept[0][0] <= number - BUCKETS:
            kept = tuple(bucket for bucket in kept if bucket[0] > number - BUCKETS)
        return Window((*kept, (number, calls, failed)))

    def counts(self, now_s: float, window_s: float) -> tuple[int, int]:
        """Failures and calls within the window."""
        oldest = math.floor(now_s / window_s * BUCKETS) - BUCKETS
        failed = calls = 0
        for number, bucket_calls, bucket_failed in self.buckets:
            if number > oldest:
                calls += bucket_calls
                failed += bucket_failed
        return failed, calls


@frozen
class Score:
    """Of one kind, or of all: as of before the newest observation, and with it, for that may still grow.

    Attributes:
        slot: Number of the newest observation's time since time began.
        calls: In the newest observation; 0 for the score of all kinds.
        failed: Of these.
        before, unfit_before: Before the newest observation; that alone begins a verdict.
        score, unfit: With it.
        seen: Observations since the score was last 0, without the newest, halved where there are many.
        bad: How much of these failed.
        share: How much of the newest one failed; of the score of all kinds: summed over `kinds`.
        kinds: How many kinds the newest observation has.
    """

    slot: int = -1
    calls: int = 0
    failed: int = 0
    before: float = 0.0
    unfit_before: bool = False
    score: float = 0.0
    unfit: bool = False
    seen: float = 0.0
    bad: float = 0.0
    share: float = 0.0
    kinds: int = 0

    def faded(self, slot: int, settings: HealthSettings) -> float:
        """The score by the time of a later observation."""
        silent_s = (slot - self.slot) * moment_s(settings) - settings.flap_half_life_s
        return self.score * 0.5 ** (silent_s / settings.flap_half_life_s) if silent_s > 0 else self.score

    def closed(self, slot: int, settings: HealthSettings, limit: float) -> Score:
        """With the newest observation over and nothing in the next."""
        score = self.faded(slot, settings)
        seen, bad = self.seen + self.kinds, self.bad + self.share
        if score <= 0.0:
            seen = bad = 0.0
        elif seen > REMEMBERED:
            seen, bad = seen / 2, bad / 2
        unfit = score >= limit or (self.unfit and score > limit / 2)
        return Score(slot, 0, 0, score, unfit, score, unfit, seen, bad)

    def at(self, calls: int, failed: int, adds: float, share: float, kinds: int, limit: float) -> Score:
        """With the newest observation as given."""
        score = min(limit, max(0.0, self.before + adds))
        unfit = self.unfit_before and score > limit / 2
        before, unfit_before = self.before, self.unfit_before
        return Score(self.slot, calls, failed, before, unfit_before, score, unfit, self.seen, self.bad, share, kinds)


ALL = len(JUDGED)
"""Where the score of all kinds stands, behind those of each."""
_NOTHING = (Score(),) * (ALL + 1)
_INDEX = {kind: index for index, kind in enumerate(JUDGED)}


@frozen
class Rate:
    """The calls of one exchange, as successes and failures.

    Attributes:
        scores: Of each of `JUDGED`, and of all.
    """

    window: Window = Window()
    scores: tuple[Score, ...] = _NOTHING

    def seen(self, kind: EvidenceKind, ok: bool, at_s: float, settings: HealthSettings) -> Rate:
        """After one more call; one that is older than the newest is taken as of the same time as that."""
        if kind in UNCOUNTED:
            return self
        failed = 0 if ok else 1
        window = self.window.plus(at_s, 1, failed, settings.error_window_s)
        index = _INDEX.get(kind)
        if index is None:
            return Rate(window, self.scores)
        scores, limit = list(self.scores), threshold(settings)
        slot = max(math.floor(at_s / moment_s(settings)), scores[ALL].slot)
        one = scores[index]
        if one.slot < slot:
            one = one.closed(slot, settings, limit)
        calls, failed = one.calls + 1, one.failed + failed
        scores[index] = one.at(calls, failed, gain(calls, failed), failed / calls, 1, limit)
        everything = scores[ALL]
        if everything.slot < slot:
            everything = everything.closed(slot, settings, limit)
        kinds, share = 0, 0.0
        for each in scores[:ALL]:  # always in this order: sums of floats depend on it
            if each.slot == slot:
                kinds, share = kinds + 1, share + each.share
        adds = kinds * ANSWERED + (FAILED - ANSWERED) * share
        scores[ALL] = everything.at(0, 0, adds, share, kinds, limit)
        return Rate(window, tuple(scores))

    def restarted(self) -> Rate:
        """Without what was held against it: for an exchange that was DOWN, which has been judged by that."""
        return Rate(self.window)

    def counts(self, now_s: float, settings: HealthSettings) -> tuple[int, int]:
        """Failures and calls of the last `error_window_s`."""
        return self.window.counts(now_s, settings.error_window_s)

    def suspect(self, now_s: float, settings: HealthSettings) -> str:
        """Why it is SUSPECT by its error rate, in words; empty where it is not."""
        failed, calls = self.window.counts(now_s, settings.error_window_s)
        if calls >= settings.error_min_calls and failed > settings.error_rate * calls:
            return f"{failed} of {calls} calls failed within {settings.error_window_s:g} s"
        return ""

    def unfit(self, now_s: float, settings: HealthSettings) -> str:
        """Why trading should move though it answers, in words with the numbers; empty where nothing speaks for that."""
        for index, one in enumerate(self.scores):
            if one.unfit and self._holds(one, now_s, settings):
                what = "calls" if index == ALL else tuple(JUDGED.values())[index]
                seen, bad = one.seen + one.kinds, one.bad + one.share
                return (
                    f"{bad / seen:.0%} of {what} fail ({bad:.3g} of {seen:.3g} moments {moment_s(settings):g} s apart),"
                    f" more than the {P0:.0%} that are borne"
                )
        return ""

    def _holds(self, one: Score, now_s: float, settings: HealthSettings) -> bool:
        slot = math.floor(now_s / moment_s(settings))
        return one.faded(slot, settings) > threshold(settings) / 2
