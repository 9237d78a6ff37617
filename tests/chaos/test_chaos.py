"""A bounded share of the chaos suite: some injuries on a real daemon, and faults that the judge must find.

Only what must hold on any machine is asked for here; the bars are for `make chaos` on a quiet one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.exchange import ROOT
from messages.failover import ActorInfo
from messages.supervision import TreeState
from tests.chaos.census import Census, Ends
from tests.chaos.load import Load
from tests.chaos.stage import ORDER_TIMEOUT_S, STRATEGY, Stage
from tests.chaos.weigh import secrets_seen
from tests.chaos.witness import Answer, Verdict, judge
from tests.processes import Deaths

PATIENCE_S = 30.0


def chaos(output: Path, *arguments: str) -> subprocess.Popen[str]:
    """`python -m tests.chaos`, small."""
    counts = ["--kills", "1", "--others", "4", "--together", "1", "--launchers", "1"]
    small = [*counts, "--seed", "35", "--output", str(output)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos", *small, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(run: subprocess.Popen[str], output: Path) -> dict[str, Any]:
    """What it wrote."""
    shown, told = run.communicate(timeout=120)
    assert run.returncode in (0, 1), told  # 1: a bar of a quiet machine was missed
    assert "at rest" in shown
    found: dict[str, Any] = json.loads(output.read_text())
    return found


@pytest.mark.deep
def test_a_run_that_is_interrupted_is_taken_up_again_and_loses_no_order(tmp_path: Path) -> None:
    """Kills, a crash, a hang, several at once and a dead launcher, in two sessions; every order is judged.

    And nobody is dead after any of it, and nothing is left.
    """
    output = tmp_path / "chaos.json"
    with chaos(output) as run:
        assert run.stderr is not None
        assert run.stderr.readline().startswith("   1 of 7"), "the first injury is told"
        run.send_signal(signal.SIGINT)
        first = ended(run, output)
    assert first["cut_short"] is True
    assert 1 <= first["injuries"]["done"] < 7
    with chaos(output, "--resume") as run:
        found = ended(run, output)
    assert found["cut_short"] is False
    assert found["injuries"] == {"done": 7, "planned": 7}
    assert sum(group["count"] for group in found["groups"]) == 6
    assert sum(group["count"] for group in found["together"]) == 1
    assert found["health"] == {"looked": 7, "dead": 0}
    assert len(found["sessions"]) == 2
    assert not output.with_suffix(".partial.json").exists()
    orders = found["orders"]
    assert orders["judged"] > 50
    assert orders["executed"] > 20
    assert [orders[name] for name in ("lost", "doubled", "denied", "unexplained")] == [0, 0, 0, 0], found["sessions"]
    assert found["not_recovered"] == []
    for session in found["sessions"]:
        assert (session["left"], session["secrets"]) == ([], [])
        assert len(session["weights"]) >= 2


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A daemon and its exchanges, unhurt."""
    with Stage(("bybit", "okx")) as stage:
        yield stage


def verdict(stage: Stage, load: Load) -> Verdict:
    """By the exchanges' books, when all is answered."""
    assert load.pause(ORDER_TIMEOUT_S + 5)
    load.resolve(PATIENCE_S)
    books = {name: control.truth()["orders"] for name, control in stage.world.controls.items()}
    return judge(load.sent, books, journal_id=stage.presence().journal_id, strategy=STRATEGY)


def test_the_judge_finds_what_an_exchange_executed_twice_and_what_was_hidden_from_it(stage: Stage) -> None:
    """Planted in the exchange and in what the caller says, since the router has no such mistake to show."""
    exchange = stage.world.controls["bybit"]
    with Load(stage.router, journal_id=stage.presence().journal_id, per_s=50.0, prefix="planted") as load:
        load.flow()
        assert load.wait_sent(20, PATIENCE_S)
        good = verdict(stage, load)
        assert good.good, good
        assert good.executed == good.orders >= 20

        exchange.fault("double", call="place", count=1)
        load.flow()
        assert load.wait_sent(5, PATIENCE_S)
        twice = verdict(stage, load)
        assert len(twice.doubled) == 1, twice
        assert "planted-" in twice.doubled[0]

        last = load.sent.pop()
        hidden = verdict(stage, load)
        assert len(hidden.unexplained) == 1 + (last.client_order_id in twice.doubled[0]), hidden

        load.sent[0].answer = Answer.NONE
        assert "was never answered" in verdict(stage, load).lost[0]


def test_every_process_of_the_daemon_can_be_made_to_exit_and_shows_no_secret(stage: Stage) -> None:
    """The family is everybody, whoever is whose child; a secret that does stand somewhere is found."""
    roll = stage.census.well(PATIENCE_S)
    assert roll is not None
    family = stage.family()
    assert {roll.launcher, roll.admin, roll.logger, roll.supervisor, *roll.children.values()} == set(family)
    files = [each for each in stage.state_dir.rglob("*") if each.is_file()]
    assert secrets_seen(stage.secrets(), files, family) == []
    planted = stage.folder / "planted"
    planted.write_text(f"key = {stage.secrets()[0]}")
    assert secrets_seen(stage.secrets(), [planted], ()) == [f"Secret number 0 stands in {planted}."]
    assert roll.logger is not None
    handled = int(_status(roll.logger, "SigCgt"), 16)
    assert handled >> (signal.SIGRTMAX - 2) & 1, "the signal that ends by _exit is handled in who was forked last"


def _status(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))


def test_who_is_in_the_tree_and_does_not_live_is_seen() -> None:
    """Whether nobody waited for it yet, or it is gone, or it was never there; who lives is not taken for dead."""
    with subprocess.Popen(["/bin/true"]) as gone:
        pass
    with subprocess.Popen(["/bin/true"]) as zombie, Ends(zombie.pid) as ends:
        assert ends.wait(PATIENCE_S)
        pids = {"lives": os.getpid(), "zombie": zombie.pid, "gone": gone.pid, "none": None}
        actors = tuple(ActorInfo(name=name, pid=pid, restarts=0) for name, pid in pids.items())
        tree = TreeState(correlation_id="", ready=True, gave_up=False, words="", actors=actors, pid=os.getpid())
        roll = Census._of(tree, launcher=0)
    assert roll is not None
    assert set(roll.dead) - {"logger"} == {"zombie", "gone", "none"}


def test_nothing_is_left_when_the_run_itself_is_killed(tmp_path: Path) -> None:
    """Neither daemon nor exchanges: whoever started them is gone."""
    with chaos(tmp_path / "chaos.json") as run:
        assert run.stderr is not None
        run.stderr.readline()
        below = psutil.Process(run.pid).children(recursive=True)
        assert len(below) >= 10, "the daemon's processes and the exchanges'"
        with Deaths(below) as deaths:
            run.kill()
            deaths.wait(PATIENCE_S)
