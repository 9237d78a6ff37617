"""Binance USDⓈ-M futures: balances, positions, leverage and the account's modes.

The account is in one-way, cross-margin, single-asset mode and stays there: asking for what it is already is answered as
the exchange does (-4059, -4046), asking for another mode is refused.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.binance_bodies import PRECISION, amount, fixed
from app.simulator.dialects.binance_params import need
from app.simulator.dialects.wire import Answer, int_or_none, json_answer
from app.simulator.engine import Engine
from app.simulator.model import ZERO, Position
from app.simulator.spec import MarketSpec, Tier

BRACKETS: tuple[tuple[int, int, int, Decimal], ...] = (
    (125, 0, 300_000, Decimal("0.004")),
    (100, 300_000, 800_000, Decimal("0.005")),
    (50, 800_000, 3_000_000, Decimal("0.01")),
    (20, 3_000_000, 12_000_000, Decimal("0.025")),
    (10, 12_000_000, 70_000_000, Decimal("0.05")),
)
"""Leverage brackets, the same for every market: (highest leverage, notional from, notional to, maintenance rate)."""
TIERS = tuple(Tier(cap=Decimal(cap), rate=rate) for _, _, cap, rate in BRACKETS)


class AccountApi:
    """The signed account endpoints over one dialect's engine."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._engine = dialect.engine

    def routes(self) -> Sequence[Route]:
        """All private."""
        table: tuple[tuple[str, str, Call, Callable[[Context], Answer]], ...] = (
            ("GET", "/fapi/v3/account", Call.BALANCE, self._account),
            ("GET", "/fapi/v3/balance", Call.BALANCE, self._balance),
            ("GET", "/fapi/v2/balance", Call.BALANCE, self._balance),
            ("GET", "/fapi/v3/positionRisk", Call.POSITIONS, self._positions),
            ("GET", "/fapi/v2/positionRisk", Call.POSITIONS, self._positions),
            ("POST", "/fapi/v1/leverage", Call.LEVERAGE, self._set_leverage),
            ("GET", "/fapi/v1/leverageBracket", Call.ACCOUNT, self._brackets),
            ("GET", "/fapi/v1/symbolConfig", Call.ACCOUNT, self._symbol_config),
            ("GET", "/fapi/v1/positionSide/dual", Call.ACCOUNT, self._mode),
            ("POST", "/fapi/v1/positionSide/dual", Call.ACCOUNT, self._set_mode),
            ("POST", "/fapi/v1/marginType", Call.ACCOUNT, self._set_margin_type),
            ("GET", "/fapi/v1/multiAssetsMargin", Call.ACCOUNT, lambda _: json_answer({"multiAssetsMargin": False})),
        )
        return [Route(method=method, path=path, call=call, handler=do) for method, path, call, do in table]

    def _account(self, ctx: Context) -> Answer:
        return json_answer(account_body(self._engine, ctx.now_ms))

    def _balance(self, ctx: Context) -> Answer:
        return json_answer(
            [
                {
                    "accountAlias": "SgsR",
                    "asset": a["asset"],
                    "balance": a["walletBalance"],
                    "crossWalletBalance": a["crossWalletBalance"],
                    "crossUnPnl": a["crossUnPnl"],
                    "availableBalance": a["availableBalance"],
                    "maxWithdrawAmount": a["maxWithdrawAmount"],
                    "marginAvailable": a["marginAvailable"],
                    "updateTime": a["updateTime"],
                }
                for a in _assets(self._engine, ctx.now_ms)
            ]
        )

    def _positions(self, ctx: Context) -> Answer:
        v2 = ctx.request.path.startswith("/fapi/v2")
        if ctx.params.get("symbol"):
            market = self._dialect.market_of(ctx.params["symbol"])
            wanted = [self._engine.ledger.position(market.symbol)]
        elif v2:
            wanted = [self._engine.ledger.position(symbol) for symbol in self._engine.markets]
        else:
            wanted = _shown(self._engine)
        return json_answer([position_body(self._engine, p, v2=v2) for p in wanted])

    def _set_leverage(self, ctx: Context) -> Answer:
        market = self._dialect.market_of(need(ctx, "symbol"))
        wanted = int_or_none(need(ctx, "leverage"))
        if wanted is None:
            raise NativeError(-4028, f"Leverage {ctx.params['leverage']} is not valid")
        self._engine.set_leverage(market.symbol, Decimal(wanted))
        return json_answer(
            {"symbol": market.native, "leverage": wanted, "maxNotionalValue": str(max_notional(Decimal(wanted)))}
        )

    def _brackets(self, ctx: Context) -> Answer:
        if ctx.params.get("symbol"):
            return json_answer([_bracket_body(self._dialect.market_of(ctx.params["symbol"]))])
        return json_answer([_bracket_body(m) for m in self._engine.markets.values()])

    def _symbol_config(self, ctx: Context) -> Answer:
        symbol = ctx.params.get("symbol")
        markets = [self._dialect.market_of(symbol)] if symbol else list(self._engine.markets.values())
        config = []
        for market in markets:
            leverage = self._engine.ledger.position(market.symbol).leverage
            config.append(
                {
                    "symbol": market.native,
                    "marginType": "CROSSED",
                    "isAutoAddMargin": "false",
                    "leverage": int(leverage),
                    "maxNotionalValue": str(max_notional(leverage)),
                }
            )
        return json_answer(config)

    def _mode(self, ctx: Context) -> Answer:
        return json_answer({"dualSidePosition": False})

    def _set_mode(self, ctx: Context) -> Answer:
        if need(ctx, "dualSidePosition").lower() == "false":
            raise NativeError(-4059, "No need to change position side.")
        raise NativeError(-1020, "This operation is not supported.")

    def _set_margin_type(self, ctx: Context) -> Answer:
        self._dialect.market_of(need(ctx, "symbol"))
        if need(ctx, "marginType") == "CROSSED":
            raise NativeError(-4046, "No need to change margin type.")
        raise NativeError(-1020, "This operation is not supported.")


def max_notional(leverage: Decimal) -> int:
    """Largest position at a leverage, from the brackets."""
    return max(cap for most, _, cap, _ in BRACKETS if most >= leverage)


def _bracket_body(market: MarketSpec) -> dict[str, object]:
    return {
        "symbol": market.native,
        "notionalCoef": 1,
        "brackets": [
            {
                "bracket": number,
                "initialLeverage": most,
                "notionalCap": cap,
                "notionalFloor": floor,
                "maintMarginRatio": float(rate),
                "cum": 0.0,
            }
            for number, (most, floor, cap, rate) in enumerate(BRACKETS, 1)
        ],
    }


def _shown(engine: Engine) -> list[Position]:
    """Positions that version 3 of the API tells: of symbols with a position or an open order."""
    return [p for p in engine.ledger.positions.values() if p.qty or engine.ledger.margin_of(p.symbol)]


def position_body(engine: Engine, position: Position, *, v2: bool) -> dict[str, object]:
    """One entry of positionRisk; version 2 tells leverage and margin type, version 3 the margins."""
    market = engine.markets[position.symbol]
    price_places, qty_places = PRECISION[market.native]
    mark, liquidation = engine.mark(position.symbol), engine.liquidation_price(position)
    notional = position.qty * mark
    body: dict[str, object] = {
        "symbol": market.native,
        "positionSide": "BOTH",
        "positionAmt": fixed(position.qty, qty_places),
        "entryPrice": fixed(position.entry_price, price_places + 3),
        "breakEvenPrice": fixed(position.entry_price, price_places + 3),
        "markPrice": amount(mark),
        "unRealizedProfit": amount(engine.ledger.profit(position)),
        "liquidationPrice": "0" if liquidation is None else amount(liquidation),
        "isolatedMargin": "0",
        "notional": amount(notional),
        "isolatedWallet": "0",
        "updateTime": position.updated_ms,
    }
    if v2:
        return body | {
            "leverage": str(int(position.leverage)),
            "maxNotionalValue": str(max_notional(position.leverage)),
            "marginType": "cross",
            "isAutoAddMargin": "false",
        }
    margin = engine.ledger.margin_of(position.symbol)
    held = abs(notional) / position.leverage
    return body | {
        "marginAsset": market.settle,
        "initialMargin": amount(margin),
        "maintMargin": amount(engine.ledger.maintenance(position)),
        "positionInitialMargin": amount(held),
        "openOrderInitialMargin": amount(margin - held),
        "adl": 0,
        "bidNotional": "0",
        "askNotional": "0",
    }


def account_body(engine: Engine, now_ms: int) -> dict[str, object]:
    """GET /fapi/v3/account: totals, assets, and the positions of symbols with a position or an open order."""
    assets = _assets(engine, now_ms)
    own = next(a for a in assets if a["asset"] == engine.ledger.settle)
    return {
        "totalInitialMargin": own["initialMargin"],
        "totalMaintMargin": own["maintMargin"],
        "totalWalletBalance": own["walletBalance"],
        "totalUnrealizedProfit": own["unrealizedProfit"],
        "totalMarginBalance": own["marginBalance"],
        "totalPositionInitialMargin": own["positionInitialMargin"],
        "totalOpenOrderInitialMargin": own["openOrderInitialMargin"],
        "totalCrossWalletBalance": own["crossWalletBalance"],
        "totalCrossUnPnl": own["crossUnPnl"],
        "availableBalance": own["availableBalance"],
        "maxWithdrawAmount": own["maxWithdrawAmount"],
        "assets": assets,
        "positions": [position_body(engine, p, v2=False) for p in _shown(engine)],
    }


def _assets(engine: Engine, now_ms: int) -> list[dict[str, object]]:
    ledger = engine.ledger
    notionals = [(abs(p.qty) * engine.prices[p.symbol], p.leverage) for p in engine.positions()]
    held = sum((n / leverage for n, leverage in notionals), ZERO)
    used, pnl = ledger.used_margin, ledger.equity - ledger.balances[ledger.settle]
    assets: list[dict[str, object]] = []
    for coin, balance in ledger.balances.items():
        own = coin == ledger.settle
        free = ledger.available if own else max(balance, ZERO)
        assets.append(
            {
                "asset": coin,
                "walletBalance": amount(balance),
                "unrealizedProfit": amount(pnl if own else ZERO),
                "marginBalance": amount(balance + pnl if own else balance),
                "maintMargin": amount(sum((ledger.maintenance(p) for p in engine.positions()), ZERO) if own else ZERO),
                "initialMargin": amount(used if own else ZERO),
                "positionInitialMargin": amount(held if own else ZERO),
                "openOrderInitialMargin": amount(used - held if own else ZERO),
                "crossWalletBalance": amount(balance),
                "crossUnPnl": amount(pnl if own else ZERO),
                "availableBalance": amount(free),
                "maxWithdrawAmount": amount(free),
                "marginAvailable": own,
                # Never 0: clients take that for an asset which was never initialised, and skip it.
                "updateTime": now_ms,
            }
        )
    return assets
