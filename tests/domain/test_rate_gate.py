"""What refusals of an exchange close, and for how long; and what a look-up gives back."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain import calls as c
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.effects import Deliver, Send
from app.domain.errands import Read
from app.domain.kept_limits import KeptLimits
from app.domain.limiter import Priority
from app.domain.no_room import BANNED, NO_ROOM
from app.domain.rate_gate import RATE_LIMITED, RateGate
from app.domain.rates import Budget, Pause, Price, RateLimit, Rates, cost, rates_of, symbol_of
from messages.health import Probe, ProbeKind
from messages.market import MarketType, Symbol
from messages.orders import LegState

BTC, ETH = (Symbol(base=base, quote="USDT", settle="USDT", market_type=MarketType.SWAP) for base in ("BTC", "ETH"))
PROOF = c.Proof(enforcement=c.ExpiryEnforcement.ENGINE, validity_s=5.0, lateness_s=0.0, visibility_s=1.0)
RATES = Rates(
    budgets=(
        Budget(name="weight", most=100, window_s=60.0),
        Budget(name="cancel", most=10, window_s=1.0, per_symbol=True),
        Budget(name="look", most=3, window_s=10.0),
    ),
    prices={
        c.CancelCall: Price(cost=cost(cancel=1, weight=1), source="a test"),
        c.LookUpCall: Price(cost=cost(look=3, weight=3), requests=(cost(look=1, weight=1),), source="a test"),
    },
    otherwise=cost(weight=1),
    common=frozenset({"weight"}),
    pauses={"own": Pause(wait_s=2.0), "all": Pause(wait_s=3.0, everything=True)},
)


def cancel(symbol: Symbol) -> c.CancelCall:
    """Of some order."""
    return c.CancelCall(symbol=symbol, wire_id="w", exchange_order_id=None, deadline_s=1.0)


def refused(native_code: str | None, wait_s: float | None = None, code: str = RATE_LIMITED) -> c.CallFailed:
    """By the exchange."""
    return c.CallFailed(code=code, words="slowly", native_code=native_code, retry_after_s=wait_s)


def passes(gate: RateGate, call: c.Call, now_s: float) -> bool:
    """Whether it would go at once."""
    asked = gate.limiter.ask(
        Read(None, None, call), Priority.CANCEL, now_s + 1e-6, now_s, gate.rates.cost_of(call), symbol_of(call)
    )
    gate.limiter.granted(now_s)
    return asked


@pytest.mark.parametrize(
    ("answer", "own_s", "other_symbol_s", "reads_s"),
    [
        (refused("own"), 2.0, 0.0, 0.0),
        (refused("own", 5.0), 5.0, 0.0, 0.0),
        (refused("all"), 3.0, 3.0, 3.0),
        (refused("all", 7.0), 7.0, 7.0, 7.0),
        (refused("unheard of"), 0.0, 0.0, 0.0),
        (refused("unheard of", 4.0), 4.0, 4.0, 4.0),
        (refused("own", code="something else"), 0.0, 0.0, 0.0),
    ],
)
def test_a_refusal_closes_what_it_names_for_as_long_as_it_says(
    answer: c.CallFailed, own_s: float, other_symbol_s: float, reads_s: float
) -> None:
    ticker = c.TickerCall(symbol=BTC, deadline_s=1.0)
    gate = RateGate(RATES)
    gate.sent(cancel(BTC), 0.0)
    gate.answered(cancel(BTC), answer, 0.0, 0.0)
    for call, closed_s in ((cancel(BTC), own_s), (cancel(ETH), other_symbol_s), (ticker, reads_s)):
        if closed_s:
            assert not passes(gate, call, closed_s - 0.01)
        assert passes(gate, call, closed_s)


def test_a_page_of_other_servers_closes_nothing_else() -> None:
    """The exchange's word on itself is asked of servers that others ask as well."""
    status = c.StatusCall(deadline_s=1.0)
    for rates in (RATES, rates_of(RateLimit(per_s=10.0, burst=10))):
        gate = RateGate(rates)
        gate.answered(status, refused("418", 60.0), 0.0, 0.0)
        gate.answered(status, refused("all"), 0.0, 0.0)
        assert gate.silent_for_s(0.0) is None
        assert passes(gate, c.TickerCall(symbol=BTC, deadline_s=1.0), 0.0)


def test_a_look_up_that_ended_early_leaves_room_for_others() -> None:
    gate = RateGate(RATES)
    call = c.LookUpCall(symbol=BTC, wire_id="w", exchange_order_id=None, since_s=0.0, deadline_s=9.0)
    report = c.OrderReport(
        exchange_order_id="x", wire_id="w", symbol=BTC, state=LegState.OPEN, filled=None, average_price=None
    )
    assert passes(gate, call, 0.0)
    gate.sent(call, 0.0)
    assert not passes(gate, call, 0.1)
    gate.answered(call, c.Found(report=report, requests=1), 0.0, 0.1)
    assert gate.limiter._meters["look", None].free(0.1) == 2.0
    assert passes(gate, call, 20.0)
    gate.sent(call, 20.0)
    gate.answered(call, c.Found(report=report, requests=2), 20.0, 20.1)
    assert gate.limiter._meters["look", None].free(20.1) == 0.0, "of what more requests took nothing is known"


def test_a_ban_is_evidence_and_a_full_window_is_none() -> None:
    for wait_s, code in ((60.0, NO_ROOM), (120.0, BANNED)):
        machine = Connector("binance", PROOF, ConnectorSettings(), RATES)
        probe = Probe(correlation_id="p", deadline_s=9.0, kind=ProbeKind.PUBLIC)
        call = c.ProbeCall(kind=ProbeKind.PUBLIC, deadline_s=9.0)
        (send,) = machine.read("monitor", probe, call, 0.0, Priority.PROBE)
        assert isinstance(send, Send)
        machine.returned(send.call_id, refused("all", wait_s), 0.0)
        (told,) = machine.read("monitor", probe, call, 1.0, Priority.PROBE)
        assert isinstance(told, Deliver)
        assert isinstance(told.result, c.CallFailed)
        assert (told.result.code, told.result.ill) == (code, code == BANNED)


def test_polls_are_further_apart_where_the_exchange_allows_little() -> None:
    slow = Rates(budgets=(Budget(name="rest", most=15, per_s=0.25),), otherwise=cost(rest=1))
    assert Connector("kraken", PROOF, ConnectorSettings(), slow)._poll_s == 8.0
    assert Connector("kraken", PROOF, ConnectorSettings(), RATES)._poll_s == 2.0


def test_how_much_is_used_is_that_of_the_fullest_budget() -> None:
    """Everything while the exchange asked for silence; it is given back with time."""
    gate = RateGate(RATES)
    assert gate.used(0.0) == 0.0
    assert gate.silent_for_s(0.0) is None
    for number in range(5):
        passes(gate, cancel(BTC), 0.001 * number)
    assert gate.used(0.01) == pytest.approx(0.5)
    passes(gate, cancel(ETH), 0.02)
    assert gate.used(0.02) == pytest.approx(0.5)
    assert gate.used(5.0) == pytest.approx(0.06)
    gate.answered(cancel(BTC), refused("all"), 5.0, 5.0)
    assert (gate.used(5.0), gate.silent_for_s(5.0)) == (1.0, 3.0)
    assert gate.used(8.5) == pytest.approx(0.06)
    assert gate.silent_for_s(8.5) is None


def test_what_is_kept_is_written_only_when_it_has_changed() -> None:
    """It is asked for after each call: nothing to write is the rule."""
    written: list[tuple[int, float, float]] = []

    class Kept:
        def keep(self, meters: Any, closed_until_s: float, banned_until_s: float) -> None:
            written.append((len(meters), closed_until_s, banned_until_s))

        def take_over(self) -> KeptLimits:
            raise AssertionError("once is enough")

        def close(self) -> None:
            pass

    gate = RateGate(RATES)
    gate.keep(Kept())
    written.clear()
    gate.keep(Kept())
    assert not written
    gate.limiter.close_until(50.0)
    gate.keep(Kept())
    assert [closed_s for _, closed_s, _ in written] == [50.0]
    gate.keep(Kept())
    assert len(written) == 1
