"""Which kinds of calls, and of causes, count for what: each set once, for every room of the failure detector.

What the kinds are is said where they are named (`messages.health`); why each set counts as it does, in `health_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from messages.health import Cause, EvidenceKind, ProbeKind

PROBE_EVIDENCE: Mapping[ProbeKind, EvidenceKind] = MappingProxyType(
    {
        ProbeKind.PUBLIC: EvidenceKind.PUBLIC_PROBE,
        ProbeKind.SIGNED: EvidenceKind.SIGNED_PROBE,
        ProbeKind.STATUS: EvidenceKind.STATUS_PROBE,
        ProbeKind.MARKET: EvidenceKind.MARKET_PROBE,
    }
)
"""What the answer to each probe is evidence of."""
EVIDENCE_PROBE: Mapping[EvidenceKind, ProbeKind] = MappingProxyType(
    {kind: probe for probe, kind in PROBE_EVIDENCE.items()}
)

ROUND: tuple[ProbeKind, ...] = (ProbeKind.PUBLIC, ProbeKind.SIGNED)
"""Sent together: two independent ways to ask whether an exchange is there."""
ROUND_EVIDENCE = frozenset(PROBE_EVIDENCE[kind] for kind in ROUND)
UNCOUNTED = frozenset((EvidenceKind.STATUS_PROBE, EvidenceKind.MARKET_PROBE))
"""Of other servers than those that take orders: neither failures nor successes."""

SIGNED_ANSWERS = frozenset((EvidenceKind.SIGNED_PROBE, EvidenceKind.PLACE, EvidenceKind.CANCEL))
"""Only a well exchange, asked as ourselves, gives these. A read may be public, so it is not among them."""
REAL_CALLS = frozenset((EvidenceKind.PLACE, EvidenceKind.CANCEL, EvidenceKind.READ))
"""What a connector tells of while it waits for the answer."""

JUDGED: Mapping[EvidenceKind, str] = MappingProxyType(
    {
        EvidenceKind.PLACE: "placements",
        EvidenceKind.CANCEL: "cancels",
        EvidenceKind.READ: "reads",
        EvidenceKind.SIGNED_PROBE: "signed probes",
    }
)
"""The kinds whose errors and latencies make an exchange unfit, in the words of a verdict. Not public probes, which
other servers answer."""

NO_ILLNESS = frozenset((Cause.RATE_LIMITED, Cause.BANNED, Cause.CREDENTIALS, Cause.CLOCK, Cause.HALTED))
"""An answer with one of these comes of our doing, or is of one symbol: it says nothing of how well the exchange is."""

EVERY_PLACEMENT = frozenset((Cause.RATE_LIMITED, Cause.BANNED))
"""Whoever is refused a placement with one of these would have been refused any other, too."""

VOUCHES: Mapping[str, tuple[EvidenceKind, ...]] = MappingProxyType(
    {
        EvidenceKind.PUBLIC_PROBE: (EvidenceKind.PUBLIC_PROBE,),
        EvidenceKind.SIGNED_PROBE: (EvidenceKind.SIGNED_PROBE,),
        EvidenceKind.READ: (EvidenceKind.SIGNED_PROBE,),  # a good one may be public
        EvidenceKind.PLACE: (EvidenceKind.PLACE,),
        EvidenceKind.CANCEL: (EvidenceKind.CANCEL,),
    }
)
"""By a kind of call, in the order in which they are told: whose good answer takes back that our credentials are not
good for it. A key that may read and not trade is taken for signed probes all the time."""
