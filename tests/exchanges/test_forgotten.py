"""Exchanges forget what ended without a fill. Not to be taken for it: what was sent a moment ago, and is not shown yet.

A look-up goes back to when an order was first sent. Proven absent and sent again hours or days later, under the same
id, it is as young as its last commit; and one that rested for days may be missing from every list while it executes.
"""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.domain.calls import CallFailed, Found, LookUpCall, NotFound, Placed, Result
from app.simulator.thread import SimulatorThread
from messages.market import MarketType
from messages.orders import LegState
from tests.exchanges.desk import Desk, until, wire_id

HOUR_S = 3600.0
HIDDEN_S = 0.6
"""Less than the lag that profiles count with."""
KEPT = {
    ("okx", MarketType.SWAP): 3 * HOUR_S,
    ("okx", MarketType.SPOT): 3 * HOUR_S,
    ("bybit", MarketType.SWAP): 26 * HOUR_S,
    ("bybit", MarketType.SPOT): 26 * HOUR_S,
    ("binance", MarketType.SWAP): 74 * HOUR_S,
}
"""Older than what each of them forgets."""


@pytest.fixture(scope="module")
def sims() -> Iterator[SimulatorThread]:
    with SimulatorThread(["okx", "bybit", "binance"]) as made:
        yield made


@pytest.fixture(params=list(KEPT), ids=lambda key: "-".join(key))
def desk(request: pytest.FixtureRequest, sims: SimulatorThread) -> Iterator[Desk]:
    name, market_type = request.param
    desk = Desk.at(sims, name, market_type)
    assert desk.open() == ""
    yield desk
    desk.flat()
    desk.close()


def look_up(
    desk: Desk, wire: str, order_id: str | None, *, committed_s: float | None, age_s: float | None = None
) -> Result:
    age_s = KEPT[desk.name, desk.market_type] if age_s is None else age_s
    return desk.do(
        LookUpCall(
            symbol=desk.btc,
            wire_id=wire,
            exchange_order_id=order_id,
            since_s=desk.clock() - age_s,
            committed_s=committed_s,
            deadline_s=desk.soon(),
        )
    )


def hidden(desk: Desk) -> tuple[str, str]:
    """Places an order that no list shows for a while."""
    desk.truthful.fault("not_visible", call="place", count=1, params={"delay_s": HIDDEN_S})
    result = desk.place(desk.spec("0.02"), wire := wire_id())
    assert isinstance(result, Placed)
    return wire, result.report.exchange_order_id


def test_what_was_sent_again_a_moment_ago_is_not_forgotten(desk: Desk) -> None:
    wire, order_id = hidden(desk)
    assert isinstance(look_up(desk, wire, order_id, committed_s=desk.clock()), NotFound)

    def seen() -> Found | None:
        answer = look_up(desk, wire, order_id, committed_s=desk.clock())
        return answer if isinstance(answer, Found) else None

    assert until(seen).report.state is LegState.OPEN


def test_what_every_list_misses_for_a_moment_only_is_not_forgotten(desk: Desk) -> None:
    wire, order_id = hidden(desk)
    answer = look_up(desk, wire, order_id, committed_s=None)
    assert isinstance(answer, Found)
    assert (answer.report.state, answer.report.filled) == (LegState.OPEN, Decimal(0))


def test_absence_of_what_was_sent_again_just_now_is_proven_however_long_ago_it_was_sent_first(desk: Desk) -> None:
    week_s = 7 * 24 * HOUR_S
    assert isinstance(look_up(desk, wire_id(), None, committed_s=desk.clock(), age_s=week_s), NotFound)
    assert isinstance(look_up(desk, wire_id(), None, committed_s=None, age_s=week_s), CallFailed)
