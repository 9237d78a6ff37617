"""A look-up is a proof of absence only when every part of it succeeded: any part that fails makes it fail."""

import time
from typing import Any

import pytest

from app.domain.calls import CallFailed, CancelConfirmed, LookUpCall, NotFound, OpenOrders, Placed
from messages.health import ProbeKind
from tests.exchanges.desk import BTC, EXCHANGES, Desk, spec, wire_id

PARTS = {
    "bybit": ("open_orders", "closed_orders", "fills"),
    "okx": ("order", "closed_orders", "fills"),
    "binance": ("order", "closed_orders", "fills"),
    "kraken": ("order", "open_orders", "closed_orders", "fills"),
}
"""The requests of a look-up that finds nothing, in order. Binance's fills are asked where its own order id is known."""

FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("hang_before", {}, "timeout"),
    ("drop_before", {}, "connection_lost"),
    ("http_5xx", {}, "exchange_unavailable"),
    ("half_json", {}, "bad_response"),
]


@pytest.mark.parametrize(("kind", "params", "code"), FAULTS, ids=[kind for kind, *_ in FAULTS])
@pytest.mark.parametrize(("name", "part"), [(name, part) for name in EXCHANGES for part in PARTS[name]])
def test_a_part_that_fails_makes_the_look_up_fail(
    desks: dict[str, Desk], name: str, part: str, kind: str, params: dict[str, Any], code: str
) -> None:
    """Never `NotFound`: a network error is not absence."""
    desk = desks[name]
    desk.flat()
    desk.truthful.fault(kind, call=part, params=params)
    answer = desk.look_up(wire_id(), order_id="1")
    desk.truthful.clear_faults()
    assert isinstance(answer, CallFailed)
    assert (answer.code, answer.ill, answer.retryable) == (code, True, True)
    assert isinstance(desk.look_up(wire_id(), order_id="1"), NotFound)


@pytest.mark.parametrize("call", ["positions", "balances", "ticker", "open_orders"])
@pytest.mark.parametrize(("kind", "params", "code"), FAULTS, ids=[kind for kind, *_ in FAULTS])
def test_a_reading_that_fails_says_so(desk: Desk, call: str, kind: str, params: dict[str, Any], code: str) -> None:
    """Never an empty list."""
    desk.truthful.fault(kind, params=params)
    answer = getattr(desk, call)()
    desk.truthful.clear_faults()
    assert isinstance(answer, CallFailed)
    assert answer.ill
    assert answer.code == code


@pytest.mark.parametrize("kind", [ProbeKind.PUBLIC, ProbeKind.SIGNED])
def test_a_probe_that_fails_speaks_against_the_exchange(desk: Desk, kind: ProbeKind) -> None:
    """Both kinds, at a 503."""
    desk.truthful.fault("http_5xx")
    answer = desk.probe(kind)
    desk.truthful.clear_faults()
    assert isinstance(answer, CallFailed)
    assert answer.ill


def test_a_look_up_is_bounded_by_its_deadline(desk: Desk) -> None:
    """Several parts, each within its own timeout, may not exceed it together."""
    desk.truthful.fault("slow", params={"delay_s": 0.2})
    begin = time.monotonic()
    now_s = desk.clock()
    answer = desk.do(
        LookUpCall(symbol=BTC, wire_id=wire_id(), exchange_order_id=None, since_s=now_s - 60, deadline_s=now_s + 0.3)
    )
    assert isinstance(answer, CallFailed)
    assert answer.code == "timeout"
    assert time.monotonic() - begin < 1.0


def test_lists_are_read_to_their_end(desk: Desk) -> None:
    """Exchanges answer in pages of 50 or 100."""
    resting = {wire_id() for _ in range(110)}
    for wire in resting:
        assert isinstance(desk.place(spec("0.001"), wire), Placed)
    listed = desk.open_orders()
    assert isinstance(listed, OpenOrders)
    assert resting <= {report.wire_id for report in listed.reports}
    for wire in resting:
        assert isinstance(desk.cancel(wire), CancelConfirmed)
    before = desk.seen("closed_orders")
    assert isinstance(desk.look_up(wire_id()), NotFound)
    assert desk.seen("closed_orders") - before == (2 if desk.name == "okx" else 1)
    left = desk.open_orders()
    assert isinstance(left, OpenOrders)
    assert resting.isdisjoint({report.wire_id for report in left.reports})
