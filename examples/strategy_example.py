"""A strategy actor: one bid below the market, moved now and then, that follows trading to the next exchange.

    [strategies.bidder]
    class = "strategy_example:Bidder"
    path = "examples"
    args = { symbol = "BTCUSDT", quantity = "0.001", price = "25000" }

It is supervised like any actor of the router: should it raise, it starts afresh, and since its client order ids are
derived from a counter it keeps in a file, it never places the same order twice.
"""

from __future__ import annotations

from pathlib import Path

from actors.strategy import Strategy
from messages.failover import Route, RouterState
from messages.orders import Fill, OrderUpdate, Told

MOVE_EVERY_S = 2.0


class Bidder(Strategy):
    """Keeps one bid in the market."""

    def __init__(self, symbol: str, quantity: str, price: str, counter_file: str = "bidder.counter") -> None:
        self.symbol = symbol
        self.quantity = quantity
        self.price = price
        self.counter_file = Path(counter_file)
        self.open_order = ""

    def on_start(self) -> None:
        """Asks what became of the last bid, if there was one; placing under its id never places twice."""
        self.bid(self.last())

    def on_order(self, update: OrderUpdate) -> None:
        """Remembers the bid once the exchange has it; bids anew when it is gone."""
        print(f"{update.client_order_id}: {update.told.value} {update.words}".rstrip(), flush=True)
        match update.told:
            case Told.ACCEPTED:
                self.open_order = update.order_id
                self.call_at(self.now_s() + MOVE_EVERY_S)
            case Told.CANCELLED | Told.NOT_EXECUTED:
                self.bid(self.last() + 1)

    def on_fill(self, fill: Fill) -> None:
        """Says what was bought."""
        print(f"bought {fill.quantity} at {fill.average_price} on {fill.order.legs[-1].exchange}", flush=True)

    def on_route(self, route: Route, state: RouterState) -> None:
        """Says where trading is."""
        print(f"trading on {route.exchange} ({state.value}, epoch {route.epoch})", flush=True)

    def on_timer(self, now_s: float) -> None:
        """Takes the bid away; the next follows when that is proven."""
        if self.open_order:
            self.cancel(self.open_order)

    def bid(self, number: int) -> None:
        """Places bid number so and so."""
        self.counter_file.write_text(str(number))
        self.place(self.symbol, "buy", self.quantity, price=self.price, client_order_id=f"bid-{number}")

    def last(self) -> int:
        """The number of the last bid; 1 before the first."""
        return int(self.counter_file.read_text()) if self.counter_file.exists() else 1
