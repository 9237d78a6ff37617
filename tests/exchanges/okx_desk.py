"""Desks at a simulated OKX: its swaps and its spot markets, which are one account."""

from collections.abc import Iterator

from app.domain.calls import Found, Placed
from app.simulator.thread import SimulatorThread
from messages.market import MarketType
from messages.orders import LegState, OrderSpec
from tests.exchanges.desk import PATIENCE_S, Desk, wire_id

PRICE = 27000
"""At which the simulated markets stand."""


def opened(market_type: MarketType) -> Iterator[Desk]:
    """A desk at an OKX of its own, where nothing hangs: a request may take as long as a slow machine needs."""
    with SimulatorThread(("okx",)) as sims:
        desk = Desk.at(sims, "okx", market_type, timeout_s=PATIENCE_S)
        assert desk.open() == ""
        yield desk
        desk.close()


def at_rest(desk: Desk) -> Iterator[Desk]:
    """Without faults, orders and positions, at the price it began with."""
    yield desk
    desk.truthful.clear_faults()
    for order in desk.truthful.truth()["orders"]:
        if order["status"] in ("open", "partially_filled"):
            desk.truthful.ask("POST", "/cancel", {"order_id": order["order_id"]})
    move(desk, PRICE)
    desk.flat()


def move(desk: Desk, price: int | str) -> None:
    """The market of bitcoin moves."""
    desk.truthful.price(desk.native(desk.btc), price)


def placed(desk: Desk, what: OrderSpec) -> str:
    """Places an order that is taken; its wire id."""
    wire = wire_id()
    result = desk.place(what, wire)
    assert isinstance(result, Placed), result
    return wire


def found(desk: Desk, wire: str, *, conditional: bool = False) -> tuple[LegState, str, str]:
    """State, what filled and what it is for, as the look-up has it."""
    result = desk.look_up(wire, conditional=conditional)
    assert isinstance(result, Found), result
    report = result.report
    assert report.wire_id == wire
    return report.state, str((report.filled or 0) + 0), str(report.quantity)
