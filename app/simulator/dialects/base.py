"""What every exchange dialect is: routes, a gateway check, handlers over the engine, native errors.

A dialect is pure request → answer: no sockets, no waiting, no clock (`now_ms` comes with the call). The server asks it,
in this order, and puts the faults between the steps:

1. `match(request)`    which route, hence which *call*; an unknown path gets the exchange's own 404.
2. `admit(request, route, now_ms)`    the gateway: key, signature, timestamp, expiry, on ARRIVAL. An `Answer` refuses.
3. `execute(request, route, now_ms, …)`    the handler, maybe later than arrival (fault `late`) or twice (`double`).
   Engines that enforce an expiry themselves look at it again here, with the `now_ms` of the execution.

To write a dialect: subclass `Dialect`, fill the class attributes and `refusals`, implement the abstract methods, give
handlers as methods `(self, ctx: Context) -> Answer` listed in `routes()`, and add the class to `dialects/__init__.py`.
Helpers for JSON answers, numbers and signatures are in `wire`.
A handler refuses by raising `NativeError`; a `Refusal` that the engine raises inside a handler is turned into one by
`refusals`. Handlers convert contracts to base coin and back; the engine knows base coin only.

An instance serves one API key, over the engine of the key's account (`engine`); prices, book, funding and halts, which
accounts share, are on `engine.venue`. What a handler finds there:

- Spot: a `MarketSpec` of kind SPOT; `engine.venue.native(name, kind)` where both kinds share names; `NewOrder.cost` for
  a market order to buy by its cost; `ledger.balances`, `locked`, `free_of`. `Fill.fee_coin` may be the base coin.
- Triggers: `NewOrder.trigger`, amended by `amend(trigger_price=…)`; `Order.is_waiting_trigger` tells algo orders from
  ordinary ones, `triggered_ms` when one was set off. It keeps its id: a dialect whose exchange gives it a new one
  derives that from `Order.seq`. Attached levels: `NewOrder.take_profit`, `stop_loss`, `attach`; what they become is
  `children`, told by `Order.role` and `parent_id`. A client's OCO: `place_oco`. Of a position: `set_position_levels`,
  `levels`.
- Margin: `set_leverage`, `set_margin_mode`, `set_hedge_mode` (each False if it was so already: some exchanges refuse
  that), `add_margin`, `ledger.mode`, `ledger.maintenance`, `liquidation_price`. Hedge mode: `NewOrder.position_side`.
- Dead-man switch: `arm_dead_man`, with its scope in `EngineRules.dead_man`. Pages: `store.page`.
- The gateway's refusals: `troubles`; limits: `limits`, `limit_headers`; a maintenance to announce: `venue.maintenance`.
- What a dialect remembers itself must be in `state`, or a restart and a stale copy lose it.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar
from urllib.parse import parse_qsl

from attrs import define, field, frozen

from app.simulator.calls import Call as Call
from app.simulator.calls import Trouble
from app.simulator.dialects.wire import Answer, BadNumber, flat
from app.simulator.engine import Engine
from app.simulator.limits import LimitRules, Verdict
from app.simulator.model import NewOrder, Order, Reason, Refusal
from app.simulator.spec import EngineRules, MarketSpec

LATENESS_BOUND_S = 2.0
"""Where only the gateway enforces an expiry (bybit, okx), an admitted order may still execute this long after it."""


@frozen(kw_only=True)
class Credentials:
    """What a client signs with. `password` is empty where the exchange has none."""

    api_key: str
    secret: str = field(repr=False)
    password: str = field(default="", repr=False)


@define(kw_only=True)
class Request:
    """One HTTP request as it arrived.

    Attributes:
        method: upper case. path: undecoded, without the query. raw_query: undecoded, without "?"; "" if none.
        headers: names in LOWER case. body: raw bytes. arrived_ms: Unix ms.
    """

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    arrived_ms: int
    _params: dict[str, str] | None = None
    _json: object = None

    @property
    def query(self) -> dict[str, str]:
        """Decoded query parameters; of a repeated one the last."""
        return dict(parse_qsl(self.raw_query, keep_blank_values=True))

    @property
    def json(self) -> object:
        """The parsed JSON body, or None if it is empty or no JSON. Numbers with a point come as Decimal."""
        if self._json is None and self.body[:1] in (b"{", b"["):
            try:
                self._json = json.loads(self.body, parse_float=Decimal)
            except ValueError:
                self._json = None
        return self._json

    @property
    def params(self) -> dict[str, str]:
        """Query and body parameters together, as strings.

        The body may be a form or a JSON object, or a JSON array, of which the first object counts (a batch of one).
        JSON booleans become "true"/"false", null is left out, nested values stay reachable through `json`.
        """
        if self._params is None:
            merged = self.query
            body = self.json
            if isinstance(body, list):
                body = body[0] if body else None
            if isinstance(body, dict):
                merged.update(flat(body))
            elif body is None and self.body and b"=" in self.body:
                merged.update(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))
            self._params = merged
        return self._params


class NativeError(Exception):
    """A refusal in the exchange's own code and words; raised by a handler, answered through `error_answer`.

    `data` is for exchanges whose refusals carry more (okx: the per-order item).
    """

    def __init__(self, code: str | int, words: str, *, status: int | None = None, data: object = None) -> None:
        super().__init__(f"{code} {words}")
        self.code = code
        self.words = words
        self.status = status
        self.data = data


@frozen(kw_only=True)
class Context:
    """One execution of a handler.

    Attributes:
        request, params: the request and its merged parameters. path_args: what a "{name}" of the route's path held.
        now_ms: the time of the execution, which a fault may have put after `request.arrived_ms`.
        allow_duplicate, visible_from_ms: hand on to `Engine.place` (`Dialect.place` does); set by faults.
    """

    request: Request
    params: Mapping[str, str]
    path_args: Mapping[str, str]
    now_ms: int
    allow_duplicate: bool = False
    visible_from_ms: int = 0


@frozen(kw_only=True)
class Route:
    """One endpoint. `path` is exact or has "{name}" segments; `private` routes pass `authenticate` first."""

    method: str
    path: str
    call: Call
    handler: Callable[[Context], Answer]
    private: bool = True


@frozen(kw_only=True)
class Matched:
    """A route found for a request, with what its "{name}" segments held."""

    route: Route
    path_args: Mapping[str, str]


class Dialect(ABC):
    """Base of the dialects. One instance serves one simulated exchange, over its engine."""

    name: ClassVar[str]
    """Registry name: "bybit", "okx", "binance", "kraken"."""
    ccxt_id: ClassVar[str]
    """Class of ccxt.async_support that trades on it: "bybit", "okx", "binanceusdm", "krakenfutures"."""
    engine_enforces_expiry: ClassVar[bool] = False
    """True where the matching engine itself refuses an order past its expiry (binance, kraken)."""
    default_credentials: ClassVar[Credentials]
    """Used when the caller names none. Kraken Futures needs a base64 secret."""
    refusals: ClassVar[Mapping[Reason, tuple[str | int, str]]]
    """Native code and words for every engine refusal; `refusal_error` may be overridden for finer ones."""
    troubles: ClassVar[Mapping[Trouble, tuple[str | int, str, int]]]
    """Native code, words, HTTP status of what the gateway refuses; "{until}" in the words is the end of a ban, ms."""
    limits: ClassVar[LimitRules | None] = None
    """The exchange's rate limits, enforced when somebody switches them on."""

    tells_usage: ClassVar[bool] = False
    """True where every answer's headers tell how much of the limits is used, whether they are enforced or not."""

    def __init__(self, engine: Engine, credentials: Credentials) -> None:
        self.engine = engine
        self.credentials = credentials
        self._exact: dict[tuple[str, str], Route] = {}
        self._patterns: list[tuple[str, list[str], Route]] = []
        for route in self.routes():
            if "{" in route.path:
                self._patterns.append((route.method, route.path.split("/"), route))
            else:
                self._exact[route.method, route.path] = route

    # ---- to implement -----------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def markets(cls) -> Sequence[MarketSpec]:
        """The markets, in its own steps: BTC 27000, ETH 1800, SOL 30, XRP 0.5; of perpetuals ADA 0.25 too."""

    @classmethod
    @abstractmethod
    def rules(cls) -> EngineRules:
        """Ids, fees, settlement coin and the points in which its engine differs."""

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """Every endpoint served. Called once, from `__init__`, after `engine` and `credentials` are set."""

    @abstractmethod
    def authenticate(self, request: Request, now_ms: int) -> None:
        """The gateway's checks of a private request: key, signature, timestamp, expiry. Raises NativeError."""

    @abstractmethod
    def expiry_ms(self, request: Request) -> int | None:
        """Unix ms after which this exchange no longer executes the request, or None if it carries no such thing.

        Binance: timestamp + recvWindow. Kraken Futures: processBefore. Bybit: timestamp + recv window. OKX: expTime,
        and 30 s after OK-ACCESS-TIMESTAMP. Used by the `late` fault, and by `place` where `engine_enforces_expiry`.
        """

    @abstractmethod
    def error_answer(self, error: NativeError, request: Request, now_ms: int) -> Answer:
        """The body and HTTP status in which this exchange words `error`."""

    @abstractmethod
    def unknown_path(self, request: Request) -> Answer:
        """The answer to a path that is not served."""

    def native_symbol_of(self, request: Request) -> str | None:
        """The exchange's name of the market a request is about, for fault rules; None if it names none."""
        return request.params.get("symbol")

    @abstractmethod
    def client_order_id_of(self, request: Request) -> str | None:
        """The client order id that a request carries, for the request log; None if it carries none."""

    @abstractmethod
    def key_of(self, request: Request) -> str | None:
        """The API key that a request names, whether it is known or not; None if it names none."""

    def limit_headers(self, verdict: Verdict, now_ms: int) -> Mapping[str, str]:
        """Headers in which this exchange tells how much of its limits is used; none unless overridden."""
        return {}

    def state(self) -> dict[str, object]:
        """What the dialect remembers besides the engine's books, as JSON; nothing unless overridden."""
        return {}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take over what `state` told. Raises ValueError for what it never tells."""
        if state:
            raise ValueError(f"{self.name} remembers nothing of {', '.join(state)}.")

    # ---- what the server calls --------------------------------------------------------------------------------------

    def match(self, request: Request) -> Matched | None:
        """The route of a request, or None."""
        exact = self._exact.get((request.method, request.path))
        if exact is not None:
            return Matched(route=exact, path_args={})
        parts = request.path.split("/")
        for method, pattern, route in self._patterns:
            if method == request.method and len(pattern) == len(parts):
                args = {p[1:-1]: got for p, got in zip(pattern, parts, strict=True) if p.startswith("{")}
                if all(p.startswith("{") or p == got for p, got in zip(pattern, parts, strict=True)):
                    return Matched(route=route, path_args=args)
        return None

    def symbol_of(self, request: Request, matched: Matched) -> str | None:
        """Canonical symbol a request is about, or None."""
        native = matched.path_args.get("symbol") or self.native_symbol_of(request)
        market = self.engine.by_native.get(native) if native else None
        return market.symbol if market is not None else None

    def admit(self, request: Request, matched: Matched, now_ms: int) -> Answer | None:
        """The gateway's answer if it refuses the request on arrival, else None."""
        if matched.route.private:
            try:
                self.authenticate(request, now_ms)
            except NativeError as error:
                return self.error_answer(error, request, now_ms)
        return None

    def execute(
        self,
        request: Request,
        matched: Matched,
        now_ms: int,
        *,
        allow_duplicate: bool = False,
        visible_from_ms: int = 0,
    ) -> Answer:
        """Run the handler; engine refusals and native errors become the exchange's own answers."""
        ctx = Context(
            request=request,
            params=request.params,
            path_args=matched.path_args,
            now_ms=now_ms,
            allow_duplicate=allow_duplicate,
            visible_from_ms=visible_from_ms,
        )
        try:
            return matched.route.handler(ctx)
        except Refusal as refusal:
            return self.error_answer(self.refusal_error(refusal, ctx), request, now_ms)
        except NativeError as error:
            return self.error_answer(error, request, now_ms)
        except BadNumber as error:
            return self.error_answer(self.bad_number(error, ctx), request, now_ms)

    def trouble_answer(self, trouble: Trouble, request: Request, now_ms: int, *, until_ms: int = 0) -> Answer:
        """The gateway's answer to a request that it turns away."""
        code, words, status = self.troubles[trouble]
        native = NativeError(code, words.replace("{until}", str(until_ms)), status=status)
        return self.error_answer(native, request, now_ms)

    # ---- helpers for handlers ---------------------------------------------------------------------------------------

    def refusal_error(self, refusal: Refusal, ctx: Context) -> NativeError:
        """The native error of an engine refusal, from `refusals`."""
        code, words = self.refusals[refusal.reason]
        return NativeError(code, words)

    def bad_number(self, error: BadNumber, ctx: Context) -> NativeError:
        """The native error of a parameter that is no number; worded as a bad quantity unless overridden."""
        code, words = self.refusals[Reason.BAD_QTY]
        return NativeError(code, words)

    def place(self, ctx: Context, new: NewOrder) -> Order:
        """Place on the engine with what the context carries, and with the expiry where the engine enforces one."""
        return self.engine.place(
            new,
            ctx.now_ms,
            expires_ms=self.expiry_ms(ctx.request) if self.engine_enforces_expiry else None,
            allow_duplicate=ctx.allow_duplicate,
            visible_from_ms=ctx.visible_from_ms,
        )

    def market_of(self, native: str | None) -> MarketSpec:
        """The market of a native name. Raises Refusal(UNKNOWN_SYMBOL), which `refusals` words."""
        market = self.engine.by_native.get(native or "")
        if market is None:
            raise Refusal(Reason.UNKNOWN_SYMBOL, f"There is no market {native!r}.")
        return market
