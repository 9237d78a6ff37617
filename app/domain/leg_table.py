"""What each event makes of each state of a leg: the whole table, every pair of it answered.

A pair has one of four answers:

- a state: the leg is in it from then on; its own where the event teaches something besides (an amount, other terms);
- `Stale`: the evidence is older than what is known, or repeats it, and changes nothing;
- `Contradicts`: an exchange takes its own word back. What it says of execution is taken over, since hiding it would
  lose an order, and it is told, since a proof was wrong;
- `Illegal`: something the router itself may never do to a leg in this state. It is raised, and the actor that tried is
  started anew: a leg that was committed twice would be an order doubled.

Diagram and table in `docs/LIFE.md` are drawn from this (`make life`).
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from messages.orders import LegState


class LegEvent(StrEnum):
    """What can happen to a leg, or be learned of it.

    Attributes:
        SENT_AMBIGUOUS: It may have been sent, and no answer proves anything.
        SEEN_OPEN: The exchange shows it resting, and so on for the other reports.
        REFUSED: A code of the exchange says that it will not execute, or what is left of it.
        PROVEN_ABSENT: It never executed and never will: an expiry that has passed, or a code.
        RECOMMITTED: The journal commits it once more, under the same wire id. Of what waited to be placed, only where
            it was never taken off an exchange, since none has shown it (`leg_life`).
        WITHDRAWN: Its owner cancelled it while it was absent.
        SET_ASIDE: The journal commits a newer leg of the order although nobody knows of this one.
        CANCEL_ASKED: Its owner wants it cancelled, and does not take that back.
        AMEND_SENT: A change of it is about to be sent.
        REPLACE_ASKED: It is about to be cancelled, so that another leg takes its place.
        AMEND_SETTLED: A change is known not to have been made, nor ever to be.
        CARRY_ASKED: Trading moves: it is about to be cancelled, so that what is left of it is placed where trading is.
        CARRIED: The journal commits the leg that takes it up elsewhere.
        PARKED: What is left of it is not placed elsewhere by itself; or it was placed for what was left of an order,
            and is proven not to have executed, or to rest no more.
        UNPARKED: It is, after all.
    """

    SENT_AMBIGUOUS = "sent_ambiguous"
    SEEN_OPEN = "seen_open"
    SEEN_PARTIAL = "seen_partial"
    SEEN_FILLED = "seen_filled"
    SEEN_CANCELLED = "seen_cancelled"
    SEEN_EXPIRED = "seen_expired"
    REFUSED = "refused"
    PROVEN_ABSENT = "proven_absent"
    RECOMMITTED = "recommitted"
    WITHDRAWN = "withdrawn"
    SET_ASIDE = "set_aside"
    CANCEL_ASKED = "cancel_asked"
    AMEND_SENT = "amend_sent"
    AMEND_SETTLED = "amend_settled"
    REPLACE_ASKED = "replace_asked"
    CARRY_ASKED = "carry_asked"
    CARRIED = "carried"
    PARKED = "parked"
    UNPARKED = "unparked"


@frozen
class Stale:
    """Nothing changes, and why."""

    why: str


@frozen
class Contradicts:
    """The exchange takes its word back: the leg becomes `state`, and it is told."""

    state: LegState
    why: str


@frozen
class Illegal:
    """The router may not do this to the leg, and why."""

    why: str


class IllegalEvent(Exception):
    """Something was tried that the table forbids: a bug of the router, stopped before it reached the journal."""


Answer = LegState | Stale | Contradicts | Illegal

S, E = LegState, LegEvent

SEEN = {
    E.SEEN_OPEN: S.OPEN,
    E.SEEN_PARTIAL: S.PARTIALLY_FILLED,
    E.SEEN_FILLED: S.FILLED,
    E.SEEN_CANCELLED: S.CANCELLED,
    E.SEEN_EXPIRED: S.EXPIRED,
}
"""What an exchange shows of an order that its engine took."""

LIVE = frozenset({S.OPEN, S.PARTIALLY_FILLED})
UNPROVEN = frozenset({S.INTENT, S.UNKNOWN})
ASIDE = frozenset({S.HELD})
"""Of a leg that has a newer one: it may have executed, may rest, and is never placed again."""

DOUBTED = frozenset({S.UNKNOWN, S.HELD})
"""States of which an owner may have been told that nobody can know."""

MAY_FILL = LIVE | UNPROVEN | ASIDE
"""Whatever of a leg has not filled may still."""

TERMINAL = frozenset({S.FILLED, S.CANCELLED, S.EXPIRED, S.REFUSED})
"""States an order does not leave; ABSENT is not one of them, since its order may still be placed again."""

EXECUTED_NOTHING = frozenset({S.REFUSED, S.ABSENT})
CHANGES = frozenset({E.AMEND_SENT, E.AMEND_SETTLED, E.REPLACE_ASKED, E.CANCEL_ASKED, E.CARRY_ASKED})
"""Events of what its owner asks for, or the router for him, not of the leg's own state."""

ASKED = frozenset({E.AMEND_SENT, E.REPLACE_ASKED, E.CANCEL_ASKED, E.CARRY_ASKED})
"""Those of them that only say that something is about to be asked for: nobody is told of these."""

OURS = frozenset({E.RECOMMITTED, E.SET_ASIDE, E.CARRIED})
"""Events the router makes happen itself, within the transaction that decides."""

BETWEEN = frozenset({S.DRAINED, S.PARKED})
"""The leg is over, with proof, and its order is not: what is left of it is on no exchange."""

_KNOWN = Stale("that is known")
_HEARD_SINCE = Stale("the exchange was heard of it since")
_OLDER = Stale("the report is older than what is known")
_ENDED = Stale("it has ended")
_WAS_SHOWN = "the exchange has shown it"
_NOT_ABSENT = Illegal("only what is proven absent may be sent again")
_NOT_UNKNOWN = Illegal("only what nobody can know may be set aside")
_NOT_GONE = Stale("it may have executed: it is cancelled on its exchange instead")
_WRONG_PROOF = "it was proven to have executed nothing"
_NOT_DRAINED = Illegal("only what was taken off its exchange may be taken up elsewhere")
_NOT_BETWEEN = Stale("only what was taken off its exchange waits for anything")
_GONE = Stale("what is left of it is gone: the first word why is kept")


def _row(state: LegState, answers: dict[LegEvent, Answer]) -> dict[LegEvent, Answer]:
    """What a state answers; a change leaves it as it is unless it has ended."""
    ended = state in TERMINAL
    rest: dict[LegEvent, Answer] = dict.fromkeys(CHANGES, _ENDED if ended else state)
    rest |= {E.RECOMMITTED: _NOT_ABSENT, E.SET_ASIDE: _NOT_UNKNOWN}
    rest |= {E.CARRIED: _NOT_DRAINED, E.PARKED: _NOT_BETWEEN, E.UNPARKED: _NOT_BETWEEN}
    return rest | answers


_BETWEEN: dict[LegEvent, Answer] = {
    E.SENT_AMBIGUOUS: _HEARD_SINCE,
    E.SEEN_OPEN: _OLDER,
    E.SEEN_PARTIAL: _OLDER,
    E.SEEN_FILLED: S.FILLED,
    E.SEEN_CANCELLED: _KNOWN,
    E.SEEN_EXPIRED: _GONE,
    E.REFUSED: _GONE,
    E.PROVEN_ABSENT: Stale("what is left of it is gone, and what filled is kept"),
    E.WITHDRAWN: S.CANCELLED,
}
"""What both states of a leg that was taken off its exchange answer alike."""

TABLE: dict[LegState, dict[LegEvent, Answer]] = {
    S.INTENT: _row(
        S.INTENT,
        {
            **SEEN,
            E.SENT_AMBIGUOUS: S.UNKNOWN,
            E.REFUSED: S.REFUSED,
            E.PROVEN_ABSENT: S.ABSENT,
            E.WITHDRAWN: Stale("it was committed again before it could be withdrawn"),
            E.SET_ASIDE: Illegal("its answer may still come: it is unknown first"),
            E.PARKED: S.PARKED,
        },
    ),
    S.UNKNOWN: _row(
        S.UNKNOWN,
        {
            **SEEN,
            E.SENT_AMBIGUOUS: _KNOWN,
            E.REFUSED: S.REFUSED,
            E.PROVEN_ABSENT: S.ABSENT,
            E.WITHDRAWN: _NOT_GONE,
            E.SET_ASIDE: S.HELD,
            E.PARKED: S.PARKED,
        },
    ),
    S.OPEN: _row(
        S.OPEN,
        {
            **SEEN,
            E.SEEN_OPEN: _KNOWN,
            E.SENT_AMBIGUOUS: _HEARD_SINCE,
            E.REFUSED: S.REFUSED,
            E.PROVEN_ABSENT: Contradicts(S.OPEN, _WAS_SHOWN),
            E.WITHDRAWN: _NOT_GONE,
            E.PARKED: S.PARKED,
        },
    ),
    S.PARTIALLY_FILLED: _row(
        S.PARTIALLY_FILLED,
        {
            **SEEN,
            E.SEEN_OPEN: _OLDER,
            E.SEEN_PARTIAL: _KNOWN,
            E.SENT_AMBIGUOUS: _HEARD_SINCE,
            E.REFUSED: S.CANCELLED,
            E.PROVEN_ABSENT: Contradicts(S.PARTIALLY_FILLED, _WAS_SHOWN),
            E.WITHDRAWN: _NOT_GONE,
            E.PARKED: S.PARKED,
        },
    ),
    S.FILLED: _row(
        S.FILLED,
        {
            E.SENT_AMBIGUOUS: _HEARD_SINCE,
            E.SEEN_OPEN: _OLDER,
            E.SEEN_PARTIAL: _OLDER,
            E.SEEN_FILLED: _KNOWN,
            E.SEEN_CANCELLED: Stale("all of it had filled: nothing was left to cancel"),
            E.SEEN_EXPIRED: Stale("all of it had filled: nothing was left to expire"),
            E.REFUSED: Contradicts(S.FILLED, _WAS_SHOWN),
            E.PROVEN_ABSENT: Contradicts(S.FILLED, _WAS_SHOWN),
            E.WITHDRAWN: _ENDED,
        },
    ),
    S.CANCELLED: _row(
        S.CANCELLED,
        {
            E.SENT_AMBIGUOUS: _HEARD_SINCE,
            E.SEEN_OPEN: _OLDER,
            E.SEEN_PARTIAL: _OLDER,
            E.SEEN_FILLED: S.FILLED,
            E.SEEN_CANCELLED: _KNOWN,
            E.SEEN_EXPIRED: _GONE,
            E.REFUSED: _GONE,
            E.PROVEN_ABSENT: Stale("what is left of it is gone, and what filled is kept"),
            E.WITHDRAWN: _KNOWN,
        },
    ),
    S.EXPIRED: _row(
        S.EXPIRED,
        {
            E.SENT_AMBIGUOUS: _HEARD_SINCE,
            E.SEEN_OPEN: _OLDER,
            E.SEEN_PARTIAL: _OLDER,
            E.SEEN_FILLED: S.FILLED,
            E.SEEN_CANCELLED: _GONE,
            E.SEEN_EXPIRED: _KNOWN,
            E.REFUSED: _GONE,
            E.PROVEN_ABSENT: Stale("what is left of it is gone, and what filled is kept"),
            E.WITHDRAWN: _ENDED,
        },
    ),
    S.REFUSED: _row(
        S.REFUSED,
        {
            **{event: Contradicts(state, _WRONG_PROOF) for event, state in SEEN.items()},
            E.SENT_AMBIGUOUS: _HEARD_SINCE,
            E.REFUSED: _KNOWN,
            E.PROVEN_ABSENT: Stale("it was refused, which proves more"),
            E.WITHDRAWN: _ENDED,
        },
    ),
    S.ABSENT: _row(
        S.ABSENT,
        {
            **{event: Contradicts(state, _WRONG_PROOF) for event, state in SEEN.items()},
            E.SENT_AMBIGUOUS: Stale("its absence is proven since"),
            E.REFUSED: Stale("it is proven never to have executed, and may be sent again"),
            E.PROVEN_ABSENT: _KNOWN,
            E.RECOMMITTED: S.INTENT,
            E.WITHDRAWN: S.CANCELLED,
        },
    ),
    S.HELD: _row(
        S.HELD,
        {
            **SEEN,
            E.SEEN_OPEN: S.HELD,
            E.SEEN_PARTIAL: S.HELD,
            E.SENT_AMBIGUOUS: _KNOWN,
            E.REFUSED: S.REFUSED,
            E.PROVEN_ABSENT: S.ABSENT,
            E.RECOMMITTED: Illegal("a newer leg stands in its place"),
            E.SET_ASIDE: Illegal("it is set aside already"),
            E.WITHDRAWN: _NOT_GONE,
        },
    ),
    S.DRAINED: _row(
        S.DRAINED,
        {
            **_BETWEEN,
            E.RECOMMITTED: S.INTENT,
            E.CARRIED: S.CANCELLED,
            E.PARKED: S.PARKED,
            E.UNPARKED: _KNOWN,
        },
    ),
    S.PARKED: _row(
        S.PARKED,
        {
            **_BETWEEN,
            E.CARRIED: Illegal("it waits for its owner: it is unparked first"),
            E.PARKED: _KNOWN,
            E.UNPARKED: S.DRAINED,
        },
    ),
}
"""By state, then event. A leg that shows itself resting while it is set aside stays HELD: the order has a newer leg,
and at most one counts as live; it is cancelled."""


_EVENT_OF_REPORT = {state: event for event, state in SEEN.items()} | {S.REFUSED: E.REFUSED}


def event_of_report(state: LegState) -> LegEvent:
    """The event that an exchange's report of an order in `state` is; KeyError for a state no exchange reports."""
    return _EVENT_OF_REPORT[state]


def answer(state: LegState, event: LegEvent) -> LegState | Stale | Contradicts:
    """What the table says of a pair.

    Raises:
        IllegalEvent: The router may not do this to a leg in that state.
    """
    found = TABLE[state][event]
    if isinstance(found, Illegal):
        raise IllegalEvent(f"{event.value} is illegal for a leg that is {state.value}: {found.why}.")
    return found
