"""Ways to place an order that a bot's author has, each with the same words for what came of it.

All are given the same time for one request, and three tries where they try again. What they do in between is theirs.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from app.core.order_router import NoExchangeAvailable, OrderOutcomeUnknown, OrderRefused, OrderRouter
from app.exchanges.client import redirected
from benchmarks.contest import CCXT_IDS

REQUEST_TIMEOUT_S: Final = 1.0
TRIES: Final = 3
BETWEEN_S: Final = 0.2
"""From a failure to the next try."""
SYMBOL: Final = "BTC/USDT:USDT"
PRICE: Final = "31000"
"""Of an immediate-or-cancel buy, above the market: it fills."""
RESOLVE_S: Final = 60.0
SETTLED: Final = frozenset({"New", "PartiallyFilled", "Filled", "Cancelled", "Rejected", "Expired", "NotExecuted"})


class Told(StrEnum):
    """What whoever asked believes in the end."""

    DONE = "done"
    """It was placed, once."""
    NOT_DONE = "not done"
    UNKNOWN = "unknown"
    """The call ended, and nobody says which."""


class Way(Protocol):
    """One way, at one exchange."""

    def place(self, qty: str) -> Told:
        """Places one order, and returns when nothing more will be said of it."""
        ...


Opened = Callable[[str, Mapping[str, str], Path], Any]
"""From an exchange, where it is, and a folder to a context manager that gives a `Way`."""


def client_at(exchange: str, facts: Mapping[str, str]) -> Any:
    """ccxt's own blocking client, pointed at the simulated exchange, its markets loaded."""
    import ccxt

    client: Any = getattr(ccxt, CCXT_IDS[exchange])(
        {
            "apiKey": facts["api_key"],
            "secret": facts["secret"],
            "password": facts["password"],
            "timeout": int(1000 * REQUEST_TIMEOUT_S),
            "enableRateLimit": False,
            "options": {"defaultType": "swap", "fetchMarkets": {"types": ["linear"]}},
        }
    )
    client.has["fetchCurrencies"] = False
    client.urls["api"] = redirected(client.urls["api"], facts["base_url"])
    client.load_markets()
    return client


def _create(client: Any, qty: str, params: Mapping[str, Any]) -> Told:
    order = client.create_order(SYMBOL, "limit", "buy", float(qty), float(PRICE), {"timeInForce": "IOC", **params})
    return Told.DONE if order.get("id") else Told.UNKNOWN


class _Loop:
    """ccxt, and a loop that tries again when the network fails."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def place(self, qty: str) -> Told:
        import ccxt

        for _ in range(TRIES):
            try:
                return _create(self._client, qty, {})
            except ccxt.NetworkError:
                threading.Event().wait(BETWEEN_S)
            except ccxt.ExchangeError:
                return Told.NOT_DONE
        return Told.UNKNOWN


class _Tenacious:
    """ccxt in tenacity's decorator; with the same client order id in each try where the author thought of that."""

    def __init__(self, client: Any, *, same_id: bool) -> None:
        self._client = client
        self._same_id = same_id

    def place(self, qty: str) -> Told:
        import ccxt
        import tenacity

        params = {"clientOrderId": uuid.uuid4().hex} if self._same_id else {}
        again = tenacity.retry(
            stop=tenacity.stop_after_attempt(TRIES),
            wait=tenacity.wait_exponential(multiplier=BETWEEN_S),
            retry=tenacity.retry_if_exception_type(ccxt.NetworkError),
            reraise=True,
        )
        try:
            return Told(again(_create)(self._client, qty, params))
        except ccxt.NetworkError:
            return Told.UNKNOWN
        except ccxt.ExchangeError:
            return Told.NOT_DONE


class _CcxtRouter:
    """`ccxt.OrderRouter.execute` of a plan with one step, which it may try again where it dares."""

    def __init__(self, exchange: str, client: Any) -> None:
        import ccxt

        self._exchange, self._client = exchange, client
        self._router = ccxt.OrderRouter({"venues": {exchange: client}})

    def place(self, qty: str) -> Told:
        step = {
            "stepIndex": 0,
            "exchangeId": self._exchange,
            "symbol": SYMBOL,
            "side": "buy",
            "base": "BTC",
            "quote": "USDT",
            "amount": float(qty),
            "expectedPrice": float(PRICE),
            "limitPrice": float(PRICE),
            "notionalQuote": float(qty) * float(PRICE),
        }
        plan = {"requestId": uuid.uuid4().hex, "fullyFillable": True, "steps": [step]}
        options = {"retryFailedSteps": TRIES - 1, "retryDelayMs": int(1000 * BETWEEN_S)}
        (result,) = self._router.execute(plan, None, options)["steps"]
        return {"filled": Told.DONE, "failed": Told.NOT_DONE}.get(result["status"], Told.UNKNOWN)


class _Router:
    """This project: `place_order`, and `get_order` where it says that nobody can know yet."""

    def __init__(self, router: OrderRouter) -> None:
        self._router = router

    def place(self, qty: str) -> Told:
        try:
            status = self._router.place_order("BTCUSDT", "Buy", "Limit", qty, PRICE, "ImmediateOrCancel")["orderStatus"]
        except OrderOutcomeUnknown as unknown:
            status = self._resolved(unknown.order_id)
        except (NoExchangeAvailable, OrderRefused):
            return Told.NOT_DONE
        if status not in SETTLED:
            return Told.UNKNOWN
        return Told.NOT_DONE if status in ("NotExecuted", "Rejected") else Told.DONE

    def _resolved(self, order_id: str) -> str:
        end_s, pause = time.monotonic() + RESOLVE_S, threading.Event()
        while True:
            status = self._router.get_order(order_id)["orderStatus"]
            if status in SETTLED or time.monotonic() > end_s:
                return status
            pause.wait(0.05)


@contextmanager
def _loop(exchange: str, facts: Mapping[str, str], _: Path) -> Iterator[Way]:
    yield _Loop(client_at(exchange, facts))


@contextmanager
def _tenacious(exchange: str, facts: Mapping[str, str], _: Path) -> Iterator[Way]:
    yield _Tenacious(client_at(exchange, facts), same_id=False)


@contextmanager
def _tenacious_with_id(exchange: str, facts: Mapping[str, str], _: Path) -> Iterator[Way]:
    yield _Tenacious(client_at(exchange, facts), same_id=True)


@contextmanager
def _ccxt_router(exchange: str, facts: Mapping[str, str], _: Path) -> Iterator[Way]:
    yield _CcxtRouter(exchange, client_at(exchange, facts))


@contextmanager
def _router(exchange: str, facts: Mapping[str, str], folder: Path) -> Iterator[Way]:
    table: dict[str, Any] = {key: facts[key] for key in ("base_url", "api_key", "secret", "password") if facts[key]}
    config = {
        "router": {
            "primary_exchange": exchange,
            "failover_exchanges": [],
            "request_timeout_s": REQUEST_TIMEOUT_S,
            "auto_failover": False,
        },
        "exchanges": {exchange: {**table, "rate_limit_per_s": 100}},
    }
    with OrderRouter(config=config, state_dir=folder / "state") as router:
        end_s, pause = time.monotonic() + RESOLVE_S, threading.Event()
        while router.get_status()["status"] != "ready" and time.monotonic() < end_s:
            pause.wait(0.05)
        yield _Router(router)


WAYS: Mapping[str, Opened] = {
    "ccxt, tried again in a loop": _loop,
    "ccxt in tenacity": _tenacious,
    "ccxt in tenacity, one client order id": _tenacious_with_id,
    "`ccxt.OrderRouter`": _ccxt_router,
    "this router": _router,
}
"""As the page calls them."""
