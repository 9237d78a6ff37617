"""The harness itself: the same seed is the same run, in any process; and what its command line says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from actors.position_reading import PositionReading
from app.fuzz.__main__ import main
from app.fuzz.plan import draw_plan, faults_of
from app.fuzz.profiles import PROFILES
from app.fuzz.run import run_many, run_seed
from app.fuzz.world import World
from messages.positions import GetBook
from tests.fuzz.planted import PLANTED

TIMEOUT_S = 60.0


def story_in_a_process_of_its_own(hash_seed: str) -> str:
    """A seed's story, with another order of Python's sets."""
    command = [sys.executable, "-m", "app.fuzz", "--profile", "crashes", "--replay", "5", "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True, env=environment)
    return str(json.loads(done.stdout)["story"])


def test_a_seed_is_the_same_run_in_every_process() -> None:
    first, second = story_in_a_process_of_its_own("1"), story_in_a_process_of_its_own("2")
    assert _without_pids(first) == _without_pids(second)


def test_who_is_asked_for_the_book_is_asked_in_the_same_order_in_every_process() -> None:
    names, asked = ("okx", "kraken", "bybit", "binance", "gate", "mexc"), list[str]()
    half: Any = SimpleNamespace(
        environment=SimpleNamespace(connectors=dict.fromkeys(names)),
        _askers=[],
        _ask=lambda exchange, *_: asked.append(exchange),
        _answer=lambda _: None,
    )
    PositionReading.on_message(half, GetBook(correlation_id="a", deadline_s=1.0, refresh=names), None, 0.0)
    assert asked == sorted(names)


def _without_pids(story: str) -> list[str]:
    return [line for line in story.splitlines() if "child_pid" not in line]


@pytest.mark.parametrize(
    "profiles",
    [pytest.param(("calm", "storm", "crashes"), id="some"), pytest.param(PROFILES, marks=pytest.mark.deep, id="all")],
)
def test_profiles_are_different_runs(profiles: Collection[str]) -> None:
    assert len({run_seed(1, profile, story=True).story for profile in profiles}) == len(profiles)


def test_an_unknown_profile_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="must be one of calm"):
        run_seed(0, "hurricane")


def test_good_seeds_end_well_and_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "3", "--jobs", "1", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["runs"], facts["failed"]) == (3, [])
    assert facts["simulated_s"] >= 3 * 120
    assert facts["orders"] >= 3 * 8


def test_a_failing_seed_prints_its_story_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    with PLANTED["doubt taken for not executed"].plant():
        assert main(["--seeds", "2", "--jobs", "1", "--profile", "storm"]) == 1
    out = capsys.readouterr().out
    assert "!!! I2 guessed" in out
    assert "failed" in out.splitlines()[-1]


def test_where_runs_have_been_is_told_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "1", "--jobs", "1", "--coverage"]) == 0
    out = capsys.readouterr().out
    assert "### Deaths by step of a switch" in out
    assert "**0**" in out, "one calm run cannot have been everywhere"


@pytest.mark.parametrize("profile", [name for name, each in PROFILES.items() if each.faults])
def test_every_plan_has_twenty_orders_and_three_faults(profile: str) -> None:
    for seed in range(200):
        plan = draw_plan(PROFILES[profile], Random(f"{profile}-{seed}"))
        assert faults_of(plan) >= PROFILES[profile].faults
        assert sum(len(strategy.orders) for strategy in plan.strategies) >= 20
        assert plan.times.end_s >= 600.0


def test_a_plan_with_faults_enough_is_left_as_it_was_drawn() -> None:
    """So that seeds mean what they meant."""
    plan = draw_plan(PROFILES["storm"], Random("storm-1"))
    assert faults_of(plan) >= 3
    assert not plan.deaths


def test_a_run_in_which_something_fails_is_a_failing_seed_and_ends_no_batch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(world: World) -> None:
        raise LookupError("nobody is there")

    monkeypatch.setattr(World, "run", fails)
    assert main(["--seeds", "2", "--start", "4", "--jobs", "1", "--profile", "calm", "--json"]) == 1
    failed = json.loads(capsys.readouterr().out)["failed"]
    assert [each["seed"] for each in failed] == [4, 5]
    assert failed[0]["violations"][0]["rule"] == "the run itself"
    assert failed[0]["violations"][0]["words"].startswith("LookupError: nobody is there, in fails, test_run.py line")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_harness_that_fails_says_at_which_seed(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise LookupError("nobody is there")

    monkeypatch.setattr("app.fuzz.run.draw_plan", fails)
    with pytest.raises(LookupError) as error:
        list(run_many([7], ["storm"], jobs))
    assert error.value.__notes__ == ["It was in seed 7: order-router fuzz --profile storm --replay 7"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--profile hurricane", "hurricane"),
        ("--seeds many", "--seeds: 'many' is no whole number"),
        ("--jobs 0", "--jobs: 0 is less than 1"),
        ("--start -1", "--start: -1 is less than 0"),
        ("--minutes -1", "--minutes: '-1' is no time"),
        ("--minutes nan", "--minutes: 'nan' is no time"),
        ("--shrink", "--shrink does nothing by itself: give --replay"),
        ("--keep x", "--keep does nothing by itself: give --replay and --shrink, or --exhaust"),
        ("--replay 5 --keep x", "--keep does nothing with --replay: give --shrink as well"),
        ("--replay 5 --seeds 3", "--seeds does nothing with --replay"),
        ("--replay five", "--replay: 'five' is not a seed"),
        ("--replay 5 --replay-plan x", "--replay does nothing with --replay-plan"),
        ("--exhaust lost --seeds 1000", "--seeds does nothing with --exhaust"),
        ("--exhaust lost --profile all", "--profile does nothing with --exhaust"),
        ("--exhaust lost --coverage", "--coverage does nothing with --exhaust"),
        ("--exhaust lost --shrink", "--shrink does nothing with --exhaust"),
        ("--exhaust lost --replay 2 --keep x", "--keep does nothing with --exhaust with --replay"),
        ("--exhaust all --replay 5", "--replay tells a run of one scope: name it"),
    ],
)
def test_arguments_that_make_no_sense_end_with_64_and_a_sentence(
    arguments: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 64
    assert words in capsys.readouterr().err


def test_help_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "with --exhaust: leave the search there" in " ".join(capsys.readouterr().out.split())
