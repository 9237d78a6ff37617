"""Probes, evidence, and the states an exchange can be in."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from messages.base import Message, Reply, Request
from messages.market import Symbol


class HealthState(StrEnum):
    """What the detector believes of an exchange.

    Attributes:
        STARTING: No evidence yet.
        WELL: Usable.
        SUSPECT: Failing, not yet confirmed.
        DOWN: Failing, confirmed.
        HALF_OPEN: It answers again after it was down, and is tried before it is trusted.
        MAINTENANCE: It says itself that it is closed.
        ISOLATED: A person keeps it out; `HealthView.believed` is what evidence says meanwhile.
    """

    STARTING = "starting"
    WELL = "well"
    SUSPECT = "suspect"
    DOWN = "down"
    HALF_OPEN = "half_open"
    MAINTENANCE = "maintenance"
    ISOLATED = "isolated"


class Cause(StrEnum):
    """What went wrong with a call, where something did.

    The first five are illness. The others are told by an exchange that answers, so that they never count as failures,
    and never as a good call either: they
    only end a row of failures, since somebody answered.

    Attributes:
        SILENT: No answer in time.
        CONNECTION: Refused, or ended before the answer.
        SERVER: An answer as of a broken server: 5xx, overload, what cannot be read.
        LOCAL: A name was not resolved, or a network was not reachable: on our side, as far as can be told.
        MAINTENANCE: It says that it is closed.
        RATE_LIMITED: We asked too often.
        BANNED: We asked too often for so long that we may not ask at all until `Evidence.until_s`.
        CREDENTIALS: It does not know us, or does not let us.
        CLOCK: Our time is not its time.
        HALTED: One symbol is not traded now.
    """

    SILENT = "silent"
    CONNECTION = "connection"
    SERVER = "server"
    LOCAL = "local"
    MAINTENANCE = "maintenance"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    CREDENTIALS = "credentials"
    CLOCK = "clock"
    HALTED = "halted"


class EvidenceKind(StrEnum):
    """Where a piece of evidence comes from: a probe, or a real call.

    Attributes:
        STATUS_PROBE: What the exchange says of itself. Other servers answer it than those that take orders, so that it
            never counts among successes and failures; likewise the next.
        MARKET_PROBE: A price, read to see whether prices move.
    """

    PUBLIC_PROBE = "public_probe"
    SIGNED_PROBE = "signed_probe"
    STATUS_PROBE = "status_probe"
    MARKET_PROBE = "market_probe"
    PLACE = "place"
    CANCEL = "cancel"
    READ = "read"


class ProbeKind(StrEnum):
    """Ways to ask how an exchange is: the first two whether it is there, independently of each other."""

    PUBLIC = "public"
    SIGNED = "signed"
    STATUS = "status"
    MARKET = "market"


@frozen(kw_only=True)
class Maintenance:
    """A time in which an exchange is closed, as it says itself: announced, or under way where `begin_s` has passed.

    Attributes:
        end_s: None where it does not say.
        words: Its own, for people.
    """

    begin_s: float
    end_s: float | None
    words: str


@frozen(kw_only=True)
class Evidence:
    """One thing that happened with an exchange.

    Attributes:
        ok: True when the exchange answered as an exchange that is well does; a refusal by a code is an answer.
        words: What went wrong, or was refused, for people; empty where all was well.
        latency_s: From sending to the answer, or to giving up.
        clock_offset_s: Exchange clock minus ours, corrected by half the round trip; None where not measured.
        cause: What was wrong; None where nothing was, or where nobody knows.
        symbol: Of the call, where it had one.
        until_s: When a ban ends, or how long we were asked to wait, by our clock; None where nothing was said.
        notice: Of a STATUS_PROBE: the maintenance under way, or the next one announced.
        mark: Of what was read: two alike mean that nothing has moved; empty where nothing was read that should.
        fills: Of ours, told by this exchange so far: balances that do not move over them are stale.
    """

    exchange: str
    kind: EvidenceKind
    ok: bool
    words: str
    latency_s: float
    at_s: float
    clock_offset_s: float | None = None
    cause: Cause | None = None
    symbol: Symbol | None = None
    until_s: float | None = None
    notice: Maintenance | None = None
    mark: str = ""
    fills: int = 0


@frozen(kw_only=True)
class Waiting:
    """A call that has not been answered yet; `kind` is PLACE, CANCEL or READ."""

    exchange: str
    kind: EvidenceKind
    sent_s: float
    at_s: float


@frozen(kw_only=True)
class Latency:
    """How long calls of a kind take: lately, and usually here; seconds, None where too few are known."""

    kind: EvidenceKind
    recent_s: float | None
    usual_s: float | None


@frozen(kw_only=True)
class Witness:
    """An address that has nothing to do with the exchanges, asked whether our own network works.

    Attributes:
        target: ``"ip:port"``.
        ok: Whether it let us connect.
        at_s: When it was asked.
        since_s: When it was asked first of all the times in a row that it said so.
        silent_s: When it was asked first of the last times in a row that it did not; None where it always did.
        words: Why not; empty where it did.
        good: It let us connect once. One that never did may be a mistake in the configuration, and tells nothing.
    """

    target: str
    ok: bool
    at_s: float
    words: str = ""
    since_s: float = 0.0
    silent_s: float | None = None
    good: bool = True


@frozen(kw_only=True)
class HealthView:
    """What is known of an exchange's health.

    Attributes:
        since_s: When it entered `state`.
        reason: Evidence for the last change, in words.
        consecutive_failures: Now.
        last_ok_s: Of any evidence; None before the first.
        latency_s: Of the last good probe.
        believed: What evidence says of an exchange that a person keeps out; None where nobody does.
        cause: Of the last failure since it was WELL.
        unfit: Why trading should move though it answers (degraded, slow, banned, stale, about to close), in a sentence;
            empty where nothing speaks for that.
        no_better: Why nothing is known to be gained here by whoever leaves another one that is unfit, in a sentence;
            empty where nobody is, or it is better. It keeps trading from going there, and is no reason to leave.
        evidence: The pieces that decided the last change, the newest last.
        maintenance: Announced, or under way.
        banned_until_s: We may not ask before.
        credentials: What is wrong with ours; empty where nothing is.
        halted: (symbol, why) of those that are not traded there now.
        stale: What has stopped moving; empty where nothing has.
        calls: Within the error-rate window; `failed` of these.
        pressure: The share that was used of the fullest of its rate limits when calls were last told of, 0 to 1.
        suspicion: Of the call that waits most unusually long, as phi: -log10 of the chance that it still will be.
        penalty: Grows by one whenever it goes DOWN, and halves with time: it makes the hold-down longer.
        hold_until_s: Before that it is not trusted again; None where it need not be.
        answered_sent_s: When that call was sent which was sent last of those that were answered: from then on, our own
            network worked.
        silent_s: When its last silence began: of calls in a row without any answer, a whole round of probes among them,
            when the first was sent. None where there never was one.
        recovered_s: When something was answered again after a silence; before `silent_s` while the last one lasts.
        loses: Of what was sent there lately too much was lost on the way: that it answers proves little.
    """

    exchange: str
    state: HealthState
    since_s: float
    reason: str
    consecutive_failures: int
    last_ok_s: float | None
    latency_s: float | None
    clock_offset_s: float | None
    believed: HealthState | None = None
    cause: Cause | None = None
    unfit: str = ""
    no_better: str = ""
    evidence: tuple[str, ...] = ()
    maintenance: Maintenance | None = None
    banned_until_s: float | None = None
    credentials: str = ""
    halted: tuple[tuple[str, str], ...] = ()
    stale: str = ""
    calls: int = 0
    failed: int = 0
    latencies: tuple[Latency, ...] = ()
    suspicion: float = 0.0
    pressure: float = 0.0
    penalty: float = 0.0
    hold_until_s: float | None = None
    answered_sent_s: float | None = None
    silent_s: float | None = None
    recovered_s: float | None = None
    loses: bool = False

    @property
    def keeps_away(self) -> str:
        """Why trading should not go there though it answers; empty where nothing speaks against that."""
        return "; ".join(words for words in (self.unfit, self.no_better) if words)

    @property
    def health(self) -> HealthState:
        """What evidence says, whoever keeps it out."""
        return self.state if self.believed is None else self.believed


@frozen(kw_only=True)
class Probe(Request):
    """Asks a connector to ask its exchange for a sign of life; `symbol` is whose price a MARKET probe reads."""

    kind: ProbeKind
    symbol: Symbol | None = None


@frozen(kw_only=True)
class ProbeReply(Reply):
    """Answers `Probe`.

    Attributes:
        evidence: None where the probe was not sent for want of room in our own rate limit: that says nothing.
    """

    evidence: Evidence | None


@frozen(kw_only=True)
class EvidenceSeen(Message):
    """Connector to health monitor: how real calls went, oldest first.

    Attributes:
        waiting: The oldest call of each kind that has had no answer for a while.
        pressure: The share that is used of the fullest of the exchange's rate limits, as we count them, 0 to 1.
        exchange: Whose.
    """

    evidence: tuple[Evidence, ...]
    waiting: tuple[Waiting, ...] = ()
    pressure: float = 0.0
    exchange: str = ""


@frozen(kw_only=True)
class HealthChanged(Message):
    """Health monitor to coordinator: at once where a decision rests on it, else now and then.

    Attributes:
        witnesses: What was last heard of each.
    """

    view: HealthView
    witnesses: tuple[Witness, ...] = ()


@frozen(kw_only=True)
class Isolations(Message):
    """Coordinator to health monitor: whom a person keeps out, and why."""

    exchanges: tuple[tuple[str, str], ...]


@frozen(kw_only=True)
class KnownHealth(Message):
    """Coordinator to a health monitor that has started: what the one before it believed."""

    views: tuple[HealthView, ...]


class NetworkState(StrEnum):
    """Whose fault it is that an exchange is not reached.

    Attributes:
        THEIRS: Something else has answered since: our network works.
        OURS: What was asked since failed together with it, and nothing answered.
        UNKNOWN: There is no proof, either way.
    """

    THEIRS = "theirs"
    OURS = "ours"
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class Network:
    """How our own network is; `words` give the evidence.

    Attributes:
        again_s: When time alone may change it; None where only news can.
    """

    state: NetworkState
    words: str
    again_s: float | None = None


@frozen(kw_only=True)
class HealthAlarm:
    """Something of ours that a person should put right, since trading does not move for it.

    Attributes:
        code: Stable identifier: own_network (as it looks it is down, so trading stays where it is), credentials (an
            exchange does not take ours).
        exchange: Whose; empty for own_network.
        at_s: When it began.
    """

    code: str
    exchange: str
    words: str
    at_s: float


@frozen(kw_only=True)
class HealthAlarms(Message):
    """Coordinator to every session: alarms that began, and alarms that are over."""

    raised: tuple[HealthAlarm, ...] = ()
    over: tuple[HealthAlarm, ...] = ()


@frozen(kw_only=True)
class GetHealth(Request):
    """Asks the health monitor for what it believes."""


@frozen(kw_only=True)
class HealthReply(Reply):
    """Answers `GetHealth`."""

    views: tuple[HealthView, ...]
