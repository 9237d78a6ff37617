"""Bodies of Kraken Futures answers, as functions of the engine's values.

The trading API (/derivatives/api/v3) writes numbers as JSON numbers and times as ISO 8601 strings; the history API has
decimal strings and Unix milliseconds and lives in `kraken_history.py`.
"""

from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal

from app.simulator.engine import Engine
from app.simulator.model import ZERO, Fill, Order, OrderType, Position, Status, Tif, TriggerBy
from app.simulator.spec import MarketSpec, Tier

V3 = "/derivatives/api/v3"
"""Path of the trading API."""

FEE_SCHEDULE = "5b755fea-c5b0-4307-a66e-b392cd5bd931"
PRECISION: dict[str, int] = {"PF_XBTUSD": 4, "PF_ETHUSD": 3, "PF_SOLUSD": 2, "PF_XRPUSD": 0, "PF_ADAUSD": 0}
"""Native name → contractValueTradePrecision: decimals of a size."""

MARGIN_LEVELS = ((0, "0.02", "0.01"), (500_000, "0.04", "0.02"), (2_000_000, "0.1", "0.05"))
"""From which notional, the initial and the maintenance margin."""
TIERS = (
    Tier(cap=Decimal(500_000), rate=Decimal("0.01")),
    Tier(cap=Decimal(2_000_000), rate=Decimal("0.02")),
    Tier(cap=Decimal("Infinity"), rate=Decimal("0.05")),
)
"""The same maintenance margins, for the engine."""

MARKET_PROTECTION = Decimal("0.01")
"""A market order is an immediate-or-cancel order priced this far through the market."""

ORDER_STATUS: dict[Status, str] = {
    Status.OPEN: "ENTERED_BOOK",
    Status.PARTIALLY_FILLED: "ENTERED_BOOK",
    Status.FILLED: "FULLY_EXECUTED",
    Status.CANCELLED: "CANCELLED",
    Status.EXPIRED: "CANCELLED",
    Status.REJECTED: "REJECTED",
}


def num(value: Decimal) -> int | float:
    """A decimal as the JSON number the exchange writes: 27000.0 for prices and sizes, never a string."""
    return float(value)


def iso(ms: int) -> str:
    """Unix ms as "2019-09-05T16:33:50.734Z"."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def wire_type(order: Order) -> str:
    """The order type as the trading API names it."""
    if order.trigger is not None and not order.triggered:
        return order.tag
    if order.type is OrderType.MARKET or order.tif is Tif.IOC:
        return "ioc"
    return {Tif.FOK: "fok", Tif.POST_ONLY: "post"}.get(order.tif, "lmt")


def limit_price(order: Order, engine: Engine) -> Decimal:
    """The limit price the exchange shows; of a market order the protection price it was given."""
    if order.price is not None:
        return order.price
    market = engine.markets[order.symbol]
    touch = order.avg_price or engine.prices[order.symbol]
    guarded = touch * (1 + MARKET_PROTECTION * order.side.sign)
    return (guarded / market.tick).to_integral_value(ROUND_UP) * market.tick


def order_json(order: Order, engine: Engine, *, filled: Decimal | None = None) -> dict[str, object]:
    """OrderJson of the order events. `filled`: what was filled at that event; default: now."""
    return {
        "orderId": order.order_id,
        "cliOrdId": order.client_order_id,
        "type": wire_type(order),
        "symbol": engine.markets[order.symbol].native,
        "side": order.side.value,
        "quantity": num(order.qty),
        "filled": num(order.filled if filled is None else filled),
        "limitPrice": num(limit_price(order, engine)),
        "reduceOnly": order.reduce_only,
        "timestamp": iso(order.created_ms),
        "lastUpdateTimestamp": iso(order.updated_ms),
    }


def signal(order: Order) -> str:
    """Which price sets an order off: last or mark."""
    return order.trigger.by.value if order.trigger is not None else TriggerBy.LAST.value


def fell_at_set_off(order: Order) -> bool:
    """Whether an order was set off and could not be placed then: no position left to reduce, or no means."""
    gone = order.triggered and not order.filled and not order.status.is_open and order.updated_ms == order.triggered_ms
    return gone and order.close_reason not in ("by_user", "would_not_fill", "no_liquidity")


def trigger_json(order: Order, engine: Engine) -> dict[str, object]:
    """OrderTriggerJson: an order that waits for its trigger."""
    trigger = order.trigger
    rising = trigger is not None and trigger.rising
    return {
        "uid": order.order_id,
        "clientId": order.client_order_id,
        "type": "ioc" if order.price is None else "lmt",
        "symbol": engine.markets[order.symbol].native,
        "side": order.side.value,
        "quantity": num(order.qty),
        "limitPrice": None if order.price is None else num(order.price),
        "triggerPrice": None if trigger is None else num(trigger.price),
        "triggerSide": "trigger_above" if rising else "trigger_below",
        "triggerSignal": f"{signal(order)}_price",
        "reduceOnly": order.reduce_only,
        "timestamp": iso(order.created_ms),
        "lastUpdateTimestamp": iso(order.updated_ms),
        "startTime": None,
    }


def placed_event(order: Order, engine: Engine) -> dict[str, object]:
    """The PLACE event of an order that rests."""
    if order.is_waiting_trigger:
        return {"type": "PLACE", "orderTrigger": trigger_json(order, engine)}
    return {"type": "PLACE", "order": order_json(order, engine, filled=ZERO), "reducedQuantity": None}


def execution_event(fill: Fill, engine: Engine) -> dict[str, object]:
    """The EXECUTION event of a fill that placing an order led to."""
    return {
        "type": "EXECUTION",
        "executionId": fill.trade_id,
        "price": num(fill.price),
        "amount": num(fill.qty),
        "orderPriorEdit": None,
        "orderPriorExecution": order_json(fill.order, engine, filled=ZERO),
        "takerReducedQuantity": None,
    }


def cancel_event(order: Order, engine: Engine) -> dict[str, object]:
    """The CANCEL event."""
    if order.trigger is not None and not order.triggered:
        return {"type": "CANCEL", "uid": order.order_id, "orderTrigger": trigger_json(order, engine)}
    return {"type": "CANCEL", "uid": order.order_id, "order": order_json(order, engine)}


def open_order(order: Order, engine: Engine) -> dict[str, object]:
    """One entry of GET /openorders."""
    waiting = order.is_waiting_trigger
    body: dict[str, object] = {
        "order_id": order.order_id,
        "symbol": engine.markets[order.symbol].native,
        "side": order.side.value,
        "orderType": ("take_profit" if order.tag == "take_profit" else "stop") if waiting else "lmt",
        "limitPrice": None if order.price is None else num(order.price),
        "unfilledSize": num(order.remaining),
        "receivedTime": iso(order.created_ms),
        "status": "untouched" if not order.filled else "partiallyFilled",
        "filledSize": num(order.filled),
        "reduceOnly": order.reduce_only,
        "lastUpdateTime": iso(order.updated_ms),
    }
    if order.client_order_id is not None:
        body["cliOrdId"] = order.client_order_id
    if waiting and order.trigger is not None:
        body |= {"stopPrice": num(order.trigger.price), "triggerSignal": signal(order)}
    return body


def order_status(order: Order, engine: Engine) -> dict[str, object]:
    """One entry of /orders/status."""
    waiting = order.is_waiting_trigger
    body = order_json(order, engine)
    body["type"] = "TRIGGER_ORDER" if waiting else "ORDER"
    if order.price is None and waiting:
        body["limitPrice"] = None
    if waiting and order.trigger is not None:
        body["priceTriggerOptions"] = {
            "triggerPrice": num(order.trigger.price),
            "triggerSide": "TRIGGER_ABOVE" if order.trigger.rising else "TRIGGER_BELOW",
            "triggerSignal": f"{signal(order)}_price".upper(),
        }
        body["triggerTime"] = None
    status = "TRIGGER_PLACED" if waiting and order.status.is_open else ORDER_STATUS[order.status]
    if fell_at_set_off(order):
        status = "TRIGGER_ACTIVATION_FAILURE"
    reason = "CANCELLED_BY_USER" if order.close_reason == "by_user" else None
    return {"order": body, "status": status, "updateReason": reason, "error": None}


def fill_json(fill: Fill, engine: Engine) -> dict[str, object]:
    """One entry of GET /fills. It carries the client id, which is how a fill is found without the order id."""
    body: dict[str, object] = {
        "fill_id": fill.trade_id,
        "symbol": engine.markets[fill.symbol].native,
        "side": fill.side.value,
        "order_id": fill.order.order_id,
        "size": num(fill.qty),
        "price": num(fill.price),
        "fillTime": iso(fill.ts_ms),
        "fillType": "maker" if fill.is_maker else "taker",
    }
    if fill.order.client_order_id is not None:
        body["cliOrdId"] = fill.order.client_order_id
    return body


def instrument(market: MarketSpec, *, halted: bool = False) -> dict[str, object]:
    """One entry of GET /instruments: a flexible (multi-collateral, linear) perpetual."""
    base = "XBT" if market.base == "BTC" else market.base
    return {
        "symbol": market.native,
        "type": "flexible_futures",
        "tickSize": num(market.tick),
        "contractSize": num(market.contract_size),
        "tradeable": not halted,
        "impactMidSize": 1.0,
        "maxPositionSize": num(market.max_qty),
        "openingDate": "2022-01-01T00:00:00.000Z",
        "marginLevels": [
            {"numNonContractUnits": units, "initialMargin": float(initial), "maintenanceMargin": float(maintenance)}
            for units, initial, maintenance in MARGIN_LEVELS
        ],
        "fundingRateCoefficient": 8,
        "maxRelativeFundingRate": 0.0025,
        "contractValueTradePrecision": PRECISION[market.native],
        "postOnly": False,
        "feeScheduleUid": FEE_SCHEDULE,
        "base": base,
        "quote": "USD",
        "pair": f"{base}:USD",
        "category": "Layer 1",
        "tags": [],
        "mtf": False,
        "tradfi": False,
        "isin": None,
    }


def ticker(engine: Engine, market: MarketSpec, now_ms: int) -> dict[str, object]:
    """One ticker."""
    price = num(engine.prices[market.symbol])
    base = "XBT" if market.base == "BTC" else market.base
    bids, asks = engine.book(market.symbol, 1)
    return {
        "tag": "perpetual",
        "pair": f"{base}:USD",
        "symbol": market.native,
        "markPrice": num(engine.mark(market.symbol)),
        "bid": num(engine.bid(market.symbol)),
        "bidSize": num(bids[0].qty),
        "ask": num(engine.ask(market.symbol)),
        "askSize": num(asks[0].qty),
        "vol24h": 0.0,
        "volumeQuote": 0.0,
        "openInterest": 0.0,
        "open24h": price,
        "high24h": price,
        "low24h": price,
        "last": price,
        "lastTime": iso(now_ms),
        "lastSize": num(market.min_qty),
        "suspended": market.symbol in engine.venue.suspended,
        "fundingRate": 0.0,
        "fundingRatePrediction": 0.0,
        "indexPrice": price,
        "postOnly": False,
        "change24h": 0.0,
    }


def open_position(engine: Engine, position: Position, max_leverage: Decimal | None) -> dict[str, object]:
    """One entry of GET /openpositions; `max_leverage` only where the client set one (isolated margin)."""
    body: dict[str, object] = {
        "side": "long" if position.qty > 0 else "short",
        "symbol": engine.markets[position.symbol].native,
        "price": num(position.entry_price),
        "fillTime": iso(position.updated_ms),
        "size": num(abs(position.qty)),
        "unrealizedPnl": num(position.qty * (engine.prices[position.symbol] - position.entry_price)),
        "unrealizedFunding": 0.0,
        "pnlCurrency": "USD",
    }
    if max_leverage is not None:
        body["maxFixedLeverage"] = num(max_leverage)
    return body


def accounts(engine: Engine) -> dict[str, object]:
    """GET /accounts: the cash wallet, and the multi-collateral ("flex") account that trades."""
    ledger = engine.ledger
    pnl = ledger.equity - ledger.balances[ledger.settle]
    held = sum((abs(p.qty) * engine.prices[p.symbol] / p.leverage for p in engine.positions()), ZERO)
    maintenance = sum((ledger.maintenance(p) for p in engine.positions()), ZERO)
    currencies: dict[str, object] = {}
    for coin, balance in ledger.balances.items():
        own = coin == ledger.settle
        free = max(min(balance, ledger.available), ZERO) if own else max(balance, ZERO)
        currencies[coin] = {  # of the coins that the account holds
            "quantity": num(balance),
            "value": num(balance) if own else 0.0,
            "collateral": num(balance) if own else 0.0,
            "available": num(free),
        }
    return {
        "cash": {"balances": {"usd": "0.0", "xbt": "0.0", "eth": "0.0"}, "type": "cashAccount"},
        "flex": {
            "currencies": currencies,
            "initialMargin": num(held),
            "initialMarginWithOrders": num(ledger.used_margin),
            "maintenanceMargin": num(maintenance),
            "balanceValue": num(ledger.balances[ledger.settle]),
            "portfolioValue": num(ledger.equity),
            "collateralValue": num(ledger.balances[ledger.settle]),
            "pnl": num(pnl),
            "unrealizedFunding": 0.0,
            "totalUnrealized": num(pnl),
            "totalUnrealizedAsMargin": num(pnl),
            "availableMargin": num(ledger.available),
            "marginEquity": num(ledger.equity),
            "type": "multiCollateralMarginAccount",
        },
    }


def book(engine: Engine, market: MarketSpec, levels: int) -> dict[str, object]:
    """A book of `levels` a side, one tick apart: the simulated book is a price with a spread, not a queue."""
    bids, asks = engine.book(market.symbol, levels)
    return {
        "bids": [[num(level.price), num(level.qty)] for level in bids],
        "asks": [[num(level.price), num(level.qty)] for level in asks],
    }
