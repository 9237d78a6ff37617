"""What an exchange says in words, or what our calls taught of a part of it: none of it is an illness of the whole.

Bans with their end, credentials it does not take, the maintenance it announces, symbols that are not traded now, and
symbols on which placements fail while others' go through: that is told apart, since it is no reason to leave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from attrs import evolve, frozen

from app.domain.health_counts import apart_s
from app.domain.health_evidence import Instant
from app.domain.health_kinds import VOUCHES
from app.domain.health_refusals import NO_REFUSALS, Refusals, refused, taken
from app.domain.health_settings import HealthSettings
from messages.health import EvidenceKind, Maintenance

MOST_SYMBOLS = 64
"""More symbols in trouble are not told apart: those longest in it go first."""
HALTED_FOR_S = 900.0
"""A symbol on which nobody tried since is not told of for longer."""
DENIED_FOR_S = 900.0
"""Nor is a kind of call that our credentials were not good for: nobody places where trading has left, and whoever has
put his key right is to be able to come back."""
BESIDE = 2.0
"""A key may be good for a signed probe and not for reading orders, which are read every few seconds while any rest: so
many intervals between rounds of probes without a refusal are no pause between two of these."""
LONGEST_BAN_S = 3 * 86_400.0
"""https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits: "from 2 minutes to 3 days". An end that is
further away is not believed: it would be an exchange that is never asked again."""
REPEATED = 3
"""A maintenance without an end is believed until so many intervals of asking have passed without its being repeated."""

_T = TypeVar("_T")


@frozen(kw_only=True)
class Streak:
    """Placements on one symbol that failed in a row, `apart_s` apart."""

    n: int
    counted_s: float
    began_s: float
    words: str


NO_STREAKS: Mapping[str, Streak] = {}
NO_HALTS: Mapping[str, tuple[float, str]] = {}
NOT_DENIED: Mapping[str, tuple[float, str]] = {}


@frozen(kw_only=True)
class Told:
    """As of the newest instant.

    Attributes:
        denied: By kind of call, when and in which words our credentials were last not good for it.
        refusals: Placements that were turned away in a row, though it answers.
        unproven: Why the last signed probe was refused; empty where it was answered well.
        until_s: We may not ask before.
        notice: The maintenance under way or announced, as told at `notice_s`.
        halted: By symbol, when and in which words it was last refused as not traded.
        streaks: By symbol, where the last placement failed.
        placed_s: When a placement was last answered, on any symbol.
    """

    denied: Mapping[str, tuple[float, str]] = NOT_DENIED
    refusals: Refusals = NO_REFUSALS
    unproven: str = ""
    until_s: float | None = None
    notice: Maintenance | None = None
    notice_s: float = 0.0
    halted: Mapping[str, tuple[float, str]] = NO_HALTS
    streaks: Mapping[str, Streak] = NO_STREAKS
    placed_s: float | None = None

    def under_way(self, now_s: float, settings: HealthSettings) -> Maintenance | None:
        """The maintenance that is under way."""
        notice = self.notice
        if notice is None or notice.begin_s > now_s or not self._holds(notice, now_s, settings):
            return None
        return notice

    def announced(self, now_s: float, settings: HealthSettings) -> Maintenance | None:
        """The maintenance that is under way, or to come."""
        return self.notice if self.notice is not None and self._holds(self.notice, now_s, settings) else None

    def _holds(self, notice: Maintenance, now_s: float, settings: HealthSettings) -> bool:
        if notice.end_s is not None:
            return now_s < notice.end_s
        said_s = max(self.notice_s, notice.begin_s)
        return now_s < said_s + REPEATED * settings.status_interval_s + settings.probe_timeout_s

    def banned_until_s(self, now_s: float) -> float | None:
        """When we may ask again; None where we may now."""
        return self.until_s if self.until_s is not None and now_s < self.until_s else None

    def credentials(self, now_s: float) -> str:
        """What is wrong with ours; empty where nothing is known to be."""
        if self.denied:
            for kind in VOUCHES:
                at_s, words = self.denied.get(kind, (-math.inf, ""))
                if now_s < at_s + DENIED_FOR_S:
                    return words
        return ""

    def alone(self, symbol: str, settings: HealthSettings) -> bool:
        """Whether placements fail on this symbol while others' go through."""
        streak = self.streaks.get(symbol)
        if streak is None or self.placed_s is None or streak.n < settings.max_retry_attempts:
            return False
        return self.placed_s > streak.began_s

    def not_traded(self, now_s: float, settings: HealthSettings) -> tuple[tuple[str, str], ...]:
        """(symbol, why), in order: refused as halted, or failing alone."""
        why = {name: words for name, (at_s, words) in self.halted.items() if now_s < at_s + HALTED_FOR_S}
        for name, streak in self.streaks.items():
            if self.alone(name, settings):
                why[name] = f"{streak.n} placements in a row failed while others go through: {streak.words}"
        return tuple(sorted(why.items()))


NOTHING = Told()


def heard(before: Told, instant: Instant, settings: HealthSettings) -> Told:
    """What is told after an instant."""
    remarks, at_s = instant.remarks, instant.at_s
    good = instant.good
    denied, unproven = before.denied, before.unproven
    if denied and good:
        denied = {kind: each for kind, each in denied.items() if not _vouched(kind, each[0], good, at_s, settings)}
    if unproven and EvidenceKind.SIGNED_PROBE in good:
        unproven = ""
    if remarks is None:
        if denied is before.denied and unproven is before.unproven:
            return before
        return evolve(before, denied=denied, unproven=unproven)
    if remarks.denied:
        denied = {**denied, **{kind: (at_s, words) for kind, words in reversed(remarks.denied)}}
    refusals = before.refusals
    if remarks.taken and refusals is not NO_REFUSALS:
        refusals = taken(refusals, at_s, settings)
    if remarks.turned_away or remarks.markets:
        refusals = refused(refusals, at_s, remarks.turned_away, remarks.markets, settings)
    until_s = before.until_s
    if remarks.until_s is not None:
        # Of two ends the later: a pause of seconds that is asked for meanwhile does not shorten a ban.
        until_s = max(until_s or 0.0, min(remarks.until_s, at_s + LONGEST_BAN_S))
    halted, streaks, placed_s = before.halted, before.streaks, before.placed_s
    if remarks.place_answered:
        placed_s = at_s
        halted, streaks = _without(halted, remarks.place_answered), _without(streaks, remarks.place_answered)
    if remarks.halted:
        halted = _bounded({**halted, **{name: (at_s, words) for name, words in remarks.halted}}, lambda each: each[0])
    if remarks.place_failed:
        failed = [(name, words) for name, words in remarks.place_failed if name]
        grown = {name: _longer(streaks.get(name), words, at_s, settings) for name, words in failed}
        streaks = _bounded({**streaks, **grown}, lambda each: each.counted_s)
    return Told(
        denied=denied,
        refusals=refusals,
        unproven=remarks.unproven or unproven,
        until_s=until_s,
        notice=remarks.notice if remarks.asked else before.notice,
        notice_s=at_s if remarks.asked else before.notice_s,
        halted=halted,
        streaks=streaks,
        placed_s=placed_s,
    )


def _vouched(kind: str, denied_s: float, good: Collection[EvidenceKind], at_s: float, settings: HealthSettings) -> bool:
    """Whether a good call takes back that a kind was refused: one of another kind only after a while without."""
    again_s = denied_s + BESIDE * settings.health_check_interval_s
    return any(other in good and (other == kind or at_s >= again_s) for other in VOUCHES[kind])


def _longer(streak: Streak | None, words: str, at_s: float, settings: HealthSettings) -> Streak:
    if streak is None:
        return Streak(n=1, counted_s=at_s, began_s=at_s, words=words)
    if at_s < streak.counted_s + apart_s(settings):
        return streak
    return Streak(n=streak.n + 1, counted_s=at_s, began_s=streak.began_s, words=words)


def _without(mapping: Mapping[str, _T], names: tuple[str, ...]) -> Mapping[str, _T]:
    if not any(name in mapping for name in names):
        return mapping
    return {name: each for name, each in mapping.items() if name not in names}


def _bounded(mapping: Mapping[str, _T], at_s: Callable[[_T], float]) -> Mapping[str, _T]:
    if len(mapping) <= MOST_SYMBOLS:
        return mapping
    newest = sorted(mapping, key=lambda name: (at_s(mapping[name]), name))[-MOST_SYMBOLS:]
    return {name: mapping[name] for name in newest}
