"""A journal and an exchange of a few dictionaries, for the watch over take profits and stop losses (`test_exits`)."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve

from app.domain.effects import Mark
from app.domain.exit_watch import ExitWatch
from app.domain.exits import (
    AGAIN_S,
    MAX_STANDING,
    NOW,
    Exit,
    ExitKind,
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
)

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
