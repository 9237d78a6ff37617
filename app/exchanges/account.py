"""Calls that set something of the account: leverage, margin and position mode, the dead-man switch.

Each may be repeated without harm, so one whose outcome is not known is simply made again.
"""

from __future__ import annotations

from collections.abc import Callable

from app.domain import calls
from app.exchanges.client import type_client
from app.exchanges.profiles.base import AlreadySo, Profile, Unsupported
from app.exchanges.symbols import MarketTable
from messages.market import MarketType

Setting = calls.LeverageCall | calls.MarginModeCall | calls.PositionModeCall | calls.DeadManCall


async def make(
    profile: Profile, client: type_client, table: MarketTable, call: Setting, clock: Callable[[], float]
) -> calls.Result:
    """Makes the setting. What the exchange answers by a code, "it is so already" among it, is raised.

    Raises:
        Unsupported: It has no such setting.
    """
    if profile.market_type is MarketType.SPOT and not isinstance(call, calls.DeadManCall):
        raise Unsupported(f"Spot markets have no leverage, margin mode or position mode to set on {profile.name}.")
    try:
        match call:
            case calls.LeverageCall():
                await profile.set_leverage(client, table.known(call.symbol), call.leverage)
            case calls.MarginModeCall():
                await profile.set_margin_mode(client, table.known(call.symbol), call.mode)
            case calls.PositionModeCall():
                await profile.set_position_mode(client, call.mode)
            case calls.DeadManCall():
                asked_s = clock()  # the exchange counts from when it is asked, which is later
                await profile.arm_dead_man(client, call.timeout_s, table)
                return calls.DeadManArmed(fires_s=asked_s + call.timeout_s if call.timeout_s else None)
    except AlreadySo:
        return calls.SettingMade(changed=False)
    return calls.SettingMade(changed=True)
