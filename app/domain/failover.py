"""The failover coordinator's machine: everything it hears, and what begins a switch.

What a switch goes through is in `app.domain.saga_table`, what is done at each step in `saga_steps`, what an exchange
that comes back goes through in `standing`, when trading goes back by itself in `failback`. Here is what begins one:

- the exchange in use is down and our own network works, by proof (`network`); or it is isolated, closed, or unfit: why,
  where to and when is in `leaving`, and is looked at whenever anything is told;
- a person, or a program, asks (`saga_asked`);
- the primary has been well, fit, a candidate and ready for the hold-down, where `failback = "auto"` (`failback`).

One saga runs at a time. The storms, each with its outcome: a verb before the commit of another switch is refused, or
joins it where it asks for the same; after the commit it cuts the telling short, as does the death of the exchange that
trading has just moved to; a candidate that dies yields to the next, at whatever step before the commit; the exchange
that is left dies while it settles: it is not waited for; all candidates die: the epoch goes back to where it was taken
from, and what was taken off is placed there again.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve, field

from app.domain.controls import Controls
from app.domain.failback import by_person, hold_down_s
from app.domain.leaving import (
    TRADES_ON,
    Candidate,
    Leave,
    Stay,
    Why,
    best_first,
    calm_until_s,
    clock,
    may_not,
    no_proof,
    not_yet,
    why_leave,
    worth_asking,
)
from app.domain.network import OwnNetwork
from app.domain.saga_asked import PATIENCE_S, SagaAsked
from app.domain.saga_effects import (
    MANUAL,
    Announce,
    AskBook,
    AskCarry,
    AskMoves,
    AskPreflight,
    AskSettle,
    CommitRoute,
    CoordinatorEffect,
    FailoverSettings,
    Fence,
    Line,
    SaveSwitch,
    Tell,
    Want,
)
from app.domain.saga_state import SagaState
from app.domain.saga_table import MOVING, TELLING, Happened, Step
from app.domain.standing import Standing
from messages.carries import CarryReply
from messages.failover import PreflightReply, Route, SettleReply, Switch, SwitchResult
from messages.health import HealthView, NetworkState, Witness
from messages.positions import BookReply, MovesReply

__all__ = [
    "MANUAL",
    "Announce",
    "AskBook",
    "AskCarry",
    "AskMoves",
    "AskPreflight",
    "AskSettle",
    "CommitRoute",
    "Coordinator",
    "CoordinatorEffect",
    "FailoverSettings",
    "Fence",
    "OwnNetwork",
    "SagaState",
    "SaveSwitch",
    "Step",
    "Tell",
]

RETRY_FAILED_MAX_S = 300.0
"""The longest wait before an automatic switch is tried again for which nobody was ready."""
CARRY_AGAIN_S = 0.5
"""Between two looks at whether something that was taken off is to be placed, while something is under way."""
MOVES_AGAIN_S = 5.0
"""Between two times that positions are asked to be moved, as long as some are not where they should be."""
CARRY_IDLE_S = 2.0
"""Likewise otherwise: an order in doubt elsewhere may have been resolved, and taken off."""


@define
class Coordinator(SagaAsked):
    """The machine. Methods take an event and the time, and return effects to perform in order."""

    _hold_until_s: float = field(init=False, default=0.0)
    _failback_hold_s: float = field(init=False, default=0.0)
    _failed: int = field(init=False, default=0)
    _wake_s: float | None = field(init=False, default=None)
    _needed: dict[str, float] = field(init=False, factory=dict)
    _told: set[tuple[str, str, str]] = field(init=False, factory=set)

    # ------------------------------------------------------------------------------------------------ start

    def recover(
        self,
        route: Route,
        past: tuple[Switch, ...],
        now_s: float,
        *,
        stranded: frozenset[str] = frozenset(),
        carried: CarryReply | None = None,
    ) -> list[CoordinatorEffect]:
        """After a start, or when another one moved the route: takes the journal's word, and resumes its saga.

        Args:
            past: The newest switches, oldest first, with the one that is not finished.
            stranded: Exchanges on which orders of ours may still fill.
            carried: What was placed and parked since the route was committed: an earlier life may not have heard it.
        """
        self.route, self.step, self.switch, self._due_s, self._settled = route, Step.IDLE, None, None, False
        self._carry_s = self._moves_s = now_s
        self.past = [each for each in past if each.finished]
        self.standings.begin(stranded - {route.exchange}, now_s)
        unfinished = [each for each in past if not each.finished]
        out: list[CoordinatorEffect] = []
        for each in unfinished[: -1 if unfinished and unfinished[-1].epoch >= route.epoch else None]:
            out += self._overtaken(each)
        if len(out) < len(unfinished):
            switch = self.switch = self._as_carried(unfinished[-1], carried)
            self._candidates = [switch.to_exchange] if by_person(switch) and switch.to_exchange else []
            self._candidates = self._candidates or self.others(switch.from_exchange)
            return out + self._resumed(switch, now_s)
        if carried is not None:
            out += self._append(carried, now_s)
        self.asker = None  # whoever asked asks again; the answer to another switch is none of theirs
        if route.exchange in self.settings.exchanges:
            return [*out, self.announced()]
        # A new journal, or one whose exchange is no longer configured: begin with the primary.
        self.step = Step.FENCE
        return [*out, Fence()]

    def _as_carried(self, switch: Switch, carried: CarryReply | None) -> Switch:
        known = carried is not None and switch.epoch == self.route.epoch
        return self._with_carried(switch, carried) if carried is not None and known else switch

    def _overtaken(self, switch: Switch) -> list[CoordinatorEffect]:
        """The route is of a newer epoch: another coordinator moved it."""
        running = switch.result is SwitchResult.RUNNING
        over = evolve(switch, finished=True, result=SwitchResult.FAILED if running else switch.result)
        self._remember(over)
        line = Line(step="overtaken", epoch=switch.epoch, detail={"route": self.route.epoch})
        return [SaveSwitch(switch=over, lines=(line,))]

    def _resumed(self, switch: Switch, now_s: float) -> list[CoordinatorEffect]:
        done = {name for name, _ in switch.steps}
        last = switch.steps[-1][0] if switch.steps else "begin"
        out: list[CoordinatorEffect] = [Tell(line=self._line("resumed", after=last))]
        route = self.route
        if switch.epoch > route.epoch:
            self.step = Step.FENCE
            return [*out, Fence()]
        if route.exchange is None and Step.FENCE.value not in done:
            self.step = Step.FENCE  # it died between the fence and its entry in the history
            return out + self.happened(Happened.FENCED, now_s, route)
        if route.exchange is None:
            return [*out, self.announced(), *self._ask_all(now_s)]
        if switch.result is SwitchResult.RUNNING:
            # It died between the route's commit and its entry in the history: the route says how the switch ended.
            self.step, self._settled = Step.COMMIT, Step.SETTLE.value in done
            return out + self.happened(Happened.COMMITTED, now_s, route)
        out.append(self.announced())
        if switch.result is SwitchResult.FAILED or switch.from_exchange is None or Step.REPORT.value in done:
            return out + self._over(now_s)  # nothing was left, so nothing there is to be settled, or cancelled
        if Step.POSITIONS.value in done:
            self.step = Step.POSITIONS
            return out + self._report(None, now_s)
        if Step.CARRY.value in done:
            return out + self._positions(None, now_s)
        if Step.SETTLE.value in done or Step.LEAVE.value in done:
            return out + self._carry(None, now_s)
        return out + self._leave(now_s)

    # ------------------------------------------------------------------------------------------------ why

    def health_told(
        self, view: HealthView, now_s: float, witnesses: tuple[Witness, ...] | None = None
    ) -> list[CoordinatorEffect]:
        """The monitor says how an exchange is, and what it last heard of witnesses."""
        name = view.exchange
        self.health[name] = view
        self.witnesses = self.witnesses if witnesses is None else witnesses
        out: list[CoordinatorEffect] = []
        if gone := self.gone(name):
            self.readied.forget(name)
            if self._candidates and name == self._candidates[0] and self.step in (Step.PREFLIGHT, Step.SETTLE):
                out += self.happened(Happened.CANDIDATE_DOWN, now_s, gone)
            elif self.switch is not None and name == self.switch.from_exchange and self.is_down(name):
                out += self.happened(Happened.OLD_DOWN, now_s)
        out += self._stands(name, now_s)
        return out + self._consider(now_s) + self._asked_now(now_s)

    def _stands(self, name: str, now_s: float) -> list[CoordinatorEffect]:
        leaving = self.switch.from_exchange if self.switch is not None and self.step in MOVING else None
        if name in (self.route.exchange, leaving) or name not in self.settings.exchanges:
            return []
        if self.gone(name):
            return self.standings.down(name, now_s)
        return self.standings.well(name, now_s) if self.is_back(name) else []

    def controlled(self, controls: Controls, now_s: float) -> list[CoordinatorEffect]:
        """A person holds the router to something else from now on: whoever is isolated is no candidate."""
        changed, self.controls = controls != self.controls, controls
        return self._consider(now_s) if changed else []

    def traded(self, symbols: Iterable[str], now_s: float) -> list[CoordinatorEffect]:
        """What is traded by now: a backup that passed before a symbol was is asked about that, too."""
        self.readied.needs(symbols, now_s)
        return self._asked_now(now_s)

    def _consider(self, now_s: float) -> list[CoordinatorEffect]:
        active = self.route.exchange
        before = self.state
        self._wake_s, self._needed = None, {}
        if self.step in MOVING or active is None:
            return []
        if (begun := self._waited(now_s)) is not None:
            return begun
        leave = self._leave_of(active)
        self.words = self.advice = ""
        if leave is None:
            if (back := self._failback(now_s)) is not None:
                return self.happened(Happened.WANTED, now_s, back)
            stay = self._stay(active)
        else:
            found = self._where_to(leave, active, now_s)
            if isinstance(found, Want):
                return self.happened(Happened.WANTED, now_s, found)
            stay = found
            self.words, self.advice = ("", stay.words) if leave.why in TRADES_ON else (stay.words, "")
        out = self._said(active, leave, stay)
        return out if self.state is before and self.down is self._told_down else [*out, self.announced()]

    def _leave_of(self, active: str) -> Leave | None:
        return why_leave(self.health.get(active), self.controls.why_isolated(active))

    def _where_to(self, leave: Leave, active: str, now_s: float) -> Want | Stay:
        evidence = leave.evidence
        if leave.why is Why.DOWN:
            network = self.network(active, now_s)
            ours, proven = network.state is NetworkState.OURS, network.state is NetworkState.THEIRS
            if ours or (not proven and self.settings.auto_failover):
                self._wake_s = network.again_s
                return no_proof(active, network)
            evidence = (*evidence, f"our own network works: {network.words}")
        if leave.why is not Why.ISOLATED and not self.settings.auto_failover:
            how = leave.why.value if leave.why is Why.DOWN else leave.words.rstrip(".")
            return Stay("off", f"{active} is {how} and auto_failover is off: move trading with a manual failover.")
        others = [self.candidate(name, now_s) for name in self.others(active)]
        takers = [each for each in others if not may_not(leave.why, each)]
        asked = {each.exchange: each.since_s for each in others if worth_asking(leave.why, each)}
        if not any(each.answered for each in takers):
            self._needed = asked
            return self._nobody(leave, active, others, now_s)
        calm_s = calm_until_s(self.past, self.settings.dwell_s, now_s, forced=leave.why is Why.DOWN)
        calm_s = max(self._hold_until_s, calm_s if leave.why is not Why.ISOLATED else self._hold_until_s)
        if now_s < calm_s:
            self._wake_s = calm_s
            return not_yet(leave, active, calm_s - now_s)
        rejected = tuple((each.exchange, why) for each in others if (why := may_not(leave.why, each)))
        return Want(to=best_first(takers), reason=f"{active} is {leave.words}", rejected=rejected, evidence=evidence)

    def _nobody(self, leave: Leave, active: str, others: list[Candidate], now_s: float) -> Stay:
        begins = f"{active} is {leave.words if leave.why in TRADES_ON else leave.why.value}".rstrip(".")
        returning = [each.exchange for each in others if self.standing(each.exchange) is Standing.RETURNING]
        if returning:
            why = self.standings.why_not(returning[0], now_s)
            return Stay("returning", f"{begins}. {why} Trading waits for it.")
        if self._needed:
            names = " and ".join(self._needed)
            return Stay("asked", f"{begins}, and {names} did not answer yet: trading moves as soon as one does.")
        if leave.why is Why.DOWN or not others:
            return Stay("nobody", f"{begins} and no other exchange is ready: trading waits for one.")
        why = " ".join(may_not(leave.why, each) for each in others)
        return Stay("nobody", f"{begins}. Nobody can take over, so trading stays: {why}")

    def _stay(self, active: str) -> Stay:
        view = self.health.get(active)
        if view is None or not view.credentials:
            return Stay("", "")
        self.advice = (
            f"{active} does not take our credentials: {view.credentials.rstrip('.')}. Put them right: trading is not"
            " moved for that."
        )
        return Stay("credentials", self.advice)

    def _said(self, active: str, leave: Leave | None, stay: Stay) -> list[CoordinatorEffect]:
        """A row of the history, once, for each reason to stay where something speaks for leaving."""
        if leave is None and not stay.kind:
            self._told.clear()
        told = active, "" if leave is None else leave.why.value, stay.kind
        if not stay.kind or told in self._told:
            return []
        self._told.add(told)
        detail = {"exchange": active, "words": stay.words, "evidence": [] if leave is None else [*leave.evidence]}
        return [Tell(line=Line(step="stays", epoch=self.route.epoch, detail=detail))]

    def _failback(self, now_s: float) -> Want | None:
        due_s = self._failback_due_s(now_s)
        primary = self.settings.primary
        if due_s is None or now_s < due_s:
            return None
        ready = self.fresh(primary, now_s)
        if ready is None or ready.problems:  # never fence for a failback that would be given up
            return None
        well_s = now_s - self.health[primary].since_s
        evidence = (
            f"{primary} is well since {clock(self.health[primary].since_s)}",
            f"it was to be well until {clock(due_s)}, and is fit",
        )
        reason = f"{primary} has been well for {well_s:.0f} s: trading goes back"
        return Want(to=(primary,), reason=reason, evidence=evidence)

    def _failback_due_s(self, now_s: float) -> float | None:
        primary = self.settings.primary
        if self.step is not Step.IDLE or self.route.exchange in (None, primary) or self.controls.frozen:
            return None
        hold_s = hold_down_s(self.past, self.settings)
        if hold_s is None or not self.usable(primary) or self.health[primary].keeps_away:
            return None
        view = self.health[primary]
        calm_s = calm_until_s(self.past, self.settings.dwell_s, now_s, forced=False)
        return max(view.since_s + hold_s, view.hold_until_s or 0.0, self._failback_hold_s, calm_s)

    def _consider_later(self, switch: Switch, now_s: float) -> list[CoordinatorEffect]:
        if switch.result is SwitchResult.FAILED and not by_person(switch):
            # Else a saga would chase its own tail, and fill the history with it.
            wait_s = self.settings.retry_failed_s * 2.0 ** min(self._failed, 10)
            if self.route.exchange is not None and self._leave_of(self.route.exchange) is None:
                self._failback_hold_s = now_s + self.settings.hold_down_s  # it must not hold up leaving a dead one
            else:
                self._hold_until_s = now_s + min(wait_s, RETRY_FAILED_MAX_S)
                self._failed += 1
        else:
            self._failed = 0
        return self._consider(now_s)

    # ------------------------------------------------------------------------------------------------ what is told

    def fenced(self, route: Route, now_s: float) -> list[CoordinatorEffect]:
        """The new epoch has begun."""
        return self.happened(Happened.FENCED, now_s, route)

    def committed(self, route: Route, now_s: float) -> list[CoordinatorEffect]:
        """The new route stands."""
        return self.happened(Happened.COMMITTED, now_s, route)

    def route_moved(
        self, route: Route, past: tuple[Switch, ...], now_s: float, *, stranded: frozenset[str] = frozenset()
    ) -> list[CoordinatorEffect]:
        """Somebody else moved the route: what the journal says is true, whatever this saga wanted."""
        return self.happened(Happened.ROUTE_MOVED, now_s, (route, past, stranded))

    def _anew(self, told: tuple[Route, tuple[Switch, ...], frozenset[str]], now_s: float) -> list[CoordinatorEffect]:
        route, past, stranded = told
        return self.recover(route, past, now_s, stranded=stranded)

    def settled(self, reply: SettleReply, now_s: float) -> list[CoordinatorEffect]:
        """A connector says what it took off, and what is left."""
        out: list[CoordinatorEffect] = []
        if self.switch is not None and reply.exchange == self.switch.from_exchange:
            out += self.happened(Happened.SETTLED, now_s, reply)
        else:
            out += self._left_since(reply)
        if reply.exchange != self.route.exchange:
            out += self.standings.settled(reply, now_s)
        return out + self._consider(now_s)

    def preflight_done(self, reply: PreflightReply, now_s: float) -> list[CoordinatorEffect]:
        """A connector says whether its exchange is ready: a candidate's, or to keep its readiness fresh."""
        if reply.exchange != self.route.exchange:
            self.readied.told(reply, now_s)
        if self.step is Step.PREFLIGHT and self._candidates and reply.exchange == self._candidates[0]:
            if not reply.problems and reply.shortfalls and self.puts_off(now_s):
                return self._ask_next(now_s)
            return self.happened(Happened.UNREADY if reply.problems else Happened.READY, now_s, reply)
        return self._consider(now_s)

    def carried(self, reply: CarryReply, now_s: float) -> list[CoordinatorEffect]:
        """The connector in use says what was placed, parked, and waits."""
        soon = reply.waiting or self.step in TELLING or any(map(self.standings.settling, self.settings.exchanges))
        self._carry_s = now_s + (CARRY_AGAIN_S if soon else CARRY_IDLE_S)
        return self.happened(Happened.CARRIED_SOME if reply.waiting else Happened.CARRIED_ALL, now_s, reply)

    def moved(self, reply: MovesReply, now_s: float) -> list[CoordinatorEffect]:
        """The synchronizer says what was moved of positions, and what is still to be."""
        over = reply.done or not reply.plan.slices
        self._moves_s = None if reply.done else now_s + MOVES_AGAIN_S
        return self.happened(Happened.MOVED_ALL if over else Happened.MOVED_SOME, now_s, reply)

    def book_told(self, reply: BookReply, exchange: str, now_s: float) -> list[CoordinatorEffect]:
        """The synchronizer says what stands on an exchange that it was asked about."""
        out: list[CoordinatorEffect] = []
        if self.switch is not None and exchange == self.switch.from_exchange:
            out += self.happened(Happened.BOOK, now_s, reply)
        else:
            out += self._stands_since(reply, exchange)
        if exchange != self.route.exchange:
            out += self.standings.read(exchange, now_s, answered=exchange not in reply.unread)
            self._moves_s = now_s  # what stands there may be closed by now
        return out + self._consider(now_s)

    # ------------------------------------------------------------------------------------------------ time

    def tick(self, now_s: float) -> list[CoordinatorEffect]:
        """What was not answered in time goes on without; what is looked at again and again is looked at."""
        out: list[CoordinatorEffect] = []
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s = None
            out += self.happened(Happened.DUE, now_s)
        out += self.standings.tick(now_s)
        if self.step not in MOVING and now_s >= self._carry_s:
            out += self._ask_carry(now_s)
        if self.step not in MOVING and self._moves_s is not None and now_s >= self._moves_s:
            out += self._ask_moves(now_s)
        return out + self._consider(now_s) + self._asked_now(now_s)

    def _asked_now(self, now_s: float) -> list[CoordinatorEffect]:
        """Pre-flights that keep readiness fresh; none during a switch, which asks by itself."""
        if self.step in MOVING or self.route.exchange is None:
            return []
        wanted = () if self._waits is None else self._waits.want.to
        self.readied.hurried({**dict.fromkeys(wanted, float("-inf")), **self._needed})
        return [*self.readied.due(self.waiting(), now_s)]

    def next_s(self) -> float | None:
        """When `tick` has something to do next; None when nothing is awaited.

        A failback need not be on time: it is looked at whenever orders are.
        """
        due = [self._due_s, self.standings.next_s(), self._wake_s]
        if self.step not in MOVING and self.route.exchange is not None:
            due += [self._carry_s, self._moves_s, self.readied.next_s(self.waiting())]
            if self._waits is not None:
                due.append(self._waits.deadline_s - PATIENCE_S)
        return min((at_s for at_s in due if at_s is not None), default=None)
