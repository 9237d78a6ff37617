"""Binance, USDⓈ-M futures and spot: request weight a minute by address, and orders by account.

FUT is https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info with the `rateLimits` of its
`exchangeInfo` (2,400 of weight a minute, 300 orders in 10 s, 1,200 a minute), SPOT
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits (6,000; 100 in 10 s; 200,000 a day). CCXT is
ccxt's own table of weights. An order weighs nothing by the documents of futures, and is counted as 1 here; that orders
with a trigger count as orders was not confirmed, and is declared by us.

Each answer tells in its headers what the address and the account have used. 429 comes with Retry-After, and going on
ends in 418: the address is banned until then, with everything on it.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.domain import calls as c
from app.domain.rates import Budget, Cost, Pause, Price, Rates, Usage, cost, together

_FUT = "https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info"
_SPOT = "https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits"
_CCXT = "ccxt's source: binance.py, api"

DAY_S = 86400.0
MINUTE_S = 60.0

_PAUSES = {
    "-1003": Pause(wait_s=60.0, everything=True),
    "-1015": Pause(wait_s=10.0),
    "-1008": Pause(wait_s=1.0),
}
"""-1003 is the weight, or a ban; -1015 the orders; -1008 an overload, for which no time is documented."""


def _weight(units: float) -> Cost:
    return (("weight", units),)


_ORDER = cost(orders_10s=1, orders_1m=1, weight=1)
_LOOK_UP = together(_weight(1), _weight(5), _weight(5))

SWAP = Rates(
    budgets=(
        Budget(name="weight", most=2400, window_s=MINUTE_S, reserve=240),
        Budget(name="orders_10s", most=300, window_s=10.0),
        Budget(name="orders_1m", most=1200, window_s=MINUTE_S),
    ),
    prices={
        c.PlaceCall: Price(cost=_ORDER, source=_FUT),
        c.AmendCall: Price(
            cost=together(_ORDER, _weight(1)),
            triggered=together(_ORDER, _weight(2)),
            source=f"{_FUT}; the order is asked for first, and the trigger's before it",
        ),
        c.CancelCall: Price(
            cost=_weight(1),
            triggered=_weight(3),
            source=f"{_CCXT}; one set off is asked for, and is an order by now",
        ),
        c.LookUpCall: Price(
            cost=_LOOK_UP,
            triggered=together(_weight(1), _weight(1), _weight(5), _weight(1), _weight(5)),
            requests=(_weight(1), _weight(6)),
            triggered_requests=(_weight(1), _weight(2), _weight(7)),
            source=f"{_CCXT}: order 1, allOrders 5, userTrades 5; algoOrder 1, openAlgoOrders 1, allAlgoOrders 5",
        ),
        c.OpenOrdersCall: Price(
            cost=_weight(1),
            triggered=_weight(2),
            everywhere=_weight(40),
            everywhere_triggered=_weight(80),
            source=f"{_CCXT}: openOrders and openAlgoOrders 1, or 40 without a symbol",
        ),
        c.ClosedOrdersCall: Price(cost=_weight(10), source=f"{_CCXT}: allOrders 5, allAlgoOrders 5, a week"),
        c.FillsCall: Price(cost=_weight(5), triggered=_weight(6), source=f"{_CCXT}: userTrades 5, algoOrder 1"),
        c.TickerCall: Price(cost=_weight(4), source=f"{_CCXT}: 24hr 1, bookTicker 2, premiumIndex 1"),
        c.OrderBookCall: Price(
            cost=_weight(20),
            sized=((50, _weight(2)), (100, _weight(5)), (500, _weight(10)), (1000, _weight(20))),
            source=_CCXT,
        ),
        c.KlinesCall: Price(
            cost=_weight(10),
            sized=((99, _weight(1)), (499, _weight(2)), (1000, _weight(5)), (1500, _weight(10))),
            source=_CCXT,
        ),
        c.BalancesCall: Price(cost=_weight(5), source=_CCXT),
        c.PositionsCall: Price(cost=_weight(5), source=_CCXT),
        c.AccountCall: Price(
            cost=_weight(15),
            sized=tuple((most, _weight(15 + 4 * min(most, c.MAX_PRICED))) for most in (1, 2, 5, 30)),
            source=f"{_CCXT}: account, accountConfig and symbolConfig 5 each; 4 for a price",
        ),
        c.ProbeCall: Price(cost=_weight(5), source=f"{_CCXT}; a public one weighs 1"),
        c.PositionModeCall: Price(cost=_weight(1), source=_CCXT),
        c.DeadManCall: Price(cost=_weight(60), source=f"{_CCXT}: openOrders 40, and 10 for each symbol"),
        c.DryCall: Price(cost=(), source="nothing is sent"),
    },
    otherwise=_weight(1),
    common=frozenset({"weight"}),
    pauses=_PAUSES,
)

_SPOT_LOOK_UP = together(_weight(4), _weight(20), _weight(20))

SPOT = Rates(
    budgets=(
        Budget(name="weight", most=6000, window_s=MINUTE_S, reserve=600),
        Budget(name="orders_10s", most=100, window_s=10.0),
        Budget(name="orders_1d", most=200_000, window_s=DAY_S),
    ),
    prices={
        c.PlaceCall: Price(cost=cost(orders_10s=1, orders_1d=1, weight=1), source=_SPOT),
        c.AmendCall: Price(cost=_weight(8), source=f"{_SPOT}: order 4, amend/keepPriority 4 and no order"),
        c.CancelCall: Price(cost=_weight(1), source=_CCXT),
        c.LookUpCall: Price(
            cost=_SPOT_LOOK_UP,
            requests=(_weight(4), _weight(24)),
            triggered_requests=(_weight(4), _weight(24)),
            source=f"{_CCXT}: order 4, allOrders 20, myTrades 20",
        ),
        c.OpenOrdersCall: Price(cost=_weight(6), everywhere=_weight(80), source=f"{_CCXT}: 6, or 80 without a symbol"),
        c.ClosedOrdersCall: Price(cost=_weight(40), source=f"{_CCXT}: allOrders 20 a day, from a day before"),
        c.FillsCall: Price(cost=_weight(20), source=_CCXT),
        c.TickerCall: Price(cost=_weight(4), source=f"{_CCXT}: 24hr 2, bookTicker 2"),
        c.OrderBookCall: Price(
            cost=_weight(250),
            sized=((100, _weight(5)), (500, _weight(25)), (1000, _weight(50)), (5000, _weight(250))),
            source=_CCXT,
        ),
        c.KlinesCall: Price(cost=_weight(2), source=_CCXT),
        c.BalancesCall: Price(cost=_weight(20), source=_CCXT),
        c.AccountCall: Price(cost=_weight(20), source=f"{_CCXT}: the balances"),
        c.ProbeCall: Price(cost=_weight(20), source=f"{_CCXT}; a public one weighs 1"),
        c.DryCall: Price(cost=(), source="nothing is sent"),
    },
    otherwise=_weight(2),
    common=frozenset({"weight"}),
    pauses=_PAUSES,
)

_HEADERS: Mapping[str, str] = {
    "x-mbx-used-weight-1m": "weight",
    "x-mbx-order-count-10s": "orders_10s",
    "x-mbx-order-count-1m": "orders_1m",
    "x-mbx-order-count-1d": "orders_1d",
}


def usage(path: str, headers: Mapping[str, str]) -> tuple[Usage, ...]:
    """What the headers of an answer tell. When a window ends they do not: what others used is held for a whole one."""
    return tuple(
        Usage(budget=budget, used=float(headers[name]))
        for name, budget in _HEADERS.items()
        if headers.get(name, "").isdecimal()
    )
