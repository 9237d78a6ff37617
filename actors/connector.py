"""The connector: the one actor that talks to one exchange.

A shell over `app.domain.connector`: it performs the machine's effects on the journal and on the exchange. It turns the
event loop of the exchange's client itself, whenever there is something to do, and so never waits. Sessions are told of
every change of an order (`actors.connector_news`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import structlog

from actors._shell import Shell
from actors.connector_news import Listeners
from actors.connector_readiness import NOT_READY, Preflights
from actors.connector_reads import Asked, call_for
from actors.connector_replies import Replies, Told
from actors.environment import PortRunner, ResultsWait
from actors.order_path import OrderPath
from actors.order_writes import News, OrderWrites, leading, request_facts
from app.domain import calls as c
from app.domain import effects as e
from app.domain.connector import Connector
from app.domain.effects import Effect
from app.domain.fill_watch import MAX_FOLLOWED
from app.domain.ids import order_id
from app.domain.kept_limits import KeepsLimits
from app.domain.limiter import Priority
from app.journal.store import Journal, JournalError
from messages.account import DeadManTold, Disarm, PrepareSymbol
from messages.base import Failed, Request
from messages.carries import CarryOrders, CarryReply
from messages.executions import CatchUp, GetOrderFills, Heard
from messages.failover import PreflightRequest, SettleRequest, Subscribe, Unsubscribe
from messages.health import Evidence, EvidenceSeen, Probe, ProbeKind, Waiting
from messages.market import MarketType, Symbol
from messages.orders import (
    AmendOrder,
    CancelOrder,
    GetClosedOrders,
    GetOpenOrders,
    GetOrder,
    LivesElsewhere,
    PlaceOrder,
)
from messages.positions import GetPositions
from messages.supervision import Address, CheckOrderPath, Directory, Role, Start

log = structlog.get_logger()

EVIDENCE_S = 0.25
"""Good evidence waits so long for more, so that an order does not cost the monitor and the coordinator a message each;
bad evidence takes what waits along at once."""

REOPEN_S = 2.0
"""Between attempts to load the markets of an exchange that does not answer."""
OPENING_S = 10.0
"""After the start; an exchange that is well has told its markets by then. Later, not having them is a failure."""


class ConnectorActor(Shell):
    """Places, cancels and looks up on one exchange; its name is the exchange's."""

    role = Role.CONNECTOR

    runner: PortRunner
    journal: Journal
    machine: Connector
    _limits: KeepsLimits | None = None
    _coordinator: Address | None = None

    def on_start(self, start: Start, now_s: float) -> None:
        """Opens journal and exchange, and takes up what an earlier life left in doubt."""
        self._reopen_s: float | None = now_s + REOPEN_S
        self._changes: list[News] = []
        self._evidence: list[Evidence] = []
        self._evidence_due_s = now_s
        # Until then markets that are not loaded speak of our start, not of the exchange: a probe is asked all the same.
        self._opening_until_s = now_s + OPENING_S
        self.on_directory(start.directory, now_s)
        self.journal = self.environment.open_journal()
        self.runner = self.environment.open_runner(self.name, self.myAddress)
        port = self.runner.port
        self.machine = Connector(
            self.name,
            port.proof,
            self.environment.connectors[self.name],
            port.rates,
            admits=port.check,
            ready=lambda: port.ready,
            lots=port.lots,
            left=self._left,
            held=self._held,
            held_elsewhere=self._elsewhere,
        )
        self._limits = port.limits
        if self._limits is not None:
            self.machine.limits.take_over(self._limits.take_over(), now_s)
        self._path = OrderPath(self.name, self.journal, self.runner, self.environment.timing.heartbeat_timeout_s)
        self._preflights = Preflights(self.name, self.runner, MarketType(self.environment.market_type))
        self._replies = Replies(self.name, self.journal, self.runner, self._path, self._preflights)
        self._listeners = Listeners(self.name, self.journal, self.post)
        self._writes = OrderWrites(self.journal, self.machine, self.runner, self._path, self.now_s)
        orders = self.journal.open_orders(exchange=self.name)
        linked = self.journal.linked(self.name)
        port.live_in({order.spec.symbol for order in (*orders, *(parent for parent, _ in linked))})
        self.runner.start()
        self.watch(self.runner.fileno())
        self.machine.fills.recover(self.journal.unlisted(self.name, MAX_FOLLOWED), now_s)
        self._perform(self.machine.recover(orders, now_s, linked), now_s)

    def on_directory(self, directory: Directory, now_s: float) -> None:
        """Remembers where evidence goes."""
        entry = directory.find(Role.HEALTH_MONITOR)
        self._monitor: Address | None = entry.address if entry is not None else None
        entry = directory.find(Role.FAILOVER_COORDINATOR)
        self._coordinator = entry.address if entry is not None else None
        if hasattr(self, "machine"):
            self.machine.dead_man.untold()  # it may be a new one

    def on_exit(self) -> None:
        """Closes what is open."""
        self.watch(None)
        if hasattr(self, "runner"):
            self.runner.close()
        if hasattr(self, "journal"):
            self.journal.close()
        if self._limits is not None:
            self._limits.close()

    def _keep_limits(self) -> None:
        if self._limits is not None:
            self.machine.limits.keep(self._limits)

    def on_ready(self, now_s: float) -> None:
        """The exchange's client has something to do, or results came back."""
        placed: list[Effect] = []
        for call_id, result in self.runner.drain():
            self._path.heard(result, now_s)
            if isinstance(result, c.Placed):
                placed += self.machine.returned(call_id, result, now_s)
                continue
            self._perform(placed, now_s)
            placed = []
            self._perform(self.machine.returned(call_id, result, now_s), now_s)
        self._perform(placed, now_s)
        if usage := self.runner.port.usage():
            self.machine.limits.observe(usage, now_s)
        self._keep_limits()
        self.watch(self.runner.fileno())

    def ill(self, now_s: float) -> str:
        """Whether the thread that loads the markets still turns: we would answer for ever while that one hangs."""
        stalled_s = self.runner.stalled_s()
        limit_s = self.environment.timing.heartbeat_timeout_s
        return f"the event loop of {self.name} has stood still for {stalled_s:.1f} s" if stalled_s > limit_s else ""

    def on_tick(self, now_s: float) -> None:
        """Whatever is due."""
        if self._reopen_s is not None and now_s >= self._reopen_s:
            self._reopen_s = None if self.runner.port.ready else now_s + REOPEN_S
            if not self.runner.port.ready:
                self.runner.start()
                self.watch(self.runner.fileno())
        runner_s = self.runner.next_s()
        # It is read off the clock anew, so what is due by now is never before the `now_s` of a while ago.
        if runner_s is not None and self.now_s() >= runner_s:
            self.on_ready(now_s)
        if self._evidence and now_s >= self._evidence_due_s:
            self._tell_evidence(now_s)
        self._perform(self.machine.tick(now_s), now_s)
        if waiting := self.machine.unanswered.to_tell():
            self._tell_evidence(now_s, waiting)

    def next_s(self, now_s: float) -> float | None:
        """The machine's next moment, the client's, the next attempt to load markets, or the time to tell evidence."""
        evidence_s = self._evidence_due_s if self._evidence else None
        due = self.machine.next_s(now_s), self.runner.next_s(), self._reopen_s, evidence_s
        return min([at_s for at_s in due if at_s is not None], default=None)

    # ------------------------------------------------------------------------------------------------ messages

    def on_messages(self, messages: tuple[Any, ...], sender: Any, now_s: float) -> None:
        """Orders that left together are committed together; anything else goes one by one, in its place among them."""
        placements: list[Effect] = []
        for message in messages:
            if isinstance(message, PlaceOrder):
                placements += self._place(sender, message, now_s)
                continue
            self._perform(placements, now_s)
            placements = []
            self.on_message(message, sender, now_s)
        self._perform(placements, now_s)

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """One request, or one subscription."""
        try:
            self._on_message(message, sender, now_s)
        except JournalError as error:  # a question that the journal cannot answer now: dying of it would not help
            failed = self._unanswerable(message, error)
            if failed is not None:
                self.post(sender, failed)

    def _unanswerable(self, message: Any, error: JournalError) -> Failed | None:
        """What is answered where the journal cannot be read; None where nothing was asked."""
        log.error("journal.unavailable", words=str(error), exchange=self.name, message_type=type(message).__name__)
        if not isinstance(message, Request):
            return None
        # An earlier copy of a cancel or a change may be kept, and carried out: this one must not say that it failed.
        again = isinstance(message, CancelOrder | AmendOrder)
        words = str(error)
        return Failed(correlation_id=message.correlation_id, code="journal_unavailable", words=words, retryable=again)

    def _deliver(self, effect: e.Deliver, now_s: float) -> None:
        """Here, not where the message came in: the effects that follow, sending what was committed, are carried out."""
        try:
            not_ready = "" if self.runner.port.ready or now_s < self._opening_until_s else self._why_not_ready()
            told = Told(self.machine.told_fills, self.machine.limits.silent_for_s(now_s), not_ready)
            reply = self._replies.reply(effect.request, effect.result, now_s, told)
        except JournalError as error:
            reply = self._unanswerable(effect.request, error)
        self.post(effect.asker, reply)

    def _on_message(self, message: Any, sender: Any, now_s: float) -> None:
        machine = self.machine
        match message:
            case PlaceOrder():
                self._perform(self._place(sender, message, now_s), now_s)
            case CancelOrder():
                self._perform(machine.cancel(sender, message, self._replies.order(message), now_s), now_s)
            case AmendOrder():
                self._perform(machine.amend(sender, message, self.journal.order(message.order_id), now_s), now_s)
            case GetOrder():
                question, order = self._replies.by_id(message), self._replies.order(message)
                self._perform(machine.get(sender, question, order, now_s), now_s)
            case CarryOrders():
                self._perform(self._carry(sender, message, now_s), now_s)
            case SettleRequest():
                self._perform(machine.settle(sender, message, now_s), now_s)
            case GetOpenOrders(fresh=False) | GetClosedOrders():
                self.post(sender, self._replies.journalled(message))
            case GetOrderFills():
                self.post(sender, self._replies.fills_of(message))
            case GetPositions() if self.environment.market_type == MarketType.SPOT:
                self.post(sender, self._replies.no_positions(message))
            case Disarm():
                self._perform(machine.disarm(sender, message, now_s), now_s)
            case PrepareSymbol() if self.runner.port.ready:
                self._perform(machine.prepare(sender, message, now_s), now_s)
            case PrepareSymbol():
                words, asked = self._why_not_ready(), message.correlation_id
                failed = Failed(correlation_id=asked, code="exchange_not_ready", words=words, retryable=True)
                self.post(sender, failed)
            case CheckOrderPath():
                self._perform(self._check_path(sender, message, now_s), now_s)
            case Subscribe():
                self._listeners.subscribe(message, sender, now_s)
            case Unsubscribe():
                self._listeners.unsubscribe(message.session_id)
            case CatchUp():
                self.post(sender, self._listeners.catch_up(message, now_s))
            case Heard():
                self._listeners.heard(message, now_s)
            case ResultsWait():
                self.on_ready(now_s)
            case _ if isinstance(message, Asked):
                self._perform(self._read(sender, message, now_s), now_s)
            case _:
                log.warning("connector.unexpected_message", exchange=self.name, message_type=type(message).__name__)

    def _carry(self, sender: Address, request: CarryOrders, now_s: float) -> Iterable[Effect]:
        orders = self.journal.to_carry(self.name)
        if not self.runner.port.ready:
            waits = CarryReply(
                correlation_id=request.correlation_id, exchange=self.name, carried=(), parked=(), waiting=len(orders)
            )
            return [e.Answer(asker=sender, message=waits)]
        known = [(order, self.journal.standing_of(order, self.name)) for order in orders]
        return self.machine.carry(sender, request, known, now_s)

    def _left(self) -> bool:
        """Whether trading is on another exchange; not while nobody can say."""
        try:
            return self.journal.route().exchange not in (None, self.name)
        except JournalError:
            return False

    def _held(self, symbol: Symbol) -> Decimal:
        return self.journal.attributed(self.name, symbol)

    def _elsewhere(self, symbol: Symbol) -> Decimal:
        return self.journal.attributed_elsewhere(self.name, symbol)

    def _place(self, sender: Address, request: PlaceOrder, now_s: float) -> Iterable[Effect]:
        if not self.runner.port.ready:
            return [e.TurnAway(asker=sender, request=request, code="exchange_not_ready", words=self._why_not_ready())]
        return self.machine.place(sender, request, now_s)

    def _check_path(self, sender: Address, request: CheckOrderPath, now_s: float) -> Iterable[Effect]:
        known = self._path.known(request, now_s)
        if known is not None:
            self.post(sender, known)
            return []
        return self.machine.read(sender, request, c.DryCall(deadline_s=request.deadline_s), now_s, Priority.PLACE)

    def _why_not_ready(self) -> str:
        """One sentence: the exchange may have answered very well, by refusing our key."""
        return self.runner.not_ready or f"{self.name} has not answered yet: its markets are not loaded."

    def _within_reach(self, elsewhere: LivesElsewhere) -> LivesElsewhere | Failed:
        """Where the order is to be asked for; a refusal where no connector is for that."""
        if elsewhere.exchange in self.environment.connectors:
            return elsewhere
        words = (
            f"The order is on {elsewhere.exchange}, which is not configured: put it back into the configuration, "
            "or cancel the order there yourself."
        )
        return Failed(correlation_id=elsewhere.correlation_id, code="exchange_not_configured", words=words)

    def _read(self, sender: Address, request: Asked, now_s: float) -> Iterable[Effect]:
        deadline_s = min(request.deadline_s, now_s + self.environment.connectors[self.name].request_timeout_s)
        # Who asks how an exchange is hears what it answers: why it is not ready is told besides.
        asks = isinstance(request, Probe) and request.kind is not ProbeKind.MARKET
        if not self.runner.port.ready and not asks:
            failed = c.CallFailed(code=NOT_READY, words=self._why_not_ready(), ill=True)
            return [e.Deliver(asker=sender, request=request, result=failed)]
        if isinstance(request, Probe):
            if request.kind is ProbeKind.MARKET and request.symbol is None:
                failed = c.CallFailed(code=c.UNSUPPORTED, words="A market probe needs a symbol.", retryable=False)
                return [e.Deliver(asker=sender, request=request, result=failed)]
            self._replies.probing(request, now_s)
        conditional = any(task.order.spec.trigger is not None for task in self.machine.tasks.values())
        call, priority = call_for(request, now_s, deadline_s, conditional=conditional)
        if isinstance(request, PreflightRequest):
            priority = self._preflights.priority(request, now_s)
        return self.machine.read(sender, request, call, now_s, priority)

    # ------------------------------------------------------------------------------------------------ effects

    def _perform(self, effects: Iterable[Effect], now_s: float) -> None:
        queue: deque[Effect] = deque()
        observed: list[Evidence] = []
        for effect in effects:
            if isinstance(effect, e.Observe):
                observed.append(effect.evidence)
            else:
                queue.append(effect)
        while queue:
            effect = queue.popleft()
            match effect:
                case e.Commit():
                    queue.extendleft(reversed(self._writes.commit(leading(queue, effect), now_s)))
                case e.TurnAway():
                    queue.extendleft(reversed(list(self._turn_away(effect, now_s))))
                case e.TakeUp():
                    queue.extend(self._writes.take_up(effect, now_s, self._changes))
                case e.Record():
                    queue.extend(self._writes.record(leading(queue, effect), now_s, self._changes))
                case e.RecordFills():
                    queue.extend(self._writes.record_fills(leading(queue, effect), now_s, self._changes))
                case e.NotListed():
                    self._writes.not_listed(effect)
                case e.Mark():
                    queue.extendleft(reversed(self._writes.mark(effect, now_s)))
                case e.Answer(asker=e.Inside.EXITS):
                    queue.extend(self.machine.exits_answered(effect.message, now_s))
                case e.Renew():
                    queue.extendleft(reversed(self._writes.renew(effect, now_s, self._changes)))
                case e.Intend():
                    queue.extendleft(reversed(self._writes.intend(effect, now_s)))
                case e.Send(call=c.DryCall()) if (failed := self._path.committed()) is not None:
                    queue.extend(self.machine.returned(effect.call_id, failed, now_s))
                case e.Send():
                    self._keep_limits()
                    self.runner.submit(effect.call_id, effect.call)
                case e.Answer(asker=asker, message=LivesElsewhere() as elsewhere):
                    self.post(asker, self._within_reach(elsewhere))
                case e.Answer():
                    self.post(effect.asker, effect.message)
                case e.Deliver():
                    self._deliver(effect, now_s)
                case e.Observe():
                    observed.append(effect.evidence)
        if self._coordinator is not None and (switch := self.machine.dead_man.news(now_s)) is not None:
            self.post(self._coordinator, DeadManTold(view=switch))
        # Whoever waits has been answered: only now those who listen are told.
        changes, self._changes = self._changes, []
        for changed in changes:
            self._listeners.tell(changed, now_s)
        if observed:
            self._preflights.observed(observed)
            self._evidence += observed
            if now_s >= self._evidence_due_s or any(each.cause is not None or not each.ok for each in observed):
                self._tell_evidence(now_s)

    def _tell_evidence(self, now_s: float, waiting: tuple[Waiting, ...] = ()) -> None:
        if self._monitor is not None:
            used = self.machine.limits.used(now_s)
            seen = EvidenceSeen(
                evidence=tuple(self._evidence), waiting=waiting, pressure=round(used, 3), exchange=self.name
            )
            self.post(self._monitor, seen)
        self._evidence.clear()
        self._evidence_due_s = now_s + EVIDENCE_S

    def _turn_away(self, effect: e.TurnAway, now_s: float) -> Iterable[Effect]:
        try:
            known = self.journal.order(order_id(self.journal.journal_id, effect.request.key))
        except JournalError as error:
            # Nobody can say whether it is known: no answer is the honest one, and the session asks again.
            log.error("journal.unavailable", words=str(error), **request_facts(effect.request, self.name))
            return []
        return self.machine.turned_away(effect, known, now_s)
