"""Kraken Futures history: every event of an order, in pages, found by the client id; and what ccxt makes of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulator.desk import Desk

BTC, ETH = "BTC/USD:USD", "ETH/USD:USD"


@pytest.fixture(scope="module")
def client_of_module() -> Iterator[Desk]:
    """The desk with its client, kept for the module."""
    desk = Desk("kraken")
    yield desk
    desk.close()


@pytest.fixture
def desk(client_of_module: Desk) -> Iterator[Desk]:
    """The desk at an exchange of its own."""
    with client_of_module.exchange() as running:
        yield running


def events(desk: Desk, **params: Any) -> list[tuple[str, str, str, str]]:
    """(kind, client id, quantity, filled) of the order events, as they come."""
    told = []
    for element in desk.run(desk.client.historyGetOrders(params))["elements"]:
        ((kind, body),) = element["event"].items()
        order = body.get("order") or body["newOrder"]
        told.append((kind, order["clientId"], order["quantity"], order["filled"]))
    return told


def tick(desk: Desk) -> None:
    """Let the exchange's clock go on, so that events are apart."""
    desk.clock.ahead_ms += 10


def place(desk: Desk, client_id: str, *, symbol: str = BTC, price: float | None = 26_000, qty: float = 0.002) -> None:
    """A buy order."""
    kind = "market" if price is None else "limit"
    desk.run(desk.client.create_order(symbol, kind, "buy", qty, price, {"clientOrderId": client_id}))
    tick(desk)


def test_the_life_of_an_order_newest_event_first(desk: Desk) -> None:
    """Placed, filled in part, cancelled; quantities are what was unfilled then."""
    place(desk, "life")
    desk.sim.control.fill(client_order_id="life", qty="0.0005")
    tick(desk)
    desk.run(desk.client.cancel_orders([], BTC, {"clientOrderIds": ["life"]}))
    assert events(desk) == [
        ("OrderCancelled", "life", "0.0015", "0.0005"),
        ("OrderUpdated", "life", "0.0015", "0.0005"),
        ("OrderPlaced", "life", "0.002", "0"),
    ]
    assert events(desk, sort="asc") == list(reversed(events(desk)))
    assert events(desk, closed="false") == [("OrderPlaced", "life", "0.002", "0")]
    assert [e[0] for e in events(desk, opened="false")] == ["OrderCancelled", "OrderUpdated"]


def test_taking_is_told_with_the_placing_and_resting_with_updates(desk: Desk) -> None:
    """A market order is placed filled; a resting one is updated to full."""
    place(desk, "taker", price=None)
    place(desk, "maker")
    desk.sim.control.fill(client_order_id="maker")
    assert events(desk) == [
        ("OrderUpdated", "maker", "0", "0.002"),
        ("OrderPlaced", "maker", "0.002", "0"),
        ("OrderPlaced", "taker", "0", "0.002"),
    ]
    closed = desk.run(desk.client.fetch_closed_orders(BTC))
    assert sorted((o["clientOrderId"], o["filled"], o["status"]) for o in closed) == [
        ("maker", 0.002, "closed"),
        ("taker", 0.002, "closed"),
    ]


def test_refused_orders_are_remembered(desk: Desk) -> None:
    """Post-only that would take, IOC that would not fill, reduce-only without a position; others leave no trace."""
    for params in ({"postOnly": True}, {"timeInForce": "ioc"}, {"reduceOnly": True}):
        price = 26_000 if "timeInForce" in params else 27_500
        asked = {**params, "clientOrderId": next(iter(params))}
        desk.refused(desk.client.create_order(BTC, "limit", "buy", 0.001, price, asked))
        tick(desk)
    desk.refused(desk.client.create_order(BTC, "market", "buy", 4_000, None, {"clientOrderId": "rich"}))
    told = desk.run(desk.client.historyGetOrders())["elements"]
    rejected = [e["event"]["OrderRejected"] for e in told]
    assert [(r["order"]["clientId"], r["orderError"]) for r in rejected] == [
        ("reduceOnly", "WOULD_NOT_REDUCE_POSITION"),
        ("timeInForce", "IOC_WOULD_NOT_EXECUTE"),
        ("postOnly", "POST_WOULD_EXECUTE"),
    ]


def test_history_comes_in_pages(desk: Desk) -> None:
    """By count and token, by time, by market; nothing is told twice or left out."""
    for n in range(5):
        place(desk, f"p{n}")
    place(desk, "other", symbol=ETH, price=1_700, qty=0.01)
    whole = events(desk)
    assert [e[1] for e in whole] == ["other", "p4", "p3", "p2", "p1", "p0"]
    pages, token = [], ""
    while True:
        params = {"count": 4, **({"continuation_token": token} if token else {})}
        answer = desk.run(desk.client.historyGetOrders(params))
        pages.append([e["event"]["OrderPlaced"]["order"]["clientId"] for e in answer["elements"]])
        token = answer.get("continuationToken", "")
        if not token:
            break
    assert pages == [["other", "p4", "p3", "p2"], ["p1", "p0"]]
    third = desk.order_of("p2")["created_ms"]
    assert [e[1] for e in events(desk, since=third, sort="asc", count=2)] == ["p2", "p3"]
    assert [e[1] for e in events(desk, before=third)] == ["p1", "p0"]
    assert [e[1] for e in events(desk, tradeable="PF_ETHUSD")] == ["other"]
    for bad in ({"count": 0}, {"continuation_token": "!"}):
        assert "invalidArgument" in str(desk.refused(desk.client.historyGetOrders(bad)))


def test_both_versions_answer(desk: Desk) -> None:
    """ccxt asks version 2, the documentation tells version 3."""
    place(desk, "v")
    for version in ("v2", "v3"):
        assert [e[1] for e in events(desk, version=version)] == ["v"]


def test_executions(desk: Desk) -> None:
    """Every fill with its order and fee."""
    place(desk, "x1", price=None)
    place(desk, "x2")
    desk.sim.control.fill(client_order_id="x2", qty="0.001")
    told = [e["event"]["Execution"]["execution"] for e in desk.run(desk.client.historyGetExecutions())["elements"]]
    assert [(t["order"]["clientId"], t["quantity"], t["price"], t["limitFilled"]) for t in told] == [
        ("x2", "0.001", "26000", True),
        ("x1", "0.002", "27001", False),
    ]
    assert {t["uid"] for t in told} == {f["trade_id"] for f in desk.truth()["fills"]}


def test_triggers_have_a_stream_of_their_own(desk: Desk) -> None:
    """Placed, activated, cancelled; the order itself appears among the orders once it is set off."""
    for n, price in enumerate((26_000, 25_000)):
        stop = {"triggerPrice": price, "clientOrderId": f"s{n}"}
        desk.run(desk.client.create_order(BTC, "market", "sell", 0.001, None, stop))
        tick(desk)
    assert events(desk) == []
    desk.sim.control.price(BTC, 25_500)
    tick(desk)
    desk.run(desk.client.cancel_orders([], BTC, {"clientOrderIds": ["s1"]}))
    told = [next(iter(e["event"].items())) for e in desk.run(desk.client.historyGetTriggers())["elements"]]
    assert [(kind, body["order"]["clientId"]) for kind, body in told] == [
        ("OrderTriggerCancelled", "s1"),
        ("OrderTriggerActivated", "s0"),
        ("OrderTriggerPlaced", "s1"),
        ("OrderTriggerPlaced", "s0"),
    ]
    assert {e[1] for e in events(desk)} == {"s0"}


def test_fills_before_a_time(desk: Desk) -> None:
    """The last hundred, or the hundred before `lastFillTime`."""
    for n in range(3):
        place(desk, f"f{n}", price=None)
    listed = desk.run(desk.client.privateGetFills())["fills"]
    assert [f["cliOrdId"] for f in listed] == ["f2", "f1", "f0"]
    before = desk.run(desk.client.privateGetFills({"lastFillTime": listed[0]["fillTime"]}))["fills"]
    assert [f["cliOrdId"] for f in before] == ["f1", "f0"]
    assert "lastFillTime" in str(desk.refused(desk.client.privateGetFills({"lastFillTime": "then"})))


def test_lagging_orders_are_in_no_look_up(desk: Desk) -> None:
    """Neither open orders, status, fills nor history; all of them once the lag is over."""
    desk.sim.control.fault("not_visible", call="place", params={"delay_s": 30})
    place(desk, "lag", price=None)

    def told() -> list[int]:
        return [
            len(desk.run(desk.client.privateGetOrdersStatus({"cliOrdIds": "lag"}))["orders"]),
            len(desk.run(desk.client.fetch_my_trades(BTC))),
            len(events(desk)),
            len(desk.run(desk.client.historyGetExecutions())["elements"]),
        ]

    assert told() == [0, 0, 0, 0]
    assert desk.filled_of("lag") == "0.002"
    desk.clock.ahead_ms += 31_000
    assert told() == [0, 1, 1, 1]  # the status has forgotten it by then


def test_what_ccxt_makes_of_open_orders_in_the_history(desk: Desk) -> None:
    """Its fetch_canceled_orders takes every placed and unfilled order for cancelled, an open one too: do not use it."""
    place(desk, "alive")
    wrong = desk.run(desk.client.fetch_canceled_orders(BTC))
    assert [(o["clientOrderId"], o["status"]) for o in wrong] == [("alive", "canceled")]
    assert desk.order_of("alive")["status"] == "open"
