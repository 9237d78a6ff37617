"""Reading the parameters of Kraken spot requests, with the exchange's words for what is wrong.

Sources: docs.kraken.com, Spot REST API ("Add order", "Amend order"). A client order id is a UUID, 32 hex digits or free
text of up to 18 characters; the exchange says "cl_ord_id not unique" for one that an open order has.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from app.simulator.dialects.base import NativeError, Request
from app.simulator.dialects.wire import decimal_or_none, int_or_none
from app.simulator.model import Side, Tif
from app.simulator.spec import MarketSpec

ASSETS: dict[str, str] = {"BTC": "XXBT", "ETH": "XETH", "XRP": "XXRP", "USD": "ZUSD"}
"""Coin → the exchange's name of it; of coins not named here the same."""
SHORT: dict[str, str] = {"BTC": "XBT"}
"""Coin → how it is written in the names of pairs."""

NEAREST_DEADLINE_MS = 500
FURTHEST_DEADLINE_MS = 60_000
"""A `deadline` must lie that far ahead of the exchange's clock when it arrives."""
MAX_FREE_TEXT = 18

_HEX = re.compile(r"^([0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$")
_FREE = re.compile(rf"^[a-z0-9]{{1,{MAX_FREE_TEXT}}}$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIFS: dict[str, Tif] = {"GTC": Tif.GTC, "IOC": Tif.IOC, "FOK": Tif.FOK}


def invalid(what: str) -> NativeError:
    """EGeneral:Invalid arguments, and of what."""
    return NativeError(f"EGeneral:Invalid arguments:{what}", "")


def need(params: Mapping[str, str], name: str) -> str:
    """A mandatory parameter."""
    given = params.get(name)
    if not given:
        raise invalid(name)
    return given


def asset(coin: str) -> str:
    """The exchange's name of a coin."""
    return ASSETS.get(coin, coin)


def altname(market: MarketSpec) -> str:
    """A pair's short name: XBTUSD."""
    return SHORT.get(market.base, market.base) + market.settle


def wsname(market: MarketSpec) -> str:
    """A pair's name with a slash: XBT/USD."""
    return f"{SHORT.get(market.base, market.base)}/{market.settle}"


def decimals(step: Decimal) -> int:
    """How many decimals a step has."""
    return max(0, -int(step.normalize().as_tuple().exponent))


def client_id(params: Mapping[str, str]) -> str | None:
    """`cl_ord_id` of a placement, or None; together with `userref` it is refused."""
    given = params.get("cl_ord_id")
    if not given:
        return None
    if not _HEX.match(given) and not _FREE.match(given):
        raise invalid("cl_ord_id")
    if params.get("userref") not in (None, "", "0"):
        raise invalid("userref and cl_ord_id are mutually exclusive")
    return given


def userref(params: Mapping[str, str]) -> int | None:
    """A signed 32-bit number, or None."""
    given = params.get("userref")
    if not given:
        return None
    number = int_or_none(given)
    if number is None or abs(number) > 2**31 - 1:
        raise invalid("userref")
    return number


def side_of(params: Mapping[str, str]) -> Side:
    """`type`: buy or sell."""
    given = need(params, "type")
    if given not in ("buy", "sell"):
        raise invalid("type")
    return Side(given)


def time_in_force(params: Mapping[str, str]) -> Tif:
    """GTC, IOC or FOK; GTD is not simulated."""
    given = params.get("timeinforce", "GTC").upper()
    if given not in _TIFS:
        raise invalid("timeinforce")
    return _TIFS[given]


def volume(params: Mapping[str, str], name: str = "volume") -> Decimal | None:
    """A quantity, or None."""
    value = decimal_or_none(params.get(name))
    if value is not None and value <= 0:
        raise invalid("volume")
    return value


def price(raw: str | None, what: str, side: Side, reference: Decimal, market: MarketSpec) -> Decimal:
    """A price: absolute, or relative to `reference` ("+100", "-2%", "#1%": "#" takes the side's own sign)."""
    if not raw:
        raise invalid(what)
    sign, percent = raw[0], raw.endswith("%")
    bare = decimal_or_none(raw.removesuffix("%").lstrip("+-#"))
    if bare is None or bare <= 0 or (percent and sign not in "+-#"):
        raise invalid(what)
    if sign in "+-#":
        way = {"+": 1, "-": -1, "#": -side.sign}[sign]
        moved = reference + way * (reference * bare / 100 if percent else bare)
        return (moved / market.tick).to_integral_value(ROUND_HALF_UP) * market.tick
    places = decimals(market.tick)
    if bare != round(bare, places):
        words = f"EOrder:Invalid price:{altname(market)} price can only be specified up to {places} decimals."
        raise NativeError(words, "")
    return bare


def deadline_ms(request: Request) -> int | None:
    """`deadline`, RFC 3339, as Unix ms; None if there is none. Raises NativeError for no time."""
    raw = request.params.get("deadline")
    if not raw:
        return None
    try:
        parsed = datetime.fromisoformat(raw)
        if parsed.tzinfo is None:
            raise ValueError("no time zone")
        return (parsed - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise invalid("deadline") from error


def flag(params: Mapping[str, str], name: str) -> bool:
    """True for "true" in any case."""
    return params.get(name, "").lower() == "true"


def seconds_ms(params: Mapping[str, str], name: str) -> int | None:
    """A Unix time in seconds, with or without a fraction, as ms; None if there is none."""
    value = decimal_or_none(params.get(name))
    return None if value is None else int(value * 1000)


def names(raw: str | None) -> list[str]:
    """A list separated by commas."""
    return [part.strip() for part in (raw or "").split(",") if part.strip()]
