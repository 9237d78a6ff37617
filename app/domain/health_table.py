"""The states of an exchange's health, and what each finding makes of each: the theory of the failure detector.

Theory. A detector can be wrong in two ways. Too slow, and orders go to an exchange that is gone; too quick, and trading
moves because of a lost packet: at 5 % errors three failures in a row come about 11 times a month. So counting only
makes an exchange a *candidate* for DOWN; then witnesses of independent kinds must confirm it. Evidence differs in
weight: that a cheap public call is answered says nothing about orders (circuit breakers closed by a cheap probe while
the real path is broken are a classic), so it never outweighs failing placements.

Everything that happens in one instant is taken as one event (`health_evidence.Instant`), so its order does not matter.
An event amounts to one `Finding`, worse to better, and the table below is all that changes the state:

    | state, finding | CLOSED | GONE | ORDER_FAILED | ILL       | ANSWERS   | GOOD      | RECOVERED | TRIED     |
    | STARTING       | MAINT  | DOWN | SUSPECT      | SUSPECT   | STARTING  | WELL      | WELL      | WELL      |
    | WELL           | MAINT  | DOWN | SUSPECT      | SUSPECT   | WELL      | WELL      | WELL      | WELL      |
    | SUSPECT        | MAINT  | DOWN | SUSPECT      | SUSPECT   | SUSPECT   | WELL      | WELL      | WELL      |
    | HALF_OPEN      | MAINT  | DOWN | DOWN         | HALF_OPEN | HALF_OPEN | HALF_OPEN | HALF_OPEN | WELL      |
    | MAINT(ENANCE)  | MAINT  | DOWN | MAINT        | MAINT     | MAINT     | MAINT     | HALF_OPEN | HALF_OPEN |
    | DOWN           | MAINT  | DOWN | DOWN         | DOWN      | DOWN      | DOWN      | HALF_OPEN | HALF_OPEN |

- CLOSED: the exchange itself says that it is closed. Its status names a maintenance that is under way, and said so not
  long ago; or two calls of different kinds, or `retry_delay_s` apart, were refused for maintenance, and none was
  answered well since. One such refusal may be a server that is just being replaced.
- GONE, either way:
  1. *Confirmed*: `max_retry_attempts` consecutive failures, `retry_delay_s` apart (a burst is one failure), and after
     that count a failing signed probe together with a failing public probe, or with a failing placement or cancel. A
     signed answer (signed probe, placement, cancel) starts the count anew; a public one does not. HALF_OPEN, one
     failure is the count: that it fails again so soon after an outage is more likely to be the outage than noise, and
     the confirmation still takes noise out.
  2. *Orders alone*: `place_failures` placements in a row, `retry_delay_s` apart, failed for illness, whatever probes
     say. That count outlives a recovery, so the next placement is a trial: if it fails, it is DOWN again at once.
- ORDER_FAILED: a placement failed for illness. HALF_OPEN that is enough: whether orders go through is what is tried.
  One that was sent before the trial makes it DOWN as well, but it is the old outage that was not over, and no further
  one. Where nothing but our own network was down (`network`), nothing speaks against the exchange: a failing placement
  is ILL then, and `max_retry_attempts` are to be confirmed as ever.
- ILL: something else failed, or the error rate of the window is exceeded by what is not OUT (DOWN or MAINTENANCE), or a
  call waits for its answer longer than calls of its kind do (phi accrual, Hayashibara 2004): that alone never leads to
  DOWN, but has probes sent at once.
- GOOD: a signed probe or a placement was answered well after the last failure, public probes do not fail, the window is
  fine; and where more than one placement failed since the exchange was WELL, or since the last good one: RECOVERED.
- RECOVERED: `rise` consecutive good rounds of both kinds of probe without any failure; and, if it is not OUT, the
  window is fine. That of one that is OUT is full of what made it so, which would hold up its trial for half a minute
  where it is busy, or was silent, so that its calls fail late.
- TRIED: HALF_OPEN, RECOVERED, `trial_calls` signed calls (placements among them) answered well since it is HALF_OPEN
  without any failure, and the hold-down is over (`health_flaps`: it grows with each time it was DOWN).
- ANSWERS: anything else that was answered.

What counts. `Evidence.ok` is false for illness only (`Cause`: silent, connection, server, local, maintenance). An
answer that refuses (credentials, rate limit, ban, clock, a halted symbol, or an order refused by a code) is an answer:
it ends a row of failures, since the exchange is there; but it is no good call, so that no trial and no recovery counts
it. What the exchange's status page and its prices say (STATUS_PROBE, MARKET_PROBE) is of other servers than those that
take orders: it counts nowhere; only the maintenance and the staleness it tells of are used.

ISOLATED lies over the table: a person keeps the exchange out, and what is believed below goes on being kept.

More failures never make the state healthier; that, and that the table is total, are property tests. One thing is
excepted on purpose: the hold-down. An outage that is interrupted is two outages, and is held down longer than one that
is not, since that is what damping of flaps means (RFC 2439).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from messages.health import HealthState


class Finding(IntEnum):
    """What an event amounts to; the higher, the healthier."""

    CLOSED = 0
    GONE = 1
    ORDER_FAILED = 2
    ILL = 3
    ANSWERS = 4
    GOOD = 5
    RECOVERED = 6
    TRIED = 7


_S = HealthState
TABLE: Mapping[HealthState, tuple[HealthState, ...]] = MappingProxyType(
    {  # indexed by Finding
        _S.STARTING: (_S.MAINTENANCE, _S.DOWN, _S.SUSPECT, _S.SUSPECT, _S.STARTING, _S.WELL, _S.WELL, _S.WELL),
        _S.WELL: (_S.MAINTENANCE, _S.DOWN, _S.SUSPECT, _S.SUSPECT, _S.WELL, _S.WELL, _S.WELL, _S.WELL),
        _S.SUSPECT: (_S.MAINTENANCE, _S.DOWN, _S.SUSPECT, _S.SUSPECT, _S.SUSPECT, _S.WELL, _S.WELL, _S.WELL),
        _S.HALF_OPEN: (_S.MAINTENANCE, _S.DOWN, _S.DOWN, *(_S.HALF_OPEN,) * 4, _S.WELL),
        _S.MAINTENANCE: (_S.MAINTENANCE, _S.DOWN, *(_S.MAINTENANCE,) * 4, _S.HALF_OPEN, _S.HALF_OPEN),
        _S.DOWN: (_S.MAINTENANCE, *(_S.DOWN,) * 5, _S.HALF_OPEN, _S.HALF_OPEN),
    }
)
"""By state, then finding. ISOLATED is none of these: it lies over whichever it is."""

OUT = frozenset({_S.DOWN, _S.MAINTENANCE})
"""Not to be used, by what happens there or by what it says: asked ever more rarely, and nothing more is held against
it."""

HEALTHIER: Mapping[HealthState, int] = MappingProxyType(
    {_S.ISOLATED: 0, _S.MAINTENANCE: 1, _S.DOWN: 1, _S.HALF_OPEN: 2, _S.SUSPECT: 3, _S.STARTING: 4, _S.WELL: 5}
)
"""The higher, the healthier: DOWN and MAINTENANCE are alike in what they forbid, and in how they are left."""
