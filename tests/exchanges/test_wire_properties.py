"""Random orders, valid and not, through the real adapter over real HTTP: what reaches the books is what was asked.

Whatever is asked, the answer is one of the port's results and agrees with the exchange's books; what is there is never
for more, and never at a worse price, than asked; and the numbers are on the wire as the exact strings they were given
as.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st

from app.domain.calls import (
    Amended,
    AmendRefused,
    CancelConfirmed,
    CancelTooLate,
    Found,
    NotExecuted,
    Placed,
    Refused,
)
from app.exchanges.sizes import plain, to_base, to_contracts
from app.simulator.thread import SimulatorThread
from messages.market import MarketType
from messages.orders import OrderSpec, OrderType, Side, TimeInForce, Trigger, TriggerBy, TriggerKind
from tests.exchanges.desk import EXCHANGES, PATIENCE_S, SPOT_EXCHANGES, Desk, host, wire_id

BASES = {"BTC": "27000", "ETH": "1800", "SOL": "25", "XRP": "0.5"}
"""Markets everywhere, and about what they cost."""
COUNTERS = [(name, MarketType.SWAP) for name in EXCHANGES] + [(name, MarketType.SPOT) for name in SPOT_EXCHANGES]
EXAMPLES = int(os.environ.get("ORDER_ROUTER_EXAMPLES", "40"))
"""The same ones each time; the variable asks for more of them."""
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow],
)
ODD = [Decimal(text) for text in ("0", "-0.01", "NaN", "Infinity", "1E+9", "1E-12", "1e999999", "0.30000000000000004")]


@st.composite
def numbers(draw: st.DrawFn, around: Decimal, step: Decimal) -> Decimal:
    """Something around a number: on step mostly, now and then between two steps, or no sensible number at all."""
    wanted = around * draw(st.integers(20, 3000)) / 1000
    match draw(st.integers(0, 29)):
        case 0:
            return draw(st.sampled_from(ODD))
        case 1:
            return wanted.quantize(Decimal(1).scaleb(-draw(st.integers(0, 8))))
        case _:
            return max(wanted // step, Decimal(1)) * step


@st.composite
def specs(draw: st.DrawFn, counter: Desk) -> OrderSpec:
    """What may be asked for: sensible more often than not."""
    base = draw(st.sampled_from([*BASES, *BASES, *BASES, "NOPE"]))
    symbol = counter.symbol(f"{base}USDT")
    rules = counter.port._table.known(counter.symbol(f"{base if base in BASES else 'BTC'}USDT")).rules
    price = Decimal(BASES.get(base, "27000"))
    prices = numbers(price, rules.tick)
    kind = draw(st.sampled_from([OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET]))
    seldom = st.integers(0, 7).map(lambda drawn: drawn == 0)
    trigger = None
    if draw(seldom) or (type(counter.port._profile).takes_triggers and draw(st.booleans())):
        trigger = Trigger(
            kind=draw(st.sampled_from(list(TriggerKind))),
            price=draw(prices),
            by=draw(st.sampled_from(list(TriggerBy))),
        )
    tif = draw(st.sampled_from([TimeInForce.GTC, *TimeInForce])) if kind is OrderType.LIMIT or draw(seldom) else None
    return OrderSpec(
        symbol=symbol,
        side=draw(st.sampled_from(list(Side))),
        order_type=kind,
        quantity=draw(numbers(Decimal(300) / price, rules.base_step)),
        price=draw(prices) if kind is OrderType.LIMIT else None,
        time_in_force=tif or TimeInForce.GTC,
        reduce_only=draw(seldom),
        take_profit=draw(prices) if draw(seldom) else None,
        stop_loss=draw(prices) if draw(seldom) else None,
        trigger=trigger,
    )


@pytest.fixture(scope="module", params=COUNTERS, ids=[f"{name}-{market_type}" for name, market_type in COUNTERS])
def counter(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Every kind of market of every exchange, with coins to sell, and patience."""
    name, market_type = request.param
    with SimulatorThread([host(name, market_type)]) as sims:
        desk = Desk(sims[host(name, market_type)], market_type, timeout_s=PATIENCE_S)
        assert desk.open() == ""
        for base in BASES:
            desk.own(base, "10000")
        yield desk
        desk.close()


@contextmanager
def wiretap(desk: Desk) -> Iterator[list[str]]:
    """Everything that is handed to the network meanwhile, as text."""
    client = desk.port._client
    sent: list[str] = []
    fetch = client.fetch

    async def tapped(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        sent.append(f"{method} {url} {body or ''}")
        return await fetch(url, method, headers, body)

    client.fetch = tapped
    try:
        yield sent
    finally:
        del client.fetch


def on_the_wire(text: str, sent: list[str]) -> bool:
    """Whether a number stands there, digit by digit, as a number of its own."""
    return any(re.search(rf"(?<![0-9.eE+-]){re.escape(text)}(?![0-9.eE])", each) for each in sent)


@BOUNDED
@given(data=st.data())
def test_what_reaches_the_books_is_what_was_asked(counter: Desk, data: st.DataObject) -> None:
    """Or it is refused, in words, and nothing reaches them."""
    spec = data.draw(specs(counter))
    words, wire = counter.port.check(spec), wire_id()
    with wiretap(counter) as sent:
        answer = counter.place(spec, wire)
    event(f"{type(answer).__name__} {getattr(answer, 'code', '')}")
    there = counter.truth(wire)
    assert len(there) <= 1
    for order in there:
        assert Decimal(order["qty"]) == spec.quantity
        assert order["side"] == spec.side.value
        assert order["symbol"] == counter.native(spec.symbol)
        assert order["reduce_only"] is spec.reduce_only
        if spec.price is None:
            assert order["type"] == "market"
        else:
            assert Decimal(order["price"]) == spec.price
            assert order["avg_price"] is None or _no_worse(spec, Decimal(order["avg_price"]))
        if spec.trigger is None:
            assert order["trigger_price"] is None
        elif order["trigger_price"] is None:  # Kraken sets one off at once whose price is passed already
            now = Decimal(BASES[spec.symbol.base])
            assert spec.trigger.price <= now if spec.trigger.rises(spec.side) else spec.trigger.price >= now
        else:
            assert Decimal(order["trigger_price"]) == spec.trigger.price
        _sent_exactly(counter, spec, sent)
    if words:
        assert isinstance(answer, Refused)
        assert (answer.words, there, sent) == (words, [], [])
    if isinstance(answer, Placed):
        assert there
    else:
        assert isinstance(answer, Refused | NotExecuted), answer
        assert not there
        assert answer.code
        assert answer.words.endswith((".", "!"))


def _no_worse(spec: OrderSpec, paid: Decimal) -> bool:
    assert spec.price is not None
    return paid <= spec.price if spec.side is Side.BUY else paid >= spec.price


def _sent_exactly(counter: Desk, spec: OrderSpec, sent: list[str]) -> None:
    """The quantity in what the exchange counts in, the prices in quote coin: no float was on the way."""
    market = counter.port._table.known(spec.symbol)
    attached = counter.port.attaches(spec)
    for number in (
        to_contracts(spec.quantity, market.rules),
        spec.price,
        spec.take_profit if attached else None,
        spec.stop_loss if attached else None,
        None if spec.trigger is None else spec.trigger.price,
    ):
        assert number is None or on_the_wire(plain(number), sent), (number, sent)


@BOUNDED
@given(data=st.data())
def test_what_is_changed_is_changed_to_what_was_asked_or_not_at_all(counter: Desk, data: st.DataObject) -> None:
    """Quantity, price or both, of an order that may have filled in part."""
    spec = counter.spec("0.01", price="20000")
    wire = wire_id()
    assert isinstance(counter.place(spec, wire), Placed)
    if data.draw(st.booleans()):
        counter.truthful.fill(client_order_id=wire, qty="0.004")
    before = counter.truth(wire)[0]
    rules = counter.port._table.known(counter.btc).rules
    quantity = data.draw(st.none() | numbers(Decimal("0.01"), rules.base_step))
    price = data.draw(st.none() | numbers(Decimal(10000), rules.tick))
    answer = counter.amend(
        wire,
        spec,
        quantity=None if quantity is None else str(quantity),
        price=None if price is None else str(price),
        order_id=before["order_id"],
    )
    event(f"change: {type(answer).__name__} {getattr(answer, 'code', '')}")
    after = counter.truth(wire)[0]
    wanted = (
        Decimal(before["qty"]) if quantity is None else quantity,
        Decimal(before["price"]) if price is None else price,
    )
    if isinstance(answer, Amended) and wanted[0] <= Decimal(before["filled"]):
        assert after["status"] == "cancelled"  # Kraken's spot takes such a change, and gives back the rest
    elif isinstance(answer, Amended):
        assert (Decimal(after["qty"]), Decimal(after["price"])) == wanted
    else:
        assert isinstance(answer, AmendRefused | CancelTooLate), answer
        assert answer.words.endswith((".", "!"))
        assert (after["qty"], after["price"]) == (before["qty"], before["price"])
        if isinstance(answer, CancelTooLate):
            assert after["status"] not in ("open", "partially_filled")
    if after["status"] in ("open", "partially_filled"):
        assert isinstance(counter.cancel(wire, order_id=after["order_id"]), CancelConfirmed)


@BOUNDED
@given(data=st.data())
def test_what_fills_is_told_exactly(counter: Desk, data: st.DataObject) -> None:
    """In base coin, whatever the exchange counts in, and in any pieces."""
    base = data.draw(st.sampled_from(list(BASES)))
    symbol = counter.symbol(f"{base}USDT")
    rules = counter.port._table.known(symbol).rules
    price = Decimal(BASES[base]) / 2 // rules.tick * rules.tick
    least = max(rules.base_minimum, (rules.minimum_notional or Decimal(0)) / price // rules.base_step * rules.base_step)
    quantity = least + rules.base_step * data.draw(st.integers(3, 500))
    assume(counter.port.check(counter.spec(str(quantity), of=symbol, price=str(price))) == "")
    wire = wire_id()
    assert isinstance(counter.place(counter.spec(str(quantity), of=symbol, price=str(price)), wire), Placed)
    pieces = quantity / rules.base_step
    filled = rules.base_step * data.draw(st.integers(1, int(pieces)))
    counter.truthful.fill(client_order_id=wire, qty=filled)
    found = counter.look_up(wire, symbol)
    assert isinstance(found, Found)
    assert (found.report.filled, found.report.average_price, found.report.symbol) == (filled, price, symbol)
    if filled < quantity:
        assert isinstance(counter.cancel(wire, symbol), CancelConfirmed)


def test_sizes_of_every_market_round_trip(counter: Desk) -> None:
    """Contracts and base coin, at the least quantity, one step, and far above; never more than asked."""
    table = counter.port._table
    for market in table._by_symbol.values():
        rules = market.rules
        for steps in (0, 1, 7, 12345):
            asked = rules.base_minimum + rules.base_step * steps
            if rules.base_maximum is not None and asked > rules.base_maximum:
                continue
            contracts = to_contracts(asked, rules)
            assert to_base(contracts, rules) == asked
            assert Decimal(plain(contracts)) * rules.contract_size <= asked


@pytest.mark.parametrize("base", BASES)
def test_every_spelling_is_one_market(counter: Desk, base: str) -> None:
    """However a caller writes it."""
    pair = f"{base}/USDT"
    full = f"{pair}:USDT" if counter.market_type is MarketType.SWAP else pair
    spellings = {f"{base}USDT", pair, full, pair.lower(), f"  {base.lower()}usdt "}
    assert {counter.port.tradable(each) for each in spellings} == {""}
    assert len({counter.port._table.find(counter.symbol(each)).native_id for each in spellings}) == 1
