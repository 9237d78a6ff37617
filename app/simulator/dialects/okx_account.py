"""OKX V5's trading account: configuration, balance, fees, positions, leverage, position mode, margin.

The account is of the mode "spot and futures" (acctLv 2). On OKX an order says whether its position is cross or isolated
(tdMode), and both may stand side by side; here a symbol has one margin mode at a time, which its orders switch while
there is nothing of the other.
"""

from decimal import Decimal

from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.okx_public import OkxPublic
from app.simulator.dialects.okx_shapes import pos_side, position_item
from app.simulator.dialects.wire import Answer, decimal_or_none, with_money
from app.simulator.model import ZERO, PositionSide, text
from app.simulator.spec import MarketSpec

SIDES = {"": PositionSide.BOTH, "net": PositionSide.BOTH, "long": PositionSide.LONG, "short": PositionSide.SHORT}


class OkxAccount(OkxPublic):
    """Everything of the account but orders."""

    def pos_side(self, ctx: Context) -> PositionSide:
        """What posSide says."""
        found = SIDES.get(ctx.params.get("posSide", ""))
        if found is None:
            raise NativeError("51000", "Parameter posSide error")
        return found

    def _config(self, ctx: Context) -> Answer:
        return self.ok(
            [
                {
                    "acctLv": "2",
                    "acctStpMode": "cancel_maker",
                    "autoLoan": False,
                    "ctIsoMode": "automatic",
                    "enableSpotBorrow": False,
                    "feeType": "0",
                    "greeksType": "PA",
                    "ip": "",
                    "kycLv": "3",
                    "label": "simulated",
                    "level": "Lv1",
                    "levelTmp": "",
                    "liquidationGear": "-1",
                    "mainUid": "1",
                    "mgnIsoMode": "automatic",
                    "opAuth": "0",
                    "perm": "read_only,trade",
                    "posMode": "long_short_mode" if self.engine.ledger.hedged else "net_mode",
                    "roleType": "0",
                    "settleCcy": self.engine.ledger.settle,
                    "settleCcyList": [self.engine.ledger.settle],
                    "spotOffsetType": "",
                    "spotRoleType": "0",
                    "spotBorrowAutoRepay": False,
                    "spotTraderInsts": [],
                    "stgyType": "0",
                    "traderInsts": [],
                    "type": "0",
                    "uid": "1",
                }
            ]
        )

    def _balance(self, ctx: Context) -> Answer:
        ledger = self.engine.ledger
        wanted = [c for c in ctx.params.get("ccy", "").split(",") if c]
        now = str(ctx.now_ms)
        details = [self._coin(c, a, now) for c, a in ledger.balances.items() if not wanted or c in wanted]
        worth = sum((self._value(c, a) for c, a in ledger.balances.items()), ZERO)
        account = {
            "adjEq": "",
            "availEq": "",
            "borrowFroz": "",
            "delta": "",
            "deltaLever": "",
            "deltaNeutralStatus": "",
            "details": details,
            "imr": "",
            "isoEq": with_money(self._isolated()),
            "mgnRatio": "",
            "mmr": "",
            "notionalUsd": "",
            "notionalUsdForBorrow": "",
            "notionalUsdForFutures": "",
            "notionalUsdForOption": "",
            "notionalUsdForSwap": "",
            "ordFroz": "",
            "totalEq": with_money(worth + ledger.equity - ledger.balances[ledger.settle]),
            "uTime": now,
            "upl": "",
        }
        return self.ok([account])

    def _coin(self, coin: str, amount: Decimal, now: str) -> dict[str, object]:
        """One of `details`: what is free for orders, and what is frozen in orders and positions."""
        ledger = self.engine.ledger
        main = coin == ledger.settle
        equity, locked = ledger.equity if main else amount, ledger.locked.get(coin, ZERO)
        free = ledger.available if main else max(amount - locked, ZERO)
        used = ledger.used_margin if main else ZERO
        maintenance = sum((ledger.maintenance(p) for p in self.engine.positions()), ZERO) if main else ZERO
        blank = dict.fromkeys(
            (
                *("accAvgPx", "borrowFroz", "clSpotInUseAmt", "colBorrAutoConversion", "colRes", "collateralEnabled"),
                *("crossLiab", "frpType", "interest", "isoLiab", "liab", "maxLoan", "maxSpotInUse", "mgnRatio"),
                *("openAvgPx", "rewardBal", "smtSyncEq", "spotBal", "spotCopyTradingEq", "spotInUseAmt"),
                *("spotIsoBal", "spotUpl", "spotUplRatio", "totalPnl", "totalPnlRatio", "uplLiab"),
            ),
            "",
        )
        return {
            **blank,
            "autoLendAmt": "0",
            "autoLendMtAmt": "0",
            "autoLendStatus": "unsupported",
            "availBal": with_money(free),
            "availEq": with_money(free),
            "cashBal": with_money(amount),
            "ccy": coin,
            "disEq": with_money(self._value(coin, equity)),
            "eq": with_money(equity),
            "eqUsd": with_money(self._value(coin, equity)),
            "fixedBal": "0",
            "frozenBal": with_money(used + locked),
            "imr": with_money(used),
            "isoEq": with_money(self._isolated() if main else ZERO),
            "isoUpl": "0",
            "mmr": with_money(maintenance),
            "notionalLever": "0",
            "ordFrozen": with_money(locked),
            "stgyEq": "0",
            "twap": "0",
            "uTime": now,
            "upl": with_money(equity - amount),
        }

    def _value(self, coin: str, amount: Decimal) -> Decimal:
        """In the settlement coin, by the coin's spot market; nothing where there is none."""
        if coin == self.engine.ledger.settle:
            return amount
        markets = (m for m in self.engine.markets.values() if m.is_spot and m.base == coin)
        return sum((amount * self.engine.prices[m.symbol] for m in markets), ZERO)

    def _isolated(self) -> Decimal:
        return sum((p.margin for p in self.engine.positions()), ZERO)

    def _fees(self, ctx: Context) -> Answer:
        """As negative shares: what is paid."""
        kind, rules = self.inst_type(ctx, needed=True), self.engine.rules
        spot = kind in ("SPOT", "MARGIN")
        maker, taker = (rules.spot_maker_fee, rules.spot_taker_fee) if spot else (rules.maker_fee, rules.taker_fee)
        item: dict[str, object] = {
            "category": "1",
            "delivery": "",
            "exercise": "",
            "feeGroup": [],
            "fiat": [],
            "instType": kind,
            "level": "Lv1",
            "maker": text(-maker) if spot else "",
            "makerU": "" if spot else text(-maker),
            "makerUSDC": "",
            "ruleType": "normal",
            "taker": text(-taker) if spot else "",
            "takerU": "" if spot else text(-taker),
            "takerUSDC": "",
            "ts": str(ctx.now_ms),
        }
        return self.ok([item])

    # ---- positions --------------------------------------------------------------------------------------------------

    def _positions(self, ctx: Context) -> Answer:
        wanted = [self.market_of(n).symbol for n in ctx.params.get("instId", "").split(",") if n]
        if self.inst_type(ctx) not in (None, "SWAP"):
            return self.ok([])
        found = [p for p in self.engine.positions() if not wanted or p.symbol in wanted]
        return self.ok([position_item(p, self.engine.markets[p.symbol], self.engine) for p in found])

    def _leverage_info(self, ctx: Context) -> Answer:
        markets = [self.market_of(n) for n in ctx.params.get("instId", "").split(",") if n]
        mode = ctx.params.get("mgnMode", "cross")
        return self.ok([row for m in markets for row in self._levers(m, mode)])

    def _set_leverage(self, ctx: Context) -> Answer:
        """Of one side only in long/short mode under isolated margin."""
        market, lever = self.market_of(ctx.params.get("instId")), decimal_or_none(ctx.params.get("lever"))
        mode, side = ctx.params.get("mgnMode", ""), self.pos_side(ctx)
        if lever is None or mode not in ("cross", "isolated"):
            raise NativeError("51000", "Parameter lever or mgnMode error", status=400)
        apart = mode == "isolated" and side is not PositionSide.BOTH
        self.engine.set_leverage(market.symbol, lever, side if apart else None)
        return self.ok([r for r in self._levers(market, mode) if not apart or r["posSide"] == side.value])

    def _levers(self, market: MarketSpec, mode: str) -> list[dict[str, str]]:
        apart = mode == "isolated" and self.engine.is_hedged(market.symbol)
        sides = (PositionSide.LONG, PositionSide.SHORT) if apart else (PositionSide.BOTH,)
        return [
            {
                "ccy": "",
                "instId": market.native,
                "lever": text(self.engine.position_of(market.symbol, side).leverage),
                "mgnMode": mode,
                "posSide": pos_side(side),
            }
            for side in sides
        ]

    def _set_position_mode(self, ctx: Context) -> Answer:
        mode = ctx.params.get("posMode", "")
        if mode not in ("net_mode", "long_short_mode"):
            raise NativeError("51000", "Parameter posMode error", status=400)
        self.engine.set_hedge_mode(mode == "long_short_mode")
        return self.ok([{"posMode": mode}])

    def _margin_balance(self, ctx: Context) -> Answer:
        """Put more margin behind an isolated position, or take some away."""
        market, side = self.market_of(ctx.params.get("instId")), self.pos_side(ctx)
        kind, amount = ctx.params.get("type"), decimal_or_none(ctx.params.get("amt")) or ZERO
        if kind not in ("add", "reduce") or amount <= 0:
            raise NativeError("51000", "Parameter type or amt error", status=400)
        self.engine.add_margin(market.symbol, amount if kind == "add" else -amount, side)
        item = {"amt": text(amount), "ccy": market.settle, "instId": market.native, "leverage": "", "type": kind}
        return self.ok([{**item, "posSide": pos_side(side)}])
