"""A pre-flight over real HTTP, by a real connector actor, of every exchange; and setting what a position needs there.

What is wrong is made so at the exchange, or in what is asked for; each finding is a sentence, and nothing else is told.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from actors.connector_readiness import SERVES_S
from app.domain.limiter import Priority
from app.domain.symbols import parse_symbol
from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.journal.store import Journal
from app.simulator.thread import Simulated, SimulatorThread
from messages.account import AccountReply, AccountView, GetAccount, PrepareSymbol, SymbolPrepared
from messages.base import Failed
from messages.failover import PreflightReply, PreflightRequest
from messages.health import Probe, ProbeKind
from messages.market import MarginMode, MarketType, PositionMode, Symbol
from messages.orders import Side
from tests.exchanges.desk import BTC, BTC_SPOT, EXCHANGES, SPOT_EXCHANGES, host, spec
from tests.exchanges.stage import Stage

PATIENCE_S = 20.0
ETH = parse_symbol("ETHUSDT", MarketType.SWAP)
GONE = parse_symbol("GONEUSDT", MarketType.SWAP)
D = Decimal
_serial = itertools.count()


@define
class Counter:
    """Where a connector is asked."""

    stage: Stage
    sim: Simulated
    name: str

    def ask(self, kind: Callable[..., Any], /, **what: Any) -> Any:
        """Its answer."""
        asked = f"q{next(_serial)}"
        self.stage.deliver(kind(correlation_id=asked, deadline_s=time.time() + 10.0, **what))

        def answer() -> Any:
            found = [m for _, _, m in self.stage.sent if getattr(m, "correlation_id", None) == asked]
            return found[0] if found else None

        assert self.stage.run(answer, PATIENCE_S)
        return answer()

    def preflight(self, *symbols: Symbol, **what: Any) -> PreflightReply:
        """What is said of it."""
        reply = self.ask(PreflightRequest, symbols=tuple(map(str, symbols or (BTC,))), **what)
        assert isinstance(reply, PreflightReply), reply
        return reply


@pytest.fixture(params=EXCHANGES)
def sim(request: pytest.FixtureRequest, sims: SimulatorThread) -> Iterator[Simulated]:
    """One exchange after the other."""
    found = sims[request.param]
    yield found
    found.control.clear_faults()


@pytest.fixture
def counter(sim: Simulated, tmp_path: Path) -> Iterator[Counter]:
    """A connector that is ready."""
    yield from _opened(sim, sim.name, MarketType.SWAP, tmp_path)


@pytest.fixture(params=SPOT_EXCHANGES)
def spot_counter(request: pytest.FixtureRequest, sims: SimulatorThread, tmp_path: Path) -> Iterator[Counter]:
    """One of spot markets."""
    yield from _opened(sims[host(request.param, MarketType.SPOT)], request.param, MarketType.SPOT, tmp_path)


def _opened(sim: Simulated, name: str, market_type: MarketType, folder: Path) -> Iterator[Counter]:
    settings = ExchangeSettings(
        name=name,
        base_url=sim.base_url,
        market_type=market_type,
        request_timeout_s=5.0,
        allow_settlement_change=name != "kraken",
    )
    credentials = Credentials(api_key=sim.api_key, secret=sim.secret, password=sim.password)
    port = build_port(settings, credentials, time.time)
    path = folder / "journal.db"
    Journal(path).close()
    with Stage(port, path, request_timeout_s=5.0, market_type=market_type) as stage:
        assert stage.run(lambda: port.ready, PATIENCE_S)
        yield Counter(stage, sim, name)


def local(symbol: Symbol, counter: Counter) -> Symbol:
    """Kraken's futures settle in USD."""
    return parse_symbol(f"{symbol.base}USD", MarketType.SWAP) if counter.name == "kraken" else symbol


def test_ready(counter: Counter) -> None:
    """With a book that fits. And it is cheap: a few requests, whatever is asked about."""
    btc, eth = local(BTC, counter), local(ETH, counter)
    before = len(counter.sim.control.requests())
    reply = counter.preflight(
        btc,
        eth,
        orders=(spec("0.01", of=btc), spec("0.1", of=eth, price="1500", side=Side.SELL), spec("0.01", of=btc)),
        positions=((btc, D("0.02")),),
    )
    assert (reply.problems, reply.shortfalls, reply.refused) == ((), (), ())
    assert any("of margin free" in note for note in reply.notes)
    assert reply.account is not None
    assert {each.symbol for each in reply.account.symbols} == {btc, eth}
    assert 0 < reply.at_s <= time.time()
    assert len(counter.sim.control.requests()) - before <= 8


def test_what_is_missing_or_too_small_or_too_much(counter: Counter) -> None:
    """A symbol is a problem; what of the book would not follow is told beside it."""
    btc = local(BTC, counter)
    reply = counter.preflight(btc, GONE)
    assert len(reply.problems) == 1
    assert "GONE/USDT:USDT" in reply.problems[0]
    if counter.name == "kraken":
        (words,) = counter.preflight(BTC).problems
        assert "exchanges.kraken.allow_settlement_change" in words
    small = spec("0.0000001", of=btc)
    reply = counter.preflight(btc, orders=(spec("0.01", of=btc), small))
    assert reply.problems == ()
    assert [place for place, _ in reply.refused] == [1]
    assert f"could not be placed on {counter.name}" in reply.shortfalls[0]
    reply = counter.preflight(btc, positions=((btc, D(5000)),))
    assert reply.problems == ()
    assert len(reply.shortfalls) == 1
    assert "what does not fit is parked, or stays where it is" in reply.shortfalls[0]


def test_position_mode_that_differs(counter: Counter) -> None:
    """Orders would mean something else there."""
    btc = local(BTC, counter)
    told = counter.ask(GetAccount, symbols=(btc,))
    assert isinstance(told, AccountReply)
    there = told.account.position_mode
    assert there is PositionMode.ONE_WAY
    other = AccountView(
        exchange="elsewhere",
        position_mode=PositionMode.HEDGE,
        free=D(1),
        symbols=(),
        clock_offset_s=0.0,
        clock_error_s=0.0,
        at_s=0.0,
    )
    (words,) = counter.preflight(btc, orders=(spec("0.01", of=btc),), source=other).problems
    assert f'Set the position mode of {counter.name} to "hedge"' in words


def test_an_exchange_that_does_not_answer(counter: Counter) -> None:
    """Its own words; and well again once it does."""
    btc = local(BTC, counter)
    counter.sim.control.fault("http_5xx")
    (words,) = counter.preflight(btc).problems
    assert words.startswith(f"{counter.name} is not ready: ")
    counter.sim.control.clear_faults()
    assert counter.preflight(btc).problems == ()


@pytest.mark.parametrize("sim", ["okx"], indirect=True)
def test_a_switch_that_waits_goes_before_what_keeps_backups_fresh(counter: Counter) -> None:
    """Probes at a quick pace leave no room for reads on OKX: what is asked all the time stands back, a switch does not.

    Unless nothing at all is known of a backup any more: it would be taken for one that is not ready.
    """
    preflights, now_s = counter.stage.actor._preflights, time.time()
    ask = PreflightRequest(correlation_id="p", deadline_s=now_s + 5, symbols=())
    assert preflights.priority(ask, now_s) is Priority.LOOK_UP, "nothing is known yet"
    assert counter.preflight().problems == ()
    now_s = time.time()
    assert preflights.priority(ask, now_s) is Priority.READ
    assert preflights.priority(ask, now_s + SERVES_S / 2 + 1) is Priority.LOOK_UP
    assert preflights.priority(evolve(ask, urgent=True), now_s) is Priority.PROBE
    for _ in range(4):  # as many as the reserve leaves to reads
        counter.ask(Probe, kind=ProbeKind.SIGNED)
        counter.ask(Probe, kind=ProbeKind.PUBLIC)
    began_s = time.monotonic()
    assert counter.preflight(urgent=True).problems == ()
    assert time.monotonic() - began_s < 1.0


def test_nothing_to_trade_with(counter: Counter) -> None:
    """All of it is taken by a position."""
    btc = local(BTC, counter)
    ledger = counter.sim.exchange.engine.ledger
    coin = ledger.settle
    held = ledger.balances[coin]
    counter.sim.control.deposit(coin, -held)
    try:
        (words,) = counter.preflight(btc).problems
        assert words == f"{counter.name} has no free margin: add funds there, or close something."
    finally:
        counter.sim.control.deposit(coin, held)


def test_prepared(counter: Counter) -> None:
    """Margin mode and leverage as wanted, told as they are then; where an exchange has no such setting, it says so."""
    btc = local(BTC, counter)
    done = counter.ask(PrepareSymbol, symbol=btc, leverage=D(7), margin_mode=MarginMode.ISOLATED)
    assert isinstance(done, SymbolPrepared), done
    native = next(name for name, market in counter.sim.exchange.engine.markets.items() if _is(market, btc))
    assert done.settings is not None
    assert done.settings.leverage == D(7) == counter.sim.exchange.engine.ledger.position(native).leverage
    if counter.name == "okx":
        assert "takes the margin mode with each order" in done.words[0]
        assert done.settings.margin_mode is MarginMode.CROSS
    else:
        assert (done.words, done.settings.margin_mode) == ((), MarginMode.ISOLATED)
    again = counter.ask(PrepareSymbol, symbol=btc, leverage=D(7))
    assert (again.changed, again.words, again.settings) == (False, (), done.settings)
    back = counter.ask(PrepareSymbol, symbol=btc, margin_mode=MarginMode.CROSS)
    assert back.settings.margin_mode is MarginMode.CROSS
    # Kraken's cross margin has no leverage to choose, which is said and no failure.
    cross = counter.ask(PrepareSymbol, symbol=btc, leverage=D(3))
    assert isinstance(cross, SymbolPrepared)
    assert cross.settings is not None
    if counter.name == "kraken":
        assert "no leverage can be set" in cross.words[0]
    else:
        assert (cross.words, cross.settings.leverage) == ((), D(3))
    counter.ask(PrepareSymbol, symbol=btc, leverage=D(10))


def test_prepared_where_nobody_answers(counter: Counter) -> None:
    """To be asked again."""
    counter.sim.control.fault("http_5xx")
    done = counter.ask(PrepareSymbol, symbol=local(BTC, counter), leverage=D(7))
    assert isinstance(done, Failed)
    assert done.retryable


def test_inventory_of_spot(spot_counter: Counter) -> None:
    """What is sold has to be there."""
    sell = spec("0.001", of=BTC_SPOT, price="60000", side=Side.SELL)
    reply = spot_counter.preflight(BTC_SPOT, orders=(sell,))
    assert reply.problems == ()
    much = spec("4000", of=BTC_SPOT, price="60000", side=Side.SELL)
    reply = spot_counter.preflight(BTC_SPOT, orders=(much, spec("4000", of=BTC_SPOT, price="60000")))
    assert reply.problems == ()
    assert any("BTC free, and the orders that would move there need 4000" in words for words in reply.shortfalls)
    assert any("USDT free, and the orders that would move there need 240000000" in words for words in reply.shortfalls)


def _is(market: Any, symbol: Symbol) -> bool:
    return not market.is_spot and market.base == symbol.base
