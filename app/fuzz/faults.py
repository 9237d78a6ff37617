"""What can go wrong between a connector and its exchange."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from random import Random

from attrs import define, frozen

from app.domain.calls import Call, PlaceCall


class Fault(StrEnum):
    """How one call goes wrong.

    Attributes:
        REFUSED: No connection is had: nothing was sent.
        HANG_BEFORE: Sent, never arrives; no answer.
        HANG_AFTER: Carried out; no answer.
        LATE: Carried out after a while, often when the caller has given up long ago.
        DROP_BEFORE: The connection ends, and the request never arrives.
        DROP_AFTER: The connection ends after the request was carried out.
        SLOW: Slow both ways.
        OVERLOADED: Turned away at the gate, by a code.
        READS_FAIL: Whatever reads fails; the rest works.
        STALE: What is read is as old as the exchange allows.
        SERVER: Answered by a broken server; a placement may have been carried out or not.
        SLUGGISH: Slow, and in time.
        MAINTENANCE: Turned away because it is closed.
        BANNED: Turned away, as everything of ours, until a time that is told.
        CREDENTIALS: What is signed is turned away: it does not know us.
        UNREACHABLE: Our network has no way there, or no name: nothing was sent.
    """

    REFUSED = "refused"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    LATE = "late"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    SLOW = "slow"
    OVERLOADED = "overloaded"
    READS_FAIL = "reads_fail"
    STALE = "stale"
    SERVER = "server"
    SLUGGISH = "sluggish"
    MAINTENANCE = "maintenance"
    BANNED = "banned"
    CREDENTIALS = "credentials"
    UNREACHABLE = "unreachable"


BY_CHANCE = (
    Fault.REFUSED,
    Fault.HANG_BEFORE,
    Fault.HANG_AFTER,
    Fault.LATE,
    Fault.DROP_BEFORE,
    Fault.DROP_AFTER,
    Fault.SLOW,
    Fault.OVERLOADED,
    Fault.READS_FAIL,
    Fault.STALE,
)
"""What befalls single calls, whose order must not change, since seeds draw by it."""


@frozen
class Window:
    """One exchange behaves so from one time to another, for a share of its calls.

    Attributes:
        places_only: Reads and probes are spared.
    """

    exchange: str
    begin_s: float
    end_s: float
    kinds: tuple[Fault, ...]
    share: float = 1.0
    places_only: bool = False


@define
class Weather:
    """Draws the fault of each call: by the windows of the plan, else now and then one by chance, until `calm_s`."""

    windows: list[Window]
    chance: float
    calm_s: float
    rng: Random

    def fault(self, exchange: str, call: Call, now_s: float) -> Fault | None:
        """What happens to a call made now; None when it goes well."""
        if now_s >= self.calm_s:
            return None
        placing = isinstance(call, PlaceCall)
        for window in self.windows:
            if window.exchange == exchange and window.begin_s <= now_s < window.end_s:
                spared = window.places_only and not placing
                if not spared and (window.share >= 1.0 or self.rng.random() < window.share):
                    kind = window.kinds[int(self.rng.random() * len(window.kinds))]
                    if kind is Fault.READS_FAIL and placing:
                        return None
                    return kind
        if self.chance and self.rng.random() < self.chance * (3 if placing else 1):
            return self.rng.choice(BY_CHANCE)
        return None

    def until_s(self, exchange: str, now_s: float) -> float:
        """When what befalls an exchange now is over; now where nothing does."""
        ends = [w.end_s for w in self.windows if w.exchange == exchange and w.begin_s <= now_s < w.end_s]
        return max(ends, default=now_s)


OUTAGES: Mapping[str, tuple[Fault, ...]] = {
    "refused": (Fault.REFUSED,),
    "blackhole": (Fault.HANG_BEFORE,),
    "one-way": (Fault.HANG_AFTER,),
    "heals late": (Fault.LATE,),
    "resets": (Fault.DROP_BEFORE, Fault.DROP_AFTER),
    "slow": (Fault.SLOW,),
    "overload": (Fault.OVERLOADED,),
    "blind": (Fault.READS_FAIL,),
    "stale": (Fault.STALE,),
    "anything": BY_CHANCE,
}
"""Kinds of outage, as sets of faults to draw from."""
