"""A placement that goes as far as every other and is not sent: what shows that orders would get through.

It is made by the exchange's profile and ccxt, with a pinned time, and signed; where ccxt would send it, the client
stops it (`NetworkEdge`). Should it ever be sent all the same, the exchange refuses it: it expired long ago.
"""

from __future__ import annotations

from app.domain.calls import DryOk
from app.exchanges.client import NetworkEdge, Pin, Trace, Unreadable, type_client
from app.exchanges.profiles.base import Profile, WireOrder
from app.exchanges.sizes import plain
from app.exchanges.symbols import Market
from messages.orders import OrderSpec, OrderType, Side, TimeInForce

AGE_S = 3600.0
"""How long ago it was committed, as it says."""
WIRE_ID = "0" * 32


async def dry_run(profile: Profile, client: type_client, market: Market | None, trace: Trace, now_s: float) -> DryOk:
    """Goes to the edge of the network.

    Args:
        market: Any that is traded; None while the markets are not loaded, when only a public request can be made.
        trace: Of this call; it is dry from now on.

    Raises:
        Unreadable: It came back without having been at the edge.
        Exception: Whatever the profile or ccxt raise on the way.
    """
    trace.dry = True
    try:
        if market is None:
            await profile.server_time_s(client)
        else:
            await profile.place(client, _order(market, trace, now_s))
    except NetworkEdge:
        return DryOk()
    raise Unreadable("a dry request was answered, though it cannot have been sent")


def _order(market: Market, trace: Trace, now_s: float) -> WireOrder:
    signed_ms = int((now_s - AGE_S) * 1000)
    trace.pin = Pin(signed_ms=signed_ms, expires_ms=signed_ms + 1)
    spec = OrderSpec(
        symbol=market.symbol,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=market.rules.step * market.rules.contract_size,
        price=market.rules.tick,
        time_in_force=TimeInForce.POST_ONLY,
    )
    return WireOrder(
        spec=spec,
        market=market,
        contracts=plain(market.rules.step),
        price=plain(market.rules.tick),
        wire_id=WIRE_ID,
        pin=trace.pin,
    )
