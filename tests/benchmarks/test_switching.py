"""Rules of the switching bars: what counts as doubled, lost and wrong, how far the net drifted, and how it is shown."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from app.domain.health import HealthSettings
from benchmarks.switching.__main__ import broken
from benchmarks.switching.curve import Execution, executions, gross, largest_drift, points, unexplained
from benchmarks.switching.dead import LOOP, ROUTER
from benchmarks.switching.pages import page
from benchmarks.switching.planned import ORDERS, POSITIONS
from benchmarks.switching.stops import Intent, Ledger, wrong
from benchmarks.switching.svg import drawing
from benchmarks.switching.verdict import Asked, Tally, Told, budget, first_accepted_s, tally

JOURNAL = "0123abcd"
PRICES = {"BTC": Decimal(100)}


def asked(qty: str, told: Told, *, exchange: str = "", answered_s: float = 1.0) -> Asked:
    """One order."""
    return Asked(
        qty=Decimal(qty), side="Buy", sent_s=0.0, answered_s=answered_s, first=told, told=told, exchange=exchange
    )


def filled(*qtys: str) -> list[dict[str, str]]:
    """Orders of the books that executed."""
    return [{"qty": qty, "filled": qty} for qty in qtys]


@pytest.mark.parametrize(
    ("told", "times", "where"),
    [
        (Told.DONE, 1, "once"),
        (Told.DONE, 2, "doubled"),
        (Told.DONE, 0, "lost"),
        (Told.NOT_DONE, 0, "not_done"),
        (Told.NOT_DONE, 1, "lost"),
        (Told.UNKNOWN, 0, "lost"),
        (Told.UNKNOWN, 1, "lost"),
        (Told.UNKNOWN, 2, "doubled"),
    ],
)
def test_an_order_is_counted_once_by_what_the_books_say(told: Told, times: int, where: str) -> None:
    found = tally([asked("0.010", told)], filled(*["0.01"] * times), back_s=5.0)
    assert (found.asked, getattr(found, where)) == (1, 1)
    assert found.once + found.doubled + found.lost + found.not_done == 1


def test_orders_are_told_apart_by_size_and_those_that_waited_are_counted() -> None:
    orders = [asked("0.001", Told.DONE), asked("0.002", Told.DONE, answered_s=6.0), asked("0.003", Told.NOT_DONE)]
    found = tally(orders, [*filled("0.001", "0.002"), {"qty": "0.003", "filled": "0"}], back_s=5.0)
    assert found == Tally(asked=3, once=2, not_done=1, waited=1)
    assert found + found == Tally(asked=6, once=4, not_done=2, waited=2)
    with pytest.raises(ValueError, match="same size"):
        tally([asked("0.001", Told.DONE), asked("0.0010", Told.DONE)], [], back_s=5.0)


def test_the_first_accepted_is_the_backups() -> None:
    orders = [asked("1", Told.DONE, exchange="bybit"), asked("2", Told.DONE, exchange="okx", answered_s=3.0)]
    assert first_accepted_s([*orders, asked("3", Told.DONE, exchange="okx", answered_s=2.5)], "okx") == 2.5
    assert first_accepted_s(orders, "binance") is None


def test_the_bar_is_the_detectors_budget_and_a_little() -> None:
    settings = HealthSettings(
        health_check_interval_s=1.0, max_retry_attempts=1, retry_delay_s=0.1, probe_timeout_s=1.0, jitter=0.0
    )
    refused = budget(settings, silent=False, request_timeout_s=1.0)
    assert (refused.detection_s, refused.bar_s) == (1.0, 1.3)
    silent = budget(settings, silent=True, request_timeout_s=1.0)
    assert (silent.detection_s, silent.bar_s) == (3.0, 4.3)


# ---- the curve


def made(at_ms: int, exchange: str, quantity: str, *, own: bool = False) -> Execution:
    """One fill of BTC."""
    return Execution(
        at_ms=at_ms, exchange=exchange, base="BTC", quantity=Decimal(quantity), price=Decimal(100), own=own
    )


def test_the_drift_is_what_the_strategy_did_not_ask_for() -> None:
    standing = points(
        [made(1, "bybit", "5", own=True), made(2, "okx", "1"), made(3, "bybit", "-1"), made(4, "okx", "2")]
    )
    assert [point.drift.get("BTC", 0) for point in standing] == [0, 1, 0, 2]
    assert largest_drift(standing, PRICES) == {"BTC": 200}
    assert gross(standing[-1], "bybit", PRICES) == 400
    assert gross(standing[-1], "okx", PRICES) == 300


def test_positions_that_no_execution_explains_are_said() -> None:
    standing = points([made(1, "bybit", "5", own=True), made(2, "bybit", "-5"), made(2, "okx", "5")])
    told: dict[str, dict[str, Any]] = {"bybit": {"positions": {}}, "okx": {"positions": {"BTC/USDT:USDT": "5"}}}
    assert unexplained(standing, told) == []
    told["okx"]["positions"]["BTC/USDT:USDT"] = "4"
    assert unexplained(standing, told) == ["okx tells of 4 BTC, and its executions add up to 5."]


def test_of_one_millisecond_the_worst_order_is_taken() -> None:
    standing = points([made(1, "okx", "1"), made(2, "bybit", "-1"), made(2, "okx", "1")])
    assert largest_drift(standing, PRICES) == {"BTC": 200}, "opened again before what was open is closed"


def test_executions_are_the_exchanges_own_and_the_strategys_are_known_by_their_ids() -> None:
    fill = {"ts_ms": 7, "symbol": "BTC/USD:USD", "side": "sell", "qty": "2", "price": "100", "client_order_id": "w"}
    (own,) = executions({"kraken": {"fills": [fill]}}, {"w"})
    assert (own.base, own.quantity, own.own) == ("BTC", Decimal(-2), True)
    (other,) = executions({"kraken": {"fills": [fill]}}, set())
    assert not other.own


# ---- the stops

INTENT = Intent(client_order_id="one", base="BTC", side="Buy", kind="limit", qty=Decimal(10))


def books(ledger: Ledger, *legs: tuple[str, str, str, str], **positions: str) -> dict[str, dict[str, Any]]:
    """Truths with legs (exchange, status, qty, filled) of the one order, and positions in BTC by exchange."""
    wires = list(ledger.of_wire)
    truths: dict[str, dict[str, Any]] = {
        name: {"orders": [], "positions": {"BTC/USDT:USDT": positions.get(name, "0")}} for name in ("bybit", "okx")
    }
    for wire, (exchange, status, qty, filled) in zip(wires, legs, strict=False):
        truths[exchange]["orders"].append({"client_order_id": wire, "status": status, "qty": qty, "filled": filled})
    return truths


@pytest.mark.parametrize(
    ("legs", "words"),
    [
        ([("bybit", "cancelled", "10", "3"), ("okx", "open", "7", "0")], []),
        ([("bybit", "cancelled", "10", "3"), ("okx", "open", "10", "0")], ["rests with 10"]),
        ([("bybit", "partially_filled", "10", "3"), ("okx", "open", "7", "0")], ["rests 2 times", "rests on bybit"]),
        ([("bybit", "partially_filled", "10", "3")], ["rests on bybit, not on okx"]),
        ([("bybit", "cancelled", "10", "3")], ["rests nowhere, with 7 left"]),
        ([("bybit", "cancelled", "10", "2"), ("okx", "open", "8", "0")], ["filled 2, and the market took 3"]),
    ],
)
def test_a_stop_is_right_when_each_order_rests_there_once_with_what_is_left(
    legs: list[tuple[str, str, str, str]], words: list[str]
) -> None:
    ledger = Ledger([INTENT], journal_id=JOURNAL, strategy="s")
    found = list(
        wrong(ledger, books(ledger, *legs), where="okx", executed={"one": Decimal(3)}, positions={"BTC": Decimal(0)})
    )
    assert all(any(part in said for said in found) for part in words), found
    assert bool(found) is bool(words)


def test_a_position_must_stand_at_the_stop_and_nowhere_else() -> None:
    ledger = Ledger([], journal_id=JOURNAL, strategy="s")
    wanted = {"BTC": Decimal(2)}
    assert list(wrong(ledger, books(ledger, okx="2"), where="okx", executed={}, positions=wanted)) == []
    found = list(wrong(ledger, books(ledger, bybit="1", okx="1"), where="okx", executed={}, positions=wanted))
    assert found == ["bybit holds 1 BTC instead of 0.", "okx holds 1 BTC instead of 2."]


def test_twenty_orders_and_five_positions_set_out() -> None:
    assert (len(ORDERS), len(POSITIONS)) == (20, 5)


# ---- how it is shown


def result() -> dict[str, Any]:
    """Figures of both parts that meet every bar."""
    orders = {"asked": 40, "once": 40, "doubled": 0, "lost": 0, "not_done": 0, "waited": 3}
    way = {
        "took": {"runs": 2, "p50_ms": 100.0, "p95_ms": 200.0, "max_ms": 200.0},
        "unanswered": 0,
        "orders": orders,
    }
    about = {"date": "2026-11-23T01:00:00", "commit": "0123456789", "machine": {"cores": 2, "load_before": [0.5]}}
    death = {
        "name": "refused",
        "title": "It refuses connections",
        "words": "At once.",
        "detection_budget_s": 1.0,
        "bar_ms": 1300.0,
        "ways": {ROUTER: way, LOOP: {**way, "orders": {**orders, "doubled": 7}}},
        "stages": {"down": 50.0, "commit": 60.0, "accepted": 100.0},
    }
    stop = {"exchange": "okx", "from_s": 1.0, "to_s": 4.0, "switch_s": 0.2, "wrong": []}
    planned = {
        **about,
        "way": ["bybit", "okx"],
        "orders": 20,
        "kinds": {"limit": 20},
        "positions": {"BTC": "1"},
        "slice_notional": 500,
        "slice_pause_s": 0.1,
        "begun_wrong": [],
        "unexplained": [],
        "complete": True,
        "stops": [stop],
        "largest_drift": {"BTC": 480.0},
        "curve": {
            "until_s": 5.0,
            "gross": {"bybit": [[0.0, 900.0], [3.0, 0.0]], "okx": [[0.0, 0.0], [2.9, 900.0]]},
            "drift": {"BTC": [[0.0, 0.0], [2.9, 480.0], [3.0, 0.0]]},
        },
    }
    return {"dead": {**about, "every_ms": 50.0, "deaths": [death]}, "planned": planned}


def changed(part: str, *path: str | int, to: Any) -> Mapping[str, Any]:
    """`result()` with one value another."""
    found = result()
    at: Any = found[part]
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return found


def test_the_page_tells_where_the_loop_was_measured_if_not_with_the_rest() -> None:
    about = {"date": "2026-11-22T01:00:00", "commit": "abcdefabcd", "machine": {"cores": 2, "load_before": [3.0]}}
    text = page(changed("dead", "loop", to=about), "x.svg")
    assert "The loop: measured on 2026-11-22, commit abcdefa, 2 cores" in text


def test_the_page_tells_both_parts() -> None:
    text = page(result(), "switching.svg")
    assert "| this router | 0.10 s | 0.20 s | 0.20 s | 40 | 0 | 0 | 0 | 3 |" in text
    assert "| ccxt in a loop | 0.10 s | 0.20 s | 0.20 s | 40 | 7 | 0 | 0 | 3 |" in text
    assert "the bar at p95 1.3 s" in text
    assert "| refused | 50 ms | - | - | 60 ms | 100 ms |" in text
    assert "bybit → okx" in text
    assert "| okx | 0.20 s | 3.0 s | 0 |" in text
    assert "| BTC | 480 | 96% |" in text
    assert "(switching.svg)" in text


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (result(), []),
        (changed("dead", "deaths", 0, "bar_ms", to=150.0), ["p95 is 200 ms"]),
        (changed("dead", "deaths", 0, "ways", ROUTER, "orders", "lost", to=1), ["1 orders were lost"]),
        (changed("dead", "deaths", 0, "ways", ROUTER, "unanswered", to=2), ["accepted nothing"]),
        (changed("dead", "deaths", 0, "ways", LOOP, "orders", "lost", to=1), []),
        (changed("planned", "largest_drift", "BTC", to=501.0), ["drifted by 501"]),
        (changed("planned", "stops", 0, "wrong", to=["x rests nowhere."]), ["x rests nowhere."]),
        (changed("planned", "unexplained", to=["okx tells of 4 BTC."]), ["okx tells of 4 BTC."]),
        (changed("planned", "complete", to=False), ["did not come to its end"]),
    ],
)
def test_a_bar_that_is_missed_is_said(found: Mapping[str, Any], words: list[str]) -> None:
    said = broken(found)
    assert len(said) == len(words), said
    assert all(part in each for part, each in zip(words, said, strict=True))


def test_the_drawing_is_an_svg_with_a_row_for_each_coin() -> None:
    part = result()["planned"]
    root = ET.fromstring(drawing({**part["curve"], "slice": 500, "stops": part["stops"]}))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "to okx" in texts
    assert "BTC" in texts
    assert "+500" in texts
