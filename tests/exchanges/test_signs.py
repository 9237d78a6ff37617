"""What an exchange tells of itself without being asked for an order: maintenance, and data that moves or stands still.

Over real HTTP, for swaps and spot: the notices of its status, the marks of balances and prices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.domain import calls
from app.domain.evidence import probe_evidence
from app.exchanges.profiles.base import ServerStatus
from app.exchanges.profiles.bybit_shapes import server_status
from app.exchanges.profiles.kraken_shapes import announced, iso
from app.exchanges.reports import NOT_BEGUN_S, notice
from messages.health import Evidence, EvidenceKind, ProbeKind
from messages.market import MarketType
from tests.exchanges.desk import EXCHANGES, SPOT_EXCHANGES, TIMEOUT_S, Desk, wire_id

MARKETS = [(name, MarketType.SWAP) for name in EXCHANGES] + [(name, MarketType.SPOT) for name in SPOT_EXCHANGES]
ANNOUNCES = {("bybit", "swap"), ("bybit", "spot"), ("okx", "swap"), ("okx", "spot"), ("kraken", "swap")}
"""Who tells before it begins; the others tell only of one that goes on."""


@pytest.fixture(params=MARKETS, ids=lambda each: f"{each[0]}-{each[1]}")
def any_desk(request: pytest.FixtureRequest, desks: dict[str, Desk], spot_desks: dict[str, Desk]) -> Iterator[Desk]:
    """The swaps, then the spot markets, of one exchange after the other."""
    name, market_type = request.param
    found = (spot_desks if market_type is MarketType.SPOT else desks)[name]
    found.flat()
    yield found
    found.truthful.maintenance(False)
    found.truthful.clear_faults()
    found.clock.behind_s = 0.0
    found.probe(ProbeKind.PUBLIC)
    found.probe(ProbeKind.PUBLIC)  # the second of two that contradict what is held is believed


def told(desk: Desk, kind: ProbeKind) -> Evidence:
    """The evidence of a probe."""
    end_s = desk.clock() + TIMEOUT_S
    call: calls.Call = calls.ProbeCall(kind=kind, deadline_s=end_s)
    if kind is ProbeKind.STATUS:
        call = calls.StatusCall(deadline_s=end_s)
    elif kind is ProbeKind.MARKET:
        call = calls.TickerCall(symbol=desk.btc, deadline_s=end_s)
    evidence = probe_evidence(desk.name, kind, desk.do(call), desk.clock(), desk.clock())
    assert evidence is not None
    assert evidence.ok
    return evidence


def test_a_maintenance_that_goes_on_is_told_with_its_time(any_desk: Desk) -> None:
    """Where the exchange says when it ends, that too; nothing is told before and after."""
    assert told(any_desk, ProbeKind.STATUS).notice is None
    any_desk.truthful.maintenance(True, lasts_s=900, message="Matching engine upgrade")
    seen = told(any_desk, ProbeKind.STATUS)
    assert seen.kind is EvidenceKind.STATUS_PROBE
    assert seen.notice is not None
    assert seen.notice.begin_s <= any_desk.clock() + 0.5
    assert seen.notice.words
    if any_desk.name in ("bybit", "okx"):
        assert seen.notice.end_s == pytest.approx(any_desk.clock() + 900, abs=10)
        assert "Matching engine upgrade" in seen.notice.words
    any_desk.truthful.maintenance(False)
    assert told(any_desk, ProbeKind.STATUS).notice is None


def test_a_maintenance_is_announced_where_the_exchange_announces_it(any_desk: Desk) -> None:
    """With its beginning and, where it says so, its end, by our clock although ours is wrong; and it trades on."""
    any_desk.clock.behind_s = 40.0
    for _ in range(2):
        any_desk.probe(ProbeKind.PUBLIC)
    any_desk.truthful.maintenance(True, begins_in_s=1200, lasts_s=600, message="Planned upgrade")
    seen = told(any_desk, ProbeKind.STATUS)
    if (any_desk.name, any_desk.market_type.value) not in ANNOUNCES:
        assert seen.notice is None
        return
    assert seen.notice is not None
    assert seen.notice.begin_s == pytest.approx(any_desk.clock() + 1200, abs=10)
    assert "Planned upgrade" in seen.notice.words
    if any_desk.name != "kraken":
        assert seen.notice.end_s == pytest.approx(any_desk.clock() + 1800, abs=10)
    assert isinstance(any_desk.place(any_desk.spec(), wire_id()), calls.Placed)


def test_the_status_is_asked_for_before_there_are_markets(sims: Any) -> None:
    """A router that starts during a maintenance has no markets, and is to know why."""
    desk = Desk(sims["okx"])
    desk.truthful.maintenance(True, message="Upgrade")
    seen = told(desk, ProbeKind.STATUS)
    desk.truthful.maintenance(False)
    assert not desk.port.ready
    assert seen.notice is not None
    desk.close()


def test_balances_are_marked_and_stand_still_until_something_fills(any_desk: Desk) -> None:
    """When they were told is not in the mark: the same balances look the same later."""
    first, second = told(any_desk, ProbeKind.SIGNED), told(any_desk, ProbeKind.SIGNED)
    assert first.mark == second.mark != ""
    assert isinstance(any_desk.place(any_desk.spec(price=None), wire_id()), calls.Placed)
    assert told(any_desk, ProbeKind.SIGNED).mark != first.mark
    any_desk.flat()


def test_prices_are_marked_and_move(any_desk: Desk) -> None:
    """Of the symbol that was asked for."""
    symbol = any_desk.native(any_desk.btc)
    first = told(any_desk, ProbeKind.MARKET)
    assert first.mark
    any_desk.truthful.price(symbol, 27100)
    moved = told(any_desk, ProbeKind.MARKET)
    any_desk.truthful.price(symbol, 27000)
    assert moved.mark != first.mark


# ---- as they are written ---------------------------------------------------------------------------------------------


NOW_S = 1_795_000_000.0


def note(begin_s: float, **other: Any) -> dict[str, Any]:
    """A notification of Kraken Futures."""
    return {
        "type": "maintenance",
        "priority": "low",
        "note": "Upgrade",
        "effectiveTime": iso(int(begin_s * 1000)),
        **other,
    }


def test_kraken_futures_announces_by_notifications() -> None:
    """The next one, with its end where that is told; other kinds and what was put off are no maintenance."""
    late = note(NOW_S + 7200, note="Later")
    soon = note(NOW_S + 3600, expectedDowntimeMinutes=15)
    first = announced([late, soon, note(NOW_S + 60, type="market"), note(NOW_S - 3600)], NOW_S)
    assert (first.ok, first.begin_s, first.until_s) == (True, NOW_S + 3600, NOW_S + 4500)
    assert first.words == "kraken announces a maintenance: Upgrade"
    assert announced([late], NOW_S).until_s is None
    assert announced([note(0.0, effectiveTime="soon"), note(NOW_S - 3600), {}], NOW_S) == ServerStatus(ok=True)


@pytest.mark.parametrize(
    ("services", "counts"), [([1, 5], True), ([2], True), ([], True), ([3, 4], False), ([5], False)]
)
def test_of_bybits_services_only_trading_by_requests_counts(services: list[int], counts: bool) -> None:
    said = {
        "title": "Upgrade",
        "state": "ongoing",
        "product": [1],
        "serviceTypes": services,
        "begin": "1000",
        "end": "",
    }
    assert server_status([said], 1).ok is not counts


@pytest.mark.parametrize(
    ("said", "begin_s"),
    [
        (ServerStatus(ok=True), None),
        (ServerStatus(ok=True, words="soon", begin_s=NOW_S + 60), NOW_S + 60),
        (ServerStatus(ok=True, words="soon", begin_s=NOW_S - 60), NOW_S - 60),
        (ServerStatus(ok=True, words="put off", begin_s=NOW_S - NOT_BEGUN_S - 1), None),
        (ServerStatus(ok=False, words="closed"), NOW_S),
        (ServerStatus(ok=False, words="closed before its time", begin_s=NOW_S + 60), NOW_S),
    ],
)
def test_when_a_maintenance_begins(said: ServerStatus, begin_s: float | None) -> None:
    """Under way is what the exchange says is under way; what has not begun long after its time was put off."""
    found = notice(said, "okx", NOW_S)
    assert (None if found is None else found.begin_s) == begin_s
