"""What a daemon does between two trees: it waits, and only what it was told ends that early."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from app.config import load
from app.launcher.daemon import Daemon

PAUSE_S = 0.3
LONG_S = 30.0
GOOD = """
[router]
state_dir = "{state}"
primary_exchange = "okx"
failover_exchanges = []
[exchanges.okx]
api_key = "{key}"
secret = "s"
password = "p"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that is good."""
    path = tmp_path / "router.toml"
    path.write_text(GOOD.format(state=tmp_path, key="one"))
    path.chmod(0o600)
    return path


@pytest.fixture
def daemon(config: Path) -> Daemon:
    """A daemon that is not run."""
    return Daemon(load(config), config_path=config)


def paused(daemon: Daemon, for_s: float) -> tuple[float, float]:
    """How long that took, and how much of it the processor was used."""
    began_s, used_s = time.monotonic(), time.process_time()
    daemon._pause(for_s)
    return time.monotonic() - began_s, time.process_time() - used_s


def test_a_bell_that_was_rung_for_something_else_ends_no_wait(daemon: Daemon, config: Path) -> None:
    """A refused configuration least of all: whoever waits between restarts would hurry to its end."""
    config.write_text("[router]\nprimary_exchange = 3\n")
    for _ in range(2):
        daemon.reload()
        daemon._reload = False  # it was looked at while the tree was watched
        took_s, used_s = paused(daemon, PAUSE_S)
        assert took_s >= PAUSE_S
        assert used_s < PAUSE_S / 2, "and it sleeps"
        daemon.reload()
        took_s, _ = paused(daemon, PAUSE_S)
        assert took_s >= PAUSE_S
        assert not daemon._reload, "the refused one was looked at"


@pytest.mark.parametrize("word", ["stop", "reload"])
def test_an_order_to_stop_and_a_good_configuration_end_it(daemon: Daemon, word: str) -> None:
    order = {"stop": lambda: daemon.stop("enough"), "reload": daemon.reload}[word]
    later = threading.Timer(PAUSE_S, order)
    later.start()
    took_s, _ = paused(daemon, LONG_S)
    later.join()
    assert PAUSE_S / 2 <= took_s < LONG_S / 2
    order()
    assert paused(daemon, LONG_S)[0] < LONG_S / 2, "one that came before likewise"


def test_a_configuration_that_is_a_pipe_now_is_refused_at_once(daemon: Daemon, config: Path) -> None:
    """Nobody writes to it: a launcher that waits for somebody hears no signal."""
    config.unlink()
    os.mkfifo(config)
    daemon.reload()
    took_s, _ = paused(daemon, PAUSE_S)
    assert PAUSE_S <= took_s < LONG_S / 2
    assert not daemon._reload
