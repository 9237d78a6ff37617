"""What breaks, when, and what would be right: the published list.

A scenario is a number of runs. The errors that are always there are one run of a whole month. What happens now and then
is many short runs, as many as a month is said to have of them: the quiet time between is left out, since nothing
happens in it that the errors do not show. So false switches are per 30 days in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from attrs import frozen

from benchmarks.detection.trial import Fault, Run
from benchmarks.detection.world import (
    EXCHANGES,
    KINDS,
    ORDERS,
    SIGNED,
    STORM,
    Announced,
    Effect,
    Spell,
    World,
    drawn,
    mixed,
)
from messages.health import EvidenceKind

DAY_S: Final = 86_400.0
BOTH: Final = tuple(range(len(EXCHANGES)))
NO_STATUS: Final = frozenset(KINDS) - {EvidenceKind.STATUS_PROBE}
WARM_S: Final = 60.0
"""At least so long everything is well before something happens, and at most twice as long: when, is drawn."""
KNOWN_S: Final = 300.0
"""Likewise before a fault, so that whoever learns what is usual has learnt it."""
LONG_KNOWN_S: Final = 600.0
"""Likewise before what only a comparison with the usual tells."""

LIMIT_S: Final = 300.0
"""A fault that was not found by then was missed."""


Runs = Callable[[int, float], Iterator[Run]]
"""By seed and the days of a month."""


@frozen(kw_only=True)
class Scenario:
    """One of the list.

    Attributes:
        title: What it is called on the page.
        words: What happens.
        truth: What is right.
        runs: By seed and the days of a month: one run, or one for each time that it happens.
        fault: Whether its delays are held against the bar.
        noise: Whether nothing is ill in it, so that no switch is right.
    """

    name: str
    title: str
    words: str
    truth: str
    runs: Runs
    fault: bool = False
    noise: bool = False


def _count(per_month: int, days: float) -> int:
    return max(1, round(per_month * days / 30.0))


def _seed(seed: int, number: int) -> int:
    return mixed(seed * 1_000_003 + number) >> 16


def _warm(seed: int, least_s: float = WARM_S) -> float:
    return least_s * (1.0 + drawn(seed, 5))


def _between(bounds: tuple[float, float], chance: float) -> float:
    return bounds[0] + chance * (bounds[1] - bounds[0])


def _each(per_month: int, one: Callable[[int, int], Run]) -> Runs:
    """What happens now and then: a run for each time, by its own seed and number."""

    def runs(seed: int, days: float) -> Iterator[Run]:
        return (one(_seed(seed, number), number) for number in range(_count(per_month, days)))

    return runs


def _fault(effect: Effect, kinds: frozenset[EvidenceKind] | None = None) -> Callable[[int, int], Run]:
    """It begins, and goes on until it is missed."""

    def one(own: int, number: int) -> Run:
        begin_s = _warm(own, KNOWN_S)
        return _ill(own, Spell(begin_s=begin_s, end_s=begin_s + LIMIT_S, effect=effect, kinds=kinds))

    return one


def _ill(own: int, spell: Spell, begin_s: float | None = None, errors: tuple[float, ...] = (0.0, 0.0)) -> Run:
    """A run in which leaving is right while a spell lasts, or from a moment of it on."""
    fault = Fault(begin_s=spell.begin_s if begin_s is None else begin_s, end_s=spell.end_s)
    return Run(world=World(seed=own, errors=errors, spells=(spell,)), length_s=spell.end_s, faults=(fault,))


def _errors(first: float, second: float) -> Runs:
    def runs(seed: int, days: float) -> Iterator[Run]:
        yield Run(world=World(seed=_seed(seed, 0), errors=(first, second)), length_s=days * DAY_S, stop=False)

    return runs


TWENTY_LIMIT_S: Final = 3600.0
"""A fifth of errors takes hundreds of calls to tell from a twentieth: an idle exchange needs an hour for these."""
TWENTY_TRIALS: Final = 100


def _errors_20(seed: int, days: float) -> Iterator[Run]:
    """The month, in which leaving is right throughout, and trials of how soon a fifth of errors is noticed."""
    always = Spell(begin_s=0.0, end_s=math.inf, effect=Effect.SERVER, share=0.2)
    yield Run(
        world=World(seed=_seed(seed, 0), errors=(0.0, 0.01), spells=(always,)),
        length_s=days * DAY_S,
        faults=(Fault(begin_s=0.0, end_s=math.inf, wanted=False),),
        stop=False,
    )
    for number in range(1, 1 + _count(TWENTY_TRIALS, days)):
        own = _seed(seed, number)
        begin_s = _warm(own, LONG_KNOWN_S)
        spell = Spell(begin_s=begin_s, end_s=begin_s + TWENTY_LIMIT_S, effect=Effect.SERVER, share=0.2)
        yield _ill(own, spell, errors=(0.01, 0.01))


RAMP_PER_S: Final = 1 / 60
RAMP_LIMIT_S: Final = 900.0
"""By then latency has grown 32,768-fold: nothing is answered in time any more."""
SLOW: Final = 5.0
"""So many times the usual latency is called ill: the default of `health.latency_factor`."""


def _slow_ramp(own: int, number: int) -> Run:
    ramp_s = _warm(own, LONG_KNOWN_S)
    spell = Spell(begin_s=ramp_s, end_s=ramp_s + RAMP_LIMIT_S, slower=RAMP_PER_S)
    return _ill(own, spell, ramp_s + math.log2(SLOW) / RAMP_PER_S)


BURST_S: Final = (1.0, 4.0)
"""A hiccup, and no outage: over before trading would have moved and come back."""
BURST_GAP_S: Final = (60.0, 600.0)


def _bursts(seed: int, days: float) -> Iterator[Run]:
    own = _seed(seed, 0)
    length_s, at_s, number = days * DAY_S, 0.0, 0
    spells = []
    while True:
        number += 1
        at_s += _between(BURST_GAP_S, drawn(own, 11, number))
        if at_s >= length_s:
            break
        end_s = at_s + _between(BURST_S, drawn(own, 12, number))
        effect = STORM[int(len(STORM) * drawn(own, 13, number))]
        where = BOTH if drawn(own, 14, number) < 0.5 else (0,)
        spells.append(Spell(begin_s=at_s, end_s=end_s, where=where, effect=effect))
        at_s = end_s
    yield Run(world=World(seed=own, spells=spells), length_s=length_s, stop=False)


NOTICE_S: Final = 900.0
CLOSED_S: Final = 1800.0


def _maintenance(own: int, number: int) -> Run:
    told_s = _warm(own, 120.0)
    announced = number % 2 == 0
    begin_s = told_s + (NOTICE_S if announced else 0.0)
    end_s = begin_s + CLOSED_S
    spell = Spell(begin_s=begin_s, end_s=end_s, effect=Effect.CLOSED, kinds=NO_STATUS)
    fault = Fault(
        begin_s=begin_s,
        end_s=begin_s + LIMIT_S,
        known_s=told_s if announced else None,
        label="announced" if announced else "unannounced",
    )
    return Run(
        world=World(seed=own, spells=(spell,), announced=(Announced(told_s=told_s, begin_s=begin_s, end_s=end_s),)),
        length_s=fault.end_s,
        faults=(fault,),
    )


LIMITED_S: Final = (1.0, 15.0)
"""Less than `health.ban_tolerance_s`: no reason to leave."""
BANNED_S: Final = (120.0, 600.0)
"""From the shortest that Binance says it bans for ("from 2 minutes to 3 days"); the longest are alike."""


def _rate_limit_ban(own: int, number: int) -> Run:
    begin_s = _warm(own)
    banned = number % 3 == 0
    end_s = begin_s + _between(BANNED_S if banned else LIMITED_S, drawn(own, 21))
    spell = Spell(begin_s=begin_s, end_s=end_s, effect=Effect.BANNED if banned else Effect.LIMITED)
    fault = Fault(begin_s=begin_s, end_s=end_s, label="ban")
    return Run(world=World(seed=own, spells=(spell,)), length_s=end_s + WARM_S, faults=(fault,) if banned else ())


def _clock_jumps(own: int, number: int) -> Run:
    begin_s = _warm(own)
    theirs = number % 2 == 0
    # Mostly it is measured anew and corrected soon; one in five waits for a person.
    stuck = drawn(own, 31) < 0.2
    end_s = begin_s + _between((60.0, 300.0) if stuck else (1.0, 10.0), drawn(own, 32))
    where = (0,) if theirs else BOTH
    spell = Spell(begin_s=begin_s, end_s=end_s, where=where, effect=Effect.CLOCK, kinds=SIGNED)
    return Run(world=World(seed=own, spells=(spell,)), length_s=end_s + WARM_S)


OUTAGE_S: Final = (10.0, 300.0)
STAGGER_S: Final = 5.0
"""Old connections, and answers under way, let one exchange outlive the other by a little."""


def _own_network_down(own: int, number: int) -> Run:
    begin_s = _warm(own)
    end_s = begin_s + _between(OUTAGE_S, drawn(own, 41))
    effect = Effect.LOCAL if number % 2 else Effect.SILENT
    spells = tuple(
        Spell(
            begin_s=begin_s + STAGGER_S * drawn(own, 42, where),
            end_s=end_s + STAGGER_S * drawn(own, 43, where),
            where=(where,),
            effect=effect,
        )
        for where in BOTH
    )
    return Run(world=World(seed=own, spells=spells), length_s=end_s + STAGGER_S + 2 * WARM_S)


FLAP_S: Final = 20.0
FLAP_DAYS: Final = 2.0
"""Each hour of it is like the others: two days have enough of them."""


def _flapping_40s(seed: int, days: float) -> Iterator[Run]:
    own = _seed(seed, 0)
    length_s = min(days, FLAP_DAYS) * DAY_S
    begins = (WARM_S + 2 * FLAP_S * number for number in range(int((length_s - WARM_S) / (2 * FLAP_S))))
    spells = [Spell(begin_s=begin_s, end_s=begin_s + FLAP_S, effect=Effect.REFUSED) for begin_s in begins]
    yield Run(
        world=World(seed=own, spells=spells),
        length_s=length_s,
        faults=(Fault(begin_s=WARM_S, end_s=math.inf, wanted=False),),
        stop=False,
    )


OUTAGE_NUMBERS: Final = 1_000_000
"""Their seeds are none of the scenarios'."""


def outage(seed: int, number: int, length_s: float) -> Run:
    """An exchange that refuses connections for so long and is well again: is that a reason to leave?"""
    own = _seed(seed, OUTAGE_NUMBERS + number)
    begin_s = _warm(own)
    spell = Spell(begin_s=begin_s, end_s=begin_s + length_s, effect=Effect.REFUSED)
    fault = Fault(begin_s=begin_s, end_s=spell.end_s + WARM_S)
    return Run(world=World(seed=own, spells=(spell,)), length_s=fault.end_s, faults=(fault,))


SCENARIOS: Final = (
    Scenario(
        name="hard_death",
        title="hard death",
        words="Connections are refused.",
        truth="Ill from the first refusal on.",
        runs=_each(300, _fault(Effect.REFUSED)),
        fault=True,
    ),
    Scenario(
        name="blackhole",
        title="blackhole",
        words="Requests go out, and nothing ever comes back.",
        truth="Ill from the first request on that stays unanswered.",
        runs=_each(300, _fault(Effect.SILENT)),
        fault=True,
    ),
    Scenario(
        name="http_5xx",
        title="HTTP 5xx",
        words="Every call is answered with 503, at the usual pace.",
        truth="Ill.",
        runs=_each(300, _fault(Effect.SERVER)),
        fault=True,
    ),
    Scenario(
        name="order_path_dead",
        title="order path dead",
        words="Placements fail with 503; the time endpoint, reads, cancels and signed probes are answered.",
        truth="Ill: nobody can trade there.",
        runs=_each(300, _fault(Effect.SERVER, ORDERS)),
        fault=True,
    ),
    Scenario(
        name="slow_ramp",
        title="slow ramp",
        words="Latency doubles each minute, for 15 minutes.",
        truth="Ill from five times its usual latency on (after 139 s of the ramp); leaving before is false.",
        runs=_each(100, _slow_ramp),
        fault=True,
    ),
    Scenario(
        name="errors_1",
        title="1 % errors",
        words="One call in a hundred fails, each by chance of its own, on both exchanges, all the time.",
        truth="Well: every switch is false.",
        runs=_errors(0.01, 0.01),
        noise=True,
    ),
    Scenario(
        name="errors_5",
        title="5 % errors",
        words="Likewise one call in twenty.",
        truth="Well: every switch is false.",
        runs=_errors(0.05, 0.05),
        noise=True,
    ),
    Scenario(
        name="errors_20",
        title="20 % errors",
        words="One call in five of the exchange in use, one in a hundred of its backup, all the time; and trials of how"
        " soon it is noticed.",
        truth="Ill: a fifth of all orders fail there, and next door they do not. To be left once, not over and over.",
        runs=_errors_20,
    ),
    Scenario(
        name="bursts",
        title="bursts",
        words="Each 1 to 10 minutes everything fails for 1 to 4 s, on the exchange in use or on both, all the time.",
        truth="Well: every switch is false.",
        runs=_bursts,
        noise=True,
    ),
    Scenario(
        name="maintenance",
        title="maintenance",
        words="The exchange closes for half an hour: every call is answered with 503 that says so. Every other time its"
        " status page has told of it 15 minutes before.",
        truth="Ill from its beginning; leaving is right from the announcement on, and counts as no delay.",
        runs=_each(100, _maintenance),
        fault=True,
    ),
    Scenario(
        name="rate_limit_ban",
        title="rate limits, bans",
        words="Two times in three we are told to wait, 1 to 15 s (429); else we are banned, for 2 to 10 minutes (418)."
        " It holds for the whole address, so for probes as well.",
        truth="Well where it is a wait: leaving is false. Ill for us where it is a ban.",
        runs=_each(300, _rate_limit_ban),
        fault=True,
    ),
    Scenario(
        name="clock_jumps",
        title="clock jumps",
        words="Our clock or theirs jumps: signed calls are refused for it (400), for 1 to 10 s until it is measured"
        " anew, one time in five for 1 to 5 minutes.",
        truth="Well: every switch is false.",
        runs=_each(300, _clock_jumps),
        noise=True,
    ),
    Scenario(
        name="own_network_down",
        title="own network down",
        words="Nothing is reached for 10 s to 5 minutes: every other time without a word, else names are not resolved."
        " Each exchange falls silent, and comes back, up to 5 s after the other.",
        truth="Well, all of them: every switch is false.",
        runs=_each(300, _own_network_down),
        noise=True,
    ),
    Scenario(
        name="flapping_40s",
        title="flapping, 40 s",
        words="The exchange refuses connections for 20 s, is well for 20 s, and so on; for two days at most.",
        truth="Ill throughout: leaving is right, and coming back again and again is not.",
        runs=_flapping_40s,
    ),
)
BY_NAME: Final = {scenario.name: scenario for scenario in SCENARIOS}
