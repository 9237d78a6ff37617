"""What is done at each step of a switch: one method for each answer of the table.

Each takes what was told and the time, changes the state, and returns effects. What they write is written before the
next step's question is asked, so that a coordinator that dies in between asks again: whoever is asked does the same
once (an order that was taken off is taken off, one that was placed is known).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, evolve, field

from app.domain.effects import Answer, Asker
from app.domain.failback import by_person
from app.domain.leaving import MOST_EVIDENCE, of_choice
from app.domain.saga_effects import (
    AskBook,
    AskCarry,
    AskMoves,
    AskPreflight,
    AskSettle,
    CommitRoute,
    CoordinatorEffect,
    Fence,
    SaveSwitch,
    Want,
)
from app.domain.saga_late import SagaLate, with_left
from app.domain.saga_table import Do, Happened, Refuse, Stale, Step, answer
from messages.base import Failed
from messages.carries import CarryReply
from messages.failover import (
    PreflightReply,
    Readiness,
    Route,
    SettleReply,
    Switch,
    SwitchReply,
    SwitchResult,
)
from messages.positions import BookReply, MovesReply, PositionPolicy

DEAD_S = 2.0
"""How long a switch waits for positions to move off an exchange that is down: closing them there takes its answer, so
what does not go at once is tried again later."""
CARRY_WAIT_S = 2.0
"""What the connector in use has to answer what it placed so far; it goes on, and is asked again."""


@define
class SagaSteps(SagaLate):
    """The machine's steps."""

    _carry_s: float = field(init=False, default=0.0)
    _moves_s: float | None = field(init=False, default=None)

    def happened(self, happened: Happened, now_s: float, told: Any = None) -> list[CoordinatorEffect]:
        """Does what the table says.

        Raises:
            IllegalStep: A bug of the router.
        """
        found = answer(self.step, happened)
        if isinstance(found, Stale):
            return []
        if isinstance(found, Refuse):
            return self._refuse(told, found.why)
        return _ACTIONS[found](self, told, now_s)

    def _refuse(self, want: Want, why: str) -> list[CoordinatorEffect]:
        if want.asker is None:
            return []
        words = f"Cannot fail over to {' or '.join(want.to)} now: {why} ({self.step.value}); try again."
        failed = Failed(correlation_id=want.correlation_id, code="failover_refused", words=words)
        return [Answer(asker=want.asker, message=failed)]

    # ------------------------------------------------------------------------------------------------ until the commit

    def _begin(self, want: Want, now_s: float) -> list[CoordinatorEffect]:
        self.step, self.words, self._due_s = Step.FENCE, "", None
        self._candidates = list(want.to)
        self.asker = None if want.asker is None else (want.asker, want.correlation_id)
        self.switch = Switch(
            from_exchange=self.route.exchange,
            to_exchange=want.to[0] if want.asked else None,
            reason=want.reason,
            at_s=now_s,
            epoch=self.route.epoch + 1,
            result=SwitchResult.RUNNING,
            duration_s=0.0,
            candidates_rejected=want.rejected,
            finished=False,
            asked=want.asked,
            correlation_id=want.correlation_id,
            evidence=want.evidence[:MOST_EVIDENCE],
        )
        told = {"from": self.route.exchange, "candidates": list(want.to), "rejected": [list(r) for r in want.rejected]}
        told |= {"evidence": list(self.switch.evidence)} if self.switch.evidence else {}
        return [*self._saved(self._line("begin", reason=want.reason, asked=want.asked, **told)), Fence()]

    def _cut_short(self, want: Want, now_s: float) -> list[CoordinatorEffect]:
        """Ends the telling of the one before: where trading goes now is more urgent."""
        assert self.switch is not None
        at, left = self.step, self.switch.from_exchange
        self.switch = evolve(self.switch, finished=True)
        self._remember(self.switch)
        out = self._saved(self._line("cut_short", at=at.value, by=want.reason))
        if at is Step.LEAVE and left is not None and self.is_back(left):
            out += self.standings.well(left, now_s)
        self.switch = None
        return out + self._begin(want, now_s)

    def _ask_first(self, route: Route, now_s: float) -> list[CoordinatorEffect]:
        self.route = route
        if self.switch is None:  # a new journal, or one whose exchange is no longer configured
            self.step = Step.COMMIT
            return [CommitRoute(epoch=route.epoch, exchange=self.settings.primary)]
        self.switch = evolve(self.switch, epoch=route.epoch)
        steps = (*self.switch.steps, (Step.FENCE.value, round(now_s - self.switch.at_s, 6)))
        self.switch = evolve(self.switch, steps=steps)  # its row is written by the fence's own transaction
        return [self.announced(), *self._saved(), *self._ask_all(now_s)]

    def _ask_all(self, now_s: float) -> list[CoordinatorEffect]:
        self._doubted, self._asked_anew, self._settled, self._chosen = [], False, False, ""
        if self.switch is not None and not by_person(self.switch):
            self._candidates = self.best_first(self._candidates, now_s)
        return self._ask_next(now_s)

    def _ask_next(self, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        self.step, self._due_s = Step.PREFLIGHT, None
        out: list[CoordinatorEffect] = []
        while self._candidates or (self._doubted and not self._asked_anew):
            if not self._candidates:  # nobody was ready when last asked: they are asked anew
                self._candidates, self._doubted, self._asked_anew = self._doubted, [], True
            candidate = self._candidates[0]
            if why := self._why_not(candidate, now_s):
                out += self._reject(why)
                continue
            known = None if by_person(self.switch) or self._asked_anew else self.fresh(candidate, now_s)
            if known is None:
                self._due_s = now_s + self.settings.preflight_timeout_s
                self.readied.asked(candidate, now_s)
                return [*out, AskPreflight(exchange=candidate, deadline_s=self._due_s, urgent=True)]
            if not known.problems:
                return out + self.happened(Happened.READY, now_s, known)
            self._doubted.append(self._candidates.pop(0))
        # Nobody can take over: give the epoch back to the exchange it was taken from.
        self.step = Step.COMMIT
        back = self.switch.from_exchange or self.settings.primary
        return [*out, CommitRoute(epoch=self.switch.epoch, exchange=back)]

    def _why_not(self, candidate: str, now_s: float) -> str:
        assert self.switch is not None
        if by_person(self.switch) or candidate not in self.health:  # whoever asked waited until it was back
            isolated = self.controls.why_isolated(candidate)
            return f"{candidate} is isolated: {isolated}" if isolated else self.gone(candidate)
        return self.why_no_candidate(candidate, now_s)

    def _reject(self, why: str) -> list[CoordinatorEffect]:
        return self._noted(self._candidates.pop(0), why)

    def _noted(self, candidate: str, why: str) -> list[CoordinatorEffect]:
        assert self.switch is not None
        rejected = (*self.switch.candidates_rejected, (candidate, why))
        self.switch = evolve(self.switch, candidates_rejected=rejected)
        return self._saved(self._line("rejected", exchange=candidate, why=why))

    def _next(self, told: PreflightReply | str | None, now_s: float) -> list[CoordinatorEffect]:
        why = f"{self._candidates[0]} did not answer the pre-flight in time."
        if isinstance(told, PreflightReply):
            why = " ".join(told.problems)
        elif isinstance(told, str):
            why = told
        return self._reject(why) + self._ask_next(now_s)

    def _choose(self, told: PreflightReply | Readiness, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        self._chosen = told.exchange
        out: list[CoordinatorEffect] = []
        doubted, self._doubted = self._doubted, []
        for name in doubted:
            out += self._noted(name, " ".join(self.readied.of(name).problems))
        out += self._yielded(told)
        age_s = max(0.0, now_s - told.at_s) if told.at_s else 0.0
        chosen = "chosen: " + of_choice(self.candidate(told.exchange, now_s), now_s)
        self.switch = evolve(self.switch, evidence=(*self.switch.evidence[: MOST_EVIDENCE - 1], chosen))
        found: dict[str, Any] = {"notes": list(told.notes), "why": chosen}
        found |= {"shortfalls": list(told.shortfalls)} if told.shortfalls else {}
        out += self._mark(Step.PREFLIGHT, now_s, exchange=told.exchange, age_s=round(age_s, 3), **found)
        old = self.switch.from_exchange
        if old is None or self.is_down(old):
            return out + self._commit(now_s)
        self.step, self._due_s = Step.SETTLE, now_s + self.settings.settle_timeout_s
        return [*out, self._ask_settle(old, now_s)]

    def puts_off(self, now_s: float) -> bool:
        """Whether another candidate, to which more might follow, is to be looked at before the one that is asked."""
        assert self.switch is not None
        if by_person(self.switch) or self._asked_anew:
            return False
        order = self.best_first(self._candidates, now_s)
        other, self._candidates = order[0] != self._candidates[0], order
        return other

    def _yielded(self, told: PreflightReply | Readiness) -> list[CoordinatorEffect]:
        """Says of those that come before it by their place why they were passed over: not all would have followed."""
        assert self.switch is not None
        if by_person(self.switch) or told.shortfalls or told.exchange not in self.settings.exchanges:
            return []
        before = self.settings.exchanges[: self.settings.exchanges.index(told.exchange)]
        out: list[CoordinatorEffect] = []
        for name in before:
            if name in self._candidates and (words := self.readied.of(name).shortfalls):
                self._candidates.remove(name)
                out += self._noted(name, " ".join(words))
        return out

    def _ask_settle(self, old: str, now_s: float) -> AskSettle:
        assert self.switch is not None
        # The connector answers at its deadline with what is true by then; the machine waits a little longer for that.
        deadline_s = now_s + 0.8 * self.settings.settle_timeout_s
        return AskSettle(exchange=old, epoch=self.switch.epoch, deadline_s=deadline_s)

    def _keep_settled(self, reply: SettleReply) -> None:
        assert self.switch is not None
        cancelled = tuple(dict.fromkeys(self.switch.orders_cancelled + reply.cancelled))
        self.switch = evolve(self.switch, orders_cancelled=cancelled, orders_left=reply.left)

    def _take(self, reply: SettleReply, now_s: float) -> list[CoordinatorEffect]:
        self._keep_settled(reply)
        self._settled = True
        marked = self._mark(Step.SETTLE, now_s, taken_off=len(reply.cancelled), left=len(reply.left))
        return marked + self._commit(now_s)

    def _pass_over(self, _told: object, now_s: float) -> list[CoordinatorEffect]:
        """It did not answer in time, or is down; it is asked once more after the commit."""
        return self._saved(self._line(Step.SETTLE.value, answered=False)) + self._commit(now_s)

    def _commit(self, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        if why := self._why_not(self._chosen, now_s):  # since its pre-flight
            return self._reject(why) + self._ask_next(now_s)
        self.step, self._due_s = Step.COMMIT, None
        return [CommitRoute(epoch=self.switch.epoch, exchange=self._chosen)]

    def _moved(self, route: Route, now_s: float) -> list[CoordinatorEffect]:
        self.route = route
        self.step, self._due_s = Step.IDLE, None
        assert route.exchange is not None
        self.standings.taken(route.exchange, now_s)
        self.readied.forget(route.exchange)
        self._carry_s = self._moves_s = now_s
        if self.switch is None:
            return [self.announced(), *self._consider(now_s)]
        old = self.switch.from_exchange
        moved = route.exchange != old
        self.switch = evolve(
            self.switch,
            to_exchange=route.exchange if moved else None,
            result=SwitchResult.COMPLETED if moved else SwitchResult.FAILED,
            duration_s=now_s - self.switch.at_s,
        )
        out: list[CoordinatorEffect] = [self.announced()]
        if not moved:
            rejected = [list(each) for each in self.switch.candidates_rejected]
            return [*out, *self._mark(Step.COMMIT, now_s, given_up=rejected), *self._answer(), *self._over(now_s)]
        out += self._mark(Step.COMMIT, now_s, exchange=route.exchange)
        out += self._answer()
        if old is None:
            return out + self._carry(None, now_s)
        if self._settled:
            left = any(not each.stays for each in self.switch.orders_left)
            return (
                out
                + (self.standings.left(old, now_s, well=self.is_back(old)) if left else [])
                + self._carry(None, now_s)
            )
        return out + self.standings.left(old, now_s, well=False) + self._leave(now_s)

    def _answer(self) -> list[CoordinatorEffect]:
        if self.asker is None or self.switch is None:
            return []
        (asker, correlation_id), self.asker = self.asker, None
        return [self._how_it_ended(self.switch, asker, correlation_id)]

    @staticmethod
    def _how_it_ended(switch: Switch, asker: Asker, correlation_id: str) -> Answer:
        if switch.result is SwitchResult.COMPLETED:
            return Answer(asker=asker, message=SwitchReply(correlation_id=correlation_id, switch=switch))
        why = " ".join(words for _, words in switch.candidates_rejected)
        words = f"Failover was given up and trading stays where it was: {why}"
        return Answer(asker=asker, message=Failed(correlation_id=correlation_id, code="failover_failed", words=words))

    # ------------------------------------------------------------------------------------------------ after the commit

    def _leave(self, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        old = self.switch.from_exchange
        assert old is not None
        self.step, self._due_s = Step.LEAVE, now_s + self.settings.settle_timeout_s
        return [self._ask_settle(old, now_s)]

    def _take_late(self, reply: SettleReply, now_s: float) -> list[CoordinatorEffect]:
        self._keep_settled(reply)
        marked = self._mark(Step.LEAVE, now_s, taken_off=len(reply.cancelled), left=len(reply.left))
        return marked + self._carry(None, now_s)

    def _carry(self, _told: object, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        old = self.switch.from_exchange
        out = self.standings.well(old, now_s) if old is not None and self.is_back(old) else []
        self.step, self._due_s = Step.CARRY, now_s + self.settings.carry_timeout_s
        return out + self._ask_carry(now_s)

    def _ask_carry(self, now_s: float) -> list[CoordinatorEffect]:
        if self.route.exchange is None:
            return []
        deadline_s = now_s + CARRY_WAIT_S
        self._carry_s = deadline_s  # if nobody answers
        return [AskCarry(exchange=self.route.exchange, epoch=self.route.epoch, deadline_s=deadline_s)]

    def _note_carried(self, reply: CarryReply, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        before, self.switch = self.switch, self._with_carried(self.switch, reply)
        return [] if self.switch is before else self._saved()

    def _positions(self, reply: CarryReply | None, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        out = [] if reply is None else self._note_carried(reply, now_s)
        carried, parked = len(self.switch.orders_carried), len(self.switch.orders_parked)
        out += self._mark(Step.CARRY, now_s, carried=carried, parked=parked, over=reply is not None)
        old = self.switch.from_exchange
        dead = old is not None and self.is_down(old)  # nothing can be closed there now: they move when it is back
        wait_s = min(DEAD_S, self.settings.moves_timeout_s) if dead else self.settings.moves_timeout_s
        self.step, self._due_s = Step.POSITIONS, now_s + wait_s
        if self.settings.positions is PositionPolicy.TRACK:
            return out + self._report(None, now_s)
        return out + self._ask_moves(now_s)

    def _ask_moves(self, now_s: float) -> list[CoordinatorEffect]:
        if self.settings.positions is PositionPolicy.TRACK or self.route.exchange is None:
            self._moves_s = None
            return []
        self._moves_s = deadline_s = now_s + self.settings.moves_timeout_s  # if nobody answers
        return [AskMoves(epoch=self.route.epoch, deadline_s=deadline_s)]

    def _note_moved(self, reply: MovesReply, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        self.switch, line = self._with_moved(self.switch, reply)
        return [] if line is None else self._saved(line)

    def _report(self, reply: MovesReply | None, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        out = [] if reply is None else self._note_moved(reply, now_s)
        policy = self.settings.positions.value
        out += self._mark(
            Step.POSITIONS, now_s, policy=policy, over=reply is not None, words=reply.words if reply else ""
        )
        old = self.switch.from_exchange
        if old is None:
            return out + self._over(now_s)
        self.step, self._due_s = Step.REPORT, now_s + self.settings.preflight_timeout_s
        return [*out, AskBook(exchange=old, deadline_s=self._due_s)]

    def _finish(self, reply: BookReply | None, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        if reply is None:
            return self._over(now_s)
        self.switch = with_left(self.switch, reply)
        left, read = len(self.switch.positions_left), self.switch.positions_read
        return self._mark(Step.REPORT, now_s, positions_left=left, read=read) + self._over(now_s)

    def _over(self, now_s: float) -> list[CoordinatorEffect]:
        assert self.switch is not None
        switch = evolve(self.switch, finished=True)
        line = self._line("over", result=switch.result.value, took_s=round(now_s - switch.at_s, 6))
        self.switch, self.step, self._due_s = None, Step.IDLE, None
        self._remember(switch)
        return [SaveSwitch(switch=switch, lines=(line,)), *self._consider_later(switch, now_s)]

    # ------------------------------------------------------------------------------------------------ given elsewhere

    def _consider(self, now_s: float) -> list[CoordinatorEffect]:
        raise NotImplementedError

    def _consider_later(self, switch: Switch, now_s: float) -> list[CoordinatorEffect]:
        raise NotImplementedError

    def _anew(self, told: tuple[Route, tuple[Switch, ...], frozenset[str]], now_s: float) -> list[CoordinatorEffect]:
        raise NotImplementedError


_ACTIONS: dict[Do, Callable[[SagaSteps, Any, float], list[CoordinatorEffect]]] = {
    Do.BEGIN: SagaSteps._begin,
    Do.CUT_SHORT: SagaSteps._cut_short,
    Do.ASK_FIRST: SagaSteps._ask_first,
    Do.CHOOSE: SagaSteps._choose,
    Do.NEXT: SagaSteps._next,
    Do.TAKE: SagaSteps._take,
    Do.PASS_OVER: SagaSteps._pass_over,
    Do.MOVED: SagaSteps._moved,
    Do.ANEW: lambda machine, told, now_s: machine._anew(told, now_s),
    Do.TAKE_LATE: SagaSteps._take_late,
    Do.CARRY: SagaSteps._carry,
    Do.NOTE_CARRIED: SagaSteps._note_carried,
    Do.POSITIONS: SagaSteps._positions,
    Do.NOTE_MOVED: SagaSteps._note_moved,
    Do.REPORT: SagaSteps._report,
    Do.FINISH: SagaSteps._finish,
    Do.APPEND: SagaSteps._append,
}
