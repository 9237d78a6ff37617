"""Kraken Futures: markets, prices, balances, positions and leverage preferences."""

from collections.abc import Callable
from decimal import Decimal

from app.simulator.dialects import kraken_bodies as bodies
from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.kraken_bodies import V3, iso, num
from app.simulator.dialects.kraken_params import need
from app.simulator.dialects.wire import Answer, decimal_or_none, json_answer
from app.simulator.model import MarginMode, Refusal
from app.simulator.spec import MarketSpec

BOOK_LEVELS = 25


class AccountApi:
    """The public and the account endpoints over one dialect's engine."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._engine = dialect.engine
        self._cross_leverage = dialect.rules().leverage
        self.max_leverage: dict[str, Decimal] = {}

    def routes(self) -> list[Route]:
        """Market data is public, the rest is not."""
        table: tuple[tuple[str, str, Call, Callable[[Context], Answer], bool], ...] = (
            ("GET", "instruments", Call.MARKETS, self._instruments, False),
            ("GET", "tickers", Call.TICKER, self._tickers, False),
            ("GET", "tickers/{symbol}", Call.TICKER, self._ticker, False),
            ("GET", "orderbook", Call.BOOK, self._book, False),
            ("GET", "accounts", Call.BALANCE, self._accounts, True),
            ("GET", "openpositions", Call.POSITIONS, self._positions, True),
            ("GET", "leveragepreferences", Call.ACCOUNT, self._leverages, True),
            ("PUT", "leveragepreferences", Call.LEVERAGE, self._set_leverage, True),
        )
        return [
            Route(method=method, path=f"{V3}/{name}", call=call, handler=do, private=private)
            for method, name, call, do, private in table
        ]

    def _ok(self, ctx: Context, **body: object) -> Answer:
        return json_answer({"result": "success", **body, "serverTime": iso(ctx.now_ms)})

    def _instruments(self, ctx: Context) -> Answer:
        return self._ok(
            ctx,
            instruments=[
                bodies.instrument(m, halted=m.symbol in self._engine.venue.suspended)
                for m in self._engine.markets.values()
            ],
        )

    def _tickers(self, ctx: Context) -> Answer:
        all_of_them = [bodies.ticker(self._engine, m, ctx.now_ms) for m in self._engine.markets.values()]
        return self._ok(ctx, tickers=all_of_them)

    def _ticker(self, ctx: Context) -> Answer:
        market = self._public_market(ctx.path_args["symbol"])
        return self._ok(ctx, ticker=bodies.ticker(self._engine, market, ctx.now_ms))

    def _book(self, ctx: Context) -> Answer:
        market = self._public_market(need(ctx.params, "symbol"))
        return self._ok(ctx, orderBook=bodies.book(self._engine, market, BOOK_LEVELS))

    def _public_market(self, native: str) -> MarketSpec:
        try:
            return self._dialect.market_of(native)
        except Refusal as refusal:
            raise NativeError("contractNotFound", "", status=404) from refusal

    def _accounts(self, ctx: Context) -> Answer:
        return self._ok(ctx, accounts=bodies.accounts(self._engine))

    def _positions(self, ctx: Context) -> Answer:
        held = self._engine.positions()
        return self._ok(
            ctx,
            openPositions=[bodies.open_position(self._engine, p, self.max_leverage.get(p.symbol)) for p in held],
        )

    def _leverages(self, ctx: Context) -> Answer:
        """Only symbols whose leverage was set: the others use the whole account (cross)."""
        wanted = ctx.params.get("symbol", "").upper()
        found = [
            {"symbol": native, "maxLeverage": num(leverage)}
            for symbol, leverage in self.max_leverage.items()
            if wanted in ("", native := self._engine.markets[symbol].native)
        ]
        return self._ok(ctx, leveragePreferences=found)

    def _set_leverage(self, ctx: Context) -> Answer:
        """Set a symbol's highest leverage, or, without one, go back to cross."""
        try:
            market = self._dialect.market_of(need(ctx.params, "symbol"))
        except Refusal as refusal:
            data = [{"code": 87, "message": "CONTRACT_DOES_NOT_EXIST"}]
            raise NativeError(87, "INTERNAL_SERVER_ERROR", status=500, data=data) from refusal
        wanted = decimal_or_none(ctx.params.get("maxLeverage"))
        if (wanted is None) is (market.symbol in self.max_leverage):
            mode = MarginMode.CROSS if wanted is None else MarginMode.ISOLATED
            self._engine.set_margin_mode(mode, [market.symbol])
        self._engine.set_leverage(market.symbol, self._cross_leverage if wanted is None else wanted)
        if wanted is None:
            self.max_leverage.pop(market.symbol, None)
        else:
            self.max_leverage[market.symbol] = wanted
        return self._ok(ctx)
