"""The rate limiter: never more than the limit, never out of order, never lost, and always getting on."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from app.domain.limiter import Limiter, Priority, RateLimit
from app.domain.rates import Budget, Cost, Rates

priorities = st.sampled_from(list(Priority))
Item = tuple[Priority, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "grant", "close"]),
        priorities,
        st.floats(0.0, 3.0),
        st.floats(0.01, 10.0),
    ),
    max_size=60,
)
limits = st.builds(RateLimit, per_s=st.sampled_from([1.0, 5.0, 20.0]), burst=st.integers(1, 8))


class Desk:
    """A limiter and everything that was asked of it."""

    def __init__(self, limit: RateLimit, max_queued: int = 10) -> None:
        self.limiter: Limiter[Item] = Limiter(limit, max_queued)
        self.now_s = 0.0
        self.closed_until_s = 0.0
        self.waiting: dict[Item, float] = {}
        self.granted: list[tuple[float, Item]] = []
        self.late: list[tuple[float, Item, float]] = []
        self.serial = 0

    def ask(self, priority: Priority, within_s: float) -> None:
        """One more."""
        self.serial += 1
        deadline_s = self.now_s + within_s
        if self.limiter.ask((priority, self.serial), priority, deadline_s, self.now_s):
            self.waiting[priority, self.serial] = deadline_s
        assert self.limiter.queued() == len(self.waiting) <= self.limiter.max_queued

    def grant(self) -> None:
        """What may go."""
        go, late = self.limiter.granted(self.now_s)
        for item in go:
            assert self.now_s >= self.closed_until_s, "granted while the exchange asked for silence"
            assert self.now_s <= self.waiting.pop(item), "granted after its deadline"
            self.granted.append((self.now_s, item))
        for item in late:
            self.late.append((self.now_s, item, self.waiting.pop(item)))
        if go:
            lowest = max(item[0] for item in go)
            passed_over = [item for item in self.waiting if item[0] < lowest]
            assert not passed_over, f"{passed_over} waited while {lowest.name} went"


@given(limits, steps)
def test_whatever_is_asked(limit: RateLimit, actions: list[tuple[str, Priority, float, float]]) -> None:
    """Along any sequence: within the limit, in order, each item ends once, and what waits comes to an end."""
    desk = Desk(limit)
    for what, priority, pause_s, within_s in actions:
        desk.now_s += pause_s if what != "ask" else 0.0
        match what:
            case "ask":
                desk.ask(priority, within_s)
            case "close":
                desk.closed_until_s = max(desk.closed_until_s, desk.now_s + within_s)
                desk.limiter.close_until(desk.now_s + within_s)
            case _:
                desk.grant()
    rounds = 0
    while desk.waiting:
        next_s = desk.limiter.next_s(desk.now_s)
        assert next_s is not None
        desk.now_s = max(desk.now_s + 0.001, next_s)
        desk.grant()
        rounds += 1
        assert rounds < 1000, "something waits for ever"
    assert desk.limiter.next_s(desk.now_s) is None

    for at_s, item, deadline_s in desk.late:
        assert at_s >= deadline_s, f"{item} was turned away before its time"
    times = [at_s for at_s, _ in desk.granted]
    for index, first_s in enumerate(times):
        for count, last_s in enumerate(times[index:], start=1):
            assert count <= limit.burst + (last_s - first_s) * limit.per_s + 1e-6
    order = defaultdict(list)
    for _, (priority, number) in desk.granted:
        order[priority].append(number)
    assert all(numbers == sorted(numbers) for numbers in order.values()), "first come, first served within one"


@given(limits)
def test_a_cancel_never_waits_behind_placements(limit: RateLimit) -> None:
    """However many placements wait: where one could go at once, so does a cancel."""
    desk = Desk(limit, max_queued=100)
    for _ in range(20):
        desk.ask(Priority.PLACE, 1000.0)
    desk.grant()
    desk.ask(Priority.CANCEL, 1000.0)
    desk.grant()
    if limit.burst > 1:
        assert desk.granted[-1][1][0] is Priority.CANCEL


def test_what_cannot_be_granted_in_time_is_turned_away_at_once() -> None:
    """Its asker learns it now, not at its deadline."""
    desk = Desk(RateLimit(per_s=1.0, burst=2))
    desk.ask(Priority.PLACE, 100.0)
    desk.grant()
    desk.ask(Priority.PLACE, 0.5)
    assert not desk.waiting
    desk.limiter.close_until(50.0)
    desk.ask(Priority.CANCEL, 49.0)
    assert not desk.waiting
    desk.ask(Priority.CANCEL, 51.0)
    assert desk.waiting


def test_what_is_on_its_way_for_longer_than_a_window_still_counts() -> None:
    """A slow exchange counts it when it comes: before it has answered, no second window of calls follows."""
    cost: Cost = (("orders", 1.0),)
    rates = Rates(budgets=(Budget(name="orders", most=5.0, window_s=2.0),), otherwise=cost)
    limiter: Limiter[int] = Limiter(rates)
    for number in range(10):
        assert limiter.ask(number, Priority.PLACE, 100.0, 0.0)
    assert limiter.granted(0.0)[0] == [0, 1, 2, 3, 4]
    for _ in range(5):
        limiter.sent(cost, None, 0.0)
    assert limiter.granted(2.5) == ([], [])
    due_s = limiter.next_s(2.5)
    assert due_s is not None
    assert due_s > 2.5, "it would be asked for again and again"
    for _ in range(5):
        limiter.answered(cost, None, 0.0, 3.0)
    assert limiter.granted(4.9) == ([], [])
    assert limiter.granted(6.0)[0] == [5, 6, 7, 8, 9]
