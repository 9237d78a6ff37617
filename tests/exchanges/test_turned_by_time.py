"""What is due by time alone, on a loop that an actor turns: done when it is due, and nobody is woken for nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.exchanges import client
from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.simulator.thread import Simulated, SimulatorThread
from messages.health import Probe, ProbeKind, ProbeReply
from tests.exchanges.stage import Stage

PATIENCE_S = 10.0
PROBE_S = 0.5
KEEPALIVE_S = 0.3
LATE_S = 1.0
"""What a loaded machine may add."""
WATCHED_S = 2.0


@pytest.fixture
def stage(sims: SimulatorThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A connector to Bybit, ready. Requests end by the call's own deadline, long before aiohttp's or ccxt's."""
    monkeypatch.setattr(client, "KEEPALIVE_S", KEEPALIVE_S)
    sim = sims["bybit"]
    settings = ExchangeSettings(name=sim.name, base_url=sim.base_url, request_timeout_s=30.0)
    port = build_port(settings, Credentials(api_key=sim.api_key, secret=sim.secret), time.time)
    with Stage(port, tmp_path / "journal.db") as made:
        assert made.run(lambda: port.ready and made.runner.next_s() is not None, PATIENCE_S)
        yield made
    sim.control.clear_faults()


@pytest.fixture
def sim(sims: SimulatorThread) -> Simulated:
    """Bybit."""
    return sims["bybit"]


def probe(stage: Stage, kind: ProbeKind = ProbeKind.PUBLIC) -> float:
    """Sends one that may take `PROBE_S`; when it must be answered."""
    deadline_s = time.time() + PROBE_S
    stage.deliver(Probe(correlation_id=f"probe-{time.time_ns()}", deadline_s=deadline_s, kind=kind))
    return deadline_s


def test_a_call_nobody_answers_ends_at_its_deadline_though_nothing_else_happens(stage: Stage, sim: Simulated) -> None:
    """An exchange that went silent is found out by time alone, in a few wake-ups."""
    sim.control.fault("hang_before", call="time")
    woken = stage.wakes
    deadline_s = probe(stage)
    assert stage.run(lambda: stage.heard(ProbeReply), PATIENCE_S), "the call's deadline passed by"
    ((answered_s, reply),) = stage.heard(ProbeReply)
    assert not reply.evidence.ok
    assert deadline_s - 0.01 <= answered_s < deadline_s + LATE_S
    assert stage.wakes - woken < 10


def test_a_connector_with_nothing_to_do_is_hardly_ever_woken(stage: Stage) -> None:
    """Also when the clean-up of kept connections falls due, which is due by time alone."""
    connector = stage.runner.port._client.session.connector  # type: ignore[attr-defined]
    probe(stage)
    assert stage.run(lambda: stage.heard(ProbeReply), PATIENCE_S)
    assert connector._conns
    woken, ready, cpu_s = stage.wakes, stage.ready, time.thread_time()
    assert not stage.run(lambda: False, WATCHED_S)
    assert stage.wakes - woken < 20
    assert stage.ready - ready < 20
    assert time.thread_time() - cpu_s < 0.1
    assert not connector._conns, "the kept connection was not closed when its time was up"
