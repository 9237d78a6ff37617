"""The port over a simulated exchange, and its runner: what `app.exchanges` is in production.

Every call gets exactly one result, at its deadline at the latest, as over a real socket; what happens to the request in
the meantime is the weather's business. Results are announced to the connector by `ResultsWait`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random

from actors.environment import ResultsWait
from app.domain import calls as c
from app.domain.kept_limits import KeepsLimits
from app.domain.rates import Rates, Usage, rates_of
from app.fuzz.exchange import UNLIMITED, SimExchange
from app.fuzz.faults import Fault, Weather
from app.fuzz.record import Record, Sent
from app.fuzz.secrecy import SECRET
from messages.health import ProbeKind
from messages.market import Lots, Symbol
from messages.orders import OrderSpec


class SimPort:
    """What the connector may ask of the exchange without waiting."""

    def __init__(self, exchange: SimExchange) -> None:
        self._exchange = exchange
        self.credentials = SECRET
        self.ready = False

    @property
    def exchange(self) -> str:
        """The exchange's name."""
        return self._exchange.traits.name

    @property
    def proof(self) -> c.Proof:
        """What proves absence here."""
        return self._exchange.traits.proof

    @property
    def rates(self) -> Rates:
        """Requests the account may make."""
        return rates_of(self._exchange.traits.rate_limit)

    @property
    def limits(self) -> KeepsLimits:
        """What outlives a connector, as its file does."""
        return self._exchange.limits

    def usage(self) -> Collection[Usage]:
        """It tells nothing of its limits."""
        return ()

    def live_in(self, symbols: Collection[Symbol]) -> None:
        """No market changes its contract size."""

    async def open(self, deadline_s: float) -> str:
        """Unused: the runner opens it in simulated time."""
        raise NotImplementedError

    async def close(self) -> None:
        """Unused, likewise."""
        raise NotImplementedError

    async def perform(self, call: c.Call) -> c.Result:
        """Unused, likewise."""
        raise NotImplementedError

    def check(self, spec: OrderSpec) -> str:
        """Every order is admissible, but for size and price where positions count."""
        account = self._exchange.account
        return "" if account is None else account.terms.check(spec)

    def attaches(self, spec: OrderSpec) -> bool:
        """Every order carries its exits, but where the account's exchange does not."""
        account = self._exchange.account
        return account is None or account.terms.attaches

    def tradable(self, symbol: str) -> str:
        """Every symbol can be traded."""
        return ""

    def lots(self, symbol: Symbol) -> Lots:
        """As the account's exchange has it."""
        account = self._exchange.account
        return (UNLIMITED if account is None else account.terms).lots(symbol)


class SimRunner:
    """One life of a port: it ends with its connector."""

    def __init__(
        self,
        exchange: SimExchange,
        *,
        weather: Weather,
        rng: Random,
        record: Record,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None],
        announce: Callable[[ResultsWait], None],
        touch: Callable[[str], None],
        sent: Callable[[str, c.PlaceCall, int], None],
        met: Callable[[Fault], None] = lambda _fault: None,
    ) -> None:
        self.port = SimPort(exchange)
        self._exchange = exchange
        self._name = exchange.traits.name
        self._weather = weather
        self._rng = rng
        self._record = record
        self._now = now
        self._later = later
        self._announce = announce
        self._touch = touch
        self._sent = sent
        self._met = met
        self.not_ready = ""
        self._results: list[tuple[int, c.Result]] = []
        self._closed = False

    def next_s(self) -> None:
        """Never: results are announced."""

    def stalled_s(self) -> float:
        """Nothing stalls here but actors."""
        return 0.0

    def fileno(self) -> None:
        """None: results are announced."""
        return None

    def start(self) -> None:
        """Loads the markets, if the exchange answers."""
        probe = c.TickerCall(symbol=None, deadline_s=self._now() + 5.0)  # type: ignore[arg-type]  # any read will do
        if self._weather.fault(self._name, probe, self._now()) in (None, Fault.SLOW, Fault.STALE):
            self._later(0.1 + 0.4 * self._rng.random(), self._opened)

    def _opened(self) -> None:
        if not self._closed:
            self.port.ready = True
            self._announce(ResultsWait())

    def drain(self) -> list[tuple[int, c.Result]]:
        """Results since the last time."""
        results, self._results = self._results, []
        return results

    def close(self) -> None:
        """The connector ended: what has not left yet never leaves, and nobody hears of the rest."""
        self._closed = True

    # ------------------------------------------------------------------------------------------------ calls

    def submit(self, call_id: int, call: c.Call) -> None:
        """Sends a call on its way."""
        now_s = self._now()
        self._exchange.asked()
        if isinstance(call, c.PlaceCall):
            serial = self._exchange.identify(call)
            self._sent(self._name, call, serial)
            self._record.add(
                Sent(
                    now_s,
                    self._name,
                    serial,
                    call.wire_id,
                    call.quantity,
                    call.committed_s,
                    call.expiry_s,
                )
            )
        answered = False

        def answer(result: c.Result) -> None:
            nonlocal answered
            if not answered and not self._closed:
                answered = True
                if isinstance(call, c.PlaceCall) and isinstance(result, c.NotExecuted):
                    self._exchange.turned_away.append((self._now(), call.wire_id))
                self._results.append((call_id, result))
                self._announce(ResultsWait())

        if isinstance(call, c.AmendCall):  # known without asking
            words = "Orders cannot be changed here."
            answer(c.AmendRefused(code=c.UNSUPPORTED, words=words, native_code=None, unsupported=True))
            return
        self._travel(call, answer)
        if isinstance(call, c.PlaceCall):
            self._touch("after sending a placement")
        elif isinstance(call, c.CancelCall):
            self._touch("after sending a cancel")

    def _travel(self, call: c.Call, answer: Callable[[c.Result], None]) -> None:
        now_s, draw = self._now(), self._rng.random
        if now_s >= call.deadline_s:
            answer(not_sent(call))
            return
        fault = self._weather.fault(self._name, call, now_s)
        if fault is not None:
            self._met(fault)
        if fault is not None and isinstance(call, c.PlaceCall):
            self._exchange.note(self._name, f"order {self._exchange.identify(call)} meets fault {fault.value}")
        if isinstance(call, c.CancelCall):
            what = "is to be cancelled" if fault is None else f"is to be cancelled, which meets fault {fault.value}"
            self._told(call.wire_id, what)
        self._later(call.deadline_s - now_s, lambda: answer(timed_out(call)))
        out_s, back_s = 0.01 + 0.06 * draw(), 0.01 + 0.06 * draw()
        match fault:
            case Fault.REFUSED:
                self._later(0.005, lambda: answer(_turned_away(call, "exchange_unreachable", None)))
                return
            case Fault.UNREACHABLE:
                self._later(0.001, lambda: answer(_turned_away(call, "name_not_resolved", None)))
                return
            case Fault.OVERLOADED:
                wait_s = 1.0 if draw() < 0.5 else None
                self._later(out_s + back_s, lambda: answer(_turned_away(call, "exchange_busy", wait_s)))
                return
            case Fault.MAINTENANCE:
                self._later(out_s + back_s, lambda: answer(_turned_away(call, "maintenance", None)))
                return
            case Fault.BANNED:
                self._exchange.banned_asks.append(now_s)
                wait_s = self._weather.until_s(self._name, now_s) - now_s
                self._later(out_s + back_s, lambda: answer(_told(call, "rate_limited", wait_s)))
                return
            case Fault.CREDENTIALS if _signed(call):
                self._later(out_s + back_s, lambda: answer(_told(call, "not_authenticated")))
                return
            case Fault.SERVER:
                carried_out = draw() < 0.5
                self._later(out_s + back_s, lambda: answer(_server_error(call)))
                if not carried_out:
                    return
            case Fault.SLUGGISH:
                out_s, back_s = 0.4 + 0.7 * draw(), 0.4 + 0.7 * draw()
            case Fault.READS_FAIL if not isinstance(call, c.PlaceCall | c.CancelCall):
                failed = c.CallFailed(code="internal", words="Internal error.", ill=draw() < 0.5)
                self._later(out_s + back_s, lambda: answer(failed))
                return
            case Fault.HANG_BEFORE:
                return
            case Fault.DROP_BEFORE:
                self._later(out_s, lambda: answer(lost(call)))
                return
            case Fault.DROP_AFTER:
                self._later(out_s + 0.01 * draw(), lambda: answer(lost(call)))
            case Fault.LATE:
                out_s = 15.0 * draw()
            case Fault.SLOW:
                out_s, back_s = 3.0 * draw(), 3.0 * draw()
            case _:
                pass
        silent = fault in (Fault.HANG_AFTER, Fault.DROP_AFTER, Fault.SERVER)
        stale = fault is Fault.STALE or draw() < 0.02
        visibility_s = self._exchange.traits.proof.visibility_s
        lag_s = (visibility_s if stale else min(visibility_s, 0.05)) * draw()
        asked_s = now_s

        def back(result: c.Result) -> None:
            if not silent:
                if isinstance(result, c.NotFound) and isinstance(call, c.LookUpCall):
                    self._told(call.wire_id, "is not found")
                self._later(back_s, lambda: answer(result))

        def arrive() -> None:
            match call:
                case c.PlaceCall():
                    self._exchange.place(call, back)
                case c.CancelCall():
                    self._exchange.cancel(call, back)
                case c.LeverageCall() | c.MarginModeCall() | c.PositionModeCall():
                    back(self._exchange.set(call))
                case c.DeadManCall():
                    back(self._exchange.arm(call))
                case _:
                    back(self._exchange.read(call, asked_s, lag_s))

        # The socket's buffer is the kernel's: what was handed to it goes out though the process dies.
        self._later(out_s, arrive)

    def _told(self, wire_id: str, words: str) -> None:
        """For the story."""
        if wire_id in self._record.wires:
            self._exchange.note(self._name, f"order {self._record.wires[wire_id]} (…{wire_id[-6:]}) {words}")


def not_sent(call: c.Call) -> c.Result:
    words = "The deadline had passed before it could be sent."
    if isinstance(call, c.PlaceCall):
        return c.NotExecuted(code="deadline_passed", words=words)
    return c.CallFailed(code="deadline_passed", words=words)


def timed_out(call: c.Call) -> c.Result:
    if isinstance(call, c.PlaceCall):
        return c.Ambiguous(code="timeout", words="No answer in time.")
    return c.CallFailed(code="timeout", words="No answer in time.", ill=True)


def lost(call: c.Call) -> c.Result:
    if isinstance(call, c.PlaceCall):
        return c.Ambiguous(code="connection_lost", words="The connection ended.")
    return c.CallFailed(code="connection_lost", words="The connection ended.", ill=True)


def _turned_away(call: c.Call, code: str, wait_s: float | None) -> c.Result:
    if isinstance(call, c.PlaceCall):
        return c.NotExecuted(code=code, words="Turned away.", ill=True, retry_after_s=wait_s)
    return c.CallFailed(code=code, words="Turned away.", ill=True, retry_after_s=wait_s)


def _told(call: c.Call, code: str, wait_s: float | None = None) -> c.Result:
    """By a code of the exchange, which is well itself."""
    if isinstance(call, c.PlaceCall):
        return c.NotExecuted(code=code, words="Turned away.", retry_after_s=wait_s, native_code="-1")
    return c.CallFailed(code=code, words="Turned away.", retry_after_s=wait_s, native_code="-1")


def _server_error(call: c.Call) -> c.Result:
    if isinstance(call, c.PlaceCall):
        return c.Ambiguous(code="exchange_unavailable", words="HTTP 503.")
    return c.CallFailed(code="exchange_unavailable", words="HTTP 503.", ill=True)


def _signed(call: c.Call) -> bool:
    """Whether an exchange has to know us to answer it."""
    if isinstance(call, c.ProbeCall):
        return call.kind is ProbeKind.SIGNED
    return not isinstance(call, c.TickerCall | c.OrderBookCall | c.KlinesCall | c.StatusCall)
