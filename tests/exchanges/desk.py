"""A desk at one simulated exchange: the real port over real HTTP, and the exchange's own truth beside it."""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Self, TypeVar

from app.domain.calls import (
    AccountCall,
    AmendCall,
    BalancesCall,
    Call,
    CancelCall,
    ClosedOrdersCall,
    DeadManCall,
    FillsCall,
    KlinesCall,
    LeverageCall,
    LookUpCall,
    MarginModeCall,
    OpenOrdersCall,
    OrderBookCall,
    PlaceCall,
    PositionModeCall,
    PositionsCall,
    ProbeCall,
    Result,
    StatusCall,
    TickerCall,
)
from app.domain.symbols import parse_symbol
from app.exchanges.adapter import CcxtPort
from app.exchanges.factory import PROFILES, build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.simulator.thread import Simulated, SimulatorThread
from messages.health import ProbeKind
from messages.market import Interval, MarginMode, MarketType, PositionMode, Symbol
from messages.orders import OrderSpec, OrderType, Side, TimeInForce, Trigger, TriggerBy, TriggerKind

T = TypeVar("T")
EXCHANGES = ("bybit", "okx", "binance", "kraken")
SPOT_EXCHANGES = tuple(name for name in EXCHANGES if (name, MarketType.SPOT) in PROFILES)
"""Those whose spot markets the router trades."""
SPOT_HOSTS = {"binance": "binance_spot", "kraken": "kraken_spot"}
"""Spot of these is a simulated exchange of its own; the others serve spot and swaps from one host and one account."""
HOSTS = (*EXCHANGES, *SPOT_HOSTS.values())
TIMEOUT_S = 1.0
"""Of one HTTP request: what a hang costs a test."""
PATIENCE_S = 5.0
BTC = parse_symbol("BTCUSDT", MarketType.SWAP)
BTC_SPOT = parse_symbol("BTCUSDT", MarketType.SPOT)
FAR = Decimal(20000)
"""A price at which a buy rests."""


def symbol(text: str) -> Symbol:
    """A swap symbol."""
    return parse_symbol(text, MarketType.SWAP)


def spot(text: str) -> Symbol:
    """A spot symbol."""
    return parse_symbol(text, MarketType.SPOT)


def host(exchange: str, market_type: MarketType) -> str:
    """The simulated exchange where a kind of market of an exchange is."""
    return SPOT_HOSTS.get(exchange, exchange) if market_type is MarketType.SPOT else exchange


def stop(price: str | Decimal, by: TriggerBy = TriggerBy.LAST) -> Trigger:
    """Set off against the order's side: a buy at or above."""
    return Trigger(kind=TriggerKind.STOP, price=Decimal(price), by=by)


def take_profit(price: str | Decimal, by: TriggerBy = TriggerBy.LAST) -> Trigger:
    """Set off with the order's side: a buy at or below."""
    return Trigger(kind=TriggerKind.TAKE_PROFIT, price=Decimal(price), by=by)


def spec(
    quantity: str = "0.01",
    *,
    of: Symbol = BTC,
    side: Side = Side.BUY,
    price: str | Decimal | None = FAR,
    tif: TimeInForce = TimeInForce.GTC,
    reduce_only: bool = False,
    take_profit: str | None = None,
    stop_loss: str | None = None,
    trigger: Trigger | None = None,
) -> OrderSpec:
    """A resting buy of 0.01 BTC, unless said otherwise; a market order where the price is None."""
    return OrderSpec(
        symbol=of,
        side=side,
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
        time_in_force=tif,
        reduce_only=reduce_only,
        take_profit=None if take_profit is None else Decimal(take_profit),
        stop_loss=None if stop_loss is None else Decimal(stop_loss),
        trigger=trigger,
    )


def until(what: Callable[[], T | None], *, patience_s: float = 2 * PATIENCE_S, means: str = "it") -> T:
    """What `what` returns as soon as it is true; AssertionError when it does not become so in time."""
    end = time.monotonic() + patience_s
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, f"{means} did not come true within {patience_s:g} s"
        threading.Event().wait(0.01)


class Clock:
    """The host's clock, which a test may set wrong."""

    def __init__(self) -> None:
        self.behind_s = 0.0

    def __call__(self) -> float:
        """Unix seconds."""
        return time.time() - self.behind_s


class Desk:
    """One port on an event loop of its own; close it.

    Attributes:
        name: The router's name of the exchange.
        btc: Bitcoin in USDT, of the kind of market traded here; stands wherever a call names no symbol.
    """

    def __init__(
        self,
        sim: Simulated,
        market_type: MarketType = MarketType.SWAP,
        *,
        secret: str | None = None,
        allow_settlement_change: bool = True,
        timeout_s: float = PATIENCE_S,
    ) -> None:
        self.sim = sim
        self.name = next((name for name, host in SPOT_HOSTS.items() if host == sim.name), sim.name)
        self.market_type = market_type
        self.btc = self.symbol("BTCUSDT")
        self.truthful = sim.control
        self.clock = Clock()
        self.loop = asyncio.Runner()
        settings = ExchangeSettings(
            name=self.name,
            base_url=sim.base_url,
            market_type=market_type,
            request_timeout_s=timeout_s,
            allow_settlement_change=allow_settlement_change,
        )
        credentials = Credentials(api_key=sim.api_key, secret=secret or sim.secret, password=sim.password)
        self.port: CcxtPort = self.build(settings, credentials)

    def build(self, settings: ExchangeSettings, credentials: Credentials) -> CcxtPort:
        """The port; of the profile that is registered for the exchange, unless a desk says otherwise."""
        return build_port(settings, credentials, self.clock)

    @classmethod
    def at(
        cls,
        sims: SimulatorThread,
        exchange: str,
        market_type: MarketType = MarketType.SWAP,
        *,
        timeout_s: float = PATIENCE_S,
    ) -> Self:
        """A desk at a kind of market of an exchange."""
        return cls(sims[host(exchange, market_type)], market_type, timeout_s=timeout_s)

    def symbol(self, text: str) -> Symbol:
        """A symbol of the kind that is traded here."""
        return parse_symbol(text, self.market_type)

    def spec(self, quantity: str = "0.01", *, of: Symbol | None = None, **rest: Any) -> OrderSpec:
        """Like `spec`, of a symbol of the kind that is traded here."""
        return spec(quantity, of=self.btc if of is None else of, **rest)

    def open(self) -> str:
        """Opens the port, with room for a slow machine."""
        return self.loop.run(self.port.open(self.clock() + 20))

    def close(self) -> None:
        """Closes port and loop."""
        self.loop.run(self.port.close())
        self.loop.close()

    # ---- calls -------------------------------------------------------------------------------------------------------

    def do(self, call: Call) -> Result:
        """Performs a call."""
        return self.loop.run(self.port.perform(call))

    def place(self, what: OrderSpec, wire_id: str, *, validity_s: float = 5.0, deadline_s: float = 3.0) -> Result:
        """Places an order committed now."""
        now_s = self.clock()
        return self.do(
            PlaceCall(
                spec=what,
                quantity=what.quantity,
                wire_id=wire_id,
                committed_s=now_s,
                expiry_s=now_s + validity_s,
                deadline_s=now_s + deadline_s,
            )
        )

    def cancel(
        self, wire_id: str, of: Symbol | None = None, order_id: str | None = None, *, conditional: bool = False
    ) -> Result:
        """Cancels by wire id; also by the exchange's, where the exchange cannot otherwise."""
        return self.do(
            CancelCall(
                symbol=of or self.btc,
                wire_id=wire_id,
                exchange_order_id=order_id,
                deadline_s=self.soon(),
                conditional=conditional,
            )
        )

    def amend(
        self,
        wire_id: str,
        placed: OrderSpec,
        *,
        quantity: str | None = None,
        price: str | None = None,
        trigger_price: str | None = None,
        order_id: str | None = None,
    ) -> Result:
        """Changes a resting order that was placed as `placed`."""
        return self.do(
            AmendCall(
                spec=placed,
                wire_id=wire_id,
                exchange_order_id=order_id,
                quantity=None if quantity is None else Decimal(quantity),
                price=None if price is None else Decimal(price),
                trigger_price=None if trigger_price is None else Decimal(trigger_price),
                deadline_s=self.soon(),
            )
        )

    def look_up(
        self, wire_id: str, of: Symbol | None = None, order_id: str | None = None, *, conditional: bool = False
    ) -> Result:
        """Looks an order of the last minute up by wire id."""
        return self.do(
            LookUpCall(
                symbol=of or self.btc,
                wire_id=wire_id,
                exchange_order_id=order_id,
                since_s=self.clock() - 60,
                deadline_s=self.soon(),
                conditional=conditional,
            )
        )

    def account(self, *of: Symbol) -> Result:
        """What the account is like, what it has set for some markets, and their prices."""
        return self.do(AccountCall(symbols=of or (self.btc,), priced=of, deadline_s=self.soon()))

    def open_orders(self, of: Symbol | None = None, *, conditional: bool = False) -> Result:
        """Open orders."""
        return self.do(OpenOrdersCall(symbol=of, deadline_s=self.soon(), conditional=conditional))

    def closed_orders(self, of: Symbol | None = None, *, since_s: float | None = None) -> Result:
        """Orders that ended, within the last minute unless said otherwise."""
        return self.do(
            ClosedOrdersCall(symbol=of or self.btc, since_s=self._minute_ago(since_s), deadline_s=self.soon())
        )

    def fills(self, of: Symbol | None = None, *, since_s: float | None = None) -> Result:
        """Executions, of the last minute unless said otherwise."""
        return self.do(FillsCall(symbol=of or self.btc, since_s=self._minute_ago(since_s), deadline_s=self.soon()))

    def fills_of(self, wire_id: str, order_id: str | None, *, conditional: bool = False) -> Result:
        """Executions of one order of the last minute."""
        return self.do(
            FillsCall(
                symbol=self.btc,
                since_s=self.clock() - 60,
                deadline_s=self.soon(),
                wire_id=wire_id,
                exchange_order_id=order_id,
                conditional=conditional,
            )
        )

    def order_book(self, of: Symbol | None = None, *, depth: int = 5) -> Result:
        """The best prices."""
        return self.do(OrderBookCall(symbol=of or self.btc, depth=depth, deadline_s=self.soon()))

    def klines(
        self,
        of: Symbol | None = None,
        *,
        interval: Interval = Interval.MINUTE_1,
        since_s: float | None = None,
        limit: int = 5,
    ) -> Result:
        """Bars."""
        return self.do(
            KlinesCall(symbol=of or self.btc, interval=interval, since_s=since_s, limit=limit, deadline_s=self.soon())
        )

    def status(self) -> Result:
        """What the exchange says of itself."""
        return self.do(StatusCall(deadline_s=self.soon()))

    def leverage(self, leverage: str, of: Symbol | None = None) -> Result:
        """Sets a symbol's leverage."""
        return self.do(LeverageCall(symbol=of or self.btc, leverage=Decimal(leverage), deadline_s=self.soon()))

    def margin_mode(self, mode: MarginMode, of: Symbol | None = None) -> Result:
        """Sets a symbol's margin mode."""
        return self.do(MarginModeCall(symbol=of or self.btc, mode=mode, deadline_s=self.soon()))

    def position_mode(self, mode: PositionMode) -> Result:
        """Sets the account's position mode."""
        return self.do(PositionModeCall(mode=mode, deadline_s=self.soon()))

    def dead_man(self, timeout_s: float) -> Result:
        """Has the exchange cancel everything unless asked again in time."""
        return self.do(DeadManCall(timeout_s=timeout_s, deadline_s=self.soon()))

    def positions(self) -> Result:
        """Positions."""
        return self.do(PositionsCall(deadline_s=self.soon()))

    def balances(self) -> Result:
        """Balances."""
        return self.do(BalancesCall(deadline_s=self.soon()))

    def ticker(self, of: Symbol | None = None) -> Result:
        """A ticker."""
        return self.do(TickerCall(symbol=of or self.btc, deadline_s=self.soon()))

    def probe(self, kind: ProbeKind) -> Result:
        """A probe."""
        return self.do(ProbeCall(kind=kind, deadline_s=self.soon()))

    def soon(self) -> float:
        """A deadline with room for a slow machine."""
        return self.clock() + PATIENCE_S

    def _minute_ago(self, since_s: float | None) -> float:
        return self.clock() - 60 if since_s is None else since_s

    # ---- truth -------------------------------------------------------------------------------------------------------

    def truth(self, wire_id: str) -> list[dict[str, Any]]:
        """Every order the exchange really has under a wire id."""
        return [order for order in self.truthful.truth()["orders"] if order["client_order_id"] == wire_id]

    def seen(self, call: str) -> int:
        """How many requests of a call arrived."""
        return sum(1 for request in self.truthful.requests() if request["call"] == call)

    def native(self, of: Symbol) -> str:
        """The symbol under which the simulated exchange keeps an order for `of`."""
        changed = self.name == "kraken" and of.market_type is MarketType.SWAP
        return f"{of.base}/USD:USD" if changed else str(of)

    def own(self, coin: str, amount: str) -> None:
        """More of a coin, to be sold on a spot market."""
        self.truthful.deposit(coin, amount)

    def flat(self) -> None:
        """No faults and no positions."""
        self.truthful.clear_faults()
        for held in self.truthful.truth()["positions"]:
            self.truthful.position(held, 0)


def wire_id() -> str:
    """A fresh wire id: 32 hex, legal everywhere."""
    return uuid.uuid4().hex


def probe_at(base_url: str) -> Result:
    """What a public probe of OKX gives when its address is another."""
    settings = ExchangeSettings(name="okx", base_url=base_url, request_timeout_s=TIMEOUT_S)
    port = build_port(settings, Credentials(api_key="k", secret="s", password="p"), time.time)

    async def ask() -> Result:
        try:
            return await port.perform(ProbeCall(kind=ProbeKind.PUBLIC, deadline_s=time.time() + PATIENCE_S))
        finally:
            await port.close()

    return asyncio.run(ask())
