"""What ccxt really sends for an exchange nobody wrote an adapter for: found out before the first order, unsent.

ccxt's `has` and `features` say what an exchange can do, and are wrong in places: asked for an order that may not rest,
ccxt's krakenfutures drops the wish and places one that rests. So requests are made and signed as they would be sent,
and stopped before they are; what a wish does not change in them is not sent, and so is refused by us in words.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from attrs import frozen

from app.exchanges.client import type_client
from messages.orders import TimeInForce

WISHES: Mapping[str, Mapping[str, Any]] = {
    TimeInForce.IOC.value: {"timeInForce": "IOC"},
    TimeInForce.FOK.value: {"timeInForce": "FOK"},
    TimeInForce.POST_ONLY.value: {"postOnly": True},
    "reduce-only": {"reduceOnly": True},
}
"""ccxt's unified parameters, by what the router calls them."""
_NEEDED = ("createOrder", "cancelOrder", "fetchOpenOrders", "fetchMyTrades")
_ENDED: Mapping[str, str] = {
    "fetchCanceledAndClosedOrders": "fetch_canceled_and_closed_orders",
    "fetchOrders": "fetch_orders",
    "fetchClosedOrders": "fetch_closed_orders",
    "fetchCanceledOrders": "fetch_canceled_orders",
}
CREDENTIALS = frozenset({"apiKey", "secret", "password"})
"""What the router can hold."""
_IDS = ("1f" * 16, "2e" * 16)
_APART_S = 0.003
"""Between two requests that are compared, so that their timestamps and signatures differ."""


@frozen(kw_only=True)
class Abilities:
    """What can be asked for.

    Attributes:
        wishes: Of `WISHES`, those that reach the request.
        unfit: One sentence where the exchange cannot be traded on at all; otherwise empty.
    """

    wishes: frozenset[str]
    unfit: str

    def told(self) -> dict[str, Any]:
        """For the next life."""
        return {"wishes": sorted(self.wishes), "unfit": self.unfit}


def recalled(learned: Any) -> Abilities | None:
    """What an earlier life found out; None for anything else."""
    if not isinstance(learned, dict) or not isinstance(learned.get("unfit"), str):
        return None
    wishes = learned.get("wishes")
    if not isinstance(wishes, list) or not all(wish in WISHES for wish in wishes):
        return None
    return Abilities(wishes=frozenset(wishes), unfit=learned["unfit"])


class _Stopped(Exception):
    """A request was stopped where it would have been sent."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("stopped before it was sent")
        self.fields = fields


def unfit(client: type_client, name: str) -> str:
    """Why an exchange cannot be traded on, as far as ccxt says so itself; empty for "it may be"."""
    needs = {key for key, needed in client.requiredCredentials.items() if needed} - CREDENTIALS
    if needs:
        return f"{name} asks for credentials that the router does not hold: {', '.join(sorted(needs))}."
    missing = [call for call in _NEEDED if client.has.get(call) is not True]
    if missing:
        return f"ccxt cannot {' or '.join(missing)} on {name}, so nothing can be traded there."
    if not ended_by(client):
        return f"ccxt lists no orders of {name} that were cancelled, so what became of an order could not be proven."
    if not _echoes(client):
        return f"ccxt does not read client order ids in {name}'s lists of orders, so an order could not be found again."
    return ""


def ended_by(client: type_client) -> tuple[str, ...]:
    """ccxt's calls that list orders that ended, filled or not; none where they do not list both.

    All that there are: one may hold less than it is called for (ccxt's krakenfutures answers `fetchOrders` from a list
    of those that are live).
    """
    lists = [call for call in _ENDED if client.has.get(call) is True]
    whole = {"fetchCanceledAndClosedOrders", "fetchOrders"} & set(lists) or {
        "fetchClosedOrders",
        "fetchCanceledOrders",
    } <= set(lists)
    return tuple(_ENDED[call] for call in lists) if whole else ()


def _echoes(client: type_client) -> bool:
    """Whether ccxt's parsers of orders read a client order id, by their source: they say so nowhere else."""
    for kind in type(client).__mro__:
        if not kind.__module__.startswith("ccxt.async_support.") or kind.__name__ == "Exchange":
            continue
        for name, method in vars(kind).items():
            parses = name.startswith("parse_") and "order" in name and inspect.isfunction(method)
            if parses and re.search(r"'clientOrderId':\s*(?!None)\S", inspect.getsource(method)):
                return True
    return False


async def tried(client: type_client, market: Mapping[str, Any], name: str) -> Abilities:
    """Makes a placement with each wish, sends none, and sees what is in them."""
    said = unfit(client, name)
    if said:
        return Abilities(wishes=frozenset(), unfit=said)
    amount, price = _numbers(market)
    first = await _request(client, market, amount, price, {"clientOrderId": _IDS[0]})
    await asyncio.sleep(_APART_S)
    second = await _request(client, market, amount, price, {"clientOrderId": _IDS[1]})
    if first is None or second is None:
        return Abilities(wishes=frozenset(), unfit=f"ccxt could not make an order for {name} to be looked at.")
    if _IDS[0] not in first.values() or _IDS[1] not in second.values():
        said = f"ccxt does not send a client order id of 32 digits to {name} as it is, so an order could not be found."
    elif not (_holds(first, amount) and _holds(first, price)):
        said = f"ccxt sends orders to {name} in another unit than it lists its markets in."
    volatile = {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}
    plain = {key: value for key, value in first.items() if key not in volatile}
    wishes = set()
    for wish, params in WISHES.items():
        if market.get("spot") and wish == "reduce-only":
            continue
        asked = await _request(client, market, amount, price, {"clientOrderId": _IDS[0], **params})
        if asked is not None and {key: value for key, value in asked.items() if key not in volatile} != plain:
            wishes.add(wish)
    return Abilities(wishes=frozenset(wishes), unfit=said)


async def _request(
    client: type_client, market: Mapping[str, Any], amount: str, price: str, params: dict[str, Any]
) -> dict[str, str] | None:
    """The fields of a placement that is not sent; None where ccxt makes none. What ccxt has to know first, it asks."""
    asking = copy.copy(client)

    async def stopped(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        if method == "GET":
            return await client.fetch(url, method, headers, body)
        raise _Stopped(dict(_fields(url, body)))

    asking.fetch = stopped
    try:
        await asking.create_order(market["symbol"], "limit", "buy", amount, price, params)
    except _Stopped as stop:
        return dict(stop.fields)
    except Exception as error:  # what ccxt refuses to make cannot be sent; what the network refuses is not answered
        if any(base.__name__ == "NetworkError" for base in type(error).__mro__):
            raise
        return None
    finally:
        asking.session = None  # not its own: ccxt complains where a client with one is thrown away
    return None


def _fields(url: str, body: Any) -> Iterator[tuple[str, str]]:
    yield from parse_qsl(urlsplit(url).query, keep_blank_values=True)
    if not isinstance(body, str):
        return
    try:
        yield from _flat("", json.loads(body, parse_float=str, parse_int=str))
    except ValueError:
        yield from parse_qsl(body, keep_blank_values=True)


def _flat(where: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(f"{where}.{key}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _flat(f"{where}.{index}", each)
    else:
        yield where, str(value)


def _holds(fields: Mapping[str, str], wanted: str) -> bool:
    """Whether a number is in a request, however it is written."""
    for value in fields.values():
        try:
            if Decimal(value) == Decimal(wanted):
                return True
        except InvalidOperation:
            continue
    return False


def _numbers(market: Mapping[str, Any]) -> tuple[str, str]:
    """A quantity and a price that are on step and unlike anything else in a request."""
    step, tick = Decimal(str(market["precision"]["amount"])), Decimal(str(market["precision"]["price"]))
    least = Decimal(str(market["limits"]["amount"].get("min") or step))
    amount = (least // step + 7) * step
    return format(amount.normalize(), "f"), format((tick * 12347).normalize(), "f")
