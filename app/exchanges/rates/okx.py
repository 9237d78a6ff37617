"""OKX V5: so many requests in two seconds of each endpoint, by user; orders also by instrument, and of all instruments.

DOC is https://www.okx.com/docs-v5/en/ (each endpoint names its limit: placing, changing and cancelling 60 in 2 s "User
ID + Instrument ID"). The limit of a sub-account, 1,000 placements and changes in 2 s, is announced at
https://www.okx.com/help/fill-ratio-sub-account-rate-limit, and leaves the one by instrument as it was. CCXT is ccxt's
own table of costs (a cost of 1 is 20 in 2 s). Endpoints other than those of orders are counted here by user, which is
stricter where OKX counts them by instrument.

OKX tells nothing in headers. 50011 is an endpoint's limit, 50061 the sub-account's; how long to wait is the window.
"""

from __future__ import annotations

from app.domain import calls as c
from app.domain.rates import Budget, Cost, Pause, Price, Rates, cost, together

_DOC = "https://www.okx.com/docs-v5/en/"
_CCXT = "ccxt's source: okx.py, api"

_FOUND: Cost = cost(order=1)
_LOOK_UP = together(cost(order=1), cost(history=1), cost(fills=1))
_ALGO_LOOK_UP = together(cost(algo_order=1, algo_pending=1, algo_history=3), _LOOK_UP)
"""One nobody knows is looked for among the waiting, in each state of those that ended, and among orders."""
_TWO_S = 2.0


def _account(markets: int) -> Cost:
    return cost(settings=1, balance=1, leverage=1, ticker=min(markets, c.MAX_PRICED))


_TABLE = Rates(
    budgets=(
        Budget(name="place", most=60, window_s=_TWO_S, per_symbol=True),
        Budget(name="cancel", most=60, window_s=_TWO_S, per_symbol=True),
        Budget(name="amend", most=60, window_s=_TWO_S, per_symbol=True),
        Budget(name="orders", most=1000, window_s=_TWO_S),
        Budget(name="order", most=60, window_s=_TWO_S, reserve=10),
        Budget(name="pending", most=60, window_s=_TWO_S, reserve=5),
        Budget(name="history", most=40, window_s=_TWO_S, reserve=10),
        Budget(name="fills", most=10, window_s=_TWO_S, reserve=2),
        Budget(name="algo_place", most=20, window_s=_TWO_S),
        Budget(name="algo_cancel", most=20, window_s=_TWO_S),
        Budget(name="algo_amend", most=20, window_s=_TWO_S),
        Budget(name="algo_order", most=20, window_s=_TWO_S),
        Budget(name="algo_pending", most=20, window_s=_TWO_S),
        Budget(name="algo_history", most=20, window_s=_TWO_S),
        Budget(name="balance", most=10, window_s=_TWO_S, reserve=2),
        Budget(name="positions", most=10, window_s=_TWO_S, reserve=2),
        Budget(name="leverage", most=20, window_s=_TWO_S),
        Budget(name="settings", most=5, window_s=_TWO_S),
        Budget(name="dead_man", most=1, window_s=1.0),
        Budget(name="ticker", most=20, window_s=_TWO_S),
        Budget(name="books", most=40, window_s=_TWO_S),
        Budget(name="candles", most=40, window_s=_TWO_S),
        Budget(name="status", most=1, window_s=5.0),
        Budget(name="time", most=10, window_s=_TWO_S),
    ),
    prices={
        c.PlaceCall: Price(
            cost=cost(place=1, orders=1),
            triggered=cost(algo_place=1),
            source=f"{_DOC}#order-book-trading-trade-post-place-order; algo orders {_CCXT}",
        ),
        c.CancelCall: Price(
            cost=cost(cancel=1),
            triggered=cost(algo_cancel=1, algo_order=1, cancel=1),
            source=f"{_DOC}#order-book-trading-trade-post-cancel-order; one set off may be an order by now",
        ),
        c.AmendCall: Price(
            cost=cost(amend=1, orders=1),
            triggered=cost(algo_amend=1, algo_order=1, amend=1, orders=1),
            source=f"{_DOC}#order-book-trading-trade-post-amend-order; algo orders {_CCXT}; one set off is an order",
        ),
        c.LookUpCall: Price(
            cost=_LOOK_UP,
            triggered=_ALGO_LOOK_UP,
            requests=(_FOUND, cost(order=1, history=1)),
            triggered_requests=(cost(algo_order=1), cost(algo_order=1, order=1)),
            source=f"{_CCXT}: 60, 40 and 10 in 2 s",
        ),
        c.OpenOrdersCall: Price(
            cost=cost(pending=1), triggered=cost(pending=1, algo_pending=1), source=f"{_CCXT}: 60 and 20 in 2 s"
        ),
        c.ClosedOrdersCall: Price(cost=cost(history=1, algo_history=2), source=f"{_CCXT}: 40 and 20 in 2 s"),
        c.FillsCall: Price(cost=cost(fills=1), triggered=cost(algo_order=1, fills=1), source=f"{_CCXT}: 10, 20 in 2 s"),
        c.TickerCall: Price(cost=cost(ticker=1), source=f"{_CCXT}: 20 in 2 s"),
        c.OrderBookCall: Price(cost=cost(books=1), source=f"{_CCXT}: 40 in 2 s"),
        c.KlinesCall: Price(cost=cost(candles=1), source=f"{_CCXT}: 40 in 2 s"),
        c.StatusCall: Price(cost=cost(status=1), source=f"{_CCXT}: 1 in 5 s"),
        c.BalancesCall: Price(cost=cost(balance=1), source=f"{_CCXT}: 10 in 2 s"),
        c.PositionsCall: Price(cost=cost(positions=1), source=f"{_CCXT}: 10 in 2 s"),
        c.AccountCall: Price(
            cost=_account(1),
            sized=tuple((most, _account(most)) for most in (2, 5, 10, 30)),
            source=f"{_CCXT}: config 5, balance 10, leverage-info 20 and ticker 20 in 2 s",
        ),
        c.LeverageCall: Price(cost=cost(leverage=1), source=f"{_CCXT}: 20 in 2 s"),
        c.MarginModeCall: Price(cost=(), source="nothing is sent: each order names it"),
        c.PositionModeCall: Price(cost=cost(settings=1), source=f"{_CCXT}: 5 in 2 s"),
        c.DeadManCall: Price(cost=cost(dead_man=1), source=f"{_CCXT}: 1 in 1 s"),
        c.ProbeCall: Price(cost=cost(balance=1, time=1), source=f"{_CCXT}: 10 in 2 s, whichever it asks"),
        c.DryCall: Price(cost=(), source="nothing is sent"),
    },
    pauses={
        "50011": Pause(wait_s=2.0),
        "50040": Pause(wait_s=2.0),
        "50061": Pause(wait_s=2.0),
    },
)

SWAP = _TABLE
SPOT = _TABLE
