"""Exhaustive search of small scopes: it leaves nothing out, repeats what it finds, and finds what is planted."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event

import pytest
from attrs import evolve

from app.fuzz import exhaust_runs
from app.fuzz import record as r
from app.fuzz.__main__ import main
from app.fuzz.exhaust import search, share_s
from app.fuzz.exhaust_progress import Progress, code, read_searches
from app.fuzz.exhaust_runs import Forks, shortest
from app.fuzz.exhaust_scopes import SCOPES, Scope
from app.fuzz.exhaust_search import Reduction, Search
from app.fuzz.exhaust_steps import as_choices, as_digits, as_told
from benchmarks import fuzz_exhaust
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
    progress = search(Progress.of(json.loads(json.dumps(progress.as_json()))))
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


def test_what_was_violated_is_told_again_and_not_gone_on_with(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.json"
    arguments = ["--exhaust", "lost", "--keep", str(kept)]
    with planted.ambiguous_taken_for_not_executed():
        assert main(arguments) == 1
        first = capsys.readouterr().out
    monkeypatch.setattr("app.fuzz.exhaust.Forks", None)  # nothing is run
    find = read_searches(kept)["lost"].find
    assert find is not None
    assert main(arguments) == 1
    again = capsys.readouterr().out
    assert first.splitlines()[0] == again.splitlines()[0]
    assert f"VIOLATED: {find.rule}" in again
    assert f"--exhaust lost --replay {find.choices}" in again


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "holds no search"),
        ("[]", "it has no 'code' and 'scopes'"),
        ('{"code": "0", "scopes": {}}', "was left by other code"),
        ('{"code": "CODE", "scopes": {"lost": 3}}', "a search is an object"),
        ('{"code": "CODE", "scopes": {"lost": {"scope": "lost", "state": {"path": [], "known": 7}}}}', "$.state.known"),
    ],
)
def test_a_file_that_holds_no_search_of_this_code_is_refused_and_left_as_it_is(
    text: str, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(text.replace("CODE", code()))
    before = kept.read_text()
    assert main(["--exhaust", "lost", "--minutes", "0", "--keep", str(kept)]) == 64
    assert words in capsys.readouterr().err
    assert kept.read_text() == before


def test_a_search_that_could_not_be_kept_is_not_begun(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.fuzz.exhaust.Forks", None)
    assert main(["--exhaust", "lost", "--keep", str(tmp_path / "nowhere" / "kept.json")]) == 73
    assert "cannot be written: No such file" in capsys.readouterr().err
    assert main(["--exhaust", "lost", "--keep", str(tmp_path)]) == 66


def test_a_run_that_does_not_end_violates_that_and_is_repeated_by_its_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hears an answer loops."""
    heard = r.Record.add

    def loops(record: r.Record, fact: r.Fact) -> None:
        heard(record, fact)
        while isinstance(fact, r.Heard):
            pass

    monkeypatch.setattr(r.Record, "add", loops)
    with Forks(SCOPES["lost"], run_s=1.0) as forks:
        trace = forks()
        assert forks(digits=as_digits(trace.steps)).violations[0][0] == "the run itself"
    (rule, words), *_ = trace.violations
    assert rule == "the run itself"
    assert "does not end within 1 s" in words
    assert "loops" in words
    assert trace.steps


def test_a_run_that_cannot_even_say_so_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhaust_runs, "KILL_S", 0.1)
    monkeypatch.setattr(exhaust_runs, "finished", lambda *_: Event().wait(60.0))
    with Forks(SCOPES["lost"], run_s=0.1) as forks, pytest.raises(RuntimeError, match="did not end and was killed"):
        forks()


def test_choices_are_shortened_for_as_long_as_there_is_time() -> None:
    assert shortest("1230311", lambda _: True, until_s=0.0) == "1230311"


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
    assert json.loads(kept.read_text())["scopes"]["lost"]["state"]["path"]
    assert main(["--exhaust", "lost", "--replay", "2"]) == 0
    assert "answer lost" in capsys.readouterr().out
    assert main(["--exhaust", "lost", "--replay", "9"]) == 64
    assert main(["--replay", "seven"]) == 64


def searched(progress: Progress, for_s: float) -> Progress:
    """Stands in for a search: that of `lost` waits until what came of `two` is written."""
    for _ in range(2000):
        if progress.scope != "lost" or '"two"' in fuzz_exhaust.RESULTS.read_text():
            break
        Event().wait(0.01)
    else:
        raise AssertionError("two is over, and is not written")
    return evolve(progress, share=max(progress.share, 0.5), took_s=for_s)


def test_what_came_of_each_scope_is_written_as_it_ends_and_gone_on_with_by_the_same_code_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit = {"commit": "c", "changed_since": False}
    monkeypatch.setattr(fuzz_exhaust, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(fuzz_exhaust, "LEFT", tmp_path / "left.json")
    monkeypatch.setattr(fuzz_exhaust, "search", searched)
    monkeypatch.setattr("benchmarks.machine.commit", lambda _: commit)
    (tmp_path / "results.json").write_text("{}")
    both = ["--only", "lost", "--only", "two", "--jobs", "2", "--minutes", "1"]
    assert fuzz_exhaust.main(both) == 0
    assert set(fuzz_exhaust.read_left()) == {"lost", "two"}
    commit["changed_since"] = True
    (tmp_path / "left.json").write_text(json.dumps({"code": code(), "scopes": {"two": {"scope": "two", "share": 1.0}}}))
    assert fuzz_exhaust.main(both) == 0
    assert json.loads((tmp_path / "results.json").read_text())["scopes"]["two"]["share"] == 0.5, "gone on with"
    assert fuzz_exhaust.read_left()["two"].ended, "left, though nobody may go on with it"


def test_time_is_shared_among_those_that_wait() -> None:
    assert share_s(90.0, waiting=9) == 10.0
    assert share_s(90.0, waiting=9, jobs=2) == 20.0
    assert share_s(90.0, waiting=1, jobs=2) == 90.0
    assert share_s(-1.0, waiting=3) == 0.0
