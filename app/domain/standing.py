"""How an exchange that is not in use stands, and what one that comes back goes through before it is a candidate.

Theory. An exchange that was left, or that could not be reached, may have gone on without us: orders of ours may rest or
fill there, a stop may have fired. So before trading may move there (again), whatever is in doubt is resolved, what is
left of older epochs is taken off, and its fills and positions are read:

    left ──it is well──▶ settling ──nothing of ours may fill──▶ reading ──positions read──▶ candidate
      ◀──down──────────────┘  │ return_settle_s over: so it is said ▲ │                        │
      ◀──down─────────────────┼───────────────────────────────────────┘                        │
      ◀──down, or left again──┴────────────────────────────────────────────────────────────────┘

Each wait is bounded, since a backup that is never a candidate is none: an exchange that cannot say what became of an
order is a candidate after `return_settle_s` all the same, and says with which words. The order keeps its leg until it
is known, so that it cannot be doubled by trading being there again.

Nothing of this is kept: after a restart, an exchange on which older epochs' orders may still fill begins as left. That
an exchange is isolated is a control, over all of this: its orders are taken off all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from attrs import define, field

from app.domain.saga_effects import AskBook, AskSettle, CoordinatorEffect, FailoverSettings, Line, Tell
from messages.failover import Route, SettleReply

AGAIN_S = 2.0
"""Between two requests to settle of an exchange that returns."""
LEFT_AGAIN_S = 5.0
"""Between two of one that is not well, where orders of ours may fill: what rests there is to be marked as moving though
its connector died with the first request, and before it is told what the exchange did to it by itself."""
READINGS = 2
"""So often the positions of an exchange that returns are asked for before it is a candidate without."""


class Standing(StrEnum):
    """How an exchange stands.

    Attributes:
        IN_USE: Orders go there.
        CANDIDATE: Trading may move there, if its pre-flight passes.
        LEFT: It was left, or was down, and is not well.
        RETURNING: It is well again, and what it did meanwhile is being found out.
        ISOLATED: A person keeps it out.
    """

    IN_USE = "in use"
    CANDIDATE = "candidate"
    LEFT = "left"
    RETURNING = "returning"
    ISOLATED = "isolated"


class Back(StrEnum):
    """How far an exchange has come back."""

    LEFT = "left"
    SETTLING = "settling"
    READING = "reading"
    CANDIDATE = "candidate"


class Turn(StrEnum):
    """What an exchange that is not in use can meet.

    Attributes:
        LEFT: Trading was there until now, or orders may fill there from before a restart.
        TAKEN: Trading is there now.
        WELL: The detector says so.
        DOWN: Likewise.
        SETTLED: Nothing of older epochs may fill there any more, but what protects a position.
        REMAINS: Something may.
        READ: Its positions were read.
        SILENT: Whoever was asked did not answer, or could not read them.
        OVER: Its time is up.
    """

    LEFT = "left"
    TAKEN = "taken"
    WELL = "well"
    DOWN = "down"
    SETTLED = "settled"
    REMAINS = "remains"
    READ = "read"
    SILENT = "silent"
    OVER = "over"


B, T = Back, Turn

TABLE: dict[Back, dict[Turn, Back]] = {
    B.LEFT: {
        T.LEFT: B.LEFT,
        T.TAKEN: B.CANDIDATE,
        T.WELL: B.SETTLING,
        T.DOWN: B.LEFT,
        T.SETTLED: B.LEFT,  # it is to be well first: this is what its connector knew before
        T.REMAINS: B.LEFT,
        T.READ: B.LEFT,
        T.SILENT: B.LEFT,
        T.OVER: B.LEFT,
    },
    B.SETTLING: {
        T.LEFT: B.LEFT,
        T.TAKEN: B.CANDIDATE,
        T.WELL: B.SETTLING,
        T.DOWN: B.LEFT,
        T.SETTLED: B.READING,
        T.REMAINS: B.SETTLING,
        T.READ: B.SETTLING,  # somebody else asked: it is read again once orders cannot change it
        T.SILENT: B.SETTLING,
        T.OVER: B.READING,
    },
    B.READING: {
        T.LEFT: B.LEFT,
        T.TAKEN: B.CANDIDATE,
        T.WELL: B.READING,
        T.DOWN: B.LEFT,
        T.SETTLED: B.READING,
        T.REMAINS: B.READING,
        T.READ: B.CANDIDATE,
        T.SILENT: B.READING,
        T.OVER: B.CANDIDATE,
    },
    B.CANDIDATE: {
        T.LEFT: B.LEFT,
        T.TAKEN: B.CANDIDATE,
        T.WELL: B.CANDIDATE,
        T.DOWN: B.LEFT,
        T.SETTLED: B.CANDIDATE,
        T.REMAINS: B.CANDIDATE,  # its time was up; what remains there is told
        T.READ: B.CANDIDATE,
        T.SILENT: B.CANDIDATE,
        T.OVER: B.CANDIDATE,
    },
}
"""By how far it has come, then what happens: every pair."""


@define
class _Exchange:
    back: Back
    began_s: float
    due_s: float | None = None
    tries: int = 0
    remains: int = 0
    owes: bool = False
    words: str = ""


@define
class Standings:
    """Of every exchange, as though none were in use: `Coordinator.standing` says which one is."""

    settings: FailoverSettings
    _route: Callable[[], Route]
    _all: dict[str, _Exchange] = field(init=False, factory=dict)

    def begin(self, stranded: frozenset[str], now_s: float) -> None:
        """After a start: who holds orders that may still fill has been left."""
        for name in self.settings.exchanges:
            left = name in stranded
            back = Back.LEFT if left else Back.CANDIDATE
            self._all[name] = _Exchange(back=back, began_s=now_s, due_s=now_s if left else None, owes=left)

    def back(self, exchange: str) -> Back:
        """How far an exchange has come back."""
        return self._of(exchange).back

    def since_s(self, exchange: str) -> float:
        """When it came that far."""
        return self._of(exchange).began_s

    def words(self, exchange: str) -> str:
        """What should be known of it; empty where nothing."""
        return self._of(exchange).words

    def why_not(self, exchange: str, now_s: float) -> str:
        """Why it is no candidate, in a sentence; empty where it is one."""
        one = self._of(exchange)
        match one.back:
            case Back.LEFT:
                return f"{exchange} was left, and is not well again."
            case Back.SETTLING:
                wait_s = max(0.0, one.began_s + self.settings.return_settle_s - now_s)
                return (
                    f"{exchange} came back {now_s - one.began_s:.3g} s ago, and what rests there from before is being "
                    f"settled; it is a candidate in {wait_s:.3g} s at the latest."
                )
            case Back.READING:
                return f"{exchange} came back, and its positions are being read."
            case Back.CANDIDATE:
                return ""

    def settling(self, exchange: str) -> bool:
        """Whether it was asked to settle since it came back."""
        return self._of(exchange).back is Back.SETTLING

    # ------------------------------------------------------------------------------------------------ events

    def left(self, exchange: str, now_s: float, *, well: bool) -> list[CoordinatorEffect]:
        """Trading was there until now, and something of it may still be there."""
        out = self._turn(exchange, Turn.LEFT, now_s)
        return out + (self._turn(exchange, Turn.WELL, now_s) if well else [])

    def well(self, exchange: str, now_s: float) -> list[CoordinatorEffect]:
        """The detector says that it is."""
        return self._turn(exchange, Turn.WELL, now_s)

    def down(self, exchange: str, now_s: float) -> list[CoordinatorEffect]:
        """The detector says that it is."""
        return self._turn(exchange, Turn.DOWN, now_s)

    def settled(self, reply: SettleReply, now_s: float) -> list[CoordinatorEffect]:
        """Its connector says what it took off, and what is left."""
        one = self._of(reply.exchange)
        one.remains = len([left for left in reply.left if not left.stays])
        evidence = {"taken_off": len(reply.cancelled), "left": one.remains}
        one.owes = bool(one.remains)
        return self._turn(reply.exchange, Turn.REMAINS if one.remains else Turn.SETTLED, now_s, evidence)

    def read(self, exchange: str, now_s: float, *, answered: bool) -> list[CoordinatorEffect]:
        """The synchronizer says what stands there, or that it could not be read."""
        return self._turn(exchange, Turn.READ if answered else self._unanswered(self._of(exchange), now_s), now_s)

    def taken(self, exchange: str, now_s: float) -> None:
        """Trading is there now."""
        one = self._of(exchange)
        one.back, one.began_s, one.due_s, one.words = TABLE[one.back][Turn.TAKEN], now_s, None, ""
        one.owes = False

    def tick(self, now_s: float) -> list[CoordinatorEffect]:
        """Who did not answer is asked again, until its time is up."""
        out: list[CoordinatorEffect] = []
        for name, one in self._all.items():
            if one.due_s is None or now_s < one.due_s or name == self._route().exchange:
                continue
            if one.back is Back.LEFT:
                out += self._ask(name, one, now_s)
                continue
            out += self._turn(name, self._unanswered(one, now_s), now_s)
        return out

    def next_s(self) -> float | None:
        """When somebody's time is up."""
        used = self._route().exchange
        due = [one.due_s for name, one in self._all.items() if name != used and one.due_s is not None]
        return min(due, default=None)

    # ------------------------------------------------------------------------------------------------ the table

    def _of(self, exchange: str) -> _Exchange:
        return self._all.setdefault(exchange, _Exchange(back=Back.CANDIDATE, began_s=0.0))

    def _unanswered(self, one: _Exchange, now_s: float) -> Turn:
        settled = one.back is Back.SETTLING
        over = now_s >= one.began_s + self.settings.return_settle_s if settled else one.tries >= READINGS
        return Turn.OVER if over else Turn.SILENT

    def _turn(
        self, exchange: str, turn: Turn, now_s: float, evidence: Mapping[str, object] | None = None
    ) -> list[CoordinatorEffect]:
        one = self._of(exchange)
        before, one.back = one.back, TABLE[one.back][turn]
        if one.back is not before:
            return self._entered(exchange, one, before, turn, now_s, evidence or {})
        if turn is Turn.REMAINS and before is Back.SETTLING:
            one.due_s = min(now_s + AGAIN_S, one.began_s + self.settings.return_settle_s)
        elif turn is Turn.SILENT and before in (Back.SETTLING, Back.READING):
            return self._ask(exchange, one, now_s)
        return []

    def _entered(
        self, exchange: str, one: _Exchange, before: Back, turn: Turn, now_s: float, evidence: Mapping[str, object]
    ) -> list[CoordinatorEffect]:
        route = self._route()
        one.due_s, one.tries = None, 0
        match one.back:
            case Back.LEFT:
                one.began_s, one.words = now_s, ""
                one.owes = one.owes or turn is Turn.LEFT
                one.due_s = now_s + LEFT_AGAIN_S if one.owes else None
            case Back.SETTLING:
                one.began_s, one.remains, one.words = now_s, 0, ""
            case Back.READING if turn is Turn.OVER:
                one.words = f"{one.remains or 'Some'} of our older orders on {exchange} may still fill there."
            case Back.CANDIDATE:
                one.began_s = now_s
                if turn is Turn.OVER:
                    one.words = f"{one.words} Positions on {exchange} could not be read since it came back.".strip()
            case _:
                pass
        detail: dict[str, object] = {
            "exchange": exchange,
            "standing": one.back.value,
            "was": before.value,
            "since": turn.value,
        }
        detail |= {**evidence, **({"words": one.words} if one.words else {})}
        out: list[CoordinatorEffect] = [Tell(line=Line(step="standing", epoch=route.epoch, detail=detail))]
        return out if one.back is Back.LEFT else out + self._ask(exchange, one, now_s)

    def _ask(self, exchange: str, one: _Exchange, now_s: float) -> list[CoordinatorEffect]:
        match one.back:
            case Back.LEFT:
                one.due_s = now_s + LEFT_AGAIN_S if one.owes else None
                if one.owes:
                    deadline_s = now_s + 0.8 * LEFT_AGAIN_S
                    return [AskSettle(exchange=exchange, epoch=self._route().epoch, deadline_s=deadline_s)]
                return []
            case Back.SETTLING:
                end_s = max(now_s, one.began_s + self.settings.return_settle_s)
                one.due_s = min(now_s + self.settings.settle_timeout_s, end_s)
                deadline_s = now_s + 0.8 * (one.due_s - now_s)
                return [AskSettle(exchange=exchange, epoch=self._route().epoch, deadline_s=deadline_s)]
            case Back.READING:
                one.tries += 1
                one.due_s = now_s + self.settings.preflight_timeout_s
                return [AskBook(exchange=exchange, deadline_s=one.due_s)]
            case _:
                return []
