"""OKX V5: linear swaps and spot of one trading account."""

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

TIMESTAMP_S = 30.0
"""A signed request is refused this long after its timestamp: https://www.okx.com/docs-v5/en/#overview-rest-authentication."""
COUNTDOWN_S = (10, 120)
"""The shortest and the longest countdown of cancel-all-after, whole seconds."""
UNFILLED_KEPT_S = 2 * 3600.0
"""How long look-ups and lists know an order that was cancelled without any fill."""
RECENT_ORDERS_S = 7 * 86400.0
RECENT_FILLS_S = 3 * 86400.0
ARCHIVE_S = 90 * 86400.0
"""How far back orders-history, fills, and the archives of both reach."""

_V5 = "https://www.okx.com/docs-v5/en"
_PLACE = f"{_V5}/#order-book-trading-trade-post-place-order"
_ALGO = f"{_V5}/#order-book-trading-algo-trading-post-place-algo-order"
_ORDER = f"{_V5}/#order-book-trading-trade-get-order-details"
_HISTORY = f"{_V5}/#order-book-trading-trade-get-order-history-last-7-days"
_FILLS = f"{_V5}/#order-book-trading-trade-get-transaction-details-last-3-months"
_CANCEL = f"{_V5}/#order-book-trading-trade-post-cancel-order"
_AMEND = f"{_V5}/#order-book-trading-trade-post-amend-order"
_COUNTDOWN = f"{_V5}/#order-book-trading-trade-post-cancel-all-after"
_TIMEOUTS = f"{_V5}/#overview-transaction-timeouts"
_ERRORS = f"{_V5}/#error-code"
_ACCOUNT = f"{_V5}/#trading-account-rest-api"
_DEMO = f"{_V5}/#overview-demo-trading-services"

SWAP = ExchangeRules(
    exchange="okx",
    market_type=MarketType.SWAP,
    id_field=Rule("clOrdId", _PLACE, "algoClOrdId for orders that wait for a trigger."),
    id_length=Rule(32, _PLACE),
    id_alphabet=Rule("[0-9A-Za-z]", _PLACE, "Case counts."),
    id_scope=Rule(IdScope.ALL, _ERRORS, 'Code 51016 says "already exists"; for how long after the end is not said.'),
    duplicate_codes=Rule(("51016", "51065", "51068", "50071"), _ERRORS, "51065 and 51068 for algoClOrdId."),
    expiry_field=Rule("expTime (header)", _TIMEOUTS, "Not signed. OK-ACCESS-TIMESTAMP is pinned as well."),
    expiry=Rule(ExpiryEnforcement.GATEWAY, _TIMEOUTS, '"Not processed if the server\'s time is after the expTime".'),
    trigger_expiry=Rule(
        ExpiryEnforcement.GATEWAY,
        _TIMEOUTS,
        "expTime is not for order-algo: what expires is the signed timestamp, pinned to the commit, after 30 s.",
    ),
    validity_s=Rule(VALIDITY_S, DECLARED),
    lateness_s=Rule(GATEWAY_LATENESS_S, DECLARED, "From the gateway to the matching engine."),
    trigger_lateness_s=Rule(
        TIMESTAMP_S - VALIDITY_S + GATEWAY_LATENESS_S,
        f"{_V5}/#overview-rest-authentication",
        "What is left of the timestamp's 30 s at our expiry, and from there to the engine as declared.",
    ),
    visibility_s=Rule(VISIBILITY_S, DECLARED),
    look_up_open=Rule(
        ("GET /api/v5/trade/order", "GET /api/v5/trade/order-algo"),
        _ORDER,
        "order-algo for those that wait; what was set off is followed by its ordId.",
    ),
    look_up_closed=Rule(
        ("GET /api/v5/trade/orders-history", "GET /api/v5/trade/orders-algo-history"),
        _HISTORY,
        "One that was cancelled without any fill is forgotten after two hours.",
    ),
    look_up_fills=Rule(("GET /api/v5/trade/fills-history",), _FILLS, "Three months."),
    look_back_s=Rule(LOOK_BACK_S, _HISTORY, "Seven days; one is left for clocks."),
    cancel=Rule(CancelAnswer.ACKNOWLEDGED, _CANCEL, '"Does not mean that the order is cancelled".'),
    amend=Rule(Amending.IN_PLACE, _AMEND, "Acknowledged only: the look-up tells what the order is now."),
    amendable=Rule("quantity, price, trigger price", _AMEND, "Triggers by amend-algos."),
    dead_man=Rule(DeadMan.COUNTDOWN, _COUNTDOWN, "10 to 120 whole seconds, or 0 to stop it."),
    dead_man_scope=Rule(
        "every order on the book of the account, of every symbol and by whomever",
        _COUNTDOWN,
        "Orders that wait for a trigger are not on the book; that they stay is our reading.",
    ),
    dead_man_counts=Rule(COUNTDOWN_S, _COUNTDOWN),
    dead_man_triggers=Rule(False, _COUNTDOWN, "Our reading: they are not on the book."),
    dead_man_by_market=Rule(False, _COUNTDOWN),
    attached_exits=Rule(True, _PLACE, "attachAlgoOrds; at market, by the last price, once the order filled."),
    times_in_force=Rule(
        (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY),
        _PLACE,
        "A conditional algo order becomes a GTC limit or a market order.",
    ),
    trigger_prices=Rule((TriggerBy.LAST, TriggerBy.MARK), _ALGO),
    position_modes=Rule((PositionMode.ONE_WAY, PositionMode.HEDGE), _ACCOUNT, "net_mode and long_short_mode."),
    margin_modes=Rule(
        (MarginMode.CROSS, MarginMode.ISOLATED),
        _PLACE,
        "Each order names it (tdMode): no setting of the account, so the option defaultMarginMode says which.",
    ),
    sandbox=Rule(Sandbox.HEADER, _DEMO, "x-simulated-trading: 1, with keys made for demo trading."),
)

SPOT = evolve(
    SWAP,
    market_type=MarketType.SPOT,
    trigger_prices=Rule((TriggerBy.LAST,), _ALGO, "Code 51415: spot is set off by the last price only."),
    position_modes=Rule((), "spot has no positions"),
    margin_modes=Rule((), "tdMode cash: spot without borrowing has no margin"),
)
