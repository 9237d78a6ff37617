"""What an account for USDⓈ-M futures at Binance is like: margin left, position mode, and what is set of markets.

Sources: https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api (Account Information V3:
`availableBalance`, in USDT, or in USD where all coins together back the positions; Account Config:
`dualSidePosition`; Symbol Config: `leverage`, `marginType`).
"""

from __future__ import annotations

from collections.abc import Sequence

from app.exchanges.client import Unreadable, type_client
from app.exchanges.profiles.rows import AccountRow, MarketRow, listed, number, price, word
from app.exchanges.symbols import Market
from messages.market import MarginMode, PositionMode

_MARGIN_MODES = {"CROSSED": MarginMode.CROSS, "ISOLATED": MarginMode.ISOLATED}


async def view(client: type_client, markets: Sequence[Market]) -> AccountRow:
    """Three requests, or two where no market is asked for."""
    free = number(await client.fapiPrivateV3GetAccount({}), "availableBalance")
    dual = (await client.fapiPrivateGetAccountConfig({})).get("dualSidePosition")
    if not isinstance(dual, bool):
        raise Unreadable("the answer about the account does not tell its position mode")
    names = {market.native_id for market in markets}
    asked = {"symbol": next(iter(names))} if len(names) == 1 else {}
    rows = listed(await client.fapiPrivateGetSymbolConfig(asked)) if names else []
    return AccountRow(
        position_mode=PositionMode.HEDGE if dual else PositionMode.ONE_WAY,
        free=free,
        markets=tuple(
            MarketRow(
                native_id=name,
                leverage=price(row, "leverage"),
                margin_mode=_MARGIN_MODES.get(word(row, "marginType") or ""),
            )
            for row in rows
            if (name := word(row, "symbol") or "") in names
        ),
    )
