"""Bybit V5's positions: leverage, mode, margin, and take profit and stop loss of a position (trading-stop).

Positions of a symbol are told by an index: 0 in one-way mode, 1 the long and 2 the short one in hedge mode.
"""

from decimal import Decimal

from app.simulator.dialects.base import Context, NativeError
from app.simulator.dialects.bybit_account import BybitAccount
from app.simulator.dialects.bybit_shapes import TAG_STOP_LOSS, TAG_TAKE_PROFIT, position_item
from app.simulator.dialects.wire import Answer, decimal_or_none
from app.simulator.model import (
    Attach,
    NewOrder,
    OrderType,
    Position,
    PositionSide,
    Reason,
    Refusal,
    Side,
    Trigger,
    TriggerBy,
)
from app.simulator.spec import MarketKind

INDEXES = {"0": PositionSide.BOTH, "1": PositionSide.LONG, "2": PositionSide.SHORT}
BY = {"MarkPrice": TriggerBy.MARK}
"""LastPrice is the default; the index price is the last price here."""


def position_side(ctx: Context) -> PositionSide:
    """What positionIdx says."""
    found = INDEXES.get(ctx.params.get("positionIdx") or "0")
    if found is None:
        raise NativeError(10001, "position idx not match position mode")
    return found


class BybitPosition(BybitAccount):
    """Positions and their settings."""

    def _positions(self, ctx: Context) -> Answer:
        """By symbol also flat ones; by settlement coin what is open."""
        if self.kind(ctx) is MarketKind.SPOT:
            raise NativeError(10001, "params error: category invalid")
        engine, found = self.engine, list[Position]()
        if ctx.params.get("symbol"):
            symbol = self.market(ctx).symbol
            sides = (PositionSide.LONG, PositionSide.SHORT) if engine.is_hedged(symbol) else (PositionSide.BOTH,)
            found = [engine.position_of(symbol, side) for side in sides]
        else:
            scope = self.scope(ctx)
            found = [p for p in engine.positions() if p.symbol in scope]
        items = [position_item(p, engine.markets[p.symbol], engine) for p in found]
        return self.ok(ctx, {"category": ctx.params["category"], "list": items, "nextPageCursor": ""})

    def _set_leverage(self, ctx: Context) -> Answer:
        """Each side has its own only in hedge mode under isolated margin."""
        market = self.market(ctx)
        buy, sell = (decimal_or_none(ctx.params.get(f"{side}Leverage")) for side in ("buy", "sell"))
        apart = self.engine.is_hedged(market.symbol) and market.symbol in self.engine.ledger.isolated
        if buy is None or sell is None or (buy != sell and not apart):
            raise NativeError(10001, "buy leverage not equal sell leverage")
        if apart:
            changed = self.engine.set_leverage(market.symbol, buy, PositionSide.LONG)
            changed |= self.engine.set_leverage(market.symbol, sell, PositionSide.SHORT)
        else:
            changed = self.engine.set_leverage(market.symbol, buy)
        if not changed:
            raise NativeError(110043, "leverage not modified")
        return self.ok(ctx, {})

    def _switch_mode(self, ctx: Context) -> Answer:
        """Of a symbol, or of every symbol of a coin."""
        mode = ctx.params.get("mode")
        if mode not in ("0", "3"):
            raise NativeError(10001, "params error: mode invalid")
        if ctx.params.get("symbol"):
            symbols = {self.market(ctx).symbol}
        elif ctx.params.get("coin"):
            symbols = {m.symbol for m in self.engine.markets.values() if not m.is_spot}
        else:
            raise NativeError(10001, "params error: symbol or coin is required")
        if not self.engine.set_hedge_mode(mode == "3", symbols):
            raise NativeError(110025, "Position mode is not modified")
        return self.ok(ctx, {})

    def _switch_isolated(self, ctx: Context) -> Answer:
        """A unified account has one margin mode for everything: /v5/account/set-margin-mode."""
        raise NativeError(100028, "unified account is forbidden")

    def _add_margin(self, ctx: Context) -> Answer:
        market, side = self.market(ctx), position_side(ctx)
        self.engine.add_margin(market.symbol, decimal_or_none(ctx.params.get("margin")) or Decimal(0), side)
        return self.ok(ctx, position_item(self.engine.position_of(market.symbol, side), market, self.engine))

    # ---- levels of a position ---------------------------------------------------------------------------------------

    def _trading_stop(self, ctx: Context) -> Answer:
        """Full: one take profit and one stop loss for the whole position, "0" removes; Partial adds of a quantity."""
        given, market, side = ctx.params, self.market(ctx), position_side(ctx)
        if decimal_or_none(given.get("trailingStop")):
            raise NativeError(10001, "params error: trailingStop is not simulated")
        mode = given.get("tpslMode") or "Full"
        if mode not in ("Full", "Partial"):
            raise NativeError(10001, "params error: tpslMode invalid")
        if mode == "Partial":
            self._partial(ctx, side)
            return self.ok(ctx, {})
        self.engine.set_position_levels(
            market.symbol,
            ctx.now_ms,
            take_profit=decimal_or_none(given.get("takeProfit")),
            stop_loss=decimal_or_none(given.get("stopLoss")),
            attach=Attach(
                take_profit_by=BY.get(given.get("tpTriggerBy", ""), TriggerBy.LAST),
                stop_loss_by=BY.get(given.get("slTriggerBy", ""), TriggerBy.LAST),
                whole_position=True,
            ),
            side=side,
        )
        return self.ok(ctx, {})

    def _partial(self, ctx: Context, side: PositionSide) -> None:
        """Of both levels, of which the sizes must be equal, the first to go off cancels the other."""
        market = self.market(ctx)
        position = self.engine.position_of(market.symbol, side)
        if not position.qty:
            raise Refusal(Reason.NO_POSITION, f"There is no position of {market.symbol}.", symbol=market.symbol)
        sizes = [decimal_or_none(ctx.params.get(k)) for k in ("tpSize", "slSize")]
        pair = [
            self._level(ctx, position, size, short)
            for size, short, name in zip(sizes, ("tp", "sl"), ("takeProfit", "stopLoss"), strict=True)
            if decimal_or_none(ctx.params.get(name))
        ]
        if not pair:
            raise NativeError(10001, "params error: takeProfit or stopLoss is required")
        if len(pair) == 2:
            if pair[0].qty != pair[1].qty:
                raise NativeError(10001, "params error: tpSize and slSize must be equal")
            self.engine.place_oco(pair, ctx.now_ms, visible_from_ms=ctx.visible_from_ms)
        else:
            self.place(ctx, pair[0])

    @staticmethod
    def _level(ctx: Context, position: Position, size: Decimal | None, short: str) -> NewOrder:
        profit = short == "tp"
        side = Side.SELL if position.qty > 0 else Side.BUY
        price = decimal_or_none(ctx.params.get("takeProfit" if profit else "stopLoss")) or Decimal(0)
        limit = decimal_or_none(ctx.params.get(f"{short}LimitPrice"))
        limited = ctx.params.get(f"{short}OrderType") == "Limit"
        return NewOrder(
            symbol=position.symbol,
            side=side,
            type=OrderType.LIMIT if limited else OrderType.MARKET,
            qty=abs(position.qty) if size is None else size,
            price=limit if limited else None,
            reduce_only=True,
            trigger=Trigger(
                price=price,
                rising=profit is (side is Side.SELL),
                by=BY.get(ctx.params.get(f"{short}TriggerBy", ""), TriggerBy.LAST),
            ),
            position_side=position.side,
            tag=TAG_TAKE_PROFIT if profit else TAG_STOP_LOSS,
        )
