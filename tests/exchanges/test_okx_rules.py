"""What OKX promises, as the profile acts by it: expiries, ids, codes by their meaning, demo trading."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import ccxt
import pytest
from attrs import evolve

from app.domain.calls import NotExecuted, PlaceCall, Placed
from app.exchanges.client import TRACE, Pin, Trace, close_client, make_client
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.codes.okx import CODES
from app.exchanges.factory import profile_of
from app.exchanges.outcomes import Failure, Meaning, explain
from app.exchanges.profiles.base import class_names
from app.exchanges.profiles.okx import Okx
from app.exchanges.rules import okx as rules
from app.exchanges.settings import Credentials, ExchangeSettings
from messages.market import MarketType
from messages.orders import OrderSpec
from tests.exchanges.altered import Altered
from tests.exchanges.desk import Desk, stop, until, wire_id
from tests.exchanges.okx_desk import at_rest, opened

UNKNOWABLE = ("1", "2", "50004", "50013", "50026", "50042", "51054", "51149")
"""Codes after which the documentation says that the order may have been placed, or does not say that it was not."""


@pytest.fixture(scope="module")
def swaps() -> Iterator[Desk]:
    yield from opened(MarketType.SWAP)


@pytest.fixture
def desk(swaps: Desk) -> Iterator[Desk]:
    yield from at_rest(swaps)


# ---- expiry ----------------------------------------------------------------------------------------------------------


def place(desk: Desk, what: OrderSpec, wire: str, *, committed_ago_s: float) -> Any:
    """Places an order that was committed some time ago and that, as far as we know, has not expired."""
    now_s = desk.clock()
    return desk.do(
        PlaceCall(
            spec=what,
            quantity=what.quantity,
            wire_id=wire,
            committed_s=now_s - committed_ago_s,
            expiry_s=now_s + 3,
            deadline_s=now_s + 3,
        )
    )


def test_what_waits_for_a_trigger_expires_with_its_timestamp(desk: Desk) -> None:
    """Pinned to the commit; expTime is not for algo orders."""
    what = desk.spec(price=None, trigger=stop("28000"))
    fresh, stale = wire_id(), wire_id()
    assert isinstance(place(desk, what, fresh, committed_ago_s=rules.TIMESTAMP_S - 2), Placed)
    late = place(desk, what, stale, committed_ago_s=rules.TIMESTAMP_S + 1)
    assert isinstance(late, NotExecuted)
    assert (late.native_code, late.code) == ("50102", "expired")
    assert desk.truth(stale) == []


def test_the_lateness_of_what_waits_covers_its_timestamp(desk: Desk) -> None:
    proof = desk.port.proof
    latest_s = proof.validity_s + (proof.trigger_lateness_s or 0)
    assert latest_s >= rules.TIMESTAMP_S + proof.lateness_s
    assert proof.margin_of(conditional=True) > proof.margin_of(conditional=False)


def test_one_admitted_after_our_expiry_and_before_its_timestamp_is_live(desk: Desk) -> None:
    """What the longer lateness is for: an ordinary order would have been refused by then."""
    wire = wire_id()
    desk.truthful.fault("late", call="place", params={"delay_s": 0.5}, count=1)
    what = desk.spec(price=None, trigger=stop("28000"))
    assert type(desk.place(what, wire, validity_s=0.3)).__name__ == "Ambiguous"
    assert until(lambda: desk.truth(wire))


def signed(path: str, params: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """A request as it would be sent under a pin, without sending it; its headers as ccxt completes them."""

    async def ask() -> dict[str, Any]:
        client = make_client(
            ExchangeSettings(name="okx", **settings),
            Credentials(api_key="key", secret="secret", password="word"),
            profile=profile_of("okx", MarketType.SWAP)(),
            clock=time.time,
            offset=ClockOffset(),
        )
        token = TRACE.set(Trace(pin=Pin(signed_ms=1_700_000_000_000, expires_ms=1_700_000_005_000)))
        try:
            found: dict[str, Any] = client.sign(path, ["private"], "POST", params)
            found["headers"] = client.prepare_request_headers(found["headers"])
            return found
        finally:
            TRACE.reset(token)
            await close_client(client)

    return asyncio.run(ask())


def test_the_expiry_is_sent_where_it_counts_and_nowhere_else() -> None:
    order = signed("trade/order", {"clOrdId": "a"})
    algo = signed("trade/order-algo", {"algoClOrdId": "a", "clOrdId": "a"})
    assert order["headers"]["expTime"] == "1700000005000"
    assert "expTime" not in algo["headers"]
    for request in (order, algo):
        assert request["headers"]["OK-ACCESS-TIMESTAMP"] == "2023-11-14T22:13:20.000Z"
        assert "tag" not in request["body"], "no broker's id is put in"


# ---- demo trading ----------------------------------------------------------------------------------------------------


def test_the_sandbox_is_the_same_address_told_apart_by_a_header() -> None:
    demo = signed("trade/order", {"clOrdId": "a"}, sandbox=True)
    real = signed("trade/order", {"clOrdId": "a"})
    assert demo["url"] == real["url"] == "https://www.okx.com/api/v5/trade/order"
    assert demo["headers"]["x-simulated-trading"] == "1"
    assert "x-simulated-trading" not in real["headers"]


def test_no_client_of_the_sandbox_makes_another_one_demo() -> None:
    signed("trade/order", {"clOrdId": "a"}, sandbox=True)
    assert "x-simulated-trading" not in signed("trade/order", {"clOrdId": "a"})["headers"]


# ---- ids and codes ---------------------------------------------------------------------------------------------------


def test_wire_ids_are_legal_and_the_duplicate_codes_are_read_as_such() -> None:
    for table in (rules.SWAP, rules.SPOT):
        assert table.admits_id(wire_id())
        for code in table.duplicate_codes.value:
            assert CODES[code].meaning is Meaning.DUPLICATE
    twice = {code for code, row in CODES.items() if row.meaning is Meaning.DUPLICATE}
    assert twice == {*rules.SWAP.duplicate_codes.value, "51011"}


EXACT: dict[str, Any] = ccxt.okx().exceptions["exact"]


def meaning(code: str) -> Meaning:
    """What a code proves of a placement, by our table, then by ccxt's."""
    kind = EXACT.get(code)
    failure = Failure(
        exchange="okx",
        sent=True,
        kinds=class_names(kind or ccxt.ExchangeError),
        known_as=class_names(kind),
        native_code=code,
        http_status=200,
    )
    return explain(failure, CODES).meaning


def test_nothing_that_may_have_been_placed_is_read_as_refused() -> None:
    for code in UNKNOWABLE:
        assert meaning(code) is Meaning.AMBIGUOUS, code
    assert meaning("59999") is Meaning.AMBIGUOUS, "a code nobody knows"


def test_every_code_that_ccxt_knows_and_we_do_not_is_of_another_business_or_ambiguous() -> None:
    """Websockets, transfers, earning and loans, and the orders that are never placed here (iceberg, trailing)."""
    elsewhere = ("4", "10", "55", "58", "60", "63", "64", "70", "592", "594", "595", "596", "5176", "5177")
    own = {
        code
        for code in EXACT
        if code not in CODES and not code.startswith(elsewhere) and meaning(code) is not Meaning.AMBIGUOUS
    }
    assert own == {
        *(f"{code}" for code in (50044, 51736, 54051, 59113, 59128)),
        *(f"{code}" for code in range(51251, 51275) if f"{code}" in EXACT and f"{code}" not in CODES),
        *(f"{code}" for code in range(51321, 51326)),
    }


def test_the_table_names_a_source_for_every_code() -> None:
    assert len(CODES) > 300
    assert all(row.source for row in CODES.values())


def test_a_sub_code_changes_the_words_only() -> None:
    answer = {"code": "1", "data": [{"sCode": "51008_1001", "sMsg": "Insufficient USDT margin"}], "msg": ""}
    assert Okx().native_code(answer) == ("51008", "Insufficient USDT margin")
    assert CODES["51008"].code == "insufficient_funds"


def test_what_is_known_of_the_account_is_handed_over_whole_or_not_at_all() -> None:
    class Client:
        def __init__(self) -> None:
            self.options: dict[str, object] = {}

    profile, before, after = Okx(), Client(), Client()
    assert profile.learned(before) == {}
    profile.recall(before, {"hedged": True, "margined": False, "more": 1})
    profile.recall(after, profile.learned(before))
    assert profile.learned(after) == {"hedged": True, "margined": False}
    damages: tuple[object, ...] = (None, [], {"hedged": True}, {"hedged": "yes", "margined": False})
    for damaged in damages:
        fresh = Client()
        profile.recall(fresh, damaged)
        assert profile.learned(fresh) == {}


def test_a_contract_of_several_times_its_value_is_not_traded(swaps: Desk) -> None:
    """ccxt passes over the multiplier: an order would be ten times as large as asked."""

    def tenfold(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        return [{**row, "ctMult": "10"} if row["instId"] == "BTC-USDT-SWAP" else row for row in rows]

    with Altered("okx", swaps.sim.base_url) as proxy:
        proxy.alter = tenfold
        desk = Desk(evolve(swaps.sim, base_url=proxy.base_url))
        assert desk.open() == ""
        assert "has no linear swap" in desk.port.tradable("BTCUSDT")
        assert desk.port.tradable("ETHUSDT") == ""
        desk.close()
