"""A user's strategy in an actor of its own: it places, cancels, sees fills, breaks down, comes back, moves along."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from app.launcher.tree import STOP_BUDGET_S
from tests.e2e.conftest import Build
from tests.e2e.daemons import Daemon
from tests.e2e.world import actor_pid, move_to, of_order, place, restarted, slack_s, until


def _diary(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_strategy_that_breaks_down_carries_on_and_places_nothing_twice(world: Build, tmp_path: Path) -> None:
    file = tmp_path / "diary"
    spec = {"class": "strategies:Diarist", "path": str(Path(__file__).parent), "args": {"diary": str(file)}}
    here = world("bybit", "okx", strategies={"diarist": spec})

    def notes(**wanted: Any) -> list[dict[str, Any]]:
        return [line for line in _diary(file) if all(line.get(key) == value for key, value in wanted.items())]

    with here.running() as router:
        journal_id = here.presence().journal_id
        until(lambda: notes(what="order", told="cancelled"), means="the second life cancelling")
        assert len(notes(what="start")) == 2
        assert notes(what="start")[0]["exchange"] == "bybit"
        wrong = {line["of"]: line["words"] for line in notes(what="wrong")}
        assert "side is 'hold', and must be one of 'buy', 'sell'" in wrong["side"]
        assert "client_order_id is 7, and must be 1 to 128 printable characters" in wrong["id"]
        assert len(wrong) == 6, "whatever is wrong is told to the strategy: sent on, it would end a connector"
        until(lambda: notes(what="order", told="changed", id="taking", state="filled"), means="the answer to get")
        until(lambda: notes(what="order", told="refused", id="never placed"), means="the other one")
        assert notes(what="fill", id="taking", total="0.002")
        books = here.books()
        (taking,) = of_order(books, journal_id, "diarist", "taking")
        (resting,) = of_order(books, journal_id, "diarist", "resting")
        assert taking[1]["filled"] == "0.002"
        assert (resting[1]["status"], resting[1]["price"], resting[1]["qty"]) == ("cancelled", "36000", "0.002")
        assert notes(what="order", told="amended", id="resting")
        assert router.get_open_orders() == [], "a strategy's orders are its own"

        pid = actor_pid(router, "strategy:diarist")
        os.kill(pid, signal.SIGKILL)
        until(lambda: restarted(router, "strategy:diarist", pid), means="the strategy coming back")
        until(lambda: len(notes(what="start")) == 3)

        move_to(router, "okx")
        until(lambda: notes(what="route", exchange="okx", state="ready"), means="the news")
        until(lambda: notes(what="fill", id="moved", total="0.003"), means="trading on there")
        books = here.books()
        ((exchange, moved),) = of_order(books, journal_id, "diarist", "moved")
        assert (exchange, moved["filled"]) == ("okx", "0.003")
        assert len(of_order(books, journal_id, "diarist", "taking")) == 1
        assert len(of_order(books, journal_id, "diarist", "resting")) == 1
        assert notes(what="route", exchange=None, state="switching")
        assert len(notes(what="timer")) == 1


@pytest.mark.deep
def test_a_strategy_that_never_gets_ready_holds_up_nobody(world: Build, tmp_path: Path) -> None:
    """Neither a new configuration that brings it nor a start with it: orders are taken all the same."""
    marks = tmp_path / "marks"
    marks.mkdir()
    folder = str(Path(__file__).parent)
    strategies = {"stuck": {"class": "strategies:NeverMade", "path": folder, "args": {"marks": str(marks)}}}
    here = world("bybit", "okx")
    with Daemon(here, tmp_path) as daemon:
        daemon.serves()
        with daemon.router() as router:
            assert place(router, "before").order is not None
            daemon.write(strategies=strategies)
            daemon.process.send_signal(signal.SIGHUP)
            until(lambda: list(marks.iterdir()), means="the strategy being made")
            until(lambda: len(daemon.events("daemon.ready")) == 2, means="the new tree serving")
            assert place(router, "after").order is not None
            move_to(router, "okx")
            assert place(router, "moved").order is not None
        code, took_s = daemon.end()
        assert code == 0
        assert took_s <= STOP_BUDGET_S + slack_s(1.0)
    (tmp_path / "again").mkdir()
    with Daemon(here, tmp_path / "again", strategies=strategies) as daemon:
        daemon.serves()
        with daemon.router() as router:
            assert place(router, "from the start").order is not None
