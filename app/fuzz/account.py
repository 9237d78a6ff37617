"""The account on a simulated exchange: money, margin, settings, and what others than the router did to its positions.

What an exchange does with an order that only reduces is its own rule; here the strictest of those that are documented:
without a position to reduce it is refused, and it never fills beyond one. Bybit and OKX shrink or cancel such an order
when the position goes (https://bybit-exchange.github.io/docs/v5/order/create-order, "reduceOnly"), Binance refuses it
(https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code, -2022).
"""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field, frozen

from app.domain import calls as c
from app.fuzz.sim_orders import SimOrder
from messages.account import AccountView, SymbolSettings
from messages.market import Balance, Level, Lots, MarginMode, OrderBook, PositionMode, Symbol, Ticker
from messages.orders import OrderSpec, Side
from messages.positions import Position

ZERO = Decimal(0)
PRICES = {"BTC": Decimal(25_000), "ETH": Decimal(2_500)}
"""What a base coin costs everywhere and always, but for each exchange's own `basis`."""

SPREAD = Decimal("0.0002")
"""Between the best bid and the best ask, as a share of the price."""


def price_of(symbol: Symbol) -> Decimal:
    """What a market costs."""
    return PRICES[symbol.base]


@frozen(kw_only=True)
class Terms:
    """What the account on one exchange is like.

    Attributes:
        money: In quote coin, once and for all: what is won and lost does not count.
        basis: By how much everything is dearer here, as a share of the price.
        leverage: Of a symbol for which none was set.
        step: Between two valid quantities, and the least of them, in base coin.
        tick: Between two valid prices.
        attaches: Orders take their take profit and stop loss along; else these are orders of their own.
    """

    money: Decimal
    basis: Decimal = ZERO
    leverage: Decimal = Decimal(10)
    step: Decimal = Decimal("0.0001")
    tick: Decimal = Decimal("0.01")
    attaches: bool = True

    def lots(self, symbol: Symbol) -> Lots:
        """Which orders a market takes."""
        return Lots(step=self.step, minimum=self.step, tick=self.tick, settle=symbol.settle)

    def check(self, spec: OrderSpec) -> str:
        """Why the exchange's rules do not admit an order; empty where they do."""
        if spec.quantity <= 0 or spec.quantity % self.step:
            return f"The quantity {spec.quantity} is no multiple of {self.step}."
        if spec.price is not None and spec.price % self.tick:
            return f"The price {spec.price} is no multiple of {self.tick}."
        return ""


@define
class Account:
    """One account.

    Attributes:
        foreign: What others than the router did to its positions: (when, symbol, base coin), the oldest first.
        leverage: As set, by symbol.
        settings: How often anything was set.
    """

    terms: Terms
    money: Decimal = field(init=False)
    foreign: list[tuple[float, Symbol, Decimal]] = field(init=False, factory=list)
    leverage: dict[Symbol, Decimal] = field(init=False, factory=dict)
    margin_mode: dict[Symbol, MarginMode] = field(init=False, factory=dict)
    position_mode: PositionMode = field(init=False, default=PositionMode.ONE_WAY)
    settings: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        """Begins with the money it was given."""
        self.money = self.terms.money

    def price(self, symbol: Symbol) -> Decimal:
        """What a market costs here."""
        return price_of(symbol) * (1 + self.terms.basis)

    def bid_ask(self, symbol: Symbol) -> tuple[Decimal, Decimal]:
        """The best of both sides."""
        price, tick = self.price(symbol), self.terms.tick
        half = price * SPREAD / 2
        return (price - half) // tick * tick, -(-(price + half) // tick) * tick

    # ------------------------------------------------------------------------------------------------ positions

    def positions(self, orders: list[SimOrder], as_of_s: float) -> dict[Symbol, Decimal]:
        """What stands, by symbol, at a time."""
        held: dict[Symbol, Decimal] = {}
        for order in orders:
            held[order.symbol] = held.get(order.symbol, ZERO) + order.signed(order.filled_by(as_of_s))
        for at_s, symbol, quantity in self.foreign:
            if at_s <= as_of_s:
                held[symbol] = held.get(symbol, ZERO) + quantity
        return {symbol: quantity for symbol, quantity in held.items() if quantity != 0}

    def told(self, exchange: str, orders: list[SimOrder], as_of_s: float) -> tuple[Position, ...]:
        """The positions as the exchange reports them."""
        return tuple(
            Position(
                exchange=exchange,
                symbol=symbol,
                quantity=quantity,
                entry_price=self.price(symbol),
                mark_price=self.price(symbol),
                leverage=self.leverage_of(symbol),
                unrealised_pnl=ZERO,
                at_s=as_of_s,
            )
            for symbol, quantity in self.positions(orders, as_of_s).items()
        )

    def reducible(self, orders: list[SimOrder], symbol: Symbol, side: Side, now_s: float) -> Decimal:
        """How much an order of that side could reduce now."""
        held = self.positions(orders, now_s).get(symbol, ZERO)
        return max(ZERO, -held if side is Side.BUY else held)

    # ------------------------------------------------------------------------------------------------ money

    def leverage_of(self, symbol: Symbol) -> Decimal:
        """As set, or as it is by itself."""
        return self.leverage.get(symbol, self.terms.leverage)

    def used(self, orders: list[SimOrder], now_s: float) -> Decimal:
        """Margin that positions and resting orders take, in quote coin."""
        held = self.positions(orders, now_s).items()
        used = sum((abs(quantity) * self.price(symbol) / self.leverage_of(symbol) for symbol, quantity in held), ZERO)
        for order in orders:
            if order.ended_s is None and not order.reduce_only:
                left = order.quantity - order.filled
                used += left * self.price(order.symbol) / self.leverage_of(order.symbol)
        return used

    def short_of(self, orders: list[SimOrder], spec: OrderSpec, quantity: Decimal, now_s: float) -> bool:
        """Whether the money does not suffice for one more order; what only closes needs none."""
        opens = quantity - self.reducible(orders, spec.symbol, spec.side, now_s)
        if spec.reduce_only or opens <= 0:
            return False
        needed = opens * self.price(spec.symbol) / self.leverage_of(spec.symbol)
        return self.used(orders, now_s) + needed > self.money

    def balance(self, exchange: str, orders: list[SimOrder], as_of_s: float) -> Balance:
        """The account's money as the exchange reports it."""
        used = min(self.money, self.used(orders, as_of_s))
        return Balance(
            exchange=exchange, coin="USDT", total=self.money, free=self.money - used, used=used, at_s=as_of_s
        )

    def view(self, exchange: str, symbols: tuple[Symbol, ...], free: Decimal, as_of_s: float) -> AccountView:
        """What is set, and the money that is free; nothing of its clock."""
        return AccountView(
            exchange=exchange,
            position_mode=self.position_mode,
            free=free,
            symbols=tuple(
                SymbolSettings(
                    symbol=symbol,
                    leverage=self.leverage_of(symbol),
                    margin_mode=self.margin_mode.get(symbol, MarginMode.CROSS),
                )
                for symbol in symbols
            ),
            clock_offset_s=None,
            clock_error_s=None,
            at_s=as_of_s,
        )

    # ------------------------------------------------------------------------------------------------ the market

    def ticker(self, exchange: str, symbol: Symbol, as_of_s: float) -> Ticker:
        """The market as the exchange reports it."""
        bid, ask = self.bid_ask(symbol)
        price = self.price(symbol)
        return Ticker(exchange=exchange, symbol=symbol, bid=bid, ask=ask, last=price, mark=price, at_s=as_of_s)

    def book(self, exchange: str, symbol: Symbol, as_of_s: float) -> OrderBook:
        """The best prices, with room for anything at them."""
        bid, ask = self.bid_ask(symbol)
        many = Decimal(1_000)
        return OrderBook(
            exchange=exchange,
            symbol=symbol,
            bids=(Level(price=bid, quantity=many),),
            asks=(Level(price=ask, quantity=many),),
            at_s=as_of_s,
        )

    # ------------------------------------------------------------------------------------------------ settings

    def set(self, call: c.LeverageCall | c.MarginModeCall | c.PositionModeCall) -> c.Result:
        """A setting is made."""
        self.settings += 1
        before: object
        match call:
            case c.LeverageCall():
                before, self.leverage[call.symbol] = self.leverage_of(call.symbol), call.leverage
                return c.SettingMade(changed=before != call.leverage)
            case c.MarginModeCall():
                before, self.margin_mode[call.symbol] = self.margin_mode.get(call.symbol), call.mode
                return c.SettingMade(changed=before is not call.mode)
            case c.PositionModeCall():
                before, self.position_mode = self.position_mode, call.mode
                return c.SettingMade(changed=before is not call.mode)
