"""The port over the real ccxt client: one account on one exchange.

Everything in which exchanges differ is in a profile (`app.exchanges.profiles`), what a failure proves in
`app.exchanges.outcomes` and the tables of codes. What is left here is the same for all: deadlines, the clock offset,
exact sizes, and that every way a call can end is one of the port's results.

All but `check`, `tradable`, `ready` and `proof` belongs to one event loop, on which the client is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import assert_never

import structlog

from app.domain import calls
from app.domain.calls import Call, Proof, Result
from app.domain.limiter import RateLimit
from app.domain.symbols import InvalidSymbol, parse_symbol
from app.exchanges import outcomes, reports
from app.exchanges.client import TRACE, Pin, Trace, Unreadable, close_client, make_client, type_client
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.outcomes import Failure, Row
from app.exchanges.profiles.base import Profile, WireOrder, class_names
from app.exchanges.settings import Credentials, ExchangeSettings
from app.exchanges.sizes import InvalidSize, check_notional, check_price, plain, to_contracts
from app.exchanges.symbols import Market, MarketTable, NotTradable, read_markets
from messages.health import ProbeKind
from messages.market import MarketType
from messages.orders import OrderSpec, OrderType, TimeInForce

_LOG = structlog.stdlib.get_logger(__name__)

OFFSET_SAMPLES = 3
"""How often `open` measures the exchange's clock before anything is signed."""
WAIT_MAX_S = 300.0
"""A longer wait asked for by an exchange is cut to this."""
LOOK_BACK_S = 6 * 86400.0
"""Not finding an order placed longer ago proves nothing: every exchange's lists reach back seven days at least."""


class CcxtPort:
    """Implements `app.exchanges.port.ExchangePort`.

    Args:
        clock: Unix seconds of the host's anchored clock.
    """

    def __init__(
        self, profile: Profile, settings: ExchangeSettings, credentials: Credentials, *, clock: Callable[[], float]
    ) -> None:
        self._profile = profile
        self._settings = settings
        self._credentials = credentials
        self._clock = clock
        self._offset = ClockOffset()
        self._client: type_client = None
        self._table = MarketTable(profile.name, (), allow_settlement_change=settings.allow_settlement_change)
        self._ready = False

    @property
    def exchange(self) -> str:
        """The router's name of the exchange."""
        return self._profile.name

    @property
    def proof(self) -> Proof:
        """What proves absence here."""
        return self._profile.proof

    @property
    def rate_limit(self) -> RateLimit:
        """How many requests the exchange takes from this account: what it gives every account, unless configured."""
        per_s = self._settings.rate_limit_per_s
        return self._profile.rate_limit if per_s is None else RateLimit(per_s=float(per_s), burst=per_s)

    @property
    def ready(self) -> bool:
        """Whether the markets are loaded."""
        return self._ready

    @property
    def clock_offset_s(self) -> float:
        """Exchange clock minus ours, as measured."""
        return self._offset.value_s

    # ---- life --------------------------------------------------------------------------------------------------------

    async def open(self, deadline_s: float) -> str:
        """Measures the clock, loads the markets, makes the calls a first order would wait for. See the port."""
        if self._settings.market_type is not MarketType.SWAP:
            return f"{self.exchange} is configured for {self._settings.market_type} markets; only swap is traded."
        trace = Trace()
        token = TRACE.set(trace)
        try:
            async with asyncio.timeout(deadline_s - self._clock()):
                client = self._made_client()
                for _ in range(OFFSET_SAMPLES):
                    await self._measure(client)
                markets = read_markets((await client.load_markets(True)).values())
                if not markets:
                    return f"{self.exchange} listed no linear swap market."
                allowed = self._settings.allow_settlement_change
                self._table = MarketTable(self.exchange, markets, allow_settlement_change=allowed)
                await self._profile.warm_up(client)
        except Exception as error:  # answered: every way the exchange can fail is the sentence returned
            failure, row = self._failed(error, trace)
            return outcomes.sentence(failure, row, "the request for its markets")
        finally:
            TRACE.reset(token)
        self._ready = True
        return ""

    async def close(self) -> None:
        """Closes every connection. The port may be opened again."""
        client, self._client, self._ready = self._client, None, False
        if client is not None:
            await close_client(client)

    def _made_client(self) -> type_client:
        if self._client is None:
            self._client = make_client(
                self._profile.ccxt_id,
                self._profile.options,
                self._settings,
                self._credentials,
                profile=self._profile,
                clock=self._clock,
                offset=self._offset,
            )
        return self._client

    # ---- pure over the markets ---------------------------------------------------------------------------------------

    def tradable(self, symbol: str) -> str:
        """Whether a symbol can be traded here: an empty string, or one sentence saying why not."""
        try:
            self._table.find(parse_symbol(symbol, self._settings.market_type))
        except (InvalidSymbol, NotTradable) as error:
            return str(error)
        return ""

    def check(self, spec: OrderSpec) -> str:
        """Whether the exchange's rules admit the order. See the port."""
        try:
            self._check(spec, spec.quantity)
        except (NotTradable, InvalidSize, NotSupported) as error:
            return str(error)
        return ""

    def _check(self, spec: OrderSpec, quantity: Decimal) -> tuple[Market, Decimal]:
        market = self._table.find(spec.symbol)
        unsupported = self._profile.unsupported(spec)
        if unsupported:
            raise NotSupported(unsupported)
        contracts = to_contracts(quantity, market.rules)
        if spec.order_type is OrderType.LIMIT:
            if spec.price is None:
                raise NotSupported("A limit order needs a price.")
            check_price(spec.price, market.rules)
            if not spec.reduce_only:
                check_notional(quantity, spec.price, market.rules)
        elif spec.time_in_force in (TimeInForce.FOK, TimeInForce.POST_ONLY):
            raise NotSupported(f"A market order cannot be {spec.time_in_force}: leave its time in force out.")
        if spec.take_profit is not None:
            check_price(spec.take_profit, market.rules, "Take profit")
        if spec.stop_loss is not None:
            check_price(spec.stop_loss, market.rules, "Stop loss")
        return market, contracts

    # ---- calls -------------------------------------------------------------------------------------------------------

    async def perform(self, call: Call) -> Result:
        """Carries out one call, within its deadline. Raises nothing for what an exchange does."""
        left_s = call.deadline_s - self._clock()
        if left_s <= 0:
            return self._too_late(call)
        if not self._ready and not isinstance(call, calls.ProbeCall):
            return self._not_ready(call)
        trace = Trace()
        token = TRACE.set(trace)
        try:
            async with asyncio.timeout(left_s):
                result = await self._ask(call, trace)
        except asyncio.CancelledError:
            trace.tear_down()
            raise
        except Exception as error:  # answered, by what the evidence proves; and logged where it is not ccxt's
            trace.tear_down()
            result = self._failure(call, error, trace)
        finally:
            TRACE.reset(token)
        return result

    async def _ask(self, call: Call, trace: Trace) -> Result:
        client = self._made_client()
        match call:
            case calls.PlaceCall():
                return await self._place(client, call, trace)
            case calls.CancelCall():
                market = self._table.find(call.symbol)
                row = await self._profile.cancel(client, market, call.wire_id)
                self._raise_refusal(trace)
                return calls.CancelConfirmed(final=None if row is None else reports.order(row, market, call.symbol))
            case calls.LookUpCall():
                asked_s = self._clock()
                market = self._table.find(call.symbol)
                since_ms = int(call.since_s * 1000)
                found = await self._profile.find(client, market, call.wire_id, call.exchange_order_id, since_ms)
                if found is None and asked_s - call.since_s > LOOK_BACK_S:
                    return self._out_of_sight()
                if found is None:
                    return calls.NotFound(asked_s=asked_s)
                return calls.Found(report=reports.order(found, market, call.symbol))
            case calls.OpenOrdersCall():
                asked_s = self._clock()
                only = None if call.symbol is None else self._table.find(call.symbol)
                rows = await self._profile.open_orders(client, self._table, only)
                return calls.OpenOrders(
                    reports=tuple(reports.listed(row, self._table) for row in rows), asked_s=asked_s
                )
            case calls.TickerCall():
                market = self._table.find(call.symbol)
                ticker = await self._profile.ticker(client, market)
                return calls.TickerResult(ticker=reports.ticker(ticker, self.exchange, call.symbol, self._clock()))
            case calls.BalancesCall():
                balance = await client.fetch_balance()
                return calls.BalancesResult(balances=reports.balances(balance, self.exchange, self._clock()))
            case calls.PositionsCall():
                held = await self._profile.positions(client, self._table)
                return calls.PositionsResult(
                    positions=reports.positions(held, self._table, self.exchange, self._clock())
                )
            case calls.ProbeCall(kind=ProbeKind.PUBLIC):
                return calls.ProbeOk(clock_offset_s=await self._measure(client))
            case calls.ProbeCall():
                await self._profile.signed_probe(client)
                return calls.ProbeOk(clock_offset_s=None)
            case _:
                assert_never(call)

    async def _place(self, client: type_client, call: calls.PlaceCall, trace: Trace) -> calls.PlaceResult:
        spec = call.spec
        try:
            market, contracts = self._check(spec, call.quantity)
        except (NotTradable, InvalidSize, NotSupported) as error:
            return calls.Refused(code="invalid_order", words=str(error), native_code=None)
        offset_s = self._offset.value_s
        if call.expiry_s <= self._clock():
            return calls.NotExecuted(code="expired", words="The placement had expired before it was sent.")
        trace.pin = Pin(
            signed_ms=int((call.committed_s + offset_s) * 1000), expires_ms=int((call.expiry_s + offset_s) * 1000)
        )
        order = WireOrder(
            spec=spec,
            market=market,
            contracts=plain(contracts),
            price=None if spec.order_type is OrderType.MARKET or spec.price is None else plain(spec.price),
            wire_id=call.wire_id,
            pin=trace.pin,
        )
        row = await self._profile.place(client, order)
        self._raise_refusal(trace)
        if not row.order_id:
            raise Unreadable("the answer to the placement names no order")
        if row.wire_id is not None and row.wire_id != call.wire_id:
            raise Unreadable("the answer to the placement names another client order id")
        return calls.Placed(report=reports.order(row, market, spec.symbol, call.wire_id))

    async def _measure(self, client: type_client) -> float:
        sent_s = self._clock()
        server_s = await self._profile.server_time_s(client)
        return self._offset.measured(sent_s, server_s, self._clock())

    # ---- failures ----------------------------------------------------------------------------------------------------

    def _raise_refusal(self, trace: Trace) -> None:
        """A refusal in an answer that ccxt took for a success."""
        if self._profile.native_code(trace.answer) is not None:
            raise RefusedQuietly

    def _failure(self, call: Call, error: Exception, trace: Trace) -> Result:
        if isinstance(error, NotTradable):
            return calls.CallFailed(code="invalid_symbol", words=str(error), retryable=False)
        failure, row = self._failed(error, trace)
        if row.code == "unexpected":
            _LOG.warning(
                "exchange.unexpected_exception",
                exchange=self.exchange,
                call=type(call).__name__,
                kind=failure.kinds[0] if failure.kinds else "",
            )
        match call:
            case calls.PlaceCall():
                return outcomes.placement(failure, row)
            case calls.CancelCall():
                return outcomes.cancellation(failure, row)
            case calls.LookUpCall():
                return outcomes.reading(failure, row, "the look-up")
            case calls.ProbeCall():
                return outcomes.reading(failure, row, "the probe")
            case _:
                return outcomes.reading(failure, row, "the request")

    def _failed(self, error: Exception, trace: Trace) -> tuple[Failure, Row]:
        said = self._profile.native_code(trace.answer)
        timed_out = isinstance(error, TimeoutError)
        failure = Failure(
            exchange=self.exchange,
            sent=trace.sent,
            timed_out=timed_out,
            kinds=() if timed_out or isinstance(error, Unreadable | RefusedQuietly) else class_names(type(error)),
            known_as=() if said is None or self._client is None else self._profile.known_as(self._client, said[0]),
            native_code=None if said is None else said[0],
            native_words="" if said is None else said[1],
            http_status=trace.status,
            retry_after_s=self._wait_s(trace),
        )
        return failure, outcomes.explain(failure, self._profile.codes)

    def _wait_s(self, trace: Trace) -> float | None:
        if trace.headers is None:
            return None
        headers = {name.lower(): value for name, value in trace.headers.items()}
        wait_s = self._profile.wait_s(headers, self._clock() + self._offset.value_s)
        return None if wait_s is None else min(max(wait_s, 0.0), WAIT_MAX_S)

    def _out_of_sight(self) -> calls.CallFailed:
        days = LOOK_BACK_S / 86400
        return calls.CallFailed(
            code="look_back_exceeded",
            words=f"{self.exchange} does not list the order, but its lists prove nothing beyond {days:g} days.",
            retryable=False,
        )

    def _too_late(self, call: Call) -> Result:
        words = f"The deadline had passed before anything was sent to {self.exchange}."
        if isinstance(call, calls.PlaceCall):
            return calls.NotExecuted(code="deadline_passed", words=words)
        return calls.CallFailed(code="deadline_passed", words=words)

    def _not_ready(self, call: Call) -> Result:
        words = f"The markets of {self.exchange} are not loaded yet."
        if isinstance(call, calls.PlaceCall):
            return calls.NotExecuted(code="not_ready", words=words, ill=True)
        return calls.CallFailed(code="not_ready", words=words, ill=True)


class NotSupported(ValueError):
    """An order this exchange, or any, cannot be asked for; the message is one sentence."""


class RefusedQuietly(Exception):
    """An answer that refuses, which ccxt took for a success."""
