"""How long an exchange that was down is on trial: the longer, the oftener it was down lately.

Theory. Route flap damping (RFC 2439): each outage adds 1 to a penalty, which halves with each `flap_half_life_s`. The
hold-down after an outage is `hold_down_s x 2^(penalty - 1)`, and at least until the penalty would have decayed to that
of a single outage, `flap_half_life_s x log2(penalty)`; never more than `hold_down_max_s`. So a single outage costs
`hold_down_s`, and an exchange that flaps is not trusted again before it has been quiet for as long as it takes to
forget that: doubling alone would not do, where a user's `hold_down_s` is short against the time between two flaps. It
is settled when the exchange goes DOWN, however long that outage lasts: time that passes while it is down proves
nothing.

An exchange that fails every quarter of an hour gets through that: by then half is forgotten. So one that was trusted
and went DOWN twice is also held down until `MEMORY` half-lives (an hour, with the defaults) after the first of the two.
With that, whatever goes DOWN at whatever regular distance goes from trusted to DOWN at most twice in such an hour;
since `hold_down_max_s` goes before, outages without any rule may do so three times, where the first two are close.

The penalty has a ceiling (RFC 2439, 4.2): beyond what makes the longest hold-down it would only lengthen the memory.
"""

from __future__ import annotations

import math

from attrs import evolve, frozen

from app.domain.health_settings import HealthSettings


@frozen(kw_only=True)
class Flaps:
    """The memory of having been DOWN.

    Attributes:
        penalty: At `at_s`; it decays from there.
        hold_s: The hold-down that the last outage earned; None where that follows from what is left of the penalty.
        until_s: When it is over; None unless the exchange is on trial.
        forgiven: The outage that lasts, or lasted before the trial, is not its own: our network was down.
        blamed: It is its own, by proof: others answered while it did not.
        left_s: When it was trusted and went DOWN, the last two times.
    """

    penalty: float = 0.0
    at_s: float = 0.0
    hold_s: float | None = 0.0
    until_s: float | None = None
    forgiven: bool = False
    blamed: bool = False
    left_s: tuple[float, ...] = ()

    @property
    def ours(self) -> bool:
        """Nothing speaks against the exchange itself: only our network was down."""
        return self.forgiven and not self.blamed


MEMORY = 4.0
"""For so many half-lives it is remembered when it was left. Declared by us."""

NEVER_DOWN = Flaps()


def penalty(flaps: Flaps, now_s: float, settings: HealthSettings) -> float:
    """What is left of the penalty now."""
    if flaps.penalty == 0.0:
        return 0.0
    return flaps.penalty * math.exp2(-max(0.0, now_s - flaps.at_s) / settings.flap_half_life_s)


def went_down(flaps: Flaps, now_s: float, settings: HealthSettings, *, trusted: bool = True) -> Flaps:
    """After one more outage.

    Args:
        trusted: It was not on trial, so that trading may have been there.
    """
    grown = min(penalty(flaps, now_s, settings) + 1.0, ceiling(settings))
    left_s = (*flaps.left_s, now_s)[-2:] if trusted else flaps.left_s
    return Flaps(penalty=grown, at_s=now_s, hold_s=hold_down_s(grown, settings), left_s=left_s)


def same_outage(flaps: Flaps) -> Flaps:
    """It is DOWN again by a call from before its trial: the outage was not over, and is no further one."""
    return evolve(flaps, until_s=None)


def forgiven(flaps: Flaps) -> Flaps:
    """The outage that lasts was our own network's: it costs no penalty, and nothing is held down for it.

    One that is the exchange's own by proof stays that, whatever our network does besides.
    """
    if flaps.forgiven or flaps.blamed:
        return flaps
    return evolve(
        flaps,
        penalty=max(0.0, flaps.penalty - 1.0),
        hold_s=0.0,
        forgiven=True,
        left_s=flaps.left_s[:-1] if flaps.left_s[-1:] == (flaps.at_s,) else flaps.left_s,
    )


def blamed(flaps: Flaps) -> Flaps:
    """The outage that lasts is its own, by proof, whatever our network does besides: its trial is no lenient one."""
    return flaps if flaps.blamed else evolve(flaps, blamed=True)


def on_trial(flaps: Flaps, now_s: float, settings: HealthSettings) -> Flaps:
    """After it answered again: the hold-down begins. One that was only closed is held down as after one outage."""
    earned_s = hold_down_s(max(1.0, flaps.penalty), settings) if flaps.hold_s is None else flaps.hold_s
    least_s = min(settings.hold_down_s, settings.hold_down_max_s)
    if len(flaps.left_s) == 2 and least_s:
        memory_s = flaps.left_s[0] + MEMORY * settings.flap_half_life_s - now_s
        least_s = max(least_s, min(memory_s, settings.hold_down_max_s))
    hold_s = 0.0 if flaps.forgiven else max(earned_s, least_s)
    return evolve(flaps, hold_s=hold_s, until_s=now_s + hold_s)


def over(flaps: Flaps) -> Flaps:
    """After the trial: nothing is held down any more, only the penalty is remembered, and when it was left."""
    return Flaps(penalty=flaps.penalty, at_s=flaps.at_s, left_s=flaps.left_s)


def hold_down_s(penalty_after: float, settings: HealthSettings) -> float:
    """For how long an exchange is on trial that comes back with this penalty, at least 1."""
    doubled = settings.hold_down_s * math.exp2(penalty_after - 1.0)
    forgotten = settings.flap_half_life_s * math.log2(penalty_after) if settings.hold_down_s else 0.0
    return min(settings.hold_down_max_s, max(doubled, forgotten))


def ceiling(settings: HealthSettings) -> float:
    """The greatest penalty: twice what earns the longest hold-down by doubling, and at least 4."""
    if not settings.hold_down_s:
        return 4.0
    return max(4.0, 2.0 + math.log2(max(1.0, settings.hold_down_max_s / settings.hold_down_s)))
