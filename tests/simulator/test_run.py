"""Running exchanges in the foreground, and commands under them: files, exit codes, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.simulator.client import ControlClient
from app.simulator.run import EXIT_NOT_FOUND, configuration, simulate
from tests.simulator.real_clients import eventually

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30
TEMPORARY_FILES = "order-sim-*"


class Running:
    """`simulate` in a process of its own."""

    def __init__(self, tmp_path: Path, exchanges: list[str], command: list[str], *, ready: bool = True) -> None:
        self.ready_path = tmp_path / "ready.json"
        self.tmp = tmp_path / "tmp"
        self.tmp.mkdir()
        code = (
            "import sys, json; from pathlib import Path; from app.simulator.run import simulate; "
            "names, ready, command = json.loads(sys.argv[1]); "
            "sys.exit(simulate(names, Path(ready) if ready else None, command))"
        )
        arguments = json.dumps([exchanges, str(self.ready_path) if ready else None, command])
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.tmp)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def facts(self) -> dict[str, dict[str, str]]:
        """The ready file, once it is there."""
        eventually(self.ready_path.exists, deadline_s=DEADLINE_S)
        found: dict[str, dict[str, str]] = json.loads(self.ready_path.read_text())
        return found

    def end(self) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out, err


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts one, and kills it if the test leaves it."""
    started: list[Running] = []

    def begin(exchanges: list[str], command: list[str], **options: bool) -> Running:
        started.append(Running(tmp_path, exchanges, command, **options))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate(timeout=DEADLINE_S)


def python(code: str) -> list[str]:
    """A command that runs `code`."""
    return [sys.executable, "-c", code]


def read(path: Path) -> str:
    """What a file holds; empty while it is not there."""
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_until_told_to_stop(start: Any, number: signal.Signals) -> None:
    """A private ready file, a line for each exchange, exit code 0, nothing left."""
    running = start(["bybit", "okx"], [])
    facts = running.facts()
    assert list(facts) == ["bybit", "okx"]
    assert set(facts["okx"]) == {"base_url", "control_url", "api_key", "secret", "password"}
    assert running.ready_path.stat().st_mode & 0o077 == 0
    assert ControlClient(facts["okx"]["control_url"]).truth()["exchange"] == "okx"
    running.process.send_signal(number)
    code, out, err = running.end()
    assert (code, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines()] == ["bybit", "okx"]
    assert not running.ready_path.exists()


def test_a_command_finds_its_configuration_and_its_exit_code_is_returned(start: Any) -> None:
    """Under the variable; with a private state folder; stdout is the command's alone."""
    code = (
        "import os, pathlib, sys; path = pathlib.Path(os.environ['ORDER_ROUTER_CONFIG']); "
        "print(path.stat().st_mode & 0o077, path.parent.stat().st_mode & 0o077); print(path.read_text()); sys.exit(7)"
    )
    running = start(["bybit_v5", "okx"], python(code), ready=False)
    exit_code, out, err = running.end()
    assert (exit_code, err) == (7, "")
    first, _, text = out.partition("\n")
    assert first == "0 0"
    config = tomllib.loads(text)
    assert config["router"]["primary_exchange"] == "bybit_v5"
    assert config["router"]["failover_exchanges"] == ["okx"]
    assert config["exchanges"]["bybit_v5"]["base_url"].startswith("http://127.0.0.1:")
    assert "password" not in config["exchanges"]["bybit_v5"]
    assert config["exchanges"]["okx"]["password"]
    assert list(running.tmp.glob(TEMPORARY_FILES)) == []


def test_a_killed_command_ends_everything(start: Any) -> None:
    """128 + 9."""
    running = start(["okx"], python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert running.end()[0] == 128 + signal.SIGKILL
    assert list(running.tmp.glob(TEMPORARY_FILES)) == []


def test_a_command_that_cannot_be_started(start: Any) -> None:
    """A sentence on stderr, 127."""
    code, out, err = start(["okx"], ["/nowhere/at-all"]).end()
    assert (code, out) == (EXIT_NOT_FOUND, "")
    assert err == "The command '/nowhere/at-all' cannot be started: No such file or directory.\n"


def test_the_command_dies_with_a_killed_simulation(start: Any, tmp_path: Path) -> None:
    """Also when nobody could tell it."""
    note = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(600)"
    running = start(["okx"], python(code))
    pid = int(eventually(lambda: read(note), deadline_s=DEADLINE_S))
    child = psutil.Process(pid)
    try:
        running.process.kill()
        running.end()
        psutil.wait_procs([child], timeout=DEADLINE_S)
        assert not child.is_running()
    finally:
        if child.is_running():
            child.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_orphans_are_ended(start: Any, tmp_path: Path, number: signal.Signals) -> None:
    """The command ends by SIGTERM; what it left in the background goes too."""
    note = tmp_path / "pids"
    code = (
        "import os, pathlib, subprocess, sys, time; "
        "orphan = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True); "
        f"pathlib.Path({str(note)!r}).write_text(f'{{os.getpid()}} {{orphan.pid}}'); time.sleep(600)"
    )
    running = start(["okx"], python(code))
    pids = [int(p) for p in eventually(lambda: read(note), deadline_s=DEADLINE_S).split()]
    running.process.send_signal(number)
    assert running.end()[0] == 128 + signal.SIGTERM
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_the_configuration_is_toml_whatever_the_values() -> None:
    """Quotes, backslashes and other letters survive."""
    fact = {"base_url": "http://127.0.0.1:1", "api_key": 'a"\\b', "secret": "ü\n", "password": ""}
    found = tomllib.loads(configuration({"okx": fact}, Path('/tmp/st"ate')))
    assert found == {
        "router": {
            "primary_exchange": "okx",
            "failover_exchanges": [],
            "market_type": "swap",
            "state_dir": '/tmp/st"ate',
        },
        "exchanges": {"okx": {"base_url": "http://127.0.0.1:1", "api_key": 'a"\\b', "secret": "ü\n"}},
    }


def test_wrong_names() -> None:
    """Each with a sentence."""
    for names, words in (
        ([], "at least one"),
        (["okx", "okx"], "named twice"),
        (["mtgox"], "no simulated exchange 'mtgox'"),
    ):
        with pytest.raises(ValueError, match=words):
            simulate(names, None, [])


def test_a_simulator_s_name_of_spot_is_none_of_the_router_s() -> None:
    """A command's configuration could not name it; `market_type` says what it trades."""
    with pytest.raises(ValueError, match="kraken_spot cannot be named to a command"):
        simulate(["bybit", "kraken_spot"], None, ["true"])
