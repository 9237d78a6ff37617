"""Kraken spot (ccxt `kraken`): gateway, pairs and error words. Futures are another host and account, in `kraken`.

Source of the rules: docs.kraken.com, Spot REST API. What a client must reckon with here:

- Everything is answered with HTTP 200; a refusal is a word in `error` ("EOrder:Insufficient funds").
- Each request carries a `nonce` above every one of the key before it: requests that overtake each other are refused.
- A client order id (`cl_ord_id`) is unique among OPEN orders only; the id of a filled order may be used again.
- `deadline` is looked at on arrival and again by the matching engine ("EService:Deadline elapsed").
- Cancelling an order that is filled or cancelled is "EOrder:Unknown order".
- `CancelAll` and the countdown are over the whole account, whatever the pair.
- Fees are taken in the quote coin, unless asked otherwise (which is not simulated).

The endpoints: `kraken_spot_orders`, `kraken_spot_history`, `kraken_spot_account` (with market data).
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from app.simulator.calls import Call, Trouble
from app.simulator.dialects.base import Context, Credentials, Dialect, NativeError, Request, Route
from app.simulator.dialects.kraken_spot_account import AccountApi
from app.simulator.dialects.kraken_spot_bodies import txid
from app.simulator.dialects.kraken_spot_history import HistoryApi
from app.simulator.dialects.kraken_spot_orders import OrdersApi
from app.simulator.dialects.kraken_spot_params import (
    FURTHEST_DEADLINE_MS,
    NEAREST_DEADLINE_MS,
    altname,
    asset,
    deadline_ms,
    invalid,
    wsname,
)
from app.simulator.dialects.wire import Answer, BadNumber, hmac_bytes, int_or_none, json_answer, same
from app.simulator.engine import Engine
from app.simulator.limits import Limit, LimitRules
from app.simulator.model import Reason, Refusal
from app.simulator.spec import DeadManRules, EngineRules, MarketKind, MarketSpec, level_of

_PRICES = {"BTC": "27000", "ETH": "1800", "SOL": "30", "XRP": "0.5"}
_STEPS = {
    "BTC": ("0.1", "0.00005"),
    "ETH": ("0.01", "0.001"),
    "SOL": ("0.01", "0.02"),
    "XRP": ("0.00001", "2"),
}
"""Coin → (tick, least quantity); quantities have eight decimals everywhere."""


def _market(base: str, quote: str) -> MarketSpec:
    tick, least = _STEPS[base]
    plain = quote == "USDT" or base == "SOL"
    native = f"{'XBT' if base == 'BTC' else base}{quote}" if plain else asset(base) + asset(quote)
    return MarketSpec(
        symbol=f"{base}/{quote}",
        native=native,
        base=base,
        settle=quote,
        price=Decimal(_PRICES[base]),
        tick=Decimal(tick),
        step=Decimal("0.00000001"),
        min_qty=Decimal(least),
        max_qty=Decimal(100_000_000),
        min_notional=Decimal("0.5"),
        kind=MarketKind.SPOT,
        level_qty=level_of(_PRICES[base], "0.001"),
    )


class KrakenSpot(Dialect):
    """Kraken spot, without margin."""

    name = "kraken_spot"
    ccxt_id = "kraken"
    engine_enforces_expiry = True
    default_credentials = Credentials(
        api_key="sim-kraken-spot-key", secret=base64.b64encode(b"sim-kraken-spot-secret").decode("ascii")
    )
    refusals: ClassVar = {
        Reason.UNKNOWN_SYMBOL: ("EQuery:Unknown asset pair", ""),
        Reason.BAD_QTY: ("EGeneral:Invalid arguments:volume", ""),
        Reason.QTY_OFF_STEP: ("EGeneral:Invalid arguments:volume", ""),
        Reason.QTY_TOO_SMALL: ("EGeneral:Invalid arguments:volume minimum not met", ""),
        Reason.QTY_TOO_LARGE: ("EGeneral:Invalid arguments:volume", ""),
        Reason.BAD_PRICE: ("EGeneral:Invalid arguments:price", ""),
        Reason.PRICE_OFF_TICK: ("EOrder:Tick size check failed", ""),
        Reason.NOTIONAL_TOO_SMALL: ("EOrder:Cost minimum not met", ""),
        Reason.BAD_TAKE_PROFIT: ("EGeneral:Invalid arguments:close[price]", ""),
        Reason.BAD_STOP_LOSS: ("EGeneral:Invalid arguments:close[price]", ""),
        Reason.WOULD_TRIGGER: ("EOrder:Invalid price", ""),
        Reason.DUPLICATE_CLIENT_ID: ("EGeneral:Invalid arguments:cl_ord_id not unique", ""),
        Reason.UNKNOWN_ORDER: ("EOrder:Unknown order", ""),
        Reason.ORDER_CLOSED: ("EOrder:Unknown order", ""),
        Reason.REDUCE_ONLY: ("EGeneral:Invalid arguments:reduce_only", ""),
        Reason.INSUFFICIENT_MARGIN: ("EOrder:Insufficient funds", ""),
        Reason.POST_ONLY_WOULD_CROSS: ("EOrder:Post only order", ""),
        Reason.WOULD_NOT_FILL: ("EOrder:Invalid order", ""),
        Reason.NOTHING_TO_AMEND: ("EGeneral:Invalid arguments", ""),
        Reason.BAD_LEVERAGE: ("EGeneral:Invalid arguments:leverage", ""),
        Reason.EXPIRED: ("EService:Deadline elapsed", ""),
        Reason.ENGINE_FULL: ("EOrder:Orders limit exceeded", ""),
        Reason.TOO_MANY_ORDERS: ("EOrder:Orders limit exceeded", ""),
        Reason.SUSPENDED: ("EService:Market in cancel_only mode", ""),
        Reason.INSUFFICIENT_BALANCE: ("EOrder:Insufficient funds", ""),
        Reason.REDUCE_ONLY_ON_SPOT: ("EGeneral:Invalid arguments:reduce_only", ""),
        Reason.BAD_TRIGGER: ("EOrder:Invalid price", ""),
        Reason.WRONG_POSITION_SIDE: ("EGeneral:Invalid arguments", ""),
        Reason.MODE_IN_USE: ("EGeneral:Invalid arguments", ""),
        Reason.MARGIN_MODE_IN_USE: ("EGeneral:Invalid arguments", ""),
        Reason.NO_POSITION: ("EOrder:Unknown position", ""),
        Reason.UNSUPPORTED: ("EGeneral:Invalid arguments", ""),
    }
    troubles: ClassVar = {
        Trouble.NO_PERMISSION: ("EGeneral:Permission denied", "", 200),
        Trouble.IP_NOT_ALLOWED: ("EGeneral:Permission denied", "", 200),
        Trouble.RATE_LIMIT: ("EAPI:Rate limit exceeded", "", 200),
        Trouble.BANNED: ("EGeneral:Temporary lockout", "", 200),
        Trouble.MAINTENANCE: ("EService:Unavailable", "", 200),
        Trouble.BUSY: ("EService:Busy", "", 200),
        Trouble.TIMEOUT_UNKNOWN: ("EService:Timeout", "", 200),
        Trouble.AUTH: ("EAPI:Invalid signature", "", 200),
        Trouble.CLOCK: ("EAPI:Invalid nonce", "", 200),
    }
    limits = LimitRules(
        limits=(
            Limit(
                name="api",
                window_ms=60_000,
                most=50,
                per_key=True,
                calls=frozenset({Call.BALANCE, Call.OPEN_ORDERS, Call.ORDER, Call.CLOSED_ORDERS, Call.FILLS}),
                weights={Call.CLOSED_ORDERS: 2, Call.FILLS: 2},
            ),
            Limit(
                name="trading",
                window_ms=60_000,
                most=265,
                per_key=True,
                calls=frozenset({Call.PLACE, Call.AMEND, Call.CANCEL, Call.CANCEL_ALL}),
            ),
        ),
        ban_after=20,
        ban_ms=900_000,
    )
    """An intermediate account: 20 points that come back at 0.5 a second, and 125 at 2.34, over a minute; going on after
    refusals is a lockout of fifteen minutes. The exchange's counters decay steadily, these end with their window."""

    def __init__(self, engine: Engine, credentials: Credentials) -> None:
        try:
            self._secret = base64.b64decode(credentials.secret, validate=True)
        except binascii.Error as error:
            raise ValueError("The secret of Kraken must be base64; the one given is not.") from error
        self._nonce = 0
        super().__init__(engine, credentials)
        self._names = {n: m for m in engine.markets.values() for n in (m.native, altname(m), wsname(m))}

    @classmethod
    def markets(cls) -> Sequence[MarketSpec]:
        """BTC (XBT), ETH, SOL and XRP, in USD and in USDT."""
        return [_market(base, quote) for base in _STEPS for quote in ("USD", "USDT")]

    @classmethod
    def rules(cls) -> EngineRules:
        """Ids like OAAAAA-AAAAA-AAAAAB; client ids unique among open orders; one countdown over the account."""
        return EngineRules(
            settle="USD",
            client_id_scope="open",
            order_id=lambda n: txid("O", n),
            trade_id=lambda n: txid("T", n),
            spot_taker_fee=Decimal("0.0040"),
            spot_maker_fee=Decimal("0.0025"),
            spot_fee_in="quote",
            initial_coins={"USDT": Decimal(100_000), "BTC": Decimal(1), "ETH": Decimal(10), "SOL": Decimal(100)},
            max_open_orders=80,
            dead_man=DeadManRules(min_ms=1_000),
        )

    def routes(self) -> Sequence[Route]:
        """The public and the private methods."""
        return [*AccountApi(self).routes(), *OrdersApi(self).routes(), *HistoryApi(self).routes()]

    def state(self) -> dict[str, object]:
        """The last nonce of the key."""
        return {"nonce": self._nonce}

    def restore(self, state: Mapping[str, object]) -> None:
        """The same."""
        nonce = state.get("nonce", 0)
        if not isinstance(nonce, int):
            raise ValueError(f"A nonce is a whole number, not {nonce!r}.")
        self._nonce = nonce

    # ---- gateway ----------------------------------------------------------------------------------------------------

    def key_of(self, request: Request) -> str | None:
        """API-Key."""
        return request.headers.get("api-key")

    def authenticate(self, request: Request, now_ms: int) -> None:
        """Key, signature, nonce; then the deadline."""
        if not same(request.headers.get("api-key", ""), self.credentials.api_key):
            raise NativeError("EAPI:Invalid key", "")
        raw_nonce = request.params.get("nonce", "")
        nonce = int_or_none(raw_nonce)
        body = request.body.decode("utf-8", "replace")
        digest = hashlib.sha256((raw_nonce + body).encode()).digest()
        expected = hmac_bytes(self._secret, request.path.encode() + digest, "sha512")
        if not same(request.headers.get("api-sign", ""), base64.b64encode(expected).decode("ascii")):
            raise NativeError("EAPI:Invalid signature", "")
        if nonce is None or nonce <= self._nonce:
            raise NativeError("EAPI:Invalid nonce", "")
        self._nonce = nonce
        due_ms = deadline_ms(request)
        if due_ms is None:
            return
        if due_ms <= now_ms:
            raise NativeError("EService:Deadline elapsed", "")
        if not NEAREST_DEADLINE_MS <= due_ms - now_ms <= FURTHEST_DEADLINE_MS:
            raise invalid("deadline")

    def expiry_ms(self, request: Request) -> int | None:
        """`deadline`."""
        return deadline_ms(request)

    def error_answer(self, error: NativeError, request: Request, now_ms: int) -> Answer:
        """{"error": […]}, with HTTP 200."""
        return json_answer({"error": [str(error.code)]}, status=error.status or 200)

    def unknown_path(self, request: Request) -> Answer:
        """EGeneral:Unknown method."""
        return json_answer({"error": ["EGeneral:Unknown method"]})

    def native_symbol_of(self, request: Request) -> str | None:
        """The pair's own name, whichever of its names was given."""
        market = self._names.get(request.params.get("pair", ""))
        return market.native if market is not None else None

    def client_order_id_of(self, request: Request) -> str | None:
        """`cl_ord_id`."""
        return request.params.get("cl_ord_id")

    def bad_number(self, error: BadNumber, ctx: Context) -> NativeError:
        """A parameter that is no number makes the request invalid."""
        return NativeError("EGeneral:Invalid arguments", "")

    def market_of(self, native: str | None) -> MarketSpec:
        """The market of any of a pair's three names."""
        found = self._names.get(native or "")
        if found is None:
            raise Refusal(Reason.UNKNOWN_SYMBOL, f"There is no pair {native!r}.")
        return found
