"""A clock that is set while the router runs, ours or the exchange's: a refusal tells, and it is measured at once.

ccxt signs by the time we give it, and by nothing of its own, on every exchange.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain import calls
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.exchange_time import ExchangeTime
from messages.market import MarketType
from tests.exchanges.desk import EXCHANGES, SPOT_EXCHANGES, Desk, wire_id

JUMPS_S = (-31.0, 31.0)
MARKETS = [(name, MarketType.SWAP) for name in EXCHANGES] + [(name, MarketType.SPOT) for name in SPOT_EXCHANGES]


@pytest.fixture(params=MARKETS, ids=lambda each: f"{each[0]}-{each[1]}")
def any_desk(request: pytest.FixtureRequest, desks: dict[str, Desk], spot_desks: dict[str, Desk]) -> Any:
    """The swaps, then the spot markets, of one exchange after the other."""
    name, market_type = request.param
    found = (spot_desks if market_type is MarketType.SPOT else desks)[name]
    found.flat()
    yield found
    found.clock.behind_s = 0.0
    while not isinstance(found.place(found.spec(), wire_id()), calls.Placed):
        pass  # as the others find it


def asked(desk: Desk, what: str) -> calls.Result:
    """One signed call."""
    return desk.balances() if what == "read" else desk.place(desk.spec(), wire_id())


@pytest.mark.parametrize("what", ["read", "place"])
@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_a_clock_that_was_set_costs_one_call(any_desk: Desk, jump_s: float, what: str) -> None:
    """The next one is signed by the right time: it waits for the measurement that the refusal has begun."""
    any_desk.clock.behind_s = jump_s
    first, second, third = (asked(any_desk, what) for _ in range(3))
    good = calls.BalancesResult if what == "read" else calls.Placed
    if isinstance(first, calls.CallFailed | calls.NotExecuted):
        assert first.code in ("expired", "invalid_nonce")
        assert first.native_code is not None
        assert any_desk.port.clock_offset_s == pytest.approx(jump_s, abs=1.0)
    assert isinstance(second, good)
    assert isinstance(third, good)


def test_ccxt_has_no_time_of_its_own(any_desk: Desk) -> None:
    """Seconds, microseconds and nonces are made of our milliseconds, and its own measurement of the clock is off."""
    client = any_desk.port._made_client()
    assert any_desk.loop.run(client.load_time_difference()) == 0
    offset_s = any_desk.port.clock_offset_s
    now_s = any_desk.clock() + offset_s
    assert client.milliseconds() / 1e3 == pytest.approx(now_s, abs=1.0)
    assert client.seconds() == pytest.approx(now_s, abs=2.0)
    assert client.microseconds() / 1e6 == pytest.approx(now_s, abs=1.0)
    unit = 1e3 if client.nonce() > 1e12 else 1.0
    assert client.nonce() / unit == pytest.approx(now_s, abs=2.0)
    assert client.options.get("timeDifference", 0) == 0


# ---- without a wire --------------------------------------------------------------------------------------------------


def test_one_measurement_that_contradicts_is_an_odd_answer_and_with_a_refusal_it_is_proof() -> None:
    """One alone may be out of some cache; so may two refusals without any."""
    for doubted in (False, True):
        offset = ClockOffset()
        offset.measured(0.0, 0.05, 0.1)
        if doubted:
            offset.doubt()
            offset.doubt()
        offset.measured(10.0, 40.05, 10.1)
        assert offset.value_s == pytest.approx(30.0 if doubted else 0.0)


def test_a_doubt_that_a_measurement_denies_is_forgotten() -> None:
    """The call was slow, then, and the clock right."""
    offset = ClockOffset()
    offset.measured(0.0, 0.05, 0.1)
    offset.doubt()
    offset.measured(1.0, 1.05, 1.1)
    offset.measured(10.0, 40.05, 10.1)
    assert offset.value_s == pytest.approx(0.0)


def test_a_clock_that_is_set_twice_within_a_second_is_measured_twice(desks: dict[str, Desk]) -> None:
    """The second time a probe has found it out already; refused calls do not wait for the second to be over."""
    now_s, server_s = [100.0], [100.0]
    time = ExchangeTime(desks["okx"].port._profile, lambda: now_s[0], None)

    def measured() -> None:
        time.offset.measured(now_s[0], server_s[0], now_s[0] + 0.01)

    async def ask() -> str:
        measured()
        return ""

    async def set_to(offset_s: float, after_s: float) -> None:
        now_s[0] += after_s
        server_s[0] = now_s[0] + offset_s

    async def twice() -> None:
        measured()
        await set_to(-30.0, 10.0)
        time.refused(ask)
        await asyncio.sleep(0)
        assert time.offset.value_s == pytest.approx(-30.0, abs=0.1)
        await set_to(30.0, 0.5)
        time.refused(ask)
        await asyncio.sleep(0)
        assert time.offset.value_s == pytest.approx(-30.0, abs=0.1), "nobody has measured: one question a second"
        measured()
        assert time.offset.contradicted
        time.refused(ask)
        await asyncio.sleep(0)
        assert time.offset.value_s == pytest.approx(30.0, abs=0.1)
        assert not time.offset.contradicted

    asyncio.run(twice())


def test_however_many_calls_are_refused_the_time_is_asked_for_once_a_second(desks: dict[str, Desk]) -> None:
    """Also while the question is under way; and a signed call does not wait for an answer that does not come."""
    now_s, questions = [100.0], 0
    time = ExchangeTime(desks["okx"].port._profile, lambda: now_s[0], None)
    time.offset.measured(0.0, 0.05, 0.1)

    async def ask() -> str:
        nonlocal questions
        questions += 1
        await asyncio.Event().wait()
        return ""

    async def many() -> None:
        for _ in range(50):
            time.refused(ask)
            await asyncio.sleep(0)
        assert questions == 1
        now_s[0] += 5.0
        time.refused(ask)  # the first is still not answered
        await time.know(ask)
        assert questions == 1
        time.close()
        for _ in range(2):
            await asyncio.sleep(0)
        time.refused(ask)
        await asyncio.sleep(0)
        assert questions == 2
        time.close()
        for _ in range(2):
            await asyncio.sleep(0)
        time.refused(ask)  # within the same second
        await asyncio.sleep(0)
        assert questions == 2

    asyncio.run(many())
