"""The control interface of a simulated exchange: the truth, the request log, prices, fills, faults; JSON over HTTP.

Loopback only and without a password: it is the hand of a test or of a person at the desk, on an exchange that is not
real. Bad input is answered 400 with one sentence.
"""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation

import attrs
from aiohttp import web

from app.simulator.model import Fill, Order, Refusal, text
from app.simulator.server import SimulatedExchange

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadInput(ValueError):
    """What was sent to the control interface makes no sense; the text is the answer."""


def control_app(exchange: SimulatedExchange) -> web.Application:
    """The application that controls `exchange`."""
    control = Control(exchange)
    app = web.Application(middlewares=[_sentences])
    app.add_routes(
        [
            web.get("/truth", control.truth),
            web.get("/requests", control.requests),
            web.post("/price", control.price),
            web.post("/fill", control.fill),
            web.get("/fault", control.list_faults),
            web.post("/fault", control.add_fault),
            web.delete("/fault", control.clear_faults),
            web.delete("/fault/{id}", control.clear_faults),
            web.post("/deposit", control.deposit),
            web.post("/position", control.position),
        ]
    )
    return app


@web.middleware
async def _sentences(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (BadInput, Refusal) as error:
        return _json({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return _json({"error": f"{request.method} {request.path}: {error.reason}."}, status=error.status)


class Control:
    """The handlers, over one exchange."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.exchange = exchange
        self.engine = exchange.engine

    async def truth(self, request: web.Request) -> web.StreamResponse:
        """GET /truth: every order and fill ever, positions and balances; nothing is hidden by a visibility lag."""
        return _json(
            {
                "exchange": self.exchange.name,
                "now_ms": self.exchange.clock(),
                "orders": [order_truth(o) for o in self.engine.all_orders()],
                "fills": [fill_truth(f) for f in self.engine.fills],
                "positions": {p.symbol: text(p.qty) for p in self.engine.positions()},
                "balance": {coin: text(amount) for coin, amount in self.engine.ledger.balances.items()},
                "prices": {symbol: text(price) for symbol, price in self.engine.prices.items()},
            }
        )

    async def requests(self, request: web.Request) -> web.StreamResponse:
        """GET /requests: what arrived, oldest first."""
        return _json([attrs.asdict(entry) for entry in self.exchange.log])

    async def price(self, request: web.Request) -> web.StreamResponse:
        """POST /price {symbol, price}: move the market; resting orders it reaches fill."""
        body = await _body(request, {"symbol", "price"})
        symbol = self._symbol(body)
        fills = self.engine.move_price(symbol, _decimal(body, "price"), self.exchange.clock())
        return _json({"fills": [fill_truth(f) for f in fills]})

    async def fill(self, request: web.Request) -> web.StreamResponse:
        """POST /fill {client_order_id | order_id, qty?}: fill a resting order, or part of it."""
        body = await _body(request, {"client_order_id", "order_id", "qty"})
        order = self._order(body)
        qty = _decimal(body, "qty") if body.get("qty") is not None else None
        done = self.engine.fill(order, self.exchange.clock(), qty=qty)
        return _json(fill_truth(done))

    async def list_faults(self, request: web.Request) -> web.StreamResponse:
        """GET /fault: the rules with their hits."""
        return _json([rule.shown() for rule in self.exchange.faults.rules])

    async def add_fault(self, request: web.Request) -> web.StreamResponse:
        """POST /fault {kind, call?, symbol?, count?, params?}: break something; answers its id."""
        body = await _body(request, {"kind", "call", "symbol", "count", "params"})
        params = body.get("params") or {}
        if not isinstance(params, dict):
            raise BadInput(f"params must be an object, not {params!r}.")
        count = body.get("count")
        try:
            rule = self.exchange.faults.add(
                str(body.get("kind")),
                call=str(body.get("call") or "*"),
                symbol=self._symbol(body) if body.get("symbol") is not None else None,
                count=count if count is None or isinstance(count, int) else -1,
                params=params,
            )
        except ValueError as error:
            raise BadInput(str(error)) from error
        await self.exchange.apply_refused()
        return _json({"id": rule.id})

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:
        """DELETE /fault and DELETE /fault/{id}: mend."""
        raw = request.match_info.get("id")
        if raw is not None and not raw.isdecimal():
            raise BadInput(f"A fault's id is a whole number, not {raw!r}.")
        try:
            gone = self.exchange.faults.clear(int(raw) if raw is not None else None)
        except ValueError as error:
            raise BadInput(str(error)) from error
        await self.exchange.apply_refused()
        return _json({"cleared": gone})

    async def deposit(self, request: web.Request) -> web.StreamResponse:
        """POST /deposit {coin, amount}: change a balance; negative withdraws."""
        body = await _body(request, {"coin", "amount"})
        coin = body.get("coin")
        if not isinstance(coin, str) or not coin.isalnum():
            raise BadInput(f"coin must be a coin's name like USDT, not {coin!r}.")
        self.engine.ledger.deposit(coin, _decimal(body, "amount"))
        return _json({"coin": coin, "balance": text(self.engine.ledger.balances[coin])})

    async def position(self, request: web.Request) -> web.StreamResponse:
        """POST /position {symbol, qty}: make the net position `qty` base coin, signed: a person's trade."""
        body = await _body(request, {"symbol", "qty"})
        symbol = self._symbol(body)
        self.engine.set_position(symbol, _decimal(body, "qty"), self.exchange.clock())
        return _json({"symbol": symbol, "qty": text(self.engine.ledger.position(symbol).qty)})

    def _symbol(self, body: dict[str, object]) -> str:
        given = body.get("symbol")
        if isinstance(given, str):
            if given in self.engine.markets:
                return given
            if given in self.engine.by_native:
                return self.engine.by_native[given].symbol
        raise BadInput(f"There is no market {given!r}; there are {', '.join(self.engine.markets)}.")

    def _order(self, body: dict[str, object]) -> Order:
        order_id, client_id = body.get("order_id"), body.get("client_order_id")
        if (order_id is None) == (client_id is None):
            raise BadInput("Name the order by either client_order_id or order_id.")
        now_ms = self.exchange.clock() + 10**12  # the control sees what look-ups do not show yet
        found = self.engine.find(
            now_ms,
            order_id=None if order_id is None else str(order_id),
            client_order_id=None if client_id is None else str(client_id),
        )
        if found is None:
            raise BadInput(f"There is no order {order_id if order_id is not None else client_id!r}.")
        return found


def order_truth(order: Order) -> dict[str, object]:
    """An order as the truth tells it: quantities in base coin, decimals as strings."""
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "tif": order.tif.value,
        "qty": text(order.qty),
        "price": _or_none(order.price),
        "trigger_price": _or_none(order.trigger.price) if order.trigger is not None else None,
        "status": order.status.value,
        "close_reason": order.close_reason,
        "filled": text(order.filled),
        "avg_price": _or_none(order.avg_price),
        "reduce_only": order.reduce_only,
        "take_profit": _or_none(order.take_profit),
        "stop_loss": _or_none(order.stop_loss),
        "created_ms": order.created_ms,
        "updated_ms": order.updated_ms,
    }


def fill_truth(fill: Fill) -> dict[str, object]:
    """A fill as the truth tells it."""
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order.order_id,
        "client_order_id": fill.order.client_order_id,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "qty": text(fill.qty),
        "price": text(fill.price),
        "fee": text(fill.fee),
        "ts_ms": fill.ts_ms,
    }


def _or_none(value: Decimal | None) -> str | None:
    return None if value is None else text(value)


async def _body(request: web.Request, allowed: set[str]) -> dict[str, object]:
    try:
        body = json.loads(await request.read(), parse_float=Decimal)
    except ValueError as error:
        raise BadInput(f"The body is no JSON: {error}.") from error
    if not isinstance(body, dict):
        raise BadInput("The body must be a JSON object.")
    if extra := set(body) - allowed:
        raise BadInput(f"{min(extra)!r} is not taken here; {', '.join(sorted(allowed))} are.")
    return body


def _decimal(body: dict[str, object], key: str) -> Decimal:
    raw = body.get(key)
    try:
        value = Decimal(str(raw))
    except InvalidOperation as error:
        raise BadInput(f"{key} must be a number, not {raw!r}.") from error
    if not value.is_finite() or abs(value) > 10**15 or isinstance(raw, bool):
        raise BadInput(f"{key} must be a finite number of sane size, not {raw!r}.")
    return value


def _json(body: object, *, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, dumps=lambda value: json.dumps(value, default=str))
