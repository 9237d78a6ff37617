"""A connector that is killed again and again under load never asks its exchange for more than the exchange gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import pytest

from app.journal.store import Journal
from app.simulator.limits import RateLimits
from app.simulator.thread import Simulated, SimulatorThread
from tests.exchanges.desk import until

LIVES = 8
MOST, WINDOW_S = 10, 1.0
"""Placements that Bybit takes of an account."""
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def sims() -> Iterator[SimulatorThread]:
    """Bybit, which enforces its limits."""
    with SimulatorThread(["bybit"]) as running:
        yield running


def placements(sim: Simulated) -> list[dict[str, Any]]:
    """Those that arrived at the exchange."""
    return [request for request in sim.control.requests() if request["call"] == "place"]


def lives_on(sim: Simulated, process: subprocess.Popen[str], before: int, for_s: float) -> bool:
    """Whether a placement has arrived, and the life that sent it may go on for a while longer."""
    if process.poll() is None and len(placements(sim)) <= before:
        return False
    Event().wait(for_s)
    return True


def crash_loop(sim: Simulated, folder: Path, *, keeps: bool) -> None:
    """Lives, each killed some time after its first placement has arrived: mostly while others are on their way."""
    journal = Journal(folder / "journal.db")
    journal.commit_route(journal.fence(0.0).epoch, sim.name, 0.0)
    journal.close()
    told = {
        "exchange": sim.name,
        "base_url": sim.base_url,
        "api_key": sim.api_key,
        "secret": sim.secret,
        "password": sim.password,
        "folder": str(folder),
        "keeps": "yes" if keeps else "",
    }
    rng = Random(1)
    command = [sys.executable, "-m", "tests.exchanges.crash_loop", json.dumps(told)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for _ in range(LIVES):
                before = len(placements(sim))
                waits_s = rng.choice((0.0, 0.0, 0.05, 0.4))
                process.stdin.write("\n")
                process.stdin.flush()
                pid = int(process.stdout.readline())
                until(partial(lives_on, sim, process, before, waits_s), patience_s=PATIENCE_S, means="a placement")
                os.kill(pid, signal.SIGKILL)
        finally:
            process.kill()


@pytest.mark.parametrize("keeps", [True, False])
def test_no_window_of_the_exchange_is_ever_passed(
    keeps: bool, sims: SimulatorThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing kept, each life begins with the whole budget, and is refused: the same loop shows that it would."""
    refused: list[str] = []
    refuse = RateLimits._refuse

    def counted(self: RateLimits, now_ms: int, limit: Any, until_ms: int, used: Any) -> Any:
        if limit.name != "reads":  # which the simulated one counts all together, and Bybit each kind by itself
            refused.append(limit.name)
        return refuse(self, now_ms, limit, until_ms, used)

    monkeypatch.setattr(RateLimits, "_refuse", counted)
    sim = sims["bybit"]
    sim.control.ask("POST", "/limits", {"on": True})
    first = len(placements(sim))
    crash_loop(sim, tmp_path, keeps=keeps)
    sim.control.ask("POST", "/limits", {"on": False})
    sent = placements(sim)[first:]
    assert len(sent) >= 2 * MOST
    assert bool(refused) is not keeps, f"{refused} refused of {len(sent)}"
