"""Data that has stopped moving: an exchange that answers at once, with what was true some minutes ago.

Nothing fails, so no count of failures sees it; freshness has no absolute measure either, for a quiet market rightly
stands still. What tells them apart is comparison: *this* exchange shows the same price again and again *while another
one's price of the same symbol moves*. (An end-to-end argument: Saltzer, Reed and Clark, ACM TOCS 2, 1984; the
connection may be in order, the data is what counts.) Data comes as marks, fingerprints of what was read: alike means
unmoved.

**Prices.** An exchange is stale when all of these hold of a symbol:
1. its mark was read unmoved for `stale_after_s`, and was read lately;
2. it was read often enough since for that to be no chance. Of the readings before, a share q found it moved (moves /
   (readings + 1): few readings make it low); unmoved k times running comes with a chance of (1-q)^k, which must be at
   most 1e-6. A price that moved at 50 of 50 readings must stand still for 4, one that moved at each second, for 21.
   Readings within one `retry_delay_s` are one. What is learnt is learnt when a price moves, and of longer standing
   still only as much as was no chance yet: an hour of illness does not become usual, a thinner market does in the end;
3. another exchange's mark of that symbol moved at least twice after this one's last move, as read there, so that a
   market that is quiet everywhere is not stale, and one that moved once for both, read here before and there after, is
   not either;
4. no other symbol of this exchange moved since: one market that is halted or hardly traded here is not the exchange.

**Balances** have no other exchange to compare with, but our own fills: they must move when we trade. An exchange is
stale when its balances were read unmoved, at least 3 times and for `stale_after_s`, after the connector was told of a
further fill. Fills are told late and balances may move before: so a fill counts only against balances that had been
unmoved for `stale_after_s` when it was told, and not when they were read for the first time since. A connector that
starts anew counts its fills from nothing again: then this begins anew as well.

Everything is bounded: `SYMBOLS` marks, `MOVES` moments of each. Within one moment order does not matter (of two marks
read at once the greater is kept, and it has moved); reading more often without a move, or another exchange moving more,
never makes it less stale: property tests.

One kind of call must always give the same sort of mark, not a ticker's now and an order book's then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import field, frozen

from app.domain.health_settings import HealthSettings, moment_s
from messages.health import Evidence, EvidenceKind
from messages.market import Symbol

Key = tuple[EvidenceKind, Symbol | None]
"""Whose mark: a symbol's price, or with None the balances, by kind of evidence."""

SYMBOLS = 16
"""Marks kept, which is many: one symbol at a time is asked for; the one that was read longest ago goes first."""
OTHER_MOVES = 2
"""So often another exchange's price must have moved since; above says why."""
MOVES = 2 * OTHER_MOVES
"""Moves whose time is kept: those that are looked for, and as many that came before."""
BALANCE_READINGS = 3
"""One may be of before the fill, and one of an exchange's own copy that lags behind."""
CHANCE = 1e-6
"""Of standing still so long by itself, below which it is no chance."""
REMEMBERED = 256
"""Readings after which older ones count half: with one a minute, some hours of a market that has grown thinner."""


@frozen
class Mark:
    """Of one symbol's price, or of the balances.

    Attributes:
        first_s: When it was first read.
        asked_s: When it was last read.
        moved_s: The latest times at which it was found moved, the newest last.
        run: Readings since it moved.
        slot: Number of the time, each of `retry_delay_s`, in which it was last read.
        readings: Up to the last move; `moves` of them found it moved.
        fills: Ours that it should show by now; None while it is too early to say.
        owed_s: Since when it has not shown one that it should; None where it owes nothing.
        owed: Readings since.
    """

    text: str
    first_s: float
    asked_s: float
    slot: int
    moved_s: tuple[float, ...] = ()
    run: int = 0
    readings: float = 0.0
    moves: float = 0.0
    fills: int | None = None
    owed_s: float | None = None
    owed: int = 0

    @property
    def since_s(self) -> float:
        """Since when it has not moved."""
        return self.moved_s[-1] if self.moved_s else self.first_s

    @property
    def enough(self) -> float:
        """Readings without a move that are no chance."""
        standing = 1.0 - self.moves / (self.readings + 1.0)
        return math.log(CHANCE) / math.log(standing) if self.moves else math.inf


@frozen
class Marks:
    """What one exchange showed; `exchange` is empty before the first."""

    exchange: str = ""
    marks: Mapping[Key, Mark] = field(factory=dict)

    def seen(self, evidence: Evidence, settings: HealthSettings) -> Marks:
        """After one more piece of evidence; without a mark it says nothing."""
        if not evidence.mark:
            return self
        key = (evidence.kind, evidence.symbol)
        before = self.marks.get(key)
        slot = math.floor(evidence.at_s / moment_s(settings))
        if before is None:
            marks = {**self.marks, key: Mark(evidence.mark, evidence.at_s, evidence.at_s, slot)}
            if len(marks) > SYMBOLS:
                del marks[min(marks, key=lambda each: (marks[each].asked_s, each[0], str(each[1])))]
        else:
            marks = {**self.marks, key: _read(before, evidence, slot, settings)}
        return Marks(evidence.exchange, marks)


def stale(own: Marks, others: tuple[Marks, ...], now_s: float, settings: HealthSettings) -> str:
    """What has stopped moving on an exchange, in words with the numbers; empty where nothing has."""
    moved = (mark.moved_s[-1] for (_, symbol), mark in own.marks.items() if symbol is not None and mark.moved_s)
    prices_s = max(moved, default=0.0)
    for (kind, symbol), mark in own.marks.items():
        if now_s - mark.asked_s > _lately_s(settings):
            continue
        if symbol is None:
            if words := _balances(mark, settings):
                return words
        elif mark.since_s >= prices_s and (words := _price(kind, symbol, mark, others, settings)):
            return words
    return ""


def _lately_s(settings: HealthSettings) -> float:
    """What was read longer ago says nothing of now."""
    return max(settings.stale_after_s, 3 * settings.status_interval_s)


def _price(kind: EvidenceKind, symbol: Symbol, mark: Mark, others: tuple[Marks, ...], settings: HealthSettings) -> str:
    unmoved_s = mark.asked_s - mark.since_s
    if unmoved_s < settings.stale_after_s or mark.run < mark.enough:
        return ""
    for other in others:
        for (_, its_symbol), its in other.marks.items():
            if its_symbol == symbol:
                moves = sum(moved_s > mark.since_s for moved_s in its.moved_s)
                if moves >= OTHER_MOVES:
                    return (
                        f"the price of {symbol} has not moved for {unmoved_s:.0f} s, read {mark.run} times, "
                        f"while it moved on {other.exchange}"
                    )
    return ""


def _balances(mark: Mark, settings: HealthSettings) -> str:
    if mark.owed_s is None or mark.owed < BALANCE_READINGS or mark.asked_s - mark.owed_s < settings.stale_after_s:
        return ""
    return (
        f"balances have not moved for {mark.asked_s - mark.since_s:.0f} s, read {mark.owed} times "
        f"since an order of ours was filled"
    )


def _read(before: Mark, evidence: Evidence, slot: int, settings: HealthSettings) -> Mark:
    at_s = max(evidence.at_s, before.asked_s)
    slot = max(slot, before.slot)
    run = before.run + (slot > before.slot)
    text, moved_s, readings, moves = before.text, before.moved_s, before.readings, before.moves
    fills, owed_s, owed = before.fills, before.owed_s, before.owed
    if evidence.mark != text:
        # Of two that were read at once the same one is kept, whichever came first.
        text = max(text, evidence.mark) if at_s == before.asked_s else evidence.mark
        if not moved_s or moved_s[-1] != at_s:
            moved_s = (*moved_s[-(MOVES - 1) :], at_s)
            readings, moves = readings + max(1.0, min(run, before.enough)), moves + 1
            if readings > REMEMBERED:
                readings, moves = readings / 2, moves / 2
            run = 0
        fills, owed_s, owed = None, None, 0
    elif moved_s and moved_s[-1] == at_s:
        pass  # what moved at this moment is no reading without a move
    elif evidence.symbol is None:
        fills, owed_s, owed = _owing(before, evidence, at_s, slot, settings)
    return Mark(text, before.first_s, at_s, slot, moved_s, run, readings, moves, fills, owed_s, owed)


def _owing(
    before: Mark, evidence: Evidence, at_s: float, slot: int, settings: HealthSettings
) -> tuple[int | None, float | None, int]:
    fills, owed_s = before.fills, before.owed_s
    if fills is None or evidence.fills < fills:
        # Told while they had not stood still for long, or never compared yet: they may show it already.
        early = at_s - before.since_s < settings.stale_after_s
        return (None if early else evidence.fills), None, 0
    if evidence.fills > fills and owed_s is None:
        return fills, at_s, 1
    if owed_s is None:
        return fills, None, 0
    return fills, owed_s, before.owed + (slot > before.slot)
