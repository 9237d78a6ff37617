"""What a fault rule says, and how its parameters are read. Pure; chance comes from the rule's own seed."""

import math
import random
from collections.abc import Mapping
from enum import StrEnum

from attrs import define, field, frozen

from app.simulator.calls import GROUPS, READS, Call, Trouble

MAX_DELAY_S = 3_600.0
DISTRIBUTIONS = ("fixed", "uniform", "exponential", "lognormal")


class Kind(StrEnum):
    """What breaks. "Executed" means that the request went through the exchange's engine.

    Kinds that lose or spoil an answer take `executed`: true or false, in brackets what it is when not given.
    """

    REFUSED = "refused"
    """The exchange's port is closed until cleared: connections are refused. The whole exchange; `call` is ignored."""
    CONNECT_HANGS = "connect_hangs"
    """Connecting never ends until cleared: packets of new connections are dropped. The whole exchange, as above."""
    BLACKHOLE = "blackhole"
    """Read, not executed, never answered: held until the client closes."""
    HANG_BEFORE = "hang_before"
    """Not executed, never answered."""
    HANG_AFTER = "hang_after"
    """Executed, never answered."""
    LATE = "late"
    """Never answered; executed `delay_s` after arrival, past the engine's own expiry check where there is one."""
    DROP_BEFORE = "drop_before"
    """Connection closed without an answer, not executed. `how`: "fin" (an orderly end) or "rst" (a reset)."""
    DROP_AFTER = "drop_after"
    """Executed, connection closed without an answer. `how` as above."""
    LOSSY = "lossy"
    """With `probability` the connection is dropped; `executed` is drawn, with `executed_share` (0.5), for each one."""
    TRUNCATED = "truncated"
    """Half the body of the announced length, then the connection is closed; executed [true]. `how` as above."""
    HALF_JSON = "half_json"
    """The body is cut in half, with the length of the half; executed [true]."""
    EMPTY = "empty"
    """HTTP 200 with an empty body; executed [true]."""
    HTML_200 = "html_200"
    """HTTP 200 with an HTML page; executed [true]."""
    HTTP_5XX = "http_5xx"
    """`status` [503] with an HTML body; executed [false]."""
    HTTP_504 = "http_504"
    """A proxy's 504 with an HTML body; executed [true]."""
    HTTP_429 = "http_429"
    """The exchange's words for too many requests, HTTP 429, Retry-After of `retry_after_s` [1]; not executed."""
    HTTP_418 = "http_418"
    """The exchange's words for a ban, HTTP 418, Retry-After of `retry_after_s` [60]; not executed."""
    MAINTENANCE = "maintenance"
    """The exchange's own words, as for the five that follow; not executed."""
    BUSY = "busy"
    TIMEOUT_UNKNOWN = "timeout_unknown"
    """The exchange says that it does not know whether it executed; executed [true]."""
    AUTH = "auth"
    CLOCK = "clock"
    SUSPENDED = "suspended"
    """The symbol does not trade, for this request."""
    SLOW = "slow"
    """Executed on arrival, answered after `delay_s`; with `distribution` uniform (0 to twice it), exponential or
    lognormal it is the mean, and `seed` decides every draw. Never more than `most_s`. With `ramp_s` the delay grows
    evenly from nothing to that within so long of the rule's being set."""
    ACKNOWLEDGED = "acknowledged"
    """Answered as if it had been done, and not executed: the engine that decides later did not do it."""
    DOUBLE = "double"
    """A placement is executed twice under one client order id: what a checker must catch."""
    NOT_VISIBLE = "not_visible"
    """A placed order is not returned by look-ups for `delay_s`."""
    STALE = "stale"
    """Look-ups are answered from the books as they were when the rule was set, or, with `refresh_s`, that old."""


PORT = frozenset({Kind.REFUSED, Kind.CONNECT_HANGS})
"""Kinds that are about the port and not about requests."""
PLACING = frozenset({Kind.DOUBLE, Kind.NOT_VISIBLE})
"""Kinds that change the execution of a placement instead of ending a request."""
MODIFIERS = PLACING | {Kind.STALE}
"""Kinds that change a request and can be combined with one that ends it."""
TROUBLES: Mapping[Kind, Trouble] = {
    Kind.HTTP_429: Trouble.RATE_LIMIT,
    Kind.HTTP_418: Trouble.BANNED,
    Kind.MAINTENANCE: Trouble.MAINTENANCE,
    Kind.BUSY: Trouble.BUSY,
    Kind.TIMEOUT_UNKNOWN: Trouble.TIMEOUT_UNKNOWN,
    Kind.AUTH: Trouble.AUTH,
    Kind.CLOCK: Trouble.CLOCK,
}
"""Kinds that the dialect words."""
STATUSES: Mapping[Kind, int] = {Kind.HTTP_5XX: 503, Kind.HTTP_504: 504, Kind.HTTP_429: 429, Kind.HTTP_418: 418}
_NEEDS_DELAY = frozenset({Kind.LATE, Kind.SLOW, Kind.NOT_VISIBLE})
_CHANCE = frozenset({"probability", "seed"})
_SPOILING = frozenset({Kind.TRUNCATED, Kind.HALF_JSON, Kind.EMPTY, Kind.HTML_200, Kind.HTTP_504, Kind.TIMEOUT_UNKNOWN})
"""Kinds that execute unless told otherwise."""
_PARAMS: Mapping[Kind, frozenset[str]] = {
    Kind.LATE: frozenset({"delay_s"}),
    Kind.SLOW: frozenset({"delay_s", "distribution", "most_s", "ramp_s"}),
    Kind.NOT_VISIBLE: frozenset({"delay_s"}),
    Kind.HTTP_5XX: frozenset({"status", "executed"}),
    Kind.DROP_BEFORE: frozenset({"how"}),
    Kind.DROP_AFTER: frozenset({"how"}),
    Kind.LOSSY: frozenset({"how", "executed_share"}),
    Kind.TRUNCATED: frozenset({"how", "executed"}),
    Kind.HTTP_429: frozenset({"retry_after_s"}),
    Kind.HTTP_418: frozenset({"retry_after_s"}),
    Kind.STALE: frozenset({"refresh_s"}),
    **{kind: frozenset({"executed"}) for kind in _SPOILING - {Kind.TRUNCATED}},
}


@frozen(kw_only=True)
class Terms:
    """The parameters of a rule, read."""

    delay_s: float = 0.0
    distribution: str = "fixed"
    most_s: float = MAX_DELAY_S
    ramp_s: float = 0.0
    status: int = 503
    executed: bool = False
    executed_share: float = 0.5
    how: str = "fin"
    retry_after_s: int = 1
    refresh_s: float | None = None
    probability: float = 1.0
    seed: int = 0


@define(kw_only=True)
class Rule:
    """One rule. `call` "*" and `symbol` None match everything; `left` None lasts until cleared.

    `call` may be one of `GROUPS`. `set_ms` is when it was set, by the clock that `draw_delay_s` is told.
    """

    id: int
    kind: Kind
    call: str
    symbol: str | None
    left: int | None
    terms: Terms
    given: Mapping[str, object]
    hits: int = 0
    set_ms: int = 0
    chance: random.Random = field(repr=False)

    @property
    def delay_s(self) -> float:
        """Seconds, as asked for; `draw_delay_s` is what a request gets."""
        return self.terms.delay_s

    def matches(self, call: Call, symbol: str | None) -> bool:
        """True when the rule is for such a request, and chance, if it has a part in it, says so too."""
        if self.left == 0 or self.kind in PORT:
            return False
        if self.call not in ("*", call.value) and call not in GROUPS.get(self.call, ()):
            return False
        if (self.kind in PLACING and call is not Call.PLACE) or (self.kind is Kind.STALE and call not in READS):
            return False
        if self.symbol is not None and self.symbol != symbol:
            return False
        return self.terms.probability >= 1 or self.chance.random() < self.terms.probability

    def draw_delay_s(self, now_ms: int = 0) -> float:
        """How long this request waits, seconds."""
        mean = self.terms.delay_s
        if self.terms.ramp_s:
            mean *= max(0.0, min(1.0, (now_ms - self.set_ms) / 1000 / self.terms.ramp_s))
        match self.terms.distribution:
            case "uniform":
                drawn = self.chance.uniform(0, 2 * mean)
            case "exponential":
                drawn = self.chance.expovariate(1 / mean) if mean else 0.0
            case "lognormal":
                # sigma 1: the median is well below the mean, and a few take many times as long
                drawn = self.chance.lognormvariate(math.log(mean) - 0.5, 1.0) if mean else 0.0
            case _:
                drawn = mean
        return min(drawn, self.terms.most_s)

    def draw_executed(self) -> bool:
        """Whether this request is executed before it is spoilt."""
        if self.kind is Kind.LOSSY:
            return self.chance.random() < self.terms.executed_share
        return self.terms.executed

    def shown(self) -> dict[str, object]:
        """The rule as the control interface lists it."""
        basics = {"delay_s": self.terms.delay_s, "status": self.terms.status, "executed": self.terms.executed}
        return {
            "id": self.id,
            "kind": self.kind.value,
            "call": self.call,
            "symbol": self.symbol,
            "count_left": self.left,
            "params": {**basics, **self.given},
            "hits": self.hits,
        }


def read_terms(kind: Kind, given: Mapping[str, object]) -> Terms:
    """The parameters of a rule. Raises ValueError with a sentence for what makes no sense."""
    allowed = _PARAMS.get(kind, frozenset()) | (frozenset() if kind in PORT else _CHANCE)
    if extra := set(given) - allowed:
        takes = ", ".join(sorted(allowed - _CHANCE)) or "none"
        raise ValueError(f"{kind} does not take the parameter {min(extra)!r}; it takes {takes}.")
    for needed, kinds in (("delay_s", _NEEDS_DELAY), ("probability", {Kind.LOSSY})):
        if kind in kinds and needed not in given:
            raise ValueError(f"{kind} needs params.{needed}, a number.")
    return Terms(
        delay_s=_number(given, "delay_s", 0.0, MAX_DELAY_S, "seconds"),
        distribution=_choice(given, "distribution", DISTRIBUTIONS),
        most_s=_number(given, "most_s", MAX_DELAY_S, MAX_DELAY_S, "seconds"),
        ramp_s=_number(given, "ramp_s", 0.0, MAX_DELAY_S, "seconds"),
        status=_status(given, STATUSES.get(kind, 503)),
        executed=_flag(given, default=kind in _SPOILING),
        executed_share=_number(given, "executed_share", 0.5, 1.0, ""),
        how=_choice(given, "how", ("fin", "rst")),
        retry_after_s=_whole(given, "retry_after_s", 60 if kind is Kind.HTTP_418 else 1),
        refresh_s=_number(given, "refresh_s", 0.0, MAX_DELAY_S, "seconds") if "refresh_s" in given else None,
        probability=_number(given, "probability", 1.0, 1.0, ""),
        seed=_whole(given, "seed", 0),
    )


def _number(given: Mapping[str, object], name: str, default: float, most: float, unit: str) -> float:
    raw = given.get(name, default)
    try:
        value = float(str(raw))
    except ValueError as error:
        raise ValueError(f"params.{name} must be a number{' of ' + unit if unit else ''}, not {raw!r}.") from error
    if isinstance(raw, bool) or not 0 <= value <= most:
        raise ValueError(f"params.{name} must be 0 to {most:g}{' ' + unit if unit else ''}, not {raw!r}.")
    return value


def _whole(given: Mapping[str, object], name: str, default: int) -> int:
    raw = given.get(name, default)
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= 10**9:
        raise ValueError(f"params.{name} must be a whole number from 0, not {raw!r}.")
    return raw


def _choice(given: Mapping[str, object], name: str, choices: tuple[str, ...]) -> str:
    raw = given.get(name, choices[0])
    if not isinstance(raw, str) or raw not in choices:
        raise ValueError(f"params.{name} must be one of {', '.join(choices)}, not {raw!r}.")
    return raw


def _status(given: Mapping[str, object], default: int) -> int:
    raw = given.get("status", default)
    if isinstance(raw, bool) or not isinstance(raw, int) or not 400 <= raw <= 599:
        raise ValueError(f"params.status must be an HTTP status from 400 to 599, not {raw!r}.")
    return raw


def _flag(given: Mapping[str, object], *, default: bool) -> bool:
    raw = given.get("executed", default)
    if not isinstance(raw, bool):
        raise ValueError(f"params.executed must be true or false, not {raw!r}.")
    return raw
