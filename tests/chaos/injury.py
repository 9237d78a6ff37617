"""What is done to whom, and when: a plan drawn from a seed, so that a run can be repeated and taken up again. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice, product
from typing import Final

from attrs import frozen


class Target(StrEnum):
    """Who is hit."""

    CONNECTOR = "connector"
    """Of the exchange in use: the one on an order's way."""
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


ROOTS: Final = frozenset({Target.SUPERVISOR, Target.ADMIN})
"""Whose end is the end of the tree."""

LONGEST_LULL: Final = 8
"""Orders sent between a recovery and the next injury, at most."""


@frozen(kw_only=True)
class Injury:
    """One of a plan.

    Attributes:
        orders_before: So many orders are sent, after everything was well, before it comes.
        part: And then this part of the time between two orders, so that no moment of an order is spared.
    """

    number: int
    target: Target
    means: Means
    orders_before: int
    part: float

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.means} of the {self.target.replace('_', ' ')}"


def plan(*, kills: int, others: int, launchers: int, seed: int) -> tuple[Injury, ...]:
    """First `kills` of the connector, then `others` over every other pair, then `launchers` of the launcher.

    The pairs come in rounds, each in an order of its own, so that a run that is cut short has seen as many as it could.
    """
    chance = random.Random(seed)
    pairs = [
        *((Target.CONNECTOR, Means.KILL) for _ in range(kills)),
        *islice(_rounds(chance), others),
        *((Target.LAUNCHER, Means.KILL) for _ in range(launchers)),
    ]
    return tuple(
        Injury(
            number=number,
            target=target,
            means=means,
            orders_before=chance.randint(1, LONGEST_LULL),
            part=chance.random(),
        )
        for number, (target, means) in enumerate(pairs)
    )


def _rounds(chance: random.Random) -> Iterator[tuple[Target, Means]]:
    targets = [target for target in Target if target is not Target.LAUNCHER]
    pairs = [pair for pair in product(targets, Means) if pair != (Target.CONNECTOR, Means.KILL)]
    while True:
        yield from chance.sample(pairs, len(pairs))
