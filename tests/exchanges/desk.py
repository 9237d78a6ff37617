"""A desk at one simulated exchange: the real port over real HTTP, and the exchange's own truth beside it."""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from app.domain.calls import (
    BalancesCall,
    Call,
    CancelCall,
    LookUpCall,
    OpenOrdersCall,
    PlaceCall,
    PositionsCall,
    ProbeCall,
    Result,
    TickerCall,
)
from app.domain.symbols import parse_symbol
from app.exchanges.adapter import CcxtPort
from app.exchanges.factory import build_port
from app.exchanges.settings import Credentials, ExchangeSettings
from app.simulator.thread import Simulated
from messages.health import ProbeKind
from messages.market import MarketType, Symbol
from messages.orders import OrderSpec, OrderType, Side, TimeInForce

T = TypeVar("T")
EXCHANGES = ("bybit", "okx", "binance", "kraken")
TIMEOUT_S = 0.3
"""Of one HTTP request: what a hang costs a test."""
PATIENCE_S = 5.0
BTC = parse_symbol("BTCUSDT", MarketType.SWAP)
FAR = Decimal(20000)
"""A price at which a buy rests."""


def symbol(text: str) -> Symbol:
    """A swap symbol."""
    return parse_symbol(text, MarketType.SWAP)


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
    """One port on an event loop of its own; close it."""

    def __init__(self, sim: Simulated, *, secret: str | None = None, allow_settlement_change: bool = True) -> None:
        self.sim = sim
        self.name = sim.name
        self.truthful = sim.control
        self.clock = Clock()
        self.loop = asyncio.Runner()
        settings = ExchangeSettings(
            name=sim.name,
            base_url=sim.base_url,
            request_timeout_s=TIMEOUT_S,
            allow_settlement_change=allow_settlement_change,
        )
        credentials = Credentials(api_key=sim.api_key, secret=secret or sim.secret, password=sim.password)
        self.port: CcxtPort = build_port(settings, credentials, self.clock)

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

    def cancel(self, wire_id: str, of: Symbol = BTC) -> Result:
        """Cancels by wire id."""
        return self.do(
            CancelCall(symbol=of, wire_id=wire_id, exchange_order_id=None, deadline_s=self.clock() + PATIENCE_S)
        )

    def look_up(self, wire_id: str, of: Symbol = BTC, order_id: str | None = None) -> Result:
        """Looks an order of the last minute up by wire id."""
        now_s = self.clock()
        return self.do(
            LookUpCall(
                symbol=of,
                wire_id=wire_id,
                exchange_order_id=order_id,
                since_s=now_s - 60,
                deadline_s=now_s + PATIENCE_S,
            )
        )

    def open_orders(self, of: Symbol | None = None) -> Result:
        """Open orders."""
        return self.do(OpenOrdersCall(symbol=of, deadline_s=self.clock() + PATIENCE_S))

    def positions(self) -> Result:
        """Positions."""
        return self.do(PositionsCall(deadline_s=self.clock() + PATIENCE_S))

    def balances(self) -> Result:
        """Balances."""
        return self.do(BalancesCall(deadline_s=self.clock() + PATIENCE_S))

    def ticker(self, of: Symbol = BTC) -> Result:
        """A ticker."""
        return self.do(TickerCall(symbol=of, deadline_s=self.clock() + PATIENCE_S))

    def probe(self, kind: ProbeKind) -> Result:
        """A probe."""
        return self.do(ProbeCall(kind=kind, deadline_s=self.clock() + PATIENCE_S))

    # ---- truth -------------------------------------------------------------------------------------------------------

    def truth(self, wire_id: str) -> list[dict[str, Any]]:
        """Every order the exchange really has under a wire id."""
        return [order for order in self.truthful.truth()["orders"] if order["client_order_id"] == wire_id]

    def seen(self, call: str) -> int:
        """How many requests of a call arrived."""
        return sum(1 for request in self.truthful.requests() if request["call"] == call)

    def native(self, of: Symbol) -> str:
        """The symbol under which the simulated exchange keeps an order for `of`."""
        return f"{of.base}/USD:USD" if self.name == "kraken" else str(of)

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
