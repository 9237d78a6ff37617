"""Between the journal's rows and the values of the vocabulary."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from attrs import evolve

from app.domain.book import Exposure, Holding
from app.domain.calls import FillReport
from app.domain.commit import CommitNew
from app.domain.leg_life import Leg
from messages.executions import Execution
from messages.failover import Route
from messages.market import MarketType, Symbol
from messages.orders import (
    LegState,
    LegView,
    Linked,
    OrderKey,
    OrderSpec,
    OrderType,
    OrderView,
    Side,
    TimeInForce,
    Trigger,
    TriggerBy,
    TriggerKind,
    Wanted,
)

Row = Mapping[str, Any] | sqlite3.Row


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def text(value: Decimal | None) -> str | None:
    """A Decimal as the journal stores it: plain, never in exponent form."""
    return None if value is None else format(value, "f")


def as_wanted(wanted: Wanted | None) -> str | None:
    """What a leg was asked to become, as the journal stores it."""
    if wanted is None:
        return None
    named = (("quantity", wanted.quantity), ("price", wanted.price), ("trigger_price", wanted.trigger_price))
    facts: dict[str, str | float | None] = {name: text(value) for name, value in named if value is not None}
    if wanted.until_s is not None:
        facts["until_s"] = wanted.until_s
    return json.dumps(facts)


def wanted_of(stored: str | None) -> Wanted | None:
    """The same, read again."""
    if stored is None:
        return None
    facts = json.loads(stored)
    until_s = facts.pop("until_s", None)
    return Wanted(until_s=until_s, **{name: Decimal(value) for name, value in facts.items()})


def symbol_of(row: Row) -> Symbol:
    """The symbol a row of `orders` holds."""
    return Symbol(
        base=row["base"], quote=row["quote"], settle=row["settle"], market_type=MarketType(row["market_type"])
    )


def trigger_of(row: Row) -> Trigger | None:
    """What sets off the order a row of `orders` holds."""
    if row["trigger_kind"] is None:
        return None
    return Trigger(
        kind=TriggerKind(row["trigger_kind"]),
        price=Decimal(row["trigger_price"]),
        by=TriggerBy(row["trigger_by"]),
    )


def exposure_of(row: Row) -> Exposure:
    """What a leg contributes to the book, from a row of `orders` joined with `legs`."""
    return Exposure(
        exchange=row["exchange"],
        symbol=symbol_of(row),
        side=Side(row["side"]),
        quantity=Decimal(row["leg_quantity"]),
        filled=Decimal(row["filled"]),
        state=LegState(row["state"]),
        reduce_only=bool(row["reduce_only"]),
        unflagged=bool(row["unflagged"]),
        stop=row["trigger_kind"] == TriggerKind.STOP.value,
    )


def holding_of(row: Row) -> Holding:
    """What a row of `traded` adds up to."""
    return Holding(
        attributed=_decimal(row["attributed"]) or Decimal(0),
        adopted=_decimal(row["adopted"]) or Decimal(0),
        foreign=_decimal(row["beside"]) or Decimal(0),
    )


def leg_of(row: Row) -> LegView:
    """The leg a row of `legs` holds."""
    return LegView(
        number=row["number"],
        exchange=row["exchange"],
        epoch=row["epoch"],
        wire_id=row["wire_id"],
        quantity=Decimal(row["quantity"]),
        state=LegState(row["state"]),
        committed_s=row["committed_s"],
        expiry_s=row["expiry_s"],
        attempts=row["attempts"],
        exchange_order_id=row["exchange_order_id"],
        filled=Decimal(row["filled"]),
        average_price=_decimal(row["average_price"]),
        reason_code=row["reason_code"],
        reason_words=row["reason_words"],
        native_code=row["native_code"],
        created_s=row["created_s"],
        updated_s=row["updated_s"],
        linked=None if row["linked"] is None else Linked(row["linked"]),
        price=_decimal(row["price"]),
        trigger_price=_decimal(row["trigger_price"]),
        whole=_decimal(row["whole"]),
        most=_decimal(row["most"]),
        listed=_decimal(row["listed"]) or Decimal(0),
        cancel_asked_s=row["cancel_asked_s"],
        wanted=wanted_of(row["wanted"]),
        carry_s=row["carry_s"],
        unflagged=bool(row["unflagged"]),
    )


def order_of(row: Row, legs: Iterable[Row]) -> OrderView:
    """The order a row of `orders` and its rows of `legs` hold."""
    return OrderView(
        order_id=row["order_id"],
        key=OrderKey(strategy=row["strategy"], client_order_id=row["client_order_id"]),
        spec=OrderSpec(
            symbol=symbol_of(row),
            side=Side(row["side"]),
            order_type=OrderType(row["order_type"]),
            quantity=Decimal(row["quantity"]),
            price=_decimal(row["price"]),
            time_in_force=TimeInForce(row["time_in_force"]),
            reduce_only=bool(row["reduce_only"]),
            take_profit=_decimal(row["take_profit"]),
            stop_loss=_decimal(row["stop_loss"]),
            trigger=trigger_of(row),
        ),
        legs=tuple(leg_of(leg) for leg in legs),
        created_s=row["created_s"],
    )


def row_of_order(order_id: str, key: OrderKey, spec: OrderSpec, now_s: float) -> dict[str, Any]:
    """The row of `orders` for a new order."""
    return {
        "order_id": order_id,
        "strategy": key.strategy,
        "client_order_id": key.client_order_id,
        "base": spec.symbol.base,
        "quote": spec.symbol.quote,
        "settle": spec.symbol.settle,
        "market_type": spec.symbol.market_type.value,
        "side": spec.side.value,
        "order_type": spec.order_type.value,
        "quantity": text(spec.quantity),
        "price": text(spec.price),
        "time_in_force": spec.time_in_force.value,
        "reduce_only": spec.reduce_only,
        "take_profit": text(spec.take_profit),
        "stop_loss": text(spec.stop_loss),
        "trigger_kind": None if spec.trigger is None else spec.trigger.kind.value,
        "trigger_price": None if spec.trigger is None else text(spec.trigger.price),
        "trigger_by": None if spec.trigger is None else spec.trigger.by.value,
        "created_s": now_s,
    }


def new_leg(
    new: CommitNew,
    wire_id: str,
    exchange: str,
    epoch: int,
    *,
    expiry_s: float,
    now_s: float,
    linked: Linked | None = None,
) -> LegView:
    """The leg that a decision asks for, as it is about to be written."""
    return LegView(
        number=new.number,
        exchange=exchange,
        epoch=epoch,
        wire_id=wire_id,
        quantity=new.quantity,
        state=LegState.INTENT,
        committed_s=now_s,
        expiry_s=expiry_s,
        attempts=1,
        exchange_order_id=None,
        filled=Decimal(0),
        average_price=None,
        reason_code=None,
        reason_words=None,
        native_code=None,
        created_s=now_s,
        updated_s=now_s,
        linked=linked,
        price=new.price,
        trigger_price=new.trigger_price,
        whole=new.whole,
        unflagged=new.unflagged,
    )


def leg_again(leg: LegView, epoch: int, *, expiry_s: float, now_s: float) -> LegView:
    """The leg as it is when it is committed once more: why it was absent no longer matters."""
    return evolve(
        leg,
        state=LegState.INTENT,
        epoch=epoch,
        committed_s=now_s,
        expiry_s=expiry_s,
        attempts=leg.attempts + 1,
        reason_code=None,
        reason_words=None,
        native_code=None,
        updated_s=now_s,
    )


def life_of(leg: LegView) -> Leg:
    """What the life cycle needs to know of a leg."""
    return Leg(
        state=leg.state,
        quantity=leg.quantity,
        filled=leg.filled,
        average_price=leg.average_price,
        price=leg.price,
        trigger_price=leg.trigger_price,
        most=leg.most,
        listed=leg.listed,
        cancel_asked_s=leg.cancel_asked_s,
        wanted=leg.wanted,
        carry_s=leg.carry_s,
    )


def learned_leg(
    old: LegView,
    new: Leg,
    exchange_order_id: str | None,
    reason: tuple[str | None, str | None, str | None],
    *,
    elsewhere: Decimal,
    now_s: float,
) -> LegView:
    """The leg after an event. Spelled out, since `evolve` costs more than the row's own writing.

    Args:
        elsewhere: Base coin that the order's other legs filled.
    """
    code, words, native_code = reason
    return LegView(
        number=old.number,
        exchange=old.exchange,
        epoch=old.epoch,
        wire_id=old.wire_id,
        quantity=new.quantity,
        state=new.state,
        committed_s=old.committed_s,
        expiry_s=old.expiry_s,
        attempts=old.attempts,
        exchange_order_id=exchange_order_id or old.exchange_order_id,
        filled=new.filled,
        average_price=new.average_price,
        reason_code=code,
        reason_words=words,
        native_code=native_code,
        created_s=old.created_s,
        updated_s=now_s,
        linked=old.linked,
        price=new.price,
        trigger_price=new.trigger_price,
        whole=old.whole if new.quantity is old.quantity else new.quantity + elsewhere,
        most=new.most,
        listed=new.listed,
        cancel_asked_s=new.cancel_asked_s,
        wanted=new.wanted,
        carry_s=new.carry_s,
        unflagged=old.unflagged,
    )


def row_of_leg(order_id: str, leg: LegView) -> dict[str, Any]:
    """The row of `legs` for a new leg."""
    return {
        "order_id": order_id,
        "number": leg.number,
        "exchange": leg.exchange,
        "epoch": leg.epoch,
        "wire_id": leg.wire_id,
        "quantity": text(leg.quantity),
        "state": leg.state.value,
        "committed_s": leg.committed_s,
        "expiry_s": leg.expiry_s,
        "attempts": leg.attempts,
        "exchange_order_id": leg.exchange_order_id,
        "filled": text(leg.filled),
        "average_price": text(leg.average_price),
        "reason_code": leg.reason_code,
        "reason_words": leg.reason_words,
        "native_code": leg.native_code,
        "created_s": leg.created_s,
        "updated_s": leg.updated_s,
        "linked": None if leg.linked is None else leg.linked.value,
        "price": text(leg.price),
        "trigger_price": text(leg.trigger_price),
        "whole": text(leg.whole),
        "most": text(leg.most),
        "listed": text(leg.listed),
        "cancel_asked_s": leg.cancel_asked_s,
        "wanted": as_wanted(leg.wanted),
        "carry_s": leg.carry_s,
        "unflagged": leg.unflagged or None,
    }


def row_of_fill(order: OrderView, number: int, report: FillReport) -> dict[str, Any]:
    """The row of `fills` for an execution of a leg; its symbol is the order's, however the exchange spelt it."""
    return {
        "exchange": order.legs[number - 1].exchange,
        "symbol": str(order.spec.symbol),
        "trade_id": report.trade_id,
        "side": order.spec.side.value,
        "order_id": order.order_id,
        "leg": number,
        "quantity": text(report.quantity),
        "price": text(report.price),
        "fee": text(report.fee),
        "fee_coin": report.fee_coin,
        "maker": report.maker,
        "at_s": report.at_s,
    }


def row_of_terms(leg: LegView, before: LegView) -> dict[str, str | None]:
    """What a leg is for by now; nothing where that is what it was: what did not change is the same object."""
    if (
        leg.quantity is before.quantity
        and leg.price is before.price
        and leg.trigger_price is before.trigger_price
        and leg.most is before.most
        and leg.wanted is before.wanted
    ):
        return {}
    return {
        "quantity": text(leg.quantity),
        "price": text(leg.price),
        "trigger_price": text(leg.trigger_price),
        "whole": text(leg.whole),
        "most": text(leg.most),
        "wanted": as_wanted(leg.wanted),
    }


def with_leg(order: OrderView, leg: LegView) -> OrderView:
    """The order with its leg of that number replaced, or added behind the others."""
    number = leg.number
    legs = (*order.legs[: number - 1], leg, *order.legs[number:])
    return OrderView(order_id=order.order_id, key=order.key, spec=order.spec, legs=legs, created_s=order.created_s)


def route_of(row: Row) -> Route:
    """The route a row of `routes` holds; between fence and commit its exchange is None."""
    committed = row["committed_s"]
    return Route(
        epoch=row["epoch"],
        exchange=row["exchange"] if committed is not None else None,
        since_s=committed if committed is not None else row["fenced_s"],
    )


def execution_of(row: Row, order: OrderView) -> Execution:
    """The execution a row of `fills` holds."""
    there = order.legs[row["leg"] - 1].exchange_order_id
    return Execution(
        exchange=row["exchange"],
        symbol=order.spec.symbol,
        trade_id=row["trade_id"],
        exchange_order_id=there or "",
        order_id=order.order_id,
        key=order.key,
        side=order.spec.side,
        quantity=Decimal(row["quantity"]),
        price=Decimal(row["price"]),
        fee=_decimal(row["fee"]),
        fee_coin=row["fee_coin"],
        maker=None if row["maker"] is None else bool(row["maker"]),
        at_s=row["at_s"],
    )
