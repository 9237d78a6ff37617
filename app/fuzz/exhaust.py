"""`order-router fuzz --exhaust`: scopes are searched in turn, each from where it was left, and tell what they found."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from app.fuzz.exhaust_progress import Find, Progress, State, read_searches, write_searches
from app.fuzz.exhaust_runs import Forks, replayed, shortest
from app.fuzz.exhaust_scopes import SCOPES
from app.fuzz.exhaust_search import Reduction, Search, Trace
from app.fuzz.exhaust_steps import as_choices, as_digits, as_told
from app.fuzz.keep_file import EX_SOFTWARE, EX_USAGE, must_be_writable

TELL_S = 2.0
"""Between two words on how far it is, on a terminal."""


def search(progress: Progress, for_s: float | None = None, *, loud: bool = False) -> Progress:
    """Goes on with a scope until it is complete, something is violated, or the time is up.

    What was violated before stays so: such a search is not gone on with.

    Args:
        for_s: Seconds it may take, with what it takes to shorten what was violated; the run under way is ended first.

    Raises:
        RuntimeError: A run could not be repeated: the code is not that with which the search began. Or it never ended.
    """
    if progress.ended or progress.find is not None:
        return progress
    began_s, before_s, told_s = time.monotonic(), progress.took_s, time.monotonic()
    until_s = float("inf") if for_s is None else began_s + for_s
    with Forks(SCOPES[progress.scope]) as forks:
        looking = _resumed(Search(forks, Reduction.DPOR, counts=progress.counts), progress.state)
        for trace in looking.traces():
            progress.share, progress.took_s = looking.share(), before_s + time.monotonic() - began_s
            if trace.outcome:
                progress.outcomes.add(trace.outcome)
            if trace.violations:
                progress.share = min(progress.share, 0.9999)
                progress.find = _small(forks, trace, until_s)
                break
            if loud and sys.stderr.isatty() and time.monotonic() >= told_s + TELL_S:
                told_s = time.monotonic()
                print(f"\r\x1b[K{progress.words()}", end="", file=sys.stderr, flush=True)
            if time.monotonic() >= until_s:
                break
        progress.state = None if looking.ended else State(looking.path, looking.known)
    if loud and sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return progress


def _small(forks: Forks, trace: Trace, until_s: float) -> Find:
    rule, words = trace.violations[0]
    first = as_digits(trace.steps)

    def bad(digits: str) -> bool:
        return any(found == rule for found, _ in forks(digits=digits).violations)

    return Find(choices=as_choices(shortest(first, bad, until_s)), first=as_choices(first), rule=rule, words=words)


def _resumed(looking: Search, state: State | None) -> Search:
    if state is not None:
        looking.known, looking.path = set(state.known), list(state.path)
    return looking


# ------------------------------------------------------------------------------------------------ on the command line


def exhaust_and_tell(scope: str, *, minutes: float | None, keep: Path | None, replay: str | None, as_json: bool) -> int:
    """Searches, and says what came of it.

    Args:
        minutes: In all; each scope has its share of what is left.
        keep: Where searches are left, and gone on with.
        replay: Choices of one run, which is told instead.

    Returns:
        0 when nothing was violated, now or before; 1 when something was; 64 when the arguments make no sense; 70 when
        a run cannot be repeated.

    Raises:
        Refused: The file is none to go on with, or cannot be written.
    """
    names = tuple(SCOPES) if scope == "all" else (scope,)
    if replay is not None:
        return _replay(scope, replay, as_json=as_json)
    kept = {} if keep is None else read_searches(keep)
    if keep is not None:
        must_be_writable(keep)
    results = []
    try:
        for progress in _each(names, kept, minutes, loud=not as_json):
            results.append(progress)
            if not as_json:
                print(progress.words(), flush=True)
                if progress.find is not None:
                    print(replayed(SCOPES[progress.scope], as_told(progress.find.choices))[0])
                    print(f"Again: order-router fuzz --exhaust {progress.scope} --replay {progress.find.choices}")
            if keep is not None:
                write_searches(keep, kept | {each.scope: each for each in results})
    except RuntimeError as error:
        print(f"The search ended: {error}", file=sys.stderr)
        return EX_SOFTWARE
    if as_json:
        print(json.dumps({progress.scope: progress.facts() for progress in results}))
    return 1 if any(progress.find is not None for progress in results) else 0


def share_s(left_s: float, waiting: int, jobs: int = 1) -> float:
    """What a scope may take of the time that is left, of those that wait with it and are searched `jobs` at a time."""
    return max(0.0, left_s) * min(jobs, waiting) / waiting


def _each(
    names: Sequence[str], kept: Mapping[str, Progress], minutes: float | None, *, loud: bool
) -> Iterator[Progress]:
    """Each scope with its share of the time that is left."""
    until_s = None if minutes is None else time.monotonic() + 60.0 * minutes
    for number, name in enumerate(names):
        progress = kept.get(name) or Progress(scope=name)
        for_s = None if until_s is None else share_s(until_s - time.monotonic(), len(names) - number)
        yield search(progress, for_s, loud=loud)


def _replay(scope: str, choices: str, *, as_json: bool) -> int:
    try:
        story, violations = replayed(SCOPES[scope], as_told(choices))
    except (KeyError, ValueError) as error:
        print(f"The choices {choices!r} are none of scope {scope!r}: {error}", file=sys.stderr)
        return EX_USAGE
    if as_json:
        found = [violation.facts() for violation in violations]
        print(json.dumps({"scope": scope, "choices": choices, "violations": found, "story": story}))
    else:
        print(story)
    return 1 if violations else 0
