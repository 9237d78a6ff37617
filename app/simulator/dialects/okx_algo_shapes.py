"""How OKX V5 writes algo orders."""

from collections.abc import Sequence
from decimal import Decimal

from app.simulator.dialects.okx_shapes import (
    algo_id,
    contracts,
    inst_type,
    own_tag,
    pos_side,
    price_type,
    td_mode,
)
from app.simulator.dialects.wire import with_money
from app.simulator.engine import Engine
from app.simulator.model import Order, OrderType, Role, Status, text
from app.simulator.spec import MarketSpec

_BLANK = (
    *("activePx", "activePxType", "amendPxOnTriggerType", "callbackRatio", "callbackSpread", "ccy", "chaseType"),
    *("chaseVal", "failCode", "maxChaseType", "maxChaseVal", "moveTriggerPx", "pxLimit", "pxSpread", "pxVar"),
    *("quickMgnType", "szLimit", "timeInterval"),
)


def algo_kind(order: Order) -> str:
    """What one order of an algo order is: tp, sl or trigger."""
    if order.role is Role.USER:
        return order.tag.partition(":")[0]
    return "tp" if order.role is Role.TAKE_PROFIT else "sl"


def algo_state(group: Sequence[Order]) -> str:
    """Live while any of them waits; then what became of the one that was set off, or canceled."""
    if any(o.is_waiting_trigger and o.status.is_open for o in group):
        return "live"
    fired = [o for o in group if o.triggered]
    if not fired:
        return "canceled"
    return "order_failed" if fired[0].status is Status.REJECTED else "effective"


def algo_item(group: Sequence[Order], market: MarketSpec, engine: Engine) -> dict[str, object]:
    """An element of /trade/orders-algo-pending and -history."""
    head = group[0]
    by_kind = {algo_kind(o): o for o in group}
    fired = next((o for o in group if o.triggered), None)
    trigger = by_kind.get("trigger")
    whole, waits = head.whole_position, algo_state(group) == "live"
    last = engine.prices[head.symbol]
    item: dict[str, object] = {
        **dict.fromkeys(_BLANK, ""),
        "actualPx": text(round(fired.avg_price, 10)) if fired is not None and fired.avg_price is not None else "",
        "actualSide": "" if fired is None else algo_kind(fired).replace("trigger", head.side.value),
        "actualSz": contracts(fired.filled, market) if fired is not None else "0",
        "algoClOrdId": head.client_order_id or "",
        "algoId": algo_id(head),
        "attachAlgoOrds": _attached(head),
        "cTime": str(head.created_ms),
        "clOrdId": "",
        "closeFraction": "1" if whole else "",
        "ctVal": "" if market.is_spot else text(market.contract_size),
        "instId": market.native,
        "instType": inst_type(market),
        "isTradeBorrowMode": "",
        "last": text(last),
        "lever": "" if market.is_spot else text(engine.position_of(head.symbol, head.position_side).leverage),
        "linkedOrd": {"ordId": head.parent_id or ""},
        "notionalUsd": with_money(head.qty * last),
        "ordId": fired.order_id if fired is not None else "",
        "ordIdList": [fired.order_id] if fired is not None else [],
        "ordPx": _price(trigger),
        "ordType": "trigger" if trigger is not None else "oco" if len(group) > 1 else "conditional",
        "posSide": "" if market.is_spot else pos_side(head.position_side),
        "reduceOnly": "true" if head.reduce_only else "false",
        "side": head.side.value,
        "state": algo_state(group),
        "sz": "" if whole else contracts(head.qty, market),
        "tag": own_tag(head),
        "tdMode": td_mode(market, engine),
        "tgtCcy": "base_ccy" if market.is_spot else "",
        "tradeQuoteCcy": market.settle if market.is_spot else "",
        "triggerPx": _trigger(trigger),
        "triggerPxType": _type(trigger),
        "triggerTime": str(fired.triggered_ms) if fired is not None else "",
        "uTime": str(max(o.updated_ms for o in group)),
        "uly": "" if market.is_spot else f"{market.base}-{market.settle}",
    }
    for kind in ("tp", "sl"):
        order = by_kind.get(kind)
        item |= {
            f"{kind}TriggerPx": _trigger(order),
            f"{kind}TriggerPxType": _type(order),
            f"{kind}OrdPx": _price(order),
            f"{kind}OrdKind": "condition" if order is not None else "",
        }
    return item if waits else {**item, "failCode": "1" if item["state"] == "order_failed" else ""}


def _trigger(order: Order | None) -> str:
    return "" if order is None or order.trigger is None else text(order.trigger.price)


def _type(order: Order | None) -> str:
    return "" if order is None or order.trigger is None else price_type(order.trigger.by)


def _price(order: Order | None) -> str:
    if order is None:
        return ""
    return "-1" if order.type is OrderType.MARKET or order.price is None else text(order.price)


def _attached(order: Order) -> list[dict[str, str]]:
    if order.take_profit is None and order.stop_loss is None:
        return []
    profit, loss = order.take_profit, order.stop_loss
    return [
        {
            "attachAlgoClOrdId": order.attach.take_profit_id or order.attach.stop_loss_id or "",
            "tpTriggerPx": "" if profit is None else text(profit),
            "tpTriggerPxType": "" if profit is None else price_type(order.attach.take_profit_by),
            "tpOrdPx": "" if profit is None else text(order.attach.take_profit_limit or Decimal(-1)),
            "slTriggerPx": "" if loss is None else text(loss),
            "slTriggerPxType": "" if loss is None else price_type(order.attach.stop_loss_by),
            "slOrdPx": "" if loss is None else text(order.attach.stop_loss_limit or Decimal(-1)),
        }
    ]
