"""Several budgets at once: never more than each allows, nobody held up by what he does not need, and promises kept."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import pytest
from attrs import define, evolve, frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.calls import LookUpCall, PlaceCall
from app.domain.limiter import Limiter, Priority
from app.domain.rates import SPREAD_S, Budget, Cost, Price, RateLimit, Rates, Usage, rates_of
from messages.market import MarketType, Symbol

NAMES = ("a", "b", "c")
windows = st.builds(
    lambda most, window_s, reserve, per_symbol: Budget(
        name="", most=most, window_s=window_s, reserve=min(reserve, most - 1), per_symbol=per_symbol
    ),
    st.integers(1, 6),
    st.sampled_from([0.5, 1.0, 3.0]),
    st.integers(0, 2),
    st.booleans(),
)
counters = st.builds(
    lambda most, per_s, reserve: Budget(name="", most=most, per_s=per_s, reserve=min(reserve, most - 1)),
    st.integers(1, 6),
    st.sampled_from([0.5, 2.0, 10.0]),
    st.integers(0, 2),
)


def named(budgets: list[Budget]) -> Rates:
    """Rates of some budgets, called a, b and c."""
    return Rates(
        budgets=tuple(
            Budget(
                name=name,
                most=budget.most,
                window_s=budget.window_s,
                per_s=budget.per_s,
                reserve=budget.reserve,
                per_symbol=budget.per_symbol,
            )
            for name, budget in zip(NAMES, budgets, strict=False)
        )
    )


of_windows = st.lists(windows, min_size=1, max_size=3).map(named)
of_anything = st.lists(st.one_of(windows, counters), min_size=1, max_size=3).map(named)


@frozen
class Step:
    """Something asked after a pause."""

    pause_s: float
    priority: Priority
    within_s: float
    units: tuple[int, int, int]
    symbol: Symbol


X, Y = (Symbol(base=base, quote="USDT", settle="USDT", market_type=MarketType.SWAP) for base in "XY")


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.0]),
        st.sampled_from([Priority.CANCEL, Priority.LOOK_UP, Priority.PLACE, Priority.PLACE, Priority.READ]),
        st.sampled_from([0.1, 1.0, 4.0, 15.0]),
        st.tuples(*[st.integers(0, 2)] * 3),
        st.sampled_from([X, X, Y]),
    ),
    max_size=40,
)


@define
class Item:
    """One that was asked for."""

    number: int
    step: Step
    cost: Cost
    asked_s: float
    deadline_s: float
    passed: bool = False
    """Somebody who ranks higher came while it waited."""


class Desk:
    """A limiter that is turned whenever it says."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.limiter: Limiter[Item] = Limiter(rates, 1000)
        self.now_s = 0.0
        self.waiting: list[Item] = []
        self.granted: list[tuple[float, Item]] = []
        self.late: list[Item] = []
        self.refused: list[Item] = []

    def cost(self, step: Step) -> Cost:
        """No more of a budget than there can be."""
        most = {budget.name: budget.most for budget in self.rates.budgets}
        return tuple(
            (name, min(units, most[name])) for name, units in zip(NAMES, step.units, strict=True) if name in most
        )

    def ask(self, step: Step) -> bool:
        """One more."""
        number = len(self.waiting) + len(self.granted) + len(self.late) + len(self.refused)
        item = Item(number, step, self.cost(step), self.now_s, self.now_s + step.within_s)
        taken = self.limiter.ask(item, step.priority, item.deadline_s, self.now_s, item.cost, step.symbol)
        if taken:
            for other in self.waiting:
                other.passed = other.passed or step.priority < other.step.priority
            self.waiting.append(item)
        else:
            self.refused.append(item)
        self.grant()
        return taken

    def grant(self) -> None:
        """What may go."""
        go, late = self.limiter.granted(self.now_s)
        for item in go:
            self.waiting.remove(item)
            self.granted.append((self.now_s, item))
        for item in late:
            self.waiting.remove(item)
            self.late.append(item)

    def turn_until(self, at_s: float) -> None:
        """Grants at every moment the limiter names."""
        for _ in range(10_000):
            due_s = self.limiter.next_s(self.now_s)
            if due_s is None or due_s > at_s:
                self.now_s = max(self.now_s, min(at_s, 1e9))
                return
            self.now_s = max(self.now_s, due_s)
            self.grant()
        raise AssertionError("it names moments at which nothing happens")

    def run(self, asked: list[Step]) -> None:
        """All of them, to the end."""
        for step in asked:
            self.turn_until(self.now_s + step.pause_s)
            self.ask(step)
        self.turn_until(1e9)
        assert not self.waiting
        assert not self.limiter.queued()

    def taken(self, name: str) -> dict[Symbol | None, list[tuple[float, float]]]:
        """When how much of a budget was taken, by what it is counted for."""
        budget = next(budget for budget in self.rates.budgets if budget.name == name)
        found: dict[Symbol | None, list[tuple[float, float]]] = {}
        for at_s, item in self.granted:
            units = dict(item.cost).get(name, 0)
            found.setdefault(item.step.symbol if budget.per_symbol else None, []).append((at_s, units))
        return found


@given(of_anything, steps)
def test_never_more_than_any_budget_allows(rates: Rates, asked: list[Step]) -> None:
    desk = Desk(rates)
    desk.run(asked)
    for budget in rates.budgets:
        for taken in desk.taken(budget.name).values():
            for first, (since_s, _) in enumerate(taken):
                total = 0.0
                for at_s, units in taken[first:]:
                    total += units
                    if budget.per_s:
                        assert total <= budget.most + (at_s - since_s) * budget.per_s + 1e-6
                    elif at_s - since_s <= budget.window_s + SPREAD_S / 2:
                        assert total <= budget.most


@settings(max_examples=300)
@given(of_anything, steps)
def test_what_was_accepted_goes_by_its_deadline_unless_somebody_ranks_higher(rates: Rates, asked: list[Step]) -> None:
    desk = Desk(rates)
    desk.run(asked)
    assert all(item.passed for item in desk.late), "it was promised to go"
    assert all(at_s <= item.deadline_s for at_s, item in desk.granted)


@given(st.one_of(of_windows, counters.map(lambda budget: named([budget]))), steps)
def test_nobody_is_turned_away_who_would_have_gone_in_time(rates: Rates, asked: list[Step]) -> None:
    """Exact where all budgets are windows, or there is one; and nobody who waits was passed by one who ranks higher,
    which may yet make him late: he is counted all the same."""
    desk = Desk(rates)
    for step in asked:
        desk.turn_until(desk.now_s + step.pause_s)
        would_be = deepcopy(desk)
        if desk.ask(step) or any(item.passed for item in would_be.waiting):
            continue
        asked_s = would_be.now_s
        would_be.ask(Step(0.0, step.priority, 1e8, step.units, step.symbol))
        patient = max((item for item in [*would_be.waiting, *(i for _, i in would_be.granted)]), key=lambda i: i.number)
        would_be.turn_until(1e7)
        went_s = next(at_s for at_s, item in would_be.granted if item is patient)
        assert went_s > asked_s + step.within_s - 1e-6


@given(of_anything, steps)
def test_order_within_a_priority_and_nobody_waits_for_a_budget_he_does_not_need(
    rates: Rates, asked: list[Step]
) -> None:
    """Among those that take of the same; and whoever shares nothing with those who wait before him goes at once."""
    desk = Desk(rates)
    for step in asked:
        desk.turn_until(desk.now_s + step.pause_s)
        used = {name for _, item in desk.granted for name, units in item.cost if units}
        used |= {name for item in desk.waiting for name, units in item.cost if units}
        mine = {name for name, units in desk.cost(step) if units}
        before = len(desk.granted)
        if desk.ask(step) and not mine & used:
            assert len(desk.granted) > before, "it waits though it shares nothing with anybody"
    desk.turn_until(1e9)
    order: dict[object, list[int]] = {}
    for _, item in desk.granted:
        order.setdefault((item.step.priority, item.cost, item.step.symbol), []).append(item.number)
    assert all(numbers == sorted(numbers) for numbers in order.values()), "first come, first served"


ORDERS = Rates(
    budgets=(
        Budget(name="orders", most=10, window_s=1.0),
        Budget(name="weight", most=100, window_s=60.0, reserve=10),
    )
)
PLACING: Cost = (("orders", 1.0), ("weight", 1.0))
READING: Cost = (("weight", 5.0),)


def test_a_read_passes_placements_that_wait_for_orders() -> None:
    """It needs weight only, of which there is enough besides what they will take."""
    limiter = Limiter[str](ORDERS)
    for n in range(40):
        assert limiter.ask(f"p{n}", Priority.PLACE, 60.0, 0.0, PLACING)
    assert limiter.ask("read", Priority.READ, 60.0, 0.0, READING)
    go, late = limiter.granted(0.0)
    assert go == [f"p{n}" for n in range(10)] + ["read"]
    assert not late


def test_a_read_does_not_take_what_those_who_wait_will_need() -> None:
    """90 of weight go to placements and reads; 40 placements wait, so the twelfth read would be at their cost."""
    limiter = Limiter[str](ORDERS)
    for n in range(40):
        assert limiter.ask(f"p{n}", Priority.PLACE, 60.0, 0.0, PLACING)
    taken = [limiter.ask(f"r{n}", Priority.READ, 30.0, 0.0, READING) for n in range(12)]
    assert taken == [True] * 10 + [False] * 2
    now_s, gone = 0.0, list[str]()
    while (due_s := limiter.next_s(now_s)) is not None:
        now_s = max(now_s, due_s)
        go, late = limiter.granted(now_s)
        gone += go
        assert not late
    assert len(gone) == 50
    assert now_s < 5.0, "ten a second and a quarter"


def test_a_cancel_and_a_look_up_find_room_in_every_budget_that_placements_have_used_up() -> None:
    limiter = Limiter[str](Rates(budgets=(Budget(name="all", most=100, window_s=10.0, reserve=20),)))
    for n in range(40):
        limiter.ask(f"p{n}", Priority.PLACE, 60.0, 0.0, (("all", 10.0),))
    assert len(limiter.granted(0.0)[0]) == 8
    assert limiter.ask("look", Priority.LOOK_UP, 60.0, 0.0, (("all", 10.0),))
    assert limiter.ask("cancel", Priority.CANCEL, 60.0, 0.0, (("all", 10.0),))
    assert limiter.granted(0.0)[0] == ["cancel", "look"]


def test_symbols_have_budgets_of_their_own() -> None:
    limiter = Limiter[str](Rates(budgets=(Budget(name="place", most=2, window_s=2.0, per_symbol=True),)))
    for symbol in (X, X, X, Y):
        limiter.ask(symbol.base, Priority.PLACE, 60.0, 0.0, (("place", 1.0),), symbol)
    assert limiter.granted(0.0)[0] == ["X", "X", "Y"]


def test_symbols_asked_once_are_forgotten() -> None:
    limiter = Limiter[str](Rates(budgets=(Budget(name="place", most=2, window_s=2.0, per_symbol=True),)))
    for n in range(5000):
        limiter.ask("", Priority.PLACE, 10.0 * n + 5.0, 10.0 * n, (("place", 1.0),), evolve(X, base=f"S{n}"))
        assert limiter.granted(10.0 * n) == ([""], [])
    assert len(limiter._meters) < 1100
    assert len(limiter._purses) < 1100


def test_one_budget_is_closed_and_the_others_are_not() -> None:
    limiter = Limiter[str](ORDERS)
    limiter.close_budgets((("orders", 1.0),), None, 5.0, 0.0)
    assert not limiter.ask("early", Priority.PLACE, 4.0, 0.0, PLACING)
    assert limiter.ask("place", Priority.PLACE, 6.0, 0.0, PLACING)
    assert limiter.ask("read", Priority.READ, 6.0, 0.0, READING)
    assert limiter.granted(0.0)[0] == ["read"]
    assert limiter.next_s(0.0) == 5.0
    assert limiter.granted(5.0)[0] == ["place"]


def test_a_counter_of_which_a_smaller_limit_is_told_still_knows_what_was_used() -> None:
    limiter = Limiter[str](Rates(budgets=(Budget(name="rest", most=4, per_s=1.0),), otherwise=(("rest", 1.0),)))
    for name in "abc":
        assert limiter.ask(name, Priority.PLACE, 1.0, 0.0)
    assert limiter.granted(0.0)[0] == ["a", "b", "c"]
    limiter.observe(Usage(budget="rest", used=0.0, most=3.0), 0.0)
    assert not limiter.ask("at once", Priority.CANCEL, 0.5, 0.0)
    assert limiter.ask("in a second", Priority.CANCEL, 1.5, 0.0)


@pytest.mark.parametrize("reset_s", [20.0, None])
def test_what_others_used_is_left_out_until_their_window_ends(reset_s: float | None) -> None:
    """The exchange has counted 95 of 100 where we took 10: others took 85, and leave us 5, of which 10 are kept."""
    limiter = Limiter[str](ORDERS)
    for n in range(2):
        limiter.ask(f"r{n}", Priority.READ, 60.0, 0.0, READING)
    assert len(limiter.granted(0.0)[0]) == 2
    limiter.observe(Usage(budget="weight", used=95.0, reset_s=reset_s), 0.0)
    assert limiter.ask("cancel", Priority.CANCEL, 60.0, 0.0, READING)
    assert limiter.granted(0.0)[0] == ["cancel"]
    assert not limiter.ask("read", Priority.READ, 15.0, 0.0, READING)
    assert limiter.ask("read", Priority.READ, 100.0, 0.0, READING)
    due_s = limiter.next_s(0.0)
    assert due_s is not None
    assert limiter.granted(due_s)[0] == ["read"]
    assert due_s == pytest.approx((20.0 if reset_s else 60.0) + SPREAD_S)


def test_a_laxer_exchange_changes_nothing_and_a_stricter_one_does() -> None:
    limiter = Limiter[str](ORDERS)
    limiter.observe(Usage(budget="orders", used=0.0, most=1000.0), 0.0)
    limiter.observe(Usage(budget="unheard of", used=0.0), 0.0)
    for n in range(12):
        limiter.ask(f"p{n}", Priority.PLACE, 60.0, 0.0, PLACING)
    assert len(limiter.granted(0.0)[0]) == 10
    limiter.observe(Usage(budget="orders", used=10.0, most=4.0), 0.0)
    assert len(limiter.granted(3.0)[0]) == 2
    for n in range(12):
        limiter.ask(f"q{n}", Priority.PLACE, 60.0, 6.0, PLACING)
    assert len(limiter.granted(6.0)[0]) == 4


def test_what_is_under_way_is_not_taken_for_others_use() -> None:
    """Ten are sent, one came back and says that one was counted: the nine are ours, not somebody else's."""
    limiter = Limiter[str](ORDERS)
    for n in range(10):
        limiter.ask(f"r{n}", Priority.READ, 60.0, 0.0, (("weight", 1.0),))
    for _ in limiter.granted(0.0)[0]:
        limiter.sent((("weight", 1.0),), None, 0.0)
    limiter.answered((("weight", 1.0),), None, 0.0, 0.1)
    limiter.observe(Usage(budget="weight", used=1.0), 0.1)
    assert limiter.ask("read", Priority.READ, 0.3, 0.2, (("weight", 80.0),)), "80 and the reserve of 10 are left"
    limiter.observe(Usage(budget="weight", used=51.0), 0.2)
    assert not limiter.ask("read", Priority.READ, 0.4, 0.2, (("weight", 80.0),)), "50 were somebody else's"


def arrivals(limiter: Limiter[int], ways: list[tuple[float, float]]) -> list[float]:
    """When requests were counted: some time between each one's sending and its answer, however long that takes.

    Args:
        ways: How long each was on its way, and after what share of that it was counted.
    """
    cost: Cost = (("a", 1.0),)
    arrived: list[float] = []
    for number in range(len(ways)):
        assert limiter.ask(number, Priority.PLACE, 1e6, 0.0, cost)
    under_way: list[tuple[float, float]] = []
    now_s = 0.0
    while limiter.queued() or under_way:
        due_s = limiter.next_s(now_s)
        back_s = min((back for back, _ in under_way), default=None)
        now_s = max(now_s, min(at_s for at_s in (due_s, back_s) if at_s is not None))
        for flight in [flight for flight in under_way if flight[0] <= now_s]:
            under_way.remove(flight)
            limiter.answered(cost, None, flight[1], now_s)
        for number in limiter.granted(now_s)[0]:
            took_s, share = ways[number]
            limiter.sent(cost, None, now_s)
            arrived.append(now_s + took_s * share)
            under_way.append((now_s + took_s, now_s))
    assert all(meter.pending == 0.0 for meter in limiter._meters.values())
    return sorted(arrived)


slow_ways = st.lists(st.tuples(st.floats(0.0, 0.2) | st.floats(0.0, 4.0), st.floats(0.0, 1.0)), min_size=1, max_size=60)


@given(slow_ways)
@example([(3.0, 1.0), *[(0.1, 0.0)] * 3, *[(1.0, 1.0)] * 20])
def test_however_late_answers_are_no_window_of_the_exchange_holds_too_many(ways: list[tuple[float, float]]) -> None:
    """A request may be on its way for longer than the window, while others come and go."""
    limiter = Limiter[int](Rates(budgets=(Budget(name="a", most=4, window_s=1.0),)))
    times = arrivals(limiter, ways)
    for last_s in times:
        assert sum(1 for at_s in times if last_s - 1.0 < at_s <= last_s) <= 4


@given(slow_ways)
@example([(3.0, 1.0), *[(0.1, 0.0)] * 30])
def test_however_late_answers_are_no_counter_of_the_exchange_overflows(ways: list[tuple[float, float]]) -> None:
    """One that falls by two a second, and is full at four."""
    limiter = Limiter[int](Rates(budgets=(Budget(name="a", most=4, per_s=2.0),)))
    count, counted_s = 0.0, 0.0
    for at_s in arrivals(limiter, ways):
        count, counted_s = max(0.0, count - 2.0 * (at_s - counted_s)) + 1.0, at_s
        assert count <= 4.0 + 1e-6


def test_what_a_look_up_did_not_need_is_given_back_in_its_own_time() -> None:
    limiter = Limiter[str](ORDERS)
    for n in range(10):
        assert limiter.ask(f"l{n}", Priority.LOOK_UP, 1.0, 0.0, (("weight", 10.0),))
    assert len(limiter.granted(0.0)[0]) == 10
    assert not limiter.ask("more", Priority.LOOK_UP, 1.0, 0.1, (("weight", 10.0),))
    limiter.give_back((("weight", 9.0),), None, 0.0, 0.1)
    assert not limiter.ask("more", Priority.LOOK_UP, 1.0, 0.1, (("weight", 10.0),))
    limiter.give_back((("weight", 9.0),), None, 0.0, 0.1)
    assert limiter.ask("more", Priority.LOOK_UP, 1.0, 0.1, (("weight", 10.0),))


observations = st.lists(
    st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 120.0), st.floats(0.0, 70.0) | st.none()), max_size=20
)


@given(observations)
@example([(0.0, 100.0, None), (0.0, 0.0, 0.0)])
def test_an_observation_never_gives_more(seen: list[tuple[float, float, float | None]]) -> None:
    """Beside one that hears nothing, it never lets anything go earlier; and together never more than the limit."""
    deaf, hears = Limiter[int](ORDERS), Limiter[int](ORDERS)
    now_s = 0.0
    for n, (pause_s, used, reset_s) in enumerate(seen):
        now_s += pause_s
        hears.observe(Usage(budget="weight", used=used, reset_s=reset_s), now_s)
        heard = hears.ask(n, Priority.CANCEL, now_s + 1e-6, now_s, READING)
        assert not heard or deaf.ask(n, Priority.CANCEL, now_s + 1e-6, now_s, READING)
        assert not heard or used + 5.0 <= 100.0, "it would be more than the exchange gives"
        hears.granted(now_s)
        deaf.granted(now_s)


def test_tables_know_their_budgets_and_what_a_kind_of_call_can_do_each_second() -> None:
    with pytest.raises(ValueError, match="no such budget"):
        Rates(budgets=(), otherwise=(("x", 1.0),))
    with pytest.raises(ValueError, match="window or a rate"):
        Budget(name="x", most=1)
    rates = Rates(
        budgets=ORDERS.budgets,
        prices={PlaceCall: Price(cost=PLACING, source="a test"), LookUpCall: Price(cost=READING, source="a test")},
    )
    assert rates.per_s(PlaceCall) == pytest.approx(100 / 60.25)
    assert rates.per_s(LookUpCall) == pytest.approx(100 / 60.25 / 5)
    assert rates_of(RateLimit(per_s=7.0, burst=3)).per_s(PlaceCall) == 7.0


def test_the_moments_it_names_go_on() -> None:
    desk = Desk(rates_of(RateLimit(per_s=2.0, burst=3)))
    desk.rates = Rates(budgets=(Budget(name="a", most=3, per_s=2.0),))
    desk.limiter = Limiter(desk.rates)
    desk.run([Step(0.0, Priority.PLACE, 100.0, (1, 0, 0), X)] * 20)
    assert all(before <= after for (before, _), (after, _) in pairwise(desk.granted))
