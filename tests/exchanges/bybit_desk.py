"""A desk at a simulated Bybit: its linear swaps."""

from collections.abc import Iterator

from app.domain.calls import Found, OrderReport
from app.simulator.thread import SimulatorThread
from tests.exchanges.desk import Desk

HOST = "BTC/USDT:USDT"


def opened() -> Iterator[Desk]:
    """A desk at a Bybit of its own."""
    with SimulatorThread(["bybit"]) as sims:
        desk = Desk(sims["bybit"])
        assert desk.open() == ""
        yield desk
        desk.close()


def at_rest(desk: Desk) -> Iterator[Desk]:
    """With nothing open and the price at 27,000, before and after."""
    yield desk
    desk.truthful.clear_faults()
    desk.truthful.ask("POST", "/mark", {"symbol": HOST, "price": None})
    desk.truthful.price(HOST, 27000)
    for order in desk.truthful.truth()["orders"]:
        if order["status"] in ("open", "partially_filled"):
            desk.truthful.ask("POST", "/cancel", {"order_id": order["order_id"]})
    desk.flat()


def found(desk: Desk, wire: str) -> OrderReport:
    """What a look-up of an order with a trigger tells."""
    answer = desk.look_up(wire, conditional=True)
    assert isinstance(answer, Found)
    return answer.report


def requests(desk: Desk, call: str) -> int:
    """How many requests of a call arrived."""
    return desk.seen(call)
