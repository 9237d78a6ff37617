"""What is used of an exchange's limits as plain values, so that it can outlive the process that used it.

A life of a connector that ends leaves what it has used to the next: the exchange goes on counting whoever asks. What is
kept errs on the side of too much. It is written before a call is sent, so that it misses no call; what was on its way
then may be counted any moment until somebody has heard of it, and nobody will, so the next life counts it as taken when
it begins. No clock gives room: what comes back, comes back a whole window after the restart at the latest, and before
that when it would have anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import field, frozen

MeterName = tuple[str, str]
"""A budget, and the symbol it is counted for; empty where it is counted for all together."""

Values = tuple[float, ...]
"""Of a meter:

    window    0, limit, closed until, others' use until when, how much that is, n,
              n times (when it comes back, units), and of these on their way (when, units), each
    counter   1, limit, closed until, as of when, left, on its way
"""
WINDOW, COUNTER = 0.0, 1.0
HEAD = 6
"""Values before the marks of a window."""

LINGERS_S = 30.0
"""A request of a process that died may reach the exchange so much later: the kernel goes on sending what it was given.
Declared by us."""
COUNTER_S = 86_400.0
"""A counter is full again after so long: none in the tables takes more than an hour."""


class Unusable(ValueError):
    """The values are none that a meter could have written."""


@frozen(kw_only=True)
class KeptLimits:
    """What an earlier life left.

    Attributes:
        meters: By name; all times by our clock.
        closed_until_s: The exchange asked for silence until then; `banned_until_s`, for so long that it is as good as
            down.
    """

    meters: Mapping[MeterName, Values] = field(factory=dict)
    closed_until_s: float = 0.0
    banned_until_s: float = 0.0


def moved(values: Values, shift_s: float) -> Values:
    """The same by another clock; `shift_s` is that clock minus the one the values are by."""
    if shift_s == 0.0:
        return values
    times = {2, 3, *(range(HEAD, len(values), 2) if values[0] == WINDOW else ())}
    return tuple(value + shift_s if index in times else value for index, value in enumerate(values))


def counts_still(values: Values, now_s: float) -> bool:
    """Whether anything of it may matter by now."""
    if values[:1] == (COUNTER,):
        return max(values[2:4], default=0.0) > now_s - COUNTER_S
    return any(at_s > now_s - LINGERS_S for at_s in (*values[2:4], *values[HEAD::2]))


class KeepsLimits(Protocol):
    """Where it is kept."""

    def take_over(self) -> KeptLimits:
        """What the life before has left; call it once, before anything is kept."""
        ...

    def keep(self, meters: Mapping[MeterName, Values], closed_until_s: float, banned_until_s: float) -> None:
        """These meters stand so by now, and the others as they were. Never fails: what cannot be kept is logged."""
        ...

    def close(self) -> None:
        """Nothing is kept from now on; what was stays."""
        ...
