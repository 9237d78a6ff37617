"""Kraken: Futures (linear perpetuals) and spot, two exchanges with keys of their own."""

from __future__ import annotations

from app.domain.calls import ExpiryEnforcement
from app.exchanges.rules.base import (
    DECLARED,
    LOOK_BACK_S,
    VALIDITY_S,
    VISIBILITY_S,
    Amending,
    CancelAnswer,
    DeadMan,
    ExchangeRules,
    IdScope,
    Rule,
    Sandbox,
)
from messages.market import MarginMode, MarketType, PositionMode
from messages.orders import TimeInForce, TriggerBy

_FUTURES = "https://docs.kraken.com/api/docs/futures-api"
_SEND = f"{_FUTURES}/trading/send-order"
_EDIT = f"{_FUTURES}/trading/edit-order-spring"
_CANCEL = f"{_FUTURES}/trading/cancel-order"
_STATUS = f"{_FUTURES}/trading/get-order-status"
_OPEN = f"{_FUTURES}/trading/get-open-orders"
_HISTORY = "https://docs.kraken.com/api-reference/account-history"
_EVENTS = f"{_HISTORY}/get-order-events"
_EXECUTIONS = f"{_HISTORY}/get-execution-events"
_COUNTDOWN = "https://docs.kraken.com/api-reference/order-management/dead-mans-switch"
_LEVERAGE = f"{_FUTURES}/trading/set-leverage-setting"

SWAP = ExchangeRules(
    exchange="kraken",
    market_type=MarketType.SWAP,
    id_field=Rule("cliOrdId", _SEND),
    id_length=Rule(100, _SEND),
    id_alphabet=Rule("[0-9A-Za-z_-]", DECLARED, "Kraken names no alphabet for it."),
    id_scope=Rule(
        IdScope.OPEN,
        DECLARED,
        'The documentation says "globally unique"; that only open orders are looked at is the'
        " safe reading: an id is never sent again before a look-up.",
    ),
    duplicate_codes=Rule(("clientOrderIdAlreadyExist",), _SEND),
    expiry_field=Rule("processBefore", _SEND),
    expiry=Rule(ExpiryEnforcement.ENGINE, _SEND, "Status wouldProcessAfterSpecifiedTime."),
    trigger_expiry=Rule(ExpiryEnforcement.ENGINE, _SEND, "The same request as any other order."),
    validity_s=Rule(VALIDITY_S, DECLARED),
    lateness_s=Rule(0.0, _SEND),
    visibility_s=Rule(VISIBILITY_S, DECLARED),
    look_up_open=Rule(("GET orders/status", "GET openorders"), _STATUS, "Triggers are in both."),
    look_up_closed=Rule(
        ("GET orders/status", "GET history/orders", "GET history/triggers"),
        _EVENTS,
        "orders/status forgets an order five seconds after it ended.",
    ),
    look_up_fills=Rule(("GET fills", "GET history/executions"), _EXECUTIONS, "fills: the last hundred, without fees."),
    look_back_s=Rule(LOOK_BACK_S, DECLARED, "The history is said to have no end."),
    cancel=Rule(CancelAnswer.DONE, _CANCEL, "An event in the answer shows the order; where it does not, look up."),
    amend=Rule(Amending.IN_PLACE, _EDIT),
    amendable=Rule("quantity, price, trigger price", _EDIT, "The size goes as the whole order's: qtyMode ABSOLUTE."),
    dead_man=Rule(DeadMan.COUNTDOWN, _COUNTDOWN, "Whole seconds."),
    dead_man_scope=Rule("every order of the account, triggers included", _COUNTDOWN),
    dead_man_counts=Rule((1, 86_400), DECLARED, "Whole seconds; the documents recommend 60, and name no bounds."),
    dead_man_triggers=Rule(True, _COUNTDOWN),
    dead_man_by_market=Rule(False, _COUNTDOWN),
    attached_exits=Rule(False, _SEND),
    times_in_force=Rule((TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY), _SEND),
    trigger_prices=Rule((TriggerBy.LAST, TriggerBy.MARK), _SEND, "The index, too, which the router does not speak."),
    position_modes=Rule((PositionMode.ONE_WAY,), f"{_FUTURES}/trading/get-open-positions"),
    margin_modes=Rule(
        (MarginMode.CROSS, MarginMode.ISOLATED), _LEVERAGE, "Isolated where a market has a leverage of its own."
    ),
    sandbox=Rule(
        Sandbox.NETWORK, "ccxt's source", "https://demo-futures.kraken.com, with an account and keys of its own."
    ),
)

_SPOT = "https://docs.kraken.com/api/docs/rest-api"
_GUIDES = "https://docs.kraken.com/api/docs/guides"
_ADD = f"{_SPOT}/add-order"
_AMEND = f"{_SPOT}/amend-order"
_CLOSED = f"{_SPOT}/get-closed-orders"
_TRADES = f"{_SPOT}/get-trade-history"
_AFTER = f"{_SPOT}/cancel-all-orders-after"
_SDK = "https://github.com/btschwertfeger/python-kraken-sdk"

SPOT = ExchangeRules(
    exchange="kraken",
    market_type=MarketType.SPOT,
    id_field=Rule("cl_ord_id", _ADD),
    id_length=Rule(36, _ADD, "A UUID, with dashes or as 32 hex digits, or free text of up to 18 characters."),
    id_alphabet=Rule("[0-9a-f]", _ADD, "Of the 32 hex digits that the router sends."),
    id_scope=Rule(IdScope.OPEN, f"{_GUIDES}/spot-amends"),
    duplicate_codes=Rule(
        ("EGeneral:Invalid arguments:cl_ord_id not unique",), DECLARED, "As accounts of others report it."
    ),
    expiry_field=Rule(
        "deadline", _ADD, "RFC 3339; at least 2 s (by other pages 500 ms) and at most 60 s ahead when it arrives."
    ),
    expiry=Rule(ExpiryEnforcement.ENGINE, _ADD, '"after which the matching engine should reject the new order".'),
    trigger_expiry=Rule(ExpiryEnforcement.ENGINE, _ADD, "The same request as any other order."),
    validity_s=Rule(VALIDITY_S, DECLARED),
    lateness_s=Rule(0.0, _ADD),
    visibility_s=Rule(VISIBILITY_S, DECLARED),
    clock_error_s=Rule(1.0, f"{_SPOT}/get-server-time", "Half a second of it is that Kraken tells whole seconds."),
    look_up_open=Rule(("QueryOrders", "OpenOrders"), f"{_SPOT}/get-open-orders", "QueryOrders where the id is known."),
    look_up_closed=Rule(("QueryOrders", "ClosedOrders"), _CLOSED),
    look_up_fills=Rule(
        ("TradesHistory",), _TRADES, "It tells no client order id: QueryOrders does, of fifty orders at once."
    ),
    look_back_s=Rule(LOOK_BACK_S, DECLARED, "The lists are said to have no end."),
    cancel=Rule(CancelAnswer.ACKNOWLEDGED, f"{_SPOT}/cancel-order", "`pending`: it will be cancelled."),
    amend=Rule(Amending.IN_PLACE, _AMEND, "AmendOrder; EditOrder, older, cancels and places another."),
    amendable=Rule(
        "quantity, price, trigger price",
        f"{_GUIDES}/spot-amends",
        "A quantity below what has filled is taken, and cancels the rest.",
    ),
    dead_man=Rule(DeadMan.COUNTDOWN, _AFTER, "Whole seconds, at most a day."),
    dead_man_scope=Rule("every order of the account, triggers included", _AFTER),
    dead_man_counts=Rule((1, 86_400), _AFTER, "Whole seconds, at most a day."),
    dead_man_triggers=Rule(True, _AFTER),
    dead_man_by_market=Rule(False, _AFTER),
    attached_exits=Rule(False, _ADD, "One conditional close per order, which is not used."),
    times_in_force=Rule(
        (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY),
        _SDK,
        "Trade.create_order of 3.5 names fill-or-kill.",
    ),
    trigger_prices=Rule((TriggerBy.LAST,), _ADD, "The index, too, which the router does not speak; no mark price."),
    position_modes=Rule((), "spot has no positions"),
    margin_modes=Rule((), "spot without borrowing has no margin"),
    sandbox=Rule(Sandbox.NONE, "ccxt's source"),
)
