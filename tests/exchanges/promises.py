"""`python -m tests.exchanges.promises`, or `make promises`: writes docs/EXCHANGES.md from the tables of the code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.domain.calls import ExpiryEnforcement
from app.exchanges.factory import PROFILES
from app.exchanges.outcomes import Meaning, Row
from app.exchanges.rules.base import Amending, CancelAnswer, DeadMan, ExchangeRules, IdScope, Sandbox
from app.exchanges.rules.tables import TABLES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "EXCHANGES.md"
_INTRO = """\
# What exchanges promise

Printed from the tables that the code acts by (`app/exchanges/rules`, `app/exchanges/codes`) by `make promises`; a
test fails where this page says something else. A source is an address, ccxt's source, or, where nobody documents the
fact, "declared by us": then the value is ours, and the simulated exchanges respect and stress it.

## How to read it

**Expiry.** Every placement carries a time after which the exchange refuses it. What that is worth depends on who
looks. *The matching engine*: nothing executes after it. *The gateway*: it looks when the order arrives and hands it
on, so that one which was just in time may execute a moment later. *Nobody*: the order may execute whenever it
arrives, and only the time declared for that bounds it.

**Absence.** When an answer is lost, the router asks for the order by its client order id. That none is found proves
something only if it was asked late enough: after the expiry, and after as long as an order may still execute behind
it, may be missing from look-ups, and our idea of the exchange's clock may be wrong. The sum is the column "absence
proven after", counted from when the order was committed to the journal, before it was sent. Until then the order
counts as one that may be live, and is placed nowhere else. An exchange that cannot be asked proves nothing.

**Ids.** The client order id is fixed before the first request. Where it has to be unique among *all* orders, the
exchange itself refuses a second copy; where only among *open* ones, the id of an order that filled would execute
again, so that nothing is ever sent again before a look-up.
"""
_CODES = """\
## What their codes mean

A code that is neither here nor in ccxt's table counts as "may have executed". The code of the router is what a bot
reads.
"""
_MEANINGS = {
    Meaning.REFUSED: "refused for good; nothing executed",
    Meaning.NOT_EXECUTED: "turned away for now; nothing executed, and nothing will",
    Meaning.DUPLICATE: "the client order id is taken, so the order is there: it is looked up",
    Meaning.UNKNOWN_ORDER: "no live order has this id: it ended, or never was",
    Meaning.UNCHANGED: "it is so already; there was nothing to do",
    Meaning.AMBIGUOUS: "may have executed; only a look-up tells",
}
_WORDS: Mapping[Enum, str] = {
    IdScope.ALL: "all orders, those that ended included",
    IdScope.OPEN: "open orders only",
    IdScope.NONE: "none: it does not look",
    ExpiryEnforcement.ENGINE: "the matching engine",
    ExpiryEnforcement.GATEWAY: "the gateway, on arrival",
    ExpiryEnforcement.NONE: "nobody",
    CancelAnswer.ACKNOWLEDGED: "that it was asked for",
    CancelAnswer.DONE: "that the order is gone",
    Amending.IN_PLACE: "it stays the same order",
    Amending.REPLACED: "it is cancelled, and another takes its place",
    Amending.NONE: "cannot be done",
    DeadMan.COUNTDOWN: "a countdown that a request sets",
    DeadMan.CONNECTION: "when a connection is lost; no request sets it",
    DeadMan.NONE: "none",
    Sandbox.NETWORK: "a network of its own",
    Sandbox.HEADER: "the same address, told apart by a header",
    Sandbox.NONE: "none",
}
FACTS: Mapping[str, str] = {
    "id_field": "client order id goes in",
    "id_length": "longest client order id",
    "id_alphabet": "characters it may have",
    "id_scope": "client order id is unique among",
    "duplicate_codes": "codes for one that is taken",
    "expiry_field": "expiry goes in",
    "expiry": "expiry is looked at by",
    "trigger_expiry": "expiry is looked at, with a trigger, by",
    "validity_s": "expires after the commit in",
    "lateness_s": "may execute after the expiry for",
    "trigger_lateness_s": "may so, placed with a trigger, for",
    "visibility_s": "may be missing from look-ups for",
    "clock_error_s": "the exchange's clock is known to",
    "look_up_open": "look-up of open orders",
    "look_up_closed": "look-up of orders that ended",
    "look_up_fills": "look-up of fills",
    "look_back_s": "look-ups reach back",
    "cancel": "the answer to a cancel proves",
    "amend": "an order that is changed",
    "amendable": "what can be changed",
    "dead_man": "dead-man switch",
    "dead_man_scope": "what that cancels",
    "dead_man_counts": "it counts down from, in seconds",
    "dead_man_triggers": "it cancels orders that wait for a trigger",
    "dead_man_by_market": "it counts for each market by itself",
    "attached_exits": "take profit and stop loss with the order",
    "times_in_force": "times in force",
    "trigger_prices": "prices that set a trigger off",
    "position_modes": "position modes",
    "margin_modes": "margin modes",
    "sandbox": "test network",
}
"""How each fact is called on the page, in its order."""
_LITERAL = {
    "id_field",
    "id_alphabet",
    "duplicate_codes",
    "expiry_field",
    "look_up_open",
    "look_up_closed",
    "look_up_fills",
}
"""Facts whose values are the exchange's own names."""
_LINE = 20
"""Codes in one cell before the rest gets a row of its own."""
_Shows = Callable[[ExchangeRules], str]
_OVERVIEW: Mapping[str, _Shows] = {
    "expiry looked at by": lambda table: _shown("expiry", table.expiry.value),
    "absence proven after": lambda table: _absence(table),
    "id unique among": lambda table: _shown("id_scope", table.id_scope.value),
    "cancel's answer proves": lambda table: _shown("cancel", table.cancel.value),
    "can be changed": lambda table: _cell(table.amendable.value),
    "dead-man switch": lambda table: _shown("dead_man", table.dead_man.value),
}


def page() -> str:
    """All of it."""
    return "\n".join([_INTRO, *_at_a_glance(), *_promises(), _CODES, *_meanings()])


def _tables() -> Iterator[tuple[str, ExchangeRules]]:
    for (name, market_type), table in TABLES.items():
        if (name, market_type) in PROFILES:
            yield f"{name}, {market_type}", table


def _at_a_glance() -> Iterator[str]:
    yield "## At a glance\n"
    yield from _header("", *_OVERVIEW)
    for title, table in _tables():
        yield _row(title, *(shows(table) for shows in _OVERVIEW.values()))
    yield ""


def _promises() -> Iterator[str]:
    for title, table in _tables():
        rules = dict(table.rows())
        unnamed = rules.keys() - FACTS.keys()
        assert not unnamed, f"what are these called on the page: {sorted(unnamed)}"
        yield f"## {title}\n"
        yield from _header("fact", "value", "note", "source")
        for name, fact in FACTS.items():
            rule = rules.get(name)
            if rule is not None and rule.value != "":
                yield _row(fact, _shown(name, rule.value), _cell(rule.note), _source(rule.source))
        yield ""


def _meanings() -> Iterator[str]:
    """Once where swaps and spot of an exchange have the same table."""
    told: dict[str, tuple[str, Mapping[str, Row]]] = {}
    for (name, market_type), profile in PROFILES.items():
        title = f"{name}, {market_type}"
        alike = next((each for each, (of, codes) in told.items() if of == name and codes == profile.codes), None)
        if alike is None:
            told[title] = (name, profile.codes)
        else:
            told[f"{alike} and {market_type}"] = told.pop(alike)
    for title, (_, codes) in told.items():
        yield f"### Codes of {title}\n"
        yield from _codes(codes)


def _codes(codes: Mapping[str, Row]) -> Iterator[str]:
    for meaning, words in _MEANINGS.items():
        by_row: dict[tuple[str, str], list[str]] = {}
        for code, row in codes.items():
            if row.meaning is meaning:
                by_row.setdefault((row.code, row.source), []).append(code)
        if by_row:
            yield f"**{words[:1].upper()}{words[1:]}.**\n"
            yield from _header("the router's code", "the exchange's codes", "source")
            for (code, source), native in sorted(by_row.items()):
                for start in range(0, len(native), _LINE):
                    shown = ", ".join(map(_literal, sorted(native)[start : start + _LINE]))
                    yield _row(_literal(code), shown, _source(source))
            yield ""


def _absence(table: ExchangeRules) -> str:
    proof = table.proof
    plain_s, conditional_s = (proof.validity_s + proof.margin_of(conditional=each) for each in (False, True))
    if plain_s == conditional_s or not table.trigger_prices.value:
        return _duration(plain_s)
    return f"{_duration(plain_s)}; with a trigger {_duration(conditional_s)}"


def _header(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(name: str, value: Any) -> str:
    if name.endswith("_s"):
        return _duration(value)
    if name == "id_length":
        return f"{value} characters"
    words = value if isinstance(value, tuple) else (value,)
    return ", ".join((_literal if name in _LITERAL else _word)(each) for each in words) or "none"


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return _WORDS.get(value, str(value.value).replace("_", " "))
    return _cell(str(value))


def _duration(seconds: float) -> str:
    for unit, length_s in (("days", 86_400), ("hours", 3_600)):
        if seconds >= length_s and seconds % length_s == 0:
            return f"{seconds / length_s:g} {unit}"
    return f"{seconds:g} s" if seconds else "not at all"


def _source(source: str) -> str:
    found = re.fullmatch(r"(https://\S+)(.*)", source)
    if found is None:
        return _cell(source)
    address, rest = found.groups()
    return f"[{urlsplit(address).hostname}]({address}){_cell(rest) and ' ' + _cell(rest)}"


def _literal(text: object) -> str:
    return f"`{_cell(str(text))}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(write: Iterable[Path] = (PAGE,)) -> None:
    """Writes the page."""
    for path in write:
        path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
