"""The executions of one order, as every exchange lists them: all of them, each once, exact, and of no other order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.domain.calls import Fills, Found, Placed
from tests.exchanges.desk import Desk, spec, stop, wire_id


def executions(desk: Desk, wire: str, order_id: str | None, *, conditional: bool = False) -> Fills:
    """What is asked for one order."""
    answer = desk.fills_of(wire, order_id, conditional=conditional)
    assert isinstance(answer, Fills), answer
    return answer


def agree(desk: Desk, wire: str, told: Fills) -> None:
    """They are what the exchange's books have of the order."""
    true = [each for each in desk.truthful.truth()["fills"] if each["client_order_id"] == wire]
    assert true, "something filled"
    assert sorted((fill.quantity, fill.price) for fill in told.fills) == sorted(
        (Decimal(each["qty"]), Decimal(each["price"])) for each in true
    )
    assert len({fill.trade_id for fill in told.fills}) == len(told.fills)
    assert all(fill.fee is not None and fill.fee_coin for fill in told.fills)


def check(desk: Desk) -> None:
    """A part, the rest later, and another order's beside it."""
    mine, other = wire_id(), wire_id()
    placed = [desk.place(spec("0.05", of=desk.btc), wire) for wire in (mine, other)]
    for answer in placed:
        assert isinstance(answer, Placed)
    (mine_id, other_id) = (answer.report.exchange_order_id for answer in placed if isinstance(answer, Placed))
    assert executions(desk, mine, mine_id).fills == ()
    desk.truthful.fill(client_order_id=mine, qty="0.01")
    desk.truthful.fill(client_order_id=other, qty="0.03")
    desk.truthful.fill(client_order_id=mine, qty="0.015")
    told = executions(desk, mine, mine_id)
    agree(desk, mine, told)
    assert sum(fill.quantity for fill in told.fills) == Decimal("0.025")
    agree(desk, other, executions(desk, other, other_id))
    by_symbol = desk.fills()
    assert isinstance(by_symbol, Fills)
    ids = {fill.trade_id for fill in told.fills}
    assert ids == {fill.trade_id for fill in by_symbol.fills if fill.exchange_order_id == mine_id}, "the same ids"
    desk.cancel(other)
    desk.truthful.fill(client_order_id=mine)
    agree(desk, mine, executions(desk, mine, mine_id))


def test_of_a_swap(desk: Desk) -> None:
    check(desk)


def test_on_spot(spot_desk: Desk) -> None:
    check(spot_desk)


def test_of_what_a_trigger_set_off(desk: Desk) -> None:
    """By the id under which it waited: what it became may have another."""
    wire = wire_id()
    placed = desk.place(spec("0.01", of=desk.btc, price=None, trigger=stop("28000")), wire)
    assert isinstance(placed, Placed)
    waiting_id = placed.report.exchange_order_id
    assert executions(desk, wire, waiting_id, conditional=True).fills == ()
    there = desk.truth(wire)[0]["symbol"]
    desk.truthful.price(there, "28000")
    agree(desk, wire, executions(desk, wire, waiting_id, conditional=True))
    found = desk.look_up(wire, conditional=True)
    assert isinstance(found, Found)
    agree(desk, wire, executions(desk, wire, found.report.exchange_order_id, conditional=True))
    desk.truthful.price(there, "27000")


@pytest.mark.parametrize("times", [130])
def test_more_than_a_page(desk: Desk, times: int) -> None:
    """Of an order that many small ones took."""
    wire = wire_id()
    placed = desk.place(spec("1.3", of=desk.btc), wire)
    assert isinstance(placed, Placed)
    for _ in range(times):
        desk.truthful.fill(client_order_id=wire, qty="0.01")
    told = executions(desk, wire, placed.report.exchange_order_id)
    agree(desk, wire, told)
    assert len(told.fills) == times


def test_more_than_are_told_at_once_on_spot(spot_desk: Desk) -> None:
    """Kraken tells twenty trades by their ids at once."""
    wire = wire_id()
    placed = spot_desk.place(spec("0.45", of=spot_desk.btc), wire)
    assert isinstance(placed, Placed)
    for _ in range(45):
        spot_desk.truthful.fill(client_order_id=wire, qty="0.01")
    agree(spot_desk, wire, executions(spot_desk, wire, placed.report.exchange_order_id))
