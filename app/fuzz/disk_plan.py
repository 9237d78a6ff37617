"""What befalls the machine and its disk in a run: power cuts, crashes in the middle of a commit, a disk in trouble."""

from __future__ import annotations

from enum import Enum
from random import Random

from attrs import frozen


class Trouble(Enum):
    """What a disk has; the values are for people."""

    NO_ROOM = "has no room at all"
    LITTLE_ROOM = "has so little room that no new order is begun"
    WRITES_FAIL = "fails what is written"
    SYNCS_FAIL = "fails to sync"


@frozen(kw_only=True)
class Disks:
    """How rough: pairs are least and most, both included.

    Attributes:
        cuts: Of the power.
        crashes: Of one actor, in the middle of a commit.
        troubles: Spans of a disk in trouble.
    """

    cuts: tuple[int, int] = (1, 3)
    crashes: tuple[int, int] = (1, 3)
    troubles: tuple[int, int] = (0, 2)


@frozen(kw_only=True)
class PowerCut:
    """The whole machine loses its power.

    Attributes:
        steps: At once where it is 0; else as soon as so many more writes and syncs were done, in whichever commit or
            checkpoint that is.
        off_s: Until it is back.
        share: Of what was not synced, with which probability each sector survives.
        flushed: The part of the unsynced writes that the kernel had written by itself.
    """

    at_s: float
    steps: int
    off_s: float
    share: float
    flushed: float


@frozen(kw_only=True)
class MidCommit:
    """The actor dies that is writing when so many more writes and syncs were done, or when its commit is."""

    at_s: float
    steps: int


@frozen(kw_only=True)
class Span:
    """The disk is in trouble for a while."""

    begin_s: float
    end_s: float
    trouble: Trouble


@frozen(kw_only=True)
class DiskPlan:
    """Of one run. Times are seconds since its start.

    Attributes:
        power_safe: Whether acknowledged orders are to survive a power cut.
        look_s: Between two looks of whoever copies the log into the database.
        events: What must have happened between two copies.
        log_pages: At so many pages of log the writer copies it itself.
    """

    power_safe: bool
    look_s: float
    events: int
    log_pages: int
    cuts: tuple[PowerCut, ...]
    crashes: tuple[MidCommit, ...]
    spans: tuple[Span, ...]


MOST_OFF_S = 30.0


def draw_disk(disks: Disks, busy: list[float], calm_s: float, rng: Random) -> DiskPlan:
    """Draws it.

    Args:
        busy: When something is under way.
        calm_s: From then on nothing goes wrong any more.
    """
    last_s = calm_s - MOST_OFF_S - 5.0

    def moment() -> float:
        if busy and rng.random() < 0.8:
            return min(last_s, max(2.0, rng.choice(busy) + rng.choice((0.05, 2.0, 20.0)) * rng.random()))
        return rng.uniform(2.0, last_s)

    cuts = [
        PowerCut(
            at_s=moment(),
            steps=rng.choice((0, 0, rng.randint(1, 8), rng.randint(1, 80))),
            off_s=rng.choice((1.0, 5.0, MOST_OFF_S)) * (0.2 + 0.8 * rng.random()),
            share=rng.choice((0.0, 0.5, 0.95, 1.0)),
            flushed=rng.choice((0.0, rng.random(), 1.0 - 0.2 * rng.random())),
        )
        for _ in range(rng.randint(*disks.cuts))
    ]
    crashes = [
        MidCommit(at_s=moment(), steps=rng.choice((rng.randint(1, 8), rng.randint(1, 80))))
        for _ in range(rng.randint(*disks.crashes))
    ]
    spans = []
    for _ in range(rng.randint(*disks.troubles)):
        begin_s = moment()
        end_s = min(calm_s, begin_s + rng.choice((0.5, 5.0, 20.0)) * (0.2 + 0.8 * rng.random()))
        spans.append(Span(begin_s=begin_s, end_s=end_s, trouble=rng.choice(list(Trouble))))
    return DiskPlan(
        power_safe=rng.random() < 0.5,
        look_s=rng.choice((2.0, 10.0, 40.0)),
        events=rng.choice((5, 20, 500)),
        log_pages=rng.choice((40, 400, 65_536)),
        cuts=tuple(sorted(cuts, key=lambda cut: cut.at_s)),
        crashes=tuple(sorted(crashes, key=lambda crash: crash.at_s)),
        spans=tuple(sorted(spans, key=lambda span: span.begin_s)),
    )
