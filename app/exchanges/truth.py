"""Asks an exchange for all that the journal should know of it: open orders, and each leg that is not among them.

Only reads, over the same client as a connector's, and at most at half the rate the exchange allows: the other half is
the daemon's, which may be trading with the same account.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from app.domain import calls as c
from app.domain.truth import Compared, Held, both, compare
from app.exchanges.port import ExchangePort

SHARE = 0.5
BETWEEN_S = 3.0
"""Between the two looks, where the first shows differences: a daemon polls what rests every two seconds."""
MAX_LOOK_UPS = 1000
"""Of one exchange; more are told as not asked for."""


async def ask(
    port: ExchangePort,
    journal_id: str,
    held: Callable[[], Mapping[str, Held]],
    known: Callable[[str], str],
    *,
    timeout_s: float,
    now: Callable[[], float],
) -> Compared:
    """One exchange against the journal, looked at twice where the first look shows differences.

    Args:
        held: Reads anew what the journal holds of the exchange.
        known: What the journal says of a wire id besides.
        timeout_s: For each request.
    """
    words = await port.open(now() + 4 * timeout_s)
    if words:
        return Compared(exchange=port.exchange, failed=words)
    first = await _look(port, journal_id, held, known, timeout_s, now)
    if first.failed or not first.differences:
        return first
    await asyncio.sleep(BETWEEN_S)
    return both(first, await _look(port, journal_id, held, known, timeout_s, now))


async def _look(
    port: ExchangePort,
    journal_id: str,
    held: Callable[[], Mapping[str, Held]],
    known: Callable[[str], str],
    timeout_s: float,
    now: Callable[[], float],
) -> Compared:
    # First the journal, then the exchange: what is placed in between is asked of the journal once more.
    legs = held()
    conditional = any(leg.conditional for leg in legs.values())
    listed = await port.perform(
        c.OpenOrdersCall(symbol=None, deadline_s=now() + 2 * timeout_s, conditional=conditional)
    )
    if not isinstance(listed, c.OpenOrders):
        words = listed.words if isinstance(listed, c.CallFailed) else f"{type(listed).__name__} is no list of orders"
        return Compared(exchange=port.exchange, failed=words)
    there = {report.wire_id for report in listed.reports}
    looked_up: dict[str, c.Result] = {}
    missing = [(wire_id, leg) for wire_id, leg in legs.items() if wire_id not in there]
    pause_s = 1.0 / (SHARE * port.rates.per_s(c.LookUpCall))
    for wire_id, leg in missing[:MAX_LOOK_UPS]:
        await asyncio.sleep(pause_s)
        looked_up[wire_id] = await port.perform(_look_up(wire_id, leg, now() + 2 * timeout_s))
    compared = compare(port.exchange, journal_id, legs, listed.reports, looked_up, known)
    if len(missing) > MAX_LOOK_UPS and not compared.failed:
        words = f"{len(missing)} legs are not among its open orders: only {MAX_LOOK_UPS} were looked up."
        return Compared(exchange=port.exchange, differences=compared.differences, failed=words)
    return compared


def _look_up(wire_id: str, held: Held, deadline_s: float) -> c.LookUpCall:
    leg = held.leg
    return c.LookUpCall(
        symbol=held.symbol,
        wire_id=wire_id,
        exchange_order_id=leg.exchange_order_id,
        since_s=leg.created_s,
        committed_s=leg.committed_s,
        deadline_s=deadline_s,
        conditional=held.conditional,
    )
