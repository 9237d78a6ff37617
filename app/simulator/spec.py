"""What is data about an exchange: its markets, and in what its engine differs from another's.

Apart from `model` (what orders and fills are) because a dialect writes these once, as tables, and the engine only reads
them. Quantities in BASE COIN, prices and money Decimal, times Unix milliseconds.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum

from attrs import frozen

from app.simulator.model import ZERO

BOOK_LEVELS = 50
"""Price levels on each side of a book; a market order that wants more than they hold fills in part."""


class MarketKind(StrEnum):
    """A market of positions and margin, or one that exchanges coins."""

    SWAP = "swap"
    SPOT = "spot"


@frozen(kw_only=True)
class Tier:
    """Maintenance margin up to a notional: `rate` of the whole notional, up to `cap` in the settlement coin."""

    cap: Decimal
    rate: Decimal


DEFAULT_TIERS = (Tier(cap=Decimal("Infinity"), rate=Decimal("0.005")),)


@frozen(kw_only=True)
class MarketSpec:
    """One market.

    Attributes:
        symbol: canonical, as ccxt writes it ("BTC/USDT:USDT", "BTC/USDT").
        native: the exchange's own name ("BTCUSDT", "BTC-USDT-SWAP", "PF_XBTUSD").
        base, settle: coins, in ccxt's naming ("BTC", "USDT"). Of a spot market `settle` is the quote coin.
        price: first reference price.
        tick: price step.
        step: quantity step in base coin.
        min_qty, max_qty: bounds of an order's quantity in base coin.
        min_notional: least quantity times price in the settlement coin; 0 for none. Not asked of reduce-only orders.
        contract_size: base coin in a contract: what the dialect divides by. The engine never uses it.
        kind: swap or spot.
        level_qty: base coin on each level of the book, one tick apart; None: the first level holds any quantity.
        tiers: maintenance margin by notional, ascending; the last tier holds above its cap too.
    """

    symbol: str
    native: str
    base: str
    settle: str
    price: Decimal
    tick: Decimal
    step: Decimal
    min_qty: Decimal
    max_qty: Decimal = Decimal("1000000")
    min_notional: Decimal = ZERO
    contract_size: Decimal = Decimal(1)
    max_leverage: Decimal = Decimal(100)
    kind: MarketKind = MarketKind.SWAP
    level_qty: Decimal | None = None
    tiers: tuple[Tier, ...] = DEFAULT_TIERS

    @property
    def is_spot(self) -> bool:
        """True for a market that exchanges coins."""
        return self.kind is MarketKind.SPOT

    def maintenance_rate(self, notional: Decimal) -> Decimal:
        """Share of a notional that the margin must never fall below."""
        return next((t.rate for t in self.tiers if notional <= t.cap), self.tiers[-1].rate)


def level_of(price: str, step: str, *, notional: int = 200_000) -> Decimal:
    """A level's quantity worth about `notional` of the settlement coin, in whole steps: for `MarketSpec.level_qty`."""
    return Decimal(notional) / Decimal(price) // Decimal(step) * Decimal(step)


@frozen(kw_only=True)
class DeadManRules:
    """What an exchange's dead-man switch cancels when its countdown ends.

    Attributes:
        per_symbol: True where each symbol has a countdown of its own (binance), False for one over the account.
        triggers: True where orders that wait for a trigger are cancelled too (a person's protective stops among them).
        max_ms, min_ms: bounds of the countdown, ms; 0 always disarms.
    """

    per_symbol: bool = False
    triggers: bool = True
    min_ms: int = 1
    max_ms: int = 86_400_000


@frozen(kw_only=True)
class EngineRules:
    """In what one exchange's engine differs from another's.

    Attributes:
        settle: settlement coin of every swap market ("USDT", "USD").
        client_id_scope: "all": a client order id is never accepted twice; "open": only while an open order has it.
        refuse_crossing_post_only: True refuses a post-only order that would take; False accepts and cancels it at once.
        refuse_unfillable_ioc: True refuses an IOC or FOK that would not fill; False accepts and expires it at once.
        refuse_unfillable_fok: the same of FOK orders alone.
        order_id, trade_id: how the exchange writes the n-th (from 1) id.
        taker_fee, maker_fee: share of the notional, of swaps.
        spot_taker_fee, spot_maker_fee: the same of spot markets.
        spot_fee_in: "received": the coin that the fill brings; "quote": always the quote coin.
        initial_balance: settlement coin at start. initial_coins: other coins at start.
        leverage: at start, on every symbol.
        max_open_orders: on one symbol; None: only the engine's own bound.
        dead_man: None where the exchange has no countdown.
    """

    settle: str = "USDT"
    client_id_scope: str = "all"
    refuse_crossing_post_only: bool = False
    refuse_unfillable_ioc: bool = False
    refuse_unfillable_fok: bool = False
    order_id: Callable[[int], str] = str
    trade_id: Callable[[int], str] = str
    taker_fee: Decimal = Decimal("0.0005")
    maker_fee: Decimal = Decimal("0.0002")
    spot_taker_fee: Decimal = Decimal("0.001")
    spot_maker_fee: Decimal = Decimal("0.001")
    spot_fee_in: str = "received"
    initial_balance: Decimal = Decimal(100_000)
    initial_coins: Mapping[str, Decimal] = {}
    leverage: Decimal = Decimal(10)
    max_open_orders: int | None = None
    dead_man: DeadManRules | None = DeadManRules()

    def fee_rate(self, market: MarketSpec, *, is_maker: bool) -> Decimal:
        """Share of the notional that a fill costs."""
        if market.is_spot:
            return self.spot_maker_fee if is_maker else self.spot_taker_fee
        return self.maker_fee if is_maker else self.taker_fee
