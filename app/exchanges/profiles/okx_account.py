"""What orders on OKX have to say of their account: what stands behind them, and which of two sides they mean.

**Margin mode** is nothing OKX keeps: every order names its own (tdMode), and both may stand side by side. So which one
is what the configuration says, `[exchanges.okx.options] defaultMarginMode = "cross" | "isolated"` (ccxt's option; cross
unless said otherwise). A call that changed it could only change this process, and after a restart orders would go to
the other margin without a word; so such a call is refused, unless it asks for what is configured.

On spot it is `cash`, but for accounts in multi-currency or portfolio margin mode, which know `cross` only (51000
otherwise); whether coins are borrowed then is the account's own setting (auto-borrow).
https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order, https://github.com/ccxt/ccxt/pull/14922.

**Position mode** is the account's. Where long and short stand side by side, orders must say which they mean: one that
opens means its own side, one that reduces the other.

What the account is like is asked before the first order, and again before the next one when the exchange refuses an
order for what it says of the account: somebody has changed it since.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from app.exchanges.client import TRACE, type_client
from app.exchanges.profiles.base import NotSent
from app.exchanges.profiles.rows import AccountRow, MarketRow, listed, number, price, word
from app.exchanges.symbols import Market
from messages.market import MarginMode, MarketType, PositionMode
from messages.orders import OrderSpec, Side

MODES = {PositionMode.ONE_WAY: "net_mode", PositionMode.HEDGE: "long_short_mode"}
"""`posMode`: https://www.okx.com/docs-v5/en/#trading-account-rest-api-set-position-mode"""
_KEPT = "routerAccount"
"""Among the options of a client."""
_HEDGED, _MARGINED = "hedged", "margined"
_MARGINED_LEVELS = frozenset({"3", "4"})
"""`acctLv` of multi-currency and of portfolio margin."""
_WRONG = "51000"
"""Refuses an order for a parameter, which the words name."""


async def learn(client: type_client) -> None:
    """Asks what the account is like."""
    rows = listed(await client.privateGetAccountConfig({}), "data")
    client.options[_KEPT] = {
        _HEDGED: any(word(row, "posMode") == MODES[PositionMode.HEDGE] for row in rows),
        _MARGINED: any(word(row, "acctLv") in _MARGINED_LEVELS for row in rows),
    }


def learned(client: type_client) -> dict[str, Any]:
    """What is known of it."""
    return dict(client.options.get(_KEPT, {}))


def recall(client: type_client, known: Any) -> None:
    """Takes over what was known of it; anything else is passed over."""
    if isinstance(known, dict) and all(isinstance(known.get(key), bool) for key in (_HEDGED, _MARGINED)):
        client.options[_KEPT] = {key: known[key] for key in (_HEDGED, _MARGINED)}


def set_hedged(client: type_client, hedged: bool) -> None:
    """It has, or has no longer, long and short side by side."""
    if _KEPT in client.options:
        client.options[_KEPT] = client.options[_KEPT] | {_HEDGED: hedged}


def hedged(client: type_client) -> bool:
    """Whether it has long and short side by side, as far as is known."""
    return bool(client.options.get(_KEPT, {}).get(_HEDGED))


def margin_mode(client: type_client) -> str:
    """What orders of swaps name as tdMode: ccxt's own options, read as ccxt reads them."""
    return str(client.options.get("defaultMarginMode") or client.options.get("marginMode") or "cross")


async def named(client: type_client, spec: OrderSpec, market_type: MarketType) -> dict[str, str]:
    """tdMode, and posSide where it is needed.

    Raises:
        NotSent: What the account is like has to be asked for first, and cannot be.
    """
    trace = TRACE.get()
    if _KEPT not in client.options and not (trace is not None and trace.dry):
        try:
            await learn(client)
        except Exception as error:  # answered: nothing was sent, whatever it was
            raise NotSent(
                f"What the account of okx is like could not be asked for ({type(error).__name__}), and every order has"
                " to say it: nothing was sent."
            ) from error
    if market_type is MarketType.SPOT:
        return {"tdMode": "cross" if client.options.get(_KEPT, {}).get(_MARGINED) else "cash"}
    side = {"posSide": "long" if (spec.side is Side.BUY) is not spec.reduce_only else "short"}
    return {"tdMode": margin_mode(client)} | (side if hedged(client) else {})


async def view(client: type_client, markets: Sequence[Market]) -> AccountRow:
    """What is left of margin, the position mode, and the leverage of markets in the configured margin mode.

    `availEq` stands for the whole account where all coins together back its positions, else for each coin:
    https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-balance; leverages of up to 20 markets at once:
    https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-leverage.
    """
    await learn(client)
    mode = margin_mode(client)
    coins = {market.symbol.settle for market in markets} or {"USDT"}
    free: Decimal | None = None
    for row in listed(await client.privateGetAccountBalance({}), "data"):
        own = [number(each, "availEq") for each in listed(row, "details") if word(each, "ccy") in coins]
        free = number(row, "availEq")
        if free is None:
            free = sum((each for each in own if each is not None), Decimal(0))
    levers: dict[str, Decimal] = {}
    if markets:
        asked = {"instId": ",".join(market.native_id for market in markets), "mgnMode": mode}
        for row in listed(await client.privateGetAccountLeverageInfo(asked), "data"):
            name, lever = word(row, "instId") or "", price(row, "lever")
            if lever is not None:
                levers[name] = min(lever, levers.get(name, lever))
    told = MarginMode(mode) if mode in set(MarginMode) else None
    return AccountRow(
        position_mode=PositionMode.HEDGE if hedged(client) else PositionMode.ONE_WAY,
        free=free,
        markets=tuple(
            MarketRow(native_id=each.native_id, leverage=levers.get(each.native_id), margin_mode=told)
            for each in markets
        ),
    )


def doubt(client: type_client, said: tuple[str, str] | None) -> None:
    """Forgets what is known of the account where a refusal shows that it is wrong.

    Args:
        said: The exchange's code and words.
    """
    if said is not None and said[0] == _WRONG and ("posSide" in said[1] or "tdMode" in said[1]):
        client.options.pop(_KEPT, None)
