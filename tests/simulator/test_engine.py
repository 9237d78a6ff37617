"""The matching engine: what fills, rests, is refused; and invariants over any sequence of commands."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.simulator.engine import Engine
from app.simulator.model import NewOrder, Order, OrderType, Reason, Refusal, Side, Status, Tif, Trigger, text
from app.simulator.spec import EngineRules
from tests.simulator.engines import swap

BTC = "BTC/USDT:USDT"
D = Decimal


def engine(**rules: object) -> Engine:
    """An engine with one market and no fees unless asked for."""
    fields: dict[str, object] = {"taker_fee": D(0), "maker_fee": D(0)}
    return Engine([swap()], EngineRules(**{**fields, **rules}))  # type: ignore[arg-type]


def order(
    side: Side = Side.BUY,
    qty: str = "0.001",
    price: str | None = "25000",
    *,
    tif: Tif = Tif.GTC,
    reduce_only: bool = False,
    client_order_id: str | None = None,
    take_profit: str | None = None,
    stop_loss: str | None = None,
    trigger: Trigger | None = None,
) -> NewOrder:
    """A limit order, or with price None a market order."""
    return NewOrder(
        symbol=BTC,
        side=side,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        qty=D(qty),
        price=None if price is None else D(price),
        tif=tif,
        reduce_only=reduce_only,
        client_order_id=client_order_id,
        take_profit=None if take_profit is None else D(take_profit),
        stop_loss=None if stop_loss is None else D(stop_loss),
        trigger=trigger,
    )


def refusal(e: Engine, new: NewOrder) -> Reason:
    """The reason for which `new` is refused, with proof that nothing changed."""
    before = (len(list(e.all_orders())), len(e.fills), dict(e.ledger.balances), e.ledger.used_margin)
    with pytest.raises(Refusal) as caught:
        e.place(new, 1)
    assert (len(list(e.all_orders())), len(e.fills), dict(e.ledger.balances), e.ledger.used_margin) == before
    return caught.value.reason


def test_a_limit_below_the_market_rests_and_fills_when_the_price_comes_to_it() -> None:
    """The seed's order: buy 0.001 at 25000 with BTC at 27000."""
    e = engine()
    resting = e.place(order(take_profit="30000", stop_loss="24000"), 1)
    assert resting.status.is_open
    assert e.move_price(BTC, D("25000.1"), 2) == []
    fills = e.move_price(BTC, D(25000), 3)
    assert [(f.qty, f.price, f.is_maker, f.ts_ms) for f in fills] == [(D("0.001"), D(25000), True, 3)]
    assert resting.status is Status.FILLED
    assert (resting.take_profit, resting.stop_loss) == (D(30000), D(24000))
    assert e.ledger.position(BTC).qty == D("0.001")


def test_a_crossing_limit_fills_at_once_at_the_market_price() -> None:
    """Not at its own, worse, price."""
    e = engine()
    assert e.place(order(price="28000"), 1).avg_price == D("27000.1")
    assert e.place(order(Side.SELL, price="26000"), 1).avg_price == D(27000)


def test_a_round_trip_costs_the_spread_and_the_fees() -> None:
    """Market orders move the net position, and the balance follows."""
    e = engine(taker_fee=D("0.001"))
    e.place(order(qty="1", price=None), 1)
    assert e.ledger.position(BTC).qty == 1
    e.move_price(BTC, D(28000), 2)
    assert e.ledger.unrealised(BTC) == D("999.9")
    e.place(order(Side.SELL, qty="1", price=None), 3)
    assert e.positions() == []
    assert e.ledger.balances["USDT"] == D(100_000) + D("999.9") - D("27.0001") - D(28)


def test_a_position_is_flipped_by_a_larger_order() -> None:
    """One-way mode: 1 long, sell 3, 2 short at the new price."""
    e = engine()
    e.place(order(qty="1", price=None), 1)
    e.place(order(Side.SELL, qty="3", price=None), 2)
    assert (e.ledger.position(BTC).qty, e.ledger.position(BTC).entry_price) == (D(-2), D(27000))


@pytest.mark.parametrize("tif", [Tif.IOC, Tif.FOK])
def test_an_unfillable_ioc_or_fok_expires_or_is_refused_by_the_exchanges_rule(tif: Tif) -> None:
    """Kraken Futures refuses it; the others accept and expire it."""
    placed = engine().place(order(tif=tif), 1)
    assert (placed.status, placed.filled) == (Status.EXPIRED, D(0))
    assert refusal(engine(refuse_unfillable_ioc=True), order(tif=tif)) is Reason.WOULD_NOT_FILL


def test_a_crossing_post_only_is_cancelled_or_refused_by_the_exchanges_rule() -> None:
    """Bybit and OKX cancel it; Binance and Kraken refuse it."""
    crossing = order(price="28000", tif=Tif.POST_ONLY)
    placed = engine().place(crossing, 1)
    assert (placed.status, placed.close_reason) == (Status.CANCELLED, "post_only_would_cross")
    assert refusal(engine(refuse_crossing_post_only=True), crossing) is Reason.POST_ONLY_WOULD_CROSS
    assert engine().place(order(tif=Tif.POST_ONLY), 1).status is Status.OPEN


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (order(qty="0"), Reason.BAD_QTY),
        (order(qty="-1"), Reason.BAD_QTY),
        (order(qty="NaN"), Reason.BAD_QTY),
        (order(qty="0.0005"), Reason.QTY_TOO_SMALL),
        (order(qty="0.0015"), Reason.QTY_OFF_STEP),
        (order(qty="1e30"), Reason.QTY_TOO_LARGE),
        (order(price="0"), Reason.BAD_PRICE),
        (order(price="1e40"), Reason.BAD_PRICE),
        (order(price="25000.05"), Reason.PRICE_OFF_TICK),
        (order(price="4000"), Reason.NOTIONAL_TOO_SMALL),
        (order(take_profit="24000"), Reason.BAD_TAKE_PROFIT),
        (order(stop_loss="26000"), Reason.BAD_STOP_LOSS),
        (order(Side.SELL, price="28000", take_profit="29000"), Reason.BAD_TAKE_PROFIT),
        (order(stop_loss="1e-40"), Reason.BAD_STOP_LOSS),
        (order(qty="500", price=None), Reason.INSUFFICIENT_MARGIN),
        (order(Side.SELL, reduce_only=True), Reason.REDUCE_ONLY),
        (order(trigger=Trigger(price=D(26000), rising=True)), Reason.WOULD_TRIGGER),
    ],
)
def test_refusals(new: NewOrder, reason: Reason) -> None:
    """Each with its reason, and nothing changed."""
    assert refusal(engine(), new) is reason


def test_unknown_market_and_expiry() -> None:
    """Both refuse before anything else."""
    with pytest.raises(Refusal) as unknown:
        engine().market("DOGE/USDT:USDT")
    assert unknown.value.reason is Reason.UNKNOWN_SYMBOL
    with pytest.raises(Refusal) as expired:
        engine().place(order(), 1001, expires_ms=1000)
    assert expired.value.reason is Reason.EXPIRED
    assert engine().place(order(), 1000, expires_ms=1000).status is Status.OPEN


def test_client_ids_are_unique_for_ever_or_while_open() -> None:
    """The hazard of the second: re-sending a filled order's id fills twice."""
    for_ever, while_open = engine(), engine(client_id_scope="open")
    for e in (for_ever, while_open):
        e.place(order(client_order_id="a"), 1)
        assert refusal(e, order(client_order_id="a")) is Reason.DUPLICATE_CLIENT_ID
        e.cancel(2, client_order_id="a")
    assert refusal(for_ever, order(client_order_id="a")) is Reason.DUPLICATE_CLIENT_ID
    again = while_open.place(order(client_order_id="a"), 3)
    assert [o.seq for o in while_open.with_client_id("a")] == [1, 2]
    assert while_open.find(4, client_order_id="a") is again


def test_allow_duplicate_places_twice_under_one_id() -> None:
    """What the `double` fault uses."""
    e = engine()
    e.place(order(price=None, client_order_id="a"), 1)
    e.place(order(price=None, client_order_id="a"), 1, allow_duplicate=True)
    assert e.ledger.position(BTC).qty == D("0.002")


def test_reduce_only_never_flips_and_goes_with_its_position() -> None:
    """The remainder expires; resting ones expire when the position is gone."""
    e = engine()
    e.place(order(qty="1", price=None), 1)
    resting = e.place(order(Side.SELL, qty="1", price="30000", reduce_only=True), 2)
    closing = e.place(order(Side.SELL, qty="3", price=None, reduce_only=True), 3)
    assert (closing.filled, closing.status) == (D(1), Status.EXPIRED)
    assert (resting.status, resting.close_reason) == (Status.EXPIRED, "reduce_only")
    assert e.positions() == []
    assert e.open_orders(4) == []
    assert e.ledger.used_margin == 0


def test_partial_fills_and_cancel() -> None:
    """A counterparty takes part; the rest is cancelled, and its margin freed."""
    e = engine()
    resting = e.place(order(qty="1"), 1)
    e.fill(resting, 2, qty=D("0.4"))
    assert (resting.status, resting.remaining) == (Status.PARTIALLY_FILLED, D("0.6"))
    for wrong in ("0", "0.0001", "0.7"):
        with pytest.raises(Refusal):
            e.fill(resting, 2, qty=D(wrong))
    e.cancel(3, order_id=resting.order_id)
    assert (resting.status, resting.filled) == (Status.CANCELLED, D("0.4"))
    assert e.ledger.used_margin == D("0.4") * 27000 / 10
    with pytest.raises(Refusal) as closed:
        e.cancel(4, order_id=resting.order_id)
    assert closed.value.reason is Reason.ORDER_CLOSED
    with pytest.raises(Refusal) as unknown:
        e.cancel(4, order_id="999")
    assert unknown.value.reason is Reason.UNKNOWN_ORDER


def test_amend() -> None:
    """Total quantity and price; a refused one changes nothing; a crossing one fills."""
    e = engine()
    resting = e.place(order(qty="1"), 1)
    e.amend(2, order_id=resting.order_id, qty=D(2), price=D(26000))
    assert (resting.qty, resting.price, e.ledger.used_margin) == (D(2), D(26000), D(5200))
    with pytest.raises(Refusal) as poor:
        e.amend(3, order_id=resting.order_id, qty=D(900))
    assert poor.value.reason is Reason.INSUFFICIENT_MARGIN
    with pytest.raises(Refusal) as nothing:
        e.amend(3, order_id=resting.order_id)
    assert nothing.value.reason is Reason.NOTHING_TO_AMEND
    assert (resting.qty, resting.price, e.ledger.used_margin) == (D(2), D(26000), D(5200))
    e.fill(resting, 4, qty=D(1))
    with pytest.raises(Refusal):
        e.amend(5, order_id=resting.order_id, qty=D(1))
    e.amend(6, order_id=resting.order_id, price=D(28000))
    assert (resting.status, resting.filled) == (Status.FILLED, D(2))


def test_triggers_wait_for_the_price() -> None:
    """A stop market sell below, and a take profit above; the second goes with the position."""
    e = engine()
    e.place(order(qty="1", price=None), 1)
    stop = e.place(
        order(Side.SELL, qty="1", price=None, reduce_only=True, trigger=Trigger(price=D(26000), rising=False)), 2
    )
    profit = e.place(
        order(Side.SELL, qty="1", price=None, reduce_only=True, trigger=Trigger(price=D(29000), rising=True)), 2
    )
    e.move_price(BTC, D(25900), 3)
    assert (stop.status, stop.avg_price) == (Status.FILLED, D(25900))
    assert e.positions() == []
    e.move_price(BTC, D(30000), 4)
    assert (profit.status, profit.filled) == (Status.EXPIRED, D(0))


def test_the_visibility_lag_hides_from_look_ups_only() -> None:
    """The order exists, is guarded against duplicates and can be cancelled."""
    e = engine()
    hidden = e.place(order(price=None, client_order_id="a"), 1, visible_from_ms=100)
    resting = e.place(order(client_order_id="b"), 1, visible_from_ms=100)
    assert e.find(99, client_order_id="a") is None
    assert (e.open_orders(99), list(e.history(99)), list(e.trades(99))) == ([], [], [])
    assert refusal(e, order(client_order_id="a")) is Reason.DUPLICATE_CLIENT_ID
    assert e.find(100, client_order_id="a") is hidden
    assert e.open_orders(100) == [resting]
    assert [f.order for f in e.trades(100)] == [hidden]
    e.cancel(50, client_order_id="b")
    assert resting.status is Status.CANCELLED


def test_leverage_and_a_persons_position() -> None:
    """Margin follows the leverage; a set position leaves neither order nor fill."""
    e = engine()
    assert e.set_leverage(BTC, D(20))
    assert not e.set_leverage(BTC, D(20))
    with pytest.raises(Refusal):
        e.set_leverage(BTC, D(101))
    e.set_position(BTC, D(-2), 1)
    assert (e.ledger.position(BTC).qty, e.ledger.used_margin) == (D(-2), D(2700))
    assert (list(e.all_orders()), e.fills) == ([], [])
    with pytest.raises(Refusal):
        e.set_position(BTC, D("0.0001"), 1)


def test_ids_are_counted_and_deterministic() -> None:
    """The same commands give the same ids."""
    for _ in range(2):
        e = engine(order_id=lambda n: f"o{n}", trade_id=lambda n: f"t{n}")
        assert [e.place(order(price=None), 1).order_id for _ in range(3)] == ["o1", "o2", "o3"]
        assert [f.trade_id for f in e.fills] == ["t1", "t2", "t3"]


def test_text_is_plain() -> None:
    """No exponents, no trailing zeros."""
    assert [text(D(x)) for x in ("1E+3", "0.00100", "-0", "27000.0", "1E-8")] == [
        "1000",
        "0.001",
        "0",
        "27000",
        "0.00000001",
    ]


COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(["place", "place", "place", "cancel", "price", "fill", "amend", "leverage"]),
        st.integers(0, 10_000),
    ),
    max_size=60,
)


def _apply(e: Engine, command: str, seed: int, now_ms: int) -> None:
    known = list(e.all_orders())
    picked: Order | None = known[seed % len(known)] if known else None
    if command == "place":
        kinds = list(Tif)
        price = None if seed % 3 == 0 else str(26000 + seed % 2000)
        e.place(
            order(
                Side.BUY if seed % 2 else Side.SELL,
                str(D(1 + seed % 3000) / 1000),
                price,
                tif=kinds[seed % len(kinds)],
                reduce_only=seed % 5 == 0,
                client_order_id=str(seed % 40),
            ),
            now_ms,
        )
    elif command == "price":
        e.move_price(BTC, D(26000 + seed % 2000), now_ms)
    elif command == "leverage":
        e.set_leverage(BTC, D(1 + seed % 20))
    elif picked is not None and command == "cancel":
        e.cancel(now_ms, order_id=picked.order_id)
    elif picked is not None and command == "fill":
        e.fill(picked, now_ms, qty=D(1 + seed % 1000) / 1000)
    elif picked is not None and command == "amend":
        e.amend(now_ms, order_id=picked.order_id, qty=D(1 + seed % 3000) / 1000)


@given(COMMANDS, st.sampled_from(["all", "open"]))
@settings(max_examples=150, deadline=None)
def test_the_books_always_add_up(commands: list[tuple[str, int]], scope: str) -> None:
    """Position = signed fills; balance = start + realised - fees; margin reserved = what is open; nothing overfills."""
    e = engine(client_id_scope=scope, taker_fee=D("0.0005"), maker_fee=D("0.0002"))
    for now_ms, (command, seed) in enumerate(commands):
        try:
            _apply(e, command, seed, now_ms)
        except Refusal:
            continue
    position = e.ledger.position(BTC)
    assert position.qty == sum(f.qty * f.side.sign for f in e.fills)
    # Averages and divisions round at the 28th digit, so money is compared to a millionth of a millionth.
    money = D(100_000) + sum((f.realised_pnl - f.fee for f in e.fills), D(0))
    assert round(e.ledger.balances["USDT"] - money, 12) == 0
    for one in e.all_orders():
        mine = [f for f in e.fills if f.order is one]
        assert one.filled == sum(f.qty for f in mine)
        assert 0 <= one.filled <= one.qty
        assert (one.status is Status.FILLED) == (one.remaining == 0)
    resting = e.open_orders(10**9)
    held = position.qty * e.prices[BTC]
    buys, sells = (
        sum((o.remaining * (o.price or 0) for o in resting if o.side is side and not o.reduce_only), D(0))
        for side in Side
    )
    wanted = max(abs(held), held + buys, sells - held)
    assert round(e.ledger.margin_of(BTC) * position.leverage - wanted, 12) == 0
    ids = [o.client_order_id for o in resting]
    assert len(ids) == len(set(ids))
    assert all(o.side.sign * position.qty < 0 for o in resting if o.reduce_only)
