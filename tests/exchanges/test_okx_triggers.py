"""OKX's orders that wait for a trigger, over real HTTP: every life such an order can have, on swaps and on spot."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from app.domain.calls import (
    Amended,
    CallFailed,
    CancelConfirmed,
    CancelTooLate,
    ClosedOrders,
    Fills,
    Found,
    LookUpCall,
    NotFound,
    OpenOrders,
    Refused,
)
from messages.market import MarketType
from messages.orders import LegState, Side, TimeInForce, Trigger, TriggerBy
from tests.exchanges.desk import Desk, stop, take_profit, wire_id
from tests.exchanges.okx_desk import at_rest, found, move, opened, placed


@pytest.fixture(scope="module", params=[MarketType.SWAP, MarketType.SPOT])
def both(request: pytest.FixtureRequest) -> Iterator[Desk]:
    yield from opened(request.param)


@pytest.fixture
def desk(both: Desk) -> Iterator[Desk]:
    both.own("BTC", "1")
    yield from at_rest(both)


@pytest.mark.parametrize(
    ("side", "trigger", "price", "to"),
    [
        (Side.BUY, stop("28000"), None, 28000),
        (Side.SELL, stop("26000"), None, 26000),
        (Side.BUY, take_profit("26000"), None, 26000),
        (Side.SELL, take_profit("28000"), None, 28000),
        (Side.BUY, stop("28000"), "28100", 28000),
        (Side.SELL, take_profit("28000"), "27900", 28000),
    ],
)
def test_waits_is_set_off_and_fills(desk: Desk, side: Side, trigger: Trigger, price: str | None, to: int) -> None:
    wire = placed(desk, desk.spec("0.02", side=side, price=price, trigger=trigger))
    (truth,) = desk.truth(wire)
    assert (truth["qty"], truth["side"], truth["price"]) == ("0.02", side.value, price)
    assert (truth["triggered"], Decimal(truth["trigger_price"])) == (False, trigger.price)
    assert found(desk, wire, conditional=True) == (LegState.OPEN, "0", "0.02")

    move(desk, to)
    state, filled, quantity = found(desk, wire, conditional=True)
    assert (state, Decimal(filled), Decimal(quantity)) == (LegState.FILLED, Decimal("0.02"), Decimal("0.02"))
    result = desk.look_up(wire, conditional=True)
    assert isinstance(result, Found)
    assert result.report.exchange_order_id == truth["order_id"], "from now on it goes by the id of what it became"
    fills = desk.fills()
    assert isinstance(fills, Fills)
    assert truth["order_id"] in {fill.exchange_order_id for fill in fills.fills}


def test_a_size_in_base_coin_stays_one_when_it_buys_at_market(desk: Desk) -> None:
    """Spot's default for such an order is the coin to spend."""
    wire = placed(desk, desk.spec("0.03", price=None, trigger=stop("28000")))
    assert desk.truth(wire)[0]["qty"] == "0.03"


def test_by_the_mark_price_on_swaps_and_refused_in_words_on_spot(desk: Desk) -> None:
    what = desk.spec(price=None, trigger=stop("28000", TriggerBy.MARK))
    if desk.market_type is MarketType.SPOT:
        result = desk.place(what, wire_id())
        assert isinstance(result, Refused)
        assert result.words == "okx sets spot orders off by the last price only, not by the mark price."
        return
    wire, by_last = placed(desk, what), placed(desk, desk.spec(price=None, trigger=stop("28000")))
    desk.truthful.ask("POST", "/mark", {"symbol": desk.native(desk.btc), "price": "28500"})
    try:
        assert found(desk, wire, conditional=True)[0] is LegState.FILLED
        assert found(desk, by_last, conditional=True)[0] is LegState.OPEN, "the last price is where it was"
    finally:
        desk.truthful.ask("POST", "/mark", {"symbol": desk.native(desk.btc), "price": None})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"price": "28100", "tif": TimeInForce.IOC}, "cannot be IOC"),
        ({"price": "28100", "tif": TimeInForce.POST_ONLY}, "cannot be PostOnly"),
    ],
)
def test_what_cannot_wait_is_refused_in_words_and_not_sent(desk: Desk, change: dict[str, Any], words: str) -> None:
    sent = desk.seen("place")
    result = desk.place(desk.spec(trigger=stop("28000"), **change), wire_id())
    assert isinstance(result, Refused)
    assert words in result.words
    assert desk.seen("place") == sent


def test_a_trigger_the_price_is_past_is_refused_by_its_code(desk: Desk) -> None:
    for trigger, code in ((stop("26000"), "51278"), (take_profit("28000"), "51277")):
        result = desk.place(desk.spec(price=None, trigger=trigger), wire_id())
        assert isinstance(result, Refused)
        assert result.native_code == code
        assert result.code in ("invalid_stop_loss", "invalid_take_profit")


def test_a_second_one_under_the_same_wire_id_is_a_duplicate(desk: Desk) -> None:
    what = desk.spec(price=None, trigger=stop("28000"))
    wire = placed(desk, what)
    again = desk.place(what, wire)
    assert getattr(again, "duplicate", False), again
    assert len(desk.truth(wire)) == 1


def test_cancelled_while_it_waits(desk: Desk) -> None:
    wire = placed(desk, desk.spec(price=None, trigger=stop("28000")))
    assert isinstance(desk.cancel(wire, conditional=True), CancelConfirmed)
    assert found(desk, wire, conditional=True)[:2] == (LegState.CANCELLED, "0")
    again = desk.cancel(wire, conditional=True)
    assert isinstance(again, CancelConfirmed)
    assert again.final is not None
    assert again.final.state is LegState.CANCELLED, "its end is proven by the look-up that follows the refusal"
    closed = desk.closed_orders()
    assert isinstance(closed, ClosedOrders)
    assert (wire, LegState.CANCELLED) in {(each.wire_id, each.state) for each in closed.reports}


def test_cancelled_after_it_was_set_off_while_what_it_became_rests(desk: Desk) -> None:
    wire = placed(desk, desk.spec(price="27500", trigger=stop("28000")))
    move(desk, 28000)
    assert found(desk, wire, conditional=True)[0] is LegState.OPEN
    assert desk.truth(wire)[0]["triggered"]
    listed = desk.open_orders(conditional=True)
    assert isinstance(listed, OpenOrders)
    assert [each.wire_id for each in listed.reports] == [wire], "once, and under the wire id"
    assert isinstance(desk.cancel(wire, conditional=True), CancelConfirmed)
    assert desk.truth(wire)[0]["status"] == "cancelled"
    assert found(desk, wire, conditional=True)[0] is LegState.CANCELLED


def test_what_it_became_is_forgotten_two_hours_after_it_was_cancelled_and_so_never_filled(desk: Desk) -> None:
    wire = placed(desk, desk.spec(price="27500", trigger=stop("28000")))
    move(desk, 28000)
    desk.cancel(wire, conditional=True)
    hours = 3 * 3600
    desk.truthful.ask("POST", "/clock", {"ahead_s": hours})
    desk.clock.behind_s = -hours
    try:
        asked = LookUpCall(
            symbol=desk.btc,
            wire_id=wire,
            exchange_order_id=None,
            since_s=desk.clock() - hours - 60,
            deadline_s=desk.soon(),
            conditional=True,
        )
        answer = desk.do(asked)
        assert isinstance(answer, Found)
        assert (answer.report.state, answer.report.filled) == (LegState.CANCELLED, Decimal(0))
    finally:
        desk.truthful.ask("POST", "/clock", {"ahead_s": 0})
        desk.clock.behind_s = 0.0


def test_cancelled_after_what_it_became_has_filled_is_too_late(desk: Desk) -> None:
    wire = placed(desk, desk.spec(price=None, trigger=stop("28000")))
    move(desk, 28000)
    assert isinstance(desk.cancel(wire, conditional=True), CancelTooLate)


def test_one_nobody_placed_is_not_found_and_too_late_to_cancel(desk: Desk) -> None:
    wire = wire_id()
    assert isinstance(desk.look_up(wire, conditional=True), NotFound)
    assert isinstance(desk.cancel(wire, conditional=True), CancelTooLate)


def test_refused_when_it_is_set_off(desk: Desk) -> None:
    """There is not the money for it by then; nothing is frozen while it waits."""
    wire = placed(desk, desk.spec("90", price=None, trigger=stop("28000")))
    move(desk, 28000)
    assert found(desk, wire, conditional=True)[:2] == (LegState.REFUSED, "0")


def test_nothing_left_to_reduce_when_it_is_set_off(desk: Desk) -> None:
    if desk.market_type is MarketType.SPOT:
        return
    wire = placed(desk, desk.spec(side=Side.SELL, price=None, trigger=stop("26000"), reduce_only=True))
    move(desk, 26000)
    assert found(desk, wire, conditional=True)[:2] == (LegState.CANCELLED, "0")
    assert desk.truthful.truth()["positions"] == {}


def test_the_list_of_open_orders_has_those_that_wait_only_when_asked(desk: Desk) -> None:
    waits = placed(desk, desk.spec(price=None, trigger=stop("28000")))
    rests = placed(desk, desk.spec())
    for conditional, expected in ((True, {waits, rests}), (False, {rests})):
        for of in (None, desk.btc):
            listed = desk.open_orders(of, conditional=conditional)
            assert isinstance(listed, OpenOrders)
            assert {each.wire_id for each in listed.reports} == expected


def test_every_part_of_it_can_be_changed_while_it_waits(desk: Desk) -> None:
    what = desk.spec("0.02", price="28100", trigger=stop("28000"))
    wire = placed(desk, what)
    assert desk.amend(wire, what, trigger_price="28500", price="28600", quantity="0.03") == Amended(report=None)
    (truth,) = desk.truth(wire)
    assert (truth["trigger_price"], truth["price"], truth["qty"]) == ("28500", "28600", "0.03")
    move(desk, 28400)
    assert found(desk, wire, conditional=True) == (LegState.OPEN, "0", "0.03")


def test_changed_after_it_was_set_off_the_order_is_changed_that_it_became(desk: Desk) -> None:
    what = desk.spec("0.02", price="27500", trigger=stop("28000"))
    wire = placed(desk, what)
    move(desk, 28000)
    assert desk.amend(wire, what, price="27400") == Amended(report=None)
    assert desk.truth(wire)[0]["price"] == "27400"
    late = desk.amend(wire, what, trigger_price="28900")
    assert isinstance(late, CancelTooLate), "its trigger is gone, and what the exchange said of it is answered"
    assert late.native_code == "51503"


def test_an_unknown_one_and_one_that_ended_cannot_be_changed(desk: Desk) -> None:
    what = desk.spec("0.02", price=None, trigger=stop("28000"))
    assert isinstance(desk.amend(wire_id(), what, trigger_price="28900"), CancelTooLate)
    wire = placed(desk, what)
    desk.cancel(wire, conditional=True)
    assert isinstance(desk.amend(wire, what, trigger_price="28900"), CancelTooLate)
    assert desk.truth(wire)[0]["trigger_price"] == "28000"


def test_a_look_up_that_cannot_ask_everything_says_so(desk: Desk) -> None:
    """Not found is said only when the waiting, those that ended and what they became could all be asked."""
    for call in ("order", "open_orders", "closed_orders"):
        desk.truthful.clear_faults()
        desk.truthful.fault("http_5xx", call=call)
        assert isinstance(desk.look_up(wire_id(), conditional=True), CallFailed), call


def test_an_answer_that_never_came_is_found_by_the_wire_id(desk: Desk) -> None:
    wire = wire_id()
    desk.truthful.fault("drop_after", call="place", count=1)
    result = desk.place(desk.spec(price=None, trigger=stop("28000")), wire)
    assert type(result).__name__ == "Ambiguous"
    assert found(desk, wire, conditional=True)[0] is LegState.OPEN
