"""Lines about orders, which cost little; and the last line of a process that ends without a word."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.process.guards import disable_core_dumps
from app.process.logs import configure_actor_logs, get_logger, state
from app.process.redact import hide

ODD = '100 % of %s, {braces}, \u00e9, a\nline and a "quote"'


def in_a_fork(does: Callable[[], None], path: Path, level: str = "INFO") -> list[dict[str, Any]]:
    """What a process logs that ends by `os._exit`, or as `does` ends it."""
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        disable_core_dumps()
        configure_actor_logs(path=path, level=level, actor="connector:bybit")
        does()
        os._exit(0)
    os.waitpid(child, 0)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_line_has_the_shape_of_any_other(tmp_path: Path) -> None:
    def does() -> None:
        state("actors.x", "order.changed", client_order_id=ODD, leg=2, code=None)
        get_logger("actors.x").info("order.changed", client_order_id=ODD, leg=2)

    ours, usual = in_a_fork(does, tmp_path / "log")
    assert {**ours, "timestamp": ""} == {**usual, "timestamp": ""}
    assert len(ours["timestamp"]) == len(usual["timestamp"])
    assert ours["actor"] == "connector:bybit"


def test_a_line_is_not_made_below_its_level(tmp_path: Path) -> None:
    assert in_a_fork(lambda: state("actors.x", "order.changed"), tmp_path / "log", "WARNING") == []


def test_a_line_shows_no_secret(tmp_path: Path) -> None:
    def does() -> None:
        hide("very-secret-value")
        state("actors.x", "order.changed", client_order_id="my very-secret-value")

    (line,) = in_a_fork(does, tmp_path / "log")
    assert line["client_order_id"] == "my [redacted]"


@pytest.mark.parametrize("number", [None, 9, 11], ids=["exit", "SIGKILL", "SIGSEGV"])
def test_the_last_line_before_a_death_is_in_the_file(tmp_path: Path, number: int | None) -> None:
    def does() -> None:
        state("actors.x", "order.changed", n=1)
        get_logger("actors.x").warning("going.down", n=2)
        if number is not None:
            os.kill(os.getpid(), number)
            signal.pause()  # the signal may take a moment to arrive
        os._exit(7)

    assert [line["n"] for line in in_a_fork(does, tmp_path / "log")] == [1, 2]
