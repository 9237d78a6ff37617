"""The control interface of a simulated exchange: the hand of a test, or of a person at the desk. JSON over HTTP.

Loopback only and without a password: the exchange is not real. Bad input is answered 400 with one sentence, and changes
nothing. Decimals are strings (numbers are taken too), quantities base coin, a symbol canonical or the exchange's own.
`account` is "main" where it is not named.

Looking
    GET  /truth[?account=]    orders and fills ever, positions, balances, prices; nothing is hidden by a lag
    GET  /requests            the request log, oldest first: call, path, account, client order id, fault, status
    GET  /state               everything as one JSON object, to be loaded by POST /state

Market, the same for all accounts
    POST /price {symbol, price}           move it: triggers go off, resting orders fill, breached margins liquidate
    POST /mark {symbol, price|null}       hold the mark price apart from it; null lets it follow again
    POST /depth {symbol, level_qty|null}  quantity on each level of the book, one tick apart; null: endless
    POST /funding {symbol, rate}          longs pay `rate` of their notional now, shorts receive it
    POST /funding {every_s|null, rates}   the same by the clock, rates by symbol; null switches it off
    POST /suspend {symbol, on}            no orders, fills or triggers; cancels pass

Account
    POST /fill {client_order_id|order_id, qty?, account?}     fill a resting order, or part of it
    POST /cancel {client_order_id|order_id, account?}         cancel it: a person's hand
    POST /deposit {coin, amount, account?}                    negative withdraws
    POST /trade {symbol, side, qty, account?}                 "buy" or "sell" at the market: a person's order
    POST /position {symbol, qty, side?, account?}             make the position `qty`, signed, without order or fill
    POST /mode {hedge|margin_mode|leverage, symbol?, account?}         hedge true or false; "cross" or "isolated"
    POST /account {name}                                      another account on the same market
    GET  /key; POST /key {api_key, secret, password?, account?, permissions?, ips?, revoked?}; DELETE /key/{api_key}
                                          permissions of "read", "trade" (both); ips it may come from ([]: any);
                                          revoked: signed requests are refused as of a key that nobody knows

Exchange
    POST /maintenance {on, message?, begins_in_s?, lasts_s?}
                                          everything but time and status is refused in the exchange's words, from now
                                          on or, announced by Bybit, OKX and Kraken Futures, from then on
    POST /lag {lag_s}                     look-ups tell an order this long after it was placed
    POST /clock {ahead_s}                 the exchange's clock against this machine's; negative: behind
    GET  /limits; POST /limits {on, scale?, ban_s?}           enforce its rate limits, `scale` of them; ban at once
    POST /ban {for_s}                     ban our address, limits enforced or not; 0 lifts it. Whoever goes on asking
                                          is banned for twice as long, where the exchange does so
    POST /walk {every_s|null, ticks?, seed?}                  prices move by themselves, up to `ticks` (3) a step
    GET  /fault; POST /fault {kind, call?, symbol?, count?, params?}; DELETE /fault; DELETE /fault/{id}
                                          break requests; kinds and parameters are in `fault_rules`
    POST /state                           load what GET /state gave, before anything happened here
"""

import attrs
from aiohttp import web

from app.simulator.accounts import Key, permissions
from app.simulator.books import BadBooks
from app.simulator.control_market import MarketControl
from app.simulator.control_shapes import (
    BadInput,
    Handler,
    body_of,
    decimal_of,
    engine_of,
    fill_truth,
    flag_of,
    json_of,
    order_of,
    order_truth,
    positions_truth,
    side_of,
    symbol_of,
    word_of,
    words_of,
)
from app.simulator.engine import MAIN
from app.simulator.fault_rules import Kind
from app.simulator.model import MarginMode, NewOrder, OrderType, Refusal, Side, text
from app.simulator.server import SimulatedExchange

STATE_LIMIT_BYTES = 1 << 30


def control_app(exchange: SimulatedExchange) -> web.Application:
    """The application that controls `exchange`."""
    app = web.Application(middlewares=[_sentences], client_max_size=STATE_LIMIT_BYTES)
    app.add_routes([*Control(exchange).routes(), *MarketControl(exchange).routes()])
    return app


@web.middleware
async def _sentences(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (BadInput, BadBooks, Refusal) as error:
        return json_of({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return json_of({"error": f"{request.method} {request.path}: {error.reason}."}, status=error.status)


class Control:
    """The handlers about accounts and faults, over one exchange."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.get("/truth", self.truth),
            web.get("/requests", self.requests),
            web.get("/state", self.dump),
            web.post("/state", self.load),
            web.post("/fill", self.fill),
            web.post("/cancel", self.cancel),
            web.post("/deposit", self.deposit),
            web.post("/trade", self.trade),
            web.post("/position", self.position),
            web.post("/mode", self.mode),
            web.post("/account", self.add_account),
            web.get("/key", self.list_keys),
            web.post("/key", self.add_key),
            web.delete("/key/{api_key}", self.remove_key),
            web.get("/fault", self.list_faults),
            web.post("/fault", self.add_fault),
            web.delete("/fault", self.clear_faults),
            web.delete("/fault/{id}", self.clear_faults),
        ]

    # ---- looking ----------------------------------------------------------------------------------------------------

    async def truth(self, request: web.Request) -> web.StreamResponse:
        """Every order and fill ever, positions and balances of one account."""
        name = request.query.get("account", MAIN)
        engine = engine_of(self.exchange, name)
        self.exchange.advance()
        return json_of(
            {
                "exchange": self.exchange.name,
                "account": name,
                "accounts": list(self.exchange.venue.accounts),
                "now_ms": self.exchange.clock(),
                "orders": [order_truth(o) for o in engine.all_orders()],
                "fills": [fill_truth(f) for f in engine.fills],
                "positions": positions_truth(engine.positions()),
                "balance": {coin: text(amount) for coin, amount in engine.ledger.balances.items()},
                "prices": {symbol: text(price) for symbol, price in engine.prices.items()},
            }
        )

    async def requests(self, request: web.Request) -> web.StreamResponse:
        """What arrived, oldest first."""
        return json_of([attrs.asdict(entry) for entry in self.exchange.log])

    async def dump(self, request: web.Request) -> web.StreamResponse:
        """Everything."""
        return json_of(self.exchange.dump())

    async def load(self, request: web.Request) -> web.StreamResponse:
        """Everything back."""
        body = await body_of(request, {"version", "market", "accounts", "exchange", "keys", "dialects", "ports"})
        self.exchange.load(body)
        self.exchange.keep_whole()
        return json_of({"orders": sum(len(list(engine_of(self.exchange, a).all_orders())) for a in self._names())})

    def _names(self) -> list[str]:
        return list(self.exchange.venue.accounts)

    # ---- accounts ---------------------------------------------------------------------------------------------------

    async def fill(self, request: web.Request) -> web.StreamResponse:
        """Fill a resting order, or part of it."""
        body = await body_of(request, {"client_order_id", "order_id", "qty", "account"})
        engine, order = order_of(self.exchange, body)
        qty = decimal_of(body, "qty") if body.get("qty") is not None else None
        done = engine.fill(order, self.exchange.clock(), qty=qty)
        self.exchange.keep()
        return json_of(fill_truth(done))

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Cancel an order as a person at the exchange's own screen does."""
        body = await body_of(request, {"client_order_id", "order_id", "account"})
        engine, order = order_of(self.exchange, body)
        engine.cancel(self.exchange.clock(), order_id=order.order_id)
        self.exchange.keep()
        return json_of(order_truth(order))

    async def deposit(self, request: web.Request) -> web.StreamResponse:
        """Change a balance."""
        body = await body_of(request, {"coin", "amount", "account"})
        coin = body.get("coin")
        if not isinstance(coin, str) or not coin.isalnum():
            raise BadInput(f"coin must be a coin's name like USDT, not {coin!r}.")
        ledger = engine_of(self.exchange, body.get("account")).ledger
        ledger.deposit(coin, decimal_of(body, "amount"), self.exchange.clock())
        self.exchange.keep()
        return json_of({"coin": coin, "balance": text(ledger.balances[coin])})

    async def trade(self, request: web.Request) -> web.StreamResponse:
        """Place an order at the market that is nobody's we know."""
        body = await body_of(request, {"symbol", "side", "qty", "account"})
        side = {"buy": Side.BUY, "sell": Side.SELL}.get(word_of(body, "side"))
        if side is None:
            raise BadInput(f"side must be buy or sell, not {body['side']!r}.")
        engine = engine_of(self.exchange, body.get("account"))
        new = NewOrder(
            symbol=symbol_of(self.exchange, body), side=side, type=OrderType.MARKET, qty=decimal_of(body, "qty")
        )
        order = engine.place(new, self.exchange.clock())
        self.exchange.keep()
        return json_of(order_truth(order))

    async def position(self, request: web.Request) -> web.StreamResponse:
        """Make a position what is asked for."""
        body = await body_of(request, {"symbol", "qty", "side", "account"})
        symbol, side = symbol_of(self.exchange, body), side_of(body)
        engine = engine_of(self.exchange, body.get("account"))
        engine.set_position(symbol, decimal_of(body, "qty"), self.exchange.clock(), side)
        self.exchange.keep()
        return json_of({"symbol": symbol, "qty": text(engine.position_of(symbol, side).qty)})

    async def mode(self, request: web.Request) -> web.StreamResponse:
        """Set position mode, margin mode or leverage."""
        body = await body_of(request, {"hedge", "margin_mode", "leverage", "symbol", "account"})
        if len({"hedge", "margin_mode", "leverage"} & set(body)) != 1:
            raise BadInput("Name one of hedge, margin_mode and leverage.")
        engine = engine_of(self.exchange, body.get("account"))
        symbols = [symbol_of(self.exchange, body)] if body.get("symbol") is not None else None
        if "hedge" in body:
            engine.set_hedge_mode(flag_of(body, "hedge"), symbols)
        if "margin_mode" in body:
            if body["margin_mode"] not in set(MarginMode):
                raise BadInput(f"margin_mode must be cross or isolated, not {body['margin_mode']!r}.")
            engine.set_margin_mode(MarginMode(str(body["margin_mode"])), symbols)
        if "leverage" in body:
            for symbol in symbols or [m.symbol for m in engine.markets.values() if not m.is_spot]:
                engine.set_leverage(symbol, decimal_of(body, "leverage"))
        self.exchange.keep()
        ledger = engine.ledger
        return json_of({"hedged": sorted(ledger.hedged), "isolated": sorted(ledger.isolated)})

    async def add_account(self, request: web.Request) -> web.StreamResponse:
        """Open another account."""
        body = await body_of(request, {"name"})
        self.exchange.engine.new_account(word_of(body, "name"))
        self.exchange.keep()
        return json_of({"accounts": self._names()})

    async def list_keys(self, request: web.Request) -> web.StreamResponse:
        """The keys, without their secrets."""
        return json_of(
            [
                {
                    "api_key": k.api_key,
                    "account": k.account,
                    "permissions": sorted(k.permissions),
                    "ips": sorted(k.ips),
                    "revoked": k.revoked,
                }
                for k in self.exchange.keys.values()
            ]
        )

    async def add_key(self, request: web.Request) -> web.StreamResponse:
        """Accept a key, or change what one may do (its secret stays, unless given)."""
        body = await body_of(request, {"api_key", "secret", "password", "account", "permissions", "ips", "revoked"})
        name = word_of(body, "api_key")
        known = self.exchange.keys.get(name)
        first = name == self.exchange.api_key
        if first and {"secret", "password", "account"} & set(body):
            raise BadInput("Of the exchange's first key only permissions, ips and revoked can be changed.")
        try:
            self.exchange.add_key(
                Key(
                    api_key=name,
                    secret=word_of(body, "secret", known.secret if known else None),
                    password=str(body.get("password", known.password if known else "")),
                    account=word_of(body, "account", known.account if known else MAIN),
                    permissions=permissions(words_of(body, "permissions", ["read", "trade"])),
                    ips=frozenset(words_of(body, "ips", [])),
                    revoked=flag_of({"revoked": False, **body}, "revoked"),
                )
            )
        except ValueError as error:
            raise BadInput(str(error)) from error
        self.exchange.keep()
        return await self.list_keys(request)

    async def remove_key(self, request: web.Request) -> web.StreamResponse:
        """Know a key no more."""
        try:
            self.exchange.remove_key(request.match_info["api_key"])
        except ValueError as error:
            raise BadInput(str(error)) from error
        self.exchange.keep()
        return await self.list_keys(request)

    # ---- faults -----------------------------------------------------------------------------------------------------

    async def list_faults(self, request: web.Request) -> web.StreamResponse:
        """The rules with their hits."""
        return json_of([rule.shown() for rule in self.exchange.faults.rules])

    async def add_fault(self, request: web.Request) -> web.StreamResponse:
        """Break something; answers its id."""
        body = await body_of(request, {"kind", "call", "symbol", "count", "params"})
        params = body.get("params") or {}
        if not isinstance(params, dict):
            raise BadInput(f"params must be an object, not {params!r}.")
        count = body.get("count")
        try:
            rule = self.exchange.faults.add(
                str(body.get("kind")),
                call=str(body.get("call") or "*"),
                symbol=symbol_of(self.exchange, body) if body.get("symbol") is not None else None,
                count=count if count is None or isinstance(count, int) else -1,
                params=params,
                now_ms=self.exchange.clock(),
            )
        except ValueError as error:
            raise BadInput(str(error)) from error
        if rule.kind is Kind.STALE:
            self.exchange.freeze(rule.id)
        await self.exchange.apply_port()
        return json_of({"id": rule.id})

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:
        """Mend."""
        raw = request.match_info.get("id")
        if raw is not None and not raw.isdecimal():
            raise BadInput(f"A fault's id is a whole number, not {raw!r}.")
        try:
            gone = self.exchange.faults.clear(int(raw) if raw is not None else None)
        except ValueError as error:
            raise BadInput(str(error)) from error
        await self.exchange.apply_port()
        return json_of({"cleared": gone})
