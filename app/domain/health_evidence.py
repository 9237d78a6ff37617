"""What the failure detector keeps of evidence: one instant, as a sum without order, and an error-rate window.

Both are bounded: an instant keeps one entry a kind, the window a fixed number of buckets, however many calls there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

from attrs import field, frozen

from messages.health import Evidence, EvidenceKind

BUCKETS = 12
"""The window forgets in steps of a twelfth of its length."""

PROBES = (EvidenceKind.PUBLIC_PROBE, EvidenceKind.SIGNED_PROBE)


@frozen(kw_only=True)
class Instant:
    """Everything that is known to have happened at one moment; adding to it in any order gives the same.

    Attributes:
        ok: By kind, when the latest of the calls that succeeded was sent.
        failed: By kind, when the latest of the calls that failed was sent.
        n_ok: How many succeeded.
        n_failed: How many failed.
        words: Of a failure; empty where there is none.
        latency_s: Of the quickest good probe; None where there is none.
        clock_offset_s: As the quickest answer that told one says it: its error is the smallest.
    """

    at_s: float
    ok: Mapping[EvidenceKind, float] = field(factory=dict)
    failed: Mapping[EvidenceKind, float] = field(factory=dict)
    n_ok: int = 0
    n_failed: int = 0
    words: str = ""
    latency_s: float | None = None
    clock_offset_s: float | None = None
    clock_latency_s: float = math.inf

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        """An instant of one piece."""
        sent = {evidence.kind: evidence.at_s - evidence.latency_s}
        if not evidence.ok:
            return cls(at_s=evidence.at_s, failed=sent, n_failed=1, words=_words(evidence))
        told = evidence.clock_offset_s is not None
        return cls(
            at_s=evidence.at_s,
            ok=sent,
            n_ok=1,
            latency_s=evidence.latency_s if evidence.kind in PROBES else None,
            clock_offset_s=evidence.clock_offset_s,
            clock_latency_s=evidence.latency_s if told else math.inf,
        )

    def and_also(self, evidence: Evidence) -> Self:
        """This instant with one more piece of evidence."""
        other = type(self).of(evidence)
        latencies = [each.latency_s for each in (self, other) if each.latency_s is not None]
        clocks = [
            (each.clock_latency_s, each.clock_offset_s) for each in (self, other) if each.clock_offset_s is not None
        ]
        clock_latency_s, clock_offset_s = min(clocks, default=(math.inf, None))
        return type(self)(
            at_s=self.at_s,
            ok=_latest(self.ok, other.ok),
            failed=_latest(self.failed, other.failed),
            n_ok=self.n_ok + other.n_ok,
            n_failed=self.n_failed + other.n_failed,
            words=min((each.words for each in (self, other) if each.words), default=""),
            latency_s=min(latencies, default=None),
            clock_offset_s=clock_offset_s,
            clock_latency_s=clock_latency_s,
        )


@frozen
class Window:
    """Calls and failures of the last while, in buckets of a fixed length.

    Attributes:
        buckets: (number of the bucket since time began, calls, failures), oldest first.
    """

    buckets: tuple[tuple[int, int, int], ...] = ()

    def with_counts(self, instant: Instant, window_s: float) -> Window:
        """The window with an instant's calls added and what is too old forgotten."""
        number = math.floor(instant.at_s / window_s * BUCKETS)
        calls, failed = instant.n_ok + instant.n_failed, instant.n_failed
        kept = self.buckets
        if kept and kept[-1][0] == number:
            calls, failed = calls + kept[-1][1], failed + kept[-1][2]
            kept = kept[:-1]
        if kept and kept[0][0] <= number - BUCKETS:
            kept = tuple(bucket for bucket in kept if bucket[0] > number - BUCKETS)
        return Window((*kept, (number, calls, failed)))

    def counts(self, now_s: float, window_s: float) -> tuple[int, int]:
        """Failures and calls within the window."""
        oldest = math.floor(now_s / window_s * BUCKETS) - BUCKETS
        failed = calls = 0
        for number, bucket_calls, bucket_failed in self.buckets:
            if number > oldest:
                calls += bucket_calls
                failed += bucket_failed
        return failed, calls


def _words(evidence: Evidence) -> str:
    kind = evidence.kind.value.replace("_", " ")
    return f"{kind}: {evidence.words}" if evidence.words else f"{kind} failed"


def _latest(one: Mapping[EvidenceKind, float], other: Mapping[EvidenceKind, float]) -> Mapping[EvidenceKind, float]:
    return {kind: max(each[kind] for each in (one, other) if kind in each) for kind in {**one, **other}}
