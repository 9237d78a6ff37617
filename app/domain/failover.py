"""The failover saga: how trading moves from one exchange to the next.

Theory. A saga is a sequence of steps, each idempotent and each journalled before the next begins, so that a coordinator
that died anywhere resumes where it was (`recover`). The order is what keeps invariants I1 and I3:

    begin      the switch is written into the history as running
    fence      a new epoch without an exchange: nothing older is committed from here on
    preflight  the candidates in order: is it well, can it trade our symbols; who fails yields to the next, and why
    settle     the old connector resolves what is in doubt and cancels what rests; bounded; skipped when it is down
    commit     the new epoch gets its exchange; sessions are told
    leave      what the old exchange still holds is asked once more, and told in the history: orders, then positions

Only fence and commit decide anything, and both are single transactions of the journal. When no candidate passes, the
new epoch is given back to the exchange it was taken from: the fence has done no harm, and orders flow again if it
recovers. Settling comes after the pre-flight, since it cancels: orders must not be lost for a switch that is given up.

If every exchange fails at once it is our own network: nothing is switched (Envoy's panic rule). When it is back, the
exchange in use has its time to answer too before another one that answered first takes its place.
One saga runs at a time, and a verb that arrives before its commit is refused. After it trading has moved, and what is
left to do is to ask and to tell: should the new exchange die meanwhile, or a person want another, that is cut short,
and what the old exchange says later still enters the history.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from attrs import define, evolve, field, frozen

from app.domain.effects import Answer, Asker
from messages.base import Failed
from messages.failover import (
    ManualFailover,
    PositionLeft,
    PreflightReply,
    Route,
    RouterState,
    SettleReply,
    Switch,
    SwitchReply,
    SwitchResult,
)
from messages.health import HealthState, HealthView
from messages.positions import BookReply

MANUAL = "Manual failover"
"""The reason in the history of a switch that was asked for; the words are the seed's."""


RETRY_FAILED_MAX_S = 300.0
"""The longest wait before an automatic switch is tried again for which nobody was ready."""


class Step(StrEnum):
    """Where a saga is."""

    IDLE = "idle"
    FENCE = "fence"
    SETTLE = "settle"
    PREFLIGHT = "preflight"
    COMMIT = "commit"
    LEAVE = "leave"
    POSITIONS = "positions"


@frozen(kw_only=True)
class SaveSwitch:
    """Write the switch into the history."""

    switch: Switch


@frozen(kw_only=True)
class Fence:
    """Begin a new epoch; answer with `Coordinator.fenced`."""


@frozen(kw_only=True)
class CommitRoute:
    """Give the epoch its exchange; answer with `Coordinator.committed`."""

    epoch: int
    exchange: str


@frozen(kw_only=True)
class AskSettle:
    """Ask the connector of an exchange to settle; answer with `Coordinator.settled`, or not at all."""

    exchange: str
    deadline_s: float


@frozen(kw_only=True)
class AskPreflight:
    """Ask the connector of a candidate whether it is ready; answer with `Coordinator.preflight_done`, or not at all."""

    exchange: str
    deadline_s: float


@frozen(kw_only=True)
class AskBook:
    """Ask the position synchronizer what stands on an exchange; answer with `Coordinator.book_told`, or not at all."""

    exchange: str
    deadline_s: float


@frozen(kw_only=True)
class Announce:
    """Tell every session the route, the state, and whether the exchange in use is down."""

    route: Route
    state: RouterState
    down: bool = False


CoordinatorEffect = SaveSwitch | Fence | CommitRoute | AskSettle | AskPreflight | AskBook | Announce | Answer


@frozen(kw_only=True)
class FailoverSettings:
    """What the coordinator is to keep to.

    Attributes:
        exchanges: The primary first, then the failover exchanges in their order.
        retry_failed_s: After a switch for which no candidate passed, before the next is begun by itself;
            twice as long after each further one, up to `RETRY_FAILED_MAX_S`.
        own_network_hold_s: After our own network was down, before a switch is begun by itself.
    """

    exchanges: tuple[str, ...]
    auto_failover: bool = True
    settle_timeout_s: float = 5.0
    preflight_timeout_s: float = 5.0
    retry_failed_s: float = 10.0
    own_network_hold_s: float = 15.0


_TELLING = frozenset({Step.LEAVE, Step.POSITIONS})
"""Steps after the commit: trading has moved."""

OwnNetwork = Callable[[tuple[HealthView, ...], float], bool]
"""Whether what the views say, at a time, looks like our own network being down."""


@define
class Coordinator:
    """The machine. Methods take an event and the time, and return effects to perform in order."""

    settings: FailoverSettings
    own_network: OwnNetwork
    route: Route = field(init=False, factory=lambda: Route(epoch=0, exchange=None, since_s=0.0))
    step: Step = field(init=False, default=Step.IDLE)
    health: dict[str, HealthView] = field(init=False, factory=dict)
    words: str = field(init=False, default="")
    _switch: Switch | None = field(init=False, default=None)
    _started_s: float = field(init=False, default=0.0)
    _candidates: list[str] = field(init=False, factory=list)
    _chosen: str = field(init=False, default="")
    asker: tuple[Asker, str] | None = field(init=False, default=None)
    _due_s: float | None = field(init=False, default=None)
    _hold_until_s: float = field(init=False, default=0.0)
    _failed: int = field(init=False, default=0)
    _held: bool = field(init=False, default=False)
    _settled_before: bool = field(init=False, default=False)
    _cut_short: dict[str, Switch] = field(init=False, factory=dict)
    _told_down: bool = field(init=False, default=False)

    @property
    def state(self) -> RouterState:
        """Of the whole router."""
        if self.route.epoch == 0:
            return RouterState.INITIALIZING
        if self.step not in (Step.IDLE, Step.LEAVE, Step.POSITIONS) or self.route.exchange is None:
            return RouterState.SWITCHING
        return RouterState.ERROR if self.words else RouterState.READY

    @property
    def down(self) -> bool:
        """The detector has called the exchange in use down."""
        view = self.health.get(self.route.exchange) if self.route.exchange is not None else None
        return view is not None and view.state is HealthState.DOWN

    def _announced(self) -> Announce:
        self._told_down = self.down
        return Announce(route=self.route, state=self.state, down=self.down)

    # ------------------------------------------------------------------------------------------------ start

    def recover(self, route: Route, unfinished: tuple[Switch, ...], now_s: float) -> list[CoordinatorEffect]:
        """After a start, or when another one moved the route: takes the journal's word, and resumes its saga."""
        self.route = route
        self._switch, self.step, self._due_s, self._settled_before = None, Step.IDLE, None, False
        if unfinished:
            switch = self._switch = unfinished[-1]
            self._started_s = switch.at_s
            self._candidates = self._order_of_candidates(switch.from_exchange, switch.to_exchange)
            if switch.epoch > route.epoch:
                self.step = Step.FENCE
                return [Fence()]
            if route.exchange is None:
                return self._preflight(now_s)
            if switch.result is SwitchResult.RUNNING:
                # It died between the route's commit and its entry in the history: the route says how the switch ended.
                return self.committed(route, now_s)
            if switch.result is SwitchResult.FAILED:
                return self._finish(now_s)  # nothing was left, so nothing there is to be settled, or cancelled
            return self._leave(now_s)
        self.asker = None  # whoever asked asks again; the answer to another switch is none of theirs
        if route.exchange in self.settings.exchanges:
            return [self._announced()]
        # A new journal, or one whose exchange is no longer configured: begin with the primary.
        self.step = Step.FENCE
        return [Fence()]

    # ------------------------------------------------------------------------------------------------ why

    def health_told(self, view: HealthView, now_s: float) -> list[CoordinatorEffect]:
        """The monitor says how an exchange is."""
        self.health[view.exchange] = view
        return self._consider(now_s)

    def _consider(self, now_s: float) -> list[CoordinatorEffect]:
        active = self.route.exchange
        before = self.state
        self._held = False
        if (self.step is not Step.IDLE and self.step not in _TELLING) or active is None:
            return []
        view = self.health.get(active)
        if view is None or view.state is not HealthState.DOWN:
            self.words = ""
        elif self.own_network(tuple(self.health.values()), now_s):
            self.words = "Every exchange is unreachable: this looks like our own network, so trading is not moved."
            self._hold_until_s = max(self._hold_until_s, now_s + self.settings.own_network_hold_s)
        elif not self.settings.auto_failover:
            self.words = f"{active} is down and auto_failover is off: move trading with a manual failover."
        else:
            candidates = [name for name in self._order_of_candidates(active, None) if self._usable(name)]
            if candidates and now_s >= self._hold_until_s:
                return self._begin(candidates, f"{active} is down: {view.reason}", now_s)
            self._held = bool(candidates)
            self.words = f"{active} is down and no other exchange is ready: trading waits for one."
            if candidates:
                wait_s = self._hold_until_s - now_s
                self.words = f"{active} is down; if it does not come back within {wait_s:.3g} s, trading moves on."
        return [] if self.state is before and self.down is self._told_down else [self._announced()]

    def _usable(self, exchange: str) -> bool:
        view = self.health.get(exchange)
        return view is not None and view.state is HealthState.WELL

    def _order_of_candidates(self, leaving: str | None, asked: str | None) -> list[str]:
        if asked is not None:
            return [asked]
        return [name for name in self.settings.exchanges if name != leaving]

    def manual(self, asker: Asker, request: ManualFailover, now_s: float) -> list[CoordinatorEffect]:
        """A person, or a program, wants trading moved to an exchange."""
        if self._runs_as_asked(request.exchange):
            # Sent again, since the answer takes a while or a coordinator died: it is the switch that is running.
            self.asker = (asker, request.correlation_id)
            committed = self._switch is not None and self._switch.result is SwitchResult.COMPLETED
            return self._answer() if committed else []
        refusal = ""
        known = ", ".join(self.settings.exchanges)
        if request.exchange not in self.settings.exchanges:
            refusal = f"Cannot fail over to {request.exchange!r}: the configured exchanges are {known}."
        elif (self.step is not Step.IDLE and self.step not in _TELLING) or self.route.exchange is None:
            refusal = f"Cannot fail over to {request.exchange} now: a switch is running ({self.step.value}); try again."
        elif request.exchange == self.route.exchange:
            refusal = f"Cannot fail over to {request.exchange}: trading is there already."
        if refusal:
            failed = Failed(correlation_id=request.correlation_id, code="failover_refused", words=refusal)
            return [Answer(asker=asker, message=failed)]
        self.asker = (asker, request.correlation_id)
        return self._begin([request.exchange], MANUAL, now_s)

    def _runs_as_asked(self, exchange: str) -> bool:
        switch = self._switch
        if switch is None or switch.result is SwitchResult.FAILED:
            return False
        return switch.reason == MANUAL and switch.to_exchange == exchange

    # ------------------------------------------------------------------------------------------------ the steps

    def _begin(self, candidates: list[str], reason: str, now_s: float) -> list[CoordinatorEffect]:
        out = self._cut()
        self.step, self._started_s, self._candidates = Step.FENCE, now_s, candidates
        self.words = ""
        self._switch = Switch(
            from_exchange=self.route.exchange,
            to_exchange=candidates[0] if reason == MANUAL else None,
            reason=reason,
            at_s=now_s,
            epoch=self.route.epoch + 1,
            result=SwitchResult.RUNNING,
            duration_s=0.0,
            finished=False,
        )
        return [*out, SaveSwitch(switch=self._switch), Fence()]

    def _cut(self) -> list[CoordinatorEffect]:
        """Ends the telling of the switch before: where trading goes now is more urgent."""
        if self._switch is None or self.step not in _TELLING:
            return []
        switch, self._switch, self._due_s = evolve(self._switch, finished=True), None, None
        if self.step is Step.LEAVE and switch.from_exchange is not None:
            self._cut_short[switch.from_exchange] = switch
        return [SaveSwitch(switch=switch)]

    def fenced(self, route: Route, now_s: float) -> list[CoordinatorEffect]:
        """The new epoch has begun."""
        self.route = route
        if self._switch is None:
            self.step = Step.COMMIT
            return [CommitRoute(epoch=route.epoch, exchange=self.settings.exchanges[0])]
        self._switch = evolve(self._switch, epoch=route.epoch)
        self._settled_before = False
        out: list[CoordinatorEffect] = [self._announced(), *self._mark(Step.FENCE, now_s)]
        return out + self._preflight(now_s)

    def _settle(self, now_s: float) -> list[CoordinatorEffect]:
        assert self._switch is not None
        old = self._switch.from_exchange
        view = self.health.get(old) if old is not None else None
        if old is None or (view is not None and view.state is HealthState.DOWN):
            return self._commit(now_s)
        self.step, self._due_s = Step.SETTLE, now_s + self.settings.settle_timeout_s
        return self._ask_settle(old, now_s)

    def _ask_settle(self, old: str, now_s: float) -> list[CoordinatorEffect]:
        self._cut_short.pop(old, None)  # what it says from now on answers this
        # The connector answers at its deadline with what is true by then; the machine waits a little longer for that.
        return [AskSettle(exchange=old, deadline_s=now_s + 0.8 * self.settings.settle_timeout_s)]

    def _commit(self, now_s: float) -> list[CoordinatorEffect]:
        assert self._switch is not None
        view = self.health.get(self._chosen)
        if view is not None and view.state is HealthState.DOWN:  # since its pre-flight
            self._reject(self._chosen, f"{self._chosen} is down: {view.reason}")
            return self._preflight(now_s)
        self.step, self._due_s = Step.COMMIT, None
        return [CommitRoute(epoch=self._switch.epoch, exchange=self._chosen)]

    def settled(self, reply: SettleReply, now_s: float) -> list[CoordinatorEffect]:
        """The old connector says what it cancelled and what is left."""
        cut = self._cut_short.pop(reply.exchange, None)
        if cut is not None:
            cancelled = tuple(dict.fromkeys(cut.orders_cancelled + reply.cancelled))
            return [SaveSwitch(switch=evolve(cut, orders_cancelled=cancelled, orders_left=reply.left))]
        if self._switch is None or reply.exchange != self._switch.from_exchange:
            return []
        if self.step not in (Step.SETTLE, Step.LEAVE):
            return []
        cancelled = tuple(dict.fromkeys(self._switch.orders_cancelled + reply.cancelled))
        self._switch = evolve(self._switch, orders_cancelled=cancelled, orders_left=reply.left)
        if self.step is Step.SETTLE:
            self._settled_before = True
            return self._mark(Step.SETTLE, now_s) + self._commit(now_s)
        return self._mark(Step.LEAVE, now_s) + self._positions(now_s)

    def _preflight(self, now_s: float) -> list[CoordinatorEffect]:
        assert self._switch is not None
        while self._candidates:
            candidate = self._candidates[0]
            view = self.health.get(candidate)
            if view is not None and view.state is HealthState.DOWN:
                self._reject(candidate, f"{candidate} is down: {view.reason}")
                continue
            self.step, self._due_s = Step.PREFLIGHT, now_s + self.settings.preflight_timeout_s
            return [AskPreflight(exchange=candidate, deadline_s=self._due_s)]
        # Nobody can take over: give the epoch back to the exchange it was taken from.
        self.step, self._due_s = Step.COMMIT, None
        back = self._switch.from_exchange or self.settings.exchanges[0]
        return [CommitRoute(epoch=self._switch.epoch, exchange=back)]

    def _reject(self, candidate: str, why: str) -> None:
        assert self._switch is not None
        self._candidates.remove(candidate)
        rejected = (*self._switch.candidates_rejected, (candidate, why))
        self._switch = evolve(self._switch, candidates_rejected=rejected)

    def preflight_done(self, reply: PreflightReply, now_s: float) -> list[CoordinatorEffect]:
        """A candidate says whether it is ready."""
        if self.step is not Step.PREFLIGHT or not self._candidates or reply.exchange != self._candidates[0]:
            return []
        if reply.problems:
            self._reject(reply.exchange, " ".join(reply.problems))
            return self._preflight(now_s)
        self._chosen = reply.exchange
        return self._mark(Step.PREFLIGHT, now_s) + self._settle(now_s)

    def committed(self, route: Route, now_s: float) -> list[CoordinatorEffect]:
        """The new route stands."""
        self.route = route
        self.step, self._due_s = Step.IDLE, None
        switch = self._switch
        if switch is None:
            return [self._announced(), *self._consider(now_s)]
        moved = route.exchange != switch.from_exchange
        self._switch = evolve(
            switch,
            to_exchange=route.exchange if moved else None,
            result=SwitchResult.COMPLETED if moved else SwitchResult.FAILED,
            duration_s=now_s - self._started_s,
        )
        out: list[CoordinatorEffect] = [self._announced(), *self._mark(Step.COMMIT, now_s)]
        out += self._answer()
        if not moved:
            return [*out, *self._finish(now_s)]
        return out + (self._positions(now_s) if self._settled_before else self._leave(now_s))

    def _answer(self) -> list[CoordinatorEffect]:
        if self.asker is None or self._switch is None:
            return []
        (asker, correlation_id), self.asker = self.asker, None
        if self._switch.result is SwitchResult.COMPLETED:
            return [Answer(asker=asker, message=SwitchReply(correlation_id=correlation_id, switch=self._switch))]
        why = " ".join(words for _, words in self._switch.candidates_rejected)
        words = f"Failover was given up and trading stays where it was: {why}"
        return [Answer(asker=asker, message=Failed(correlation_id=correlation_id, code="failover_failed", words=words))]

    def _leave(self, now_s: float) -> list[CoordinatorEffect]:
        assert self._switch is not None
        old = self._switch.from_exchange
        if old is None:
            return self._finish(now_s)
        self.step, self._due_s = Step.LEAVE, now_s + self.settings.settle_timeout_s
        return self._ask_settle(old, now_s)

    def _positions(self, now_s: float) -> list[CoordinatorEffect]:
        assert self._switch is not None
        assert self._switch.from_exchange is not None
        self.step, self._due_s = Step.POSITIONS, now_s + self.settings.preflight_timeout_s
        return [AskBook(exchange=self._switch.from_exchange, deadline_s=self._due_s)]

    def book_told(self, reply: BookReply, now_s: float) -> list[CoordinatorEffect]:
        """The synchronizer says what stands on the exchange left behind."""
        if self.step is not Step.POSITIONS or self._switch is None:
            return []
        old = self._switch.from_exchange
        left = tuple(
            PositionLeft(symbol=str(position.symbol), quantity=format(position.quantity, "f"))
            for position in reply.positions
            if position.exchange == old and position.quantity != 0
        )
        self._switch = evolve(self._switch, positions_left=left, positions_read=old not in reply.unread)
        return self._mark(Step.POSITIONS, now_s) + self._finish(now_s)

    def _finish(self, now_s: float) -> list[CoordinatorEffect]:
        assert self._switch is not None
        switch = evolve(self._switch, finished=True)
        self._switch, self.step, self._due_s = None, Step.IDLE, None
        return [SaveSwitch(switch=switch), *self._consider_later(switch, now_s)]

    def _consider_later(self, switch: Switch, now_s: float) -> list[CoordinatorEffect]:
        if switch.result is SwitchResult.FAILED and switch.reason != MANUAL:
            # Else a saga would chase its own tail, and fill the history with it.
            wait_s = self.settings.retry_failed_s * 2.0 ** min(self._failed, 10)
            self._hold_until_s = now_s + min(wait_s, RETRY_FAILED_MAX_S)
            self._failed += 1
        else:
            self._failed = 0
        return self._consider(now_s)

    def _mark(self, step: Step, now_s: float) -> list[CoordinatorEffect]:
        assert self._switch is not None
        steps = (*self._switch.steps, (step.value, round(now_s - self._started_s, 6)))
        self._switch = evolve(self._switch, steps=steps)
        return [SaveSwitch(switch=self._switch)]

    # ------------------------------------------------------------------------------------------------ time

    def tick(self, now_s: float) -> list[CoordinatorEffect]:
        """A step that was not answered in time ends without its answer."""
        if self._due_s is None:
            return self._consider(now_s)
        if now_s < self._due_s:
            return self._consider(now_s)
        self._due_s = None
        if self.step is Step.SETTLE:
            return self._commit(now_s)  # without an answer; it is asked once more after the commit
        if self.step is Step.PREFLIGHT:
            self._reject(self._candidates[0], f"{self._candidates[0]} did not answer the pre-flight in time.")
            return self._preflight(now_s)
        if self.step is Step.LEAVE:
            return self._positions(now_s)
        if self.step is Step.POSITIONS:
            return self._finish(now_s)
        return []

    def next_s(self) -> float | None:
        """When `tick` has something to do next; None when nothing is awaited."""
        due = [self._due_s] if self._due_s is not None else []
        return min([*due, self._hold_until_s] if self._held else due, default=None)
