"""A placement that is not begun is answered by what is known of the order, never by what its own copy did."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from app.domain.calls import ExpiryEnforcement, Proof, TickerCall
from app.domain.connector import Connector
from app.domain.connector_settings import ConnectorSettings
from app.domain.effects import Answer, Commit, Effect, TurnAway
from app.domain.limiter import Limiter, Priority, RateLimit
from messages.base import Reply
from messages.market import GetTicker, MarketType, Symbol
from messages.orders import (
    LegState,
    LegView,
    OrderAccepted,
    OrderKey,
    OrderNotExecuted,
    OrderPending,
    OrderRefused,
    OrderSpec,
    OrderType,
    OrderView,
    PlaceOrder,
    Side,
)

SPEC = OrderSpec(
    symbol=Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP),
    side=Side.BUY,
    order_type=OrderType.LIMIT,
    quantity=Decimal("0.001"),
    price=Decimal(20000),
)
REQUEST = PlaceOrder(
    correlation_id="p", deadline_s=6.0, epoch=1, key=OrderKey(strategy="t", client_order_id="o"), spec=SPEC
)


def machine(per_s: float = 10.0, burst: int = 10, in_flight: int = 8) -> Connector:
    """Of Bybit."""
    proof = Proof(enforcement=ExpiryEnforcement.ENGINE, validity_s=5.0, lateness_s=0.0, visibility_s=1.0)
    settings = ConnectorSettings(max_in_flight=in_flight)
    return Connector("bybit", proof, settings, RateLimit(per_s=per_s, burst=burst))


def order(state: LegState, exchange: str = "okx") -> OrderView:
    """As the journal knows it."""
    leg = LegView(
        number=1,
        exchange=exchange,
        epoch=1,
        wire_id="w",
        quantity=SPEC.quantity,
        state=state,
        committed_s=0.0,
        expiry_s=5.0,
        attempts=1,
        exchange_order_id="x",
        filled=Decimal(0),
        average_price=None,
        reason_code=None,
        reason_words=None,
        native_code=None,
        created_s=0.0,
        updated_s=0.0,
    )
    return OrderView(order_id="id", key=REQUEST.key, spec=SPEC, legs=(leg,), created_s=0.0)


def turn_away(effects: list[Effect]) -> TurnAway:
    """The one effect."""
    (effect,) = effects
    assert isinstance(effect, TurnAway)
    return effect


def answer(effects: list[Effect]) -> Reply:
    """The one answer."""
    (effect,) = effects
    assert isinstance(effect, Answer)
    assert isinstance(effect.message, Reply)
    return effect.message


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        (None, OrderNotExecuted),
        (order(LegState.ABSENT), OrderNotExecuted),
        (order(LegState.UNKNOWN), OrderPending),
        (order(LegState.INTENT), OrderPending),
        (order(LegState.OPEN), OrderAccepted),
        (order(LegState.FILLED), OrderAccepted),
        (order(LegState.REFUSED), OrderRefused),
    ],
    ids=["never seen", "absent", "unknown", "intent", "open", "filled", "refused"],
)
def test_a_busy_connector_tells_what_the_journal_knows(known: OrderView | None, kind: type[Reply]) -> None:
    busy = machine(in_flight=0)
    told = answer(busy.turned_away(turn_away(busy.place("a", REQUEST, 0.0)), known, 0.0))
    assert isinstance(told, kind)


def test_another_body_under_a_known_id_is_refused_also_by_a_busy_connector() -> None:
    busy = machine(in_flight=0)
    other = evolve(REQUEST, spec=evolve(SPEC, quantity=Decimal(2)))
    told = answer(busy.turned_away(turn_away(busy.place("a", other, 0.0)), order(LegState.OPEN), 0.0))
    assert isinstance(told, OrderRefused)
    assert told.code == "client_order_id_reused"


def test_a_placement_that_waits_for_its_turn_in_vain_is_told_before_its_deadline() -> None:
    slow = machine(per_s=0.4, burst=2)
    assert isinstance(slow.place("a", REQUEST, 0.0)[0], Commit)
    assert slow.place("b", evolve(REQUEST, correlation_id="q"), 0.0) == []  # its token comes at 2.5 s
    ticker = GetTicker(correlation_id="r", deadline_s=60.0, symbol=SPEC.symbol)
    for n in range(4):  # and goes to whoever looks an order up
        slow.read("r", ticker, TickerCall(symbol=SPEC.symbol, deadline_s=60.0), 0.1 * n, Priority.LOOK_UP)
    now_s, told = 0.4, list[Effect]()
    while not told:
        due_s = slow.next_s(now_s)
        assert due_s is not None
        assert due_s < REQUEST.deadline_s, "it must not wait until nobody listens any more"
        now_s = max(now_s + 0.001, due_s)
        told = [effect for effect in slow.tick(now_s) if isinstance(effect, TurnAway)]
    assert now_s < REQUEST.deadline_s


def test_a_closed_limiter_turns_away_what_is_late() -> None:
    limiter = Limiter[str](RateLimit(per_s=1.0, burst=1))
    assert limiter.ask("soon", Priority.PLACE, 5.0, 0.0)
    limiter.close_until(60.0)
    assert limiter.next_s(1.0) == 5.0
    assert limiter.granted(5.0) == ([], ["soon"])
