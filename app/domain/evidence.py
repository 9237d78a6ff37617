"""What a call says of its exchange's health, and what it does not.

By the router's own code of a result, so that every port that names what happened alike gives the same evidence. Three
rules decide:

- **A refusal by a code is an answer.** It speaks for the exchange: whoever refuses an order is there. Its words go
  with it, so that it is told from a good call: it ends no suspicion, and is no trial's success.
- **What never reached the exchange for reasons of our own says nothing** (no room in our limiter, a deadline that had
  passed, a router that stops). What was sent in vain, or could not be sent because nobody let us connect, does.
- **Some answers are worth telling though they are no illness** (`NO_ILLNESS`): that we asked too often, that it does
  not know our key, that our time is not its time, that a market is halted. They are `ok`, with a cause and words; they
  count neither as failures nor as a success.

"Expired" is our clock's fault only where the answer came while the request was still valid by our clock: an order that
took longer than its validity was slow, whoever was slow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from app.domain import calls as c
from app.domain.health_kinds import NO_ILLNESS, PROBE_EVIDENCE
from app.domain.no_room import BANNED, NO_ROOM
from app.domain.unanswered import kind_of
from messages.health import Cause, Evidence, EvidenceKind, ProbeKind
from messages.market import Symbol, Ticker

EXCHANGE_UNREACHABLE = "exchange_unreachable"
"""Code of a call that nobody let connect: refused, or ended before the connection stood."""
CONNECT_TIMEOUT = "connect_timeout"
NAME_NOT_RESOLVED = "name_not_resolved"
NETWORK_UNREACHABLE = "network_unreachable"
NOT_REACHED = frozenset({EXCHANGE_UNREACHABLE, CONNECT_TIMEOUT, NAME_NOT_RESOLVED, NETWORK_UNREACHABLE})
"""Codes of calls that had no connection, so that nothing of them can have arrived."""

NOT_PERMITTED = "not_permitted"
"""Code of a call that the key, or the account, may not make: in no market where it is `ill`, else not in this one."""
_STOPPING = "closing"
"""Code of a call that was given up because the router stops."""

CAUSES: Mapping[str, Cause] = MappingProxyType(
    {
        "timeout": Cause.SILENT,
        CONNECT_TIMEOUT: Cause.SILENT,
        EXCHANGE_UNREACHABLE: Cause.CONNECTION,
        "connection_lost": Cause.CONNECTION,
        NAME_NOT_RESOLVED: Cause.LOCAL,
        NETWORK_UNREACHABLE: Cause.LOCAL,
        "exchange_unavailable": Cause.SERVER,
        "exchange_busy": Cause.SERVER,
        "exchange_error": Cause.SERVER,
        "bad_response": Cause.SERVER,
        "unexpected": Cause.SERVER,
        "maintenance": Cause.MAINTENANCE,
        "rate_limited": Cause.RATE_LIMITED,
        BANNED: Cause.BANNED,
        "not_authenticated": Cause.CREDENTIALS,
        NOT_PERMITTED: Cause.CREDENTIALS,
        "expired": Cause.CLOCK,
        "invalid_nonce": Cause.CLOCK,
        "market_closed": Cause.HALTED,
    }
)
"""By the code of a result."""

BAN_S = 10.0
"""Who asks for silence in everything for longer than this has banned us; less is a window that is used up. Declared by
us: the windows of the exchanges we know are of ten seconds at most, but for Binance's of a minute, during which it
answers nothing either."""

PATIENCE_S = 0.5
"""Of a call that was given less time than this, silence says nothing. Declared by us."""

SAME_S = 0.001
"""A deadline is a sum of floats."""


def evidence_of(
    exchange: str,
    call: c.Call,
    result: c.Result,
    sent_s: float,
    now_s: float,
    *,
    silent_for_s: float | None = None,
    fills: int = 0,
    request_timeout_s: float = PATIENCE_S,
) -> Evidence | None:
    """Evidence from one call; None where it is none (`kind_of`), and for what never reaches the exchange.

    None also for the silence of a call that was given up at once because whoever asked waits no longer: an impatient
    bot, or the last moment of a patient one, would otherwise take trading from an exchange that is well.

    A ban is told whatever was asked: nothing else is sent before it ends, so nobody else would find out.

    Args:
        silent_for_s: How long we are not to ask anything, beside what the result says; None where we may.
        fills: Of ours, told by the exchange so far.
        request_timeout_s: What a call is given where nobody is in a hurry.
    """
    kind = kind_of(call)
    if kind is None and _bans(result, silent_for_s):
        kind = EvidenceKind.READ
    if kind is None:
        return None
    hurried = call.deadline_s - sent_s < min(PATIENCE_S, request_timeout_s) - SAME_S
    if hurried and isinstance(result, c.Ambiguous | c.NotExecuted | c.CallFailed) and _unheard(result):
        return None
    symbol = call.spec.symbol if isinstance(call, c.PlaceCall | c.AmendCall) else getattr(call, "symbol", None)
    late = isinstance(call, c.PlaceCall) and now_s >= call.expiry_s
    return _judged(
        exchange, kind, result, sent_s, now_s, symbol=symbol, silent_for_s=silent_for_s, fills=fills, late=late
    )


def probe_evidence(
    exchange: str,
    kind: ProbeKind,
    result: c.Result,
    sent_s: float,
    now_s: float,
    *,
    symbol: Symbol | None = None,
    silent_for_s: float | None = None,
    fills: int = 0,
) -> Evidence | None:
    """Evidence from a probe; None where it says nothing: not sent for want of room, or of what the exchange has not.

    Args:
        symbol: Whose price was read.
    """
    unsupported = isinstance(result, c.CallFailed) and result.code == c.UNSUPPORTED
    if unsupported and kind in (ProbeKind.STATUS, ProbeKind.MARKET):
        return None
    return _judged(
        exchange, PROBE_EVIDENCE[kind], result, sent_s, now_s, symbol=symbol, silent_for_s=silent_for_s, fills=fills
    )


def _judged(
    exchange: str,
    kind: EvidenceKind,
    result: c.Result,
    sent_s: float,
    now_s: float,
    *,
    symbol: Symbol | None,
    silent_for_s: float | None,
    fills: int,
    late: bool = False,
) -> Evidence | None:
    ok, cause, words, until_s = True, None, "", None
    if isinstance(result, c.Ambiguous | c.NotExecuted | c.CallFailed):
        asked_s = None if isinstance(result, c.Ambiguous) else result.retry_after_s
        silent_for_s = max((each for each in (silent_for_s, asked_s) if each is not None), default=None)
        cause = _cause(result, silent_for_s, late=late)
        ill = not result.duplicate if isinstance(result, c.Ambiguous) else result.ill
        ok = not ill or cause in NO_ILLNESS
        if result.code == NO_ROOM:
            if silent_for_s is None or silent_for_s <= BAN_S:
                return None
            cause = Cause.BANNED  # of an earlier life, maybe: what waits for its end is how that is known
        if ok and cause is None and result.native_code is None and not isinstance(result, c.Ambiguous):
            return None
        if result.code == _STOPPING:
            return None
        words = result.words  # also of a plain refusal: an answer, and no good call
        if silent_for_s is not None and words and (cause is not None or not ok):
            until_s = now_s + silent_for_s
    probed = result if isinstance(result, c.ProbeOk) else c.ProbeOk(clock_offset_s=None)
    mark = mark_of(result.ticker) if isinstance(result, c.TickerResult) else probed.mark
    return Evidence(
        exchange=exchange,
        kind=kind,
        ok=ok,
        words=words,
        latency_s=now_s - sent_s,
        at_s=now_s,
        clock_offset_s=probed.clock_offset_s,
        cause=cause,
        symbol=symbol,
        until_s=until_s,
        notice=result.notice if isinstance(result, c.StatusResult) else None,
        mark=mark,
        fills=fills,
    )


def _unheard(result: c.Ambiguous | c.NotExecuted | c.CallFailed) -> bool:
    """Whether nothing came back before it was given up."""
    return CAUSES.get(result.code) is Cause.SILENT and result.native_code is None


def _cause(
    result: c.Ambiguous | c.NotExecuted | c.CallFailed, silent_for_s: float | None, *, late: bool
) -> Cause | None:
    cause = CAUSES.get(result.code)
    refused = isinstance(result, c.NotExecuted | c.CallFailed) and not result.ill
    if isinstance(result, c.Ambiguous):
        refused = result.duplicate
    if cause is Cause.CLOCK:
        if result.native_code is None:  # by our own clock, before anything was sent
            return None
        return Cause.SILENT if late else cause
    if cause is Cause.RATE_LIMITED and silent_for_s is not None and silent_for_s > BAN_S:
        return Cause.BANNED
    if cause is Cause.SILENT and result.native_code is not None:
        return Cause.SERVER  # it answered that it has no answer
    if refused and (cause not in NO_ILLNESS or result.code == NOT_PERMITTED):
        return None  # of this order, or in this market, and the exchange is well
    return cause


def _bans(result: c.Result, silent_for_s: float | None) -> bool:
    """Whether we are to ask nothing at all for long, as this result says."""
    if not isinstance(result, c.NotExecuted | c.CallFailed) or result.native_code is None or silent_for_s is None:
        return False
    return silent_for_s > BAN_S and CAUSES.get(result.code) in (Cause.RATE_LIMITED, Cause.BANNED)


def refuses_clock(result: c.NotExecuted | c.CallFailed) -> bool:
    """Whether an exchange refused a call for our time, or for a nonce that is made of it."""
    return result.native_code is not None and CAUSES.get(result.code) is Cause.CLOCK


def mark_of(told: Any) -> str:
    """A fingerprint of what was read: two alike mean that nothing has moved.

    Of prices without their time: where an exchange tells none it is ours, and where it tells that of its answer that
    goes on while prices stand still. For the same reason no time of a row of balances is in it.
    """
    if isinstance(told, Ticker):
        told = [str(each) for each in (told.bid, told.ask, told.last)]
    said = json.dumps(_without_times(told), sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def _without_times(told: Any) -> Any:
    if isinstance(told, list | tuple):
        return [_without_times(each) for each in told]
    if isinstance(told, dict):
        return {key: _without_times(each) for key, each in told.items() if not str(key).lower().endswith("time")}
    return told
