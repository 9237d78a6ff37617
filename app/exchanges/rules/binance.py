"""Binance: USDⓈ-M futures, and spot, which is a host, an account and a set of rules of its own."""

from __future__ import annotations

from app.domain.calls import ExpiryEnforcement
from app.exchanges.rules.base import (
    DECLARED,
    GATEWAY_LATENESS_S,
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

_USDM = "https://developers.binance.com/docs/derivatives/usds-margined-futures"
_TRADE = f"{_USDM}/trade/rest-api"
_ORDER = f"{_TRADE}/New-Order"
_ALGO = f"{_TRADE}/New-Algo-Order"
_ERRORS = f"{_USDM}/error-code"
_GENERAL = f"{_USDM}/general-info"
_REST = "https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md"
_SPOT_ERRORS = "https://github.com/binance/binance-spot-api-docs/blob/master/errors.md"
_SPOT_AMEND = "https://github.com/binance/binance-spot-api-docs/blob/master/faqs/order_amend_keep_priority.md"
_DEMO = "https://www.binance.com/en/support/faq/detail/9be58f73e5e14338809e3b705b9687dd"

_ALPHABET = r"[.A-Z:/a-z0-9_-]"
_TIMES = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY)

SWAP = ExchangeRules(
    exchange="binance",
    market_type=MarketType.SWAP,
    id_field=Rule("newClientOrderId", _ORDER, "clientAlgoId for orders that wait for a trigger."),
    id_length=Rule(36, _ORDER),
    id_alphabet=Rule(_ALPHABET, _ORDER),
    id_scope=Rule(IdScope.OPEN, _ORDER, "The id of an order that filled executes again."),
    duplicate_codes=Rule(("-4116", "-2010", "-20132"), _ERRORS, '-2010 with the words "Duplicate order sent." only.'),
    expiry_field=Rule("timestamp + recvWindow", _GENERAL, "Both are signed, and pinned to when the leg was committed."),
    expiry=Rule(ExpiryEnforcement.ENGINE, _ERRORS, "On arrival (-1021) and by the matching engine (-5028)."),
    trigger_expiry=Rule(
        ExpiryEnforcement.GATEWAY,
        DECLARED,
        "The service they wait in is not said to look a second time.",
    ),
    validity_s=Rule(VALIDITY_S, DECLARED),
    lateness_s=Rule(0.0, _ERRORS, "The matching engine looks itself."),
    trigger_lateness_s=Rule(GATEWAY_LATENESS_S, DECLARED, "From the gateway to the service."),
    visibility_s=Rule(VISIBILITY_S, DECLARED),
    look_up_open=Rule(
        ("GET /fapi/v1/order", "GET /fapi/v1/algoOrder", "GET /fapi/v1/openAlgoOrders"),
        f"{_TRADE}/Query-Order",
        "The latter two for orders placed with a trigger; set off, they are followed by actualOrderId.",
    ),
    look_up_closed=Rule(
        ("GET /fapi/v1/allOrders", "GET /fapi/v1/allAlgoOrders"),
        f"{_TRADE}/All-Orders",
        "Windows of seven days. One that ended with nothing filled is forgotten three days after it was placed.",
    ),
    look_up_fills=Rule(("GET /fapi/v1/userTrades",), f"{_TRADE}/Account-Trade-List", "By the exchange's id only."),
    look_back_s=Rule(LOOK_BACK_S, f"{_TRADE}/All-Orders", "Seven days a window; a day is left for clocks."),
    cancel=Rule(
        CancelAnswer.DONE, f"{_TRADE}/Cancel-Order", "Acknowledged only, for an order that waits for its trigger."
    ),
    amend=Rule(
        Amending.IN_PLACE,
        f"{_TRADE}/Modify-Order",
        "It goes to the end of the queue. A post-only order is cancelled where the new price would take.",
    ),
    amendable=Rule(
        "quantity and price of limit orders; nothing while an order waits for its trigger",
        f"{_TRADE}/Modify-Order",
        "A quantity that has filled already would cancel the order: refused before sending.",
    ),
    dead_man=Rule(DeadMan.COUNTDOWN, f"{_TRADE}/Auto-Cancel-All-Open-Orders"),
    dead_man_scope=Rule(
        "each market in which an order rests when it is armed, and not orders that wait for a trigger",
        f"{_TRADE}/Auto-Cancel-All-Open-Orders",
        "One countdown a market; of orders that wait for a trigger nothing is said, so they are taken to stay.",
    ),
    dead_man_counts=Rule((1, 86_400), DECLARED, "In milliseconds; no bounds are documented."),
    dead_man_triggers=Rule(False, f"{_TRADE}/Auto-Cancel-All-Open-Orders", "Nothing is said of them."),
    dead_man_by_market=Rule(True, f"{_TRADE}/Auto-Cancel-All-Open-Orders"),
    attached_exits=Rule(False, _ORDER, "No parameter of an order; ccxt would send them as junk."),
    times_in_force=Rule(_TIMES, _ORDER, "Post-only is GTX, and not for orders that wait for a trigger."),
    trigger_prices=Rule((TriggerBy.LAST, TriggerBy.MARK), _ALGO, "workingType"),
    position_modes=Rule((PositionMode.ONE_WAY, PositionMode.HEDGE), f"{_TRADE}/Change-Position-Mode"),
    margin_modes=Rule((MarginMode.CROSS, MarginMode.ISOLATED), f"{_TRADE}/Change-Margin-Type", "Of one market."),
    sandbox=Rule(
        Sandbox.NETWORK,
        _DEMO,
        "Demo trading at https://demo-fapi.binance.com, with keys of its own; ccxt does not support the old testnet.",
    ),
)

SPOT = ExchangeRules(
    exchange="binance",
    market_type=MarketType.SPOT,
    id_field=Rule("newClientOrderId", _REST),
    id_length=Rule(36, _REST),
    id_alphabet=Rule(_ALPHABET, _REST),
    id_scope=Rule(IdScope.OPEN, _REST, "The id of an order that filled executes again."),
    duplicate_codes=Rule(("-2010",), _SPOT_ERRORS, 'With the words "Duplicate order sent." only.'),
    expiry_field=Rule("timestamp + recvWindow", _REST, "Both are signed, and pinned to when the leg was committed."),
    expiry=Rule(
        ExpiryEnforcement.GATEWAY,
        _REST,
        "On arrival and before the matching engine, which looks at none itself.",
    ),
    trigger_expiry=Rule(ExpiryEnforcement.GATEWAY, _REST, "The same request as any other order."),
    validity_s=Rule(VALIDITY_S, DECLARED),
    lateness_s=Rule(GATEWAY_LATENESS_S, DECLARED, "From the gateway to the matching engine."),
    visibility_s=Rule(VISIBILITY_S, DECLARED),
    look_up_open=Rule(("GET /api/v3/order",), _REST, "Also one that ended, and one that waits for its trigger."),
    look_up_closed=Rule(
        ("GET /api/v3/allOrders",), _REST, "Windows of a day; with nothing filled, archived after ninety days."
    ),
    look_up_fills=Rule(("GET /api/v3/myTrades",), _REST, "By the exchange's id only."),
    look_back_s=Rule(LOOK_BACK_S, _REST, "So many windows of a day are asked for."),
    cancel=Rule(CancelAnswer.DONE, _REST),
    amend=Rule(Amending.IN_PLACE, _SPOT_AMEND, "It keeps its place in the queue, and its id where that is sent again."),
    amendable=Rule(
        "quantity, downwards",
        _SPOT_AMEND,
        "Cancel-and-replace is not used: it has two outcomes, and leaves two orders under one id.",
    ),
    dead_man=Rule(DeadMan.NONE, _REST),
    dead_man_scope=Rule("", _REST),
    attached_exits=Rule(
        False,
        _REST,
        "An OTOCO protects nothing until its order has filled whole, and then more than is left after the fee.",
    ),
    times_in_force=Rule(_TIMES, _REST, "Post-only is LIMIT_MAKER, and not for orders that wait for a trigger."),
    trigger_prices=Rule((TriggerBy.LAST,), _REST, "There is no mark price."),
    position_modes=Rule((), "spot has no positions"),
    margin_modes=Rule((), "spot without borrowing has no margin"),
    sandbox=Rule(Sandbox.NETWORK, "https://testnet.binance.vision", "With keys of its own."),
)
