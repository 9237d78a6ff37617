"""What a run must show, and whether it did. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import cattrs
from attrs import asdict, frozen

from app.config.shape import Supervision
from tests.chaos.injury import ROOTS, Means, Target, Way, blows_told, way
from tests.chaos.record import Record, Sample, Session, crowds, groups, health, spread

SCHEMA: Final = 1
HANG_SLACK_S: Final = 0.5
TREE_S: Final = 1.5
"""For a whole tree to end and another one to serve: all that is left to do, whoever is among the dead."""
MEMORY_SLACK: Final = 1.05
MEMORY_SLACK_MB: Final = 5.0
DESCRIPTOR_SLACK: Final = 48
OWN_DESCRIPTOR_SLACK: Final = 8
"""What may be more later than at the start. Allocators keep some memory. An actor that was forked again has some five
descriptors more than at first, of what its parent had opened by then: once, and not once a death. One descriptor leaked
at each death, or some pages, would be hundreds after a whole run."""
GROWING: Final = {
    "own_descriptors": "caller's descriptors",
    "processes": "processes",
    "sockets": "socket files",
    "temporary": "temporary files",
}


def hang_budget_s() -> float:
    """How long a hang may go unnoticed: until the next sign of life is asked for, and then is not given in time.

    The same for everybody: `[supervision]` heartbeat_s and heartbeat_timeout_s, as they are by default.
    """
    usual = Supervision()
    return usual.heartbeat_s + usual.heartbeat_timeout_s


@frozen(kw_only=True)
class Bar:
    """What must hold. `measured` is None where nothing was measured; then it is neither met nor missed."""

    name: str
    limit: float
    measured: float | None
    unit: str

    @property
    def met(self) -> bool | None:
        """Whether it holds."""
        return None if self.measured is None else self.measured <= self.limit


def bars(samples: Sequence[Sample], sessions: Sequence[Session]) -> list[Bar]:
    """Every bar, with what was measured."""
    several = [each for each in samples if each.more]
    hung_together = [each for each in several if way(each.blows) in (Way.STOP, Way.MIXED)]
    ended_together = [each for each in several if each not in hung_together]
    samples, everything = [each for each in samples if not each.more], samples
    kills = [each for each in samples if (each.target, each.means) == (Target.CONNECTOR, Means.KILL)]
    roots = [each for each in samples if each.target in ROOTS and each.means is not Means.STOP]
    launchers = [each for each in samples if each.target is Target.LAUNCHER]
    found = [
        _time("connector killed: next order, p50", 0.150, "p50", [each.trading_s for each in kills]),
        _time("connector killed: next order, max", 1.0, "max", [each.trading_s for each in kills]),
        _time("tree dies at its root: next order, p50", TREE_S, "p50", [each.trading_s for each in roots]),
    ]
    for target in Target:
        hung = [each.healed_s for each in samples if each.target is target and each.means is Means.STOP]
        if hung:
            limit_s = hang_budget_s() + HANG_SLACK_S
            found.append(_time(f"{target.value.replace('_', ' ')} hangs: healed, max", limit_s, "max", hung))
    found += [
        _time("launcher killed: nothing left, max", 1.0, "max", [each.gone_s for each in launchers]),
        _time("launcher killed: READY again, max", 4.0, "max", [each.ready_s for each in launchers]),
        _time("several end at once: healed, p50", TREE_S, "p50", [each.healed_s for each in ended_together]),
        _time(
            "several hang at once: healed, max",
            hang_budget_s() + HANG_SLACK_S + TREE_S,
            "max",
            [each.healed_s for each in hung_together],
        ),
        _count("not recovered in time", sum(bool(each.words) for each in everything)),
        _count("dead in the tree after an injury", health(everything)["dead"]),
    ]
    for name in ("lost", "doubled", "denied", "unexplained"):
        found.append(_count(f"orders {name}", sum(getattr(each, name) for each in sessions)))
    found += [
        _count("switches of the exchange in use", sum(each.switches for each in sessions)),
        _count("left behind", sum(len(each.left) for each in sessions)),
        _count("secrets seen", sum(len(each.secrets) for each in sessions)),
    ]
    return [*found, *_weights(sessions)]


def _weights(sessions: Sequence[Session]) -> list[Bar]:
    """The worst growth from a session's start to any later rest of it."""
    pairs = [(each.weights[0], later) for each in sessions for later in each.weights[1:]]
    descriptors = [
        later.descriptors - start.descriptors
        for start, later in pairs
        if start.descriptors is not None and later.descriptors is not None
    ]
    grown: list[tuple[str, Sequence[float], float, str]] = [
        (
            f"memory beyond {MEMORY_SLACK:g} times the start's",
            [later.memory_mb - start.memory_mb * MEMORY_SLACK for start, later in pairs],
            MEMORY_SLACK_MB,
            "MB",
        ),
        ("descriptors more", descriptors, DESCRIPTOR_SLACK, ""),
    ]
    for name, limit in (("own_descriptors", OWN_DESCRIPTOR_SLACK), ("processes", 0), ("sockets", 0), ("temporary", 0)):
        values = [getattr(later, name) - getattr(start, name) for start, later in pairs]
        grown.append((f"{GROWING[name]} more", values, limit, ""))
    return [
        Bar(name=name, limit=limit, measured=round(max(values), 1) if values else None, unit=unit)
        for name, values, limit, unit in grown
    ]


def _time(name: str, limit_s: float, which: str, values: Sequence[float | None]) -> Bar:
    found = spread(values)
    return Bar(name=name, limit=1000 * limit_s, measured=found[which] if found else None, unit="ms")


def _count(name: str, number: int) -> Bar:
    return Bar(name=name, limit=0, measured=number, unit="")


def result(record: Record, *, total: int, machine: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Everything, as it is written down."""
    sessions = record.sessions
    judged = ("judged", "executed", "lost", "doubled", "denied", "unexplained", "switches")
    told: Counter[str] = Counter()
    for each in sessions:
        told.update(each.told)
    checked = bars(record.samples, sessions)
    return {
        "schema": SCHEMA,
        "commit": sessions[-1].commit,
        "seed": record.wanted.seed,
        "started": sessions[0].started,
        "duration_s": round(sum(each.duration_s for each in sessions), 1),
        "load_average": {"before": sessions[0].load_before, "after": sessions[-1].load_after},
        "machine": machine,
        "settings": {**asdict(record.wanted), **settings},
        "cut_short": len(record.samples) < total,
        "injuries": {"done": len(record.samples), "planned": total},
        "orders": {**{name: sum(getattr(each, name) for each in sessions) for name in judged}, "told": dict(told)},
        "groups": groups(record.samples),
        "together": crowds(record.samples),
        "health": health(record.samples),
        "bars": [{**asdict(bar), "met": bar.met} for bar in checked],
        "good": not any(bar.met is False for bar in checked),
        "not_recovered": [f"{blows_told(each.blows)}: {each.words}" for each in record.samples if each.words],
        "sessions": [cattrs.unstructure(each) for each in sessions],
    }
