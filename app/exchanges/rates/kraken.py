"""Kraken Futures, and Kraken spot.

Futures: FUT is https://docs.kraken.com/api/docs/guides/futures-rate-limits: 500 in 10 s over the endpoints of
`/derivatives`, each with its cost; what is public costs nothing. `/history` has a pool of its own of 100 that comes
back in ten minutes, of which each page of orders, triggers or executions costs 1. A look-up comes to the history only
where neither the status nor the open orders know the order, and is not counted there: a reserve is kept for it.

Spot: REST is https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits, a counter by key of 15 at 0.33 a second for
the lowest tier (20 at 0.5, and at 1, for the next ones), that trade history raises by 2, all other calls by 1, and
placing and cancelling not at all. ENGINE is https://docs.kraken.com/api/docs/guides/spot-ratelimits, a counter by pair
of 60 at 1 a second (125 at 2.34, 180 at 3.75), that placing raises by 1, changing and cancelling by more, the younger
the order is. The lowest tier is assumed: which one an account has, the exchange does not tell. Public calls: about one
a second and address, by https://support.kraken.com/articles/206548367.
"""

from __future__ import annotations

from app.domain import calls as c
from app.domain.rates import Budget, Cost, Pause, Price, Rates, cost, together

_FUT = "https://docs.kraken.com/api/docs/guides/futures-rate-limits"
_REST = "https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits"
_ENGINE = "https://docs.kraken.com/api/docs/guides/spot-ratelimits"
_PUBLIC = "https://support.kraken.com/articles/206548367"


def _pool(units: float) -> Cost:
    return (("derivatives", units),)


SWAP = Rates(
    budgets=(
        Budget(name="derivatives", most=500, window_s=10.0, reserve=60),
        Budget(name="history", most=100, per_s=100 / 600, reserve=40),
        Budget(name="public", most=20, window_s=1.0),
    ),
    prices={
        c.PlaceCall: Price(cost=_pool(10), source=_FUT),
        c.AmendCall: Price(cost=_pool(10), source=_FUT),
        c.CancelCall: Price(cost=_pool(10), source=_FUT),
        c.LookUpCall: Price(
            cost=together(_pool(1), _pool(2), _pool(2)),
            requests=(_pool(1), _pool(3)),
            triggered_requests=(_pool(1), _pool(3)),
            source=f"{_FUT}: orders/status 1, openorders 2, fills 2",
        ),
        c.OpenOrdersCall: Price(cost=_pool(2), source=_FUT),
        c.ClosedOrdersCall: Price(cost=cost(history=3), source=f"{_FUT}: orders, triggers and executions"),
        c.FillsCall: Price(cost=cost(history=1), source=f"{_FUT}: executions"),
        c.BalancesCall: Price(cost=_pool(2), source=_FUT),
        c.PositionsCall: Price(cost=_pool(2), source=_FUT),
        c.AccountCall: Price(
            cost=together(_pool(3), cost(public=1)),
            sized=tuple((most, together(_pool(3), cost(public=min(most, c.MAX_PRICED)))) for most in (1, 2, 5, 30)),
            source=f"{_FUT}: accounts 2; leveragepreferences 1 by ccxt's source; prices are public",
        ),
        c.StatusCall: Price(
            cost=together(_pool(1), cost(public=1)), source="notifications 1 by ccxt's source; tickers are public"
        ),
        c.LeverageCall: Price(cost=_pool(10), source=_FUT),
        c.MarginModeCall: Price(cost=_pool(10), source=_FUT),
        c.DeadManCall: Price(cost=_pool(25), source=_FUT),
        c.ProbeCall: Price(cost=_pool(2), source=f"{_FUT}; a public one costs nothing"),
        c.DryCall: Price(cost=(), source="nothing is sent"),
    },
    otherwise=cost(public=1),
    pauses={"apiLimitExceeded": Pause(wait_s=1.0)},
)
"""Of what is public 20 a second, declared by us: the documents name no limit."""


def _counted(units: float) -> Cost:
    return (("rest", units),)


def _pair(units: float) -> Cost:
    return (("pair", units),)


SPOT = Rates(
    budgets=(
        Budget(name="rest", most=15, per_s=0.33, reserve=6),
        Budget(name="pair", most=60, per_s=1.0, reserve=16, per_symbol=True),
        Budget(name="public", most=5, per_s=1.0, reserve=1),
    ),
    prices={
        c.PlaceCall: Price(cost=_pair(1), source=_ENGINE),
        c.AmendCall: Price(
            cost=_pair(4),
            aged=((5.0, _pair(4)), (10.0, _pair(3)), (15.0, _pair(2)), (float("inf"), _pair(1))),
            source=f"{_ENGINE}: 1, and 3, 2 or 1 below 5, 10 or 15 s",
        ),
        c.CancelCall: Price(
            cost=_pair(8),
            aged=(
                (5.0, _pair(8)),
                (10.0, _pair(6)),
                (15.0, _pair(5)),
                (45.0, _pair(4)),
                (90.0, _pair(2)),
                (300.0, _pair(1)),
                (float("inf"), ()),
            ),
            source=f"{_ENGINE}: 8, 6, 5, 4, 2, 1 below 5, 10, 15, 45, 90, 300 s; nothing beyond",
        ),
        c.LookUpCall: Price(
            cost=together(_counted(1), _counted(1), _counted(2)),
            requests=(_counted(1), _counted(2)),
            triggered_requests=(_counted(1), _counted(2)),
            source=f"{_REST}: open, closed, trades history",
        ),
        c.OpenOrdersCall: Price(cost=_counted(1), source=_REST),
        c.ClosedOrdersCall: Price(cost=_counted(2), source=f"{_REST}; counted as history"),
        c.FillsCall: Price(cost=_counted(3), source=f"{_REST}: trades history, and whose they are"),
        c.BalancesCall: Price(cost=_counted(1), source=_REST),
        c.AccountCall: Price(cost=_counted(1), source=f"{_REST}: the balances"),
        c.ProbeCall: Price(cost=_counted(1), source=f"{_REST}; a public one costs nothing of it"),
        c.DeadManCall: Price(cost=_counted(1), source=_REST),
        c.TickerCall: Price(cost=cost(public=1), source=_PUBLIC),
        c.OrderBookCall: Price(cost=cost(public=1), source=_PUBLIC),
        c.KlinesCall: Price(cost=cost(public=1), source=_PUBLIC),
        c.StatusCall: Price(cost=cost(public=1), source=_PUBLIC),
        c.DryCall: Price(cost=(), source="nothing is sent"),
    },
    otherwise=_counted(1),
    pauses={
        "EAPI:Rate limit exceeded": Pause(wait_s=5.0),
        "EOrder:Rate limit exceeded": Pause(wait_s=5.0),
        "EGeneral:Temporary lockout": Pause(wait_s=900.0, everything=True),
    },
)
"""`EAPI` and `EOrder` say not for how long: "a few seconds", five declared by us; a lockout takes fifteen minutes."""
