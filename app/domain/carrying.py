"""Orders on their way, at one connector: taken off its exchange, or taken up on it.

Theory. `app.domain.carry` says how an order moves, and what is made of it. Here is how one connector does its half of
that, on either side:

    left      a request to settle marks what rests (CARRY_ASKED), and what is marked is cancelled like anything that is
              wanted gone; its end is kept back until it is proven with what had filled. A life that finds a mark goes
              on. What only reduces stays as long as there is something of ours that it reduces: it goes when that went
    in use    each request to carry brings what is to be taken up, as the journal has it now. What the decision lets
              pass waits for its turn in the rate limiter, then for the transaction, which decides once more; then it is
              sent and looked up like any other. Refused, or proven absent, it is parked: nobody else waits for it

Nothing is remembered that the journal does not have, but for who waits for an answer and what is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial

from attrs import define, evolve, field

from app.domain import calls as c
from app.domain.carry import (
    AGAIN_S,
    NOT_EXECUTED,
    Carried,
    Carry,
    Decision,
    Facts,
    Finished,
    Park,
    Standing,
    TickerNeeded,
    after_refusal,
    asked_of,
    decide,
    is_carried,
    needs_ticker,
    takes_away,
    tries_of,
)
from app.domain.connector_settings import ConnectorSettings
from app.domain.effects import Answer, Asker, Effect, Inside, Record, TakeUp
from app.domain.errands import Flight, ForLeg, Read
from app.domain.exits import parent_of
from app.domain.leg_life import LegEvent
from app.domain.leg_task import LegTask
from app.domain.leg_watch import LegWatch
from app.domain.limiter import Priority
from app.domain.rate_gate import RateGate
from app.domain.renewal import replaces
from app.domain.settling import Settlings
from messages.carries import CarryOrders, CarryPolicy, CarryReply, OrderCarried, OrderParked
from messages.market import Lots, Symbol, Ticker
from messages.orders import LegState, OrderSpec, OrderView, Side

_ENDS = (LegEvent.SEEN_CANCELLED, LegEvent.SEEN_EXPIRED)
FRESH_S = 1.0
"""How old a price may be by which it is decided whether an order would trade, or go off, at once."""

STAYS_S = 1.0
"""Between looks at whether what only reduces still has something to reduce on an exchange that was left."""


@define
class _Coming:
    """An order that is to be taken up."""

    order: OrderView
    standing: Standing
    busy: bool = False


@define
class _Asked:
    """Somebody waits to hear what became of some."""

    asker: Asker
    request: CarryOrders
    orders: set[str]
    drained: set[str] = field(factory=set)
    carried: list[OrderCarried] = field(factory=list)
    parked: list[OrderParked] = field(factory=list)


@define
class Carrying:
    """Of one connector.

    Attributes:
        admits: Why the exchange's rules do not admit an order; empty where they do.
        lots: Which orders a market takes; None where it is not traded there.
        left: Whether trading is on another exchange, by the journal.
        held: What fills of ours add up to here, in base coin, below zero when short.
    """

    exchange: str
    settings: ConnectorSettings
    watch: LegWatch
    rate_gate: RateGate
    admits: Callable[[OrderSpec], str]
    lots: Callable[[Symbol], Lots | None]
    left: Callable[[], bool]
    held: Callable[[Symbol], Decimal]
    held_elsewhere: Callable[[Symbol], Decimal]
    _marking: set[str] = field(init=False, factory=set)
    _gone_s: dict[tuple[str, int], float] = field(init=False, factory=dict)
    _away: set[tuple[str, int]] = field(init=False, factory=set)
    _stays_s: float | None = field(init=False, default=None)
    _coming: dict[str, _Coming] = field(init=False, factory=dict)
    _asked: list[_Asked] = field(init=False, factory=list)
    _tickers: dict[Symbol, tuple[Ticker, float]] = field(init=False, factory=dict)
    _reading: set[Symbol] = field(init=False, factory=set)
    _epoch: int = field(init=False, default=0)
    _policy: CarryPolicy = field(init=False, default=CarryPolicy.REPLACE)

    # ------------------------------------------------------------------------------------------------ taken off

    def recover(self, now_s: float) -> None:
        """After a start: an earlier life may have left here what only reduces."""
        self._stays_s = now_s

    def stays(self, task: LegTask) -> bool:
        """Whether an order stays where it is for as long as there is something there that it reduces."""
        spec = task.order.spec
        return spec.reduce_only and not parent_of(task.order.key) and _reduces(spec, self.held(spec.symbol))

    def marks(
        self, tasks: Mapping[str, LegTask], settlings: Settlings, now_s: float, gone: Iterable[LegTask] = ()
    ) -> list[Effect]:
        """What is to be marked now, before it is cancelled.

        Args:
            gone: The exchange itself has taken it off (`app.domain.dead_man`).
        """
        wanted = [task for task in (*settlings.to_mark(tasks), *gone) if task.name not in self._marking]
        if len(settlings):
            self._stays_s = now_s if self._stays_s is None else self._stays_s
        if self._stays_s is not None and now_s >= self._stays_s:
            waits = [task for task in tasks.values() if _may_follow(task)]
            left = bool(waits) and self.left()
            wanted += [each for each in waits if left and not self.stays(each) and each.name not in self._marking]
            self._stays_s = now_s + STAYS_S if (waits and left) or len(settlings) else None
        out: list[Effect] = []
        for task in {task.name: task for task in wanted}.values():
            self._marking.add(task.name)
            out.append(task.record(LegEvent.CARRY_ASKED))
        return out

    def recorded(self, order: OrderView) -> None:
        """The journal took something of an order."""
        self._marking.discard(order.order_id)
        if order.leg is not None and order.leg.state is not LegState.OPEN:
            self._gone_s.pop((order.order_id, len(order.legs) - 1), None)
            self._away.discard((order.order_id, len(order.legs) - 1))

    def not_recorded(self, order_id: str) -> None:
        """The journal did not."""
        self._marking.discard(order_id)

    def divert(self, task: LegTask, effects: list[Effect], flight: Flight, now_s: float) -> list[Effect]:
        """What was learned of a leg: an end is kept back until it is proven, and no end is one of a carried order.

        Args:
            flight: The call by which it was learned.
        """
        out: list[Effect] = []
        for each in effects:
            mine = isinstance(each, Record) and each.order_id == task.order.order_id and each.number == task.leg.number
            if isinstance(each, Record) and mine and not task.behind and not task.unwanted:
                out += self._diverted(task, each, flight, now_s)
            else:
                out.append(each)
        return out

    def _diverted(self, task: LegTask, record: Record, flight: Flight, now_s: float) -> list[Effect]:
        if record.event is LegEvent.SEEN_CANCELLED and task.leg.carry_s is not None:
            return self._ended(task, record, flight, now_s)
        if record.event in _ENDS and task.order.spec.reduce_only and self._goes_on(task):
            return self._outlived(task, record, flight, now_s)
        if record.event in (LegEvent.REFUSED, LegEvent.PROVEN_ABSENT) and _ours(task):
            if record.event is LegEvent.REFUSED:
                return [evolve(record, event=LegEvent.PARKED, code=after_refusal(record.code))]
            # Without the exchange's own code: only by a refusal is its id used up (`is_same_leg`).
            return [evolve(record, event=LegEvent.PARKED, code=NOT_EXECUTED, native_code=None)]
        return [record]

    def _goes_on(self, task: LegTask) -> bool:
        """Whether what an order reduces is elsewhere, or will be: also where trading came back before it did."""
        key = task.order.order_id, task.number
        if _reduces(task.order.spec, self.held_elsewhere(task.order.spec.symbol)):
            self._away.add(key)
        return key in self._away or self.left()

    def _outlived(self, task: LegTask, record: Record, flight: Flight, now_s: float) -> list[Effect]:
        """Exchanges end what only reduces when its position goes, and may be quicker than we: it follows it."""
        marked = task.leg.carry_s is not None
        if not marked and not _may_follow(task):
            return [record]
        ended = self._ended(task, evolve(record, event=LegEvent.SEEN_CANCELLED), flight, now_s)
        if not any(isinstance(each, Record) and each.event is LegEvent.SEEN_CANCELLED for each in ended):
            return ended
        if marked:
            return ended
        # All that it reduces is here, by our own fills: then somebody ended it at the exchange, and it is over.
        here = self.stays(task) and (task.order.order_id, task.number) not in self._away
        return [record] if here else [task.record(LegEvent.CARRY_ASKED), *ended]

    def _ended(self, task: LegTask, record: Record, flight: Flight, now_s: float) -> list[Effect]:
        """An end is proven by the engine's own answer to the cancel, else by two look-ups, a visibility lag apart."""
        if record.filled is None:
            self.watch.look_again(task, now_s)
            return []
        if isinstance(flight.call, c.CancelCall):
            return [record]
        key = task.order.order_id, task.number
        first_s, lag_s = self._gone_s.get(key), self.watch.proof.visibility_s
        if first_s is not None and flight.sent_s >= first_s + lag_s:
            self._gone_s.pop(key, None)
            return [record]
        self._gone_s[key] = now_s if first_s is None else first_s
        self.watch.look_at(task, self._gone_s[key] + lag_s)
        return [evolve(record, event=LegEvent.SEEN_PARTIAL)] if record.filled > task.leg.filled else []

    # ------------------------------------------------------------------------------------------------ taken up

    def ask(
        self, asker: Asker, request: CarryOrders, orders: Iterable[tuple[OrderView, Standing]], now_s: float
    ) -> list[Effect]:
        """Somebody wants taken up what is to be; `orders` are all of them, as the journal has them now."""
        self._epoch, self._policy = request.epoch, request.policy
        asked = _Asked(asker, request, set())
        for order, standing in orders:
            asked.orders.add(order.order_id)
            if order.leg is not None and order.leg.state is LegState.DRAINED:
                asked.drained.add(order.order_id)
            coming = self._coming.get(order.order_id)
            if coming is None or coming.order.leg != order.leg:
                self._coming[order.order_id] = _Coming(order, standing)
            else:
                coming.standing = standing
        self._asked.append(asked)
        return self._pursue_all(now_s)

    def _pursue_all(self, now_s: float) -> list[Effect]:
        out: list[Effect] = []
        for coming in list(self._coming.values()):
            out += self._pursue(coming, now_s)
        return out + self.answers(now_s)

    def _pursue(self, coming: _Coming, now_s: float) -> list[Effect]:
        order, leg = coming.order, coming.order.leg
        assert leg is not None, "only what was committed is carried"
        if coming.busy:
            return []
        decision = self._decided(order, coming.standing, now_s)
        if isinstance(decision, TickerNeeded):
            return self._read(order.spec.symbol, now_s)
        if isinstance(decision, Park) and leg.state is LegState.PARKED and leg.reason_code == decision.code:
            del self._coming[order.order_id]  # as it was: whoever asks next finds it again
            return []
        if isinstance(decision, Carry):
            tries = tries_of(order, self.exchange)
            if tries and now_s < leg.updated_s + AGAIN_S[min(tries, len(AGAIN_S)) - 1]:
                del self._coming[order.order_id]
                return []
            latest_s = now_s + self.settings.request_timeout_s
            errand = ForLeg(order.order_id, leg.number, "carry")
            if not self.rate_gate.about_leg(errand, LegTask(order=order), Priority.PLACE, latest_s, now_s):
                del self._coming[order.order_id]
                return []
            coming.busy = True
            return []
        coming.busy = True
        return [self._take_up(order, now_s)]

    def _decided(self, order: OrderView, standing: Standing, now_s: float) -> Decision:
        spec, _ = asked_of(order)
        ticker = None
        if needs_ticker(spec):
            found = self._tickers.get(spec.symbol)
            ticker = found[0] if found is not None and now_s - found[1] <= FRESH_S else None
        facts = Facts(
            policy=self._policy,
            max_age_s=self.settings.max_carry_age_s,
            exchange=self.exchange,
            standing=standing,
            ticker=ticker,
            lots=self.lots(spec.symbol),
            check=self.admits,
        )
        return decide(order, facts, now_s)

    def _take_up(self, order: OrderView, now_s: float) -> TakeUp:
        leg = order.leg
        assert leg is not None
        return TakeUp(
            order_id=order.order_id,
            number=leg.number,
            epoch=self._epoch,
            expiry_s=now_s + self.watch.proof.validity_s,
            decide=partial(self._decided, now_s=now_s),
            spec=order.spec,
        )

    def granted(self, item: ForLeg, now_s: float) -> list[Effect]:
        """The rate limiter lets one go."""
        coming = self._coming.get(item.order_id)
        if coming is None or coming.order.leg is None or coming.order.leg.number != item.number:
            return []
        return [self._take_up(coming.order, now_s)]

    def late(self, item: ForLeg, now_s: float) -> list[Effect]:
        """The rate limiter did not let one go in time: whoever asks next finds it again."""
        self._coming.pop(item.order_id, None)
        return self.answers(now_s)

    def _read(self, symbol: Symbol, now_s: float) -> list[Effect]:
        if symbol in self._reading:
            return []
        call = c.TickerCall(symbol=symbol, deadline_s=now_s + self.settings.request_timeout_s)
        if self.rate_gate.read(Read(Inside.CARRIES, None, call), Priority.PLACE, now_s):
            self._reading.add(symbol)
            return []
        return self._unpriced(symbol)

    def _unpriced(self, symbol: Symbol) -> list[Effect]:
        for order_id, coming in list(self._coming.items()):
            if coming.order.spec.symbol == symbol and not coming.busy:
                del self._coming[order_id]
        return []

    def priced(self, symbol: Symbol, result: c.Result, now_s: float) -> list[Effect]:
        """The market of a symbol was read, or could not be."""
        self._reading.discard(symbol)
        if isinstance(result, c.TickerResult):
            self._tickers[symbol] = result.ticker, now_s
            return self._pursue_all(now_s)
        return self._unpriced(symbol) + self.answers(now_s)

    def carried(self, carried: Carried, now_s: float) -> LegTask | None:
        """What the journal made of one: the task of what is to be sent now; None where nothing is."""
        order = carried.order
        coming = self._coming.pop(order.order_id, None)
        if isinstance(carried.decision, TickerNeeded) and coming is not None:
            coming.busy = False
            self._coming[order.order_id] = coming  # the price grew old while the turn was waited for
            return None
        for each in self._asked:
            if order.order_id in each.orders:
                _tell(each, carried, self.exchange)
        return LegTask(order=order) if carried.fresh else None

    def not_carried(self, order_id: str) -> None:
        """The journal did not take it: whoever asks next finds it again."""
        self._coming.pop(order_id, None)

    def answers(self, now_s: float) -> list[Effect]:
        """Replies to those for whom nothing is under way, or whose time is up; they are forgotten."""
        out: list[Effect] = []
        for each in list(self._asked):
            under_way = each.orders & self._coming.keys()
            if under_way and now_s < each.request.deadline_s:
                continue
            self._asked.remove(each)
            over = {told.order_id for told in each.carried} | {told.order_id for told in each.parked}
            reply = CarryReply(
                correlation_id=each.request.correlation_id,
                exchange=self.exchange,
                carried=tuple(each.carried),
                parked=tuple(each.parked),
                waiting=len((each.orders & each.drained) - over),
            )
            out.append(Answer(asker=each.asker, message=reply))
        return out

    # ------------------------------------------------------------------------------------------------ time

    def tick(self, now_s: float) -> list[Effect]:
        """Goes on with what can go on, and answers whose time is up."""
        return self._pursue_all(now_s) if self._asked or self._coming else []

    def next_s(self) -> float | None:
        """When there is something to do next; None for never."""
        due = [each.request.deadline_s for each in self._asked]
        return min([*due, self._stays_s] if self._stays_s is not None else due, default=None)


def _ours(task: LegTask) -> bool:
    """Whether nobody but the router waits for a leg to be placed."""
    moves = task.leg.carry_s is not None and replaces(task.order)
    return moves or is_carried(task.order, task.number)


def _reduces(spec: OrderSpec, held: Decimal) -> bool:
    return held > 0 if spec.side is Side.SELL else held < 0


def _may_follow(task: LegTask) -> bool:
    """Whether a leg that was left behind goes after what it reduces."""
    spec = task.order.spec
    return spec.reduce_only and task.leg.carry_s is None and takes_away(task.order, task.leg)


def _tell(asked: _Asked, carried: Carried, exchange: str) -> None:
    order, decision = carried.order, carried.decision
    leg, key = order.leg, order.key
    assert leg is not None
    if carried.fresh:
        before = order.legs[-2]
        price = order.now.price
        asked.carried.append(
            OrderCarried(
                order_id=order.order_id,
                client_order_id=key.client_order_id,
                from_exchange=before.exchange,
                to_exchange=exchange,
                filled=format(order.filled, "f"),
                quantity=format(leg.quantity, "f"),
                price="" if price is None else format(price, "f"),
            )
        )
    elif isinstance(decision, Park):
        left = order.quantity - order.filled
        asked.parked.append(
            OrderParked(
                order_id=order.order_id,
                client_order_id=key.client_order_id,
                from_exchange=leg.exchange,
                quantity=format(left, "f"),
                code=decision.code,
                words=decision.words,
            )
        )
    if isinstance(decision, Finished) or leg.state not in (LegState.DRAINED, LegState.PARKED):
        asked.orders.discard(order.order_id)
