"""The control of what all accounts share: prices, depth, funding, halts, clock, limits. Documented in `control`."""

from aiohttp import web

from app.simulator.control_shapes import (
    BadInput,
    body_of,
    decimal_of,
    decimal_or_null,
    fill_truth,
    flag_of,
    json_of,
    ms_of,
    symbol_of,
    word_of,
)
from app.simulator.limits import ENDLESS, RateLimits
from app.simulator.server import SimulatedExchange
from app.simulator.venue import Maintenance


class MarketControl:
    """The handlers, over one exchange."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self.exchange = exchange
        self.venue = exchange.venue

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.post("/price", self.price),
            web.post("/mark", self.mark),
            web.post("/depth", self.depth),
            web.post("/funding", self.funding),
            web.post("/suspend", self.suspend),
            web.post("/maintenance", self.maintenance),
            web.post("/lag", self.lag),
            web.post("/clock", self.clock),
            web.get("/limits", self.show_limits),
            web.post("/limits", self.set_limits),
            web.post("/ban", self.ban),
            web.post("/walk", self.walk),
        ]

    async def price(self, request: web.Request) -> web.StreamResponse:
        """Move the market."""
        body = await body_of(request, {"symbol", "price"})
        symbol = symbol_of(self.exchange, body)
        self.exchange.advance()
        fills = self.venue.move_price(symbol, decimal_of(body, "price"), self.exchange.clock())
        self.exchange.keep()
        return json_of({"fills": [fill_truth(f) for f in fills]})

    async def mark(self, request: web.Request) -> web.StreamResponse:
        """Hold the mark price apart, or let it follow."""
        body = await body_of(request, {"symbol", "price"})
        symbol = symbol_of(self.exchange, body)
        fills = self.venue.pin_mark(symbol, decimal_or_null(body, "price"), self.exchange.clock())
        self.exchange.keep()
        return json_of({"fills": [fill_truth(f) for f in fills]})

    async def depth(self, request: web.Request) -> web.StreamResponse:
        """Quantity on each level of the book."""
        body = await body_of(request, {"symbol", "level_qty"})
        symbol = symbol_of(self.exchange, body)
        self.venue.set_depth(symbol, decimal_or_null(body, "level_qty"))
        self.exchange.keep()
        return json_of({"symbol": symbol, "level_qty": body.get("level_qty")})

    async def funding(self, request: web.Request) -> web.StreamResponse:
        """Pay funding now, or by the clock."""
        body = await body_of(request, {"symbol", "rate", "every_s", "rates"})
        now_ms = self.exchange.clock()
        if "every_s" in body:
            raw = body.get("rates") or {}
            if not isinstance(raw, dict):
                raise BadInput(f"rates must be an object of rates by symbol, not {raw!r}.")
            every_ms = None if body["every_s"] is None else ms_of(body, "every_s", least=1)
            rates = {symbol_of(self.exchange, {"symbol": s}): decimal_of(raw, s) for s in raw}
            self.venue.set_funding(every_ms, rates, now_ms)
        else:
            self.venue.fund(symbol_of(self.exchange, body), decimal_of(body, "rate"), now_ms)
        self.exchange.keep()
        return json_of({"next_ms": self.venue.funding.next_ms})

    async def suspend(self, request: web.Request) -> web.StreamResponse:
        """Halt a market, or open it again."""
        body = await body_of(request, {"symbol", "on"})
        self.venue.suspend(symbol_of(self.exchange, body), flag_of(body, "on"), self.exchange.clock())
        self.exchange.keep()
        return json_of({"suspended": sorted(self.venue.suspended)})

    async def maintenance(self, request: web.Request) -> web.StreamResponse:
        """Begin or announce a maintenance, or end it."""
        body = await body_of(request, {"on", "message", "begins_in_s", "lasts_s"})
        words, down = word_of(body, "message", "System maintenance"), None
        if flag_of(body, "on"):
            begin_ms = self.exchange.clock() + ms_of({"begins_in_s": 0, **body}, "begins_in_s")
            end_ms = None if body.get("lasts_s") is None else begin_ms + ms_of(body, "lasts_s")
            down = Maintenance(words=words, begin_ms=begin_ms, end_ms=end_ms)
        self.venue.maintenance = down
        self.exchange.keep()
        return json_of(
            {
                "maintenance": None if down is None else down.words,
                "begin_ms": None if down is None else down.begin_ms,
                "end_ms": None if down is None else down.end_ms,
            }
        )

    async def lag(self, request: web.Request) -> web.StreamResponse:
        """How long a placed order stays out of look-ups."""
        body = await body_of(request, {"lag_s"})
        self.venue.lag_ms = ms_of(body, "lag_s")
        self.exchange.keep()
        return json_of({"lag_s": self.venue.lag_ms / 1000})

    async def clock(self, request: web.Request) -> web.StreamResponse:
        """Move the exchange's clock."""
        body = await body_of(request, {"ahead_s"})
        self.exchange.ahead_ms = ms_of(body, "ahead_s", least=-(10**12))
        self.exchange.advance()
        self.exchange.keep()
        return json_of({"ahead_s": self.exchange.ahead_ms / 1000, "now_ms": self.exchange.clock()})

    async def ban(self, request: web.Request) -> web.StreamResponse:
        """Ban our address, or lift the ban."""
        body = await body_of(request, {"for_s"})
        for_ms, rules = ms_of(body, "for_s"), self.exchange.dialect.limits
        if rules is None:
            raise BadInput(f"{self.exchange.name} bans nobody.")
        if self.exchange.limits is None:
            self.exchange.limits = RateLimits(rules, scale=ENDLESS)
        self.exchange.limits.ban(self.exchange.clock() + for_ms if for_ms else 0, lasts_ms=for_ms)
        return await self.show_limits(request)

    async def walk(self, request: web.Request) -> web.StreamResponse:
        """Let prices move by themselves."""
        body = await body_of(request, {"every_s", "ticks", "seed"})
        every_ms = None if body.get("every_s") is None else ms_of(body, "every_s", least=1)
        ticks, seed = (body.get("ticks", 3), body.get("seed", 0))
        if not isinstance(ticks, int) or isinstance(ticks, bool) or not 1 <= ticks <= 1000:
            raise BadInput(f"ticks must be a whole number from 1 to 1000, not {ticks!r}.")
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise BadInput(f"seed must be a whole number, not {seed!r}.")
        self.venue.set_walk(every_ms, ticks, seed, self.exchange.clock())
        self.exchange.keep()
        return json_of({"every_s": None if every_ms is None else every_ms / 1000})

    async def show_limits(self, request: web.Request) -> web.StreamResponse:
        """The limits that are enforced."""
        return json_of(None if self.exchange.limits is None else self.exchange.limits.shown())

    async def set_limits(self, request: web.Request) -> web.StreamResponse:
        """Enforce the exchange's rate limits, or not."""
        body = await body_of(request, {"on", "scale", "ban_s"})
        rules = self.exchange.dialect.limits
        if not flag_of(body, "on") or rules is None:
            self.exchange.limits = None
        else:
            scale = float(decimal_of({"scale": body.get("scale", 1)}, "scale"))
            if not 0 < scale <= 1000:
                raise BadInput(f"scale must be above 0 and at most 1000, not {body.get('scale')!r}.")
            self.exchange.limits = RateLimits(rules, scale)
            if body.get("ban_s") is not None:
                self.exchange.limits.ban(self.exchange.clock() + ms_of(body, "ban_s"))
        return await self.show_limits(request)
