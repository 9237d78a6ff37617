"""Bybit V5's wallet, fees and settings of the account.

One unified account (UTA 2.0), of which only the settlement coin is collateral. The margin mode is the account's, not a
position's. DCP is what Bybit has in place of a countdown: it goes off when a private websocket is lost. There is none
here, so that the setting is kept and told, and never goes off.
"""

from collections.abc import Mapping
from decimal import Decimal

from app.simulator.dialects.base import Context, Credentials, NativeError
from app.simulator.dialects.bybit_market_shapes import coin_value
from app.simulator.dialects.bybit_public import BybitPublic
from app.simulator.dialects.wire import Answer, int_or_none, with_money
from app.simulator.engine import Engine
from app.simulator.model import ZERO, MarginMode, text

DCP_PRODUCTS = ("OPTIONS", "DERIVATIVES", "SPOT")
DCP_WINDOW_S = (3, 300)
_MARGIN_MODES = {"ISOLATED_MARGIN": MarginMode.ISOLATED, "REGULAR_MARGIN": MarginMode.CROSS}
_GRANTS = ("ContractTrade", "Spot", "Wallet", "Options", "Derivatives", "CopyTrading", "BlockTrade", "Exchange", "NFT")


class BybitAccount(BybitPublic):
    """The account but its positions and orders."""

    def __init__(self, engine: Engine, credentials: Credentials) -> None:
        super().__init__(engine, credentials)
        self.dcp: dict[str, int] = {}
        """Windows set for a lost connection, s, by product."""

    def state(self) -> dict[str, object]:
        """The DCP windows."""
        return {"dcp": dict(self.dcp)} if self.dcp else {}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take them over."""
        told = state.get("dcp", {})
        if set(state) - {"dcp"} or not isinstance(told, dict):
            raise ValueError(f"{self.name} remembers dcp, not {', '.join(state)}.")
        self.dcp = {str(k): int(v) for k, v in told.items()}

    def _wallet(self, ctx: Context) -> Answer:
        if ctx.params.get("accountType") != "UNIFIED":
            raise NativeError(10001, "accountType only support UNIFIED.")
        ledger, positions = self.engine.ledger, self.engine.positions()
        wanted = [c for c in ctx.params.get("coin", "").split(",") if c]
        held = sum((abs(p.qty) * self.engine.prices[p.symbol] / p.leverage for p in positions), ZERO)
        used = ledger.used_margin
        maintenance = sum((ledger.maintenance(p) for p in positions), ZERO)
        profit = ledger.equity - ledger.balances[ledger.settle]
        coins = [
            self._coin(coin, amount, held=held, used=used, maintenance=maintenance)
            for coin, amount in ledger.balances.items()
            if not wanted or coin in wanted
        ]
        worth = sum((coin_value(c, a, self.engine) for c, a in ledger.balances.items()), ZERO)
        account = {
            "accountType": "UNIFIED",
            "accountLTV": "0",
            "accountIMRate": _rate(used, ledger.equity),
            "accountMMRate": _rate(maintenance, ledger.equity),
            "accountIMRateByMp": _rate(used, ledger.equity),
            "accountMMRateByMp": _rate(maintenance, ledger.equity),
            "totalEquity": with_money(worth + profit),
            "totalWalletBalance": with_money(worth),
            "totalMarginBalance": with_money(ledger.equity),
            "totalAvailableBalance": with_money(ledger.available),
            "totalInitialMargin": with_money(used),
            "totalInitialMarginByMp": with_money(used),
            "totalMaintenanceMargin": with_money(maintenance),
            "totalMaintenanceMarginByMp": with_money(maintenance),
            "totalPerpUPL": with_money(profit),
            "coin": coins,
        }
        return self.ok(ctx, {"list": [account]})

    def _coin(
        self, coin: str, amount: Decimal, *, held: Decimal, used: Decimal, maintenance: Decimal
    ) -> dict[str, object]:
        ledger = self.engine.ledger
        main = coin == ledger.settle
        equity = ledger.equity if main else amount
        return {
            "coin": coin,
            "equity": with_money(equity),
            "usdValue": with_money(coin_value(coin, equity, self.engine)),
            "walletBalance": with_money(amount),
            "availableToBorrow": "",
            "availableToWithdraw": "",
            "borrowAmount": "0",
            "accruedInterest": "0",
            "totalOrderIM": with_money(used - held) if main else "0",
            "totalPositionIM": with_money(held) if main else "0",
            "totalPositionMM": with_money(maintenance) if main else "0",
            "unrealisedPnl": with_money(equity - amount),
            "cumRealisedPnl": with_money(sum((p.realised for p in ledger.positions.values()), ZERO)) if main else "0",
            "bonus": "0",
            "locked": with_money(ledger.locked.get(coin, ZERO)),
            "spotHedgingQty": "0",
            "spotBorrow": "0",
            "collateralSwitch": main,
            "marginCollateral": main,
        }

    def _query_api(self, ctx: Context) -> Answer:
        grants: dict[str, list[str]] = {name: [] for name in _GRANTS}
        grants |= {"ContractTrade": ["Order", "Position"], "Spot": ["SpotTrade"], "Wallet": ["AccountTransfer"]}
        return self.ok(
            ctx,
            {
                "id": "1",
                "note": "simulated",
                "apiKey": self.credentials.api_key,
                "readOnly": 0,
                "secret": "",
                "permissions": grants,
                "ips": ["*"],
                "type": 1,
                "deadlineDay": 90,
                "expiredAt": "2099-01-01T00:00:00Z",
                "createdAt": "2020-01-01T00:00:00Z",
                "unified": 0,
                "uta": 1,
                "userID": 1,
                "inviterID": 0,
                "vipLevel": "No VIP",
                "mktMakerLevel": "0",
                "affiliateID": 0,
                "rsaPublicKey": "",
                "isMaster": True,
                "parentUid": "0",
                "kycLevel": "LEVEL_DEFAULT",
                "kycRegion": "",
            },
        )

    def _account_info(self, ctx: Context) -> Answer:
        swaps = [m for m in self.engine.markets.values() if not m.is_spot]
        isolated = any(m.symbol in self.engine.ledger.isolated for m in swaps)
        return self.ok(
            ctx,
            {
                "marginMode": "ISOLATED_MARGIN" if isolated else "REGULAR_MARGIN",
                "updatedTime": "0",
                "unifiedMarginStatus": 5,
                "dcpStatus": "ON" if self.dcp else "OFF",
                "timeWindow": max(self.dcp.values(), default=0),
                "smpGroup": 0,
                "isMasterTrader": False,
                "spotHedgingStatus": "OFF",
            },
        )

    def _set_margin_mode(self, ctx: Context) -> Answer:
        mode = _MARGIN_MODES.get(ctx.params.get("setMarginMode", ""))
        if mode is None:
            raise NativeError(10001, "params error: setMarginMode invalid")
        self.engine.set_margin_mode(mode)
        return self.ok(ctx, {"reasons": []})

    def _fee_rate(self, ctx: Context) -> Answer:
        kind, native, rules = self.kind(ctx), ctx.params.get("symbol"), self.engine.rules
        items = [
            {
                "symbol": m.native,
                "baseCoin": "",
                "takerFeeRate": text(rules.fee_rate(m, is_maker=False)),
                "makerFeeRate": text(rules.fee_rate(m, is_maker=True)),
            }
            for m in self.engine.markets.values()
            if m.kind is kind and (not native or m.native == native)
        ]
        return self.ok(ctx, {"category": ctx.params["category"], "list": items})

    def _set_dcp(self, ctx: Context) -> Answer:
        window_s, product = int_or_none(ctx.params.get("timeWindow")), ctx.params.get("product") or "OPTIONS"
        if window_s is None or not DCP_WINDOW_S[0] <= window_s <= DCP_WINDOW_S[1] or product not in DCP_PRODUCTS:
            raise NativeError(10001, "params error: timeWindow or product invalid")
        self.dcp[product] = window_s
        return self.ok(ctx, {})

    def _dcp_info(self, ctx: Context) -> Answer:
        infos = [{"product": p, "dcpStatus": "ON", "timeWindow": str(s)} for p, s in self.dcp.items()]
        return self.ok(ctx, {"dcpInfos": infos})


def _rate(amount: Decimal, equity: Decimal) -> str:
    return text(round(amount / equity, 4)) if equity > 0 else ""
