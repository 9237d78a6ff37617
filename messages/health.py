"""Probes, evidence, and the states an exchange can be in."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from messages.base import Message, Reply, Request


class HealthState(StrEnum):
    """What the detector believes of an exchange.

    Attributes:
        STARTING: No evidence yet.
        WELL: Usable.
        SUSPECT: Failing, not yet confirmed.
        DOWN: Failing, confirmed.
    """

    STARTING = "starting"
    WELL = "well"
    SUSPECT = "suspect"
    DOWN = "down"


class EvidenceKind(StrEnum):
    """Where a piece of evidence comes from: a public probe, a signed one, or a real call."""

    PUBLIC_PROBE = "public_probe"
    SIGNED_PROBE = "signed_probe"
    PLACE = "place"
    CANCEL = "cancel"
    READ = "read"


class ProbeKind(StrEnum):
    """Two independent ways to ask whether an exchange is there."""

    PUBLIC = "public"
    SIGNED = "signed"


@frozen(kw_only=True)
class Evidence:
    """One thing that happened with an exchange.

    Attributes:
        ok: True when the exchange answered as an exchange that is well does; a refusal by a code is an answer.
        words: What went wrong, for people; empty when ok.
        latency_s: From sending to the answer, or to giving up.
        clock_offset_s: Exchange clock minus ours, corrected by half the round trip; None where not measured.
    """

    exchange: str
    kind: EvidenceKind
    ok: bool
    words: str
    latency_s: float
    at_s: float
    clock_offset_s: float | None = None


@frozen(kw_only=True)
class HealthView:
    """What is known of an exchange's health.

    Attributes:
        since_s: When it entered `state`.
        reason: Evidence for the last change, in words.
        consecutive_failures: Now.
        last_ok_s: Of any evidence; None before the first.
        latency_s: Of the last good probe.
    """

    exchange: str
    state: HealthState
    since_s: float
    reason: str
    consecutive_failures: int
    last_ok_s: float | None
    latency_s: float | None
    clock_offset_s: float | None


@frozen(kw_only=True)
class Probe(Request):
    """Asks a connector to ask its exchange for a sign of life."""

    kind: ProbeKind


@frozen(kw_only=True)
class ProbeReply(Reply):
    """Answers `Probe`.

    Attributes:
        evidence: None where the probe was not sent for want of room in our own rate limit: that says nothing.
    """

    evidence: Evidence | None


@frozen(kw_only=True)
class EvidenceSeen(Message):
    """Connector to health monitor: how real calls went, oldest first."""

    evidence: tuple[Evidence, ...]


@frozen(kw_only=True)
class HealthChanged(Message):
    """Health monitor to coordinator, at every change and at every probe."""

    view: HealthView


@frozen(kw_only=True)
class GetHealth(Request):
    """Asks the health monitor for what it believes."""


@frozen(kw_only=True)
class HealthReply(Reply):
    """Answers `GetHealth`."""

    views: tuple[HealthView, ...]
