"""From the vocabulary of the actors to the shapes a caller sees."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from app.core import render_book, shapes
from app.core.render_health import health, milli, network
from app.core.spelling import Spell as Spell
from app.core.spelling import compact as compact
from app.core.spelling import milliseconds as milliseconds
from app.core.spelling import number as number
from app.domain.exits import parent_of
from app.domain.leg_life import ASIDE, BETWEEN
from app.domain.order_life import OrderState, state_of
from messages.account import DeadManView
from messages.executions import Execution
from messages.failover import OrderLeft, Readiness, StatusReply, Switch
from messages.market import (
    Balance,
    ExchangeStatusReply,
    Kline,
    Level,
    OrderBook,
    ServerTimeReply,
    SettingDone,
    Ticker,
)
from messages.orders import LIVE_OR_UNPROVEN, OrderType, OrderView, Side, TriggerBy, TriggerKind
from messages.positions import Position

STATUS_WORDS = {
    OrderState.INTENT: "Created",
    OrderState.SENT: "Created",
    OrderState.UNKNOWN: "Unknown",
    OrderState.LIVE: "New",
    OrderState.PARTIALLY_FILLED: "PartiallyFilled",
    OrderState.FILLED: "Filled",
    OrderState.CANCELLED: "Cancelled",
    OrderState.EXPIRED: "Expired",
    OrderState.REFUSED: "Rejected",
    OrderState.ABSENT: "NotExecuted",
    OrderState.UNFINISHED: "Cancelled",
    OrderState.HELD: "Unknown",
    OrderState.MOVING: "Moving",
    OrderState.PARKED: "Parked",
}

SIDE_WORDS = {Side.BUY: "Buy", Side.SELL: "Sell"}
TRIGGER_WORDS = {TriggerKind.STOP: "Stop", TriggerKind.TAKE_PROFIT: "TakeProfit"}
TRIGGER_BY_WORDS = {TriggerBy.LAST: "LastPrice", TriggerBy.MARK: "MarkPrice"}
TYPE_WORDS = {OrderType.LIMIT: "Limit", OrderType.MARKET: "Market"}


def order(view: OrderView, spell: Spell) -> shapes.Order:
    """An order as the caller sees it."""
    leg, spec, state = view.leg, view.now, state_of(view)
    trigger = spec.trigger
    filled = view.filled
    value = sum((leg.filled * leg.average_price for leg in view.legs if leg.average_price is not None), Decimal(0))
    return shapes.Order(
        orderId=view.order_id,
        parentOrderId=parent_of(view.key),
        orderLinkId=view.key.client_order_id,
        exchangeOrderId=(leg.exchange_order_id or "") if leg else "",
        strategy=view.key.strategy,
        symbol=compact(spec.symbol),
        side=SIDE_WORDS[spec.side],
        orderType=TYPE_WORDS[spec.order_type],
        qty=number(spec.quantity),
        price=number(spec.price),
        timeInForce=spec.time_in_force.value,
        reduceOnly=spec.reduce_only,
        takeProfit=number(spec.take_profit),
        stopLoss=number(spec.stop_loss),
        stopOrderType=TRIGGER_WORDS[trigger.kind] if trigger else "",
        triggerPrice=number(trigger.price) if trigger else "",
        triggerBy=TRIGGER_BY_WORDS[trigger.by] if trigger else "",
        orderStatus=STATUS_WORDS[state],
        cumExecQty=number(filled),
        leavesQty=number(_leaves(view)),
        heldQty=number(sum((each.remaining for each in view.legs if each.state in ASIDE), Decimal(0))),
        excessQty=number(max(Decimal(0), filled - spec.quantity)),
        avgPrice=number(_average(value, filled, view)),
        rejectReason=(leg.reason_words or "") if leg else "",
        createdTime=milliseconds(view.created_s),
        updatedTime=milliseconds(leg.updated_s if leg else view.created_s),
        exchange=spell(leg.exchange) if leg else "",
        epoch=leg.epoch if leg else 0,
    )


def _leaves(view: OrderView) -> Decimal:
    """What of it may still fill, or is still to be placed."""
    leg = view.leg
    if leg is None or leg.state not in LIVE_OR_UNPROVEN | BETWEEN:
        return Decimal(0)
    return leg.remaining if leg.state in LIVE_OR_UNPROVEN else view.quantity - view.filled


def _average(value: Decimal, filled: Decimal, view: OrderView) -> Decimal | None:
    prices = {leg.average_price for leg in view.legs if leg.filled > 0}
    if filled == 0 or None in prices:
        return None
    return prices.pop() if len(prices) == 1 else value / filled


def coin(balance: Balance, spell: Spell, now_s: float) -> shapes.CoinBalance:
    """One coin."""
    return shapes.CoinBalance(
        coin=balance.coin,
        walletBalance=number(balance.total),
        availableBalance=number(balance.free),
        locked=number(balance.used),
        exchange=spell(balance.exchange),
        time=milliseconds(balance.at_s),
        age_s=round(max(0.0, now_s - balance.at_s), 3),
    )


def ticker(view: Ticker, spell: Spell, now_s: float) -> shapes.Ticker:
    """A market."""
    return shapes.Ticker(
        symbol=compact(view.symbol),
        lastPrice=number(view.last),
        bid1Price=number(view.bid),
        ask1Price=number(view.ask),
        markPrice=number(view.mark),
        exchange=spell(view.exchange),
        time=milliseconds(view.at_s),
        age_s=round(max(0.0, now_s - view.at_s), 3),
    )


def _levels(levels: Iterable[Level]) -> list[shapes.PriceLevel]:
    return [shapes.PriceLevel(price=number(level.price), size=number(level.quantity)) for level in levels]


def order_book(view: OrderBook, spell: Spell, now_s: float) -> shapes.OrderBook:
    """The best prices of a market."""
    return shapes.OrderBook(
        symbol=compact(view.symbol),
        bids=_levels(view.bids),
        asks=_levels(view.asks),
        exchange=spell(view.exchange),
        time=milliseconds(view.at_s),
        age_s=round(max(0.0, now_s - view.at_s), 3),
    )


def kline(view: Kline) -> shapes.Kline:
    """One bar."""
    return shapes.Kline(
        startTime=milliseconds(view.start_s),
        openPrice=number(view.open),
        highPrice=number(view.high),
        lowPrice=number(view.low),
        closePrice=number(view.close),
        volume=number(view.volume),
    )


def fill(view: Execution, spell: Spell) -> shapes.Fill:
    """One trade."""
    return shapes.Fill(
        execId=view.trade_id,
        symbol=compact(view.symbol),
        side=SIDE_WORDS[view.side],
        execQty=number(view.quantity),
        execPrice=number(view.price),
        execFee=number(view.fee),
        feeCurrency=view.fee_coin or "",
        isMaker=view.maker,
        orderId=view.order_id or "",
        orderLinkId=view.key.client_order_id if view.key else "",
        exchangeOrderId=view.exchange_order_id,
        strategy=view.key.strategy if view.key else "",
        exchange=spell(view.exchange),
        execTime=milliseconds(view.at_s),
    )


def exchange_status(reply: ExchangeStatusReply, spell: Spell) -> shapes.ExchangeStatus:
    """What an exchange says of itself."""
    view, offset_s = reply.status, reply.clock_offset_s
    return shapes.ExchangeStatus(
        exchange=spell(view.exchange),
        ok=view.ok,
        words=view.words,
        until=milliseconds(view.until_s),
        time=milliseconds(view.at_s),
        serverTime=milliseconds(None if offset_s is None else view.at_s + offset_s),
        clock_offset_ms=milli(offset_s),
    )


def server_time(reply: ServerTimeReply, spell: Spell) -> shapes.ServerTime:
    """What time it is on an exchange."""
    return shapes.ServerTime(
        exchange=spell(reply.exchange),
        serverTime=milliseconds(reply.server_s),
        clock_offset_ms=round(reply.clock_offset_s * 1000, 3),
    )


def setting(reply: SettingDone, spell: Spell) -> shapes.Setting:
    """A setting that was made."""
    return shapes.Setting(exchange=spell(reply.exchange), changed=reply.changed)


def position(view: Position, spell: Spell) -> shapes.Position:
    """A position."""
    return shapes.Position(
        symbol=compact(view.symbol),
        side="Buy" if view.quantity > 0 else "Sell",
        size=number(abs(view.quantity)),
        avgPrice=number(view.entry_price),
        markPrice=number(view.mark_price),
        leverage=number(view.leverage),
        unrealisedPnl=number(view.unrealised_pnl),
        liqPrice=number(view.liquidation_price),
        exchange=spell(view.exchange),
        updatedTime=milliseconds(view.at_s),
    )


def candidate(view: Readiness, spell: Spell) -> shapes.Candidate:
    """How ready an exchange is."""
    asked = view.at_s is not None
    return shapes.Candidate(
        exchange=spell(view.exchange),
        ready=asked and not view.problems,
        problems=list(view.problems) if asked or view.problems else ["It was not asked yet."],
        shortfalls=list(view.shortfalls),
        notes=list(view.notes),
        time=milliseconds(view.at_s),
    )


def status(reply: StatusReply, spell: Spell) -> shapes.Status:
    """The state of the router."""
    return shapes.Status(
        status=reply.state.value,
        words=reply.words,
        current_exchange=spell(reply.route.exchange) if reply.route.exchange else None,
        primary_exchange=spell(reply.primary_exchange),
        failover_exchanges=[spell(name) for name in reply.failover_exchanges],
        auto_failover=reply.auto_failover,
        epoch=reply.route.epoch,
        exchange_health={spell(view.exchange): health(view) for view in reply.health},
        own_network=network(reply.network, reply.witnesses),
        actors=[shapes.ActorStatus(name=a.name, pid=a.pid, restarts=a.restarts) for a in reply.actors],
        orders=dict(reply.orders),
        unknown_oldest_s=reply.unknown_oldest_s,
        book=[render_book.entry(line, spell) for line in reply.book],
        net=[render_book.entry(line, spell) for line in reply.net],
        position_alarms=[render_book.alarm(each, spell) for each in reply.alarms],
        position_differences=[render_book.difference(each, spell) for each in reply.differences],
        limits=dict(reply.limits),
        unprotected=reply.unprotected,
        excess=reply.excess,
        held_notional=number(reply.held_notional),
        controls=list(reply.controls),
        readiness=[candidate(each, spell) for each in reply.readiness],
        dead_man={spell(view.exchange): dead_man(view) for view in reply.dead_man},
    )


def order_left(left: OrderLeft) -> shapes.OrderLeft:
    """An order that may still be live where trading is not."""
    return shapes.OrderLeft(
        orderId=left.order_id,
        orderLinkId=left.client_order_id,
        symbol=left.symbol,
        state=left.state,
        leavesQty=left.remaining,
    )


def dead_man(view: DeadManView) -> shapes.DeadManSwitch:
    """How a dead-man switch stands."""
    return shapes.DeadManSwitch(
        timeout_s=view.timeout_s,
        armed=milliseconds(view.armed_s),
        fires=milliseconds(view.fires_s),
        words=view.words,
        gone=view.gone,
    )


def switch(entry: Switch, spell: Spell) -> shapes.HistoryEntry:
    """One switch."""
    return shapes.HistoryEntry(
        from_exchange=spell(entry.from_exchange) if entry.from_exchange else None,
        to_exchange=spell(entry.to_exchange) if entry.to_exchange else None,
        reason=entry.reason,
        timestamp=milliseconds(entry.at_s),
        epoch=entry.epoch,
        duration_s=round(entry.duration_s, 6),
        result=entry.result.value,
        finished=entry.finished,
        steps=dict(entry.steps),
        candidates_rejected={spell(name): why for name, why in entry.candidates_rejected},
        orders_cancelled=list(entry.orders_cancelled),
        orders_left=[order_left(left) for left in entry.orders_left],
        orders_carried=[
            shapes.OrderCarried(
                orderId=each.order_id,
                orderLinkId=each.client_order_id,
                from_exchange=spell(each.from_exchange),
                to_exchange=spell(each.to_exchange),
                cumExecQty=each.filled,
                qty=each.quantity,
                price=each.price,
            )
            for each in entry.orders_carried
        ],
        orders_parked=[
            shapes.OrderParked(
                orderId=each.order_id,
                orderLinkId=each.client_order_id,
                from_exchange=spell(each.from_exchange),
                leavesQty=each.quantity,
                code=each.code,
                words=each.words,
            )
            for each in entry.orders_parked
        ],
        positions_left=[shapes.PositionLeft(symbol=p.symbol, size=p.quantity) for p in entry.positions_left],
        positions_read=entry.positions_read,
        positions_moved=[shapes.PositionLeft(symbol=p.symbol, size=p.quantity) for p in entry.positions_moved],
        evidence=list(entry.evidence),
    )
