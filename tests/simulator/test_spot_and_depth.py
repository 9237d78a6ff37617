"""Spot markets, the book that a big order walks through, pages of listings, the visibility lag."""

from decimal import Decimal

import pytest

from app.simulator.model import Reason, Status, Tif
from app.simulator.spec import MarketKind
from app.simulator.store import page
from tests.simulator.engines import BTC, BUY, SELL, SPOT, D, engine, order, refusal, spot, swap


def test_buying_and_selling_coins() -> None:
    """Balances move, the fee is of the coin received, and there is no position."""
    e = engine(spot(), spot_taker_fee=D("0.001"))
    bought = e.place(order(BUY, "1", symbol=SPOT), 1)
    assert (bought.fee, bought.fee_coin) == (D("0.001"), "BTC")
    assert e.ledger.balances == {"USDT": D("72999.9"), "BTC": D("0.999")}
    sold = e.place(order(SELL, "0.9", symbol=SPOT), 2)
    assert (sold.fee, sold.fee_coin, e.fills[-1].fee_coin) == (D("24.3"), "USDT", "USDT")
    assert e.ledger.balances == {"USDT": D("72999.9") + D(24300) - D("24.3"), "BTC": D("0.099")}
    assert (e.positions(), e.ledger.used_margin) == ([], D(0))


def test_fees_in_quote_are_paid_on_top() -> None:
    """And looked at before the order is accepted."""
    e = engine(spot(), spot_fee_in="quote", spot_taker_fee=D("0.01"), initial_balance=D(27100))
    assert refusal(e, order(BUY, "1", symbol=SPOT)) is Reason.INSUFFICIENT_BALANCE
    e.place(order(BUY, "0.9", symbol=SPOT), 1)
    assert e.ledger.balances == {"USDT": D(27100) - D("24300.09") * D("1.01"), "BTC": D("0.9")}
    all_of_it = e.ledger.balances["USDT"]
    by_cost = e.place(order(BUY, "0", symbol=SPOT, cost=str(all_of_it)), 2)
    assert all_of_it - D("27000.1") * D("0.001") * D("1.01") < by_cost.cost + by_cost.fee <= all_of_it


def test_open_orders_lock_what_they_would_pay() -> None:
    """Freed by cancelling, spent by filling; the lock is of the limit price, the payment of the fill."""
    e = engine(spot(), initial_coins={"BTC": D(1)})
    buy = e.place(order(BUY, "2", "26000", symbol=SPOT), 1)
    sell = e.place(order(SELL, "0.6", "28000", symbol=SPOT), 2)
    assert (e.ledger.locked, e.ledger.free_of("USDT"), e.ledger.free_of("BTC")) == (
        {"USDT": D(52000), "BTC": D("0.6")},
        D(48000),
        D("0.4"),
    )
    assert refusal(e, order(SELL, "0.5", symbol=SPOT)) is Reason.INSUFFICIENT_BALANCE
    assert refusal(e, order(BUY, "2", "26000", symbol=SPOT)) is Reason.INSUFFICIENT_BALANCE
    e.amend(3, order_id=buy.order_id, qty=D(3))
    e.fill(buy, 4, qty=D(1))
    e.cancel(5, order_id=buy.order_id)
    e.cancel(6, order_id=sell.order_id)
    assert all(not amount for amount in e.ledger.locked.values())
    assert e.ledger.balances == {"USDT": D(74000), "BTC": D(2)}


def test_a_market_order_to_buy_may_be_given_by_its_cost() -> None:
    """It never spends more; anything but a spot market order to buy is refused."""
    e = engine(spot(level_qty=D(1)), swap())
    bought = e.place(order(BUY, "0", symbol=SPOT, cost="50000"), 1)
    # One at 27000.1, then 0.851 at 27000.2.
    assert (bought.qty, bought.filled, bought.cost_asked) == (D("1.851"), D("1.851"), D(50000))
    assert D(50000) - D("27000.2") * D("0.001") < bought.cost <= D(50000)
    assert [f.price for f in e.fills] == [D("27000.1"), D("27000.2")]
    for wrong in (
        order(SELL, "0", symbol=SPOT, cost="1000"),
        order(BUY, "0", "27000", symbol=SPOT, cost="1000"),
        order(BUY, "0", cost="1000"),
        order(BUY, "0", symbol=SPOT, cost="-1"),
    ):
        assert refusal(e, wrong) is Reason.BAD_QTY
    assert refusal(e, order(BUY, "0", symbol=SPOT, cost="1")) is Reason.BAD_QTY
    assert refusal(e, order(BUY, "0", symbol=SPOT, cost="60000")) is Reason.INSUFFICIENT_BALANCE


def test_there_is_nothing_to_reduce_on_spot() -> None:
    """Refused in words, never dropped."""
    assert refusal(engine(), order(SELL, symbol=SPOT, reduce_only=True)) is Reason.REDUCE_ONLY_ON_SPOT


def test_spot_and_swap_share_the_settlement_coin() -> None:
    """What a position uses cannot be spent, and what a spot order locks is no margin."""
    e = engine()
    e.set_position(BTC, D(30), 1)  # 81000 of margin
    assert refusal(e, order(BUY, "1", symbol=SPOT)) is Reason.INSUFFICIENT_BALANCE
    e.place(order(BUY, "0.5", "26000", symbol=SPOT), 2)
    assert e.ledger.available == D(6000)
    assert refusal(e, order(BUY, "3")) is Reason.INSUFFICIENT_MARGIN


def test_a_name_shared_by_a_swap_and_a_spot_market() -> None:
    """Without a kind the swap is meant."""
    e = engine()
    assert e.by_native["BTCUSDT"].symbol == BTC
    assert e.venue.native("BTCUSDT", MarketKind.SPOT).symbol == SPOT
    assert [o.symbol for o in e.cancel_all(1, kind=MarketKind.SPOT)] == []


def test_a_big_order_fills_in_parts_at_several_prices() -> None:
    """One tick worse per level; a limit stops it, and the rest waits; a market order's rest ends with the book."""
    e = engine(swap(level_qty=D(1)), initial_balance=D(10**9))
    market = e.place(order(BUY, "2.5"), 1)
    assert [(f.qty, f.price) for f in e.fills] == [
        (D(1), D("27000.1")),
        (D(1), D("27000.2")),
        (D("0.5"), D("27000.3")),
    ]
    assert market.avg_price == sum(f.qty * f.price for f in e.fills) / D("2.5")
    limit = e.place(order(SELL, "3", "26999.9"), 2)
    assert [(f.qty, f.price) for f in e.fills[3:]] == [(D(1), D(27000)), (D(1), D("26999.9"))]
    assert (limit.status, limit.remaining) == (Status.PARTIALLY_FILLED, D(1))
    e.move_price(BTC, D(27000), 3)
    assert (limit.status, e.fills[-1].is_maker, e.fills[-1].price) == (Status.FILLED, True, D("26999.9"))
    deep = e.place(order(BUY, "60"), 4)
    assert (deep.filled, deep.status, deep.close_reason) == (D(50), Status.EXPIRED, "no_liquidity")


@pytest.mark.parametrize(("tif", "filled", "why"), [(Tif.IOC, D(1), "no_liquidity"), (Tif.FOK, D(0), "would_not_fill")])
def test_a_thin_book_and_time_in_force(tif: Tif, filled: Decimal, why: str) -> None:
    """IOC takes what is there, FOK everything or nothing; where the exchange refuses such an FOK it leaves no trace."""
    e = engine(swap(level_qty=D(1)))
    placed = e.place(order(BUY, "2", "27000.1", tif=tif), 1)
    assert (placed.filled, placed.status, placed.close_reason) == (filled, Status.EXPIRED, why)
    strict = engine(swap(level_qty=D(1)), refuse_unfillable_fok=True)
    if tif is Tif.FOK:
        assert refusal(strict, order(BUY, "2", "27000.1", tif=tif)) is Reason.WOULD_NOT_FILL
    assert strict.place(order(BUY, "1", "27000.1", tif=tif), 2).status is Status.FILLED


def test_depth_can_be_set_and_is_shown() -> None:
    """In whole steps; endless again with None."""
    e = engine()
    e.venue.set_depth(BTC, D("0.5"))
    bids, asks = e.book(BTC, 2)
    assert [(x.price, x.qty) for x in bids] == [(D(27000), D("0.5")), (D("26999.9"), D("0.5"))]
    assert [(x.price, x.qty) for x in asks] == [(D("27000.1"), D("0.5")), (D("27000.2"), D("0.5"))]
    e.place(order(BUY, "1"), 1)
    assert len(e.fills) == 2
    e.venue.set_depth(BTC, None)
    e.place(order(BUY, "10"), 2)
    assert len(e.fills) == 3


def test_too_many_open_orders() -> None:
    """Counted by symbol, where the exchange has a limit."""
    e = engine(max_open_orders=2)
    for _ in range(2):
        e.place(order(price="20000", qty="0.001"), 1)
    assert refusal(e, order(price="20000", qty="0.001")) is Reason.TOO_MANY_ORDERS
    assert e.place(order(price="20000", qty="0.001", symbol=SPOT), 2).status is Status.OPEN


def test_pages_never_repeat_or_skip() -> None:
    """Whatever is placed between two pages, following the cursor tells each of the first ones once."""
    e = engine()
    for n in range(7):
        e.place(order(qty="0.001"), n)
    seen, cursor = [], None
    while True:
        found = page(e.history(10**6), 3, after=cursor)
        seen += [o.seq for o in found.rows]
        e.place(order(qty="0.001"), 99)
        cursor = found.cursor
        if cursor is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert [o.seq for o in page(e.history(10**6), 9, from_ms=2, to_ms=4).rows] == [5, 4, 3]
    assert [f.seq for f in page(e.trades(10**6), 9, before=5, to_ms=6).rows] == [7, 6]
    assert [o.seq for o in page(e.history(10**6), 9, to_ms=1, time_of=lambda o: o.updated_ms).rows] == [2, 1]
    first = next(iter(e.all_orders()))
    assert list(e.trades(10**6, order_id=first.order_id)) == e.fills_of(first) == e.fills[:1]


def test_every_placement_lags_when_the_exchange_does() -> None:
    """As the `not_visible` fault, but for all."""
    e = engine()
    e.venue.lag_ms = 500
    late = e.place(order(price="20000"), 1000)
    assert (e.open_orders(1499), e.open_orders(1500)) == ([], [late])
