"""Bad input ends as one sentence on stderr and a sysexits code; nothing is started, nothing is left."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from pathlib import Path

import psutil
import pytest

from app.cli.main import main
from app.journal.store import Journal
from app.process.foreign import our_root
from app.simulator.run import configuration
from tests.cli.desk import order_router, refusal, within

LOOKING = (["status"], ["history"], ["orders"], ["positions"], ["failover", "okx"])
FACT = {"base_url": "http://127.0.0.1:9", "api_key": "key-of-nobody", "secret": "secret-of-nobody", "password": "pw"}


def write(folder: Path, content: str) -> Path:
    """A private configuration file."""
    path = folder / "some.toml"
    path.write_text(content)
    path.chmod(0o600)
    return path


def whole(folder: Path) -> str:
    """A configuration that can be used."""
    return configuration({"bybit": FACT, "okx": FACT}, folder / "state-of-bot")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "a verb is missing"),
        (["trade"], "No such command 'trade'"),
        (["status", "--frequently"], "No such option: --frequently"),
        (["status", "--interval", "soon"], "Invalid value for '--interval'"),
        (["status", "--interval", "0"], "--interval is 0, and must be from 0.1"),
        (["failover"], "Missing argument 'EXCHANGE'"),
        (["failover", "mtgox"], "Exchange 'mtgox' is not known to the router: it must be one of"),
        (["simulate", "--exchange", "mtgox"], "Exchange 'mtgox' is not known"),
        (["simulate", "--exchange", "bybit", "--exchange", "bybit_v5"], "names bybit a second time"),
        (["demo", "--seconds", "1"], "--seconds is 1, and must be from 6"),
        (["demo", "--seconds", "nan"], "--seconds is nan"),
        (["demo", "--fault", "fire"], "--fault is 'fire', and must be 'double'"),
        (["check-config", "a.toml", "b.toml"], "unexpected extra argument"),
    ],
)
def test_usage_ends_with_64(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The library's own errors as well as ours, without a traceback or a page of help."""
    code = main(arguments)
    captured = capsys.readouterr()
    assert code == 64
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("order-router: ")
    assert words in line


WRONG = [
    ("[router\n", "line 1"),
    ("[router]\nstate_dir = /tmp\n", "line 2"),
    ('[router]\nprimary_exchage = "okx"\n', "router.primary_exchage is not a setting the router knows"),
    ('[router]\nprimary_exchange = "mtgox"\n', "router.primary_exchange is the text 'mtgox', and must be one of"),
    ("[health]\nretry_delay = -1\n", "health.retry_delay is -1, and must be a number of seconds"),
    ("[exchanges.okx]\napi_kye = 'never-shown'\n", "exchanges.okx.api_kye is not a setting"),
]


@pytest.mark.parametrize(
    ("verb", "content", "words"),
    [
        # All read it by the same call; `run` is a process of its own each time, so only one of each kind of mistake.
        *((["run", "--config"], *WRONG[n]) for n in (0, -1)),
        *((["check-config"], *wrong) for wrong in WRONG),
        *((["status", "--config"], *wrong) for wrong in WRONG),
    ],
)
def test_wrong_configuration_ends_with_78(tmp_path: Path, verb: list[str], content: str, words: str) -> None:
    """By line or by dotted name, for whoever reads a configuration; values that may be secrets are not shown."""
    sentence = run_wrong(tmp_path, [*verb, str(write(tmp_path, content))])
    assert words in sentence
    assert "never-shown" not in sentence


def run_wrong(folder: Path, arguments: list[str]) -> str:
    """The sentence of a command that ends with 78: the real one where it would start something."""
    done = (order_router if arguments[0] == "run" else within)(*arguments, home=folder)
    assert done.returncode == 78, done.stderr
    return refusal(done)


@pytest.mark.parametrize("verb", [["run", "--config"], ["check-config"], ["orders", "--config"]])
def test_configuration_that_cannot_be_read(tmp_path: Path, verb: list[str]) -> None:
    """A wrong name is an error, never silently some other configuration."""
    assert "nowhere.toml cannot be read: No such file" in run_wrong(tmp_path, [*verb, str(tmp_path / "nowhere.toml")])
    assert "cannot be read: Is a directory" in run_wrong(tmp_path, [*verb, str(tmp_path)])
    os.mkfifo(tmp_path / "pipe")
    pipe, endless = tmp_path / "pipe", Path("/dev/zero")
    for never_ends in (pipe,) if verb[0] == "run" else (pipe, endless):
        assert "cannot be read: it is no regular file" in run_wrong(tmp_path, [*verb, str(never_ends)])


@pytest.mark.parametrize("verb", [["run"], ["check-config"]])
def test_no_configuration_at_all(tmp_path: Path, verb: list[str]) -> None:
    """It says where one may be."""
    assert "no configuration is found: name a file with --config" in run_wrong(tmp_path, verb)


@pytest.mark.parametrize("verb", [["run", "--config"], ["check-config"]])
def test_missing_credentials(tmp_path: Path, verb: list[str]) -> None:
    """No table at all, half of them, and a variable that is not set."""
    state = f'[router]\nfailover_exchanges = ["okx"]\nstate_dir = "{tmp_path}/s"\n'
    half = state + '[exchanges.bybit]\napi_key = "k"\n'
    if verb[0] != "run":
        assert "bybit has no credentials" in run_wrong(tmp_path, [*verb, str(write(tmp_path, state))])
        assert "bybit has no secret" in run_wrong(tmp_path, [*verb, str(write(tmp_path, half))])
    unset = state + '[exchanges.bybit]\napi_key_env = "NOT_SET_ANYWHERE"\nsecret = "s"\n'
    assert "NOT_SET_ANYWHERE" in run_wrong(tmp_path, [*verb, str(write(tmp_path, unset))])
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("verb", LOOKING)
def test_no_daemon_ends_with_69_and_starts_none(tmp_path: Path, verb: list[str]) -> None:
    """Looking and steering never start a daemon, and make no directory."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    look = order_router if verb == ["failover", "okx"] else within
    done = look(*verb, "--config", write(tmp_path, whole(tmp_path)), home=tmp_path)
    assert done.returncode == 69
    assert f"No order-router daemon runs on {tmp_path}/state-of-bot" in refusal(done)
    assert not (tmp_path / "state-of-bot").exists()
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before


def test_state_directory_of_others_is_refused(tmp_path: Path) -> None:
    """Whoever could write there could tell us whom to talk to."""
    config = write(tmp_path, whole(tmp_path))
    state = tmp_path / "state-of-bot"
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    for verb in ("run", "status"):
        sentence = run_wrong(tmp_path, [verb, "--config", str(config)])
        assert f"{state} has mode 0777, open to other users; make it private with: chmod 700" in sentence
    if os.geteuid() == 0:
        state.chmod(0o700)
        os.chown(state, 65534, 65534)
        for verb in ("run", "status"):
            assert "belongs to user id 65534" in run_wrong(tmp_path, [verb, "--config", str(config)])
    assert list(state.iterdir()) == []


def test_a_journal_that_is_none_for_us_is_refused(tmp_path: Path) -> None:
    """Something else, and one of another schema: neither becomes better by trying again, as 75 would have it."""
    config = write(tmp_path, whole(tmp_path))
    state = tmp_path / "state-of-bot"
    state.mkdir(mode=0o700)
    path = state / "journal.db"
    path.write_text("this is a letter to my aunt, not a database, and it is longer than a header\n" * 20)
    path.chmod(0o600)
    assert f"{path} cannot be used: file is not a database; put" in run_wrong(
        tmp_path, ["run", "--config", str(config)]
    )
    path.unlink()
    Journal(path).close()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = '9999' WHERE name = 'schema_version'")
    assert f"{path} has schema 9999" in run_wrong(tmp_path, ["run", "--config", str(config)])


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, before anything that needs Linux is imported."""
    monkeypatch.setattr(sys, "platform", "plan9")
    assert main(["status"]) == 78
    assert capsys.readouterr().err == "order-router: OrderRouter runs on Linux only; this is plan9.\n"


def test_foreign_package_under_our_names_is_refused(tmp_path: Path) -> None:
    """Also where it hides no `app`; its code does not run."""
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / "__init__.py").write_text("raise SystemExit('foreign code ran')\n")
    path = os.pathsep.join([str(tmp_path), str(our_root())])
    done = order_router("status", home=tmp_path, more={"PYTHONPATH": path})
    assert done.returncode == 78
    assert f"the name 'messages' means {tmp_path}/messages/__init__.py here" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_strategy_folder_with_names_of_ours_is_refused(tmp_path: Path) -> None:
    """Its own `app` would silently not be the one it gets."""
    folder = tmp_path / "bot"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "__init__.py").touch()
    config = whole(tmp_path) + f'\n[strategies.grid]\nclass = "grid:Grid"\npath = "{folder}"\n'
    assert "cannot be imported in the router, whose own 'app' hides it" in run_wrong(
        tmp_path, ["run", "--config", str(write(tmp_path, config))]
    )


def test_fuzz_refuses_in_its_own_words(tmp_path: Path) -> None:
    """What follows the verb is the fuzzer's to judge."""
    assert order_router("fuzz", "--seeds", "many", home=tmp_path).returncode == 64


def test_help_and_version_are_no_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb is listed, and explains itself."""
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    verbs = ("demo", "run", "status", "history", "orders", "positions", "failover", "check-config", "simulate", "fuzz")
    for verb in verbs:
        assert f"  {verb} " in shown
        assert main([verb, "--help"]) == 0
        assert "sage:" in capsys.readouterr().out
    assert "--fault" not in shown
