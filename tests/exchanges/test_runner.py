"""The loop that an actor turns: nothing blocks, everything is answered, everything is bounded."""

import select
import threading
import time
from collections.abc import Collection, Iterator
from decimal import Decimal

import pytest

from app.domain.calls import (
    Ambiguous,
    Call,
    CallFailed,
    ExpiryEnforcement,
    PlaceCall,
    Placed,
    ProbeCall,
    ProbeOk,
    Proof,
    Result,
)
from app.domain.rates import RateLimit, Usage, rates_of
from app.exchanges.factory import build_port
from app.exchanges.runner import LoopRunner, RunnerClosed, RunnerFull
from app.exchanges.settings import Credentials, ExchangeSettings
from app.simulator.thread import SimulatorThread
from messages.health import ProbeKind
from messages.market import Symbol
from messages.orders import OrderSpec
from tests.exchanges.desk import spec, until, wire_id


def place_call(wire: str) -> PlaceCall:
    """A placement committed now."""
    now_s = time.time()
    return PlaceCall(
        spec=spec(),
        quantity=Decimal("0.01"),
        wire_id=wire,
        committed_s=now_s,
        expiry_s=now_s + 5,
        deadline_s=now_s + 5,
    )


def probe_call() -> ProbeCall:
    """A public probe."""
    return ProbeCall(kind=ProbeKind.PUBLIC, deadline_s=time.time() + 5)


def readable(runner: LoopRunner, timeout_s: float) -> bool:
    """Whether the runner's descriptor is readable within a time."""
    return bool(select.select([runner.fileno()], [], [], timeout_s)[0])


def results(runner: LoopRunner, count: int) -> list[tuple[int, Result]]:
    """That many results, woken by the descriptor and by `next_s` alone."""
    taken: list[tuple[int, Result]] = []
    until_s = time.monotonic() + 10.0
    while len(taken) < count:
        assert time.monotonic() < until_s, "No result came."
        next_s = runner.next_s()
        readable(runner, 10.0 if next_s is None else max(0.0, next_s - time.time()))
        taken += runner.drain()
    return taken


@pytest.fixture
def runner(sims: SimulatorThread) -> Iterator[LoopRunner]:
    """A runner over the real port of Bybit, ready."""
    sim = sims["bybit"]
    sim.control.clear_faults()
    settings = ExchangeSettings(name="bybit_v5", base_url=sim.base_url, request_timeout_s=0.5)
    credentials = Credentials(api_key=sim.api_key, secret=sim.secret)
    made = LoopRunner(build_port(settings, credentials, time.time), clock=time.time, limit=20)
    made.start()
    made.start()
    assert readable(made, 20.0)
    assert made.drain() == []
    assert made.port.ready, made.not_ready
    yield made
    made.close()
    sim.control.clear_faults()


def test_results_come_back_under_their_ids(runner: LoopRunner, sims: SimulatorThread) -> None:
    """Twenty placements at once; the descriptor is quiet once all are drained."""
    wires = {call_id: wire_id() for call_id in range(20)}
    for call_id, wire in wires.items():
        runner.submit(call_id, place_call(wire))
    taken = dict(results(runner, 20))
    for call_id, wire in wires.items():
        result = taken[call_id]
        assert isinstance(result, Placed)
        assert result.report.wire_id == wire
    assert not readable(runner, 0)
    assert runner.pending == 0
    assert runner.drain() == []


def test_what_is_under_way_is_bounded(runner: LoopRunner, sims: SimulatorThread) -> None:
    """Results that were not drained count; room comes back with draining."""
    sims["bybit"].control.fault("hang_before", call="time")
    for call_id in range(20):
        runner.submit(call_id, probe_call())
    with pytest.raises(RunnerFull, match="20 calls"):
        runner.submit(99, probe_call())
    assert len(results(runner, 20)) == 20
    sims["bybit"].control.clear_faults()
    runner.submit(100, probe_call())
    ((call_id, result),) = results(runner, 1)
    assert call_id == 100
    assert isinstance(result, ProbeOk)


def test_closing_answers_what_is_under_way(runner: LoopRunner, sims: SimulatorThread) -> None:
    """A placement that nobody waited for any more may have executed."""
    sims["bybit"].control.fault("hang_after", call="place")
    wire = wire_id()
    runner.submit(1, place_call(wire))
    runner.submit(2, probe_call())
    until(lambda: [o for o in sims["bybit"].control.truth()["orders"] if o["client_order_id"] == wire])
    runner.close()
    taken = dict(runner.drain())
    assert isinstance(taken[1], Ambiguous)
    assert taken[1].code in ("closing", "timeout")
    assert 2 in taken
    with pytest.raises(RunnerClosed):
        runner.submit(3, probe_call())
    with pytest.raises(RunnerClosed):
        runner.start()
    runner.close()


def test_an_exchange_that_is_not_there_is_told(sims: SimulatorThread) -> None:
    """And trying again succeeds when it is."""
    sim = sims["okx"]
    fault = sim.control.fault("refused")
    settings = ExchangeSettings(name="okx", base_url=sim.base_url, request_timeout_s=0.5)
    credentials = Credentials(api_key=sim.api_key, secret=sim.secret, password=sim.password)
    runner = LoopRunner(build_port(settings, credentials, time.time), clock=time.time)
    with pytest.raises(RunnerClosed, match="not running"):
        runner.submit(1, probe_call())
    runner.start()
    assert readable(runner, 20.0)
    runner.drain()
    assert not runner.port.ready
    assert "could not be reached" in runner.not_ready
    runner.submit(1, probe_call())
    ((_, result),) = results(runner, 1)
    assert isinstance(result, CallFailed)
    sim.control.clear_fault(fault)
    runner.start()
    assert readable(runner, 20.0)
    assert runner.port.ready
    assert runner.not_ready == ""
    runner.close()


class BuggyPort:
    """A port with a bug: `perform` and `open` raise."""

    exchange = "buggy"
    proof = Proof(enforcement=ExpiryEnforcement.NONE, validity_s=1, lateness_s=1, visibility_s=1)
    rates = rates_of(RateLimit(per_s=1, burst=1))
    limits = None
    ready = True

    def usage(self) -> Collection[Usage]:
        """Tells nothing."""
        return ()

    def live_in(self, symbols: Collection[Symbol]) -> None:
        """Does nothing."""

    async def open(self, deadline_s: float) -> str:
        """Raises."""
        raise ZeroDivisionError("a bug")

    async def close(self) -> None:
        """Does nothing."""

    def check(self, spec: OrderSpec) -> str:
        """Admits everything."""
        return ""

    def attaches(self, spec: OrderSpec) -> bool:
        """Every order carries its exits."""
        return True

    def tradable(self, symbol: str) -> str:
        """Trades everything."""
        return ""

    def lots(self, symbol: Symbol) -> None:
        """Trades nothing."""

    async def perform(self, call: Call) -> Result:
        """Raises."""
        raise ZeroDivisionError("a bug")


def test_a_bug_in_the_port_is_answered() -> None:
    """By what can be known: a placement may have executed."""
    runner = LoopRunner(BuggyPort(), clock=time.time)
    runner.start()
    assert readable(runner, 5.0)
    assert "ZeroDivisionError" in runner.not_ready
    runner.submit(1, place_call(wire_id()))
    runner.submit(2, probe_call())
    taken = dict(results(runner, 2))
    assert isinstance(taken[1], Ambiguous)
    assert isinstance(taken[2], CallFailed)
    assert taken[2].code == "unexpected"
    runner.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "exchange-buggy"]


class OpeningPort(BuggyPort):
    """A port that opens until it is let, and blocks its thread before."""

    def __init__(self) -> None:
        self.blocks, self.let = threading.Event(), threading.Event()

    async def open(self, deadline_s: float) -> str:
        """Blocks."""
        self.blocks.set()
        self.let.wait()
        return ""


def test_hours_that_the_host_slept_are_no_stall_and_a_blocked_thread_is_one() -> None:
    """Unix seconds go on while the host sleeps."""
    slept_s = 0.0
    port = OpeningPort()
    runner = LoopRunner(port, clock=lambda: time.time() + slept_s)
    runner.start()
    try:
        assert port.blocks.wait(5.0)
        slept_s = 5 * 3600.0
        assert runner.stalled_s() < 60.0
        until(lambda: runner.stalled_s() > 0.1)
    finally:
        port.let.set()
    assert readable(runner, 5.0)
    runner.drain()
    assert runner.stalled_s() == 0.0
    runner.close()
