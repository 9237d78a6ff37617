"""From blocks of measurements to figures and ratios: pure, so that what is claimed can be tested.

The machine is noisy, so nothing is compared across time: contenders take turns in short blocks, each round gives one
ratio, and the median of these is what is told. Pooled percentiles over all rounds are told beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from attrs import frozen

ROUTER = "router"
CCXT = "ccxt_async"
CONTENDERS = (ROUTER, CCXT)
SERIAL = "one_by_one"
FLOOD = "in_flight"


@frozen(kw_only=True)
class Block:
    """Orders one contender placed in one go.

    Attributes:
        kind: SERIAL, each after the answer to the one before, or FLOOD, many under way at once.
        latencies_s: From the call to its answer, of each order.
        wall_s: From the first call to the last answer.
        cpu_s: Of every process the contender runs in, the exchange's left out.
    """

    contender: str
    kind: str
    round: int
    latencies_s: tuple[float, ...]
    wall_s: float
    cpu_s: float

    @property
    def cpu_per_order_s(self) -> float:
        """Seconds of CPU for each order."""
        return self.cpu_s / len(self.latencies_s)

    @property
    def per_s(self) -> float:
        """Orders answered in a second."""
        return len(self.latencies_s) / self.wall_s


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed (nearest rank).

    Raises:
        ValueError: There are no values, or `percent` is not above 0 and at most 100.
    """
    ordered = sorted(values)
    if not ordered or not 0 < percent <= 100:
        raise ValueError(f"no percentile {percent:g} of {len(ordered)} values")
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


def absolute(blocks: Sequence[Block], contender: str) -> dict[str, float]:
    """The figures of one contender, over all rounds."""
    serial = [block for block in blocks if block.contender == contender and block.kind == SERIAL]
    flood = [block for block in blocks if block.contender == contender and block.kind == FLOOD]
    latencies = [latency for block in serial for latency in block.latencies_s]
    return {
        "orders": sum(len(block.latencies_s) for block in serial + flood),
        "order_p50_ms": 1000 * percentile(latencies, 50),
        "order_p99_ms": 1000 * percentile(latencies, 99),
        "cpu_per_order_ms": 1000 * median(block.cpu_per_order_s for block in serial),
        "cpu_per_order_50_ms": 1000 * median(block.cpu_per_order_s for block in flood),
        "throughput_50_per_s": median(block.per_s for block in flood),
    }


def by_round(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """For each round, what each contender did and the router's ratio to bare ccxt."""
    found = {(block.round, block.kind, block.contender): block for block in blocks}
    rounds = []
    for number in sorted({block.round for block in blocks}):
        one: dict[str, Any] = {"round": number}
        measured: dict[str, dict[str, float]] = {}
        for contender in CONTENDERS:
            serial, flood = found[number, SERIAL, contender], found[number, FLOOD, contender]
            measured[contender] = {
                "order_p50": percentile(serial.latencies_s, 50),
                "order_p99": percentile(serial.latencies_s, 99),
                "cpu_per_order": serial.cpu_per_order_s,
                "cpu_per_order_50": flood.cpu_per_order_s,
                "throughput_50": flood.per_s,
            }
            one[contender] = {
                f"{name}_per_s" if name == "throughput_50" else f"{name}_ms": round(
                    value if name == "throughput_50" else 1000 * value, 4
                )
                for name, value in measured[contender].items()
            }
        one["ratios"] = {
            f"{name}_vs_ccxt_async": round(measured[ROUTER][name] / measured[CCXT][name], 4)
            for name in measured[ROUTER]
        }
        rounds.append(one)
    return rounds


def ratios(blocks: Sequence[Block]) -> dict[str, float]:
    """The router to bare ccxt: medians of the rounds' ratios, but for the 99th percentile, which a round is too short
    for: that is of the pooled orders."""
    rounds = by_round(blocks)
    out = {name: median(one["ratios"][name] for one in rounds) for name in rounds[0]["ratios"]}
    router, ccxt = absolute(blocks, ROUTER), absolute(blocks, CCXT)
    out["order_p99_vs_ccxt_async"] = router["order_p99_ms"] / ccxt["order_p99_ms"]
    return {name: round(value, 3) for name, value in out.items()}
