"""Several accounts and keys on one exchange, over real clients; and the rest of the control interface."""

from collections.abc import Iterator
from typing import Any

import attrs
import ccxt.async_support as ccxt
import pytest

from app.simulator.accounts import Key, Permission
from app.simulator.calls import Call, Trouble
from app.simulator.client import ControlError
from app.simulator.dialects import DIALECTS
from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.real_clients import BTC, client_id, eventually, symbol_of, trade

DENIED = (ccxt.PermissionDenied, ccxt.AuthenticationError, ccxt.ExchangeError, ccxt.DDoSProtection)
"""The last is what ccxt makes of -2015 on Binance spot."""
WORDS = "10005|10010|10003|50120|50110|50111|-2015|authenticationError|EGeneral:Permission denied|EAPI:Invalid key"
"""The codes that tell: ccxt has no class for OKX's 50120."""
SECRETS: dict[str, str] = dict.fromkeys(("kraken", "kraken_spot"), "c2Vjb25kLXNlY3JldA==")


@pytest.fixture(params=sorted(DIALECTS))
def sim(request: pytest.FixtureRequest) -> Iterator[Simulated]:
    """Every exchange."""
    with SimulatorThread([request.param]) as sims:
        yield sims[request.param]


@pytest.fixture
def one() -> Iterator[Simulated]:
    """Bybit, where one exchange stands for all."""
    with SimulatorThread(["bybit"]) as sims:
        yield sims["bybit"]


def second(sim: Simulated, **key: Any) -> Simulated:
    """The same exchange, seen with a second key; of a second account unless told otherwise."""
    if "second" not in sim.control.truth()["accounts"]:
        sim.control.ask("POST", "/account", {"name": "second"})
    given = {
        "api_key": "key-two",
        "secret": SECRETS.get(sim.name, "secret-two"),
        "password": "Word2!",
        "account": "second",
    }
    sim.control.ask("POST", "/key", {**given, **key})
    return attrs.evolve(sim, api_key="key-two", secret=given["secret"], password=given["password"])


def test_two_accounts_trade_apart_on_one_market(sim: Simulated) -> None:
    """Orders, positions and money of each are its own; the price is one; a client id may be used by both."""
    two, symbol = second(sim), symbol_of(sim)

    async def rest(client: Any) -> None:
        await client.create_order(symbol, "limit", "buy", 0.01, 25000, {"clientOrderId": client_id()})
        assert len(await client.fetch_open_orders(symbol)) == 1

    async def none(client: Any) -> None:
        assert await client.fetch_open_orders(symbol) == []
        await rest(client)

    trade(sim, rest)
    trade(two, none)
    assert len(sim.control.price(symbol, 25000)) == 2
    for name in ("main", "second"):
        truth = sim.control.ask("GET", f"/truth?account={name}")
        assert [o["client_order_id"] for o in truth["orders"]] == [client_id()]
        assert list(truth["positions"]) == ([] if "_spot" in sim.name else [symbol])
    ids = [o["order_id"] for a in ("main", "second") for o in sim.control.ask("GET", f"/truth?account={a}")["orders"]]
    assert len(set(ids)) == 2
    assert {r["account"] for r in sim.control.requests() if r["call"] == "place"} == {"main", "second"}


def test_a_key_that_may_only_read_cannot_trade(sim: Simulated) -> None:
    """In the exchange's words; a key from another address, or that is gone, does nothing at all."""
    reader, symbol = second(sim, permissions=["read"]), symbol_of(sim)

    async def look(client: Any) -> None:
        assert await client.fetch_balance()
        assert await client.fetch_open_orders(symbol) == []
        with pytest.raises(DENIED, match=WORDS):
            await client.create_order(symbol, "limit", "buy", 0.01, 25000, {"clientOrderId": client_id()})
        with pytest.raises(DENIED, match=WORDS):
            await client.cancel_order("1", symbol)

    async def nothing(client: Any) -> None:
        with pytest.raises(DENIED, match=WORDS):
            await client.fetch_balance()
        assert await client.fetch_ticker(symbol)

    trade(reader, look)
    assert sim.control.ask("GET", "/truth?account=second")["orders"] == []
    trade(second(sim, ips=["10.0.0.1"]), nothing)
    trade(second(sim, permissions=["trade"]), nothing)
    sim.control.ask("DELETE", "/key/key-two")
    trade(reader, nothing)


def test_what_a_key_may_do() -> None:
    """By call and method; an address that is not listed comes before it."""
    both = frozenset(Permission)
    reads, trades = frozenset({Permission.READ}), frozenset({Permission.TRADE})
    for permissions, call, method, trouble in (
        (both, Call.PLACE, "POST", None),
        (reads, Call.PLACE, "POST", Trouble.NO_PERMISSION),
        (reads, Call.LEVERAGE, "POST", Trouble.NO_PERMISSION),
        (reads, Call.LEVERAGE, "GET", None),
        (reads, Call.DEAD_MAN, "POST", Trouble.NO_PERMISSION),
        (trades, Call.BALANCE, "GET", Trouble.NO_PERMISSION),
        (trades, Call.CANCEL, "DELETE", None),
        (frozenset[Permission](), Call.OPEN_ORDERS, "GET", Trouble.NO_PERMISSION),
    ):
        key = Key(api_key="k", secret="s", permissions=permissions)
        assert key.trouble(call, method, "127.0.0.1") is trouble, (permissions, call, method)
    fixed = Key(api_key="k", secret="s", ips=frozenset({"10.0.0.1"}))
    assert fixed.trouble(Call.TIME, "GET", "127.0.0.1") is Trouble.IP_NOT_ALLOWED
    assert "secret" not in repr(Key(api_key="k", secret="very-secret-thing"))


# ---- the control of the market ---------------------------------------------------------------------------------------


def test_a_book_made_thin_fills_in_parts(sim: Simulated) -> None:
    """Shown to the client, met by its order, one tick worse each."""
    symbol = symbol_of(sim)

    async def act(client: Any) -> None:
        sim.control.ask("POST", "/depth", {"symbol": symbol, "level_qty": "0.01"})
        book = await client.fetch_order_book(symbol, 5)
        contract = client.market(symbol)["contractSize"] or 1
        assert book["asks"][0][1] * contract == pytest.approx(0.01)
        await client.create_order(symbol, "market", "buy", 0.025 / contract, None, {"clientOrderId": client_id()})
        fills = await client.fetch_my_trades(symbol)
        assert sorted(f["amount"] * contract for f in fills) == pytest.approx([0.005, 0.01, 0.01])
        assert len({f["price"] for f in fills}) == 3

    trade(sim, act)


def test_take_profit_and_stop_loss_fire_on_bybit_and_okx() -> None:
    """Attached to an order by the real client: once filled they wait at the exchange, and one of them closes."""
    for name in ("bybit", "okx"):
        with SimulatorThread([name]) as sims:
            sim = sims[name]

            async def act(client: Any) -> None:
                contract = client.market(BTC)["contractSize"] or 1
                attached = {"clientOrderId": client_id(), "takeProfit": {"triggerPrice": 28000}}
                attached["stopLoss"] = {"triggerPrice": 26000}
                await client.create_order(BTC, "market", "buy", 0.1 / contract, None, attached)
                waiting = await client.fetch_open_orders(BTC)
                # OKX keeps them among its algo orders, which other endpoints tell.
                assert len(waiting) == (2 if client.id == "bybit" else 0)
                assert all(o["reduceOnly"] for o in waiting)

            trade(sim, act)
            made = [o for o in sim.control.truth()["orders"] if o["role"] != "user"]
            assert [(o["role"], o["qty"]) for o in made] == [("take_profit", "0.1"), ("stop_loss", "0.1")]
            [fill] = sim.control.price(BTC, 25900)
            assert fill["order_id"] == made[1]["order_id"]
            assert sim.control.truth()["positions"] == {}
            assert [o["close_reason"] for o in sim.control.truth()["orders"] if o["role"] == "take_profit"] == ["oco"]


def test_modes_positions_and_margin_by_hand(one: Simulated) -> None:
    """Hedge, isolated, leverage; a liquidation is an order of the exchange's own."""
    control = one.control
    control.ask("POST", "/mode", {"hedge": True, "symbol": BTC})
    control.ask("POST", "/position", {"symbol": BTC, "qty": "1", "side": "long"})
    control.ask("POST", "/position", {"symbol": BTC, "qty": "-2", "side": "short"})
    assert control.truth()["positions"] == {f"{BTC} long": "1", f"{BTC} short": "-2"}
    with pytest.raises(ControlError, match="has a position"):
        control.ask("POST", "/mode", {"hedge": False})
    with pytest.raises(ControlError, match="does not fit"):
        control.position(BTC, 1)
    for side in ("long", "short"):
        control.ask("POST", "/position", {"symbol": BTC, "qty": "0", "side": side})
    control.ask("POST", "/mode", {"hedge": False})
    control.ask("POST", "/mode", {"margin_mode": "isolated"})
    control.ask("POST", "/mode", {"leverage": "50", "symbol": BTC})
    control.position(BTC, 10)
    [fill] = control.price(BTC, 26000)
    assert fill["side"] == "sell"
    assert control.truth()["orders"][-1]["role"] == "liquidation"
    control.ask("POST", "/funding", {"symbol": BTC, "rate": "0.001"})
    assert control.truth()["positions"] == {}


def test_what_is_due_happens_without_a_request(one: Simulated) -> None:
    """Funding by the clock, on the exchange's own time."""
    one.control.position(BTC, 1)
    before = one.control.truth()["balance"]["USDT"]
    answer = one.control.ask("POST", "/funding", {"every_s": 0.1, "rates": {BTC: "0.0001"}})
    assert answer["next_ms"] % 100 == 0
    # Looked at beside the control, whose own requests would advance the exchange's time.
    eventually(lambda: str(one.exchange.engine.ledger.balances["USDT"]) != before)
    one.control.ask("POST", "/funding", {"every_s": None})


def test_the_mark_the_lag_a_halt_and_a_persons_cancel(one: Simulated) -> None:
    """Each by the control, each seen by the client."""
    control = one.control

    async def act(client: Any) -> None:
        control.ask("POST", "/mark", {"symbol": BTC, "price": "27100"})
        assert (await client.fetch_ticker(BTC))["markPrice"] == 27100
        control.ask("POST", "/lag", {"lag_s": 3600})
        await client.create_order(BTC, "limit", "buy", 0.01, 25000, {"clientOrderId": client_id()})
        assert await client.fetch_open_orders(BTC) == []
        control.ask("POST", "/suspend", {"symbol": "BTCUSDT", "on": True})
        with pytest.raises(ccxt.BaseError):
            await client.create_order(BTC, "limit", "buy", 0.01, 25000, {"clientOrderId": client_id(2)})
        cancelled = control.ask("POST", "/cancel", {"client_order_id": client_id()})
        assert cancelled["status"] == "cancelled"

    trade(one, act)
    assert control.ask("POST", "/suspend", {"symbol": BTC, "on": False}) == {"suspended": []}
    assert control.ask("POST", "/mark", {"symbol": BTC, "price": None}) == {"fills": []}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/mark", {"symbol": BTC, "price": "-1"}, "no mark price"),
        ("/depth", {"symbol": BTC, "level_qty": "0.0001"}, "multiple of the step"),
        ("/funding", {"symbol": BTC, "rate": "2"}, "share of the notional"),
        ("/funding", {"every_s": 0}, "seconds from 0.001"),
        ("/funding", {"every_s": 1, "rates": {"DOGE": 1}}, "no market 'DOGE'"),
        ("/suspend", {"symbol": BTC, "on": 1}, "true or false"),
        ("/maintenance", {"on": True, "message": ""}, "must be a word"),
        ("/lag", {"lag_s": -1}, "seconds from 0"),
        ("/clock", {"ahead_s": "soon"}, "must be a number"),
        ("/position", {"symbol": BTC, "qty": 1, "side": "left"}, "both, long, short"),
        ("/position", {"symbol": BTC, "qty": 1, "account": "ghost"}, "no account 'ghost'; there are main"),
        ("/mode", {}, "Name one"),
        ("/mode", {"hedge": True, "leverage": 1}, "Name one"),
        ("/mode", {"margin_mode": "both"}, "cross or isolated"),
        ("/mode", {"leverage": 1000}, "Leverage must be"),
        ("/account", {"name": "main"}, "an account 'main' already"),
        ("/account", {}, "must be a word"),
        ("/key", {"api_key": "x"}, "secret must be a word"),
        ("/key", {"api_key": "x", "secret": "y", "account": "ghost"}, "no account 'ghost'"),
        ("/key", {"api_key": "x", "secret": "y", "permissions": ["withdraw"]}, "there are read, trade"),
        ("/key", {"api_key": "x", "secret": "y", "ips": "all"}, "list of words"),
        ("/cancel", {"order_id": "9"}, "no order '9'"),
        ("/state", {"version": 1}, "those of None"),
    ],
)
def test_bad_input_is_answered_with_a_sentence(one: Simulated, path: str, body: dict[str, Any], words: str) -> None:
    """400, and nothing changed."""
    before = one.control.ask("GET", "/state")
    with pytest.raises(ControlError, match=words):
        one.control.ask("POST", path, body)
    assert one.control.ask("GET", "/state") == before


def test_the_first_key_can_be_restricted_but_not_removed(one: Simulated) -> None:
    """Its permissions are a test's to change; its secret is what everybody was given."""
    name = one.api_key
    with pytest.raises(ControlError, match="first key"):
        one.control.ask("POST", "/key", {"api_key": name, "secret": "other"})
    with pytest.raises(ControlError, match="removed"):
        one.control.ask("DELETE", f"/key/{name}")
    one.control.ask("POST", "/key", {"api_key": name, "permissions": ["read"]})

    async def act(client: Any) -> None:
        assert await client.fetch_balance()
        with pytest.raises(ccxt.PermissionDenied):
            await client.create_order(BTC, "market", "buy", 0.01, None, {})

    trade(one, act)
