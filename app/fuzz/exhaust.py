"""`order-router fuzz --exhaust`: scopes are searched in turn, each from where it was left, and tell what they found."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, frozen

from app.fuzz.exhaust_runs import Forks, replayed, shortest
from app.fuzz.exhaust_scopes import SCOPES
from app.fuzz.exhaust_search import Counts, Node, Reduction, Search, Trace
from app.fuzz.exhaust_steps import as_choices, as_digits, as_told

TELL_S = 2.0
"""Between two words on how far it is, on a terminal."""


@frozen(kw_only=True)
class Find:
    """A run that violated something.

    Attributes:
        choices: By which it is replayed, made as few as can be.
        first: As it was found.
    """

    choices: str
    first: str
    rule: str
    words: str


@define(kw_only=True)
class Progress:
    """How far a scope was searched.

    Attributes:
        outcomes: What runs came to, as digests.
        took_s: In all, over every time it was gone on with.
        find: What ended it before it was complete; None where nothing was violated.
        state: Where to go on, as JSON has it; None where it is complete.
    """

    scope: str
    counts: Counts = field(factory=Counts)
    outcomes: set[str] = field(factory=set)
    share: float = 0.0
    took_s: float = 0.0
    find: Find | None = None
    state: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether every run within the scope was run."""
        return self.share >= 1.0

    def facts(self) -> dict[str, object]:
        """For programs."""
        counts = self.counts
        return {
            "ended": self.ended,
            "share": round(self.share, 4),
            "runs": counts.runs,
            "cut": counts.cut,
            "states": counts.states,
            "depth": counts.depth,
            "outcomes": len(self.outcomes),
            "took_s": round(self.took_s, 1),
            "find": None if self.find is None else asdict(self.find),
        }

    def words(self) -> str:
        """For people."""
        counts = self.counts
        if self.find is not None:
            how = f"VIOLATED: {self.find.rule}"
        else:
            how = "complete" if self.ended else f"unfinished, about {self.share:.1%} of it"
        return (
            f"{self.scope:9} {counts.runs:7,} runs {counts.cut:8,} cut {counts.states:10,} states "
            f"{len(self.outcomes):6,} outcomes {self.took_s:8,.1f} s  {how}"
        )

    def as_json(self) -> dict[str, Any]:
        """To be kept, and gone on with."""
        return {
            "counts": asdict(self.counts),
            "outcomes": sorted(self.outcomes),
            "share": self.share,
            "took_s": self.took_s,
            "state": self.state,
        }

    @classmethod
    def of(cls, scope: str, kept: Mapping[str, Any]) -> Progress:
        """As it was kept."""
        return cls(
            scope=scope,
            counts=Counts(**kept["counts"]),
            outcomes=set(kept["outcomes"]),
            share=kept["share"],
            took_s=kept["took_s"],
            state=kept["state"],
        )


def search(progress: Progress, for_s: float | None = None, *, loud: bool = False) -> Progress:
    """Goes on with a scope until it is complete, something is violated, or the time is up.

    Raises:
        RuntimeError: A run could not be repeated: the code is not that with which the search began.
    """
    if progress.ended:
        return progress
    began_s, before_s, told_s = time.monotonic(), progress.took_s, time.monotonic()
    with Forks(SCOPES[progress.scope]) as forks:
        looking = _resumed(Search(forks, Reduction.DPOR, counts=progress.counts), progress.state)
        for trace in looking.traces():
            progress.share, progress.took_s = looking.share(), before_s + time.monotonic() - began_s
            if trace.outcome:
                progress.outcomes.add(trace.outcome)
            if trace.violations:
                progress.share = min(progress.share, 0.9999)
                progress.find = _small(forks, trace)
                break
            if loud and sys.stderr.isatty() and time.monotonic() >= told_s + TELL_S:
                told_s = time.monotonic()
                print(f"\r\x1b[K{progress.words()}", end="", file=sys.stderr, flush=True)
            if for_s is not None and time.monotonic() >= began_s + for_s:
                break
        progress.state = None if looking.ended else _state(looking)
    if loud and sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return progress


def _small(forks: Forks, trace: Trace) -> Find:
    rule, words = trace.violations[0]
    first = as_digits(trace.steps)

    def bad(digits: str) -> bool:
        return any(found == rule for found, _ in forks(digits=digits).violations)

    return Find(choices=as_choices(shortest(first, bad)), first=as_choices(first), rule=rule, words=words)


def _state(looking: Search) -> dict[str, Any]:
    path = [
        [list(n.options), n.chosen, n.is_event, sorted(n.todo), _plain(n.done), _plain(n.asleep), n.touched]
        for n in looking.path
    ]
    return {"path": path, "known": sorted(looking.known)}


def _plain(feet: Mapping[str, Mapping[str, bool]]) -> dict[str, dict[str, bool]]:
    return {name: dict(foot) for name, foot in feet.items()}


def _resumed(looking: Search, state: Mapping[str, Any] | None) -> Search:
    if state is not None:
        looking.known = set(state["known"])
        looking.path = [
            Node(tuple(options), chosen, is_event, set(todo), done, asleep, touched)
            for options, chosen, is_event, todo, done, asleep, touched in state["path"]
        ]
    return looking


# ------------------------------------------------------------------------------------------------ on the command line


def exhaust_and_tell(scope: str, *, minutes: float | None, keep: Path | None, replay: str | None, as_json: bool) -> int:
    """Returns 0 when nothing was violated, 1 when something was, 64 when the arguments make no sense."""
    names = tuple(SCOPES) if scope == "all" else (scope,)
    if replay is not None:
        return _replay(scope, replay, as_json=as_json)
    kept: dict[str, Any] = json.loads(keep.read_text()) if keep is not None and keep.exists() else {}
    results = []
    for progress in _each(names, kept, minutes, loud=not as_json):
        results.append(progress)
        kept[progress.scope] = progress.as_json()
        if keep is not None:
            keep.write_text(json.dumps(kept))
        if not as_json:
            print(progress.words(), flush=True)
            if progress.find is not None:
                print(replayed(SCOPES[progress.scope], as_told(progress.find.choices))[0])
                print(f"Again: order-router fuzz --exhaust {progress.scope} --replay {progress.find.choices}")
    if as_json:
        print(json.dumps({progress.scope: progress.facts() for progress in results}))
    return 1 if any(progress.find is not None for progress in results) else 0


def _each(names: Sequence[str], kept: Mapping[str, Any], minutes: float | None, *, loud: bool) -> Iterator[Progress]:
    """Each scope with its share of the time that is left."""
    until_s = None if minutes is None else time.monotonic() + 60.0 * minutes
    for number, name in enumerate(names):
        progress = Progress.of(name, kept[name]) if name in kept else Progress(scope=name)
        for_s = None if until_s is None else max(0.0, until_s - time.monotonic()) / (len(names) - number)
        yield search(progress, for_s, loud=loud)


def _replay(scope: str, choices: str, *, as_json: bool) -> int:
    try:
        story, violations = replayed(SCOPES[scope], as_told(choices))
    except (KeyError, ValueError) as error:
        print(f"The choices {choices!r} are none of scope {scope!r}: {error}", file=sys.stderr)
        return 64
    if as_json:
        found = [{"rule": v.rule, "order": v.serial, "words": v.words} for v in violations]
        print(json.dumps({"scope": scope, "choices": choices, "violations": found, "story": story}))
    else:
        print(story)
    return 1 if violations else 0
