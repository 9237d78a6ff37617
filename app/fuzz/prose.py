"""A run told in sentences: only what became of the orders a rule is about, and what befell the world on the way.

`story` has everything, as a timeline. This is for whoever reads a run for the first time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import ClassVar

from attrs import define, field

from app.fuzz import record as r
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.faults import Fault, Window
from app.fuzz.parts import HARMLESS
from app.fuzz.sim_orders import Traits
from app.fuzz.strategy import OrderPlan
from messages.orders import LegState, Told

APART_S = 1.0
"""What happens within so long is told in one breath."""
MOST_ORDERS = 4
"""Where a rule is about no order, and there are no more, all are told of."""

MEETS = {
    Fault.REFUSED: "takes no connection",
    Fault.HANG_BEFORE: "never gets it, and nobody answers",
    Fault.HANG_AFTER: "carries it out and never answers",
    Fault.LATE: "gets it late",
    Fault.DROP_BEFORE: "never gets it: the connection ends",
    Fault.DROP_AFTER: "carries it out and drops the answer",
    Fault.SLOW: "is slow",
    Fault.OVERLOADED: "turns it away, being overloaded",
    Fault.READS_FAIL: "answers no look-up",
    Fault.STALE: "shows what was a while ago",
    Fault.SERVER: "answers by a broken server",
    Fault.SLUGGISH: "is sluggish",
    Fault.MAINTENANCE: "is closed for maintenance",
    Fault.BANNED: "turns it away, having banned us",
    Fault.CREDENTIALS: "does not know our key",
    Fault.UNREACHABLE: "is out of our network's reach",
}
"""What an exchange does by a fault, in words."""

_ABOUT = re.compile(r"^(?:an exit of )?order (-?\d+)(?: \(…\w+\))? ?")
_FAULT = re.compile(r"meets fault (\w+)$")
_WENT_DOWN = re.compile(r"^health\.changed exchange=(\w+) state=(down|well) .*?reason=(.*)$")


def tell_in_sentences(seen: Seen, violations: Sequence[Violation], rule: str) -> str:
    """The run, as far as it is about what broke a rule."""
    broken = [violation for violation in violations if violation.rule == rule]
    serials = frozenset(violation.serial for violation in broken if violation.serial)
    everyone = [serial for strategy in seen.plan.strategies for serial in strategy.orders]
    if not serials and len(everyone) <= MOST_ORDERS:
        serials = frozenset(everyone)
    told = sorted([*_befalls(seen), *_Telling(seen, serials).sentences()], key=lambda each: each[0])
    ends = [
        f"And that breaks the rule '{each.rule}': {_of(each.serial)}{each.words.rstrip('.')}." for each in broken[:1]
    ]
    return "\n".join([*_characters(seen), *_breaths(seen.start_s, told), *ends])


def _of(serial: int) -> str:
    return f"order {serial}, " if serial else ""


def _breaths(start_s: float, told: Sequence[tuple[float, str]]) -> Iterator[str]:
    begun_s, breath = float("-inf"), list[str]()
    for at_s, words in told:
        if breath and at_s > begun_s + APART_S:
            yield f"{begun_s - start_s:8.1f} s  {_sentence(breath)}"
            breath = []
        if not breath:
            begun_s = at_s
        breath.append(words)
    if breath:
        yield f"{begun_s - start_s:8.1f} s  {_sentence(breath)}"


def _sentence(breath: Sequence[str]) -> str:
    times = [(words, len(list(same))) for words, same in groupby(breath)]
    return "; ".join(words if n == 1 else f"{words}, {n} times" for words, n in times) + "."


def _characters(seen: Seen) -> Iterator[str]:
    for traits in seen.plan.traits:
        yield f"{traits.name} {_character(traits)}."


def _character(traits: Traits) -> str:
    proof, odd = traits.proof, []
    if proof != HARMLESS["proof"]:
        odd.append(f"enforces expiries at its {proof.enforcement.value}, {proof.validity_s:g} s after the commit")
        if proof.lateness_s:
            odd.append(f"may execute {proof.lateness_s:g} s later than that")
        odd.append(f"may hide what it has for {proof.visibility_s:g} s")
    if traits.acknowledges:
        odd.append("answers before its engine has an order")
    if not traits.final_cancels:
        odd.append("answers a cancel before it is done")
    if traits.duplicates is not HARMLESS["duplicates"]:
        odd.append("knows only open orders by their ids")
    return ", ".join(odd) if odd else "is as easy as an exchange can be"


def _befalls(seen: Seen) -> Iterator[tuple[float, str]]:
    for window in seen.plan.windows:
        yield seen.start_s + window.begin_s, _outage(window, seen.end_s - seen.start_s)


def _outage(window: Window, end_s: float) -> str:
    kinds = " or ".join(dict.fromkeys(MEETS[kind] for kind in window.kinds))
    share = "" if window.share >= 1.0 else f" in {window.share:.0%} of all calls"
    which = ", asked to place," if window.places_only else ""
    until = "from now on" if window.end_s >= end_s else f"until {window.end_s:.1f} s"
    return f"{until} {window.exchange}{which} {kinds}{share}"


@define
class _Telling:
    seen: Seen
    serials: frozenset[int]
    _orders: dict[int, OrderPlan] = field(init=False, factory=dict)
    _placed: set[int] = field(init=False, factory=set)
    _known: dict[int, tuple[LegState, object]] = field(init=False, factory=dict)
    _down: set[str] = field(init=False, factory=set)

    def __attrs_post_init__(self) -> None:
        for strategy in self.seen.plan.strategies:
            self._orders.update(strategy.orders)

    def sentences(self) -> Iterator[tuple[float, str]]:
        for fact in self.seen.facts:
            serial = getattr(fact, "serial", None)
            words = "" if serial is not None and serial not in self.serials else self._words(fact)
            if words:
                yield fact.at_s, words

    def _words(self, fact: r.Fact) -> str:
        match fact:
            case r.Asked():
                return self._asked(fact)
            case r.Heard():
                return self._heard(fact)
            case r.Sent():
                return f"{fact.exchange} is sent order {fact.serial} for {fact.quantity}"
            case r.Routed(exchange=None):
                return "trading is stopped, to be moved" if fact.epoch > 1 else ""
            case r.Routed():
                return f"trading is on {fact.exchange}"
            case r.Died():
                who = f"{fact.actor}'s connector" if fact.actor in self._exchanges() else fact.actor
                return f"{who} is {fact.why}"
            case r.Note():
                return self._note(fact)
            case _:
                return ""

    def _exchanges(self) -> list[str]:
        return [traits.name for traits in self.seen.plan.traits]

    def _asked(self, asked: r.Asked) -> str:
        who, what = asked.strategy, f"order {asked.serial}"
        match asked.kind:
            case "place" if asked.serial in self._placed:
                return f"{who} places {what} again, by the same id"
            case "place":
                self._placed.add(asked.serial)
                plan = self._orders[asked.serial]
                price = "at the market" if plan.price is None else f"at {plan.price}"
                only = ", reduce-only" if plan.reduce_only else ""
                return f"{who} places {what}: {plan.side} {plan.quantity} {plan.symbol} {price}{only}"
            case "other":
                return f"{who} places {what} by the same id for {asked.quantity}"
            case "amend":
                return f"{who} changes {what} to {asked.quantity or 'as many'} at {asked.price}"
            case "cancel":
                return f"{who} cancels {what}"
            case _:
                return f"{who} asks after {what}"

    def _heard(self, heard: r.Heard) -> str:
        now = None if heard.state is None else (heard.state, heard.filled)
        news = heard.request is None or heard.told is Told.CHANGED
        if news and (now is None or self._known.get(heard.serial) == now):
            return ""
        if now is not None:
            self._known[heard.serial] = now
        filled = f" with {heard.filled} filled" if heard.filled else ""
        state = "" if heard.state is None else f"{heard.state.value}{filled}"
        if news:
            return f"{heard.strategy} is told that order {heard.serial} is {state}"
        why = f" ({heard.words.rstrip('.')})" if heard.words else ""
        return f"{heard.strategy} hears: order {heard.serial} {heard.told.value}{why}"

    def _note(self, note: r.Note) -> str:
        about = _ABOUT.match(note.words)
        if note.who == "log":
            return self._health(note.words)
        if about is None:
            begins = note.words.startswith("fails for ")  # told where it begins, as what it does
            return "" if begins else self._OTHERWISE.get(note.words, f"{note.who} {note.words.rstrip('.')}")
        if int(about[1]) not in self.serials:
            return ""
        rest = note.words[about.end() :]
        fault = _FAULT.search(rest)
        if fault is not None:
            rest = rest[: fault.start()].removesuffix(", which ").strip()
            did = MEETS[Fault(fault[1])]
            return f"order {about[1]} {rest}, and {note.who} {did}" if rest else f"{note.who} {did}"
        if rest == "is open there":
            return f"{note.who} takes order {about[1]}"
        return f"order {about[1]} {rest} on {note.who}"

    _OTHERWISE: ClassVar[dict[str, str]] = {"moves": "", "is calm from here on": "nothing goes wrong any more"}

    def _health(self, words: str) -> str:
        """An exchange that is held to be down, or is trusted again."""
        went = _WENT_DOWN.match(words)
        if went is None or (went[2] == "well" and went[1] not in self._down):
            return ""
        (self._down.add if went[2] == "down" else self._down.discard)(went[1])
        return f"{went[1]} is held to be {went[2]}: {went[3]}"
