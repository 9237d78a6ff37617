"""Bybit V5's public data, wallet, positions and account settings."""

from decimal import Decimal

from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.bybit_gateway import BybitGateway
from app.simulator.dialects.bybit_shapes import instrument_item, position_item, side_word, ticker_item
from app.simulator.dialects.wire import Answer, decimal_or_none, page_size, with_money
from app.simulator.model import Side, text


class BybitAccount(BybitGateway):
    """Everything but orders."""

    # ---- public -----------------------------------------------------------------------------------------------------

    def _instruments(self, ctx: Context) -> Answer:
        listed = [] if ctx.params.get("status", "Trading") != "Trading" else list(self.engine.markets.values())
        native = ctx.params.get("symbol")
        items = [instrument_item(m) for m in listed if native is None or m.native == native]
        if ctx.params.get("category") != "linear":
            items = []
        return self.ok(ctx, {"category": ctx.params.get("category"), "list": items, "nextPageCursor": ""})

    def _time(self, ctx: Context) -> Answer:
        return self.ok(ctx, {"timeSecond": str(ctx.now_ms // 1000), "timeNano": str(ctx.now_ms * 1_000_000)})

    def _status(self, ctx: Context) -> Answer:
        words = self.engine.venue.maintenance
        entry = {
            "id": "1",
            "title": words,
            "state": "ongoing",
            "begin": str(ctx.now_ms),
            "end": "",
            "href": "",
            "serviceTypes": [1, 2, 3, 4, 5],
            "product": [1, 2, 3, 4],
            "uidSuffix": [],
            "maintainType": 1,
            "env": 1,
        }
        return self.ok(ctx, {"list": [] if words is None else [entry]})

    def _tickers(self, ctx: Context) -> Answer:
        self.linear(ctx)
        native = ctx.params.get("symbol")
        markets = [self.market_of(native)] if native else list(self.engine.markets.values())
        return self.ok(ctx, {"category": "linear", "list": [ticker_item(m, self.engine) for m in markets]})

    def _orderbook(self, ctx: Context) -> Answer:
        market = self.market_of(ctx.params.get("symbol"))
        bids, asks = self.engine.book(market.symbol, page_size(ctx.params.get("limit"), 25, 50))
        return self.ok(
            ctx,
            {
                "s": market.native,
                "b": [[text(level.price), text(level.qty)] for level in bids],
                "a": [[text(level.price), text(level.qty)] for level in asks],
                "ts": ctx.now_ms,
                "u": ctx.now_ms,
                "seq": ctx.now_ms,
            },
        )

    # ---- account ----------------------------------------------------------------------------------------------------

    def _positions(self, ctx: Context) -> Answer:
        self.linear(ctx)
        ledger, native = self.engine.ledger, ctx.params.get("symbol")
        if native:
            found = [ledger.position(self.market_of(native).symbol)]
        elif ctx.params.get("settleCoin"):
            found = self.engine.positions() if ctx.params["settleCoin"] == ledger.settle else []
        else:
            raise NativeError(10001, "params error: symbol or settleCoin is required")
        items = [position_item(p, self.engine.markets[p.symbol], self.engine) for p in found]
        return self.ok(ctx, {"category": "linear", "list": items, "nextPageCursor": ""})

    def _set_leverage(self, ctx: Context) -> Answer:
        market = self.market_of(ctx.params.get("symbol"))
        buy, sell = (decimal_or_none(ctx.params.get(f"{side_word(s).lower()}Leverage")) for s in Side)
        if buy is None or buy != sell:
            raise NativeError(10001, "buy leverage not equal sell leverage")
        if not self.engine.set_leverage(market.symbol, buy):
            raise NativeError(110043, "leverage not modified")
        return self.ok(ctx, {})

    def _switch_mode(self, ctx: Context) -> Answer:
        if ctx.params.get("mode") == "0":
            raise NativeError(110025, "Position mode is not modified")
        raise NativeError(110029, "Hedge mode is not available for this symbol")

    def _wallet(self, ctx: Context) -> Answer:
        ledger = self.engine.ledger
        wanted = [c for c in ctx.params.get("coin", "").split(",") if c]
        held = sum(
            (abs(p.qty) * self.engine.prices[p.symbol] / p.leverage for p in self.engine.positions()), Decimal(0)
        )
        used = ledger.used_margin
        maintenance = sum((ledger.maintenance(p) for p in self.engine.positions()), Decimal(0))
        coins = []
        for coin, amount in ledger.balances.items():
            if wanted and coin not in wanted:
                continue
            main = coin == ledger.settle
            coins.append(
                {
                    "coin": coin,
                    "equity": with_money(ledger.equity if main else amount),
                    "usdValue": with_money(ledger.equity if main else amount),
                    "walletBalance": with_money(amount),
                    "availableToWithdraw": "",
                    "borrowAmount": "0",
                    "accruedInterest": "0",
                    "totalOrderIM": with_money(used - held) if main else "0",
                    "totalPositionIM": with_money(held) if main else "0",
                    "totalPositionMM": with_money(maintenance) if main else "0",
                    "unrealisedPnl": with_money(ledger.equity - amount) if main else "0",
                    "cumRealisedPnl": "0",
                    "bonus": "0",
                    "locked": with_money(ledger.locked.get(coin, Decimal(0))),
                    "spotHedgingQty": "0",
                    "collateralSwitch": True,
                    "marginCollateral": True,
                }
            )
        account = {
            "accountType": "UNIFIED",
            "accountLTV": "",
            "totalEquity": with_money(ledger.equity),
            "totalWalletBalance": with_money(ledger.balances[ledger.settle]),
            "totalMarginBalance": with_money(ledger.equity),
            "totalAvailableBalance": with_money(ledger.available),
            "totalInitialMargin": with_money(used),
            "totalMaintenanceMargin": with_money(maintenance),
            "totalPerpUPL": with_money(ledger.equity - ledger.balances[ledger.settle]),
            "coin": coins,
        }
        return self.ok(ctx, {"list": [account]})

    def _query_api(self, ctx: Context) -> Answer:
        grants = {"ContractTrade": ["Order", "Position"], "Wallet": ["AccountTransfer"], "Derivatives": []}
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
                "unified": 0,
                "uta": 1,
                "userID": 1,
                "isMaster": True,
            },
        )

    def _account_info(self, ctx: Context) -> Answer:
        return self.ok(
            ctx,
            {
                "marginMode": "REGULAR_MARGIN",
                "updatedTime": "0",
                "unifiedMarginStatus": 5,
                "dcpStatus": "OFF",
                "timeWindow": 0,
                "smpGroup": 0,
                "isMasterTrader": False,
                "spotHedgingStatus": "OFF",
            },
        )
