"""OKX V5's public data, balance, positions and account settings."""

from decimal import Decimal

from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.okx_gateway import OkxGateway
from app.simulator.dialects.okx_shapes import contracts, instrument_item, position_item, ticker_item
from app.simulator.dialects.wire import Answer, decimal_or_none, page_size, with_money
from app.simulator.model import text


class OkxAccount(OkxGateway):
    """Everything but orders."""

    def _time(self, ctx: Context) -> Answer:
        return self.ok([{"ts": str(ctx.now_ms)}])

    def _status(self, ctx: Context) -> Answer:
        words = self.engine.venue.maintenance
        entry = {
            "title": words,
            "state": "ongoing",
            "begin": str(ctx.now_ms),
            "end": "",
            "preOpenBegin": "",
            "href": "",
            "serviceType": "0",
            "system": "unified",
            "scheDesc": "",
            "maintType": "1",
            "env": "1",
        }
        return self.ok([] if words is None or ctx.params.get("state", "ongoing") != "ongoing" else [entry])

    def _instruments(self, ctx: Context) -> Answer:
        if ctx.params.get("instType") != "SWAP":
            return self.ok([])
        native = ctx.params.get("instId")
        markets = [self.market_of(native)] if native else list(self.engine.markets.values())
        return self.ok([instrument_item(m) for m in markets])

    def _ticker(self, ctx: Context) -> Answer:
        return self.ok([ticker_item(self.market_of(ctx.params.get("instId")), self.engine, ctx.now_ms)])

    def _tickers(self, ctx: Context) -> Answer:
        swaps = self.engine.markets.values() if ctx.params.get("instType") == "SWAP" else ()
        return self.ok([ticker_item(m, self.engine, ctx.now_ms) for m in swaps])

    def _books(self, ctx: Context) -> Answer:
        market = self.market_of(ctx.params.get("instId"))
        bids, asks = self.engine.book(market.symbol, page_size(ctx.params.get("sz"), 1, 50))
        return self.ok(
            [
                {
                    "asks": [[text(level.price), contracts(level.qty, market), "0", "1"] for level in asks],
                    "bids": [[text(level.price), contracts(level.qty, market), "0", "1"] for level in bids],
                    "ts": str(ctx.now_ms),
                    "seqId": ctx.now_ms,
                }
            ]
        )

    def _mark_price(self, ctx: Context) -> Answer:
        native = ctx.params.get("instId")
        markets = [self.market_of(native)] if native else list(self.engine.markets.values())
        now = str(ctx.now_ms)
        return self.ok([_mark(m.native, text(self.engine.mark(m.symbol)), now) for m in markets])

    # ---- account ----------------------------------------------------------------------------------------------------

    def _config(self, ctx: Context) -> Answer:
        return self.ok(
            [
                {
                    "acctLv": "2",
                    "acctStpMode": "cancel_maker",
                    "autoLoan": False,
                    "ctIsoMode": "automatic",
                    "enableSpotBorrow": False,
                    "greeksType": "PA",
                    "ip": "",
                    "kycLv": "3",
                    "label": "simulated",
                    "level": "Lv1",
                    "mainUid": "1",
                    "mgnIsoMode": "automatic",
                    "perm": "read_only,trade",
                    "posMode": "net_mode",
                    "roleType": "0",
                    "type": "0",
                    "uid": "1",
                }
            ]
        )

    def _balance(self, ctx: Context) -> Answer:
        ledger = self.engine.ledger
        wanted = [c for c in ctx.params.get("ccy", "").split(",") if c]
        details = []
        for coin, amount in ledger.balances.items():
            if wanted and coin not in wanted:
                continue
            main = coin == ledger.settle
            equity = ledger.equity if main else amount
            free = ledger.available if main else max(amount, Decimal(0))
            details.append(
                {
                    "accAvgPx": "",
                    "availBal": with_money(free),
                    "availEq": with_money(free),
                    "cashBal": with_money(amount),
                    "ccy": coin,
                    "crossLiab": "",
                    "disEq": with_money(equity),
                    "eq": with_money(equity),
                    "eqUsd": with_money(equity),
                    "frozenBal": with_money(ledger.used_margin if main else Decimal(0)),
                    "imr": with_money(ledger.used_margin if main else Decimal(0)),
                    "interest": "",
                    "isoEq": "0",
                    "liab": "",
                    "mgnRatio": "",
                    "mmr": "0",
                    "notionalLever": "0",
                    "ordFrozen": "0",
                    "uTime": str(ctx.now_ms),
                    "upl": with_money(equity - amount),
                }
            )
        account = {
            "adjEq": "",
            "availEq": "",
            "details": details,
            "imr": "",
            "isoEq": "0",
            "mgnRatio": "",
            "mmr": "",
            "notionalUsd": "",
            "ordFroz": "",
            "totalEq": with_money(ledger.equity),
            "uTime": str(ctx.now_ms),
            "upl": "",
        }
        return self.ok([account])

    def _positions(self, ctx: Context) -> Answer:
        wanted = [self.market_of(n).symbol for n in ctx.params.get("instId", "").split(",") if n]
        if ctx.params.get("instType", "SWAP") != "SWAP":
            return self.ok([])
        found = [p for p in self.engine.positions() if not wanted or p.symbol in wanted]
        return self.ok([position_item(p, self.engine.markets[p.symbol], self.engine) for p in found])

    def _leverage_info(self, ctx: Context) -> Answer:
        markets = [self.market_of(n) for n in ctx.params.get("instId", "").split(",") if n]
        mode = ctx.params.get("mgnMode", "cross")
        return self.ok([self._lever(m.symbol, m.native, mode) for m in markets])

    def _set_leverage(self, ctx: Context) -> Answer:
        market, lever = self.market_of(ctx.params.get("instId")), decimal_or_none(ctx.params.get("lever"))
        if lever is None or ctx.params.get("mgnMode") not in ("cross", "isolated"):
            raise NativeError("51000", "Parameter lever or mgnMode error", status=400)
        self.engine.set_leverage(market.symbol, lever)
        return self.ok([self._lever(market.symbol, market.native, ctx.params["mgnMode"])])

    def _lever(self, symbol: str, native: str, mode: str) -> dict[str, str]:
        lever = text(self.engine.ledger.position(symbol).leverage)
        return {"ccy": "", "instId": native, "lever": lever, "mgnMode": mode, "posSide": "net"}

    def _set_position_mode(self, ctx: Context) -> Answer:
        if ctx.params.get("posMode") != "net_mode":
            raise NativeError("59000", "Your settings failed as you have positions or open orders.")
        return self.ok([{"posMode": "net_mode"}])


def _mark(native: str, price: str, now: str) -> dict[str, str]:
    return {"instId": native, "instType": "SWAP", "markPx": price, "ts": now}
