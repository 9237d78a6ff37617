"""What the accounts of one exchange share: markets, prices, ids, funding, halts, and the clock that things wait for.

Accounts never trade with each other: each meets the book of `depth`, whose other side is outside. So two of them share
a price and the numbers of orders and fills, and nothing else. Pure: the time is an argument, nothing is random.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Protocol

from attrs import define, frozen

from app.simulator.depth import Level, levels
from app.simulator.model import Fill, Reason, Refusal, Side, TriggerBy
from app.simulator.spec import BOOK_LEVELS, MarketKind, MarketSpec

MAX_PRICE = Decimal(10) ** 12
"""Above it the remainder by a tick leaves the decimal context, and no market is there anyway."""


MAX_MOVES = 10_000
"""Moves of a price remembered, newest; nothing but klines depends on them."""


@frozen(kw_only=True)
class Move:
    """A reference price that changed, from `before` to `price`."""

    ts_ms: int
    before: Decimal
    price: Decimal


@frozen(kw_only=True)
class Maintenance:
    """A maintenance that was announced, or goes on. `end_ms` None: nobody said until when."""

    words: str
    begin_ms: int
    end_ms: int | None = None

    def under_way(self, now_ms: int) -> bool:
        """Whether it goes on."""
        return self.begin_ms <= now_ms and not self.over(now_ms)

    def over(self, now_ms: int) -> bool:
        """Whether it has ended."""
        return self.end_ms is not None and self.end_ms <= now_ms

    def state(self, now_ms: int) -> str:
        """In the words that exchanges share: scheduled, ongoing or completed."""
        if self.over(now_ms):
            return "completed"
        return "ongoing" if self.under_way(now_ms) else "scheduled"


@define(kw_only=True)
class Walk:
    """Prices that move by themselves: every `every_ms` each market by up to `ticks` ticks, up or down by chance.

    The same seed gives the same steps. They stay within a hundredth of the price that they began at.
    """

    every_ms: int
    ticks: int
    next_ms: int
    chance: random.Random
    begun: dict[str, Decimal]


class Participant(Protocol):
    """An account, as the venue sees it."""

    fills: list[Fill]

    def react(self, symbol: str, now_ms: int) -> None:
        """The price of `symbol` moved."""

    def fund(self, symbol: str, rate: Decimal, now_ms: int) -> None:
        """Pay or receive funding on the position of `symbol`."""

    def advance(self, now_ms: int) -> None:
        """Time went by: do what is due."""

    def due_ms(self) -> int | None:
        """When something is due next, Unix ms; None for nothing."""


@define(kw_only=True)
class Funding:
    """Funding by the clock, off unless `every_ms` is set. `rates`: what longs pay at each time, a share of notional."""

    every_ms: int | None = None
    next_ms: int | None = None
    rates: dict[str, Decimal]


class Venue:
    """One exchange's markets and everything that is the same for all its accounts."""

    def __init__(self, markets: Iterable[MarketSpec]) -> None:
        self.markets: dict[str, MarketSpec] = {m.symbol: m for m in markets}
        self.by_native: dict[str, MarketSpec] = {}
        for market in self.markets.values():
            # A spot market may have the name of a swap: without a kind the swap is meant.
            if market.native not in self.by_native or not market.is_spot:
                self.by_native[market.native] = market
        self.prices: dict[str, Decimal] = {m.symbol: m.price for m in self.markets.values()}
        self.moves: dict[str, deque[Move]] = {s: deque(maxlen=MAX_MOVES) for s in self.markets}
        self.pinned_marks: dict[str, Decimal] = {}
        self.level_qty: dict[str, Decimal | None] = {m.symbol: m.level_qty for m in self.markets.values()}
        self.suspended: set[str] = set()
        self.maintenance: Maintenance | None = None
        """The maintenance that goes on or is announced; None: none is. `told_maintenance` is what a status tells."""
        self.walk: Walk | None = None
        self.lag_ms = 0
        """Look-ups tell an order this long after it was placed."""
        self.funding = Funding(rates={})
        self.accounts: dict[str, Participant] = {}
        self.orders_made = 0
        self.fills_made = 0
        self.numbers = 0

    # ---- markets and prices -----------------------------------------------------------------------------------------

    def market(self, symbol: str) -> MarketSpec:
        """The market of a canonical symbol. Raises Refusal(UNKNOWN_SYMBOL)."""
        found = self.markets.get(symbol)
        if found is None:
            raise Refusal(Reason.UNKNOWN_SYMBOL, f"There is no market {symbol!r}.", symbol=symbol)
        return found

    def native(self, native: str, kind: MarketKind) -> MarketSpec:
        """The market of a native name and kind, where both kinds share names. Raises Refusal(UNKNOWN_SYMBOL)."""
        for market in self.markets.values():
            if market.native == native and market.kind is kind:
                return market
        raise Refusal(Reason.UNKNOWN_SYMBOL, f"There is no {kind} market {native!r}.")

    def bid(self, symbol: str) -> Decimal:
        """Best price for a seller: the reference."""
        return self.prices[symbol]

    def ask(self, symbol: str) -> Decimal:
        """Best price for a buyer: one tick above the bid."""
        return self.prices[symbol] + self.markets[symbol].tick

    def touch(self, symbol: str, side: Side) -> Decimal:
        """Best price for a taker on `side`."""
        return self.ask(symbol) if side is Side.BUY else self.bid(symbol)

    def mark(self, symbol: str) -> Decimal:
        """The mark price: the reference price unless it was pinned."""
        return self.pinned_marks.get(symbol, self.prices[symbol])

    def price_by(self, symbol: str, by: TriggerBy) -> Decimal:
        """The price that a trigger looks at."""
        return self.mark(symbol) if by is TriggerBy.MARK else self.prices[symbol]

    def facing(self, symbol: str, side: Side) -> Iterator[Level]:
        """The levels that a taker on `side` meets, best first."""
        tick = self.markets[symbol].tick
        return levels(self.touch(symbol, side), tick, self.level_qty[symbol], BOOK_LEVELS, side)

    def book(self, symbol: str, count: int) -> tuple[list[Level], list[Level]]:
        """Bids and asks as a client is shown them, best first, at most `count` each; no level is endless there."""
        market = self.market(symbol)
        shown = self.level_qty[symbol] or market.min_qty * 1000
        count = min(count, BOOK_LEVELS)
        return (
            list(levels(self.bid(symbol), market.tick, shown, count, Side.SELL)),
            list(levels(self.ask(symbol), market.tick, shown, count, Side.BUY)),
        )

    def set_depth(self, symbol: str, level_qty: Decimal | None) -> None:
        """Quantity on each level; None: endless."""
        market = self.market(symbol)
        if level_qty is not None and (level_qty <= 0 or level_qty % market.step):
            raise Refusal(Reason.QTY_OFF_STEP, f"{level_qty} is not a positive multiple of the step {market.step}.")
        self.level_qty[symbol] = level_qty

    def move_price(self, symbol: str, price: Decimal, now_ms: int) -> list[Fill]:
        """Set the reference price; triggers go off, resting orders that it reached fill, breached margins liquidate."""
        market = self.market(symbol)
        if not 0 < price <= MAX_PRICE or price % market.tick:
            raise Refusal(
                Reason.PRICE_OFF_TICK, f"{price} is not a positive multiple of the tick {market.tick} of {symbol}."
            )
        self.moves[symbol].append(Move(ts_ms=now_ms, before=self.prices[symbol], price=price))
        self.prices[symbol] = price
        return self._react(symbol, now_ms)

    def pin_mark(self, symbol: str, price: Decimal | None, now_ms: int) -> list[Fill]:
        """Hold the mark price apart from the reference; None lets it follow again."""
        self.market(symbol)
        if price is not None and not 0 < price <= MAX_PRICE:
            raise Refusal(Reason.BAD_PRICE, f"{price} is no mark price.", symbol=symbol)
        if price is None:
            self.pinned_marks.pop(symbol, None)
        else:
            self.pinned_marks[symbol] = price
        return self._react(symbol, now_ms)

    def suspend(self, symbol: str, on: bool, now_ms: int) -> None:
        """Halt a market, or open it again; on opening, what the price reached meanwhile happens."""
        self.market(symbol)
        if on:
            self.suspended.add(symbol)
        elif symbol in self.suspended:
            self.suspended.remove(symbol)
            self._react(symbol, now_ms)

    def told_maintenance(self, now_ms: int) -> Maintenance | None:
        """The maintenance that goes on, or will; None: none is known of."""
        told = self.maintenance
        return None if told is None or told.over(now_ms) else told

    def is_down(self, now_ms: int) -> bool:
        """Whether a maintenance goes on."""
        return self.maintenance is not None and self.maintenance.under_way(now_ms)

    def _react(self, symbol: str, now_ms: int) -> list[Fill]:
        starts = [(a, len(a.fills)) for a in self.accounts.values()]
        for account, _ in starts:
            account.react(symbol, now_ms)
        made = [f for account, start in starts for f in account.fills[start:]]
        made.sort(key=lambda f: f.seq)
        return made

    # ---- time -------------------------------------------------------------------------------------------------------

    def fund(self, symbol: str, rate: Decimal, now_ms: int) -> None:
        """Funding at once: longs pay `rate` of their notional at the mark price, shorts receive it (or the reverse)."""
        market = self.market(symbol)
        if market.is_spot:
            raise Refusal(Reason.UNSUPPORTED, f"{symbol} is a spot market: there is no funding.", symbol=symbol)
        if not rate.is_finite() or abs(rate) > 1:
            raise Refusal(Reason.BAD_PRICE, f"A funding rate is a share of the notional, not {rate}.", symbol=symbol)
        for account in self.accounts.values():
            account.fund(symbol, rate, now_ms)

    def set_funding(self, every_ms: int | None, rates: dict[str, Decimal], now_ms: int) -> None:
        """Funding at every multiple of `every_ms` of Unix time; None switches it off."""
        for symbol, rate in rates.items():
            if self.market(symbol).is_spot or not rate.is_finite() or abs(rate) > 1:
                raise Refusal(Reason.UNSUPPORTED, f"{symbol} has no funding rate of {rate}.", symbol=symbol)
        next_ms = None if every_ms is None else now_ms - now_ms % every_ms + every_ms
        self.funding = Funding(every_ms=every_ms, next_ms=next_ms, rates=dict(rates))

    def set_walk(self, every_ms: int | None, ticks: int, seed: int, now_ms: int) -> None:
        """Let prices move by themselves; None stops them. It is not in the books: a walk ends with the process."""
        if every_ms is None:
            self.walk = None
            return
        begun, chance = dict(self.prices), random.Random(seed)
        self.walk = Walk(every_ms=every_ms, ticks=ticks, next_ms=now_ms + every_ms, chance=chance, begun=begun)

    def _step(self, walk: Walk, now_ms: int) -> None:
        """One step of every market; of several that were missed the last."""
        walk.next_ms = max(walk.next_ms + walk.every_ms, now_ms + 1)
        for symbol, market in self.markets.items():
            price = self.prices[symbol] + walk.chance.choice((-1, 1)) * walk.chance.randint(1, walk.ticks) * market.tick
            if abs(price - walk.begun[symbol]) * 100 <= walk.begun[symbol]:
                self.move_price(symbol, price, now_ms)

    def advance(self, now_ms: int) -> None:
        """Do what is due by `now_ms`: prices, funding, dead-man switches. Of missed fundings only the last is paid."""
        if self.walk is not None and now_ms >= self.walk.next_ms:
            self._step(self.walk, now_ms)
        funding = self.funding
        if funding.every_ms is not None and funding.next_ms is not None and now_ms >= funding.next_ms:
            funding.next_ms = now_ms - now_ms % funding.every_ms + funding.every_ms
            for symbol, rate in funding.rates.items():
                self.fund(symbol, rate, now_ms)
        for account in self.accounts.values():
            account.advance(now_ms)

    def next_number(self) -> int:
        """A number that was not given before: for ids of what is neither an order nor a fill."""
        self.numbers += 1
        return self.numbers

    def due_ms(self) -> int | None:
        """When `advance` has something to do next, Unix ms; None while nothing waits for the clock."""
        walks_ms = None if self.walk is None else self.walk.next_ms
        times = [self.funding.next_ms, walks_ms, *(a.due_ms() for a in self.accounts.values())]
        return min((t for t in times if t is not None), default=None)
