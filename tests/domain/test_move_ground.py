"""What the journal says of positions that move: which exits protect nothing any more."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve

from app.domain.exits import Exit, ExitKind
from app.domain.ids import ROUTER
from app.domain.move_ground import Ground, meets_own, own_prices, spent, stale_exits
from app.domain.moving import Move, MoveKind
from app.domain.position_situation import Standing
from messages.failover import Route
from messages.market import MarketType, Symbol
from messages.orders import LegState, OrderView, Side, Trigger, TriggerKind, Wanted
from messages.positions import PositionPolicy
from tests.domain.orders import BTC, key, leg, order, spec

D = Decimal
SWAP = MarketType.SWAP
NAMES = ("bybit", "okx")


def moved(number: int, kind: MoveKind, exchange: str, filled: str = "1") -> OrderView:
    """An order of a move to okx that has filled."""
    return order(leg(LegState.FILLED, exchange=exchange, filled=filled), of=Move(2, str(BTC), number, kind).key)


def stop_of(parent: OrderView, exchange: str = "okx") -> OrderView:
    """Its stop, which stands."""
    name = Exit(parent.order_id, 1, ExitKind.STOP_LOSS, 1)
    return order(leg(LegState.OPEN, exchange=exchange), of=key(name.client_order_id, parent.key.strategy))


def stale(ours: str, *done: OrderView, exits: tuple[OrderView, ...], at: str = "okx") -> list[tuple[str, str]]:
    """Exits to be cancelled while trading is on okx, and so much stands there by our fills."""
    here = Standing(exchange=at, symbol=BTC, attributed=Decimal(ours), adopted=Decimal(0), moved=Decimal(0))
    route = Route(epoch=2, exchange="okx", since_s=0.0)
    ground = Ground.of([here], route=route, opened=exits, done=lambda _: done)
    found = stale_exits(ground, PositionPolicy.MIGRATE, NAMES, everywhere=False)
    return [(name, each.order_id) for name, each in found]


def test_the_exits_of_a_slice_that_was_undone_would_close_what_its_owner_trades_there() -> None:
    opened, back = moved(1, MoveKind.OPEN, "okx"), moved(2, MoveKind.CLOSE, "okx")
    stop = stop_of(opened)
    for ours in ("0", "5"):
        assert stale(ours, opened, back, exits=(stop,)) == [("okx", stop.order_id)]
    assert not stale("5", opened, evolve(back, legs=moved(2, MoveKind.CLOSE, "okx", "0.4").legs), exits=(stop,))


def test_the_exits_of_a_slice_that_was_moved_stay_with_it() -> None:
    opened = moved(1, MoveKind.OPEN, "okx")
    stop = stop_of(opened)
    assert not stale("1", opened, moved(2, MoveKind.CLOSE, "bybit"), exits=(stop,))
    next_one = moved(3, MoveKind.OPEN, "okx")
    assert not stale("1", opened, moved(2, MoveKind.CLOSE, "bybit"), next_one, exits=(stop,))
    theirs = evolve(stop, key=key(stop.key.client_order_id, "maker"))
    assert theirs.key.strategy != ROUTER
    assert not stale("0", exits=(theirs,)), "where trading is, what is its owner's stays his"


def test_exits_of_what_has_left_an_exchange_are_stale_there() -> None:
    stop = stop_of(moved(1, MoveKind.OPEN, "bybit"), "bybit")
    assert stale("0", exits=(stop,), at="bybit") == [("bybit", stop.order_id)]
    assert not stale("0.1", exits=(stop,), at="bybit")


def rests(name: str, side: Side, price: str | None, *, on: str = "bybit", waits: bool = False) -> OrderView:
    """An order of ours that rests, or waits for its trigger."""
    what = evolve(spec(price=price), side=side)
    trigger = Trigger(kind=TriggerKind.STOP, price=D(100)) if waits else None
    return order(leg(LegState.OPEN, exchange=on), of=key(name), what=evolve(what, trigger=trigger))


def test_our_own_prices_are_those_that_rest_in_the_book_of_a_place() -> None:
    """The best ones of it: what waits for its trigger, is elsewhere, has ended or is of another symbol is not in it."""
    other = evolve(spec(price="150"), symbol=Symbol(base="ETH", quote="USDT", settle="USDT", market_type=SWAP))
    opened = [
        rests("stop", Side.BUY, "140", waits=True),
        order(leg(LegState.OPEN), of=key("other"), what=other),
        rests("low", Side.BUY, "98"),
        rests("high", Side.BUY, "99"),
        rests("elsewhere", Side.BUY, "120", on="okx"),
        order(leg(LegState.CANCELLED), of=key("over"), what=spec(price="130")),
        rests("far", Side.SELL, "107"),
        rests("near", Side.SELL, "105"),
    ]
    assert own_prices(opened, ("bybit", BTC)) == (D(99), D(105))
    assert own_prices(opened, ("okx", BTC)) == (D(120), None)
    changed = order(evolve(leg(LegState.OPEN), price=D(101), wanted=Wanted(quantity=None, price=D(103))))
    assert own_prices([changed], ("bybit", BTC)) == (D(103), None), "it may be at either price"


@pytest.mark.parametrize(
    ("side", "price", "meets"),
    [
        (Side.BUY, "104", False),
        (Side.BUY, "105", True),
        (Side.BUY, None, True),
        (Side.SELL, "100", False),
        (Side.SELL, "99", True),
        (Side.SELL, None, True),
    ],
)
def test_what_would_trade_with_an_order_of_ours_is_said(side: Side, price: str | None, meets: bool) -> None:
    opened = [rests("bid", Side.BUY, "99"), rests("ask", Side.SELL, "105")]
    what = evolve(spec(price=price), side=side)
    assert bool(meets_own(opened, "bybit", what)) == meets
    assert not meets_own(opened, "okx", what), "there is nothing of ours there"


def test_whatever_of_ours_fills_at_an_exchange_leaves_a_mark_there() -> None:
    """Another sight is needed then: what stands there has changed."""
    eth = Symbol(base="ETH", quote="USDT", settle="USDT", market_type=SWAP)

    def ground(bitcoin: str, ether: str) -> Ground:
        rows = [
            Standing(exchange=exchange, symbol=symbol, attributed=D(held), adopted=D(0), moved=D(0))
            for exchange, symbol, held in (("okx", eth, ether), ("okx", BTC, bitcoin), ("bybit", BTC, "3"))
        ]
        return Ground.of(rows, route=Route(epoch=2, exchange="okx", since_s=0.0), opened=(), done=lambda _: ())

    before = ground("1", "2").marks
    assert ground("1", "2").marks == before
    for other in (ground("1.5", "2").marks, ground("1", "2.5").marks):
        assert other["okx"] != before["okx"]
        assert other["bybit"] == before["bybit"]


def test_what_moving_cost_is_what_was_paid_beyond_the_last_price() -> None:
    """Orders of their owners, and what has not filled, are no part of it, wherever they stand in the list."""
    opened = order(
        evolve(leg(LegState.FILLED, filled="1"), average_price=D(100)), of=Move(2, str(BTC), 1, MoveKind.OPEN).key
    )
    closed = order(
        evolve(leg(LegState.FILLED, filled="0.4"), average_price=D(99)),
        of=Move(2, str(BTC), 2, MoveKind.CLOSE).key,
        what=evolve(spec(), side=Side.SELL),
    )
    theirs = order(leg(LegState.FILLED, filled="1"))
    unfilled = order(leg(LegState.CANCELLED), of=Move(2, str(BTC), 3, MoveKind.OPEN).key)
    assert spent([theirs, opened, unfilled, closed, theirs]) == (D(100), D("1.0"))
    assert spent([]) == (D(0), D(0))
