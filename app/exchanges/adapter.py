"""The port over the real ccxt client: one account on one exchange.

Everything in which exchanges differ is in a profile (`app.exchanges.profiles`), what a failure proves in
`app.exchanges.outcomes` and the tables of codes. What is left here is the same for all: deadlines, the clock offset,
exact sizes, and that every way a call can end is one of the port's results.

All but `take_over`, `check`, `tradable`, `ready` and `proof` belongs to one event loop, on which the client is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

import structlog

from app.domain import calls
from app.domain.calls import Call, Proof, Result
from app.domain.evidence import mark_of, refuses_clock
from app.domain.rates import Rates, Usage
from app.domain.symbols import InvalidSymbol, parse_symbol
from app.exchanges import account, rates, reads, reports
from app.exchanges.admission import NotSupported, admit
from app.exchanges.client import TRACE, Trace, close_client, make_client, type_client
from app.exchanges.clock_offset import ClockOffset
from app.exchanges.dry_run import dry_run
from app.exchanges.exchange_time import ExchangeTime
from app.exchanges.failures import Failures
from app.exchanges.handover import Handover
from app.exchanges.keeper import Chores, Keeper, apart
from app.exchanges.limits_file import LimitsFile
from app.exchanges.markets_file import Markets, Packed
from app.exchanges.order_calls import OrderCalls, raise_refusal
from app.exchanges.profiles.base import Profile, Unsupported
from app.exchanges.settings import Credentials, ExchangeSettings
from app.exchanges.sizes import InvalidSize
from app.exchanges.symbols import Market, MarketTable, NotTradable, read_markets
from app.process.account_lock import fingerprint
from app.process.memory import forget_freed, give_back
from messages.health import ProbeKind
from messages.market import Lots, MarketType, Symbol
from messages.orders import OrderSpec

_LOG = structlog.stdlib.get_logger(__name__)

OFFSET_SAMPLES = 3
"""How often `open` measures the exchange's clock before anything is signed."""
CHORE_TIMEOUT_S = 10.0
LOAD_TIMEOUT_S = 60.0
"""For all of a loading beside the orders: nobody waits for it."""


class CcxtPort:
    """Implements `app.exchanges.port.ExchangePort`.

    Args:
        clock: Unix seconds of the host's anchored clock.
        handover: What earlier lives left and this one leaves; None for nothing.
    """

    def __init__(
        self,
        profile: Profile,
        settings: ExchangeSettings,
        credentials: Credentials,
        *,
        clock: Callable[[], float],
        handover: Handover | None = None,
    ) -> None:
        self._profile = profile
        self._settings = settings
        self._credentials = credentials
        self._clock = clock
        self._time = ExchangeTime(profile, clock, None if handover is None else handover.offset)
        self._offset = self._time.offset
        self._client: type_client = None
        self._handover = handover
        self._markets: Markets | None = None
        self._table = self._table_of((), None)
        self._ready = False
        self._failures = Failures(profile, lambda: clock() + self._offset.value_s)
        self._orders = OrderCalls(profile, clock, self._offset, self._failures)
        self._usage = rates.UsageSeen(profile.name, settings.rate_limit_per_s)
        chores = Chores(measure=self._measured, warm_up=self._warmed_up, load=self._loaded_anew)
        self._keeper = Keeper(profile.name, chores, refresh_s=settings.markets_refresh_s)
        # Of the key alone, so that what was learned of one account is not taken for another's.
        self._account = fingerprint(profile.name, credentials.api_key, place=settings.base_url or "")

    @property
    def exchange(self) -> str:
        """The router's name of the exchange."""
        return self._profile.name

    @property
    def proof(self) -> Proof:
        """What proves absence here."""
        return self._profile.proof

    @property
    def rates(self) -> Rates:
        """What the exchange lets this account ask: what it gives every account, unless configured."""
        return rates.of(self._profile, self._settings.rate_limit_per_s)

    @property
    def limits(self) -> LimitsFile | None:
        """A file in the state directory."""
        return LimitsFile.of(self._settings, self._profile.name, self._account, self.rates, self._clock)

    def usage(self) -> Collection[Usage]:
        """See the port."""
        return self._usage.drained()

    @property
    def ready(self) -> bool:
        """Whether the markets are loaded."""
        return self._ready

    @property
    def clock_offset_s(self) -> float:
        """Exchange clock minus ours, as measured."""
        return self._offset.value_s

    # ---- life --------------------------------------------------------------------------------------------------------

    def take_over(self) -> bool:
        """Takes over the markets and the clock offset that an earlier life left. Before `open`, on any thread.

        Returns whether the port is ready by that. Takes some ten milliseconds where there are many markets.
        """
        if self._handover is None:
            return False
        self._time.take_over()
        now_s = self._clock()
        markets = self._handover.markets.read(now_s)
        if markets is not None and self._adopt(markets):
            _LOG.info(
                "markets.handed_over",
                exchange=self.exchange,
                markets=len(self._table),
                age_s=round(now_s - markets.loaded_s, 1),
                clock_known=self._offset.known,
            )
        return self._ready

    def live_in(self, symbols: Collection[Symbol]) -> None:
        """Orders of ours live in no other markets. See the port."""
        markets = self._markets
        if markets is None:
            return
        busy = set()
        for symbol in symbols:
            with contextlib.suppress(NotTradable):
                busy.add(self._table.known(symbol).unified)
        left = markets.without_resized(busy)
        if left is not markets:
            self._adopt(left)

    async def open(self, deadline_s: float) -> str:
        """Measures the clock, loads the markets, makes the calls a first order would wait for; or, where markets were
        taken over, sees to all of that beside the orders. See the port."""
        if self._ready:
            self._made_client()
            self._keeper.start(measurements=OFFSET_SAMPLES, handed_over=True)
            return ""
        trace = Trace()
        token = TRACE.set(trace)
        try:
            async with asyncio.timeout(deadline_s - self._clock()):
                client = self._made_client()
                for _ in range(OFFSET_SAMPLES):
                    await self._time.measure(client)
                if words := self._time.unknown():
                    return words
                await client.load_markets(True)
                await self._profile.warm_up(client)
                if words := self._profile.unfit(client):
                    return words
        except Exception as error:  # answered: every way the exchange can fail is the sentence returned
            return self._failures.sentence(error, self._client, trace, "the request for its markets")
        finally:
            TRACE.reset(token)
        trace.answer = None
        packed = Markets.of(client, self._clock(), self._learned(client)).packed()
        forget_freed()
        if not self._adopt(packed.unpacked()):
            return f"{self.exchange} listed no {self._kind} market."
        give_back()
        self._keep(packed)
        self._keeper.start(measurements=0, handed_over=False)
        return ""

    async def close(self) -> None:
        """Closes every connection. The port may be opened again."""
        self._time.close()
        await self._keeper.close()
        client, self._client, self._ready = self._client, None, False
        if client is not None:
            await close_client(client)

    def _made_client(self) -> type_client:
        if self._client is None:
            self._client = self._new_client(self._credentials, self._offset)
            if self._markets is not None:
                self._markets.give(self._client)
                if self._markets.account.get("of") == self._account:
                    self._profile.recall(self._client, self._markets.account.get("learned"))
        return self._client

    def _new_client(self, credentials: Credentials, offset: ClockOffset) -> type_client:
        return make_client(
            self._settings,
            credentials,
            profile=self._profile,
            clock=self._clock,
            offset=offset,
            heard=self._usage.heard,
        )

    # ---- beside the calls --------------------------------------------------------------------------------------------

    def _adopt(self, markets: Markets) -> bool:
        """Trades on these from now on; False, and nothing changes, where there is none that is traded."""
        read = self._read_markets(markets)
        if not read:
            return False
        self._table = self._table_of(read, self._table)
        self._markets = markets
        if self._client is not None:
            markets.give(self._client)
        self._ready = True
        return True

    @property
    def _kind(self) -> str:
        return "spot" if self._profile.market_type is MarketType.SPOT else "linear swap"

    def _read_markets(self, markets: Markets) -> list[Market]:
        return read_markets(markets.by_symbol.values(), self.exchange, self._profile.market_type)

    def _table_of(self, markets: Iterable[Market], before: MarketTable | None) -> MarketTable:
        return MarketTable(
            self.exchange,
            markets,
            allow_settlement_change=self._settings.allow_settlement_change,
            market_type=self._profile.market_type,
            before=before,
        )

    def _learned(self, client: type_client) -> dict[str, Any]:
        return {"of": self._account, "learned": self._profile.learned(client)}

    def _keep(self, packed: Packed) -> None:
        if self._handover is not None:
            # On a thread, which the end of the process does not wait for: writing takes as long as the disk does.
            threading.Thread(target=self._handover.markets.write, args=(packed,), daemon=True).start()

    async def _measured(self) -> str:
        words = await self._chore(self._time.measure, "the question for its time")
        return words or self._time.unknown()

    async def _warmed_up(self) -> str:
        return await self._chore(self._profile.warm_up, "the question for its account")

    async def _chore(self, ask: Callable[[type_client], Awaitable[object]], what: str) -> str:
        trace = Trace()
        token = TRACE.set(trace)
        try:
            async with asyncio.timeout(CHORE_TIMEOUT_S):
                await ask(self._made_client())
        except Exception as error:  # answered: every way the exchange can fail is the sentence returned
            trace.tear_down()
            return self._failures.sentence(error, self._client, trace, what)
        finally:
            TRACE.reset(token)
        return ""

    async def _loaded_anew(self) -> str:
        before = self._markets
        assert before is not None, "a port that is not ready has no keeper"
        account = self._learned(self._made_client())
        trace = Trace()

        async def fetched() -> Packed | None:
            TRACE.set(trace)
            client = self._new_client(Credentials(api_key="", secret=""), ClockOffset())
            try:
                async with asyncio.timeout(LOAD_TIMEOUT_S):
                    await client.load_markets(True)
            finally:
                await close_client(client)
            trace.answer = None
            markets = Markets.of(client, self._clock(), account)
            return markets.after(before).packed() if self._read_markets(markets) else None

        async def load() -> tuple[Packed, Markets, bool] | None:
            packed = await fetched()  # with whose end what ccxt made of the answers is let go
            if packed is None:
                return None
            forget_freed()
            markets = packed.unpacked()
            give_back()
            return packed, markets, markets.same(before)

        try:
            loaded = await apart(load, f"markets-{self.exchange}")
        except Exception as error:  # answered: every way the exchange can fail is the sentence returned
            return self._failures.sentence(error, self._client, trace, "the request for its markets")
        if loaded is None:
            return f"{self.exchange} listed no {self._kind} market; the markets known before stay."
        packed, markets, same = loaded
        if not same:
            self._adopt(markets)
        self._keep(packed)
        missing = markets.doubtful
        return (
            f"{self.exchange} did not list {missing} markets it had before; they are asked for again."
            if missing
            else ""
        )

    # ---- pure over the markets ---------------------------------------------------------------------------------------

    def tradable(self, symbol: str) -> str:
        """Whether a symbol can be traded here: an empty string, or one sentence saying why not."""
        try:
            self._table.find(parse_symbol(symbol, self._settings.market_type))
        except (InvalidSymbol, NotTradable) as error:
            return str(error)
        return ""

    def lots(self, symbol: Symbol) -> Lots | None:
        """Which orders a market takes. See the port."""
        try:
            market = self._table.find(symbol)
        except NotTradable:
            return None
        return reports.lots(market)

    def check(self, spec: OrderSpec) -> str:
        """Whether the exchange's rules admit the order. See the port."""
        try:
            admit(self._profile, self._table, spec, spec.quantity)
        except (NotTradable, InvalidSize, NotSupported) as error:
            return str(error)
        return ""

    def attaches(self, spec: OrderSpec) -> bool:
        """Whether the order can carry its take profit and stop loss."""
        return self._profile.attaches(spec)

    # ---- calls -------------------------------------------------------------------------------------------------------

    async def perform(self, call: Call) -> Result:
        """Carries out one call, within its deadline. Raises nothing for what an exchange does."""
        left_s = call.deadline_s - self._clock()
        if left_s <= 0:
            return self._failures.too_late(call)
        if not self._ready and not isinstance(call, calls.ProbeCall | calls.DryCall | calls.StatusCall):
            return self._failures.not_ready(call)
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
            result = self._failures.result(call, error, self._client, trace)
        finally:
            TRACE.reset(token)
        if isinstance(result, calls.NotExecuted | calls.CallFailed) and refuses_clock(result):
            self._time.refused(self._measured)
        return result

    async def _ask(self, call: Call, trace: Trace) -> Result:
        client = self._made_client()
        public = isinstance(call, reads.PUBLIC | calls.DryCall) or (
            isinstance(call, calls.ProbeCall) and call.kind is ProbeKind.PUBLIC
        )
        if not public:
            await self._time.know(self._measured)  # nothing is signed by a clock that may be anywhere
        match call:
            case calls.PlaceCall() | calls.AmendCall() | calls.CancelCall() | calls.LookUpCall():
                return await self._orders.make(client, self._table, call, trace)
            case calls.ProbeCall(kind=ProbeKind.PUBLIC):
                return calls.ProbeOk(clock_offset_s=await self._time.measure(client))
            case calls.ProbeCall(kind=ProbeKind.STATUS | ProbeKind.MARKET):
                raise Unsupported(f"A {call.kind} probe of {self.exchange} is a call of its own: what it reads.")
            case calls.ProbeCall():
                balances = await self._profile.signed_probe(client)
                return calls.ProbeOk(clock_offset_s=None, mark=mark_of(balances))
            case calls.DryCall():
                return await dry_run(self._profile, client, self._table.any_active(), trace, self._clock())
            case calls.LeverageCall() | calls.MarginModeCall() | calls.PositionModeCall() | calls.DeadManCall():
                made = await account.make(self._profile, client, self._table, call, self._clock)
                raise_refusal(self._profile, trace)
                return made
            case _:
                result = await reads.read(self._profile, client, self._table, call, self._clock)
                return reads.timed(result, self._offset.held, self._clock())
