"""`simulate`, `check-config` and `fuzz`: what needs no daemon."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from app.simulator.run import configuration
from tests.cli.desk import order_router

FACT = {"base_url": "http://127.0.0.1:9", "api_key": "key-never-shown", "secret": "never-shown", "password": "pw-never"}


def test_simulate_runs_a_command_under_every_exchange(tmp_path: Path) -> None:
    """Its configuration is found by variable, its options are its own, its exit code is ours."""
    code = "import os, sys, tomllib; c = tomllib.load(open(os.environ['ORDER_ROUTER_CONFIG'], 'rb')); "
    code += "print(*c['exchanges'], *sys.argv[1:]); sys.exit(7)"
    done = order_router("simulate", "--", sys.executable, "-c", code, "--json", "--help", home=tmp_path)
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == "bybit okx binance kraken --json --help\n"
    assert [path.name for path in tmp_path.iterdir()] == []


def test_simulate_chosen_exchanges_and_a_ready_file(tmp_path: Path) -> None:
    """Also without the two dashes."""
    ready = tmp_path / "ready.json"
    done = order_router(
        *("simulate", "--exchange", "okx", "--exchange", "kraken", "--ready", ready),
        *(sys.executable, "-c", f"print(*__import__('json').load(open({str(ready)!r})))"),
        home=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "okx kraken\n", "")
    assert not ready.exists()


def test_simulate_says_what_cannot_be_done(tmp_path: Path) -> None:
    """A command that is not there, and a ready file that cannot be written."""
    assert order_router("simulate", "--", "/nowhere/at-all", home=tmp_path).returncode == 127
    done = order_router("simulate", "--exchange", "okx", "--ready", tmp_path / "no" / "ready.json", home=tmp_path)
    assert done.returncode == 75
    assert len(done.stderr.splitlines()) == 1
    assert "No such file or directory" in done.stderr


def test_check_config_explains_and_shows_no_secret(tmp_path: Path) -> None:
    """Found as any program finds it; as text and as JSON."""
    path = tmp_path / "order-router.toml"
    path.write_text(configuration({"bybit": FACT, "okx": FACT}, tmp_path / "state"))
    path.chmod(0o644)
    done = order_router("check-config", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "router.primary_exchange = bybit" in done.stdout
    assert "detection budget" in done.stdout
    assert "warning: " in done.stdout  # the file holds secrets, and others may read it
    machine = order_router("check-config", path, "--json", home=tmp_path)
    found = json.loads(machine.stdout)
    assert found["valid"] is True
    assert found["file"] == str(path)
    assert any("chmod 600" in warning for warning in found["warnings"])
    for secret in ("key-never-shown", "never-shown", "pw-never"):
        assert secret not in done.stdout + machine.stdout


def test_fuzz_is_reached_with_its_own_options(tmp_path: Path) -> None:
    """One seed of it."""
    done = order_router("fuzz", "--seeds", "1", "--jobs", "1", "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
