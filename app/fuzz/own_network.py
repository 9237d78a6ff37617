"""Outages of our own network in the harness: every exchange is unreached at once, or one shortly after the other.

Nothing dies here but the way there: exchanges go on matching. What a router must do is nothing: an exchange that looks
dead is not left, since all look so. Begins and ends are staggered by less than the detector takes to call an exchange
down, and by less than the patience with which one that answers again waits for the others: what is staggered by more
is, for whoever looks from here, the death of one exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from attrs import define, field, frozen

from app.fuzz import record as r
from app.fuzz.checker_news import Violation
from app.fuzz.faults import Fault, Window
from app.journal.store import Journal

KINDS = ((Fault.REFUSED,), (Fault.HANG_BEFORE,), (Fault.UNREACHABLE,), (Fault.UNREACHABLE, Fault.HANG_BEFORE))
"""Ways in which a network of ours dies: a firewall refuses, a router swallows, names are not resolved, a mixture."""
BEGINS_S = 1.5
"""Begins are staggered by up to so much: less than three failures, `retry_delay` apart, take."""
ENDS_S = 3.0
"""Ends likewise: less than two good rounds of probes after two that were lost."""
AFTER_S = 3.0
"""What is decided so long after the last end was decided by what was seen in it."""
WITNESS = "192.0.2.1:443"


@frozen
class Outage:
    """Our network is down: by exchange, from when to when, in seconds of the run."""

    spans: tuple[tuple[str, float, float], ...]
    kinds: tuple[Fault, ...]

    @property
    def begin_s(self) -> float:
        """When the first exchange is no longer reached."""
        return min(begin_s for _, begin_s, _ in self.spans)

    @property
    def end_s(self) -> float:
        """When the last one is reached again."""
        return max(end_s for _, _, end_s in self.spans)

    def windows(self) -> tuple[Window, ...]:
        """What the weather makes of it."""
        return tuple(Window(name, begin_s, end_s, self.kinds) for name, begin_s, end_s in self.spans)


def draw_outages(names: tuple[str, ...], outages: tuple[int, int], calm_s: float, rng: Random) -> tuple[Outage, ...]:
    """Outages of the network, one after the other, each over well before the next begins."""
    found: list[Outage] = []
    free_s = 6.0
    for _ in range(rng.randint(*outages)):
        begin_s = free_s + rng.uniform(0.0, 60.0)
        end_s = begin_s + rng.choice((5.0, 30.0, 120.0)) * rng.uniform(0.8, 1.2)
        staggered = rng.random() < 0.7
        spans = tuple(
            (name, begin_s + staggered * rng.uniform(0.0, BEGINS_S), end_s + staggered * rng.uniform(0.0, ENDS_S))
            for name in names
        )
        if end_s + ENDS_S > calm_s:
            break
        found.append(Outage(spans, rng.choice(KINDS)))
        free_s = end_s + ENDS_S + 15.0
    return tuple(found)


@define
class SimConnects:
    """What connects to the witness: it is reached where some exchange is.

    Attributes:
        reached: Whether our network works at this moment.
        later: Calls something after some seconds.
    """

    reached: Callable[[], bool]
    _ended: list[tuple[str, str]] = field(init=False, factory=list)

    def begin(self, target: str) -> None:
        """Known at once: an actor in the harness has no descriptor that would wake it."""
        self._ended.append((target, "" if self.reached() else "no route to host"))

    def ended(self) -> list[tuple[str, str]]:
        """Each once."""
        ended, self._ended = self._ended, []
        return ended

    def abandon(self, target: str) -> None:
        """Nothing waits."""

    def fileno(self) -> int | None:
        """None: it is known at once."""
        return None

    def close(self) -> None:
        """Nothing to end."""


def network_violations(outages: tuple[Outage, ...], journal: Journal, start_s: float) -> Iterator[Violation]:
    """Trading that was moved, by nobody's wish, because our own network was down."""
    for switch in journal.switches():
        if switch.from_exchange is None or " is down" not in switch.reason:
            continue
        for outage in outages:
            if outage.begin_s <= switch.at_s - start_s <= outage.end_s + AFTER_S:
                words = f"moved from {switch.from_exchange} while all were unreachable: {switch.reason}"
                yield Violation("I7 our own network", switch.at_s, 0, words)


def noted(outages: tuple[Outage, ...], start_s: float) -> list[r.Note]:
    """For the story."""
    return [
        r.Note(start_s + outage.begin_s, "our network", f"is down until {outage.end_s:.3f} ({outage.kinds[0].value})")
        for outage in outages
    ]
