"""What is done to whom, and when: a plan drawn from a seed, so that a run can be repeated and taken up again. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import islice, product, repeat
from typing import Final

from attrs import frozen


class Target(StrEnum):
    """Who is hit."""

    CONNECTOR = "connector"
    """Of the exchange in use: the one on an order's way."""
    OTHER = "other_connector"
    """Of an exchange that is not in use; hit with others only."""
    MONITOR = "health_monitor"
    COORDINATOR = "failover_coordinator"
    SYNCHRONIZER = "position_synchronizer"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"
    """Thespian's, and so is the logger."""
    LOGGER = "logger"
    LAUNCHER = "launcher"
    """The daemon's foreground process; nobody is left to start it again but whoever is outside."""


class Means(StrEnum):
    """How."""

    KILL = "SIGKILL"
    SEGV = "SIGSEGV"
    STOP = "SIGSTOP"
    """It hangs: it neither ends nor answers."""
    EXIT = "_exit"
    """It ends by itself, without a word and without a signal."""


ACTORS: Final = (Target.CONNECTOR, Target.OTHER, Target.MONITOR, Target.COORDINATOR, Target.SYNCHRONIZER)
"""All whom the supervisor starts again, each by itself."""
ABOVE: Final = (Target.SUPERVISOR, Target.ADMIN, Target.LOGGER)
ROOTS: Final = frozenset({Target.SUPERVISOR, Target.ADMIN})
"""Whose end is the end of the tree."""

LONGEST_LULL: Final = 8
"""Orders sent between a recovery and the next injury, at most."""


class Way(StrEnum):
    """How several are hit at once."""

    KILL = "all SIGKILL"
    STOP = "all SIGSTOP"
    MIXED = "SIGKILL and SIGSTOP"
    EXIT = "all _exit"


class Crowd(StrEnum):
    """Which several."""

    PAIR = "two actors"
    TRIPLE = "three actors"
    ACTORS = "all actors"
    PAIR_ABOVE = "two, one of them above the actors"
    TRIPLE_ABOVE = "three, one of them at least above the actors"
    EVERYBODY = "everybody"
    """But the launcher."""


@frozen(kw_only=True)
class Blow:
    """One process, and what is done to it."""

    target: Target
    means: Means


@frozen(kw_only=True)
class Injury:
    """One of a plan: to one process, or to several at once.

    Attributes:
        more: What is done at the same moment, in this order.
        orders_before: So many orders are sent, after everything was well, before it comes.
        part: And then this part of the time between two orders, so that no moment of an order is spared.
    """

    number: int
    target: Target
    means: Means
    orders_before: int
    part: float
    more: tuple[Blow, ...] = ()

    @property
    def blows(self) -> tuple[Blow, ...]:
        """All that is done."""
        return (Blow(target=self.target, means=self.means), *self.more)


def blows_told(blows: Sequence[Blow]) -> str:
    """For people."""
    return ", ".join(f"{each.means} {each.target}" for each in blows)


def way(blows: Sequence[Blow]) -> Way:
    """How several are hit."""
    match {each.means for each in blows}:
        case means if len(means) > 1:
            return Way.MIXED
        case means if Means.STOP in means:
            return Way.STOP
        case means if Means.EXIT in means:
            return Way.EXIT
    return Way.KILL


def plan(*, kills: int, others: int, launchers: int, seed: int, together: int = 0) -> tuple[Injury, ...]:
    """`kills` of the connector, `others` over every other pair, `together` of several, `launchers` of the launcher.

    The pairs come in rounds, each in an order of its own, so that a run that is cut short has seen as many as it could.
    So do the crowds in every way. Those have the last numbers and a chance of their own: the rest of a plan is the same
    with and without them.
    """
    chance = random.Random(seed)
    pairs = [
        *((Target.CONNECTOR, Means.KILL) for _ in range(kills)),
        *islice(_rounds(chance), others),
        *((Target.LAUNCHER, Means.KILL) for _ in range(launchers)),
    ]
    single = [
        Injury(
            number=number,
            target=target,
            means=means,
            orders_before=chance.randint(1, LONGEST_LULL),
            part=chance.random(),
        )
        for number, (target, means) in enumerate(pairs)
    ]
    several = islice(_several(random.Random(f"{seed}, several"), len(single)), together)
    return (*single[: kills + others], *several, *single[kills + others :])


def _rounds(chance: random.Random) -> Iterator[tuple[Target, Means]]:
    targets = [target for target in Target if target not in (Target.LAUNCHER, Target.OTHER)]
    pairs = [pair for pair in product(targets, Means) if pair != (Target.CONNECTOR, Means.KILL)]
    while True:
        yield from chance.sample(pairs, len(pairs))


def _several(chance: random.Random, first: int) -> Iterator[Injury]:
    kinds, number = list(product(Crowd, Way)), first
    while True:
        for crowd, how in chance.sample(kinds, len(kinds)):
            targets = _drawn(chance, crowd)
            blows = [
                Blow(target=target, means=means) for target, means in zip(targets, _means(chance, how), strict=False)
            ]
            yield Injury(
                number=number,
                target=blows[0].target,
                means=blows[0].means,
                orders_before=chance.randint(1, LONGEST_LULL),
                part=chance.random(),
                more=tuple(blows[1:]),
            )
            number += 1


def _drawn(chance: random.Random, crowd: Crowd) -> list[Target]:
    """Also in which order they are hit."""
    match crowd:
        case Crowd.PAIR:
            return chance.sample(ACTORS, 2)
        case Crowd.TRIPLE:
            return chance.sample(ACTORS, 3)
        case Crowd.ACTORS:
            return chance.sample(ACTORS, len(ACTORS))
        case Crowd.EVERYBODY:
            return chance.sample([*ACTORS, *ABOVE], len(ACTORS) + len(ABOVE))
    above = chance.choice(ABOVE)
    rest = [target for target in (*ACTORS, *ABOVE) if target is not above]
    drawn = [above, *chance.sample(rest, 1 if crowd is Crowd.PAIR_ABOVE else 2)]
    return chance.sample(drawn, len(drawn))


def _means(chance: random.Random, how: Way) -> Iterator[Means]:
    match how:
        case Way.KILL:
            yield from repeat(Means.KILL)
        case Way.STOP:
            yield from repeat(Means.STOP)
        case Way.EXIT:
            yield from repeat(Means.EXIT)
    yield from chance.sample((Means.KILL, Means.STOP), 2)
    while True:
        yield chance.choice((Means.KILL, Means.STOP))
