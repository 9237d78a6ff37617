"""Calls about one order: from the port's language to the profile's, and back.

Whatever goes wrong on the way is raised; the adapter makes a result of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.domain import calls
from app.exchanges import reports
from app.exchanges.admission import NotSupported, admit, admit_change, carried
from app.exchanges.client import Pin, Trace, Unreadable, type_client
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.failures import Failures, RefusedQuietly
from app.exchanges.profiles.base import Profile, WireChange, WireOrder
from app.exchanges.profiles.rows import OrderRow
from app.exchanges.sizes import InvalidSize, plain
from app.exchanges.symbols import Market, MarketTable, NotTradable
from messages.orders import OrderType

OrderCall = calls.PlaceCall | calls.AmendCall | calls.CancelCall | calls.LookUpCall


class OrderCalls:
    """Of one port.

    Args:
        clock: Unix seconds of the host's anchored clock.
    """

    def __init__(self, profile: Profile, clock: Callable[[], float], offset: ClockOffset, failures: Failures) -> None:
        self._profile = profile
        self._clock = clock
        self._offset = offset
        self._failures = failures

    async def make(self, client: type_client, table: MarketTable, call: OrderCall, trace: Trace) -> calls.Result:
        """Asks the exchange."""
        match call:
            case calls.PlaceCall():
                return await self._place(client, table, call, trace)
            case calls.AmendCall():
                return await self._amend(client, table, call, trace)
            case calls.CancelCall():
                return await self._cancel(client, table, call, trace)
            case calls.LookUpCall():
                return await self._look_up(client, table, call, trace)

    async def _place(
        self, client: type_client, table: MarketTable, call: calls.PlaceCall, trace: Trace
    ) -> calls.PlaceResult:
        spec = call.spec
        try:
            market, contracts = admit(self._profile, table, spec, call.quantity)
        except (NotTradable, InvalidSize, NotSupported) as error:
            return calls.Refused(code="invalid_order", words=str(error), native_code=None)
        offset_s = self._offset.value_s
        if call.expiry_s <= self._clock():
            return calls.NotExecuted(code="expired", words="The placement had expired before it was sent.")
        trace.pin = Pin(
            signed_ms=int((call.committed_s + offset_s) * 1000), expires_ms=int((call.expiry_s + offset_s) * 1000)
        )
        order = WireOrder(
            spec=carried(self._profile, spec),
            market=market,
            contracts=plain(contracts),
            price=None if spec.order_type is OrderType.MARKET or spec.price is None else plain(spec.price),
            wire_id=call.wire_id,
            pin=trace.pin,
            trigger_price=None if spec.trigger is None else plain(spec.trigger.price),
        )
        row = await self._profile.place(client, order)
        raise_refusal(self._profile, trace)
        if not row.order_id:
            raise Unreadable("the answer to the placement names no order")
        if row.wire_id is not None and row.wire_id != call.wire_id:
            raise Unreadable("the answer to the placement names another client order id")
        return calls.Placed(report=reports.order(row, market, spec.symbol, call.wire_id))

    async def _amend(
        self, client: type_client, table: MarketTable, call: calls.AmendCall, trace: Trace
    ) -> calls.AmendResult:
        try:
            market, contracts = admit_change(self._profile, table, call)
        except (NotTradable, InvalidSize, NotSupported) as error:
            return calls.AmendRefused(code="invalid_order", words=str(error), native_code=None)
        change = WireChange(
            spec=call.spec,
            market=market,
            wire_id=call.wire_id,
            order_id=call.exchange_order_id,
            contracts=None if contracts is None else plain(contracts),
            price=None if call.price is None else plain(call.price),
            trigger_price=None if call.trigger_price is None else plain(call.trigger_price),
        )
        row = await self._profile.amend(client, change)
        raise_refusal(self._profile, trace)
        report = None if row is None else reports.order(row, market, call.spec.symbol, call.wire_id)
        return calls.Amended(report=report)

    async def _cancel(
        self, client: type_client, table: MarketTable, call: calls.CancelCall, trace: Trace
    ) -> calls.CancelConfirmed:
        market = table.known(call.symbol)
        row = await self._profile.cancel(
            client, market, call.wire_id, call.exchange_order_id, conditional=call.conditional
        )
        raise_refusal(self._profile, trace)
        return calls.CancelConfirmed(final=None if row is None else reports.order(row, market, call.symbol))

    async def _look_up(
        self, client: type_client, table: MarketTable, call: calls.LookUpCall, trace: Trace
    ) -> calls.LookUpResult:
        asked_s = self._clock()
        market = table.known(call.symbol)
        found = await self._found(client, call, market)
        if found is None and asked_s - _committed_s(call) > self._profile.look_back_s:
            return self._failures.out_of_sight()
        if found is None:
            return calls.NotFound(asked_s=asked_s)
        return calls.Found(report=reports.order(found, market, call.symbol), requests=trace.requests)

    async def _found(self, client: type_client, call: calls.LookUpCall, market: Market) -> OrderRow | None:
        """What the profile finds. That an order is forgotten it concludes from seeing it nowhere: so may be what was
        sent again a moment ago, or is just executing, which shows once answers have caught up."""
        for again in (False, True):
            if again:
                await asyncio.sleep(self._profile.proof.visibility_s)
            found = await self._profile.find(
                client,
                market,
                call.wire_id,
                call.exchange_order_id,
                int(call.since_s * 1000),
                conditional=call.conditional,
            )
            if found is None or found.forgotten_ms is None:
                return found
            if (self._clock() - _committed_s(call)) * 1000 < found.forgotten_ms:
                return None
        return found


def raise_refusal(profile: Profile, trace: Trace) -> None:
    """A refusal in an answer that ccxt took for a success.

    Raises:
        RefusedQuietly: The answer refuses.
    """
    if profile.native_code(trace.answer) is not None:
        raise RefusedQuietly


def _committed_s(call: calls.LookUpCall) -> float:
    """Since when the exchange may have the order: what was sent before its last commit is proven absent."""
    return call.since_s if call.committed_s is None else call.committed_s
