"""Placements that an exchange turns away without end, though it answers: no illness, and nobody can trade there.

That we ask too often, or are banned for a moment, is told and no failure: it is sat out, since mostly it is over in
seconds, and our own doing. An exchange that turns away *every* placement for longer than that is of no use, whoever is
at fault. So it is unfit once placements were refused for `ban_tolerance_s`, at `place_failures` moments `retry_delay_s`
apart, and none was taken in between: as many as make an exchange DOWN whose placements fail, and as long as a ban is
sat out. A strategy that asks too much, and has one order in ten taken, is not met by that.

That our time is not its time is left out: it is measured at once and mostly costs one call; where it goes on, our clock
is as likely wrong as the exchange's, and would be refused elsewhere, too. That one market is halted is no word on the
exchange; where two are, and nothing else is taken, it is. What our key or account may not do is left out: that is told,
and not failed over from. Neither is an order refused for what it asks (funds, price, size) any of this: it was looked
at, and that ends the row.

The verdict ends when `trial_calls` placements were taken in a row, where trading stayed; or, where it went away and
nobody tries, when nothing was refused for `hold_down_max_s`. So it comes at most twice an hour, with the defaults. The
row outlives that: the first placement of whoever comes back is its trial, and one more refusal is enough.
"""

from __future__ import annotations

from attrs import evolve, frozen

from app.domain.health_counts import apart_s
from app.domain.health_settings import HealthSettings

MARKETS = 2
"""So many that refuse are the exchange."""


@frozen(kw_only=True)
class Refusals:
    """The row, as of the newest instant.

    Attributes:
        n: Moments of it; the first at `began_s`, the newest counted one at `counted_s`.
        last_s: Of the newest refusal.
        markets: Those that refused, up to what matters.
        taken: Placements taken in a row while it is unfit.
        unfit: Why; empty where it is not.
    """

    n: int = 0
    began_s: float = 0.0
    counted_s: float = 0.0
    last_s: float = 0.0
    markets: frozenset[str] = frozenset()
    taken: int = 0
    unfit: str = ""

    def words(self, now_s: float, settings: HealthSettings) -> str:
        """Why trading should move, with the numbers; empty where nothing speaks for that."""
        return self.unfit if self.unfit and now_s < self.last_s + _quiet_s(settings) else ""


NO_REFUSALS = Refusals()


def taken(before: Refusals, at_s: float, settings: HealthSettings) -> Refusals:
    """After a placement that was taken, or refused for what it asks."""
    if not before.words(at_s, settings) or before.taken + 1 >= settings.trial_calls:
        return NO_REFUSALS
    return evolve(before, n=0, markets=frozenset(), taken=before.taken + 1)


def refused(
    before: Refusals, at_s: float, words: str, markets: tuple[tuple[str, str], ...], settings: HealthSettings
) -> Refusals:
    """After an instant in which placements were turned away.

    Args:
        words: Of what is said of all placements; empty where nothing is.
        markets: (symbol, words) of what is said of one.
    """
    if not before.unfit and at_s - before.last_s > max(settings.flap_half_life_s, 2 * settings.ban_tolerance_s):
        before = NO_REFUSALS  # nobody knows what would have become of an order in all that time
    told = before.markets.union(symbol for symbol, _ in markets)
    n, began_s, counted_s = before.n, before.began_s, before.counted_s
    if words or len(told) >= MARKETS:
        if not n:
            n, began_s, counted_s = 1, at_s, at_s
        elif at_s >= counted_s + apart_s(settings):
            n, counted_s = n + 1, at_s
    unfit = before.words(at_s, settings)
    if n >= settings.place_failures and at_s - began_s > settings.ban_tolerance_s:
        why = words or min(each for _, each in markets)
        unfit = (
            f"it has refused every placement for {at_s - began_s:.0f} s, at {n} moments at least"
            f" {settings.retry_delay_s:g} s apart, and {settings.ban_tolerance_s:g} s are sat out: {why}"
        )
    return Refusals(
        n=n,
        began_s=began_s,
        counted_s=counted_s,
        last_s=at_s,
        markets=frozenset(sorted(told)[:MARKETS]),
        unfit=unfit,
    )


def _quiet_s(settings: HealthSettings) -> float:
    return max(settings.hold_down_max_s, settings.ban_tolerance_s)
