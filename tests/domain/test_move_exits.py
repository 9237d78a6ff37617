"""What a position is made of: the exits that go along, and in which order its parts are moved."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import evolve

from app.domain.exits import Exit, ExitKind, spec_of
from app.domain.move_exits import pieces_of
from messages.orders import LegState, LegView, Linked, OrderKey, OrderSpec, OrderView, Side
from tests.domain.orders import spec

D = Decimal


def order(name: str, of: OrderSpec, filled: str, **leg: Any) -> OrderView:
    made = LegView(
        number=1,
        exchange="bybit",
        epoch=1,
        wire_id=name,
        quantity=of.quantity,
        state=LegState.FILLED,
        committed_s=1.0,
        expiry_s=2.0,
        attempts=1,
        exchange_order_id="x",
        filled=D(filled),
        average_price=None,
        reason_code=None,
        reason_words=None,
        native_code=None,
        created_s=1.0,
        updated_s=1.0,
    )
    key = OrderKey(strategy="s", client_order_id=name)
    return OrderView(order_id=name, key=key, spec=of, legs=(evolve(made, **leg),), created_s=1.0)


def buy(name: str, filled: str, stop: str | None = None, side: Side = Side.BUY, **leg: Any) -> OrderView:
    of = evolve(spec(), side=side, quantity=D(filled), stop_loss=None if stop is None else D(stop))
    return order(name, of, filled, **leg)


def told(*pieces: tuple[str, str | None]) -> list[tuple[Decimal, Decimal | None]]:
    return [(D(size), None if stop is None else D(stop)) for size, stop in pieces]


def test_the_newest_orders_make_up_what_stands_there() -> None:
    newest = [buy("c", "1"), buy("sold", "2", side=Side.SELL), buy("b", "2", "90"), buy("a", "5", "80")]
    found = [(each.quantity, each.stop_loss) for each in pieces_of("bybit", D(4), newest, [])]
    assert found == told(("1", None), ("2", "90"), ("1", "80"))
    assert pieces_of("okx", D(4), newest, []) == ()
    assert [(p.quantity, p.stop_loss) for p in pieces_of("bybit", D(-1), newest, [])] == told(("1", None))


def test_exits_that_are_orders_say_what_is_protected_and_where() -> None:
    parent = buy("p", "3", "90", linked=Linked.OPEN)
    name = Exit("p", 1, ExitKind.STOP_LOSS, 1)
    of = spec_of(parent.spec, ExitKind.STOP_LOSS, D(2), D(85))  # its owner has moved it
    stands = order(name.client_order_id, of, "0", state=LegState.OPEN)
    given_up = order(
        Exit("p", 1, ExitKind.STOP_LOSS, 2).client_order_id, of, "0", state=LegState.OPEN, linked=Linked.GIVEN_UP
    )
    found = pieces_of("bybit", D(3), [parent], [(parent, [stands, given_up])])
    assert [(each.quantity, each.stop_loss) for each in found] == told(("2", "85"))
    less = pieces_of("bybit", D(1), [parent], [(parent, [stands])])
    assert [(each.quantity, each.stop_loss) for each in less] == told(("1", "85")), "never more than stands there"
    assert pieces_of("bybit", D(-3), [], [(parent, [stands])]) == ()
