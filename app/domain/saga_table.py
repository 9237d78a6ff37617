"""What each event makes of each step of a switch: the whole table, every pair of it answered.

Theory. A switch is a saga: a sequence of steps, each idempotent and each journalled before the next begins, so that a
coordinator that died anywhere resumes where it was (`Coordinator.recover`). The order is what keeps I1 and I3:

    idle       nothing is under way; what comes in late is appended to the history
    fence      a new epoch without an exchange: nothing older is committed from here on
    preflight  the candidates in order: is it well, can it trade what would go there; who fails yields to the next
    settle     the old connector resolves what is in doubt and takes off what rests; bounded; skipped when it is down
    commit     the new epoch gets its exchange; sessions are told
    leave      what the old exchange still holds is asked once more, where it had not settled before the commit
    carry      what was taken off is placed where trading is, or parked with a reason
    positions  what stands on the exchange that was left moves as the policy says
    report     what is left there is read, and told in the history

Only fence and commit decide anything, and both are single transactions of the journal. When no candidate passes, the
new epoch is given back to the exchange it was taken from: the fence has done no harm, orders flow again if it recovers,
and what was taken off is placed there again. Settling comes after the pre-flight, since it takes orders off.

Everything after the commit is held up by the journal, not by a step that is under way: an order that was taken off is
there until it is placed or parked, a position that is to move until it stands where it should. So these steps wait,
each bounded, for the first pass, write what was done and what is left, and what comes later is appended. So they may be
cut short at any point: the new exchange dies, a person wants another. And one saga runs at a time: before the commit a
verb is refused, or joins the switch it asks for.

A pair has one of four answers: something to do; `Refuse`, told to whoever asked; `Stale`, since it comes too late or
says nothing new; `Illegal`, which only a bug of the router can bring about, and which is raised: the coordinator is
started anew, and takes the journal's word.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class Step(StrEnum):
    """Where a switch is."""

    IDLE = "idle"
    FENCE = "fence"
    PREFLIGHT = "preflight"
    SETTLE = "settle"
    COMMIT = "commit"
    LEAVE = "leave"
    CARRY = "carry"
    POSITIONS = "positions"
    REPORT = "report"


class Happened(StrEnum):
    """What a switch can meet.

    Attributes:
        WANTED: The detector, a person, a control or the hold-down's end wants trading moved.
        FENCED: The new epoch has begun.
        READY: The candidate passes.
        UNREADY: It does not, and why.
        CANDIDATE_DOWN: The detector calls down whoever is asked, or was chosen.
        OLD_DOWN: It calls down the exchange that is left.
        SETTLED: The connector of the exchange that is left says what it took off, and what is left.
        COMMITTED: The epoch has its exchange.
        ROUTE_MOVED: Somebody else has moved the route.
        CARRIED_SOME: Some of what was taken off is placed or parked, and more of it waits.
        CARRIED_ALL: Nothing waits to be placed.
        MOVED_SOME: Positions are being moved.
        MOVED_ALL: None is to be moved any more, or can be for now.
        BOOK: The synchronizer says what stands where.
        DUE: The step's time is up.
    """

    WANTED = "wanted"
    FENCED = "fenced"
    READY = "ready"
    UNREADY = "unready"
    CANDIDATE_DOWN = "candidate_down"
    OLD_DOWN = "old_down"
    SETTLED = "settled"
    COMMITTED = "committed"
    ROUTE_MOVED = "route_moved"
    CARRIED_SOME = "carried_some"
    CARRIED_ALL = "carried_all"
    MOVED_SOME = "moved_some"
    MOVED_ALL = "moved_all"
    BOOK = "book"
    DUE = "due"


class Do(StrEnum):
    """What is done then; `app.domain.saga_steps` has one method for each.

    Attributes:
        BEGIN: Write the switch into the history, and fence.
        CUT_SHORT: End the telling of the one before, and begin.
        ASK_FIRST: Ask the first candidate.
        CHOOSE: Take the candidate; settle the exchange that is left, unless it is down.
        NEXT: Note why not, and ask the next; after the last, give the epoch back.
        TAKE: Keep what the old connector says, and commit.
        PASS_OVER: Commit without its word.
        MOVED: Tell everybody; then what was left is asked for, or what was taken off is carried.
        ANEW: Take the journal's word, as after a start.
        TAKE_LATE: Keep what the old connector says, and carry.
        CARRY: Have what was taken off placed.
        NOTE_CARRIED: Keep what was placed and parked.
        POSITIONS: Likewise, and have positions moved.
        NOTE_MOVED: Keep what was moved.
        REPORT: Likewise, and read what is left.
        FINISH: Keep what is left; the switch is over.
        APPEND: It belongs to a switch that is over: append it to the history.
    """

    BEGIN = "begin"
    CUT_SHORT = "cut_short"
    ASK_FIRST = "ask_first"
    CHOOSE = "choose"
    NEXT = "next"
    TAKE = "take"
    PASS_OVER = "pass_over"
    MOVED = "moved"
    ANEW = "anew"
    TAKE_LATE = "take_late"
    CARRY = "carry"
    NOTE_CARRIED = "note_carried"
    POSITIONS = "positions"
    NOTE_MOVED = "note_moved"
    REPORT = "report"
    FINISH = "finish"
    APPEND = "append"


@frozen
class Stale:
    """Nothing changes, and why."""

    why: str


@frozen
class Refuse:
    """Whoever asks is told so."""

    why: str


@frozen
class Illegal:
    """The router may not have brought this about, and why."""

    why: str


class IllegalStep(Exception):
    """Something happened that the table forbids: a bug of the router, stopped before it reached the journal."""


Answer = Do | Stale | Refuse | Illegal

MOVING = frozenset({Step.FENCE, Step.PREFLIGHT, Step.SETTLE, Step.COMMIT})
"""Steps during which no exchange is in use."""

TELLING = frozenset({Step.LEAVE, Step.CARRY, Step.POSITIONS, Step.REPORT})
"""Steps after the commit: trading has moved."""

S, H = Step, Happened

_ONE = Refuse("a switch is running")
_UNFENCED = Illegal("no fence was asked for")
_UNCOMMITTED = Illegal("no route was to be committed")
_READINESS = Stale("nobody is asked for this switch now: it is kept as readiness")
_NO_CANDIDATE = Stale("nobody is asked or chosen now")
_LEFT_ALREADY = Stale("what it holds is not waited for now")
_RETURN = Stale("nobody waits for it: it is what an exchange that returns says")
_NOTHING_DUE = Stale("nothing is waited for")
_NO_MOVES = Stale("it is of a switch before: positions move again after the commit")
_NO_BOOK = Stale("nobody waits for it: it is shown as the book")

_QUIET: dict[Happened, Answer] = {
    H.FENCED: _UNFENCED,
    H.READY: _READINESS,
    H.UNREADY: _READINESS,
    H.CANDIDATE_DOWN: _NO_CANDIDATE,
    H.OLD_DOWN: _LEFT_ALREADY,
    H.SETTLED: _RETURN,
    H.COMMITTED: _UNCOMMITTED,
    H.ROUTE_MOVED: _UNCOMMITTED,
    H.BOOK: _NO_BOOK,
    H.DUE: _NOTHING_DUE,
}
"""What a step answers to what it does not wait for."""

_BEFORE: dict[Happened, Answer] = {
    **_QUIET,
    H.WANTED: _ONE,
    H.CARRIED_SOME: Do.APPEND,
    H.CARRIED_ALL: Do.APPEND,
    H.MOVED_SOME: _NO_MOVES,
    H.MOVED_ALL: _NO_MOVES,
}
"""Likewise, of the steps until the commit."""

_AFTER: dict[Happened, Answer] = {
    **_QUIET,
    H.WANTED: Do.CUT_SHORT,
    H.CARRIED_SOME: Do.NOTE_CARRIED,
    H.CARRIED_ALL: Do.NOTE_CARRIED,
    H.MOVED_SOME: Do.NOTE_MOVED,
    H.MOVED_ALL: Do.NOTE_MOVED,
}
"""Likewise, of those after it."""

TABLE: dict[Step, dict[Happened, Answer]] = {
    S.IDLE: {
        **_QUIET,
        H.WANTED: Do.BEGIN,
        H.CARRIED_SOME: Do.APPEND,
        H.CARRIED_ALL: Do.APPEND,
        H.MOVED_SOME: Do.APPEND,
        H.MOVED_ALL: Do.APPEND,
    },
    S.FENCE: {**_BEFORE, H.FENCED: Do.ASK_FIRST},
    S.PREFLIGHT: {
        **_BEFORE,
        H.READY: Do.CHOOSE,
        H.UNREADY: Do.NEXT,
        H.CANDIDATE_DOWN: Do.NEXT,
        H.OLD_DOWN: Stale("its settling is passed over when it comes to that"),
        H.DUE: Do.NEXT,
    },
    S.SETTLE: {
        **_BEFORE,
        H.READY: Stale("it has passed"),
        H.UNREADY: Stale("it has passed: what it cannot take is parked there"),
        H.CANDIDATE_DOWN: Do.NEXT,
        H.OLD_DOWN: Do.PASS_OVER,
        H.SETTLED: Do.TAKE,
        H.DUE: Do.PASS_OVER,
    },
    S.COMMIT: {**_BEFORE, H.COMMITTED: Do.MOVED, H.ROUTE_MOVED: Do.ANEW},
    S.LEAVE: {**_AFTER, H.SETTLED: Do.TAKE_LATE, H.DUE: Do.CARRY},
    S.CARRY: {**_AFTER, H.CARRIED_ALL: Do.POSITIONS, H.DUE: Do.POSITIONS},
    S.POSITIONS: {**_AFTER, H.MOVED_ALL: Do.REPORT, H.DUE: Do.REPORT},
    S.REPORT: {**_AFTER, H.BOOK: Do.FINISH, H.DUE: Do.FINISH},
}
"""By step, then event."""


def answer(step: Step, happened: Happened) -> Do | Stale | Refuse:
    """What the table says of a pair.

    Raises:
        IllegalStep: Only a bug of the router can bring this about.
    """
    found = TABLE[step][happened]
    if isinstance(found, Illegal):
        raise IllegalStep(f"{happened.value} is illegal while a switch is at {step.value}: {found.why}.")
    return found
