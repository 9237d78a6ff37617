"""Our own limits are no evidence against an exchange, and what resolves doubt leaves room to trade."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from app.domain import calls as c
from app.domain.commit import Decision, Fenced
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.effects import Commit, Deliver, Record, Send, TurnAway
from app.domain.leg_life import LegEvent
from app.domain.leg_watch import LOOK_UP_SHARE
from app.domain.limiter import Limiter, Priority, RateLimit
from app.domain.no_room import NO_ROOM
from app.domain.pretrade import LimitRefused, PretradeLimits, PriceNeeded
from app.domain.rates import Budget, Price, Rates, cost
from messages.failover import Route
from messages.health import Probe, ProbeKind
from messages.market import MarketType, Symbol
from messages.orders import LegState, LegView, OrderKey, OrderSpec, OrderType, OrderView, PlaceOrder, Side

PER_S = 10.0
SPEC = OrderSpec(
    symbol=Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP),
    side=Side.BUY,
    order_type=OrderType.LIMIT,
    quantity=Decimal("0.001"),
    price=Decimal(20000),
)
PROOF = c.Proof(enforcement=c.ExpiryEnforcement.ENGINE, validity_s=60.0, lateness_s=0.0, visibility_s=1.0)


def intent(number: int, state: LegState = LegState.INTENT) -> OrderView:
    """An order on its way."""
    leg = LegView(
        number=1,
        exchange="bybit",
        epoch=1,
        wire_id=f"w{number}",
        quantity=SPEC.quantity,
        state=state,
        committed_s=0.0,
        expiry_s=60.0,
        attempts=1,
        exchange_order_id=None,
        filled=Decimal(0),
        average_price=None,
        reason_code=None,
        reason_words=None,
        native_code=None,
        created_s=0.0,
        updated_s=0.0,
    )
    key = OrderKey(strategy="t", client_order_id=f"o{number}")
    return OrderView(order_id=f"id{number}", key=key, spec=SPEC, legs=(leg,), created_s=0.0)


def test_look_ups_of_many_orders_in_doubt_take_their_share_of_the_rate_and_no_more() -> None:
    machine = Connector("bybit", PROOF, ConnectorSettings(), RateLimit(per_s=PER_S, burst=10))
    now_s, effects, looked = 0.0, machine.recover(tuple(intent(n) for n in range(40)), 0.0), list[float]()
    while now_s < 30.0:
        while effects:
            match effects.pop(0):
                case Record(order_id=order_id, event=LegEvent.SENT_AMBIGUOUS):
                    effects += machine.recorded(intent(int(order_id[2:]), LegState.UNKNOWN), now_s)
                case Send(call_id=call_id, call=c.LookUpCall()):
                    looked.append(now_s)
                    effects += machine.returned(call_id, c.NotFound(asked_s=now_s), now_s)
                case Send(call_id=call_id):
                    effects += machine.returned(call_id, c.CallFailed(code="x", words="x"), now_s)
        now_s += 0.05
        effects = machine.tick(now_s)
    rate = len([at_s for at_s in looked if at_s >= 10.0]) / 20.0
    assert 1.0 < rate <= PER_S * LOOK_UP_SHARE * 1.1
    key = OrderKey(strategy="t", client_order_id="new")
    request = PlaceOrder(correlation_id="p", deadline_s=now_s + 6.0, epoch=1, key=key, spec=SPEC)
    assert any(isinstance(effect, Commit) for effect in machine.place("a", request, now_s)), "there is room at once"


def test_probes_go_before_look_ups() -> None:
    limiter = Limiter[str](RateLimit(per_s=1.0, burst=1))
    assert limiter.granted(0.0) == ([], [])
    for item, priority in (("place", Priority.PLACE), ("look-up", Priority.LOOK_UP), ("probe", Priority.PROBE)):
        assert limiter.ask(item, priority, 60.0, 0.0)
    assert limiter.granted(0.0)[0] == ["probe"]


def test_a_probe_without_room_is_given_back_as_unsent() -> None:
    machine = Connector("bybit", PROOF, ConnectorSettings(), RateLimit(per_s=PER_S, burst=10))
    machine._rate_gate.limiter.close_until(100.0)
    probe = Probe(correlation_id="p", deadline_s=1.0, kind=ProbeKind.PUBLIC)
    call = c.ProbeCall(kind=ProbeKind.PUBLIC, deadline_s=1.0)
    (effect,) = machine.read("monitor", probe, call, 0.0, Priority.PROBE)
    assert isinstance(effect, Deliver)
    assert isinstance(effect.result, c.CallFailed)
    assert effect.result.code == NO_ROOM
    assert not effect.result.ill


ONE = Rates(
    budgets=(Budget(name="orders", most=1, window_s=10.0),),
    prices={c.PlaceCall: Price(cost=cost(orders=1), source="a test")},
)


def placed(machine: Connector, number: int, now_s: float) -> list[object]:
    """What comes of asking for an order."""
    key = OrderKey(strategy="t", client_order_id=f"o{number}")
    request = PlaceOrder(correlation_id=f"p{number}", deadline_s=now_s + 4.0, epoch=1, key=key, spec=SPEC)
    return list(machine.place("a", request, now_s))


def commit_of(effects: list[object]) -> Commit:
    """The only one."""
    (commit,) = effects
    assert isinstance(commit, Commit), "it would wait for a turn"
    return commit


@pytest.mark.parametrize(
    "decision",
    [
        Fenced(route=Route(epoch=2, exchange="okx", since_s=0.0)),
        LimitRefused(code="limit_max_open", words="Too many."),
        None,
    ],
)
def test_what_the_journal_does_not_take_leaves_its_turn_to_the_next(decision: Decision | None) -> None:
    """Of one order in ten seconds: ten are turned away by a fence, a limit or a locked journal, and one goes."""
    machine = Connector("bybit", PROOF, ConnectorSettings(), ONE)
    for number in range(10):
        commit = commit_of(placed(machine, number, 0.0))
        if decision is None:
            machine.commit_failed("a", commit.request, "locked", 0.0)
        else:
            machine.committed("a", commit.request, decision, 0.0)
    commit = commit_of(placed(machine, 11, 0.0))
    (send,) = machine.committed("a", commit.request, intent(11), 0.0)
    assert isinstance(send, Send)
    assert not any(isinstance(effect, Commit) for effect in placed(machine, 12, 0.0))


def test_what_waits_for_a_price_keeps_its_turn_however_long_and_leaves_it_when_there_is_none() -> None:
    """A window passes meanwhile: nobody else has its place in the next one, until it is turned away."""
    rates = evolve(ONE, budgets=(Budget(name="orders", most=1, window_s=1.0),))
    limits = PretradeLimits(price_collar=Decimal("0.5"), reference_max_age_s=3.5)
    machine = Connector("bybit", PROOF, ConnectorSettings(limits=limits), rates)
    commit = commit_of(placed(machine, 1, 0.0))
    (ticker,) = machine.committed("a", commit.request, PriceNeeded(), 0.0)
    assert isinstance(ticker, Send)
    assert not any(isinstance(effect, Commit) for effect in placed(machine, 2, 3.0)), "it may go any moment"
    effects = machine.returned(ticker.call_id, c.CallFailed(code="x", words="x"), 3.1)
    assert [effect.request.correlation_id for effect in effects if isinstance(effect, TurnAway)] == ["p1"]
    assert [effect.request.correlation_id for effect in effects if isinstance(effect, Commit)] == ["p2"]
