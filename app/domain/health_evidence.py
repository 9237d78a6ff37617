"""What the failure detector keeps of evidence: one instant, as a sum without order.

It is bounded: one entry a kind, and a few remarks, however many calls there are. An ordinary good answer is all that
comes most of the time, so whatever else can be said of an instant is kept apart, in `Remarks`, and is not even made
where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self, TypeVar

from attrs import frozen

from app.domain.health_kinds import EVERY_PLACEMENT, ROUND_EVIDENCE, UNCOUNTED
from messages.health import Cause, Evidence, EvidenceKind, Maintenance, Waiting

MOST_REMARKS = 8
"""More pieces, or symbols, of one instant are not told apart."""

NONE: Mapping[EvidenceKind, float] = {}

_T = TypeVar("_T", str, tuple[str, str])


@frozen(kw_only=True)
class Remarks:
    """What was remarkable of an instant.

    Attributes:
        pieces: What went wrong, in words, by name.
        cause: Of a failure.
        closed: Kinds of calls that were refused for maintenance.
        place_failed: Symbols of which a placement failed, with its words; likewise `halted`.
        place_answered: Symbols of which one was answered.
        denied: (kind of call, words) of those that our credentials are not good for.
        turned_away: Why a placement was refused that any other would have been, too; `markets`: (symbol, why) of those
            that were since their market is halted.
        taken: A placement was taken, or refused for what it asks.
        unproven: Why a signed probe was refused.
        until_s: We may not ask before.
        asked: The exchange said how it is, `notice` being what it announces.
        waited_s: By kind, for how long the oldest call without an answer has waited.
    """

    pieces: tuple[str, ...] = ()
    cause: Cause | None = None
    closed: frozenset[EvidenceKind] = frozenset()
    place_failed: tuple[tuple[str, str], ...] = ()
    place_answered: tuple[str, ...] = ()
    halted: tuple[tuple[str, str], ...] = ()
    denied: tuple[tuple[str, str], ...] = ()
    turned_away: str = ""
    markets: tuple[tuple[str, str], ...] = ()
    taken: bool = False
    unproven: str = ""
    until_s: float | None = None
    asked: bool = False
    notice: Maintenance | None = None
    waited_s: Mapping[EvidenceKind, float] = NONE

    @classmethod
    def of(cls, evidence: Evidence) -> Self | None:
        """None for an ordinary good answer that names no symbol."""
        ok, cause, kind = evidence.ok, evidence.cause, evidence.kind
        status = kind is EvidenceKind.STATUS_PROBE
        placed = kind is EvidenceKind.PLACE
        if ok and cause is None and not evidence.words and not status and not placed and evidence.notice is None:
            return None
        if placed and ok and cause is None and not evidence.words:  # the most frequent one: a good placement
            return cls(place_answered=("" if evidence.symbol is None else str(evidence.symbol),), taken=True)
        counted = kind not in UNCOUNTED
        remarkable = (not ok or cause is not None) and counted
        words = _words(evidence) if remarkable else ""
        symbol = "" if evidence.symbol is None else str(evidence.symbol)
        halted = ok and cause is Cause.HALTED and symbol
        why = evidence.words or "refused"
        denied = ok and cause is Cause.CREDENTIALS and counted
        return cls(
            pieces=(words,) if words else (),
            cause=cause if not ok and counted else None,
            closed=frozenset((kind,)) if not ok and cause is Cause.MAINTENANCE and counted else frozenset(),
            place_failed=((symbol, words),) if placed and not ok else (),
            place_answered=(symbol,) if placed and ok and not halted else (),
            halted=((symbol, evidence.words or "it is not traded now"),) if halted else (),
            denied=((kind, why),) if denied else (),
            turned_away=why if placed and ok and cause in EVERY_PLACEMENT else "",
            markets=((symbol, why),) if placed and halted else (),
            unproven=why if ok and kind is EvidenceKind.SIGNED_PROBE else "",
            until_s=evidence.until_s if counted and cause in (Cause.BANNED, Cause.RATE_LIMITED) else None,
            asked=(status and ok) or evidence.notice is not None,
            notice=evidence.notice,
        )

    def and_also(self, other: Remarks) -> Remarks:
        """Both, in no order."""
        causes = [each.cause for each in (self, other) if each.cause is not None]
        until = [each.until_s for each in (self, other) if each.until_s is not None]
        notices = [each.notice for each in (self, other) if each.notice is not None]
        return Remarks(
            pieces=_some(self.pieces, other.pieces),
            cause=min(causes, key=_SEVEREST.__getitem__, default=None),
            closed=self.closed | other.closed,
            place_failed=_some(self.place_failed, other.place_failed),
            place_answered=_some(self.place_answered, other.place_answered),
            halted=_some(self.halted, other.halted),
            denied=_some(self.denied, other.denied),
            turned_away=_first(self.turned_away, other.turned_away),
            markets=_some(self.markets, other.markets),
            taken=self.taken or other.taken,
            unproven=_first(self.unproven, other.unproven),
            until_s=max(until, default=None),
            asked=self.asked or other.asked,
            # The one that closes sooner and for longer: of two that differ, it is safe to believe that.
            notice=min(notices, key=_closes, default=None),
            waited_s=_latest(self.waited_s, other.waited_s),
        )


@frozen(kw_only=True)
class Instant:
    """Everything that is known to have happened at one moment; adding to it in any order gives the same.

    Attributes:
        ok: By kind, when the latest of the calls that were answered was sent.
        good: Likewise, of those that were answered well: no refusal of any kind.
        failed: By kind, when the latest of the calls that failed was sent.
        words: Of a failure; empty where there is none.
        latency_s: Of the quickest good probe; None where there is none.
        clock_offset_s: As the quickest answer that told one says it: its error is the smallest.
        answered_sent_s: When the latest of all calls that were answered was sent, also of those not counted.
        remarks: What was remarkable; None where nothing was.
    """

    at_s: float
    ok: Mapping[EvidenceKind, float] = NONE
    good: Mapping[EvidenceKind, float] = NONE
    failed: Mapping[EvidenceKind, float] = NONE
    words: str = ""
    latency_s: float | None = None
    clock_offset_s: float | None = None
    clock_latency_s: float = math.inf
    answered_sent_s: float | None = None
    remarks: Remarks | None = None

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """An instant of one piece."""
        at_s, kind, latency_s = evidence.at_s, evidence.kind, evidence.latency_s
        sent_s = at_s - latency_s
        told = evidence.clock_offset_s is not None
        if kind in UNCOUNTED:
            return cls(at_s=at_s, answered_sent_s=sent_s if evidence.ok else None, remarks=Remarks.of(evidence))
        sent = {kind: sent_s}
        if not evidence.ok:
            return cls(at_s=at_s, failed=sent, words=_words(evidence), remarks=Remarks.of(evidence))
        good = evidence.cause is None and not evidence.words
        return cls(
            at_s=at_s,
            ok=sent,
            good=sent if good else NONE,
            latency_s=latency_s if good and kind in ROUND_EVIDENCE else None,
            clock_offset_s=evidence.clock_offset_s,
            clock_latency_s=latency_s if told else math.inf,
            answered_sent_s=sent_s,
            remarks=Remarks.of(evidence),
        )

    @classmethod
    def waiting(cls, waiting: Waiting) -> Self:
        """An instant in which all that is known is that a call has no answer yet."""
        waited_s = max(0.0, waiting.at_s - waiting.sent_s)
        return cls(at_s=waiting.at_s, remarks=Remarks(waited_s={waiting.kind: waited_s}))

    def and_also(self, other: Instant) -> Instant:
        """This instant with what another one tells, whenever that was: it is news all the same."""
        latencies = [each.latency_s for each in (self, other) if each.latency_s is not None]
        answered = [each.answered_sent_s for each in (self, other) if each.answered_sent_s is not None]
        clocks = [
            (each.clock_latency_s, each.clock_offset_s) for each in (self, other) if each.clock_offset_s is not None
        ]
        clock_latency_s, clock_offset_s = min(clocks, default=(math.inf, None))
        remarks = self.remarks or other.remarks
        if self.remarks is not None and other.remarks is not None:
            remarks = self.remarks.and_also(other.remarks)
        return Instant(
            at_s=self.at_s,
            ok=_latest(self.ok, other.ok),
            good=_latest(self.good, other.good),
            failed=_latest(self.failed, other.failed),
            words=_first(self.words, other.words),
            latency_s=min(latencies, default=None),
            clock_offset_s=clock_offset_s,
            clock_latency_s=clock_latency_s,
            answered_sent_s=max(answered, default=None),
            remarks=remarks,
        )


_SEVEREST: Mapping[Cause, int] = {cause: rank for rank, cause in enumerate(Cause)}


def _closes(notice: Maintenance) -> tuple[float, float, str]:
    return notice.begin_s, -math.inf if notice.end_s is None else -notice.end_s, notice.words


def _words(evidence: Evidence) -> str:
    kind = evidence.kind.value.replace("_", " ")
    return f"{kind}: {evidence.words}" if evidence.words else f"{kind} failed"


def _first(one: str, other: str) -> str:
    return min(one, other) if one and other else one or other


def _some(one: tuple[_T, ...], other: tuple[_T, ...]) -> tuple[_T, ...]:
    if not one or not other:
        return one or other
    return tuple(sorted(set(one) | set(other))[:MOST_REMARKS])


def _latest(one: Mapping[EvidenceKind, float], other: Mapping[EvidenceKind, float]) -> Mapping[EvidenceKind, float]:
    if not one or not other:
        return one or other
    return {kind: max(each[kind] for each in (one, other) if kind in each) for kind in {**one, **other}}
