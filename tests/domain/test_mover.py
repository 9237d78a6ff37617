"""The moving half of the synchronizer over a real journal: messages are lost and doubled, outcomes unknown, lives end.

After each event the net over all exchanges, by what they truly executed, is off by one slice at most; and once they all
answer, everything of ours stands where trading is.
"""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from attrs import define, evolve, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.position_moves import PositionMoves
from app.domain.commit import AlreadyKnown, Fenced
from app.domain.leg_life import LegEvent
from app.domain.lots import down
from app.domain.position_settings import PositionSettings
from app.journal.store import Committed, Journal
from messages.account import GetAccount, PrepareSymbol
from messages.base import Failed
from messages.failover import NotRouted, Switch, SwitchResult
from messages.market import GetQuote, Lots, QuoteReply, Ticker
from messages.orders import (
    GetOrder,
    LegState,
    OrderAccepted,
    OrderKey,
    OrderPending,
    OrderRefused,
    OrderReply,
    PlaceOrder,
    Purpose,
    Side,
)
from messages.positions import GetPositions, MovePositions, MovesReply, Position, PositionPolicy, PositionsReply
from messages.supervision import Role
from tests.depth import examples
from tests.domain.orders import BTC, fixed_journal, spec

D = Decimal
ZERO = D(0)
NAMES = ("bybit", "okx", "binance")
PRICE = D(20000)
STEP = D("0.001")
LOTS = Lots(step=STEP, minimum=STEP, tick=D("0.1"))


@frozen
class Truth:
    """What an exchange has executed of an order that nobody has told the journal of."""

    order_id: str
    signed: Decimal


@define
class Desk:
    """Three exchanges, a journal and the moving half; `queue` is what is on its way between them."""

    policy: PositionPolicy = PositionPolicy.MIGRATE
    notional: Decimal = Decimal(200)
    market_type: str = "swap"
    journal: Journal = field(init=False, factory=fixed_journal)
    now_s: float = field(init=False, default=1000.0)
    actual: dict[str, Decimal] = field(init=False, factory=lambda: dict.fromkeys(NAMES, ZERO))
    dead: set[str] = field(init=False, factory=set)
    queue: list[tuple[str, Any]] = field(init=False, factory=list)
    told: list[Any] = field(init=False, factory=list)
    doubts: list[Truth] = field(init=False, factory=list)
    lives: int = field(init=False, default=0)
    off: Decimal = field(init=False, default=ZERO)
    worst: Decimal = field(init=False, default=ZERO)
    asked: list[str] = field(init=False, factory=list)
    half: PositionMoves = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.switch("bybit")
        self.begin()

    # ---- the actor

    def begin(self) -> None:
        """A new life: whatever the last one knew is gone."""
        self.lives += 1
        environment: Any = SimpleNamespace(
            connectors=dict.fromkeys(NAMES),
            positions=PositionSettings(policy=self.policy, slice_notional=self.notional, max_cost=D("0.9")),
            market_type=self.market_type,
            order_timeout_s=5.0,
        )
        directory: Any = SimpleNamespace(find=self.find)
        self.half = PositionMoves(
            self.journal, environment, self.lives, send=self.send, directory=lambda: directory, now_s=self.now_s
        )

    def find(self, role: Role, name: str) -> Any:
        assert role is Role.CONNECTOR
        return SimpleNamespace(address=name)

    def send(self, address: Any, message: Any) -> None:
        if address == "asker":
            self.told.append(message)
        else:
            self.queue.append((address, message))

    def wake(self) -> None:
        """Time passes until something is due."""
        due_s = self.half.next_s(self.now_s)
        assert due_s is not None
        self.now_s = max(self.now_s + 0.001, due_s)
        self.half.on_tick(self.now_s)

    # ---- the exchanges

    def switch(self, exchange: str) -> None:
        self.journal.commit_route(self.journal.fence(self.now_s).epoch, exchange, self.now_s)

    def trade(self, quantity: Decimal, name: str) -> None:
        """A strategy's order fills where trading is."""
        route = self.journal.route()
        assert route.exchange is not None
        side = Side.BUY if quantity > 0 else Side.SELL
        made = self.journal.commit_intent(
            exchange=route.exchange,
            epoch=route.epoch,
            key=OrderKey(strategy="s", client_order_id=name),
            spec=evolve(spec(), side=side, quantity=abs(quantity)),
            expiry_s=self.now_s + 5,
            now_s=self.now_s,
        )
        assert isinstance(made, Committed)
        self.journal.record(made.order.order_id, 1, LegEvent.SEEN_FILLED, now_s=self.now_s, filled=abs(quantity))
        self.actual[route.exchange] += quantity

    def deliver(self, share: Decimal, *, unknown: bool = False, silent: bool = False) -> None:
        """The first message on its way arrives; its answer gets lost where `silent`."""
        if not self.queue:
            return
        exchange, request = self.queue.pop(0)
        if exchange in self.dead or self.now_s >= request.deadline_s:
            return
        reply = self.answer(exchange, request, share, unknown)
        if not silent:
            assert self.half.on_message(reply, exchange, self.now_s)

    def placed(self, share: Decimal, *, unknown: bool, silent: bool) -> None:
        """All goes well until the next placement arrives, should one come soon."""
        before = len(self.asked)
        for _ in range(12):
            if not self.queue:
                self.wake()
            last = bool(self.queue) and isinstance(self.queue[0][1], PlaceOrder)
            self.deliver(share, unknown=unknown, silent=silent and last)
            if len(self.asked) > before:
                return

    def answer(self, exchange: str, request: Any, share: Decimal, unknown: bool) -> Any:
        named = request.correlation_id
        match request:
            case GetQuote():
                ticker = Ticker(
                    exchange=exchange,
                    symbol=BTC,
                    bid=PRICE - D("0.1"),
                    ask=PRICE + D("0.1"),
                    last=PRICE,
                    mark=PRICE,
                    at_s=self.now_s,
                )
                return QuoteReply(correlation_id=named, ticker=ticker, lots=LOTS)
            case GetPositions():
                held = self.actual[exchange]
                position = Position(
                    exchange=exchange,
                    symbol=BTC,
                    quantity=held,
                    entry_price=PRICE,
                    mark_price=PRICE,
                    leverage=D(5),
                    unrealised_pnl=None,
                    at_s=self.now_s,
                )
                return PositionsReply(correlation_id=named, exchange=exchange, positions=(position,) if held else ())
            case GetAccount() | PrepareSymbol():
                return Failed(correlation_id=named, code="unsupported", words="It tells none.")
            case GetOrder():
                assert request.order_id is not None
                self.resolve(request.order_id)
                found = self.journal.order(request.order_id)
                assert found is not None
                return OrderReply(correlation_id=named, order=found)
            case PlaceOrder():
                return self.place(exchange, request, share, unknown)
        raise AssertionError(f"nobody knows {request}")

    def place(self, exchange: str, request: PlaceOrder, share: Decimal, unknown: bool) -> Any:
        named = request.correlation_id
        assert request.purpose is Purpose.MOVE
        made = self.journal.commit_intent(
            exchange=exchange,
            epoch=request.epoch,
            key=request.key,
            spec=request.spec,
            expiry_s=self.now_s + 5,
            now_s=self.now_s,
            purpose=Purpose.MOVE,
        )
        if isinstance(made, AlreadyKnown):
            return OrderAccepted(correlation_id=named, order=made.order)
        if isinstance(made, Fenced):
            return NotRouted(correlation_id=named, route=made.route)
        if not isinstance(made, Committed):
            return OrderRefused(correlation_id=named, code="x", words=str(made))
        order_id, buys = made.order.order_id, request.spec.side is Side.BUY
        self.asked.append(request.key.client_order_id)
        most = request.spec.quantity
        if request.spec.reduce_only:
            most = min(most, max(ZERO, -self.actual[exchange] if buys else self.actual[exchange]))
        filled = down(most * share, STEP)
        signed = filled if buys else -filled
        self.actual[exchange] += signed
        if not request.key.client_order_id.endswith(("/flat", "/mirror")):
            self.off += signed
        if unknown:
            self.journal.record(order_id, 1, LegEvent.SENT_AMBIGUOUS, now_s=self.now_s)
            self.doubts.append(Truth(order_id, signed))
            found = self.journal.order(order_id)
            assert found is not None
            return OrderPending(correlation_id=named, order=found)
        return OrderAccepted(correlation_id=named, order=self.over(order_id, filled))

    def over(self, order_id: str, filled: Decimal) -> Any:
        order = self.journal.order(order_id)
        assert order is not None
        event = LegEvent.SEEN_FILLED if filled == order.quantity else LegEvent.SEEN_CANCELLED
        return self.journal.record(
            order_id, 1, event, now_s=self.now_s, filled=filled, average_price=PRICE, exchange_order_id="x"
        ).order

    def resolve(self, order_id: str | None = None) -> None:
        """A look-up finds what became of an order in doubt, once its exchange answers."""
        for truth in list(self.doubts):
            order = self.journal.order(truth.order_id)
            assert order is not None
            assert order.leg is not None
            if order_id in (None, truth.order_id) and order.leg.exchange not in self.dead:
                self.doubts.remove(truth)
                self.over(truth.order_id, abs(truth.signed))

    # ---- what must hold

    def check(self) -> None:
        self.worst = max(self.worst, abs(self.off))
        assert self.worst <= max(down(self.notional / PRICE, STEP), STEP), self.asked
        attributed, _ = self.journal.book()
        in_doubt: dict[str, Decimal] = dict.fromkeys(NAMES, ZERO)
        for truth in self.doubts:
            order = self.journal.order(truth.order_id)
            assert order is not None
            assert order.leg is not None
            in_doubt[order.leg.exchange] += truth.signed
        for name in NAMES:
            assert attributed.get((name, BTC), ZERO) + in_doubt[name] == self.actual[name]
        may = [o for o in self.journal.open_orders() if o.leg is not None and o.leg.state is not LegState.HELD]
        assert len(may) <= 1, "one order of a symbol may still fill"

    def calm(self, turns: int = 3000) -> None:
        """Everything answers from now on, until nothing is left to do."""
        self.dead.clear()
        for _ in range(turns):
            self.resolve()
            if self.queue:
                self.deliver(D(1))
            elif self.half.machine.idle and not any(
                held for name, held in self.actual.items() if name != self.journal.route().exchange
            ):
                return
            else:
                self.wake()
            self.check()
        raise AssertionError(f"it did not come to an end: {self.actual}, {self.half.machine.stays}, {self.asked[-8:]}")


RARE = ("drop", "double", "late", "crash", "wake", "switch", "dead", "back")
EVENTS = st.sampled_from([*["deliver"] * 4, *["placed"] * 4, "silent", "unknown", "unknown", *RARE])
SHARES = st.sampled_from([D(1), D(1), D(1), D("0.5"), D("0.1"), ZERO])


@settings(max_examples=examples(20, 200), deadline=None)
@given(
    quantity=st.integers(-60, 60),
    notional=st.integers(10, 800),
    happens=st.lists(st.tuples(EVENTS, SHARES, st.integers(0, 2)), max_size=60),
)
def test_whatever_is_lost_and_whoever_dies_the_net_is_off_by_one_slice(
    quantity: int, notional: int, happens: list[tuple[str, Decimal, int]]
) -> None:
    desk = Desk(notional=D(notional))
    if quantity:
        desk.trade(D(quantity) / 1000, "first")
    desk.switch("okx")
    desk.begin()
    for event, share, which in happens:
        match event:
            case "deliver":
                desk.deliver(share)
            case "placed" | "silent" | "unknown":
                desk.placed(share, unknown=event == "unknown", silent=event == "silent")
            case "drop" if desk.queue:
                desk.queue.pop(0)
            case "double" if desk.queue:
                desk.queue.append(desk.queue[0])
            case "late" if desk.queue:
                desk.queue.append(desk.queue.pop(0))
            case "crash":
                desk.begin()
            case "wake":
                desk.wake()
            case "switch":
                desk.switch(NAMES[which])
            case "dead":
                desk.dead.add(NAMES[which])
            case "back":
                desk.dead.discard(NAMES[which])
        desk.check()
    desk.calm()
    assert desk.off == 0
    assert desk.actual[desk.journal.route().exchange or ""] == D(quantity) / 1000
    assert desk.journal.sums_differ() == ""
    desk.journal.close()


def test_a_life_that_begins_in_the_middle_of_a_slice_closes_it_first() -> None:
    desk = Desk()
    desk.trade(D("0.02"), "first")
    desk.switch("okx")
    desk.wake()
    while not desk.asked:
        desk.deliver(D(1), silent=isinstance(desk.queue[0][1], PlaceOrder))
    assert desk.asked == ["move/2/BTC/USDT:USDT/1/open"]
    desk.queue.clear()
    desk.begin()
    desk.calm()
    assert desk.asked[1] == "move/2/BTC/USDT:USDT/2/close"
    assert desk.actual == {"bybit": 0, "okx": D("0.02"), "binance": 0}


def test_the_plan_is_told_before_it_runs_and_nothing_moves_for_it() -> None:
    desk = Desk(policy=PositionPolicy.TRACK)
    desk.trade(D("0.025"), "first")
    desk.switch("okx")
    request = MovePositions(
        correlation_id="plan", deadline_s=desk.now_s + 5, epoch=2, policy=PositionPolicy.MIGRATE, dry_run=True
    )
    assert desk.half.on_message(request, "asker", desk.now_s)
    while not desk.told:
        desk.deliver(D(1))
    (reply,) = desk.told
    assert isinstance(reply, MovesReply)
    assert [each.quantity for each in reply.plan.slices] == [D("0.009"), D("0.009"), D("0.007")]
    assert reply.plan.notional == D("0.025") * D("20000.1")
    assert reply.plan.cost == D("0.025") * D("0.2")
    assert (desk.asked, reply.done) == ([], False)


def test_a_plan_asked_for_between_two_exchanges_waits_for_the_next_one() -> None:
    """While the epoch is fenced and nothing committed, nobody knows where anything would go."""
    desk = Desk()
    desk.trade(D("0.02"), "first")
    desk.journal.fence(desk.now_s)
    request = MovePositions(correlation_id="plan", deadline_s=desk.now_s + 5, epoch=2, dry_run=True)
    assert desk.half.on_message(request, "asker", desk.now_s)
    while not desk.told:
        desk.wake()
    (reply,) = desk.told
    assert (reply.plan.slices, reply.done, desk.asked) == ((), False, [])
    assert desk.now_s < request.deadline_s


def test_who_asks_is_told_what_was_moved_when_it_is_done() -> None:
    desk = Desk()
    desk.trade(D("-0.02"), "first")
    desk.switch("okx")
    request = MovePositions(correlation_id="move", deadline_s=desk.now_s + 60, epoch=2)
    assert desk.half.on_message(request, "asker", desk.now_s)
    desk.calm()
    (reply,) = desk.told
    assert (reply.done, reply.plan.slices) == (True, ())
    assert sum(each.quantity for each in reply.moved) == D("0.02")
    assert {(each.from_exchange, each.to_exchange, each.long) for each in reply.moved} == {("bybit", "okx", False)}


def test_what_waits_is_told_by_the_deadline() -> None:
    desk = Desk()
    desk.trade(D("0.02"), "first")
    desk.switch("okx")
    desk.dead.add("bybit")
    request = MovePositions(correlation_id="move", deadline_s=desk.now_s + 8, epoch=2)
    assert desk.half.on_message(request, "asker", desk.now_s)
    while not desk.told:
        if desk.queue:
            desk.deliver(D(1))
        else:
            desk.wake()
    (reply,) = desk.told
    assert not reply.done
    (stays,) = reply.plan.stays
    assert stays.words == "BTC/USDT:USDT waits until bybit answers: it gave no answer in time."
    assert desk.now_s < request.deadline_s


def test_a_person_may_have_everything_closed_where_trading_is_too() -> None:
    desk = Desk(policy=PositionPolicy.TRACK)
    desk.trade(D("0.02"), "first")
    desk.switch("okx")
    desk.trade(D("-0.005"), "second")
    request = MovePositions(correlation_id="flat", deadline_s=desk.now_s + 60, epoch=2, policy=PositionPolicy.FLATTEN)
    assert desk.half.on_message(request, "asker", desk.now_s)
    for _ in range(400):
        if desk.told:
            break
        if desk.queue:
            desk.deliver(D(1))
        else:
            desk.wake()
    (reply,) = desk.told
    assert reply.done
    assert set(desk.actual.values()) == {ZERO}


def test_on_spot_nothing_is_moved_and_nothing_flattened() -> None:
    """There are balances, not positions."""
    desk = Desk(market_type="spot")
    desk.trade(D("0.02"), "first")
    desk.switch("okx")
    with desk.journal.together():
        desk.journal._db.execute("INSERT INTO controls VALUES ('frozen', 'Panic.', 1), ('flatten', 'Panic.', 1)")
    for _ in range(20):
        desk.wake()
    assert desk.journal.controls().flatten
    assert desk.queue == []


def test_a_mirror_is_made_once_for_a_switch() -> None:
    desk = Desk(policy=PositionPolicy.MIRROR)
    desk.trade(D("0.02"), "first")
    desk.switch("okx")
    desk.journal.save_switch(_switch("bybit", "okx", 2))
    request = MovePositions(correlation_id="mirror", deadline_s=desk.now_s + 60, epoch=2)
    assert desk.half.on_message(request, "asker", desk.now_s)
    for _ in range(400):
        if desk.told:
            break
        if desk.queue:
            desk.deliver(D(1))
        else:
            desk.wake()
    assert desk.told[0].done
    assert desk.actual == {"bybit": D("0.02"), "okx": D("0.02"), "binance": 0}
    desk.begin()
    desk.trade(D("0.01"), "second")
    for _ in range(50):
        desk.wake()
        while desk.queue:
            desk.deliver(D(1))
    assert desk.actual["okx"] == D("0.03"), "what is traded since is not undone"


def _switch(left: str, to: str, epoch: int) -> Switch:
    return Switch(
        from_exchange=left,
        to_exchange=to,
        reason="x",
        at_s=1.0,
        epoch=epoch,
        result=SwitchResult.COMPLETED,
        duration_s=0.1,
    )
