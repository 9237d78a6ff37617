"""The demonstration, whole: its verdict, what it finds when an exchange cheats, and that it leaves nothing."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli.desk import DEADLINE_S, Running, order_router
from tests.processes import Deaths

SECONDS = "6"
LONGEST_S = 40


def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """One JSON object, whose numbers add up; exit code 0; no file left."""
    done = order_router("demo", "--seconds", SECONDS, "--json", home=tmp_path)
    assert done.stderr == ""
    facts = json.loads(done.stdout)
    assert done.returncode == 0, facts
    for key in ("lost", "duplicated", "unknown", "contradicted", "strays", "misstated"):
        assert facts[key] == 0
    assert facts["accepted"] > 0
    assert facts["accepted"] + facts["refused"] + facts["not_executed"] == facts["orders_placed"]
    assert sum(facts["by_exchange"].values()) >= facts["accepted"]
    assert facts["by_exchange"]["bybit"] > 0
    assert facts["by_exchange"]["okx"] > 0
    assert facts["failovers"] == 1
    assert facts["switches"][0]["from_exchange"] == "bybit"
    assert 0 <= facts["switch_ms"] < facts["outage_ms"]
    assert facts["executed_unanswered"] > 0
    assert facts["duration_s"] < LONGEST_S
    assert list(tmp_path.iterdir()) == []


@pytest.mark.deep
def test_an_order_executed_twice_is_found(tmp_path: Path) -> None:
    """The simulated exchange doubles one placement: the demo must say so, and fail."""
    done = order_router("demo", "--seconds", SECONDS, "--json", "--fault", "double", home=tmp_path)
    facts = json.loads(done.stdout)
    assert done.returncode == 1
    assert facts["duplicated"] == 1
    assert facts["sound"] is False
    assert "times in the books" in facts["bad"][0]["why"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.deep),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.deep),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_it_leaves_nothing_however_it_ends(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """In the midst of trading: no process, no temporary folder, no traceback."""
    with Running("demo", home=tmp_path) as demo:
        demo.line_with("the strategy trades on")
        tree = demo.tree()
        assert len(list(tmp_path.glob("order-router-demo-*"))) == 1
        with Deaths(tree) as deaths:
            assert demo.end(number) == code
            deaths.wait(DEADLINE_S)
        assert list(tmp_path.glob("order-router-demo-*")) == []
        assert demo.log() == ""
