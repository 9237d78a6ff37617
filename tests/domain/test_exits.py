"""Take profit and stop loss as orders of their own: whatever fills, fails and dies, they equal what is still open.

The watch is driven as the connector drives it, over a journal and an exchange that are a few dictionaries. A crash
forgets everything but those.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.effects import Mark
from app.domain.exit_watch import ExitWatch
from app.domain.exits import (
    AGAIN_S,
    GONE_AFTER,
    MAX_STANDING,
    NOW,
    Exit,
    ExitKind,
    parent_of,
    spec_of,
)
from app.domain.leg_life import LIVE, UNPROVEN
from app.domain.symbols import parse_symbol
from messages.base import Reply
from messages.market import MarketType
from messages.orders import (
    LegState,
    LegView,
    Linked,
    OrderAccepted,
    OrderKey,
    OrderNotExecuted,
    OrderRefused,
    OrderSpec,
    OrderType,
    OrderView,
    PlaceOrder,
    Side,
    TriggerKind,
)
from tests.depth import examples

SL, TP = ExitKind.STOP_LOSS, ExitKind.TAKE_PROFIT
KINDS = (SL, TP)
LEAST = Decimal(2)
"""What the market takes at least; quantities here are whole."""
SPEC = OrderSpec(
    symbol=parse_symbol("BTCUSDT", MarketType.SWAP),
    side=Side.BUY,
    order_type=OrderType.LIMIT,
    quantity=Decimal(20),
    price=Decimal(100),
    take_profit=Decimal(120),
    stop_loss=Decimal(90),
)


def leg_of(quantity: Decimal, *, linked: Linked | None, at_s: float, state: LegState = LegState.OPEN) -> LegView:
    """A first leg."""
    return LegView(
        number=1, exchange="x", epoch=1, wire_id="w", quantity=quantity, state=state, committed_s=at_s, expiry_s=at_s,
        attempts=1, exchange_order_id="e", filled=Decimal(0), average_price=None, reason_code=None, reason_words=None,
        native_code=None, created_s=at_s, updated_s=at_s, linked=linked,
    )  # fmt: skip


class World:
    """A journal and an exchange: all that survives a crash.

    Attributes:
        outcome: What the exchange makes of the next placements: a state, and a code for a refusal.
        cancelling: Exits whose cancel is on its way.
        moved: Where their owner has moved the triggers of a kind.
    """

    def __init__(self, spec: OrderSpec = SPEC) -> None:
        self.now_s = 1000.0
        leg = leg_of(spec.quantity, linked=Linked.OPEN, at_s=self.now_s)
        key = OrderKey(strategy="s", client_order_id="parent")
        self.parent = OrderView(order_id="p", key=key, spec=spec, legs=(leg,), created_s=self.now_s)
        self.exits: dict[Exit, OrderView] = {}
        self.outcomes: list[tuple[LegState, str]] = []
        self.cancelling: set[Exit] = set()
        self.moved: dict[ExitKind, Decimal] = {}
        self.watch = self._new_watch()
        self.take(self.watch.changed(self.parent, self.now_s))

    def _new_watch(self) -> ExitWatch:
        return ExitWatch(
            exchange="x",
            timeout_s=5.0,
            admits=lambda spec: "" if spec.quantity >= LEAST else "too small",
            ready=lambda: True,
        )

    # ---- what the connector does -------------------------------------------------------------------------------------

    def take(self, wanted: list[PlaceOrder | Mark], *, die_after: int | None = None) -> None:
        """Performs what the watch wants; dies after so many of it."""
        for number, each in enumerate(wanted):
            if die_after is not None and number >= die_after:
                return self.crash()
            if isinstance(each, Mark):
                self._mark(each)
            else:
                self._place(each)
            self.check()
        return None

    def _mark(self, mark: Mark) -> None:
        if mark.order_id == self.parent.order_id:
            self.parent = evolve(self.parent, legs=(evolve(self.leg, linked=mark.linked),))
            return self.take(self.watch.marked(self.parent, self.now_s))
        name = next(name for name, order in self.exits.items() if order.order_id == mark.order_id)
        self._learn(name, linked=mark.linked, told=False)
        self.cancelling.add(name)
        return self.take(self.watch.marked(self.exits[name], self.now_s))

    def _place(self, request: PlaceOrder) -> None:
        name = Exit.named(request.key.client_order_id)
        assert name is not None
        assert name.kind in (*KINDS, *NOW.values())
        moved = self.moved.get(name.kind)
        assert request.spec == spec_of(self.parent.spec, name.kind, request.spec.quantity, moved)
        assert request.spec.quantity >= LEAST
        known = self.exits.get(name)
        if known is not None and known.leg is not None and known.leg.state is not LegState.ABSENT:
            return self._answer(request, OrderAccepted(correlation_id=request.correlation_id, order=known))
        if known is not None:
            assert known.spec == request.spec, "the same name for another order"
        state, code = self.outcomes.pop(0) if self.outcomes else (LegState.OPEN, "")
        if code == "turned_away":
            words = OrderNotExecuted(correlation_id=request.correlation_id, code=code, words="busy")
            return self._answer(request, words)
        attempts = known.leg.attempts + 1 if known is not None and known.leg is not None else 1
        leg = leg_of(request.spec.quantity, linked=None, at_s=self.now_s, state=LegState.INTENT)
        leg = evolve(leg, attempts=attempts)
        self.exits[name] = OrderView(
            order_id=f"o-{name.client_order_id}", key=request.key, spec=request.spec, legs=(leg,), created_s=self.now_s
        )
        self.take(self.watch.changed(self.exits[name], self.now_s))
        self._learn(name, state=state, reason_code=code or None)
        self._at_market(name)
        order = self.exits[name]
        asked = request.correlation_id
        reply: dict[LegState, Reply] = {
            LegState.REFUSED: OrderRefused(correlation_id=asked, code=code, words="no", order=order),
            LegState.ABSENT: OrderNotExecuted(correlation_id=asked, code=code, words="no", order=order),
        }
        return self._answer(request, reply.get(state, OrderAccepted(correlation_id=asked, order=order)))

    def _at_market(self, name: Exit) -> None:
        """One at the market fills, no further than the position goes, and the rest of it is cancelled."""
        leg = self._leg(name)
        if name.kind in NOW.values() and leg.state is LegState.OPEN:
            filled = min(leg.quantity, self.leg.filled - self.closed())
            self._learn(name, state=LegState.FILLED if filled == leg.quantity else LegState.CANCELLED, filled=filled)

    def _answer(self, request: PlaceOrder, reply: Reply) -> None:
        assert reply.correlation_id == request.correlation_id
        self.take(self.watch.answered(reply, self.now_s))

    def _learn(self, name: Exit, *, told: bool = True, **changes: object) -> None:
        order = self.exits[name]
        assert order.leg is not None
        leg = evolve(order.leg, updated_s=self.now_s, **changes)  # type: ignore[arg-type]
        self.exits[name] = evolve(order, legs=(leg,))
        if leg.state not in LIVE | UNPROVEN:
            self.cancelling.discard(name)
        if told:
            self.take(self.watch.changed(self.exits[name], self.now_s))

    # ---- what happens ------------------------------------------------------------------------------------------------

    @property
    def leg(self) -> LegView:
        """The parent's."""
        assert self.parent.leg is not None
        return self.parent.leg

    def fill(self, quantity: int, *, die_after: int | None = None) -> None:
        """The order fills so much more, or what is left of it."""
        if self.leg.state not in LIVE:
            return
        filled = min(self.leg.filled + quantity, self.leg.quantity)
        state = LegState.FILLED if filled == self.leg.quantity else LegState.PARTIALLY_FILLED
        self._parent(die_after, state=state, filled=filled)

    def end(self, *, die_after: int | None = None) -> None:
        """The order's owner cancels what is left of it."""
        if self.leg.state in LIVE:
            self._parent(die_after, state=LegState.CANCELLED)

    def _parent(self, die_after: int | None, **changes: object) -> None:
        self.parent = evolve(self.parent, legs=(evolve(self.leg, updated_s=self.now_s, **changes),))  # type: ignore[arg-type]
        self.take(self.watch.changed(self.parent, self.now_s), die_after=die_after)

    def exit_fills(self, pick: int, quantity: int) -> None:
        """One of the live exits fills, no further than the position goes: reduce-only."""
        live = self.live()
        held = self.leg.filled - self.closed()
        if not live or held <= 0:
            return
        name = live[pick % len(live)]
        leg = self._leg(name)
        filled = leg.filled + min(Decimal(quantity), leg.quantity - leg.filled, held)
        self._learn(name, filled=filled, state=LegState.FILLED if filled == leg.quantity else LegState.PARTIALLY_FILLED)

    def cancels_come_through(self) -> None:
        """Every cancel under way is carried out."""
        for name in sorted(self.cancelling, key=str):
            if self._leg(name).state in LIVE:
                self._learn(name, state=LegState.CANCELLED)

    def owner_cancels(self, pick: int) -> None:
        """An exit is cancelled by whom it belongs to."""
        live = [name for name in self.live() if name not in self.cancelling]
        if live:
            name = live[pick % len(live)]
            self._learn(name, linked=Linked.GIVEN_UP, told=False)
            self._learn(name, state=LegState.CANCELLED)

    def unknown_resolves(self, *, found: bool) -> None:
        """Look-ups say what became of what nobody knew."""
        for name in sorted(self.exits, key=str):
            if self._leg(name).state is LegState.UNKNOWN:
                self._learn(name, state=LegState.OPEN if found else LegState.ABSENT)
                self._at_market(name)

    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now_s += seconds
        self.take(self.watch.tick(self.now_s))

    def crash(self) -> None:
        """The connector dies, and another one starts on the same journal."""
        self.watch = self._new_watch()
        # What was on its way to the exchange is in doubt, as a connector's recovery has it.
        for name, order in list(self.exits.items()):
            if order.leg is not None and order.leg.state is LegState.INTENT:
                self.exits[name] = evolve(order, legs=(evolve(order.leg, state=LegState.UNKNOWN),))
        if self.leg.linked in (Linked.OPEN, Linked.UNPROTECTED):
            self.watch.recover([(self.parent, tuple(self.exits.values()))])
        self.cancelling |= {n for n in self.live() if self._leg(n).linked in (Linked.RESIZED, Linked.GIVEN_UP)}

    # ---- truth -------------------------------------------------------------------------------------------------------

    def _leg(self, name: Exit) -> LegView:
        leg = self.exits[name].leg
        assert leg is not None
        return leg

    def live(self, *kinds: ExitKind) -> list[Exit]:
        """Exits that may fill for sure."""
        wanted = kinds or KINDS
        return [n for n in sorted(self.exits, key=str) if n.kind in wanted and self._leg(n).state in LIVE]

    def standing(self, kind: ExitKind) -> Decimal:
        """How much of a kind may still fill, what is in doubt included."""
        legs = [self._leg(name) for name in self.exits if name.kind is kind]
        return sum((leg.quantity - leg.filled for leg in legs if leg.state in LIVE | UNPROVEN), Decimal(0))

    def closed(self, *kinds: ExitKind) -> Decimal:
        """What exits have closed."""
        return sum((self._leg(n).filled for n in self.exits if not kinds or n.kind in kinds), Decimal(0))

    def given_up(self, kind: ExitKind) -> Decimal:
        """What the owner gave up of a kind."""
        legs = [self._leg(name) for name in self.exits if name.kind is kind]
        return sum((leg.quantity - leg.filled for leg in legs if leg.linked is Linked.GIVEN_UP), Decimal(0))

    def check(self) -> None:
        """What has to be so at every moment."""
        for kind in KINDS:
            assert self.standing(kind) <= self.leg.filled, "more exits than what has filled"
            live = [n for n in self.live(kind) if self._leg(n).linked is None]
            assert len(live) <= MAX_STANDING
        assert self.closed() <= self.leg.filled

    def settle(self) -> None:
        """Everything is well from now on, for as long as it takes."""
        self.outcomes.clear()
        for _ in range(60):
            self.unknown_resolves(found=True)
            self.cancels_come_through()
            self.wait(AGAIN_S[-1] + 1)

    def is_right(self) -> None:
        """What is so once all is well: each kind equals what is open of it, but for what the market does not take."""
        left = self.leg.filled - self.closed()
        for kind in KINDS:
            own = self.closed(kind, NOW[kind])
            wanted = max(Decimal(0), min(left, self.leg.filled - self.given_up(kind) - own))
            missing = wanted - self.standing(kind)
            assert 0 <= missing < LEAST, (kind, wanted, self.standing(kind))
            if self.standing(kind) and self.leg.state not in LIVE:
                assert missing == 0, "too small alone, it goes with another"
        assert self.leg.linked is not Linked.UNPROTECTED
        over = self.leg.state not in LIVE and not any(self.standing(kind) for kind in KINDS)
        assert (self.leg.linked is Linked.DONE) is over


# ---- one by one ------------------------------------------------------------------------------------------------------


def marked(world: World) -> str:
    """The mark of the leg, by its name."""
    return world.leg.linked.value if world.leg.linked is not None else ""


def test_each_fill_gets_a_pair() -> None:
    world = World()
    world.fill(5)
    assert [(n.kind, n.number, int(world._leg(n).quantity)) for n in world.live()] == [(SL, 1, 5), (TP, 1, 5)]
    world.fill(7)
    assert {kind: world.standing(kind) for kind in KINDS} == {SL: 12, TP: 12}
    stop = next(order for name, order in world.exits.items() if name.kind is SL)
    assert stop.spec.reduce_only
    assert (stop.spec.side, stop.spec.order_type) == (Side.SELL, OrderType.MARKET)
    assert stop.spec.trigger is not None
    assert (stop.spec.trigger.kind, stop.spec.trigger.price) == (TriggerKind.STOP, Decimal(90))
    assert parent_of(stop.key) == "p"


def test_fills_too_small_for_the_market_are_merged() -> None:
    world = World()
    world.fill(1)
    assert world.live() == []
    world.fill(1)
    assert {world._leg(n).quantity for n in world.live()} == {Decimal(2)}
    world.fill(1)
    world.end()
    world.settle()
    assert {kind: world.standing(kind) for kind in KINDS} == {SL: 3, TP: 3}


def test_so_many_small_fills_are_merged_into_the_newest() -> None:
    world = World(evolve(SPEC, quantity=Decimal(60)))
    for _ in range(MAX_STANDING + 3):
        world.fill(2)
        world.cancels_come_through()
    world.settle()
    assert len(world.live(SL)) == MAX_STANDING
    assert world.standing(SL) == world.standing(TP) == 2 * (MAX_STANDING + 3)


def test_a_part_that_fills_shrinks_the_other_once_it_has_come_to_rest() -> None:
    world = World()
    world.fill(20)
    [stop] = world.live(SL)
    world._learn(stop, state=LegState.PARTIALLY_FILLED, filled=Decimal(8))
    assert not world.cancelling, "it may fill wholly within the next moment"
    world.wait(1.5)
    world.cancels_come_through()
    assert world.standing(TP) == 12
    world._learn(stop, state=LegState.FILLED, filled=Decimal(20))
    world.cancels_come_through()
    assert world.standing(TP) == 0
    assert world.leg.linked is Linked.DONE


def test_what_would_fire_at_once_is_closed_at_the_market() -> None:
    world = World()
    world.outcomes = [(LegState.REFUSED, "would_trigger")]
    world.fill(20)
    [now] = [name for name in world.exits if name.kind is NOW[SL]]
    assert world.closed(NOW[SL]) == 20
    assert now.number == 1
    world.settle()
    assert world.standing(TP) == 0
    assert world.leg.linked is Linked.DONE


def test_a_position_that_is_gone_has_no_exits() -> None:
    world = World()
    world.outcomes = [(LegState.REFUSED, "reduce_only_rejected"), (LegState.OPEN, "")]
    world.fill(20)
    assert world.standing(TP) == 20
    for pause_s in AGAIN_S[: GONE_AFTER - 1]:
        assert world.standing(TP) == 20, "its exchange may be late to see the fill"
        assert marked(world) == "unprotected"
        world.outcomes = [(LegState.REFUSED, "reduce_only_rejected")]
        world.wait(pause_s + 0.1)
    world.settle()
    assert world.standing(SL) == world.standing(TP) == 0
    assert world.leg.linked is Linked.DONE


def test_one_that_cannot_be_placed_is_told_and_tried_again() -> None:
    world = World()
    world.outcomes = [(LegState.REFUSED, "odd"), (LegState.OPEN, "")] + [(LegState.REFUSED, "odd")] * 3
    world.fill(20)
    assert marked(world) == "unprotected"
    seen = len(world.exits)
    world.wait(0.1)
    assert len(world.exits) == seen, "not again at once"
    world.settle()
    assert marked(world) == "open"
    assert world.standing(SL) == world.standing(TP) == 20


def test_one_that_was_not_executed_is_the_same_order_again() -> None:
    world = World()
    world.outcomes = [(LegState.ABSENT, "unreachable")] * 2
    world.fill(20)
    assert world.leg.linked is Linked.UNPROTECTED
    world.settle()
    assert {(name.kind, name.number) for name in world.exits} == {(SL, 1), (TP, 1)}
    assert {world._leg(name).attempts for name in world.exits} == {2}


def test_what_its_owner_gave_up_is_not_placed_again() -> None:
    world = World()
    world.fill(10)
    world.owner_cancels(0)
    world.fill(4)
    world.settle()
    assert world.standing(SL) == 4
    assert world.standing(TP) == 14


@pytest.mark.parametrize("name", ["exit/", "exit/a/b/sl/1", "exit/a/1/xx/1", "exit/a/1/sl", "mine", "exit/a/1/sl/1/2"])
def test_what_is_no_name_of_an_exit(name: str) -> None:
    assert Exit.named(name) is None


# ---- all together ----------------------------------------------------------------------------------------------------

REFUSALS = ("would_trigger", "odd", "turned_away")
OUTCOMES = st.sampled_from(
    [
        (LegState.OPEN, ""),
        (LegState.UNKNOWN, ""),
        (LegState.ABSENT, "unreachable"),
        *((LegState.REFUSED, code) for code in REFUSALS),
    ]
)
STEPS = st.one_of(
    st.tuples(st.just("fill"), st.integers(1, 6)),
    st.tuples(st.just("fill and die"), st.integers(0, 4)),
    st.tuples(st.just("exit fills"), st.integers(0, 40)),
    st.tuples(st.just("cancelled"), st.just(0)),
    st.tuples(st.just("owner"), st.integers(0, 3)),
    st.tuples(st.just("resolve"), st.integers(0, 1)),
    st.tuples(st.just("wait"), st.integers(0, 40)),
    st.tuples(st.just("crash"), st.just(0)),
    st.tuples(st.just("end"), st.just(0)),
    st.tuples(st.just("outcomes"), st.lists(OUTCOMES, max_size=4)),
)


@settings(max_examples=examples(100, 400), deadline=None)
@example(
    steps=[
        ("outcomes", [(LegState.OPEN, ""), (LegState.REFUSED, "would_trigger"), (LegState.REFUSED, "turned_away")]),
        ("fill", 1),
        ("fill", 1),
        ("fill", 2),
        ("exit fills", 0),
    ]
).via("what is closed at the market late may be less than the market takes")
@given(st.lists(STEPS, max_size=30))
def test_the_exits_never_exceed_and_come_to_equal_what_is_open(
    steps: list[tuple[str, object]],
) -> None:
    world = World()
    for what, value in steps:
        number = value if isinstance(value, int) else 0
        match what:
            case "fill":
                world.fill(number)
            case "fill and die":
                world.fill(3, die_after=number)
            case "exit fills":
                world.exit_fills(number, number % 7 + 1)
            case "cancelled":
                world.cancels_come_through()
            case "owner":
                world.owner_cancels(number)
            case "resolve":
                world.unknown_resolves(found=bool(number))
            case "wait":
                world.wait(number)
            case "crash":
                world.crash()
            case "end":
                world.end()
            case "outcomes":
                assert isinstance(value, list)
                world.outcomes = list(value)
        world.check()
    world.settle()
    world.check()
    world.is_right()


def test_what_was_placed_on_another_exchange_since_is_not_followed_after_a_restart() -> None:
    """Absent here, and placed there: its newest leg, and what fills of it, is another connector's."""
    world = World()
    here = evolve(world.leg, state=LegState.ABSENT)
    there = evolve(here, number=2, exchange="y", state=LegState.FILLED, filled=Decimal(20), linked=None)
    for mark in (None, Linked.OPEN):
        parent = evolve(world.parent, legs=(here, evolve(there, linked=mark)))
        watch = world._new_watch()
        watch.recover([(parent, ())])
        assert watch.tick(world.now_s) == []
        assert watch.next_s() is None


def test_what_is_closed_at_the_market_late_is_no_more_than_what_is_still_open() -> None:
    """The take profit fills in part before the close at the market, which was not executed, is tried again."""
    world = World()
    world.outcomes = [(LegState.REFUSED, "would_trigger"), (LegState.ABSENT, "unreachable"), (LegState.OPEN, "")]
    world.fill(20)
    [profit] = world.live(TP)
    assert [world._leg(name).state for name in world.exits if name.kind is NOW[SL]] == [LegState.ABSENT]
    world._learn(profit, state=LegState.PARTIALLY_FILLED, filled=Decimal(12))
    world.outcomes = [(LegState.REFUSED, "would_trigger"), (LegState.OPEN, "")]
    world.wait(AGAIN_S[-1] + 1)
    world.settle()
    sent = [world._leg(name) for name in world.exits if name.kind is NOW[SL]]
    assert [(leg.state, int(leg.quantity)) for leg in sent] == [(LegState.ABSENT, 20), (LegState.FILLED, 8)]
    assert world.closed() == 20
    assert world.leg.linked is Linked.DONE


def test_an_order_that_fills_in_hundreds_of_pieces_keeps_its_exits() -> None:
    world = World(evolve(SPEC, quantity=Decimal(900)))
    for _ in range(300):
        world.fill(2)
        world.cancels_come_through()
        world.wait(2.0)
        world.cancels_come_through()
    world.settle()
    assert world.standing(SL) == world.standing(TP) == 600


def test_a_stop_that_its_owner_has_moved_stays_where_it_is_when_it_is_made_smaller() -> None:
    world = World()
    world.fill(20)
    [stop], [profit] = world.live(SL), world.live(TP)
    world._learn(stop, trigger_price=Decimal(95))
    world.moved = {SL: Decimal(95)}
    world._learn(profit, state=LegState.PARTIALLY_FILLED, filled=Decimal(8))
    world.wait(1.5)
    world.cancels_come_through()
    world.settle()
    [stop] = world.live(SL)
    trigger = world.exits[stop].spec.trigger
    assert trigger is not None
    assert (int(trigger.price), int(world.standing(SL))) == (95, 12)
