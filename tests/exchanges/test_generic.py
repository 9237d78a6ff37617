"""Exchanges nobody wrote an adapter for: what is refused before anything is sent, and what proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from app.cli.exits import EX_CONFIG, Ended
from app.cli.settings import check_config
from app.domain.calls import (
    Ambiguous,
    CallFailed,
    CancelConfirmed,
    CancelTooLate,
    ExpiryEnforcement,
    Found,
    NotFound,
    Placed,
    Refused,
)
from app.domain.names import UnknownExchange
from app.exchanges.adapter import CcxtPort
from app.exchanges.client import prepare
from app.exchanges.factory import NoSuchMarkets, build_port, profile_of
from app.exchanges.known import in_ccxt, known_name
from app.exchanges.profiles import generic_trial
from app.exchanges.profiles.binance import Binance
from app.exchanges.profiles.generic import Generic, generic
from app.exchanges.profiles.generic_limits import limits, unfit
from app.exchanges.profiles.kraken import Kraken
from app.exchanges.settings import Credentials, ExchangeSettings
from app.simulator.thread import SimulatorThread
from messages.market import MarketType, Symbol
from messages.orders import LegState, TimeInForce
from tests.exchanges.desk import PATIENCE_S, Desk, host, wire_id

IDS = {"bybit": "bybit", "okx": "okx", "binance": "binanceusdm", "kraken": "krakenfutures"}


class Unadapted(Desk):
    """A desk at a simulated exchange by ccxt's class alone."""

    ccxt_id = ""

    def build(self, settings: ExchangeSettings, credentials: Credentials) -> CcxtPort:
        """Under a name that nothing else knows."""
        profile = generic(self.ccxt_id or IDS[self.name], self.market_type, f"{self.name}x")
        return CcxtPort(profile(), settings, credentials, clock=self.clock)


@pytest.fixture(scope="module")
def counters(sims: SimulatorThread) -> Iterator[dict[str, Unadapted]]:
    """One at each exchange, open."""
    made = {name: Unadapted(sims[name], timeout_s=PATIENCE_S) for name in IDS}
    for counter in made.values():
        assert counter.open() == ""
    yield made
    for counter in made.values():
        counter.close()


# ---- names -----------------------------------------------------------------------------------------------------------


def test_any_exchange_of_ccxts_has_a_profile() -> None:
    """The router's own stay its own, however they are spelled."""
    assert profile_of("binanceusdm", MarketType.SWAP) is Binance
    assert profile_of("krakenfutures", MarketType.SWAP) is Kraken
    made = profile_of(" Gate ", MarketType.SPOT)
    assert issubclass(made, Generic)
    assert (made.name, made.ccxt_id, made.market_type) == ("gate", "gate", MarketType.SPOT)
    assert made is profile_of("gate", MarketType.SPOT)
    assert made.proof.enforcement is ExpiryEnforcement.NONE
    assert made.proof.margin_s > 30


@pytest.mark.parametrize("name", ["mtgox", "mt gox", "", "__init__", "../binance", "a"])
def test_what_ccxt_does_not_have_is_no_exchange(name: str) -> None:
    """In a sentence that lists the router's own."""
    with pytest.raises((UnknownExchange, NoSuchMarkets), match="must be one of"):
        profile_of(name, MarketType.SWAP)
    with pytest.raises(UnknownExchange, match="bybit_v5"):
        known_name(name)


def test_ccxts_modules_are_its_exchanges() -> None:
    """What is known without importing ccxt is what ccxt says of itself."""
    import ccxt.async_support as ccxt

    assert set(ccxt.exchanges) <= in_ccxt()
    assert {name for name in in_ccxt() if not hasattr(ccxt, name)} == set()


def test_every_exchange_of_ccxts_is_judged() -> None:
    """Some dozens can be traded on; each of the others is refused in a sentence."""
    judged = {name: unfit(generic(name, MarketType.SPOT)) for name in sorted(in_ccxt())}
    assert {words for words in judged.values() if words and not words.endswith(".")} == set()
    assert all(name in words for name, words in judged.items() if words)
    assert sum(not words for words in judged.values()) > 20
    assert "credentials" in judged["hyperliquid"]
    assert judged["mexc"] == judged["bitget"] == ""
    assert "orders of kucoin that were cancelled" in judged["kucoin"]


# ---- before trading --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IDS)
def test_finding_out_what_ccxt_sends_sends_no_order(
    counters: dict[str, Unadapted], sims: SimulatorThread, name: str
) -> None:
    """The exchange has heard of none."""
    fresh = Unadapted(sims[name], timeout_s=PATIENCE_S)
    sent = fresh.seen("place")
    assert fresh.open() == ""
    assert fresh.seen("place") == sent
    fresh.close()


def test_what_ccxt_drops_is_refused_and_not_sent(counters: dict[str, Unadapted]) -> None:
    """ccxt's krakenfutures would place an order that rests."""
    kraken, bybit = counters["kraken"], counters["bybit"]
    for tif in (TimeInForce.IOC, TimeInForce.FOK):
        sent = kraken.seen("place")
        answer = kraken.place(kraken.spec(tif=tif), wire_id())
        assert isinstance(answer, Refused)
        assert f"{tif} is not sent to krakenx by ccxt" in answer.words
        assert kraken.seen("place") == sent
        assert bybit.port.check(bybit.spec(tif=tif)) == ""
    assert kraken.port.check(kraken.spec(tif=TimeInForce.POST_ONLY)) == ""


def test_what_was_found_out_is_kept_for_the_next_life(counters: dict[str, Unadapted]) -> None:
    """And anything else than that is passed over."""
    profile = counters["kraken"].port._profile
    learned = profile.learned(None)
    again = generic("krakenfutures", MarketType.SWAP, "krakeny")()
    again.recall(None, {"wishes": ["what is this"], "unfit": ""})
    again.recall(None, None)
    spec = counters["kraken"].spec(tif=TimeInForce.IOC)
    assert again.unsupported(spec) == ""
    again.recall(None, learned)
    assert "is not sent" in again.unsupported(spec)


def test_where_ended_orders_are_not_listed_nothing_is_traded(sims: SimulatorThread) -> None:
    """ccxt's kraken has no list of what was cancelled; `open` says so, and so does ccxt without being asked."""

    class Spot(Unadapted):
        ccxt_id = "kraken"

    counter = Spot(sims[host("kraken", MarketType.SPOT)], MarketType.SPOT, timeout_s=PATIENCE_S)
    words = counter.open()
    assert "lists no orders of krakenx that were cancelled" in words
    assert not counter.port.ready
    counter.close()


def test_a_missing_password_is_told(sims: SimulatorThread) -> None:
    """Before an order finds out."""
    settings = ExchangeSettings(name="okx", base_url=sims["okx"].base_url)
    counter = Unadapted(sims["okx"], timeout_s=PATIENCE_S)
    counter.port = counter.build(settings, Credentials(api_key="k", secret="s"))
    assert counter.open() == "okxx also asks for its password."
    counter.close()


# ---- what proves nothing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IDS)
def test_a_duplicate_is_never_a_refusal(counters: dict[str, Unadapted], name: str) -> None:
    """ccxt calls it an invalid order nearly everywhere; refused, an order that rests would be forgotten."""
    counter, wire = counters[name], wire_id()
    assert isinstance(counter.place(counter.spec(), wire), Placed)
    assert isinstance(counter.place(counter.spec(), wire), Ambiguous)
    assert isinstance(counter.look_up(wire), Found)
    assert isinstance(counter.cancel(wire), CancelConfirmed)
    assert isinstance(counter.cancel(wire), CancelTooLate)


def test_a_list_that_may_have_been_cut_proves_no_absence(counters: dict[str, Unadapted]) -> None:
    """Bybit lists fifty at a time."""
    counter = counters["bybit"]
    eth = counter.symbol("ETHUSDT")
    assert isinstance(counter.look_up(wire_id(), eth), NotFound)
    wires = [wire_id() for _ in range(51)]
    for wire in wires:
        assert isinstance(counter.place(counter.spec("0.01", of=eth, price="1500"), wire), Placed)
    lost = counter.look_up(wire_id(), eth)
    assert isinstance(lost, CallFailed)
    assert lost.code == "bad_response"
    assert isinstance(counter.open_orders(eth), CallFailed)
    for wire in wires:
        counter.truthful.ask("POST", "/cancel", {"client_order_id": wire})


def test_an_order_without_a_client_order_id_may_be_the_one(counters: dict[str, Unadapted]) -> None:
    """Placed by hand at the exchange's own screen, say: nothing is proven while it is listed."""
    counter = counters["bybit"]
    client = counter.port._client
    sol = counter.symbol("SOLUSDT")
    market = counter.port._table.known(sol)
    assert isinstance(counter.look_up(wire_id(), sol), NotFound)
    counter.loop.run(client.create_order(market.unified, "limit", "buy", "1", "10"))
    assert isinstance(counter.look_up(wire_id(), sol), CallFailed)


def test_what_filled_before_a_cancel_is_told(counters: dict[str, Unadapted]) -> None:
    """ccxt's krakenfutures tells that nothing did; the fills say otherwise."""
    for counter in counters.values():
        wire = wire_id()
        assert isinstance(counter.place(counter.spec("0.03"), wire), Placed)
        counter.truthful.fill(client_order_id=wire, qty="0.01")
        assert isinstance(counter.cancel(wire), CancelConfirmed)
        found = counter.look_up(wire)
        assert isinstance(found, Found)
        assert (found.report.state, str(found.report.filled.normalize())) == (LegState.CANCELLED, "0.01")  # type: ignore[union-attr]


def test_market_orders_that_buy_are_not_placed_on_spot(sims: SimulatorThread) -> None:
    """Their size may be taken for an amount of the quote coin."""
    counter = Unadapted(sims["okx"], MarketType.SPOT, timeout_s=PATIENCE_S)
    assert counter.open() == ""
    answer = counter.place(counter.spec(price=None), wire_id())
    assert isinstance(answer, Refused)
    assert "amount of the quote coin" in answer.words
    counter.close()


# ---- telling ---------------------------------------------------------------------------------------------------------


def test_its_limits_are_told() -> None:
    """To who configures it, in sentences without their full stop, as warnings are."""
    told = list(limits(generic("mexc", MarketType.SPOT)))
    assert len(told) >= 4
    assert not any(words.endswith(".") for words in told)
    assert any("nobody has checked" in words for words in told)
    assert any("37.5 s" in words or "41.5 s" in words for words in told)
    assert any("no test network" in words for words in limits(generic("mexc", MarketType.SPOT)))


def test_the_sandbox_is_refused_where_ccxt_knows_none() -> None:
    """And taken where it does."""
    assert generic("mexc", MarketType.SPOT).no_sandbox == "ccxt knows no test network of mexc."
    assert generic("phemex", MarketType.SPOT).no_sandbox == ""


def _configured(folder: Path, name: str) -> Path:
    path = folder / "router.toml"
    path.write_text(
        f'[router]\nmarket_type = "spot"\nprimary_exchange = "{name}"\nfailover_exchanges = []\n'
        f'[exchanges.{name}]\napi_key = "k"\nsecret = "s"\n'
    )
    path.chmod(0o600)
    return path


def test_check_config_tells_the_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of an exchange that can be traded on."""
    assert check_config(_configured(tmp_path, "mexc")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "mexc is traded over ccxt's unified methods only" in out
    assert "mexc is not told when an order expires" in out


def test_check_config_refuses_what_cannot_be_traded_on(tmp_path: Path) -> None:
    """With the exit code of a configuration that cannot be used."""
    with pytest.raises(Ended) as ended:
        check_config(_configured(tmp_path, "hyperliquid"))
    assert ended.value.code == EX_CONFIG
    assert "asks for credentials that the router does not hold" in str(ended.value)


def test_the_lists_of_what_ended_are_all_that_there_are() -> None:
    """ccxt's krakenfutures answers `fetchOrders` from a list of those that are live."""
    client = prepare(generic("krakenfutures", MarketType.SWAP, "krakenx")())
    assert generic_trial.ended_by(client) == ("fetch_orders", "fetch_closed_orders", "fetch_canceled_orders")


@pytest.mark.parametrize("name", ["okxus", "bybiteu"])
def test_a_configured_name_leads_to_an_exchange_that_trades(sims: SimulatorThread, name: str) -> None:
    """By the same way as the router's own: ccxt's sisters of exchanges that are simulated here."""

    class Named(Desk):
        def build(self, settings: ExchangeSettings, credentials: Credentials) -> CcxtPort:
            return build_port(evolve(settings, name=name), credentials, self.clock)

    counter = Named(sims["okx" if name.startswith("okx") else "bybit"], MarketType.SPOT, timeout_s=PATIENCE_S)
    assert counter.open() == ""
    assert counter.port.exchange == name
    assert counter.port.rates.budgets
    wire = wire_id()
    assert isinstance(counter.place(counter.spec(), wire), Placed)
    assert isinstance(counter.look_up(wire), Found)
    assert isinstance(counter.cancel(wire), CancelConfirmed)
    counter.close()


def listed(counter: Unadapted, of: Symbol) -> set[str]:
    """The exchange's own ids of the open orders of a market."""
    market = counter.port._table.known(of)
    return {row["id"] for row in counter.loop.run(counter.port._client.fetch_open_orders(market.unified))}


@pytest.mark.parametrize("echo", [lambda _: None, lambda own: f"x-{own}".upper(), lambda own: own[:20]])
@pytest.mark.parametrize("name", IDS)
def test_an_order_whose_client_id_is_not_echoed_as_it_was_sent_is_followed_by_the_exchanges_own(
    sims: SimulatorThread, name: str, echo: Callable[[str], str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once that is known. Before, its absence is not proven: it would be placed twice."""
    counter, wire = Unadapted(sims[name], timeout_s=PATIENCE_S), wire_id()
    assert counter.open() == ""
    sol = counter.symbol("SOLUSDT")
    whole = counter.port._client.parse_order

    def parsed(*args: Any) -> Any:
        order = whole(*args)
        return {**order, "clientOrderId": echo(order["clientOrderId"])} if order["clientOrderId"] == wire else order

    monkeypatch.setattr(counter.port._client, "parse_order", parsed)
    before = listed(counter, sol)
    answer = counter.place(counter.spec("3", of=sol, price="10"), wire)
    assert isinstance(answer, Placed if echo("") is None else Ambiguous)
    (order_id,) = listed(counter, sol) - before
    assert isinstance(counter.look_up(wire, sol), CallFailed)
    found = counter.look_up(wire, sol, order_id)
    assert isinstance(found, Found)
    assert (found.report.state, found.report.wire_id) == (LegState.OPEN, wire)
    counter.truthful.fill(client_order_id=wire, qty="1")
    assert isinstance(counter.cancel(wire, sol, order_id), CancelConfirmed)
    found = counter.look_up(wire, sol, order_id)
    assert isinstance(found, Found)
    assert (found.report.state, int(found.report.filled or 0)) == (LegState.CANCELLED, 1)
    counter.close()
