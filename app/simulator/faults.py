"""Fault rules of a simulated exchange: which requests break, how, and how often. Pure; the server performs them.

A request takes at most one *ending* fault (the first rule that matches, oldest first) and any number of *modifiers*
(`double`, `not_visible`), so that a visibility lag can be combined with a lost answer.
"""

from collections.abc import Mapping
from enum import StrEnum

from attrs import define, field, frozen

from app.simulator.dialects.base import Call

MAX_RULES = 1_000
"""Rules kept at once; one more is refused."""


class Kind(StrEnum):
    """What breaks. "Executed" means that the request went through the exchange's engine."""

    REFUSED = "refused"
    """The exchange's port is closed until cleared: connections are refused. The whole exchange; `call` is ignored."""
    BLACKHOLE = "blackhole"
    """Read, not executed, never answered: held until the client closes."""
    HANG_BEFORE = "hang_before"
    """Not executed, never answered."""
    HANG_AFTER = "hang_after"
    """Executed, never answered."""
    LATE = "late"
    """Never answered; executed `delay_s` after arrival, past the engine's own expiry check where there is one."""
    DROP_BEFORE = "drop_before"
    """Connection closed without an answer, not executed."""
    DROP_AFTER = "drop_after"
    """Executed, connection closed without an answer."""
    HTTP_5XX = "http_5xx"
    """`status` (503) with an HTML body; executed only if params say `executed: true`."""
    HALF_JSON = "half_json"
    """Executed (unless `executed: false`), and the body is cut in half, with the length of the half."""
    SLOW = "slow"
    """Executed on arrival, answered after `delay_s`."""
    DOUBLE = "double"
    """A placement is executed twice under one client order id: what a checker must catch."""
    NOT_VISIBLE = "not_visible"
    """A placed order is not returned by look-ups for `delay_s`."""


MODIFIERS = frozenset({Kind.DOUBLE, Kind.NOT_VISIBLE})
"""Kinds that change the execution of a placement instead of ending a request."""
NEEDS_DELAY = frozenset({Kind.LATE, Kind.SLOW, Kind.NOT_VISIBLE})
MAX_DELAY_S = 3_600.0
_PARAMS: Mapping[Kind, frozenset[str]] = {
    Kind.LATE: frozenset({"delay_s"}),
    Kind.SLOW: frozenset({"delay_s"}),
    Kind.NOT_VISIBLE: frozenset({"delay_s"}),
    Kind.HTTP_5XX: frozenset({"status", "executed"}),
    Kind.HALF_JSON: frozenset({"executed"}),
}


@define(kw_only=True)
class Rule:
    """One rule. `call` "*" and `symbol` None match everything; `left` None lasts until cleared."""

    id: int
    kind: Kind
    call: str
    symbol: str | None
    left: int | None
    delay_s: float
    status: int
    executed: bool
    hits: int = 0

    def shown(self) -> dict[str, object]:
        """The rule as the control interface lists it."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "call": self.call,
            "symbol": self.symbol,
            "count_left": self.left,
            "params": {"delay_s": self.delay_s, "status": self.status, "executed": self.executed},
            "hits": self.hits,
        }


@frozen(kw_only=True)
class Plan:
    """What happens to one request."""

    ending: Rule | None = None
    double: Rule | None = None
    not_visible: Rule | None = None

    @property
    def name(self) -> str | None:
        """The kinds for the request log, joined by "+"; None if nothing breaks."""
        return "+".join(r.kind.value for r in (self.ending, self.double, self.not_visible) if r is not None) or None


NOTHING = Plan()


@define
class Faults:
    """The rules of one exchange."""

    _rules: dict[int, Rule] = field(factory=dict)
    _next_id: int = 1

    def add(
        self,
        kind: str,
        *,
        call: str = "*",
        symbol: str | None = None,
        count: int | None = None,
        params: Mapping[str, object] | None = None,
    ) -> Rule:
        """Add a rule. `symbol` is canonical. Raises ValueError with a sentence for what makes no sense."""
        try:
            known = Kind(kind)
        except ValueError as error:
            raise ValueError(f"There is no fault {kind!r}; there are {', '.join(Kind)}.") from error
        if call != "*" and call not in set(Call):
            raise ValueError(f"There is no call {call!r}; there are *, {', '.join(Call)}.")
        if known in MODIFIERS and call not in ("*", Call.PLACE):
            raise ValueError(f"{known} changes a placement: its call must be 'place' or '*', not {call!r}.")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ValueError(f"count must be a whole number from 1, or null for until cleared, not {count!r}.")
        if len(self._rules) >= MAX_RULES:
            raise ValueError(f"There are {MAX_RULES} fault rules already; clear some first.")
        given = dict(params or {})
        allowed = _PARAMS.get(known, frozenset())
        if extra := set(given) - allowed:
            takes = ", ".join(sorted(allowed)) or "none"
            raise ValueError(f"{known} does not take the parameter {min(extra)!r}; it takes {takes}.")
        rule = Rule(
            id=self._next_id,
            kind=known,
            call="*" if known is Kind.REFUSED else call,
            symbol=symbol,
            left=None if known is Kind.REFUSED else count,
            delay_s=_delay(known, given),
            status=_status(given),
            executed=_flag(given, default=known is Kind.HALF_JSON),
        )
        self._next_id += 1
        self._rules[rule.id] = rule
        return rule

    def clear(self, rule_id: int | None = None) -> int:
        """Remove one rule, or all; returns how many went. Raises ValueError for an id that is not there."""
        if rule_id is None:
            gone = len(self._rules)
            self._rules.clear()
            return gone
        if self._rules.pop(rule_id, None) is None:
            raise ValueError(f"There is no fault rule {rule_id}.")
        return 1

    @property
    def rules(self) -> list[Rule]:
        """The rules in force, spent ones (count used up) included until cleared."""
        return list(self._rules.values())

    @property
    def refused(self) -> bool:
        """True while the exchange's port is to be closed."""
        return any(r.kind is Kind.REFUSED for r in self._rules.values())

    def take(self, call: Call, symbol: str | None) -> Plan:
        """What happens to a request, counting the rules it uses up."""
        if not self._rules:
            return NOTHING
        found: dict[Kind | None, Rule] = {}
        for rule in self._rules.values():
            slot = rule.kind if rule.kind in MODIFIERS else None
            if rule.kind is Kind.REFUSED or slot in found or rule.left == 0:
                continue
            if (slot is not None and call is not Call.PLACE) or rule.call not in ("*", call.value):
                continue
            if rule.symbol is not None and rule.symbol != symbol:
                continue
            found[slot] = rule
            rule.hits += 1
            if rule.left is not None:
                rule.left -= 1
        return Plan(ending=found.get(None), double=found.get(Kind.DOUBLE), not_visible=found.get(Kind.NOT_VISIBLE))


def _delay(kind: Kind, params: Mapping[str, object]) -> float:
    if kind not in NEEDS_DELAY:
        return 0.0
    raw = params.get("delay_s")
    try:
        delay_s = float(str(raw))
    except ValueError as error:
        raise ValueError(f"{kind} needs params.delay_s, a number of seconds, not {raw!r}.") from error
    if not 0 <= delay_s <= MAX_DELAY_S:
        raise ValueError(f"params.delay_s must be 0 to {MAX_DELAY_S:g} seconds, not {raw!r}.")
    return delay_s


def _status(params: Mapping[str, object]) -> int:
    raw = params.get("status", 503)
    if isinstance(raw, bool) or not isinstance(raw, int) or not 400 <= raw <= 599:
        raise ValueError(f"params.status must be an HTTP status from 400 to 599, not {raw!r}.")
    return raw


def _flag(params: Mapping[str, object], *, default: bool) -> bool:
    raw = params.get("executed", default)
    if not isinstance(raw, bool):
        raise ValueError(f"params.executed must be true or false, not {raw!r}.")
    return raw
