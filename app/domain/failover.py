"""The failover coordinator's machine: why trading moves, and everything it hears and is asked.

What a switch goes through is in `app.domain.saga_table`, what is done at each step in `saga_steps`, what an exchange
that comes back goes through in `standing`, when trading goes back by itself in `failback`. Here is what begins one:

- the exchange in use is down, and another one is well, a candidate, and passes its pre-flight. If every exchange fails
  at once it is our own network: nothing is switched (Envoy's panic rule), and when it is back, the exchange in use has
  its time to answer too before another one that answered first takes its place;
- it is isolated by a person: looked at again and again, as long as that holds;
- a person, or a program, asks. An exchange that has just come back is waited for until the asker's deadline, while what
  it did meanwhile is found out;
- the primary has been well, a candidate and ready for the hold-down, where `failback = "auto"`.

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
from app.domain.saga_state import OwnNetwork, SagaState
from app.domain.saga_table import MOVING, TELLING, Happened, Step
from app.domain.standing import Standing
from messages.carries import CarryReply
from messages.failover import PreflightReply, Route, SettleReply, Switch, SwitchResult
from messages.health import HealthState, HealthView
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
    _held: bool = field(init=False, default=False)
    _unanswered: list[str] = field(init=False, factory=list)

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

    def health_told(self, view: HealthView, now_s: float) -> list[CoordinatorEffect]:
        """The monitor says how an exchange is."""
        name = view.exchange
        self.health[name] = view
        out: list[CoordinatorEffect] = []
        if view.state is HealthState.DOWN:
            self.readied.forget(name)
            if self._candidates and name == self._candidates[0] and self.step in (Step.PREFLIGHT, Step.SETTLE):
                out += self.happened(Happened.CANDIDATE_DOWN, now_s, f"{name} is down: {view.reason}")
            elif self.switch is not None and name == self.switch.from_exchange:
                out += self.happened(Happened.OLD_DOWN, now_s)
        out += self._stands(view, now_s)
        return out + self._consider(now_s) + self._asked_now(now_s)

    def _stands(self, view: HealthView, now_s: float) -> list[CoordinatorEffect]:
        name = view.exchange
        leaving = self.switch.from_exchange if self.switch is not None and self.step in MOVING else None
        if name in (self.route.exchange, leaving) or name not in self.settings.exchanges:
            return []
        if view.state is HealthState.DOWN:
            return self.standings.down(name, now_s)
        return self.standings.well(name, now_s) if view.state is HealthState.WELL else []

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
        self._held, self._unanswered = False, []
        if self.step in MOVING or active is None:
            return []
        if (begun := self._waited(now_s)) is not None:
            return begun
        view = self.health.get(active)
        down = view is not None and view.state is HealthState.DOWN
        isolated = self.controls.why_isolated(active)
        if not down and not isolated:
            self.words = ""
            if (back := self._failback(now_s)) is not None:
                return self.happened(Happened.WANTED, now_s, back)
        elif down and self.own_network(tuple(self.health.values()), now_s):
            self.words = "Every exchange is unreachable: this looks like our own network, so trading is not moved."
            self._hold_until_s = max(self._hold_until_s, now_s + self.settings.own_network_hold_s)
        elif not isolated and not self.settings.auto_failover:
            self.words = f"{active} is down and auto_failover is off: move trading with a manual failover."
        else:
            why = f"down: {view.reason}" if view is not None and down else f"isolated: {isolated}"
            candidates = [name for name in self.others(active) if self.usable(name)]
            answered = any(self.readied.answered(name) for name in candidates)
            self._unanswered = [] if answered else candidates
            if answered and now_s >= self._hold_until_s:
                reasons = ((name, self.why_no_candidate(name, now_s)) for name in self.others(active))
                rejected = tuple((name, words) for name, words in reasons if name not in candidates and words)
                want = Want(to=tuple(candidates), reason=f"{active} is {why}", rejected=rejected)
                return self.happened(Happened.WANTED, now_s, want)
            self._held = answered
            self.words = self._nobody(active, why.partition(":")[0], now_s)
            if answered:
                wait_s = self._hold_until_s - now_s
                self.words = f"{active} is down; if it does not come back within {wait_s:.3g} s, trading moves on."
        return [] if self.state is before and self.down is self._told_down else [self.announced()]

    def _nobody(self, active: str, why: str, now_s: float) -> str:
        returning = [name for name in self.others(active) if self.standing(name) is Standing.RETURNING]
        if returning:
            return f"{active} is {why}. {self.standings.why_not(returning[0], now_s)} Trading waits for it."
        if asked := [name for name in self.others(active) if self.usable(name)]:
            names = " and ".join(asked)
            return f"{active} is {why}, and {names} did not answer yet: trading moves as soon as one does."
        return f"{active} is {why} and no other exchange is ready: trading waits for one."

    def _failback(self, now_s: float) -> Want | None:
        due_s = self._failback_due_s()
        primary = self.settings.primary
        if due_s is None or now_s < due_s:
            return None
        ready = self.readied.fresh(primary, now_s)
        if ready is None or ready.problems:  # never fence for a failback that would be given up
            return None
        well_s = now_s - self.health[primary].since_s
        return Want(to=(primary,), reason=f"{primary} has been well for {well_s:.0f} s: trading goes back")

    def _failback_due_s(self) -> float | None:
        primary = self.settings.primary
        if self.step is not Step.IDLE or self.route.exchange in (None, primary) or self.controls.frozen:
            return None
        hold_s = hold_down_s(self.past, self.settings)
        if hold_s is None or not self.usable(primary):
            return None
        return max(self.health[primary].since_s + hold_s, self._failback_hold_s)

    def _consider_later(self, switch: Switch, now_s: float) -> list[CoordinatorEffect]:
        if switch.result is SwitchResult.FAILED and not by_person(switch):
            # Else a saga would chase its own tail, and fill the history with it.
            wait_s = self.settings.retry_failed_s * 2.0 ** min(self._failed, 10)
            if (
                self.route.exchange is not None
                and not self.down
                and not self.controls.why_isolated(self.route.exchange)
            ):
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

    def awaited(self) -> list[str]:
        """Whose first answer somebody waits for: an asker, or trading that has to move."""
        wanted = [] if self._waits is None else [*self._waits.want.to]
        return [*wanted, *self._unanswered]

    def _asked_now(self, now_s: float) -> list[CoordinatorEffect]:
        """Pre-flights that keep readiness fresh; none during a switch, which asks by itself."""
        if self.step in MOVING or self.route.exchange is None:
            return []
        self.readied.hurried(self.awaited())
        return [*self.readied.due(self.waiting(), now_s)]

    def next_s(self) -> float | None:
        """When `tick` has something to do next; None when nothing is awaited.

        A failback need not be on time: it is looked at whenever orders are.
        """
        due = [self._due_s, self.standings.next_s()]
        if self._held:
            due.append(self._hold_until_s)
        if self.step not in MOVING and self.route.exchange is not None:
            due += [self._carry_s, self._moves_s, self.readied.next_s(self.waiting())]
            if self._waits is not None:
                due.append(self._waits.deadline_s - PATIENCE_S)
        return min((at_s for at_s in due if at_s is not None), default=None)
