"""What a life of a connector leaves of its exchange's limits to the next: never less than the exchange still counts."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, nan

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.kept_limits import COUNTER, WINDOW, KeptLimits, MeterName, Unusable, Values, counts_still, moved
from app.domain.limiter import Limiter, Priority
from app.domain.meters import MOST_MARKS, meter_of
from app.domain.rates import LONGEST_BAN_S, SPREAD_S, Budget, Rates, Usage
from messages.market import MarketType, Symbol

BTC, ETH = (Symbol(base=base, quote="USDT", settle="USDT", market_type=MarketType.SWAP) for base in ("BTC", "ETH"))
MOST, WINDOW_S, PER_S = 4.0, 1.0, 2.0
COST = (("window", 1.0), ("counter", 1.0), ("each", 1.0))
RATES = Rates(
    budgets=(
        Budget(name="window", most=MOST, window_s=WINDOW_S),
        Budget(name="counter", most=MOST, per_s=PER_S),
        Budget(name="each", most=3.0, window_s=WINDOW_S, per_symbol=True),
    )
)


@define
class File:
    """What is kept, as a file keeps it."""

    meters: dict[MeterName, Values] = field(factory=dict)
    closed_until_s: float = 0.0

    def keep(self, limiter: Limiter[int]) -> None:
        """Before a call is sent."""
        self.meters |= limiter.changed()
        self.closed_until_s = limiter.closed_until_s

    def left(self) -> KeptLimits:
        """For the next life."""
        return KeptLimits(meters=dict(self.meters), closed_until_s=self.closed_until_s)


class Exchange:
    """Counts what arrives; nothing of it by the clock of who asks."""

    def __init__(self) -> None:
        self.arrived: list[tuple[float, Symbol]] = []

    def check(self) -> None:
        """No limit was ever passed."""
        times = sorted(self.arrived, key=lambda each: each[0])
        count, counted_s = 0.0, 0.0
        for last_s, symbol in times:
            window = [of for at_s, of in times if last_s - WINDOW_S < at_s <= last_s]
            assert len(window) <= MOST
            assert window.count(symbol) <= 3
            count, counted_s = max(0.0, count - PER_S * (last_s - counted_s)) + 1.0, last_s
            assert count <= MOST + 1e-6


steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "die", "answer"]),
        st.sampled_from([0.0, 0.0, 0.02, 0.4, 1.5]),
        st.sampled_from([BTC, BTC, ETH]),
        st.floats(0.0, 1.0),
    ),
    max_size=80,
)


@settings(max_examples=300)
@given(steps)
def test_a_crash_loop_never_asks_for_more_than_the_exchange_gives(
    happens: list[tuple[str, float, Symbol, float]],
) -> None:
    """Killed at any moment, with calls on their way that arrive any time until half a second after the death."""
    exchange, file = Exchange(), File()
    limiter: Limiter[int] = Limiter(RATES)
    under_way: list[tuple[float, Symbol, float]] = []
    now_s = 1000.0
    for what, pause_s, symbol, share in happens:
        now_s += pause_s
        if what == "ask":
            if limiter.ask(0, Priority.PLACE, now_s + 1e-9, now_s, COST, symbol):
                for _ in limiter.granted(now_s)[0]:
                    limiter.sent(COST, symbol, now_s)
                    file.keep(limiter)
                    under_way.append((now_s, symbol, share))
        elif what == "answer" and under_way:
            sent_s, of, when = under_way.pop(0)
            exchange.arrived.append((sent_s + when * (now_s - sent_s), of))
            limiter.answered(COST, of, sent_s, now_s)
        elif what == "die":
            # What was on its way arrives by now, or with the first calls of the next life.
            exchange.arrived += [(sent_s + when * (now_s + SPREAD_S - sent_s), of) for sent_s, of, when in under_way]
            under_way.clear()
            limiter = Limiter(RATES)
            limiter.restore(file.left(), now_s)
    exchange.arrived += [(sent_s, of) for sent_s, of, _ in under_way]
    exchange.check()


@given(steps, st.floats(0.0, 3.0))
def test_no_less_is_used_after_a_restart_than_before_but_for_what_has_come_back(
    happens: list[tuple[str, float, Symbol, float]], away_s: float
) -> None:
    """Beside the limiter that lived on, the one that was restored never has more room."""
    file, lived = File(), Limiter[int](RATES)
    sent: list[tuple[float, Symbol]] = []
    now_s = 1000.0
    for what, pause_s, symbol, _ in happens:
        now_s += pause_s
        if what == "ask" and lived.ask(0, Priority.PLACE, now_s + 1e-9, now_s, COST, symbol):
            for _ in lived.granted(now_s)[0]:
                lived.sent(COST, symbol, now_s)
                sent.append((now_s, symbol))
            file.keep(lived)
        elif what == "answer" and sent:
            sent_s, of = sent.pop()
            lived.answered(COST, of, sent_s, now_s)
    now_s += away_s
    for sent_s, of in sent:  # to whom lived on; the other one will never hear of it
        lived.answered(COST, of, sent_s, now_s)
    restored: Limiter[int] = Limiter(RATES)
    restored.restore(file.left(), now_s)
    for name in ("window", "counter", "each"):
        for symbol in (BTC, ETH):
            before, after = lived._meter(name, symbol), restored._meter(name, symbol)
            for later_s in (0.0, 0.1, 0.7, 1.2):
                assert after.free(now_s + later_s) <= before.free(now_s + later_s) + 1e-6


def left(limiter: Limiter[int]) -> Mapping[MeterName, Values]:
    """All that was sent by it."""
    return limiter.changed()


def used_up(now_s: float) -> Limiter[int]:
    """A limiter of which everything is used and answered."""
    limiter: Limiter[int] = Limiter(RATES)
    for _ in range(3):
        assert limiter.ask(0, Priority.PLACE, now_s + 1.0, now_s, COST, BTC)
    for _ in limiter.granted(now_s)[0]:
        limiter.sent(COST, BTC, now_s)
        limiter.answered(COST, BTC, now_s, now_s)
    return limiter


@pytest.mark.parametrize("back_s", [0.0, 5.0, 86_400.0, 1e7])
def test_a_clock_that_went_backwards_gives_no_room_and_takes_none_for_longer_than_a_window(back_s: float) -> None:
    kept = left(used_up(1e8))
    limiter: Limiter[int] = Limiter(RATES)
    now_s = 1e8 - back_s
    limiter.restore(KeptLimits(meters=kept), now_s)
    assert limiter._meter("each", BTC).free(now_s) == 0.0
    assert limiter._meter("window", BTC).free(now_s) == 1.0
    assert limiter._meter("counter", BTC).free(now_s) == pytest.approx(1.0)
    assert limiter._meter("each", BTC).free(now_s + WINDOW_S + 2 * SPREAD_S) == 3.0


def test_what_is_older_than_its_window_counts_for_nothing() -> None:
    kept = left(used_up(1000.0))
    limiter: Limiter[int] = Limiter(RATES)
    limiter.restore(KeptLimits(meters=kept), 1000.0 + WINDOW_S + 2 * SPREAD_S)
    assert limiter._meter("each", BTC).free(1002.0) == 3.0
    assert counts_still(kept["window", ""], 1002.0)
    assert not counts_still(kept["window", ""], 1040.0)
    assert counts_still(kept["counter", ""], 1040.0)
    assert not counts_still(kept["counter", ""], 1000.0 + 2 * 86_400.0)


def test_silence_and_what_others_use_outlive_a_restart_and_no_ban_is_longer_than_the_longest() -> None:
    limiter = used_up(1000.0)
    limiter.observe(Usage(budget="window", used=4.0, most=3.5), 1000.0)
    limiter.close_budgets((("each", 1.0),), BTC, 1007.0, 1000.0)
    kept = KeptLimits(meters=left(limiter), closed_until_s=1e12, banned_until_s=1e12)
    restored: Limiter[int] = Limiter(RATES)
    restored.restore(kept, 1000.1)
    assert restored.closed_until_s == 1000.1 + LONGEST_BAN_S
    assert restored._meter("window", BTC).free(1000.1) == -0.5
    assert restored._meter("each", BTC).free(1006.9) == -inf
    assert restored._meter("each", ETH).free(1000.1) == 3.0


@pytest.mark.parametrize(
    "values",
    [(), (WINDOW,), (WINDOW, 4.0, 0.0, 0.0, 0.0, 1.0), (WINDOW, 4.0, 0.0, 0.0, 0.0, 1.0, 5.0, -1.0),
     (WINDOW, 4.0, 0.0, 0.0, nan, 0.0), (COUNTER, 4.0, 0.0, 0.0, inf, 0.0), (7.0,) * 6],
)  # fmt: skip
def test_what_no_meter_has_written_is_not_taken_over(values: Values) -> None:
    for budget in RATES.budgets:
        meter = meter_of(budget)
        with pytest.raises(Unusable):
            meter.restore(values, 1000.0)
        assert meter.free(1000.0) >= budget.most


def test_times_are_moved_to_another_clock_and_nothing_else_is() -> None:
    window, counter = used_up(1000.0).changed(), used_up(2000.0).changed()
    assert moved(window["counter", ""], 1000.0)[3:] == pytest.approx(counter["counter", ""][3:])
    assert moved(window["window", ""], 1000.0)[6:] == pytest.approx(counter["window", ""][6:])


def test_very_many_marks_are_kept_as_fewer_that_come_back_no_earlier() -> None:
    meter = meter_of(Budget(name="short", most=1e6, window_s=0.01))
    for n in range(300):
        meter.take(1.0, 1000.0 + n / 1000)
    values = meter.kept()
    assert len(values) <= 6 + 2 * MOST_MARKS
    again = meter_of(meter.budget)
    again.restore(values, 1000.3)
    assert again.free(1000.3) <= meter.free(1000.3)
