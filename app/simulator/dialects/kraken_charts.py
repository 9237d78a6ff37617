"""Kraken Futures: candles, fee schedules, the state of instruments, and the countdown that cancels everything."""

from collections.abc import Callable

from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.kraken_bodies import FEE_SCHEDULE, V3, iso, num
from app.simulator.dialects.kraken_params import need
from app.simulator.dialects.wire import Answer, decimal_or_none, int_or_none, json_answer
from app.simulator.klines import DAY_MS, MONDAY_MS, SINCE_MS, WEEK_MS, Bar, candles
from app.simulator.model import Refusal, text
from app.simulator.spec import MarketSpec

CHARTS = "/api/charts/v1"
TICK_TYPES = ("trade", "mark", "spot")
MAX_CANDLES = 2_000
BARS: dict[str, Bar] = {
    **{f"{n}m": Bar(width_ms=n * 60_000) for n in (1, 5, 15, 30)},
    **{f"{n}h": Bar(width_ms=n * 3_600_000) for n in (1, 4, 12)},
    "1d": Bar(width_ms=DAY_MS),
    "1w": Bar(width_ms=WEEK_MS, offset_ms=MONDAY_MS),
}
"""Resolutions of candles."""


class ChartsApi:
    """These endpoints over one dialect's engine."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._engine = dialect.engine

    def routes(self) -> list[Route]:
        """Public but for the countdown and the account's own volumes."""
        table: tuple[tuple[str, str, Call, Callable[[Context], Answer], bool], ...] = (
            ("GET", f"{CHARTS}/{{tick_type}}/{{symbol}}/{{resolution}}", Call.KLINES, self._candles, False),
            ("GET", f"{V3}/feeschedules", Call.OTHER, self._fees, False),
            ("GET", f"{V3}/feeschedules/volumes", Call.OTHER, self._volumes, True),
            ("GET", f"{V3}/instruments/status", Call.STATUS, self._states, False),
            ("GET", f"{V3}/instruments/{{symbol}}/status", Call.STATUS, self._state, False),
            ("GET", f"{V3}/notifications", Call.STATUS, self._notifications, True),
            ("POST", f"{V3}/cancelallordersafter", Call.DEAD_MAN, self._countdown, True),
        )
        return [Route(method=m, path=path, call=call, handler=do, private=p) for m, path, call, do, p in table]

    def _ok(self, ctx: Context, **body: object) -> Answer:
        return json_answer({"result": "success", **body, "serverTime": iso(ctx.now_ms)})

    def _notifications(self, ctx: Context) -> Answer:
        """The only place where a maintenance is announced; until when it lasts is never told."""
        down = self._engine.venue.told_maintenance(ctx.now_ms)
        if down is None:
            return self._ok(ctx, notifications=[])
        note = {"type": "maintenance", "priority": "high", "note": down.words, "effectiveTime": iso(down.begin_ms)}
        return self._ok(ctx, notifications=[note])

    def _market(self, native: str) -> MarketSpec:
        try:
            return self._dialect.market_of(native)
        except Refusal as refusal:
            raise NativeError("contractNotFound", "", status=404) from refusal

    def _candles(self, ctx: Context) -> Answer:
        """Times in seconds come in, milliseconds go out; `more_candles` when the page ends before `to`."""
        market, bar = self._market(ctx.path_args["symbol"]), BARS.get(ctx.path_args["resolution"])
        if bar is None or ctx.path_args["tick_type"] not in TICK_TYPES:
            raise NativeError("invalidArgument: resolution", "", status=404)
        start, end = int_or_none(ctx.params.get("from")), int_or_none(ctx.params.get("to"))
        from_ms = SINCE_MS if start is None else max(start * 1000, SINCE_MS)
        to_ms = ctx.now_ms if end is None else min(end * 1000, ctx.now_ms)
        last_ms = to_ms
        if start is not None:
            furthest = bar.start(from_ms)
            for _ in range(MAX_CANDLES - 1):
                furthest = bar.after(furthest)
            last_ms = min(to_ms, furthest)
        venue = self._engine.venue
        found = candles(venue, market.symbol, bar, ctx.now_ms, from_ms=from_ms, to_ms=last_ms, limit=MAX_CANDLES)
        rows = [
            {
                "time": c.start_ms,
                "open": text(c.open),
                "high": text(c.high),
                "low": text(c.low),
                "close": text(c.close),
                "volume": text(c.volume),
            }
            for c in reversed(found)
        ]
        return json_answer({"candles": rows, "more_candles": bar.after(bar.start(last_ms)) <= to_ms})

    def _fees(self, ctx: Context) -> Answer:
        rules = self._engine.rules
        tier = {"makerFee": num(rules.maker_fee * 100), "takerFee": num(rules.taker_fee * 100), "usdVolume": 0.0}
        return self._ok(ctx, feeSchedules=[{"uid": FEE_SCHEDULE, "name": "PF_FEES", "tiers": [tier]}])

    def _volumes(self, ctx: Context) -> Answer:
        traded = sum(num(f.qty * f.price) for f in self._engine.fills)
        return self._ok(ctx, volumesByFeeSchedule={FEE_SCHEDULE: traded})

    def _about(self, market: MarketSpec) -> dict[str, object]:
        return {
            "tradeable": market.native,
            "experiencingDislocation": False,
            "priceDislocationDirection": None,
            "experiencingExtremeVolatility": False,
            "extremeVolatilityInitialMarginMultiplier": 1,
        }

    def _states(self, ctx: Context) -> Answer:
        return self._ok(ctx, instrumentStatus=[self._about(m) for m in self._engine.markets.values()])

    def _state(self, ctx: Context) -> Answer:
        return self._ok(ctx, **self._about(self._market(ctx.path_args["symbol"])))

    def _countdown(self, ctx: Context) -> Answer:
        """Seconds; 0 stops it."""
        wanted = decimal_or_none(need(ctx.params, "timeout"))
        if wanted is None or wanted < 0:
            raise NativeError("invalidArgument: timeout", "")
        due_ms = self._engine.arm_dead_man(int(wanted * 1000), ctx.now_ms)
        status = {"currentTime": iso(ctx.now_ms), "triggerTime": "0" if due_ms is None else iso(due_ms)}
        return self._ok(ctx, status=status)
