"""A session: how a strategy, or a plain Python program, talks to the router.

Theory (the end-to-end argument). A message to an actor can be lost, since an actor dies with its mailbox, and so can
the answer. So the session keeps each request until it is answered, and sends it again *with the same ids*: when told of
a new route or a restarted connector, when the answer says "not executed" (by the rules of `app.domain.retries`), and
after `RESEND_S` of silence. Receivers are idempotent, so the worst a re-send costs is time. Every request ends by its
deadline; what cannot be known then is said to be unknown, never guessed:

    last word on an order at its deadline        told
    never handed to a connector                  not executed
    proven not executed, no copy under way       not executed, if no other request leaves the order in doubt
    anything else                                unknown, with the id to ask by

What the strategy is told is numbered, and told to the owner in order and without a gap (`app.domain.news`).

Each copy of a placement carries a correlation id of its own, so that an answer says which copy it answers: "not
executed" about one proves nothing while another waits in a connector that may commit it yet. Several requests may ask
for the same order: what is proven of it answers them all. And an order that was told to be unknown is asked for until
it is known (`app.domain.doubts`), since the news of it can be lost.

The same machine serves the facade from outside and strategy actors from inside. Requests about orders go straight to
the connector of the committed route (two hops); the coordinator is asked only about routes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from attrs import define, evolve, field, frozen

from app.domain.doubts import About, Doubts
from app.domain.news import News
from app.domain.order_life import unproven
from app.domain.retries import Retries, RetryPolicy, middle
from app.domain.session_effects import (
    FillTold,
    NeverCommitted,
    NewsBegin,
    OrderTold,
    Outcome,
    OutcomeUnknown,
    Resolved,
    RouteTold,
    SessionEffect,
    Tell,
    Unanswered,
)
from app.domain.session_endings import doubted_beside, last_word, settled_by
from app.domain.session_pending import Copy, Pending, same, successor
from app.domain.session_targets import by_route, target_of
from messages.base import Failed, Reply, Request
from messages.executions import CaughtUp, OrderFilled, ToldUpTo
from messages.failover import (
    NotRouted,
    Route,
    RouteChanged,
    RouterState,
    Subscribe,
    Unsubscribe,
)
from messages.orders import (
    CancelOrder,
    LivesElsewhere,
    OrderAccepted,
    OrderChanged,
    OrderKey,
    OrderNotExecuted,
    OrderPending,
    OrderRefused,
    OrderView,
    PlaceOrder,
)
from messages.supervision import Directory, Listen, Role, Unlisten

__all__ = [
    "FillTold",
    "NeverCommitted",
    "NewsBegin",
    "OrderTold",
    "Outcome",
    "OutcomeUnknown",
    "Resolved",
    "RouteTold",
    "Session",
    "SessionEffect",
    "SessionSettings",
    "Tell",
    "TooManyPending",
    "Unanswered",
]

RESEND_S = 3.0
"""Silence after which a request is sent again: the notice of a death may itself have been lost."""

LAST_SEND_S = 0.1
"""Before the deadline nothing proven not executed is sent again: its answer would come too late to be told."""

TURNED_AWAY_AGAIN_S = 0.25
"""Before a placement that the router itself turned away is asked for again."""

PENDING_AGAIN_S = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Between askings after an order nobody can know of yet."""

RENEW_S = 10.0
"""Between renewals of what the session listens to; who tells forgets a session after three missed ones."""

LISTEN_AGAIN_S = 0.5
"""Between requests for the directory while there is none."""

MAX_TIMEOUT_S = 86_400.0
"""The longest a request may wait: waits beyond some years cannot even be told to the machine."""

MAX_PENDING = 10_000
"""Requests a session keeps; one more is refused."""


@frozen(kw_only=True)
class SessionSettings:
    """How a session behaves; the names are the seed's.

    Attributes:
        max_retry_attempts: Tries of an order on one exchange before only a new route is waited for.
        retry_delay_s: Between them.
        jitter: A number between 0 and 1, drawn anew each time, by which they are spread.
        resumes: Whether its owner runs in the daemon, and hears behind what its earlier lives have heard.
    """

    session_id: str
    strategy: str
    max_retry_attempts: int = 3
    retry_delay_s: float = 5.0
    jitter: Callable[[], float] = middle
    resumes: bool = False


class TooManyPending(Exception):
    """The session holds `MAX_PENDING` unanswered requests."""


@define
class Session:
    """The machine. Methods take an event and the time, and return effects to perform in order."""

    settings: SessionSettings
    directory: Directory | None = field(init=False, default=None)
    route: Route | None = field(init=False, default=None)
    state: RouterState = field(init=False, default=RouterState.INITIALIZING)
    _pending: dict[str, Pending] = field(init=False, factory=dict)
    _copies: dict[str, str] = field(init=False, factory=dict)
    _subscribed: dict[tuple[Role, str], int] = field(init=False, factory=dict)
    _renew_s: float = field(init=False, default=0.0)
    _journal_id: str = field(init=False, default="")
    _doubts: Doubts = field(init=False, factory=Doubts)
    _retries: Retries = field(init=False)
    news: News = field(init=False)

    def __attrs_post_init__(self) -> None:
        known = self.settings
        policy = RetryPolicy(attempts=known.max_retry_attempts, delay_s=known.retry_delay_s, jitter=known.jitter)
        self._retries = Retries(policy)
        self.news = News(known.session_id, known.strategy, resumes=known.resumes)

    def start(self, now_s: float) -> list[SessionEffect]:
        """Asks for the directory, which everything else follows from."""
        return self._renew(now_s)

    def _renew(self, now_s: float) -> list[SessionEffect]:
        self._renew_s = now_s + (RENEW_S if self.directory is not None and self.route is not None else LISTEN_AGAIN_S)
        out: list[SessionEffect] = [Tell(to=None, message=Listen(session_id=self.settings.session_id))]
        for entry in self.directory.entries if self.directory is not None else ():
            if entry.role in (Role.CONNECTOR, Role.FAILOVER_COORDINATOR):
                out.append(Tell(to=entry.address, message=self._subscription()))
        return out

    def reconnected(self, now_s: float) -> list[SessionEffect]:
        """The whole tree is another one: everybody has a new address, and what was asked is asked again."""
        self.lost()
        return self._renew(now_s)

    def lost(self) -> None:
        """Nobody is where they were: what is asked waits, within its deadline, until there is somebody to ask."""
        self.directory, self.route = None, None
        self._subscribed.clear()
        for pending in self._pending.values():
            pending.target, pending.next_s = None, None

    def end(self) -> list[SessionEffect]:
        """The owner leaves: nobody need tell it anything any more."""
        session_id = self.settings.session_id
        out: list[SessionEffect] = [Tell(to=None, message=Unlisten(session_id=session_id))]
        for entry in self.directory.entries if self.directory is not None else ():
            if entry.role in (Role.CONNECTOR, Role.FAILOVER_COORDINATOR):
                out.append(Tell(to=entry.address, message=Unsubscribe(session_id=session_id)))
        return out

    # ------------------------------------------------------------------------------------------------ in

    def ask(self, request: Request, now_s: float) -> list[SessionEffect]:
        """The owner asks for something.

        Raises:
            TooManyPending: `MAX_PENDING` requests are unanswered.
        """
        if len(self._pending) >= MAX_PENDING:
            raise TooManyPending(f"{MAX_PENDING} requests are unanswered: wait for some before asking more.")
        pending = self._pending[request.correlation_id] = Pending(request)
        if isinstance(request, PlaceOrder):
            self._retries.asked(request.key)
        if now_s >= request.deadline_s:  # its connector would turn it away, and nobody would hear that in time
            return self._end(pending, now_s)
        return self._send(pending, now_s)

    def forget(self, correlation_id: str) -> None:
        """The owner stopped waiting. That ends the wait, not the order."""
        self._drop(correlation_id)

    def _drop(self, correlation_id: str) -> None:
        pending = self._pending.pop(correlation_id, None)
        if pending is not None and isinstance(pending.request, PlaceOrder):
            self._retries.dropped(pending.request.key)
        for copy in pending.copies if pending is not None else ():
            self._copies.pop(copy, None)

    def directory_told(self, directory: Directory, now_s: float) -> list[SessionEffect]:
        """The supervisor says who lives where; what went to somebody who does not is sent again."""
        if self.directory is not None and directory.generation <= self.directory.generation:
            return []
        self.directory = directory
        self._journal_id = directory.journal_id
        out: list[SessionEffect] = []
        for entry in directory.entries:
            who = (entry.role, entry.name)
            told = entry.role in (Role.CONNECTOR, Role.FAILOVER_COORDINATOR)
            if told and self._subscribed.get(who) != entry.incarnation:
                self._subscribed[who] = entry.incarnation
                out.append(Tell(to=entry.address, message=self._subscription()))
        for pending in list(self._pending.values()):
            died = self._bury(pending)
            target = target_of(pending, self.directory, self.route)
            if target is None or (pending.target is not None and same(target, pending.target)):
                continue
            if pending.failed and pending.next_s is not None:
                continue  # its next try has its own time
            died = died and pending.target is not None and successor(target, pending.target)
            pending.deaths += died
            if pending.deaths < 2:
                out += self._send(pending, now_s)
            else:  # whom it is sent to may be dying of it: then it must not use up all the restarts there are
                pending.target = target
                if died or pending.next_s is None:
                    pending.next_s = now_s + RESEND_S * (pending.deaths - 1)
        return out

    def _bury(self, pending: Pending) -> bool:
        """Whether somebody died with a copy, which is never answered; what was done with it is in the journal.

        Whoever had answered, if only that it was not ready, did not die of it.
        """
        assert self.directory is not None
        if not isinstance(pending.request, PlaceOrder):
            return True  # its sendings are not told apart
        sends = len(pending.copies)
        for copy_id, copy in list(pending.copies.items()):
            now = self.directory.find(copy.target.role, copy.target.name)
            if now is None or not same(now, copy.target):
                del pending.copies[copy_id]
                self._copies.pop(copy_id, None)
                pending.buried = pending.sends
        return len(pending.copies) < sends

    def route_told(self, told: RouteChanged, now_s: float) -> list[SessionEffect]:
        """The coordinator says where orders go; it says so again whenever a subscription is renewed."""
        out: list[SessionEffect] = []
        if self.route is None or told.route.epoch >= self.route.epoch:
            if told.route != self.route or told.state is not self.state:
                out.append(RouteTold(route=told.route, state=told.state))
            self.state = told.state
            well_again = self._retries.told(told.route.exchange, down=told.down)
            out += self._adopt(told.route, now_s)
            for pending in list(self._pending.values()) if well_again else ():
                if pending.failed and pending.next_s is None:
                    out += self._send(pending, now_s)
        return out

    def _adopt(self, route: Route, now_s: float) -> list[SessionEffect]:
        if self.route == route or (self.route is not None and route.epoch < self.route.epoch):
            return []
        self.route = route
        out: list[SessionEffect] = []
        if route.exchange is not None:
            for pending in list(self._pending.values()):
                if by_route(pending.request) and not self._bides(pending, route):
                    pending.failures = 0
                    out += self._send(pending, now_s)
        return out

    def _bides(self, pending: Pending, route: Route) -> bool:
        """Trading is still where its last try failed, or there again: the next one has its own time."""
        request = pending.request
        if not pending.failed or not isinstance(request, PlaceOrder) or pending.next_s is None:
            return False
        return self._retries.failed_on(request.key, route.exchange)

    def news_told(self, told: OrderChanged | OrderFilled | ToldUpTo, now_s: float) -> list[SessionEffect]:
        """A connector says that an order changed, that something of it filled, or how much there is to tell."""
        if isinstance(told, ToldUpTo):
            return [*self.news.up_to(told.latest, now_s)]
        return [*self._known(told, now_s), *self.news.told(told, now_s)]

    def _known(self, told: OrderChanged | OrderFilled, now_s: float) -> list[SessionEffect]:
        """What news teach at once, whether or not it is their turn to be told."""
        owed = self.news.owes(told.order, now_s, told.number) if self._doubts.told(told.order) else []
        return [*self._settle(told.order), *owed]

    def _settle(self, order: OrderView) -> list[SessionEffect]:
        """An exchange has, or had, the order: that answers every request to place it, and every other under its id."""
        if order.leg is None or unproven(order):
            return []
        out: list[SessionEffect] = []
        for pending in list(self._pending.values()):
            request = pending.request
            if isinstance(request, PlaceOrder) and request.key == order.key:
                reply = settled_by(request, order)
                if reply is not None:
                    out += self._resolve(pending, reply)
        return out

    def reply(self, reply: Reply, now_s: float) -> list[SessionEffect]:
        """An answer came; answers to nothing we asked, or to what is answered already, are dropped."""
        pending = self._pending.get(self._copies.pop(reply.correlation_id, reply.correlation_id))
        if pending is None:
            return []
        copy = pending.copies.pop(reply.correlation_id, None)
        number = copy.number if copy is not None else 0
        pending.last = reply
        doubted = self._doubts.about(reply.correlation_id)
        if doubted is not None and not isinstance(reply, LivesElsewhere):
            self._drop(reply.correlation_id)
            return self._doubt_answered(doubted, reply, now_s)
        if self.news.about(reply.correlation_id):
            self._drop(reply.correlation_id)
            return self._caught_up(reply, now_s)
        match reply:
            case NotRouted(route=route):
                pending.clear(number)
                out = self._adopt(route, now_s)
                if pending.next_s is None or not out:
                    pending.next_s = now_s + PENDING_AGAIN_S[0]
                return out
            case OrderPending():
                pending.unproven = True
                pending.next_s = now_s + PENDING_AGAIN_S[min(pending.pendings, len(PENDING_AGAIN_S) - 1)]
                pending.pendings += 1
                return []
            case OrderNotExecuted():
                pending.clear(number)
                return self._not_executed(pending, reply, now_s)
            case OrderRefused(order=None):
                # The router's own word, and nothing is committed: a copy under way may meet a better moment (a limit
                # that has room again, another exchange's rules), so only the last of them ends it.
                pending.clear(number)
                return [] if pending.in_doubt else self._end(pending, now_s)
            case LivesElsewhere(exchange=exchange):
                pending.elsewhere = exchange
                return self._send(pending, now_s)
            case Failed(retryable=True, code="order_moving"):
                pending.next_s = now_s + PENDING_AGAIN_S[min(pending.pendings, len(PENDING_AGAIN_S) - 1)]
                pending.pendings += 1
                return []
            case Failed(retryable=True):
                pending.failures += 1
                if pending.failures < self.settings.max_retry_attempts:
                    pending.next_s = now_s + self._retries.policy.wait_s(most_s=RESEND_S)
                    return []
            case OrderAccepted(order=order):
                return [*self._resolve(pending, reply), *self._settle(order)]
        return self._resolve(pending, reply)

    def _not_executed(self, pending: Pending, reply: OrderNotExecuted, now_s: float) -> list[SessionEffect]:
        if reply.code == "deadline_passed":
            return [] if pending.in_doubt else self._end(pending, now_s)
        leg = reply.order.leg if reply.order is not None else None
        if reply.order is None or leg is None:
            # The router itself turned it away before anything was tried: no attempt, so no retry is used up.
            pending.next_s = now_s + self._retries.policy.wait_s(most_s=TURNED_AWAY_AGAIN_S)
            return []
        pending.failed = not pending.in_doubt
        pending.next_s = self._retries.failed(reply.order.key, leg, now_s, reply.retry_after_s or 0.0)
        if self.route is not None and leg.exchange != self.route.exchange:
            return self._send(pending, now_s)  # proven gone on the exchange left behind: on to where trading is now
        return []

    # ------------------------------------------------------------------------------------------------ time

    def tick(self, now_s: float) -> list[SessionEffect]:
        """Sends again what is due, and ends what is over."""
        out: list[SessionEffect] = self._renew(now_s) if now_s >= self._renew_s else []
        for pending in list(self._pending.values()):
            if now_s >= pending.request.deadline_s:
                out += self._end_late(pending, now_s)
            elif pending.next_s is not None and now_s >= pending.next_s:
                if pending.in_doubt or pending.sends == 0 or now_s < pending.request.deadline_s - LAST_SEND_S:
                    out += self._send(pending, now_s)
                else:
                    pending.next_s = None
        for question in self._doubts.due(self.settings.session_id, self.settings.strategy, now_s):
            if len(self._pending) < MAX_PENDING:
                out += self.ask(question, now_s)
        missing = self.news.due(now_s)
        if missing is not None:
            out += self.ask(missing, now_s) if len(self._pending) < MAX_PENDING else self.news.answered(None, now_s)
        return out

    def next_s(self) -> float:
        """When `tick` has something to do next."""
        due = [min(p.request.deadline_s, p.next_s or p.request.deadline_s) for p in self._pending.values()]
        return min([self._renew_s, self._doubts.next_s(), self.news.next_s(), *due])

    def in_doubt(self, correlation_id: str, ended: str) -> OutcomeUnknown | None:
        """What to tell whoever waits when the session ends early: unknown where it was sent and not answered."""
        pending = self._pending.get(correlation_id)
        outcome = self._last_word(pending, ended) if pending is not None else None
        return outcome if isinstance(outcome, OutcomeUnknown) else None

    # ------------------------------------------------------------------------------------------------ pieces

    def _subscription(self) -> Subscribe:
        return Subscribe(session_id=self.settings.session_id, strategy=self.settings.strategy)

    def _send(self, pending: Pending, now_s: float) -> list[SessionEffect]:
        target = target_of(pending, self.directory, self.route)
        if target is None:
            pending.next_s = None  # a new directory or route sends it
            return []
        request = pending.request
        if isinstance(request, PlaceOrder):
            exchange = self.route.exchange if self.route is not None else None
            if pending.failed and self._retries.barred(request.key, exchange):
                pending.next_s = None  # news sends it
                return []
            pending.failed = False
            if self.route is not None and request.epoch != self.route.epoch:
                request = pending.request = evolve(request, epoch=self.route.epoch)
            if pending.sends > 0:
                request = evolve(request, correlation_id=f"{request.correlation_id}.{pending.sends}")
            self._copies[request.correlation_id] = pending.request.correlation_id
            pending.copies[request.correlation_id] = Copy(pending.sends, target)
        else:
            pending.unproven = True
        pending.target, pending.next_s = target, now_s + RESEND_S
        pending.sends += 1
        return [Tell(to=target.address, message=request)]

    def _resolve(self, pending: Pending, outcome: Outcome) -> list[SessionEffect]:
        self._drop(pending.request.correlation_id)
        return [Resolved(correlation_id=pending.request.correlation_id, outcome=outcome)]

    def _end_late(self, pending: Pending, now_s: float) -> list[SessionEffect]:
        request, outcome = pending.request, self._last_word(pending)
        doubted = self._doubts.about(request.correlation_id)
        if doubted is not None:
            self._drop(request.correlation_id)
            return self._doubt_answered(doubted, outcome, now_s)
        if self.news.about(request.correlation_id):
            self._drop(request.correlation_id)
            return self._caught_up(outcome, now_s)
        return self._end(pending, now_s)

    def _last_word(self, pending: Pending, ended: str = "", now_s: float = inf) -> Outcome:
        doubted = doubted_beside(pending, self._pending.values(), self._doubts, now_s)
        return last_word(pending, self._journal_id, ended, doubted=doubted)

    def _end(self, pending: Pending, now_s: float) -> list[SessionEffect]:
        request, outcome = pending.request, self._last_word(pending, now_s=now_s)
        if isinstance(outcome, OutcomeUnknown):
            about = About.CANCEL if isinstance(request, CancelOrder) else About.CHANGE
            if isinstance(request, PlaceOrder):
                self._doubts.add(outcome.order_id, request.key, now_s)
            else:
                self._doubts.add(outcome.order_id, None, now_s, about)
        return self._resolve(pending, outcome)

    def _doubt_answered(self, order_id: str, outcome: Outcome, now_s: float) -> list[SessionEffect]:
        placing = [p.request.key for p in self._pending.values() if isinstance(p.request, PlaceOrder)]
        settled = self._doubts.answered(order_id, outcome, placing, now_s)
        match settled:
            case OrderView():
                return [*self.news.owes(settled, now_s)]
            case OrderKey():
                words = f"Order {order_id} was never committed, and is on no exchange."
                return [NeverCommitted(order_id=order_id, key=settled, words=words)]
        return []

    def _caught_up(self, outcome: Outcome, now_s: float) -> list[SessionEffect]:
        out: list[SessionEffect] = []
        for told in outcome.news if isinstance(outcome, CaughtUp) else ():
            out += self._known(told, now_s)
        return [*out, *self.news.answered(outcome, now_s)]
