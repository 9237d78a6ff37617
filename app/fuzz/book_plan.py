"""What a seed means where positions count: policies, accounts, kinds of orders, trades of others, verbs of a person.

Drawn after everything else of a plan, and only for profiles that have books, so that other seeds stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random

from attrs import frozen

from app.fuzz.account import PRICES, Terms, price_of
from app.fuzz.strategy import OrderPlan, StrategyPlan
from messages.carries import CarryPolicy
from messages.market import MarketType, Symbol
from messages.positions import PositionPolicy

SYMBOLS = tuple(Symbol(base=base, quote="USDT", settle="USDT", market_type=MarketType.SWAP) for base in PRICES)

VERBS = ("failback", "isolate", "release", "drain", "freeze", "unfreeze", "reduce-only", "panic", "flatten", "plan")
"""`flatten` is a panic that closes positions too; `plan` is a dry run of a failover. Beside these there is "any order",
which ends the reduce-only mode."""

LOT = Decimal("0.001")
"""Quantities of orders are whole numbers of it."""

FINE, COARSE = Decimal("0.0001"), Decimal("0.01")
"""What else an exchange may ask quantities to be whole numbers of."""


@frozen(kw_only=True)
class Books:
    """How a profile's books are; pairs are least and most, both included.

    Attributes:
        carry: What may become of orders, drawn from these; likewise `positions` and `failback`.
        verbs: How many a person asks for.
        kinds: Which, of `VERBS`.
        trades: How many a person makes past the router; likewise `liquidations` of a whole position by an exchange.
        poor: Share of runs in which an account begins with too little money, and has enough once all is calm.
        dead_man: Share of runs in which the exchanges' dead-man switches are on.
        exits: Share of orders with take profit, stop loss or both.
        across: Share of runs in which a reduce-only order may reduce a position on another exchange.
    """

    carry: tuple[CarryPolicy, ...] = (CarryPolicy.REPLACE,) * 4 + (CarryPolicy.PARK, CarryPolicy.DROP)
    positions: tuple[PositionPolicy, ...] = (PositionPolicy.MIGRATE,) * 5 + (
        PositionPolicy.TRACK,
        PositionPolicy.FLATTEN,
        PositionPolicy.MIRROR,
    )
    failback: tuple[str, ...] = ("manual",)
    verbs: tuple[int, int] = (0, 0)
    kinds: tuple[str, ...] = VERBS
    trades: tuple[int, int] = (0, 1)
    liquidations: tuple[int, int] = (0, 0)
    poor: float = 0.1
    dead_man: float = 0.15
    across: float = 0.2
    exits: float = 0.0


@frozen(kw_only=True)
class Foreign:
    """Somebody else changes a position, or the exchange takes all of it where `quantity` is None."""

    at_s: float
    exchange: str
    symbol: Symbol
    quantity: Decimal | None


@frozen(kw_only=True)
class VerbPlan:
    """A person asks for something; `dry_run` where only the plan is wanted."""

    at_s: float
    kind: str
    exchange: str
    dry_run: bool


@frozen(kw_only=True)
class BookPlan:
    """Everything about books that a seed decides. Money and notionals are in quote coin.

    Attributes:
        poor: The exchange whose account has too little money until the world is calm; empty for none.
    """

    carry: CarryPolicy
    positions: PositionPolicy
    failback: str
    slice_notional: Decimal
    slice_pause_s: float
    max_carry_age_s: float
    hold_down_s: float
    across: bool
    dead_man_s: float | None
    terms: Mapping[str, Terms]
    poor: str
    foreign: tuple[Foreign, ...]
    verbs: tuple[VerbPlan, ...]

    def slice_of(self, symbol: Symbol) -> Decimal:
        """The most that is moved at once, in base coin."""
        return self.slice_notional / price_of(symbol)


def draw_books(books: Books, names: tuple[str, ...], calm_s: float, rng: Random) -> BookPlan:
    """The books of a seed."""
    poor = rng.choice(names) if rng.random() < books.poor else ""
    basis = [Decimal(rng.randint(-10, 10)) / 10_000 for _ in names]
    money = {name: Decimal(1_000 if name == poor else 10_000_000) for name in names}
    leverage = [Decimal(rng.choice((1, 5, 10))) for _ in names]
    steps = [rng.choice((FINE, FINE, LOT, COARSE)) for _ in names]
    attaches = [rng.random() < 0.4 for _ in names]
    ticks = [Decimal(rng.choice(("0.01", "0.1", "0.5"))) for _ in names]
    foreign = [_foreign(names, calm_s, rng, closes=False) for _ in range(rng.randint(*books.trades))]
    foreign += [_foreign(names, calm_s, rng, closes=True) for _ in range(rng.randint(*books.liquidations))]
    return BookPlan(
        carry=rng.choice(books.carry),
        positions=rng.choice(books.positions),
        failback=rng.choice(books.failback),
        slice_notional=Decimal(rng.choice((3_000, 6_000, 20_000))),
        slice_pause_s=rng.choice((0.05, 0.2, 0.5)),
        max_carry_age_s=rng.choice((5.0, 3_600.0, 3_600.0)),
        hold_down_s=rng.choice((15.0, 60.0, 300.0)),
        across=rng.random() < books.across,
        dead_man_s=rng.choice((12.0, 40.0)) if rng.random() < books.dead_man else None,
        terms={
            name: Terms(
                money=money[name],
                basis=basis[number],
                leverage=leverage[number],
                step=steps[number],
                tick=ticks[number],
                attaches=attaches[number],
            )
            for number, name in enumerate(names)
        },
        poor=poor,
        foreign=tuple(sorted(foreign, key=lambda each: each.at_s)),
        verbs=_verbs(books, names, calm_s, rng),
    )


def _foreign(names: tuple[str, ...], calm_s: float, rng: Random, *, closes: bool) -> Foreign:
    quantity = Decimal(rng.choice((-1, 1)) * rng.randint(1, 200)) * LOT
    at_s = rng.uniform(10, calm_s)
    symbol = rng.choice(SYMBOLS)
    return Foreign(at_s=at_s, exchange=rng.choice(names), symbol=symbol, quantity=None if closes else quantity)


def _verbs(books: Books, names: tuple[str, ...], calm_s: float, rng: Random) -> tuple[VerbPlan, ...]:
    return tuple(
        VerbPlan(
            at_s=rng.uniform(8, calm_s - 3),
            kind=rng.choice(books.kinds),
            exchange=rng.choice(names),
            dry_run=rng.random() < 0.15,
        )
        for _ in range(rng.randint(*books.verbs))
    )


def fill_books(strategies: tuple[StrategyPlan, ...], books: Books, last_s: float, rng: Random) -> None:
    """Makes of a strategy's orders such as make positions, and such as rest for long, of every kind.

    Args:
        last_s: Orders placed from then on stay as they are: they must be accepted.
    """
    for strategy in strategies:
        for order in strategy.orders.values():
            if order.at_s < last_s:
                _shape(order, rng)
                if books.exits and not order.reduce_only and rng.random() < books.exits:
                    _guard(order, rng)
            if order.at_s >= last_s or rng.random() < 0.7:  # admitted by every exchange
                order.quantity = max(COARSE, order.quantity // COARSE * COARSE)
                order.price = None if order.price is None else order.price // 1


def _shape(order: OrderPlan, rng: Random) -> None:
    symbol = rng.choice((SYMBOLS[0], SYMBOLS[0], SYMBOLS[1]))
    order.symbol = f"{symbol.base}{symbol.quote}"
    market, draw = price_of(symbol), rng.random()
    if symbol is not SYMBOLS[0]:
        order.quantity *= 10  # worth about as much
    if rng.random() < 0.6:  # the book is there before trading moves
        order.at_s = 1.5 + 12.0 * rng.random()
    order.time_in_force = "GTC"
    order.timeout_s = max(order.timeout_s, 4.0)
    if rng.random() < 0.6:
        order.cancel_after_s = None
    if draw < 0.35:
        order.price = None
        return
    away = Decimal(rng.randint(2, rng.choice((30, 1_500, 1_500)))) / 10_000  # some as near as a slice is priced
    order.price = (market * (1 - away if order.side == "buy" else 1 + away)).quantize(Decimal("0.1"))
    if draw < 0.42:
        order.time_in_force = "IOC"
    elif draw < 0.55:
        order.time_in_force = "PostOnly"
    elif draw < 0.65:
        order.trigger, order.trigger_price = rng.choice(("stop", "take_profit")), order.price
        if rng.random() < 0.5:
            order.price = None
    elif draw < 0.75:
        order.reduce_only = True


def _guard(order: OrderPlan, rng: Random) -> None:
    """Take profit, stop loss or both, to either side of the market, whole numbers, which every exchange admits."""
    market = PRICES[order.symbol.removesuffix("USDT")]
    above, below = (market * (100 + rng.randint(3, 20)) // 100, market * (100 - rng.randint(3, 20)) // 100)
    wins, loses = (above, below) if order.side == "buy" else (below, above)
    which = rng.random()
    order.take_profit = wins if which < 0.7 else None
    order.stop_loss = loses if which > 0.3 else None
