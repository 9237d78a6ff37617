"""Logs as they come out of a real process: one JSON object a line, ours and others' alike, without secrets."""

import json
import logging
import os
import pickle
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.process.logs import LineFormatter, log_config

TIMEOUT_S = 20

SCRIPT = """
import logging, sys
from pathlib import Path
from app.process.logs import configure_logs, get_logger
from app.process.redact import hide
hide("0123456789abcdef")
configure_logs(level="INFO", path=Path(sys.argv[1]) if len(sys.argv) > 1 else None)
log = get_logger("app.launcher")
log.info("route.committed", exchange="okx", epoch=7, headers={"OK-ACCESS-SIGN": "abcdef"})
log.bind(strategy="grid").warning("order.refused", text="100 % of 0123456789abcdef")
log.debug("not.asked_for")
logging.getLogger("aiohttp.client").warning("closed %s", "signature=feed&x=1")
try:
    raise ValueError("apiKey=beef")
except ValueError:
    log.exception("probe.failed")
    logging.getLogger("other").exception("unexpected")
"""


def run(*args: str) -> str:
    """The script's stderr."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *args], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert done.stdout == ""
    return done.stderr


def check(text: str) -> None:
    """The lines of SCRIPT, as JSON."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == [
        "route.committed",
        "order.refused",
        "closed signature=[redacted]&x=1",
        "probe.failed",
        "unexpected",
    ]
    assert [line["level"] for line in lines] == ["info", "warning", "warning", "error", "error"]
    assert [line["logger"] for line in lines] == ["app.launcher"] * 2 + ["aiohttp.client", "app.launcher", "other"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    first, second, _, ours, others = lines
    assert (first["exchange"], first["epoch"], first["headers"]) == ("okx", 7, {"OK-ACCESS-SIGN": "[redacted]"})
    assert (second["strategy"], second["text"]) == ("grid", "100 % of [redacted]")
    for line in (ours, others):
        assert line["exception"].endswith("ValueError: apiKey=[redacted]")


def test_stderr_gets_json_lines() -> None:
    """Where stderr is no terminal, every line is one JSON object in one shape."""
    check(run())


def test_a_file_gets_json_lines(tmp_path: Path) -> None:
    """With a path, the file gets them and stderr nothing."""
    assert run(str(tmp_path / "log")) == ""
    check((tmp_path / "log").read_text())


def test_a_terminal_gets_columns() -> None:
    """People get time, level, event and keys; never JSON, never a secret."""
    shown, terminal = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", SCRIPT], stderr=terminal, timeout=TIMEOUT_S, check=True)
    finally:
        os.close(terminal)
    text = b""
    try:
        while piece := os.read(shown, 65536):
            text += piece
    except OSError:  # how a terminal says that its other side is closed
        pass
    os.close(shown)
    first = text.decode().splitlines()[0]
    assert "route.committed" in first
    assert not first.startswith("{")
    assert b"abcdef" not in text
    assert b"feed" not in text


def test_an_unknown_level_is_refused() -> None:
    """The sentence lists what would be right."""
    with pytest.raises(ValueError, match="'LOUD' is unknown; choose one of DEBUG"):
        log_config(level="LOUD")


def test_a_record_survives_the_way_to_the_logger_process() -> None:
    """Rendered where it happened, pickled with its text in place of its arguments, framed once at the far end."""
    record = logging.LogRecord("app", logging.INFO, __file__, 1, "%s", ('{"event":"a.b","n":"100 %"}',), None)
    record.rendered_event = True
    record.msg, record.args = record.getMessage(), None
    arrived = pickle.loads(pickle.dumps(record))
    assert LineFormatter().format(arrived) == '{"event":"a.b","n":"100 %"}'
