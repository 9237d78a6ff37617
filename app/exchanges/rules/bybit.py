"""Bybit V5, a unified account: linear swaps and spot."""

from __future__ import annotations

from attrs import evolve

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

_V5 = "https://bybit-exchange.github.io/docs/v5"
_CREATE = f"{_V5}/order/create-order"
_AMEND = f"{_V5}/order/amend-order"
_CANCEL = f"{_V5}/order/cancel-order"
_REALTIME = f"{_V5}/order/open-order"
_HISTORY = f"{_V5}/order/order-list"
_EXECUTIONS = f"{_V5}/order/execution"
_ERRORS = f"{_V5}/error"
_DCP = f"{_V5}/order/dcp"
_GUIDE = f"{_V5}/guide"

UNFILLED_KEPT_S = 86_400.0
"""How long the history knows an order that ended without any fill."""

SWAP = ExchangeRules(
    exchange="bybit",
    market_type=MarketType.SWAP,
    id_field=Rule("orderLinkId", _CREATE),
    id_length=Rule(36, _CREATE),
    id_alphabet=Rule("[0-9A-Za-z_-]", _CREATE),
    id_scope=Rule(IdScope.ALL, _CREATE, '"Always unique"; for how long after an order ended is not said.'),
    duplicate_codes=Rule(("110072", "110030", "10014"), _ERRORS),
    expiry_field=Rule(
        "X-BAPI-TIMESTAMP + X-BAPI-RECV-WINDOW", _GUIDE, "Both are signed, and pinned to when the leg was committed."
    ),
    expiry=Rule(ExpiryEnforcement.GATEWAY, _GUIDE, "Looked at on arrival only (code 10002)."),
    trigger_expiry=Rule(ExpiryEnforcement.GATEWAY, _GUIDE, "The same request as any other order."),
    validity_s=Rule(VALIDITY_S, DECLARED),
    lateness_s=Rule(GATEWAY_LATENESS_S, DECLARED, "From the gateway to the matching engine."),
    visibility_s=Rule(VISIBILITY_S, DECLARED, "The create and the look-up are said to be asynchronous, with no bound."),
    look_up_open=Rule(
        ("GET /v5/order/realtime",), _REALTIME, "By id also the last 500 that ended, until the service restarts."
    ),
    look_up_closed=Rule(
        ("GET /v5/order/history",), _HISTORY, "Seven days; of what ended without any fill only the last 24 hours."
    ),
    look_up_fills=Rule(("GET /v5/execution/list",), _EXECUTIONS, "Windows of seven days at most."),
    look_back_s=Rule(LOOK_BACK_S, _HISTORY, "Seven days without a window; a day is left for clocks."),
    cancel=Rule(CancelAnswer.ACKNOWLEDGED, _CANCEL),
    amend=Rule(
        Amending.IN_PLACE, _AMEND, "Acknowledged only: the look-up tells what the order is now. It expires in 5 s too."
    ),
    amendable=Rule("quantity, price, trigger price", _AMEND),
    dead_man=Rule(DeadMan.CONNECTION, _DCP, "Set off by the loss of a private websocket, so no request can arm it."),
    dead_man_scope=Rule("", _DCP),
    attached_exits=Rule(
        True, _CREATE, "As large as what the order filled. What they become has no client order id of ours."
    ),
    times_in_force=Rule((TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY), _CREATE),
    trigger_prices=Rule((TriggerBy.LAST, TriggerBy.MARK), _CREATE),
    position_modes=Rule(
        (PositionMode.ONE_WAY, PositionMode.HEDGE),
        f"{_V5}/position/position-mode",
        "Of each market; set for those in USDT at once, where none of them has orders or positions.",
    ),
    margin_modes=Rule(
        (MarginMode.CROSS, MarginMode.ISOLATED),
        f"{_V5}/account/set-margin-mode",
        "Of the whole account: set where nothing else is held.",
    ),
    sandbox=Rule(Sandbox.NETWORK, _GUIDE, "https://api-testnet.bybit.com, with keys of its own."),
)

SPOT = evolve(
    SWAP,
    market_type=MarketType.SPOT,
    duplicate_codes=Rule(("170141", "10014"), _ERRORS),
    look_up_open=Rule(
        ("GET /v5/order/realtime",),
        _REALTIME,
        "All kinds of orders where none is named; those placed with a trigger are asked for by their own kind as well.",
    ),
    cancel=Rule(CancelAnswer.ACKNOWLEDGED, _CANCEL, "One that waits for its trigger is found under its own kind only."),
    amendable=Rule(
        "quantity, price, trigger price", _AMEND, "Not the quantity of a market order: in which coin is not said."
    ),
    attached_exits=Rule(True, _CREATE, "With limit orders that go to the book at once; a purchase's only, by us."),
    trigger_prices=Rule(
        (TriggerBy.LAST,),
        _CREATE,
        "Which way it goes off is decided by the price when it arrives, so that one already passed is refused by us.",
    ),
    position_modes=Rule((), _CREATE, "Spot has no positions."),
    margin_modes=Rule((), _CREATE, "Nothing is ever borrowed: isLeverage is left at 0."),
)
