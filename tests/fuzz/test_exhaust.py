"""Exhaustive search of small scopes: it leaves nothing out, repeats what it finds, and finds what is planted."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from attrs import evolve

from app.fuzz.__main__ import main
from app.fuzz.exhaust import Progress, search
from app.fuzz.exhaust_runs import Forks, shortest
from app.fuzz.exhaust_scopes import SCOPES, Scope
from app.fuzz.exhaust_search import Reduction, Search
from app.fuzz.exhaust_steps import as_choices, as_digits, as_told
from tests.fuzz import planted
from tests.fuzz.planted import DOUBLED
from tests.fuzz.planted_named import not_deduplicated_at_a_restart
from tests.fuzz.toy_worlds import Toy, drawn

MOST_RUNS = 400
"""Of a toy without reduction: one with more is passed over."""


def outcomes(scope: Scope, reduction: Reduction) -> tuple[set[str], int]:
    """Everything that runs of a scope come to, and how many it took."""
    found = set()
    with Forks(scope) as forks:
        for trace in Search(forks, reduction).traces():
            found.add(trace.outcome)
        return found - {""}, forks.took


def toy_outcomes(toy: Toy, reduction: Reduction) -> set[str] | None:
    """Likewise; None where it takes too many."""
    found = set()
    for number, trace in enumerate(Search(toy, reduction).traces()):
        found.add(trace.outcome)
        if number > MOST_RUNS:
            return None
    return found - {""}


@pytest.mark.parametrize(
    "seeds", [pytest.param(range(25), id="some"), pytest.param(range(25, 400), marks=pytest.mark.deep, id="many")]
)
def test_reduced_searches_come_to_all_that_an_unreduced_one_does(seeds: range) -> None:
    """In worlds made up of events that read, write, send, wait and choose."""
    compared = 0
    for seed in seeds:
        toy = drawn(seed)
        whole = toy_outcomes(toy, Reduction.NONE)
        if whole is not None:
            assert toy_outcomes(toy, Reduction.SLEEP) == whole, seed
            assert toy_outcomes(toy, Reduction.DPOR) == whole, seed
            compared += len(whole) > 1
    assert compared > len(seeds) // 3


@pytest.mark.parametrize(
    ("name", "window_s"),
    [
        pytest.param("lost", 0.3, id="lost"),
        pytest.param("absence", 0.3, id="absence", marks=pytest.mark.deep),
        pytest.param("lost", 6.0, id="lost and looked for", marks=pytest.mark.deep),
    ],
)
def test_the_router_comes_to_the_same_ends_with_and_without_reduction(name: str, window_s: float) -> None:
    scope = evolve(SCOPES[name], window_s=window_s)
    whole, all_runs = outcomes(scope, Reduction.NONE)
    reduced, runs = outcomes(scope, Reduction.DPOR)
    assert reduced == whole
    assert len(whole) > 1
    assert runs < all_runs


def test_the_smallest_scope_is_complete_and_every_run_of_it_is_repeated_by_its_choices() -> None:
    with Forks(SCOPES["lost"]) as forks:
        traces = [trace for trace in Search(forks).traces() if not trace.cut]
        assert len({trace.outcome for trace in traces}) == len(traces) == 3
        assert not [trace.violations for trace in traces if trace.violations]
        last = traces[-1]
        assert forks(digits=as_digits(last.steps)).outcome == last.outcome


@pytest.mark.deep
def test_what_was_left_is_gone_on_with() -> None:
    """Stopped after a run, kept as text, and gone on with, a search is the same as one that is not stopped."""
    progress = search(Progress(scope="lost"), 0.0)
    assert (progress.counts.runs, progress.ended) == (1, False)
    progress = search(Progress.of("lost", json.loads(json.dumps(progress.as_json()))))
    at_once = search(Progress(scope="lost"))
    assert progress.ended
    assert (progress.counts, progress.outcomes) == (at_once.counts, at_once.outcomes)


FOUND = {
    "a timeout is treated as a refusal": (planted.ambiguous_taken_for_not_executed, "lost", ("I2 guessed",)),
    "the epoch is not checked": (planted.fence_not_checked, "hang", ("I3 sent past the fence",)),
    "absence without a margin": (planted.absence_without_margin, "absence", DOUBLED),
    "not deduplicated at a restart": (not_deduplicated_at_a_restart, "restart", DOUBLED),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "a timeout is treated as a refusal" else pytest.mark.deep)
        for name in FOUND
    ],
)
def test_a_planted_bug_is_found_and_told_by_its_choices(name: str) -> None:
    plant, scope, rules = FOUND[name]
    context: AbstractContextManager[None] = plant()
    with context:
        find = search(Progress(scope=scope)).find
        assert find is not None
        assert find.rule.startswith(rules)
        with Forks(SCOPES[scope]) as forks:
            again = forks(digits=as_told(find.choices))
    assert find.rule in {rule for rule, _ in again.violations}
    assert len(as_told(find.choices)) <= len(as_told(find.first))


def test_the_shortest_choices_are_those_that_matter() -> None:
    def bad(digits: str) -> bool:
        return len(digits) > 4 and digits[1] == "2" and digits[4] in "13"

    assert shortest("1230311", bad) == "02003"


def test_choices_are_short_where_little_was_chosen() -> None:
    for digits in ("", "1", "1000000000002", "00001", "10203", "1" + 300 * "0" + "z"):
        assert as_told(as_choices(digits)) == digits
    assert as_choices("1000000000002") == "1:11:2"
    with pytest.raises(ValueError, match="choices are digits"):
        as_told("1:x")


def test_the_command_says_how_far_it_came_and_repeats_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    assert main(["--exhaust", "lost", "--minutes", "0", "--keep", str(kept), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["lost"]
    assert not first["ended"]
    assert 0 < first["share"] < 1
    assert json.loads(kept.read_text())["lost"]["state"]["path"]
    assert main(["--exhaust", "lost", "--replay", "2"]) == 0
    assert "answer lost" in capsys.readouterr().out
    assert main(["--exhaust", "lost", "--replay", "9"]) == 64
    assert main(["--replay", "seven"]) == 64
