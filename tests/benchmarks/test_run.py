"""The benchmark itself, real and small: that it measures what it says, and that an order takes two messages."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.__main__ import run
from benchmarks.stages import STAGES


@pytest.mark.deep
def test_a_small_run_measures_everything(tmp_path: Path) -> None:
    """Real processes, real HTTP; figures are the machine's, so only what must be true of any is held."""
    words = Console(file=io.StringIO())
    result = run("bybit", tmp_path, quick=True, rounds=1, console=words)
    assert set(result["ratios"]) >= {
        "order_p50_vs_ccxt_async",
        "order_p99_vs_ccxt_async",
        "cpu_per_order_vs_ccxt_async",
        "throughput_50_vs_ccxt_async",
    }
    assert result["trace"]["hops_per_order"] == 2.0
    assert result["trace"]["messages_per_order"]["OrderAccepted+OrderChanged"] > 0.9  # the news costs no message
    assert list(result["trace"]["stages"]) == [name for name, _, _ in STAGES]
    for figures in result["absolute"].values():
        assert figures["orders"] == 160
        assert 0 < figures["order_p50_ms"] <= figures["order_p99_ms"]
        assert figures["cpu_per_order_ms"] > 0
    shown = io.StringIO()
    report.show(result, Console(file=shown, width=120))
    assert "order p50" in shown.getvalue()
    assert "2 messages on the way of an order" in shown.getvalue()
