"""What fails is made small: it breaks the same rule still, nothing more can be left out, always the same is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, fields

from app.fuzz.__main__ import main
from app.fuzz.case import Case, case_of, from_json, run_case, to_json
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.disk_plan import DiskPlan
from app.fuzz.faults import Fault, Window
from app.fuzz.keep_file import Refused, write_whole
from app.fuzz.parts import OF_THE_DISK, Part, cut, last_s, only, parts_of
from app.fuzz.plan import Death
from app.fuzz.profiles import PROFILES, Times
from app.fuzz.prose import tell_in_sentences
from app.fuzz.run import run_seed
from app.fuzz.shrink import shrink, shrink_seed
from app.fuzz.story import tell
from tests.fuzz.forged import START_S, order, seen
from tests.fuzz.planted import PLANTED
from tests.fuzz.planted_books import PLANTED_BOOKS

RULE = "I1 filled more than asked"


def breaks_where(broken: Callable[[Case], bool]) -> Callable[[Case], tuple[Seen, tuple[Violation, ...]]]:
    """Stands in for a run: a case breaks the rule where a function says so, and another rule always."""

    def run(case: Case) -> tuple[Seen, tuple[Violation, ...]]:
        other = Violation("left over", START_S + 1.0, 0, "")
        return seen(), (other, *([Violation(RULE, START_S + 390.0, 0, "")] if broken(case) else []))

    return run


def serials(case: Case) -> set[int]:
    """The orders of a case."""
    return {serial for strategy in case.plan.strategies for serial in strategy.orders}


@pytest.mark.parametrize("profile", ["storm", "steering", "network"])
def test_only_what_it_takes_is_left(profile: str) -> None:
    """Two orders and a part that depends on chance: whatever else there was, in which place ever, is gone."""
    case = case_of(4, profile)
    first, *_, last = sorted(serials(case))

    def broken(case: Case) -> bool:
        return {first, last} <= serials(case) and len(case.plan.price_moves) >= 3

    small = shrink(case, rule=RULE, run=breaks_where(broken), most_runs=2000)
    assert small is not None
    assert small.bound == ""
    assert serials(small.case) == {first, last}
    assert len(small.case.plan.price_moves) == 3
    assert small.after == len(parts_of(small.case)) == 5
    again = shrink(case, rule=RULE, run=breaks_where(broken), most_runs=2000)
    assert again is not None
    assert (again.case, again.runs) == (small.case, small.runs)


def test_it_ends_at_its_bounds_with_the_smallest_so_far() -> None:
    case = case_of(4, "storm")
    run = breaks_where(lambda case: len(serials(case)) % 2 == len(case.plan.price_moves) % 2)
    small = shrink(case, rule=RULE, run=run, most_runs=7)
    assert small is None or (small.runs == 7 and "7 runs" in small.bound)
    small = shrink(case, rule=RULE, run=breaks_where(lambda case: True), for_s=0.0)
    assert small is not None
    assert (small.runs, "time" in small.bound, small.case.plan) == (1, True, case.plan)


def test_what_breaks_no_rule_is_not_shrunk() -> None:
    assert shrink(case_of(4, "storm"), rule=RULE, run=breaks_where(lambda case: False)) is None


@pytest.mark.parametrize("profile", PROFILES)
def test_every_part_can_be_taken_away_and_a_case_is_the_same_when_it_is_read_again(profile: str) -> None:
    for seed in range(2):
        case = case_of(seed, profile, RULE)
        parts = parts_of(case)
        assert len(set(parts)) == len(parts)
        assert only(case, frozenset(parts)) == case
        assert parts_of(only(case, frozenset())) == ()
        for part in parts[:: max(1, len(parts) // 15)]:
            less = only(case, frozenset(parts) - {part})
            assert len(parts_of(less)) < len(parts)
            assert len(less.chances) == 4 + len(less.plan.traits)
        shorter = cut(case, 100.0)
        assert shorter.plan.times.end_s - 100.0 == case.plan.times.end_s - case.plan.times.calm_s
        assert last_s(shorter.plan) <= 100.0 + 60.0
        assert from_json(to_json(case)) == case


@pytest.mark.parametrize("profile", [name for name, profile in PROFILES.items() if profile.ills is None])
def test_what_is_cut_off_does_not_come_back_with_a_part(profile: str) -> None:
    """Also where windows are there because of something else, as those of our own network are."""
    case = case_of(1, profile, RULE)
    for calm_s in (case.plan.times.calm_s / 2, case.plan.times.calm_s / 5):
        shorter = cut(case, calm_s)
        assert only(shorter, frozenset(parts_of(shorter))) == shorter
        assert all(window.end_s <= calm_s for window in shorter.plan.windows)
        assert all(network.end_s <= calm_s for network in shorter.plan.networks)


def test_all_that_befalls_a_disk_can_be_taken_away() -> None:
    case = case_of(1, "disk")
    disk = case.plan.disk
    assert disk is not None
    befalls = {each.name for each in fields(DiskPlan) if isinstance(getattr(disk, each.name), tuple)}
    assert befalls == set(OF_THE_DISK)
    wanted = {Part(name, (number,)) for name in befalls for number in range(len(getattr(disk, name)))}
    assert len(wanted) >= 2
    assert wanted <= set(parts_of(case))


def test_a_case_is_the_run_of_its_seed() -> None:
    verdict = run_seed(5, "calm", story=True)
    assert tell(*run_case(case_of(5, "calm"))) == verdict.story


def test_an_exchange_that_goes_takes_all_that_befalls_it_along() -> None:
    cases = (case_of(seed, "moving") for seed in range(100))
    case = next(each for each in cases if len(each.plan.traits) == 3 and "okx" in [d.actor for d in each.plan.deaths])
    less = only(case, frozenset(parts_of(case)) - {Part("exchange", ("okx",))})
    assert [traits.name for traits in less.plan.traits] == ["bybit", "binance"]
    assert less.chances == (*case.chances[:4], *case.chances[5:])
    assert "okx" not in to_json(less)


def small_failure() -> Case:
    """A short run that fails with a bug, for which one order and one outage are enough."""
    case = case_of(0, "calm")
    orders = {n: order(n, at_s=5.0 * n, timeout_s=1.0, again_after_s=20.0) for n in (1, 2, 3, 4)}
    windows = (Window("bybit", 14.0, 17.0, (Fault.HANG_AFTER,)), Window("okx", 12.0, 14.0, (Fault.REFUSED,)))
    strategy = evolve(case.plan.strategies[0], orders=orders)
    deaths = (Death(30.0, "okx"), Death(32.0, "bybit"))
    befalls: dict[str, Any] = {
        "windows": windows,
        "deaths": deaths,
        "lags": (),
        "switches": (),
        "price_moves": (20.0, 25.0),
    }
    times = Times(calm_s=33.0, final_orders_s=50.0, final_get_s=55.0, end_s=60.0)
    plan = evolve(case.plan, strategies=(evolve(strategy, final_get_s=55.0),), times=times, **befalls)
    return evolve(case, plan=plan, rule="I2 guessed")


def test_a_planted_bug_shrinks_to_what_it_takes_and_is_told_in_sentences() -> None:
    with PLANTED["doubt taken for not executed"].plant():
        small = shrink(small_failure(), rule="I2 guessed")
        assert small is not None
        assert (serials(small.case), small.case.plan.deaths) == ({3}, ())
        assert [window.exchange for window in small.case.plan.windows] == ["bybit"]
        assert small.after <= small.before / 3
    told = tell_in_sentences(small.seen, small.violations, "I2 guessed")
    assert "strategy1 places order 3: buy 1 BTCUSDT at 20000; bybit is sent order 3 for 1" in told
    assert "bybit carries it out and never answers" in told
    assert "strategy1 hears: order 3 not_executed" in told
    assert told.splitlines()[-1].startswith("And that breaks the rule 'I2 guessed': order 3, told not_executed")
    assert len(told.splitlines()) < 15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bug", "seed"),
    [
        ("doubt taken for not executed", 3),
        ("second leg while unknown", 3),
        ("carried whole", 0),
    ],
)
def test_planted_bugs_shrink_to_a_third_at_most_and_always_to_the_same(bug: str, seed: int) -> None:
    planted = PLANTED.get(bug) or PLANTED_BOOKS[bug]
    with planted.plant():
        small, again = shrink_seed(seed, planted.profile), shrink_seed(seed, planted.profile)
        assert small is not None
        assert again is not None
        assert small.case == again.case
        assert small.case.rule in [violation.rule for violation in run_case(small.case)[1]]
    assert small.after <= small.before / 3


def test_shrunk_for_people_kept_and_played_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The plan that is kept fails for as long as the bug is there, and holds without it."""
    kept = tmp_path / "guessed.json"
    monkeypatch.setattr("app.fuzz.kept.shrink_seed", lambda *_, for_s: shrink(small_failure(), most_runs=3))
    arguments = ["--profile", "calm", "--replay", "0", "--shrink"]
    assert main(arguments) == 0
    assert "does not fail" in capsys.readouterr().out
    with PLANTED["doubt taken for not executed"].plant():
        assert main([*arguments, "--keep", str(kept)]) == 1
        assert f"order-router fuzz --replay-plan {kept}" in capsys.readouterr().out
        assert main(["--replay-plan", str(kept), "--json"]) == 1
    assert "I2 guessed" in [each["rule"] for each in json.loads(capsys.readouterr().out)["violations"]]
    assert main(["--replay-plan", str(kept)]) == 0
    assert "held" in capsys.readouterr().out


def _without_chances(case: dict[str, Any]) -> None:
    case["chances"] = case["chances"][:-1]


def _with_no_time(case: dict[str, Any]) -> None:
    case["plan"]["windows"][0]["begin_s"] = "soon"


def _with_no_plan(case: dict[str, Any]) -> None:
    case["plan"] = []


def _with_a_number_in_words(case: dict[str, Any]) -> None:
    case["profile"]["unknown_max_notional"] = "much"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (_without_chances, "numbers, and a run of it begins with"),
        (_with_no_time, "@ $.plan.windows[0].begin_s"),
        (_with_no_plan, "it is no object of JSON @ $.plan."),
        (_with_a_number_in_words, "it is no number @ $.profile.unknown_max_notional."),
        (lambda case: case.update(planned=3), "extra fields found (planned) @ $."),
    ],
)
def test_a_broken_file_is_refused_with_the_field_that_is_wrong(
    broken: Callable[[dict[str, Any]], None], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    case = json.loads(to_json(case_of(3, "storm")))
    broken(case)
    (tmp_path / "broken.json").write_text(json.dumps(case))
    assert main(["--replay-plan", str(tmp_path / "broken.json")]) == 64
    err = capsys.readouterr().err
    assert "no run that this version can play" in err
    assert words in err


@pytest.mark.parametrize("text", ["[]", "null", "3", "{", "{}"])
def test_a_file_that_holds_no_plan_is_a_mistake(text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text(text)
    assert main(["--replay-plan", str(tmp_path / "no.json")]) == 64
    assert "no run that this version can play" in capsys.readouterr().err
    assert main(["--replay-plan", str(tmp_path / "nowhere.json")]) == 66


def test_a_plan_with_a_disk_needs_one_that_can_be_simulated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "disk.json").write_text(to_json(case_of(0, "disk")))
    monkeypatch.setattr("app.fuzz.vfs.reachable", lambda: False)
    assert main(["--replay-plan", str(tmp_path / "disk.json")]) == 69
    assert "A simulated disk is not to be had" in capsys.readouterr().err


def test_nothing_is_shrunk_that_could_not_be_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.fuzz.kept.shrink_seed", None)
    bad = tmp_path / "nowhere" / "plan.json"
    assert main(["--profile", "calm", "--replay", "0", "--shrink", "--keep", str(bad)]) == 73
    assert "cannot be written: No such file" in capsys.readouterr().err


def test_a_file_is_written_whole_or_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_whole(path, "before")

    def full(self: Path, target: Path) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Refused, match="No space left"):
        write_whole(path, "after")
    assert [each.name for each in tmp_path.iterdir()] == ["plan.json"]
    assert path.read_text() == "before"
