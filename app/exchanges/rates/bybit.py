"""Bybit V5: so much a second of each endpoint, by account; and 600 requests in five seconds by address.

DOC is https://bybit-exchange.github.io/docs/v5/rate-limit: "rolling time window per second and UID", the table "API
Rate Limit" for a unified account (create, cancel and amend 10/s, create and cancel 20/s on spot), 600 requests within
5 s by IP, and "terminate all HTTP sessions and wait for at least 10 minutes" after a 403. CCXT is ccxt's own table of
costs (a cost of 5 is 10/s), for endpoints the page does not list.

Each answer tells of its endpoint's limit in its headers: https://bybit-exchange.github.io/docs/v5/rate-limit.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from app.domain import calls as c
from app.domain.rates import Budget, Cost, Pause, Price, Rates, Usage, cost, together

_DOC = "https://bybit-exchange.github.io/docs/v5/rate-limit"
_CCXT = "ccxt's source: bybit.py, api"
_OURS = "declared by us"

_ENDPOINTS: Mapping[str, str] = {
    "/v5/order/create": "create",
    "/v5/order/cancel": "cancel",
    "/v5/order/amend": "amend",
    "/v5/order/realtime": "realtime",
    "/v5/order/history": "history",
    "/v5/execution/list": "executions",
    "/v5/position/list": "positions",
    "/v5/account/wallet-balance": "wallet",
    "/v5/position/set-leverage": "leverage",
    "/v5/position/switch-mode": "settings",
    "/v5/account/set-margin-mode": "settings",
    "/v5/order/disconnected-cancel-all": "dead_man",
}
"""Endpoint → budget, for the headers."""


def _of(**units: float) -> Cost:
    """Requests: each counts for the address too."""
    return (*cost(**units), ("ip", sum(units.values())))


_IP: Cost = (("ip", 1.0),)
_LOOK_UP = together(_of(realtime=1), _of(history=1), _of(executions=1))
_FOUND = (_of(realtime=1), together(_of(realtime=1), _of(history=1)))
_TRIGGERED_ON_SPOT = (
    _of(realtime=1),
    _of(realtime=2),
    together(_of(realtime=2), _of(history=1)),
    together(_of(realtime=2), _of(history=2)),
)
"""There, what was placed with a trigger is asked for by its own kind as well, by each of the lists."""


def _account(markets: int) -> Cost:
    return together(_of(wallet=1), _IP, _of(positions=markets))


def _table(orders_per_s: float, settlements: int) -> Rates:
    """`settlements`: settlement coins, each of which lists and positions are asked for by itself."""
    return Rates(
        budgets=(
            Budget(name="ip", most=600, window_s=5.0, reserve=60),
            Budget(name="create", most=orders_per_s, window_s=1.0),
            Budget(name="cancel", most=orders_per_s, window_s=1.0),
            Budget(name="amend", most=10, window_s=1.0),
            Budget(name="realtime", most=50, window_s=1.0, reserve=10),
            Budget(name="history", most=50, window_s=1.0, reserve=10),
            Budget(name="executions", most=50, window_s=1.0, reserve=10),
            Budget(name="positions", most=50, window_s=1.0, reserve=10),
            Budget(name="wallet", most=50, window_s=1.0, reserve=10),
            Budget(name="leverage", most=10, window_s=1.0),
            Budget(name="settings", most=5, window_s=1.0),
            Budget(name="dead_man", most=5, window_s=1.0),
        ),
        prices={
            c.PlaceCall: Price(cost=_of(create=1), source=_DOC),
            c.CancelCall: Price(cost=_of(cancel=1), source=_DOC),
            c.AmendCall: Price(cost=_of(amend=1), source=_DOC),
            c.LookUpCall: Price(
                cost=_LOOK_UP, requests=_FOUND, triggered_requests=_FOUND, source=f"{_DOC}; three requests at most"
            ),
            c.OpenOrdersCall: Price(
                cost=_of(realtime=1),
                everywhere=_of(realtime=settlements),
                source=f"{_DOC}; pages beyond 50 not counted",
            ),
            c.ClosedOrdersCall: Price(
                cost=together(_of(realtime=1), _of(history=2)), source=f"{_DOC}; of the last week, more before that"
            ),
            c.FillsCall: Price(cost=_of(executions=1), source=_DOC),
            c.PositionsCall: Price(cost=_of(positions=settlements), source=_DOC),
            c.BalancesCall: Price(cost=_of(wallet=1), source=_DOC),
            c.ProbeCall: Price(cost=_of(wallet=1), source=f"{_DOC}; the signed one, a public one costs less"),
            c.AccountCall: Price(
                cost=_account(1),
                sized=tuple((most, _account(most)) for most in (1, 2, 5, 10, 20, 30)),
                source=f"{_DOC}; the wallet, the account, the position of each market, and prices as if they were such",
            ),
            c.LeverageCall: Price(cost=_of(leverage=1), source=_DOC),
            c.MarginModeCall: Price(
                cost=together(_of(settings=1), _of(positions=2), _IP),
                source=f"{_CCXT} says 10/s; half of that {_OURS}; what is held is looked at before",
            ),
            c.PositionModeCall: Price(
                cost=together(_of(settings=1), _of(positions=1), _of(realtime=1)),
                source=f"{_CCXT} says 10/s; half of that {_OURS}; what is open is looked at before",
            ),
            c.DeadManCall: Price(cost=_of(dead_man=1), source=_DOC),
            c.DryCall: Price(cost=(), source="nothing is sent"),
        },
        otherwise=_IP,
        common=frozenset({"ip"}),
        pauses={
            "10006": Pause(wait_s=1.0),
            "10018": Pause(wait_s=600.0, everything=True),
            "10429": Pause(wait_s=1.0, everything=True),
        },
    )


SWAP = _table(orders_per_s=10, settlements=2)

_SPOT = _table(orders_per_s=20, settlements=1)
SPOT = evolve(
    _SPOT,
    prices={
        **_SPOT.prices,
        c.PlaceCall: Price(
            cost=_of(create=1), triggered=together(_of(create=1), _IP), source=f"{_DOC}; the ticker is asked before"
        ),
        c.AmendCall: Price(
            cost=_of(amend=1), triggered=together(_of(amend=1), _IP), source=f"{_DOC}; the ticker is asked before"
        ),
        c.CancelCall: Price(
            cost=_of(cancel=1),
            triggered=_of(cancel=2),
            triggered_requests=(_of(cancel=1),),
            source=f"{_DOC}; first as one that waits, then as one that was set off",
        ),
        c.LookUpCall: Price(
            cost=_LOOK_UP,
            triggered=together(_of(realtime=2), _of(history=2), _of(executions=1)),
            requests=_FOUND,
            triggered_requests=_TRIGGERED_ON_SPOT,
            source=f"{_DOC}; five requests at most",
        ),
        c.AccountCall: Price(cost=_of(wallet=1), source=f"{_DOC}; the wallet"),
        c.OpenOrdersCall: Price(
            cost=_of(realtime=1),
            triggered=_of(realtime=2),
            everywhere=_of(realtime=1),
            everywhere_triggered=_of(realtime=2),
            source=f"{_DOC}; pages beyond 50 not counted",
        ),
    },
)


def usage(path: str, headers: Mapping[str, str]) -> tuple[Usage, ...]:
    """What the headers of an answer tell of its endpoint's limit."""
    budget = _ENDPOINTS.get(path)
    most, left = headers.get("x-bapi-limit", ""), headers.get("x-bapi-limit-status", "")
    if budget is None or not most.isdecimal() or not left.isdecimal() or not int(most):
        return ()
    return (Usage(budget=budget, used=float(max(0, int(most) - int(left))), most=float(most), reset_s=1.0),)
