"""Leverage and margin mode on Kraken Futures, which are one setting: a market's `maxLeverage`.

Where it is set, positions in the market are isolated, with that leverage at most; where it is not, they are backed by
the whole account, and no leverage can be chosen. Setting a leverage would thus change the margin mode of a cross market
in silence, so that it is refused there.

Source: https://docs.kraken.com/api/docs/futures-api/trading/set-leverage-setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal

from app.exchanges.client import Unreadable, type_client
from app.exchanges.profiles.base import AlreadySo, Unsupported
from app.exchanges.profiles.rows import AccountRow, MarketRow, listed, number, word
from app.exchanges.sizes import plain
from app.exchanges.symbols import Market
from messages.market import MarginMode, PositionMode


async def view(client: type_client, markets: Sequence[Market]) -> AccountRow:
    """What is left of the multi-collateral account's margin, in USD, and the markets that are isolated.

    Source: https://docs.kraken.com/api/docs/futures-api/trading/get-accounts.
    """
    accounts = (await client.privateGetAccounts({})).get("accounts")
    flex = accounts.get("flex") if isinstance(accounts, dict) else None
    isolated: dict[str, Decimal | None] = {}
    if markets:
        answer = await client.privateGetLeveragepreferences({})
        for row in listed(answer, "leveragePreferences"):
            isolated[(word(row, "symbol") or "").upper()] = number(row, "maxLeverage")
    return AccountRow(
        position_mode=PositionMode.ONE_WAY,
        free=number(flex, "availableMargin") if isinstance(flex, dict) else None,
        markets=tuple(
            MarketRow(
                native_id=market.native_id,
                leverage=isolated.get(market.native_id),
                margin_mode=MarginMode.ISOLATED if market.native_id in isolated else MarginMode.CROSS,
            )
            for market in markets
        ),
    )


async def set_leverage(client: type_client, market: Market, leverage: Decimal) -> None:
    """Sets the leverage of an isolated market.

    Raises:
        Unsupported: Its margin is cross.
        AlreadySo: It is so already.
    """
    now = await _max_leverage(client, market)
    if now is None:
        raise Unsupported(
            f"kraken backs {market.native_id} with the whole account, where no leverage can be set: set its margin"
            " mode to isolated first."
        )
    if now == leverage:
        raise AlreadySo
    await client.privatePutLeveragepreferences({"symbol": market.native_id, "maxLeverage": plain(leverage)})


async def set_margin_mode(client: type_client, market: Market, mode: MarginMode) -> None:
    """Isolates a market with the highest leverage it admits, or goes back to the whole account.

    Raises:
        AlreadySo: It is so already.
    """
    now = await _max_leverage(client, market)
    if (now is not None) is (mode is MarginMode.ISOLATED):
        raise AlreadySo
    asked = {"symbol": market.native_id}
    if mode is MarginMode.ISOLATED:
        asked["maxLeverage"] = plain(await _highest(client, market))
    await client.privatePutLeveragepreferences(asked)


async def _max_leverage(client: type_client, market: Market) -> Decimal | None:
    answer = await client.privateGetLeveragepreferences({"symbol": market.native_id})
    for row in listed(answer, "leveragePreferences"):
        if (word(row, "symbol") or "").upper() == market.native_id:
            return number(row, "maxLeverage")
    return None


async def _highest(client: type_client, market: Market) -> Decimal:
    """By the least initial margin that the market asks for."""
    for row in listed(await client.publicGetInstruments({}), "instruments"):
        if (word(row, "symbol") or "").upper() == market.native_id:
            margins = [number(level, "initialMargin") for level in listed(row, "marginLevels")]
            least = min((margin for margin in margins if margin), default=None)
            if least is not None and least > 0:
                return (1 / least).to_integral_value(ROUND_FLOOR)
    raise Unreadable(f"the list of instruments tells no margin of {market.native_id}")
