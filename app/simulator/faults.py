"""Fault rules of a simulated exchange: which requests break, how, and how often. Pure; `performing` performs them.

A request takes at most one *ending* fault (the first rule that matches, oldest first) and any number of *modifiers*
(`double`, `not_visible`, `stale`), so that a visibility lag can be combined with a lost answer. Any rule may be left to
chance with `probability` and `seed`: the same seed and requests give the same faults. The kinds are in `fault_rules`.
"""

import random
from collections.abc import Mapping

from attrs import define, field, frozen

from app.simulator.calls import GROUPS, READS, Call
from app.simulator.fault_rules import MODIFIERS, PLACING, PORT, Kind, Rule, read_terms

MAX_RULES = 1_000
"""Rules kept at once; one more is refused."""


@frozen(kw_only=True)
class Plan:
    """What happens to one request. `executed`, `delay_s`: what was drawn for it, of the rule that ends it."""

    ending: Rule | None = None
    double: Rule | None = None
    not_visible: Rule | None = None
    stale: Rule | None = None
    executed: bool = False
    delay_s: float = 0.0

    @property
    def name(self) -> str | None:
        """The kinds for the request log, joined by "+"; None if nothing breaks."""
        rules = (self.ending, self.double, self.not_visible, self.stale)
        return "+".join(r.kind.value for r in rules if r is not None) or None


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
        now_ms: int = 0,
    ) -> Rule:
        """Add a rule. `symbol` is canonical. Raises ValueError with a sentence for what makes no sense."""
        try:
            known = Kind(kind)
        except ValueError as error:
            raise ValueError(f"There is no fault {kind!r}; there are {', '.join(Kind)}.") from error
        if call != "*" and call not in set(Call) and call not in GROUPS:
            raise ValueError(f"There is no call {call!r}; there are *, {', '.join([*GROUPS, *Call])}.")
        if known in PLACING and call not in ("*", Call.PLACE):
            raise ValueError(f"{known} changes a placement: its call must be 'place' or '*', not {call!r}.")
        if known is Kind.STALE and call not in ("*", "reads", "quotes", *READS):
            raise ValueError(f"{known} changes look-ups: its call must be '*' or a look-up, not {call!r}.")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ValueError(f"count must be a whole number from 1, or null for until cleared, not {count!r}.")
        if len(self._rules) >= MAX_RULES:
            raise ValueError(f"There are {MAX_RULES} fault rules already; clear some first.")
        given = dict(params or {})
        terms = read_terms(known, given)
        rule = Rule(
            id=self._next_id,
            kind=known,
            call="*" if known in PORT else call,
            symbol=symbol,
            left=None if known in PORT else count,
            terms=terms,
            given=given,
            set_ms=now_ms,
            chance=random.Random(terms.seed),
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
    def port(self) -> Kind | None:
        """What is wrong with the exchange's port: REFUSED, CONNECT_HANGS (the older rule wins), or None."""
        return next((r.kind for r in self._rules.values() if r.kind in PORT), None)

    def take(self, call: Call, symbol: str | None, now_ms: int = 0) -> Plan:
        """What happens to a request, counting the rules it uses up."""
        if not self._rules:
            return NOTHING
        found: dict[Kind | None, Rule] = {}
        for rule in self._rules.values():
            slot = rule.kind if rule.kind in MODIFIERS else None
            if slot in found or not rule.matches(call, symbol):
                continue
            found[slot] = rule
            rule.hits += 1
            if rule.left is not None:
                rule.left -= 1
        ending = found.get(None)
        return Plan(
            ending=ending,
            double=found.get(Kind.DOUBLE),
            not_visible=found.get(Kind.NOT_VISIBLE),
            stale=found.get(Kind.STALE),
            executed=ending is not None and ending.draw_executed(),
            delay_s=ending.draw_delay_s(now_ms) if ending is not None else 0.0,
        )
