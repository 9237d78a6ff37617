"""What a run has found so far, kept in a file so that it can be taken up again; and figures from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import cattrs
from attrs import define, evolve, field, frozen

from benchmarks.figures import percentile
from tests.chaos.injury import ROOTS, Blow, Means, Target, Way, way
from tests.chaos.weigh import Weight

SCHEMA: Final = 1
MAX_WORDS: Final = 20
"""Sentences of one kind that are kept."""


@frozen(kw_only=True)
class Sample:
    """What came of one injury, in seconds from it.

    Attributes:
        trading_s: Until the first order sent after it was acknowledged; where the whole tree dies, after the death of
            the connector, which comes a moment later, and may answer an order in that moment.
        slowest_s: The longest an order took that was under way then, or was sent before everybody served again.
        healed_s: Until everybody served again, and the one who was hit was dead and replaced.
        gone_s, ready_s: Of the launcher: until no process was left; from the start outside to READY.
        words: What did not come true in time; empty when all did.
        more: What was done at the same moment.
        dead: How many of the tree had no living process at the last look at it; None where nobody looked.
    """

    number: int
    target: Target
    means: Means
    trading_s: float | None = None
    slowest_s: float | None = None
    healed_s: float | None = None
    gone_s: float | None = None
    ready_s: float | None = None
    words: str = ""
    more: tuple[Blow, ...] = ()
    dead: int | None = None

    @property
    def blows(self) -> tuple[Blow, ...]:
        """All that was done."""
        return (Blow(target=self.target, means=self.means), *self.more)


@define(kw_only=True)
class Session:
    """One go of a run, on one daemon's journal and one set of exchanges.

    Attributes:
        judged: Orders; `executed` those on an exchange; `told` what callers heard first.
        weights: At rest: at the start, in the middle, at the end.
        left: Processes and files that outlived the daemon.
        secrets: Where one was found. `environments_read` says how many processes could be looked into.
        switches: Of the exchange in use: none of these injuries is an exchange's fault.
    """

    started: str
    commit: str
    load_before: list[float]
    load_after: list[float] = field(factory=list)
    duration_s: float = 0.0
    judged: int = 0
    executed: int = 0
    told: dict[str, int] = field(factory=dict)
    lost: int = 0
    doubled: int = 0
    denied: int = 0
    unexplained: int = 0
    words: list[str] = field(factory=list)
    weights: list[Weight] = field(factory=list)
    left: list[str] = field(factory=list)
    secrets: list[str] = field(factory=list)
    environments_read: int = 0
    switches: int = 0
    stop_s: float = 0.0


@frozen(kw_only=True)
class Wanted:
    """What a run is to do; one that is taken up again must want the same, or more of `together`, which come to it."""

    seed: int
    kills: int
    others: int
    launchers: int
    per_s: float
    together: int = 0

    def goes_on_as(self, other: Wanted) -> bool:
        """Whether a run that wanted this can be taken up as one that wants the other."""
        return evolve(self, together=other.together) == other and self.together <= other.together


@define(kw_only=True)
class Record:
    """Everything so far: of each sample, the orders around it have been judged."""

    wanted: Wanted
    samples: list[Sample] = field(factory=list)
    sessions: list[Session] = field(factory=list)

    def save(self, path: Path) -> None:
        """Writes the file at once and whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(cattrs.unstructure(self), indent=1) + "\n")
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Record:
        """Reads it; OSError where there is none, ValueError where it is none of ours."""
        try:
            return cattrs.structure(json.loads(path.read_text()), cls)
        except (cattrs.BaseValidationError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no record of a chaos run.") from error


# ---- figures ---------------------------------------------------------------------------------------------------------


def spread(values: Iterable[float | None]) -> dict[str, float] | None:
    """p50, p95 and max in milliseconds; None of nothing."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    figures = {"p50": percentile(known, 50), "p95": percentile(known, 95), "max": max(known)}
    return {name: round(1000 * value, 1) for name, value in figures.items()}


def groups(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Figures by target and means, in the order of their names' definition."""
    out = []
    for target in Target:
        for means in Means:
            group = [each for each in samples if not each.more and each.target is target and each.means is means]
            if group:
                out.append(_figures(target.value, means.value, group))
    return out


def crowds(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Figures of injuries to several at once, by whether a root was among them, and by the way they were hit."""
    out = []
    for rooted, who in ((False, "several"), (True, "several, with a root")):
        for how in Way:
            group = [
                each
                for each in samples
                if each.more and way(each.blows) is how and any(blow.target in ROOTS for blow in each.blows) is rooted
            ]
            if group:
                out.append(_figures(who, how.value, group))
    return out


def _figures(target: str, means: str, group: Sequence[Sample]) -> dict[str, Any]:
    return {
        "target": target,
        "means": means,
        "count": len(group),
        "next_order_acknowledged_ms": spread(each.trading_s for each in group),
        "slowest_order_ms": spread(each.slowest_s for each in group),
        "healed_ms": spread(each.healed_s for each in group),
        "nothing_left_ms": spread(each.gone_s for each in group),
        "ready_ms": spread(each.ready_s for each in group),
    }


def health(samples: Sequence[Sample]) -> dict[str, int]:
    """How often everybody was looked at after an injury, and how many had no living process by then."""
    looks = [each.dead for each in samples if each.dead is not None]
    return {"looked": len(looks), "dead": sum(looks)}
