"""What the control interface reads and writes: bodies checked to the last key, orders and fills in truth."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation

from aiohttp import web

from app.simulator.engine import MAIN, Engine
from app.simulator.model import Fill, Order, Position, PositionSide, text
from app.simulator.server import SimulatedExchange

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadInput(ValueError):
    """What was sent to the control interface makes no sense; the text is the answer."""


async def body_of(request: web.Request, allowed: set[str]) -> dict[str, object]:
    """The JSON object of a request, with no keys but the allowed ones. Raises BadInput."""
    try:
        body = json.loads(await request.read(), parse_float=Decimal)
    except ValueError as error:
        raise BadInput(f"The body is no JSON: {error}.") from error
    if not isinstance(body, dict):
        raise BadInput("The body must be a JSON object.")
    if extra := set(body) - allowed:
        raise BadInput(f"{min(extra)!r} is not taken here; {', '.join(sorted(allowed))} are.")
    return body


def decimal_of(body: dict[str, object], key: str) -> Decimal:
    """A finite number. Raises BadInput."""
    raw = body.get(key)
    try:
        value = Decimal(str(raw))
    except InvalidOperation as error:
        raise BadInput(f"{key} must be a number, not {raw!r}.") from error
    if not value.is_finite() or abs(value) > 10**15 or isinstance(raw, bool):
        raise BadInput(f"{key} must be a finite number of sane size, not {raw!r}.")
    return value


def decimal_or_null(body: dict[str, object], key: str) -> Decimal | None:
    """A finite number, or None for null or nothing. Raises BadInput."""
    return None if body.get(key) is None else decimal_of(body, key)


def ms_of(body: dict[str, object], key: str, *, least: int = 0) -> int:
    """Seconds as milliseconds. Raises BadInput."""
    value = round(decimal_of(body, key) * 1000)
    if value < least or abs(value) > 10**12:
        raise BadInput(f"{key} must be a number of seconds from {least / 1000:g}, not {body.get(key)!r}.")
    return value


def flag_of(body: dict[str, object], key: str) -> bool:
    """True or false. Raises BadInput."""
    raw = body.get(key)
    if not isinstance(raw, bool):
        raise BadInput(f"{key} must be true or false, not {raw!r}.")
    return raw


def word_of(body: dict[str, object], key: str, default: str | None = None) -> str:
    """A string that is not empty. Raises BadInput."""
    raw = body.get(key, default)
    if not isinstance(raw, str) or not raw:
        raise BadInput(f"{key} must be a word, not {raw!r}.")
    return raw


def words_of(body: dict[str, object], key: str, default: list[str]) -> list[str]:
    """A list of strings. Raises BadInput."""
    raw = body.get(key, default)
    if not isinstance(raw, list) or not all(isinstance(word, str) for word in raw):
        raise BadInput(f"{key} must be a list of words, not {raw!r}.")
    return [str(word) for word in raw]


def side_of(body: dict[str, object]) -> PositionSide:
    """The position side; the net position unless named. Raises BadInput."""
    raw = body.get("side", "both")
    if raw not in set(PositionSide):
        raise BadInput(f"side must be one of {', '.join(PositionSide)}, not {raw!r}.")
    return PositionSide(str(raw))


def symbol_of(exchange: SimulatedExchange, body: dict[str, object]) -> str:
    """The canonical symbol of a market named by it or by the exchange's name. Raises BadInput."""
    given = body.get("symbol")
    if isinstance(given, str):
        if given in exchange.venue.markets:
            return given
        if given in exchange.venue.by_native:
            return exchange.venue.by_native[given].symbol
    raise BadInput(f"There is no market {given!r}; there are {', '.join(exchange.venue.markets)}.")


def engine_of(exchange: SimulatedExchange, name: object) -> Engine:
    """An account's engine; the first account unless named. Raises BadInput."""
    try:
        return exchange.account(MAIN if name is None else str(name))
    except ValueError as error:
        raise BadInput(str(error)) from error


def order_of(exchange: SimulatedExchange, body: dict[str, object]) -> tuple[Engine, Order]:
    """The order that a body names by either id, also one that look-ups do not show yet. Raises BadInput."""
    order_id, client_id = body.get("order_id"), body.get("client_order_id")
    if (order_id is None) == (client_id is None):
        raise BadInput("Name the order by either client_order_id or order_id.")
    engine = engine_of(exchange, body.get("account"))
    found = engine.find(
        exchange.clock() + 10**12,
        order_id=None if order_id is None else str(order_id),
        client_order_id=None if client_id is None else str(client_id),
    )
    if found is None:
        raise BadInput(f"There is no order {order_id if order_id is not None else client_id!r}.")
    return engine, found


def order_truth(order: Order) -> dict[str, object]:
    """An order as the truth tells it: quantities in base coin, decimals as strings."""
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "tif": order.tif.value,
        "qty": text(order.qty),
        "price": _or_none(order.price),
        "trigger_price": _or_none(order.trigger.price) if order.trigger is not None else None,
        "triggered": order.triggered,
        "status": order.status.value,
        "close_reason": order.close_reason,
        "filled": text(order.filled),
        "avg_price": _or_none(order.avg_price),
        "reduce_only": order.reduce_only,
        "position_side": order.position_side.value,
        "role": order.role.value,
        "parent_id": order.parent_id,
        "take_profit": _or_none(order.take_profit),
        "stop_loss": _or_none(order.stop_loss),
        "created_ms": order.created_ms,
        "updated_ms": order.updated_ms,
    }


def fill_truth(fill: Fill) -> dict[str, object]:
    """A fill as the truth tells it."""
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order.order_id,
        "client_order_id": fill.order.client_order_id,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "qty": text(fill.qty),
        "price": text(fill.price),
        "fee": text(fill.fee),
        "fee_coin": fill.fee_coin,
        "is_maker": fill.is_maker,
        "ts_ms": fill.ts_ms,
    }


def positions_truth(positions: list[Position]) -> dict[str, str]:
    """Quantity by symbol; a hedged one is told as "SYMBOL long" or "SYMBOL short"."""
    return {p.symbol if p.side is PositionSide.BOTH else f"{p.symbol} {p.side}": text(p.qty) for p in positions}


def _or_none(value: Decimal | None) -> str | None:
    return None if value is None else text(value)


def json_of(body: object, *, status: int = 200) -> web.Response:
    """An answer."""
    return web.json_response(body, status=status, dumps=lambda value: json.dumps(value, default=str))
