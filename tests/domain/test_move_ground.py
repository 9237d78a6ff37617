"""What the journal says of positions that move: which exits protect nothing any more."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve

from app.domain.exits import Exit, ExitKind
from app.domain.ids import ROUTER
from app.domain.move_ground import Ground, stale_exits
from app.domain.moving import Move, MoveKind
from app.domain.position_situation import Standing
from messages.failover import Route
from messages.orders import LegState, OrderView
from messages.positions import PositionPolicy
from tests.domain.orders import BTC, key, leg, order

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
