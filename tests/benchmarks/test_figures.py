"""Figures and ratios from blocks whose figures are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import CCXT, FLOOD, ROUTER, SERIAL, Block, absolute, by_round, percentile, ratios


def block(contender: str, kind: str, number: int, latency_s: float, *, worst_s: float, cpu_s: float) -> Block:
    """A hundred orders of one latency, two of them the worst."""
    latencies = (latency_s,) * 98 + (worst_s,) * 2
    return Block(
        contender=contender, kind=kind, round=number, latencies_s=latencies, wall_s=100 * latency_s, cpu_s=cpu_s
    )


def rounds(slowness: list[float]) -> list[Block]:
    """Rounds on a machine whose noise meets both: the router takes three times as long in each."""
    out = []
    for number, noise in enumerate(slowness):
        for kind in (SERIAL, FLOOD):
            out.append(block(CCXT, kind, number, 0.001 * noise, worst_s=0.01, cpu_s=0.1 * noise))
            out.append(block(ROUTER, kind, number, 0.003 * noise, worst_s=0.02, cpu_s=0.4 * noise))
    return out


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.1, 100))
def test_percentile_is_one_of_the_values_and_enough_do_not_exceed_it(values: list[float], percent: float) -> None:
    """By nearest rank."""
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-9


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_percentile_of_nothing_is_refused(values: list[float], percent: float) -> None:
    """With a sentence."""
    with pytest.raises(ValueError, match="no percentile"):
        percentile(values, percent)


def test_noise_that_meets_both_leaves_the_ratios_alone() -> None:
    """That is what taking turns is for."""
    found = ratios(rounds([1.0, 5.0, 1.2]))
    assert found == {
        "order_p50_vs_ccxt_async": 3.0,
        "order_p99_vs_ccxt_async": 2.0,
        "cpu_per_order_vs_ccxt_async": 4.0,
        "cpu_per_order_50_vs_ccxt_async": 4.0,
        "throughput_50_vs_ccxt_async": 0.333,
    }


def test_absolute_figures_are_of_the_kind_of_block_they_name() -> None:
    """In the units their names end in."""
    found = absolute(rounds([1.0]), ROUTER)
    assert found["orders"] == 200
    assert found["order_p50_ms"] == pytest.approx(3.0)
    assert found["order_p99_ms"] == pytest.approx(20.0)
    assert found["cpu_per_order_ms"] == pytest.approx(4.0)
    assert found["throughput_50_per_s"] == pytest.approx(100 / 0.3)


def test_each_round_is_told_with_its_ratios() -> None:
    """So that anybody can see how much they scatter."""
    found = by_round(rounds([1.0, 2.0]))
    assert [one["round"] for one in found] == [0, 1]
    assert found[1]["router"]["order_p50_ms"] == 6.0
    assert found[1]["ccxt_async"]["throughput_50_per_s"] == 500.0
    assert found[1]["ratios"]["order_p50_vs_ccxt_async"] == 3.0
