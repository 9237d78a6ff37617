"""From an exception to what a call proves: what the port answers where a call did not succeed.

The evidence is the trace of the request and the exchange's own code in its answer; what it means is decided by
`app.exchanges.outcomes`.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from attrs import evolve

from app.domain import calls
from app.domain.calls import Call, Result
from app.domain.evidence import NAME_NOT_RESOLVED
from app.domain.rate_gate import RATE_LIMITED
from app.domain.rates import LONGEST_BAN_S
from app.exchanges import outcomes
from app.exchanges.client import Trace, Unreadable, type_client
from app.exchanges.local_faults import local_fault
from app.exchanges.outcomes import Failure, Row
from app.exchanges.profiles.base import NoLiveOrder, NotSent, Profile, Unsupported, class_names
from app.exchanges.sizes import InvalidSize
from app.exchanges.symbols import NotTradable

_LOG = structlog.stdlib.get_logger(__name__)

WAIT_MAX_S = 300.0
"""A longer wait, asked for by whoever does not turn us away for our rate, is cut to this: a maintenance may end before
the time it named, which one request then finds out, and nobody is banned for that. Declared by us."""


class ClockUnknown(Exception):
    """The exchange's clock could not be measured; the message says why."""


class RefusedQuietly(Exception):
    """An answer that refuses, which ccxt took for a success."""


class Failures:
    """What failures prove on one exchange.

    Args:
        server_now_s: The exchange's clock.
    """

    def __init__(self, profile: Profile, server_now_s: Callable[[], float]) -> None:
        self._profile = profile
        self._server_now_s = server_now_s

    def sentence(self, error: Exception, client: type_client | None, trace: Trace, what: str) -> str:
        """Why something was not had, for people; `what` names it."""
        return outcomes.sentence(*self._explained(error, client, trace), what)

    def result(self, call: Call, error: Exception, client: type_client | None, trace: Trace) -> Result:
        """What a call is answered that ended in an exception."""
        if isinstance(error, NotTradable):
            return calls.CallFailed(code="invalid_symbol", words=str(error), retryable=False)
        if isinstance(error, ClockUnknown):
            words = f"Nothing was sent to {self._profile.name}, since its clock is not known: {error}"
            if isinstance(call, calls.PlaceCall):
                return calls.NotExecuted(code="clock_unknown", words=words, ill=True)
            return calls.CallFailed(code="clock_unknown", words=words, ill=True)
        if isinstance(error, NoLiveOrder):
            return calls.CancelTooLate(native_code=None, words=str(error))
        if isinstance(error, NotSent):
            if isinstance(call, calls.PlaceCall):
                return calls.NotExecuted(code="not_sent", words=str(error))
            return calls.CallFailed(code="not_sent", words=str(error), not_made=True)
        if isinstance(error, Unsupported):
            if isinstance(call, calls.PlaceCall):
                return calls.Refused(code=calls.UNSUPPORTED, words=str(error), native_code=None)
            if isinstance(call, calls.AmendCall):
                return calls.AmendRefused(code=calls.UNSUPPORTED, words=str(error), native_code=None, unsupported=True)
            return calls.CallFailed(code=calls.UNSUPPORTED, words=str(error), retryable=False)
        if isinstance(error, InvalidSize) and isinstance(call, calls.AmendCall):
            return calls.AmendRefused(code="invalid_order", words=str(error), native_code=None)
        failure, row = self._explained(error, client, trace)
        if row.code == "unexpected":
            _LOG.warning(
                "exchange.unexpected_exception",
                exchange=self._profile.name,
                call=type(call).__name__,
                wire_id=getattr(call, "wire_id", None),
                kind=failure.kinds[0] if failure.kinds else "",
            )
        match call:
            case calls.PlaceCall():
                return outcomes.placement(failure, row)
            case calls.CancelCall():
                return outcomes.cancellation(failure, row)
            case calls.AmendCall():
                return outcomes.amendment(failure, row)
            case calls.LeverageCall() | calls.MarginModeCall() | calls.PositionModeCall() | calls.DeadManCall():
                return outcomes.setting(failure, row)
            case calls.LookUpCall():
                return outcomes.reading(failure, row, "the look-up")
            case calls.ProbeCall():
                return outcomes.reading(failure, row, "the probe")
            case calls.DryCall():
                return outcomes.reading(failure, row, "the dry request")
            case _:
                return outcomes.reading(failure, row, "the request")

    def _explained(self, error: Exception, client: type_client | None, trace: Trace) -> tuple[Failure, Row]:
        said = self._profile.native_code(trace.answer)
        timed_out = isinstance(error, TimeoutError)
        failure = Failure(
            exchange=self._profile.name,
            sent=trace.sent,
            timed_out=timed_out,
            kinds=() if timed_out or isinstance(error, Unreadable | RefusedQuietly) else class_names(type(error)),
            known_as=() if said is None or client is None else self._profile.known_as(client, said[0]),
            native_code=None if said is None else said[0],
            native_words="" if said is None else said[1],
            http_status=trace.status,
            local=NAME_NOT_RESOLVED if trace.resolving else local_fault(error),
        )
        row = None if said is None else self._profile.row_of(*said)
        row = row or outcomes.explain(failure, self._profile.codes)
        return evolve(failure, retry_after_s=self._wait_s(trace, row, failure.native_words)), row

    def _wait_s(self, trace: Trace, row: Row, words: str) -> float | None:
        if trace.headers is None:
            return None
        headers = {name.lower(): value for name, value in trace.headers.items()}
        wait_s = self._profile.wait_s(headers, self._server_now_s())
        if wait_s is None and row.code == RATE_LIMITED:
            wait_s = self._profile.wait_in_words_s(words, self._server_now_s())
        most_s = LONGEST_BAN_S if row.code == RATE_LIMITED else WAIT_MAX_S
        return None if wait_s is None else min(max(wait_s, 0.0), most_s)

    def out_of_sight(self) -> calls.CallFailed:
        """A look-up that found nothing, of an order placed too long ago for that to prove anything."""
        days = self._profile.look_back_s / 86400
        return calls.CallFailed(
            code="look_back_exceeded",
            words=f"{self._profile.name} does not list the order, but its lists prove nothing beyond {days:g} days.",
            retryable=False,
        )

    def too_late(self, call: Call) -> Result:
        """A call that was not begun, since its time had passed."""
        words = f"The deadline had passed before anything was sent to {self._profile.name}."
        if isinstance(call, calls.PlaceCall):
            return calls.NotExecuted(code="deadline_passed", words=words)
        return calls.CallFailed(code="deadline_passed", words=words, not_made=True)

    def not_ready(self, call: Call) -> Result:
        """A call that was not begun, since there are no markets yet."""
        words = f"The markets of {self._profile.name} are not loaded yet."
        if isinstance(call, calls.PlaceCall):
            return calls.NotExecuted(code="not_ready", words=words, ill=True)
        return calls.CallFailed(code="not_ready", words=words, ill=True, not_made=True)
