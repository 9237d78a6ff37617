"""Settings of a unified account at Bybit: leverage, margin mode, position mode.

Two of them are wider than the router's language: the margin mode is the account's, and a change of the position mode
passes silently over markets that have orders or positions. So both are looked at before, and refused in words where
more would change than was asked, or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from app.exchanges.client import Unreadable, type_client
from app.exchanges.profiles.base import AlreadySo, Unsupported
from app.exchanges.profiles.bybit_shapes import ORDERS_A_PAGE, POSITIONS_A_PAGE, paged
from app.exchanges.profiles.rows import AccountRow, MarketRow, listed, number, price, word
from app.exchanges.sizes import plain
from app.exchanges.symbols import Market
from messages.market import MarginMode, PositionMode

COINS = ("USDT", "USDC")
"""In which linear contracts settle: https://bybit-exchange.github.io/docs/v5/intro."""
_MARGIN_MODES = {MarginMode.CROSS: "REGULAR_MARGIN", MarginMode.ISOLATED: "ISOLATED_MARGIN"}
"""https://bybit-exchange.github.io/docs/v5/account/set-margin-mode."""
_MODES_TOLD = {word: mode for mode, word in _MARGIN_MODES.items()}
_POSITION_MODES = {PositionMode.ONE_WAY: 0, PositionMode.HEDGE: 3}
"""https://bybit-exchange.github.io/docs/v5/position/position-mode."""
_SHOWN = 3


def wrong_position_mode(code: str, words: str) -> bool:
    """Whether a refusal says that the order is for an account of the other position mode: code 10001 says many things.

    The words are not documented, but widely reported; where they differ, the order is refused as it was.
    """
    return code == "10001" and "position idx not match position mode" in words.lower()


async def account(client: type_client, markets: Sequence[Market]) -> AccountRow:
    """The wallet tells what margin is left (in USD, and not in isolated mode), the account its margin mode, and each
    market its leverage and, by the indexes of its positions, the position mode.

    Sources: https://bybit-exchange.github.io/docs/v5/account/wallet-balance,
    https://bybit-exchange.github.io/docs/v5/account/account-info, https://bybit-exchange.github.io/docs/v5/position.
    """
    wallet = listed(await client.privateGetV5AccountWalletBalance({"accountType": "UNIFIED"}), "result", "list")
    info = (await client.privateGetV5AccountInfo({})).get("result")
    mode = _MODES_TOLD.get(word(info, "marginMode") or "")
    rows, hedged = [], False
    for market in markets:
        asked = {"category": "linear", "symbol": market.native_id}
        sides = listed(await client.privateGetV5PositionList(asked), "result", "list")
        hedged = hedged or any(word(side, "positionIdx") in ("1", "2") for side in sides)
        told = [leverage for side in sides if (leverage := price(side, "leverage")) is not None]
        rows.append(MarketRow(native_id=market.native_id, leverage=min(told, default=None), margin_mode=mode))
    position_mode = PositionMode.HEDGE if hedged else PositionMode.ONE_WAY
    return AccountRow(
        position_mode=position_mode if rows else None,
        free=number(wallet[0], "totalAvailableBalance") if wallet else None,
        markets=tuple(rows),
    )


async def set_leverage(client: type_client, market: Market, leverage: Decimal) -> None:
    """Of both sides: https://bybit-exchange.github.io/docs/v5/position/leverage. "It is so already" is 110043."""
    value = plain(leverage)
    await client.privatePostV5PositionSetLeverage(
        {"category": "linear", "symbol": market.native_id, "buyLeverage": value, "sellLeverage": value}
    )


async def set_margin_mode(client: type_client, market: Market, mode: MarginMode) -> None:
    """Of the whole account, where no other market has a position.

    Raises:
        AlreadySo: The account has it.
        Unsupported: Other markets would change too.
    """
    info = (await client.privateGetV5AccountInfo({})).get("result")
    now = word(info, "marginMode")
    if now is None:
        raise Unreadable("the answer about the account does not name its margin mode")
    if now == _MARGIN_MODES[mode]:
        raise AlreadySo
    others = sorted({held for held in await _held(client, COINS) if held != market.native_id})
    if others:
        raise Unsupported(
            f"bybit has one margin mode for the whole account, and {_named(others)} would change with"
            f" {market.native_id}: close what is there first."
        )
    await client.privatePostV5AccountSetMarginMode({"setMarginMode": _MARGIN_MODES[mode]})


async def set_position_mode(client: type_client, mode: PositionMode) -> None:
    """Of every market that settles in USDT. "It is so already" is 110025.

    Raises:
        Unsupported: Some have orders or positions, and would silently stay as they are.
    """
    busy = {*await _held(client, ("USDT",)), *await _ordered(client)}
    if busy:
        raise Unsupported(
            f"bybit does not change the position mode of markets with orders or positions, and there are some in"
            f" {_named(sorted(busy))}: cancel and close them first."
        )
    await client.privatePostV5PositionSwitchMode({"category": "linear", "coin": "USDT", "mode": _POSITION_MODES[mode]})


async def _held(client: type_client, coins: tuple[str, ...]) -> list[str]:
    rows: list[Any] = []
    for coin in coins:
        asked = {"category": "linear", "settleCoin": coin}
        rows += await paged(client.privateGetV5PositionList, asked, POSITIONS_A_PAGE)
    return [str(word(row, "symbol")) for row in rows if number(row, "size")]


async def _ordered(client: type_client) -> list[str]:
    asked = {"category": "linear", "settleCoin": "USDT"}
    rows = await paged(client.privateGetV5OrderRealtime, asked, ORDERS_A_PAGE)
    return [str(word(row, "symbol")) for row in rows]


def _named(markets: list[str]) -> str:
    more = len(markets) - _SHOWN
    return ", ".join(markets[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
