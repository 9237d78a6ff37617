"""Positions are carried slice by slice: whatever fills, fires, dies or switches, the net is off by one slice."""

from __future__ import annotations

from decimal import Decimal

from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from app.domain.lots import common_step, cut, down, least, up
from app.domain.moving import Move, MoveKind, MoveOrder, Stays, balances, next_step
from app.domain.position_plan import plan, shown
from app.domain.position_situation import Market, MoveLimits, Piece, Situation, Venue
from messages.market import Lots, MarketType, Symbol
from messages.orders import OrderKey, Side, TimeInForce
from messages.positions import PositionPolicy

D = Decimal
ZERO = D(0)
BTC = Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
LIMITS = MoveLimits(slice_notional=D(1000))


def lots(step: str = "0.001", *, minimum: str | None = None, notional: str | None = None) -> Lots:
    return Lots(
        step=D(step),
        minimum=D(minimum or step),
        tick=D("0.1"),
        minimum_notional=None if notional is None else D(notional),
    )


def market(step: str = "0.001", *, bid: str = "19999.9", ask: str = "20000.1", **more: str) -> Market:
    return Market(lots=lots(step, **more), bid=D(bid), ask=D(ask))


def venue(name: str, quantity: str = "0", *, actual: str | None = None, step: str = "0.001", **more: str) -> Venue:
    there = D(quantity) if actual is None else D(actual)
    return Venue(exchange=name, attributed=D(quantity), actual=there, market=market(step, **more))


def situation(*venues: Venue, in_use: str = "okx", imbalance: str = "0", **more: object) -> Situation:
    of = {each.exchange: each for each in venues}
    return Situation(symbol=BTC, in_use=in_use, venues=of, imbalance=D(imbalance), **more)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------- the plan


def test_a_position_is_cut_into_slices_that_add_up_to_it() -> None:
    planned = plan(situation(venue("bybit", "0.12"), venue("okx")), LIMITS)
    assert [each.quantity for each in planned.slices] == [D("0.049"), D("0.049"), D("0.022")]
    assert all(each.notional <= 1000 for each in planned.slices)
    assert planned.slices[0].open_limit == D("20040.1")  # the ask and 0.2 %, at the tick
    assert planned.slices[0].close_limit == D("19960")
    told = shown([planned])
    assert told.notional == D("2400.012")
    assert told.cost == D("0.12") * D("0.2"), "what is paid more there than got here"
    assert told.stays == ()


def test_a_short_position_is_sold_there_and_bought_here() -> None:
    (one,) = plan(situation(venue("bybit", "-0.02"), venue("okx")), LIMITS).slices
    assert (one.quantity, one.open_limit, one.close_limit) == (D("-0.02"), D("19960"), D("20040.1"))
    assert not one.shown(BTC).long


def test_lots_of_both_exchanges_are_kept_and_dust_is_told() -> None:
    planned = plan(situation(venue("bybit", "0.0457", step="0.0001"), venue("okx", step="0.002")), LIMITS)
    assert sum(each.quantity for each in planned.slices) == D("0.044")
    (dust,) = planned.dust
    assert dust.quantity == D("0.0017")
    assert dust.words == "0.0017 BTC/USDT:USDT stays on bybit: less than both exchanges take."


def test_no_more_than_ours_and_never_more_than_is_there() -> None:
    assert sum(e.quantity for e in plan(situation(venue("bybit", "0.02", actual="0.5"), venue("okx")), LIMITS).slices)
    for quantity, actual, moved in (("0.02", "0.5", "0.02"), ("0.5", "0.02", "0.02"), ("0.02", "-0.5", "0")):
        planned = plan(situation(venue("bybit", quantity, actual=actual), venue("okx")), LIMITS)
        assert sum((each.quantity for each in planned.slices), ZERO) == D(moved)
    adopted = evolve(venue("bybit", "0.02", actual="0.01"), adopted=D("-0.01"))
    assert sum(e.quantity for e in plan(situation(adopted, venue("okx")), LIMITS).slices) == D("0.01")
    (nothing,) = plan(situation(venue("bybit", "0.02", actual="0"), venue("okx")), LIMITS).waits
    assert "our fills add up to 0.02, and 0 is there" in nothing.words


def test_both_must_answer() -> None:
    dead = Venue(exchange="bybit", attributed=D("0.02"), words="bybit gave no answer")
    (waits,) = plan(situation(dead, venue("okx")), LIMITS).waits
    assert waits.words == "BTC/USDT:USDT waits until bybit answers: bybit gave no answer."
    (waits,) = plan(situation(venue("bybit", "0.02"), Venue(exchange="okx")), LIMITS).waits
    assert "until okx answers" in waits.words


def test_it_never_trades_with_an_order_of_our_own() -> None:
    ours = evolve(market(), own_ask=D("20000.5"))
    here = evolve(venue("okx"), market=ours)
    (one,) = plan(situation(venue("bybit", "0.02"), here), LIMITS).slices
    assert one.open_limit == D("20000.4"), "a tick before our own order"
    best = evolve(venue("okx"), market=evolve(ours, own_ask=D("20000.1")))
    planned = plan(situation(venue("bybit", "0.02"), best), LIMITS)
    assert planned.slices == ()
    assert "an order of our own is the best price on okx" in planned.waits[0].words
    buys = evolve(market(), own_bid=D("19999.9"))
    planned = plan(situation(evolve(venue("bybit", "0.02"), market=buys), venue("okx")), LIMITS)
    assert "an order of our own is the best price on bybit" in planned.waits[0].words


def test_a_move_that_would_cost_too_much_waits() -> None:
    dear = venue("okx", bid="20150", ask="20150.1")
    planned = plan(situation(venue("bybit", "0.02"), dear), LIMITS)
    assert planned.slices == ()
    assert "would cost 0.745 % of its worth" in planned.waits[0].words
    assert "max_cost is 0.500 %" in planned.waits[0].words
    assert plan(situation(venue("bybit", "-0.02"), dear), LIMITS).slices, "the other way round it gains"


def test_slices_take_the_exits_of_what_they_move_along() -> None:
    piece = Piece(quantity=D("0.06"), stop_loss=D(18000))
    source = evolve(venue("bybit", "0.1"), pieces=(piece,))
    planned = plan(situation(source, venue("okx")), LIMITS)
    assert sum(each.quantity for each in planned.slices if each.piece == piece) == D("0.06")
    assert sum(each.quantity for each in planned.slices if each.piece is None) == D("0.04")
    assert planned.slices[0].piece is None, "exits that are orders are not made smaller: what has none goes first"
    closed = evolve(source, actual=D("0.05"))
    assert {each.piece for each in plan(situation(closed, venue("okx")), LIMITS).slices} == {piece}


def test_policies() -> None:
    held = venue("bybit", "0.02"), venue("okx", "0.01")
    assert plan(situation(*held, policy=PositionPolicy.TRACK), LIMITS).slices == ()
    (flat,) = plan(situation(*held, policy=PositionPolicy.FLATTEN), LIMITS).slices
    assert (flat.from_exchange, flat.to_exchange, flat.open_limit) == ("bybit", "", None)
    everywhere = plan(situation(*held, policy=PositionPolicy.FLATTEN, everywhere=True), LIMITS).slices
    assert [each.from_exchange for each in everywhere] == ["bybit", "okx"]
    (mirror,) = plan(situation(*held, policy=PositionPolicy.MIRROR, left="bybit"), LIMITS).slices
    assert (mirror.quantity, mirror.close_limit) == (D("0.01"), None), "what is there already counts"
    order = next_step(situation(*held, policy=PositionPolicy.FLATTEN), LIMITS)
    assert isinstance(order, MoveOrder)
    assert (order.kind, order.side, order.spec(BTC).reduce_only) == (MoveKind.FLAT, Side.SELL, True)


@given(
    total=st.decimals("0.001", 5, places=4),
    most=st.decimals("0.0001", 3, places=4),
    step=st.sampled_from([D("0.001"), D("0.002"), D("0.003"), D("0.0001")]),
    minimum=st.decimals("0.0001", "0.05", places=4),
)
def test_cuts_fit(total: Decimal, most: Decimal, step: Decimal, minimum: Decimal) -> None:
    """Whole steps, none too small or too large, and what is left is too small for itself."""
    sizes = cut(total, most, step, minimum)
    effective = up(max(minimum, step), step)
    bound = max(down(most, step), effective)
    assert all(size % step == 0 and effective <= size <= bound for size in sizes)
    left = total - sum(sizes, ZERO)
    assert ZERO <= left < max(step, effective) + step
    if bound >= 2 * effective:
        assert left < step or not sizes


def test_a_common_step_is_whole_in_both() -> None:
    for first, second, both in (("0.01", "0.001", "0.01"), ("0.002", "0.003", "0.006"), ("1", "0.25", "1")):
        assert common_step(D(first), D(second)) == D(both)


# ---------------------------------------------------------------------------------------------------------- the orders


def test_what_was_opened_is_closed_before_anything_else() -> None:
    order = next_step(situation(venue("bybit", "0.1"), venue("okx", "0.02"), imbalance="0.02"), LIMITS)
    assert isinstance(order, MoveOrder)
    assert (order.exchange, order.kind, order.side, order.quantity) == ("bybit", MoveKind.CLOSE, Side.SELL, D("0.02"))
    spec = order.spec(BTC)
    assert (spec.reduce_only, spec.time_in_force, spec.price) == (True, TimeInForce.IOC, D("19960"))


def test_where_a_stop_has_closed_the_source_the_slice_is_undone() -> None:
    order = next_step(situation(venue("bybit"), venue("okx", "0.02"), imbalance="0.02"), LIMITS)
    assert isinstance(order, MoveOrder)
    assert (order.exchange, order.kind, order.quantity) == ("okx", MoveKind.CLOSE, D("0.02"))


def test_with_the_source_gone_in_the_middle_of_a_slice_it_waits() -> None:
    dead = Venue(exchange="bybit", attributed=D("0.1"))
    stays = next_step(situation(dead, venue("okx", "0.02"), imbalance="0.02"), LIMITS)
    assert isinstance(stays, Stays)
    assert "until bybit answers" in stays.waits[0].words


def test_less_than_the_source_can_close_is_undone_where_it_was_opened() -> None:
    here = venue("okx", "0.0004", step="0.0001")
    order = next_step(situation(venue("bybit", "0.1"), here, imbalance="0.0004"), LIMITS)
    assert isinstance(order, MoveOrder)
    assert (order.exchange, order.kind, order.quantity) == ("okx", MoveKind.CLOSE, D("0.0004"))


def test_what_was_closed_too_much_is_opened_again() -> None:
    order = next_step(situation(venue("bybit", "0.1"), venue("okx", "0.02"), imbalance="-0.01"), LIMITS)
    assert isinstance(order, MoveOrder)
    assert (order.exchange, order.kind, order.side, order.quantity) == ("okx", MoveKind.OPEN, Side.BUY, D("0.01"))


def test_names() -> None:
    name = Move(7, str(BTC), 3, MoveKind.OPEN)
    assert name.key == OrderKey(strategy="order-router", client_order_id="move/7/BTC/USDT:USDT/3/open")
    assert Move.named(name.key) == name
    assert balances(name.key)
    assert not balances(Move(7, str(BTC), 3, MoveKind.FLAT).key)
    for other in ("move/7/open", "move/x/BTC/1/open", "move/7/BTC/1/shut", "exit/1/1/sl/1", "move/7//1/open"):
        assert Move.named(OrderKey(strategy="order-router", client_order_id=other)) is None
    assert Move.named(OrderKey(strategy="mine", client_order_id=name.key.client_order_id)) is None


# ---------------------------------------------------------------------------------------------------------- properties


@define
class World:
    """Exchanges and a journal, in which what is asked for fills as somebody else pleases."""

    venues: dict[str, Venue]
    in_use: str
    imbalance: Decimal = ZERO
    intended: Decimal = ZERO
    worst: Decimal = ZERO
    stopped: Decimal = ZERO
    asked: list[MoveOrder] = field(factory=list)

    @property
    def net(self) -> Decimal:
        return sum((each.attributed for each in self.venues.values()), ZERO)

    def situation(self) -> Situation:
        return Situation(symbol=BTC, in_use=self.in_use, venues=self.venues, imbalance=self.imbalance)

    def change(self, exchange: str, quantity: Decimal) -> None:
        one = self.venues[exchange]
        assert one.actual is not None
        actual = one.actual + quantity
        self.venues[exchange] = evolve(one, attributed=one.attributed + quantity, actual=actual)

    def execute(self, order: MoveOrder, share: Decimal) -> None:
        one = self.venues[order.exchange]
        assert one.market is not None
        assert order.quantity % one.market.lots.step == 0
        assert order.quantity >= one.market.lots.minimum
        signed = order.quantity if order.side is Side.BUY else -order.quantity
        # An order nobody knows of counts as executed.
        self.worst = max(self.worst, abs(self.imbalance + signed))
        filled = down(signed * share, one.market.lots.step)
        if order.kind is MoveKind.CLOSE:
            assert one.actual is not None
            assert abs(signed) <= abs(one.actual), "reduce-only never flips"
            assert one.actual * signed < 0
        self.change(order.exchange, filled)
        self.imbalance += filled
        self.worst = max(self.worst, abs(self.imbalance))
        self.asked.append(order)


STEPS = st.sampled_from(["0.001", "0.0001", "0.002", "0.01"])
SHARES = st.one_of(st.just(D(1)), st.just(ZERO), st.decimals(0, 1, places=2))
EVENTS = st.sampled_from(["fill", "fill", "fill", "fill", "stop", "person", "switch", "dead", "back"])


@given(
    quantities=st.tuples(*[st.integers(-300, 300)] * 3),
    steps=st.tuples(STEPS, STEPS, STEPS),
    notional=st.integers(20, 4000),
    happens=st.lists(st.tuples(EVENTS, SHARES, st.integers(0, 2)), max_size=40),
)
def test_each_prefix_is_within_one_slice_and_the_end_is_where_trading_is(
    quantities: tuple[int, int, int],
    steps: tuple[str, str, str],
    notional: int,
    happens: list[tuple[str, Decimal, int]],
) -> None:
    names = ("bybit", "okx", "binance")
    limits = MoveLimits(slice_notional=D(notional), max_cost=D(1))
    venues = {}
    for name, quantity, step in zip(names, quantities, steps, strict=True):
        there = down(D(quantity) / 1000, D(step))
        venues[name] = Venue(exchange=name, attributed=there, actual=there, market=market(step))
    world = World(venues, "okx")
    world.intended = world.net
    coarsest = common_step(common_step(D(steps[0]), D(steps[1])), D(steps[2]))
    bound = max(down(D(notional) / D("19999.9"), D("0.0001")), coarsest)
    for event, share, which in happens:
        one = world.venues[names[which]]
        if event == "fill":
            asked = next_step(world.situation(), limits)
            if isinstance(asked, MoveOrder):
                world.execute(asked, share)
        elif event == "stop" and one.actual is not None and one.attributed * one.actual > 0:
            part = min(abs(one.attributed), abs(one.actual)).copy_sign(one.actual)
            fired = -down(part * share, D(steps[which]))
            world.change(one.exchange, fired)
            world.intended += fired
        elif event == "person" and one.actual is not None:
            world.venues[one.exchange] = evolve(one, actual=one.actual - down(one.actual * share, D(steps[which])))
        elif event == "switch":
            world.in_use = names[which]
        elif event == "dead" and one.market is not None:
            world.venues[one.exchange] = evolve(one, market=None)
        elif event == "back" and one.market is None:
            world.venues[one.exchange] = evolve(one, market=market(steps[which]))
        assert world.net == world.intended + world.imbalance
        assert world.worst <= bound, (world.worst, bound, world.asked)
    for which, name in enumerate(names):  # all answer, everything fills, and nobody else trades any more
        one = world.venues[name]
        world.venues[name] = evolve(one, market=market(steps[which]), actual=one.attributed)
    for _ in range(2000):
        asked = next_step(world.situation(), limits)
        if isinstance(asked, Stays):
            break
        world.execute(asked, D(1))
        assert world.worst <= bound
    else:
        raise AssertionError(f"it goes round in circles: {world.asked[-6:]}")
    assert asked.waits == ()
    assert abs(world.imbalance) < coarsest
    for name in names:
        if name != world.in_use:
            assert abs(world.venues[name].attributed) < coarsest + least(lots(str(coarsest)), D(20000))


@given(total=st.integers(1, 500), notional=st.integers(20, 4000), share=SHARES)
def test_what_is_asked_for_next_follows_from_the_journal_alone(total: int, notional: int, share: Decimal) -> None:
    """Whoever begins anew at any step, with nothing but what has filled, asks for the same order."""
    limits = MoveLimits(slice_notional=D(notional))
    world = World({"bybit": venue("bybit", str(D(total) / 1000)), "okx": venue("okx")}, "okx")
    for _ in range(60):
        step = next_step(world.situation(), limits)
        again = next_step(evolve(world.situation(), venues=dict(world.venues)), limits)
        assert step == again
        if isinstance(step, Stays):
            break
        world.execute(step, share)
