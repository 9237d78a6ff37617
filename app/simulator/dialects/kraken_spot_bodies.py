"""Bodies of Kraken spot answers, as functions of the engine's values.

Times are Unix seconds with a fraction, amounts are strings; an order's id is the key under which it is told, not a
field of it. What a request asked for in words of its own (order type, user reference, flags) is kept in `Order.tag`.
"""

from decimal import Decimal

from attrs import frozen

from app.simulator.dialects.kraken_spot_params import altname, asset, decimals, wsname
from app.simulator.engine import Engine
from app.simulator.model import ZERO, Fill, NewOrder, Order, OrderType, Role, Status, text
from app.simulator.spec import EngineRules, MarketSpec

LOT_DECIMALS = 8
COST_DECIMALS = 5
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

STATUS: dict[Status, str] = {
    Status.OPEN: "open",
    Status.PARTIALLY_FILLED: "open",
    Status.FILLED: "closed",
    Status.CANCELLED: "canceled",
    Status.EXPIRED: "canceled",
    Status.REJECTED: "canceled",
}
REASONS: dict[str, str] = {
    "by_user": "User requested",
    "post_only_would_cross": "Post only order",
    "would_not_fill": "Unfilled IOC order",
    "dead_man": "Cancel all orders after timeout",
    "oco": "Contingent order filled",
    "edited": "User requested",
}


def txid(letter: str, number: int) -> str:
    """The n-th id as the exchange writes it: "OAAAAA-AAAAA-AAAAAB" for orders, "T…" for trades."""
    digits = ""
    for _ in range(16):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return f"{letter}{digits[:5]}-{digits[5:10]}-{digits[10:]}"


@frozen(kw_only=True)
class Asked:
    """What `Order.tag` keeps of a request."""

    kind: str
    userref: int | None = None
    oflags: str = "fciq"
    by: str = "last"

    def tag(self) -> str:
        """As one word."""
        return "|".join((self.kind, "" if self.userref is None else str(self.userref), self.oflags, self.by))

    @classmethod
    def of(cls, order: Order) -> "Asked":
        """What an order's tag says; of an order that the exchange made, what it is."""
        if "|" not in order.tag:
            stem = {Role.TAKE_PROFIT: "take-profit", Role.STOP_LOSS: "stop-loss"}.get(order.role, order.type.value)
            limit = "-limit" if stem != order.type.value and order.type is OrderType.LIMIT else ""
            return cls(kind=stem + limit)
        kind, ref, oflags, by = order.tag.split("|")
        return cls(kind=kind, userref=int(ref) if ref else None, oflags=oflags, by=by)


def seconds(ms: int) -> float:
    """Unix ms as the seconds with a fraction that the exchange writes."""
    return ms / 1000


def fixed(value: Decimal, places: int) -> str:
    """A decimal with exactly so many places."""
    return f"{value:.{places}f}"


def priced(market: MarketSpec, value: Decimal | None) -> str:
    """A price, with the pair's decimals."""
    return fixed(value if value is not None else ZERO, decimals(market.tick))


def sentence(new: NewOrder | Order, market: MarketSpec, kind: str) -> str:
    """An order in words: "buy 0.02100000 ETHUSDT @ limit 330.00"."""
    viqc = isinstance(new, NewOrder) and new.cost is not None
    amount = new.cost if isinstance(new, NewOrder) and new.cost is not None else new.qty
    level = priced(market, new.trigger.price) if new.trigger is not None else ""
    limit = f" limit {priced(market, new.price)}" if new.price is not None else ""
    if kind in ("limit", "market"):
        how = f"limit {priced(market, new.price)}" if kind == "limit" else "market"
    else:
        how = " ".join((*kind.removesuffix("-limit").split("-"), level)) + (f" ->{limit}" if limit else "")
    return f"{new.side} {fixed(amount, COST_DECIMALS if viqc else LOT_DECIMALS)} {altname(market)} @ {how}"


def order_body(order: Order, engine: Engine, *, trades: bool = False) -> dict[str, object]:
    """An order of OpenOrders, ClosedOrders or QueryOrders."""
    market, asked = engine.markets[order.symbol], Asked.of(order)
    triggered = order.trigger is not None
    first = order.trigger.price if order.trigger is not None else order.price
    second = order.price if triggered else None
    places = decimals(market.tick)
    body: dict[str, object] = {
        "refid": order.parent_id,
        "userref": asked.userref,
        "status": STATUS[order.status],
        "opentm": seconds(order.created_ms),
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": altname(market),
            "type": order.side.value,
            "ordertype": asked.kind,
            "price": text(first) if first is not None else "0",
            "price2": text(second) if second is not None else "0",
            "leverage": "none",
            "order": sentence(order, market, asked.kind),
            "close": "",
        },
        "vol": fixed(order.qty, LOT_DECIMALS),
        "vol_exec": fixed(order.filled, LOT_DECIMALS),
        "cost": fixed(order.cost, COST_DECIMALS),
        "fee": fixed(order.fee, LOT_DECIMALS),
        "price": fixed(order.avg_price or ZERO, max(places, COST_DECIMALS)),
        "stopprice": priced(market, order.trigger.price if order.trigger is not None else None),
        "limitprice": priced(market, order.price if triggered else None),
        "misc": "",
        "oflags": asked.oflags,
    }
    if order.client_order_id is not None:
        body["cl_ord_id"] = order.client_order_id
    if triggered:
        body["trigger"] = asked.by
    if not order.status.is_open:
        body["closetm"] = seconds(order.updated_ms)
        reason = None if order.status is Status.FILLED else REASONS.get(order.close_reason, order.close_reason or None)
        body["reason"] = reason
    if trades and order.filled:
        body["trades"] = [f.trade_id for f in engine.fills_of(order)]
    return body


def trade_body(fill: Fill, engine: Engine) -> dict[str, object]:
    """A fill of TradesHistory or QueryTrades. The exchange does not tell the client order id here."""
    market = engine.markets[fill.symbol]
    return {
        "ordertxid": fill.order.order_id,
        "postxid": txid("P", fill.order.seq),
        "pair": market.native,
        "time": seconds(fill.ts_ms),
        "type": fill.side.value,
        "ordertype": Asked.of(fill.order).kind,
        "price": priced(market, fill.price),
        "cost": fixed(fill.price * fill.qty, COST_DECIMALS),
        "fee": fixed(fill.fee, LOT_DECIMALS),
        "vol": fixed(fill.qty, LOT_DECIMALS),
        "margin": fixed(ZERO, COST_DECIMALS),
        "leverage": "0",
        "misc": "",
        "trade_id": fill.seq,
        "maker": fill.is_maker,
    }


def pair_body(market: MarketSpec, rules: EngineRules, *, online: bool) -> dict[str, object]:
    """One pair of AssetPairs."""
    return {
        "altname": altname(market),
        "wsname": wsname(market),
        "aclass_base": "currency",
        "base": asset(market.base),
        "aclass_quote": "currency",
        "quote": asset(market.settle),
        "lot": "unit",
        "cost_decimals": COST_DECIMALS,
        "pair_decimals": decimals(market.tick),
        "lot_decimals": decimals(market.step),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, float(rules.spot_taker_fee * 100)]],
        "fees_maker": [[0, float(rules.spot_maker_fee * 100)]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": text(market.min_qty),
        "costmin": text(market.min_notional),
        "tick_size": text(market.tick),
        "status": "online" if online else "cancel_only",
    }


def ticker_body(market: MarketSpec, engine: Engine) -> dict[str, object]:
    """One pair of Ticker: today and the last 24 hours are the same in a market without a past."""
    bids, asks = engine.book(market.symbol, 1)
    last = priced(market, engine.prices[market.symbol])
    none = fixed(ZERO, LOT_DECIMALS)

    def touch(price: Decimal, qty: Decimal) -> list[str]:
        return [priced(market, price), str(int(qty)), fixed(qty, 3)]

    return {
        "a": touch(asks[0].price, asks[0].qty),
        "b": touch(bids[0].price, bids[0].qty),
        "c": [last, fixed(market.min_qty, LOT_DECIMALS)],
        "v": [none, none],
        "p": [last, last],
        "t": [0, 0],
        "l": [last, last],
        "h": [last, last],
        "o": last,
    }
