"""Every rule by which a run is judged, and which invariant it holds (ARCHITECTURE.md says what they promise)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

INVARIANTS = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8")

RULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # app.fuzz.checker
        "I1 filled more than asked": ("I1",),
        "I1 filled more than declared": ("I1",),
        "I1 two live legs": ("I1",),
        "I1 accepted and absent": ("I1", "I5"),
        "I2 not answered in time": ("I2", "I6"),
        "I2 guessed": ("I2",),
        "I2 not resolved": ("I2",),
        "I2 final question unanswered": ("I2",),
        "I2 order forgotten": ("I2", "I5"),
        "I2 fills differ": ("I2", "I5"),
        "I2 states differ": ("I2", "I5"),
        "I2 fill that is none": ("I2",),
        "I3 sent past the fence": ("I3",),
        "I3 expiry too late": ("I3",),
        "I3 executed after expiry": ("I3",),
        "liveness": ("I7",),
        # app.fuzz.checker_again
        "I1 another id after absence": ("I1",),
        # app.fuzz.exposure, checker_moves, checker_book
        "I4 more open than was asked": ("I1", "I4"),
        "I4 more open than declared": ("I1", "I4"),
        "I4 more than a slice": ("I4",),
        "moved against the policy": ("I4",),
        "trades with ourselves": ("I4",),
        "position left": ("I4",),
        "book not told": ("I2",),
        "book differs": ("I4", "I5"),
        "adopted what nobody did": ("I4",),
        # app.fuzz.checker_carry
        "carry left": ("I7",),
        "parked without a reason": ("I2",),
        "order lost": ("I5",),
        "placed against the policy": ("I1",),
        "carried wrongly": ("I1", "I4"),
        # app.fuzz.checker_news, fill_check
        "news numbered wrongly": ("I5",),
        "news not told": ("I2", "I5"),
        "news out of order": ("I2",),
        "news changed": ("I5",),
        "news of fills differ": ("I2",),
        "fills differ": ("I5",),
        "trade not told": ("I2",),
        "trade told twice": ("I2",),
        # app.fuzz.model
        "model: sent": ("I1",),
        "model: place": ("I2",),
        "model: other": ("I1", "I2"),
        "model: cancel": ("I2",),
        "model: amend": ("I2",),
        "model: get": ("I2", "I5"),
        "model: news": ("I2", "I5"),
        # app.fuzz.leaks
        "left over: sums": ("I5",),
        "left over: journal": ("I5",),
        "left over: children": ("I7",),
        "left over: placements": ("I6",),
        "left over: doubts": ("I2", "I6"),
        "left over: watches": ("I6",),
        "left over: calls in flight": ("I6",),
        "left over: rate limit": ("I6",),
        "left over: questions": ("I2", "I6"),
        "left over: saga steps": ("I7",),
        "left over: verdicts": ("I7",),
        "left over: timers": ("I6",),
        "failover in its own way": ("I7",),
        "I6 more than the exchange gives": ("I6",),
        # app.fuzz.machine
        "I5 a route is lost": ("I3", "I5"),
        "I5 lost at a power cut": ("I5",),
        "I5 another past": ("I5",),
        "I5 the journal is lost": ("I5",),
        "I5 the journal is damaged": ("I5",),
        "I5 the journal is not proven": ("I5",),
        # app.fuzz.checker_ill, own_network
        "I7 not live": ("I7",),
        "I7 order not accepted": ("I7",),
        "I7 left without a reason": ("I7",),
        "I7 follows what flaps": ("I7",),
        "I7 asked during a ban": ("I6", "I7"),
        "I7 our own network": ("I7",),
        # app.fuzz.secrecy
        "I8 a secret got out": ("I8",),
        # seen by the harness as it happens: app.fuzz.world, run, run_log, strategy
        "sent without an intent": ("I5",),
        "sent in spite of a person": ("I4",),
        "news given up": ("I6",),
        "actors do not raise": ("I7",),
        "order.contradiction": ("I1", "I5"),
        "supervisor.gave_up": ("I7",),
        "connector.unexpected_message": ("I8",),
        "route.stale": ("I3",),
        "the run itself": ("I6",),
    }
)
"""By its name."""


def held_by(invariant: str) -> tuple[str, ...]:
    """The rules that hold an invariant."""
    return tuple(rule for rule, held in RULES.items() if invariant in held)
