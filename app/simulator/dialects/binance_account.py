"""Binance USDⓈ-M futures: balances, positions, leverage and the account's modes.

The account is in single-asset mode. Asking for the position mode or the margin type that it has already is an error
(-4059, -4046); changing either while something is open is another.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from app.simulator.dialects.base import Call, Context, Dialect, NativeError, Route
from app.simulator.dialects.binance_bodies import PRECISION, amount, fixed
from app.simulator.dialects.binance_params import check_window, need, page
from app.simulator.dialects.wire import Answer, decimal_or_none, int_or_none, json_answer
from app.simulator.engine import Engine
from app.simulator.model import ZERO, MarginMode, Position, PositionSide
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
            ("GET", "/fapi/v2/account", Call.BALANCE, self._account_v2),
            ("GET", "/fapi/v1/accountConfig", Call.ACCOUNT, self._account_config),
            ("GET", "/fapi/v1/commissionRate", Call.ACCOUNT, self._commission),
            ("GET", "/fapi/v1/income", Call.FILLS, self._income),
            ("POST", "/fapi/v1/positionMargin", Call.ACCOUNT, self._add_margin),
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
            wanted = _sides(self._engine, market.symbol)
        elif v2:
            wanted = [p for symbol in self._engine.markets for p in _sides(self._engine, symbol)]
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
                    "marginType": "ISOLATED" if market.symbol in self._engine.ledger.isolated else "CROSSED",
                    "isAutoAddMargin": False,
                    "leverage": int(leverage),
                    "maxNotionalValue": str(max_notional(leverage)),
                }
            )
        return json_answer(config)

    def _mode(self, ctx: Context) -> Answer:
        return json_answer({"dualSidePosition": bool(self._engine.ledger.hedged)})

    def _set_mode(self, ctx: Context) -> Answer:
        wanted = need(ctx, "dualSidePosition").lower()
        if wanted not in ("true", "false"):
            raise NativeError(-1130, "Data sent for parameter 'dualSidePosition' is not valid.")
        if not self._engine.set_hedge_mode(wanted == "true"):
            raise NativeError(-4059, "No need to change position side.")
        return json_answer({"code": 200, "msg": "success"})

    def _set_margin_type(self, ctx: Context) -> Answer:
        market, wanted = self._dialect.market_of(need(ctx, "symbol")), need(ctx, "marginType")
        if wanted not in ("CROSSED", "ISOLATED"):
            raise NativeError(-1130, "Data sent for parameter 'marginType' is not valid.")
        mode = MarginMode.ISOLATED if wanted == "ISOLATED" else MarginMode.CROSS
        if not self._engine.set_margin_mode(mode, [market.symbol]):
            raise NativeError(-4046, "No need to change margin type.")
        return json_answer({"code": 200, "msg": "success"})

    def _add_margin(self, ctx: Context) -> Answer:
        """Type 1 adds, 2 takes out."""
        market, given = self._dialect.market_of(need(ctx, "symbol")), need(ctx, "type")
        wanted = decimal_or_none(need(ctx, "amount"))
        if given not in ("1", "2") or wanted is None or wanted <= 0:
            raise NativeError(-4056, "Amount must be positive.")
        side = PositionSide(ctx.params.get("positionSide", "BOTH").lower())
        self._engine.add_margin(market.symbol, wanted if given == "1" else -wanted, side)
        return json_answer(
            {"amount": float(wanted), "code": 200, "msg": "Successfully modify position margin.", "type": int(given)}
        )

    def _account_v2(self, ctx: Context) -> Answer:
        """Version 2 tells every symbol's position, with leverage and margin type."""
        body = account_body(self._engine, ctx.now_ms)
        own = {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0}
        own |= {"multiAssetsMargin": False, "tradeGroupId": -1}
        shown = [p for symbol in self._engine.markets for p in _sides(self._engine, symbol)]
        positions = []
        for position in shown:
            v3 = position_body(self._engine, position, v2=False)
            positions.append(
                {k: v for k, v in v3.items() if k not in ("markPrice", "liquidationPrice", "adl", "marginAsset")}
                | {
                    "unrealizedProfit": v3["unRealizedProfit"],
                    "leverage": str(int(position.leverage)),
                    "isolated": position.symbol in self._engine.ledger.isolated,
                    "maxNotional": str(max_notional(position.leverage)),
                }
            )
        return json_answer(own | body | {"positions": positions})

    def _account_config(self, ctx: Context) -> Answer:
        return json_answer(
            {
                "feeTier": 0,
                "canTrade": True,
                "canDeposit": True,
                "canWithdraw": False,
                "dualSidePosition": bool(self._engine.ledger.hedged),
                "updateTime": 0,
                "multiAssetsMargin": False,
                "tradeGroupId": -1,
            }
        )

    def _commission(self, ctx: Context) -> Answer:
        market, rules = self._dialect.market_of(need(ctx, "symbol")), self._engine.rules
        return json_answer(
            {
                "symbol": market.native,
                "makerCommissionRate": amount(rules.maker_fee),
                "takerCommissionRate": amount(rules.taker_fee),
                "rpiCommissionRate": amount(rules.maker_fee),
            }
        )

    def _income(self, ctx: Context) -> Answer:
        """Commissions, realised profits and funding, oldest first."""
        check_window(ctx)
        found = sorted(_incomes(self._engine), key=lambda i: i[0], reverse=True)
        kind, native = ctx.params.get("incomeType"), ctx.params.get("symbol")
        kept = (i for i in found if kind in (None, i[1]["incomeType"]) and native in (None, i[1]["symbol"]))
        return json_answer(page(ctx, kept))


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


def _sides(engine: Engine, symbol: str) -> list[Position]:
    """The net position of a symbol, or in hedge mode its long and its short one."""
    sides = (PositionSide.LONG, PositionSide.SHORT) if engine.is_hedged(symbol) else (PositionSide.BOTH,)
    return [engine.ledger.position(symbol, side) for side in sides]


def _incomes(engine: Engine) -> Iterator[tuple[int, dict[str, object]]]:
    """What changed the balance: (time, entry)."""
    for fill in engine.fills:
        for kind, sum_ in (("COMMISSION", -fill.fee), ("REALIZED_PNL", fill.realised_pnl)):
            if sum_:
                yield (
                    fill.ts_ms,
                    {
                        "symbol": engine.markets[fill.symbol].native,
                        "incomeType": kind,
                        "income": amount(sum_),
                        "asset": fill.fee_coin,
                        "info": kind,
                        "time": fill.ts_ms,
                        "tranId": int(fill.trade_id),
                        "tradeId": fill.trade_id,
                    },
                )
    kinds = {"funding": "FUNDING_FEE", "deposit": "TRANSFER", "insurance": "INSURANCE_CLEAR"}
    for number, entry in enumerate(engine.ledger.entries):
        yield (
            entry.ts_ms,
            {
                "symbol": engine.markets[entry.symbol].native if entry.symbol else "",
                "incomeType": kinds[entry.kind],
                "income": amount(entry.amount),
                "asset": entry.coin,
                "info": kinds[entry.kind],
                "time": entry.ts_ms,
                "tranId": number,
                "tradeId": "",
            },
        )


def _shown(engine: Engine) -> list[Position]:
    """Positions that version 3 of the API tells: of symbols with a position or an open order."""
    return [p for p in engine.ledger.positions.values() if p.qty or engine.ledger.margin_of(p.symbol)]


def position_body(engine: Engine, position: Position, *, v2: bool) -> dict[str, object]:
    """One entry of positionRisk; version 2 tells leverage and margin type, version 3 the margins."""
    market = engine.markets[position.symbol]
    price_places, qty_places = PRECISION[market.native]
    mark, liquidation = engine.mark(position.symbol), engine.liquidation_price(position)
    notional, isolated = position.qty * mark, position.symbol in engine.ledger.isolated
    body: dict[str, object] = {
        "symbol": market.native,
        "positionSide": position.side.upper(),
        "positionAmt": fixed(position.qty, qty_places),
        "entryPrice": fixed(position.entry_price, price_places + 3),
        "breakEvenPrice": fixed(position.entry_price, price_places + 3),
        "markPrice": amount(mark),
        "unRealizedProfit": amount(engine.ledger.profit(position)),
        "liquidationPrice": "0" if liquidation is None else amount(liquidation),
        "isolatedMargin": amount(position.margin + engine.ledger.profit(position)) if isolated else "0",
        "notional": amount(notional),
        "isolatedWallet": amount(position.margin) if isolated else "0",
        "updateTime": position.updated_ms,
    }
    if v2:
        return body | {
            "leverage": str(int(position.leverage)),
            "maxNotionalValue": str(max_notional(position.leverage)),
            "marginType": "isolated" if isolated else "cross",
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
