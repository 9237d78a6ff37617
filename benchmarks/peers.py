"""`python -m benchmarks.peers`, or `make peers`: the same broken requests, and what each way of placing makes of them.

Writes docs/COMPARISON.md. Each way trades on simulated exchanges of its own, whose books say what was executed; orders
have sizes of their own, by which they are found there. Ends with 0, or with 1 where this router doubled an order, left
one unresolved or told something untrue of one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from attrs import field, frozen

from app.simulator.client import ControlClient
from benchmarks import machine
from benchmarks.exchange import ROOT, exchanges
from benchmarks.peers_ways import REQUEST_TIMEOUT_S, TRIES, WAYS, Told, Way

PAGE = ROOT / "docs" / "COMPARISON.md"
EXCHANGES = ("bybit", "binance")
ORDERS = 20
LATE_S = 3.0
STEP = Decimal("0.001")
OURS = "this router"


@frozen(kw_only=True)
class Trouble:
    """What happens to the first request of each order."""

    title: str
    words: str
    kind: str
    params: Mapping[str, Any] = field(factory=dict)


TROUBLES = (
    Trouble(
        title="The answer never comes, and it was executed",
        words="The exchange executes the request and is not heard of again.",
        kind="hang_after",
    ),
    Trouble(
        title="The answer never comes, and it is executed late",
        words=f"The exchange takes the request, and executes it after {LATE_S:g} s, when the caller has given it up.",
        kind="late",
        params={"delay_s": LATE_S},
    ),
    Trouble(
        title="The answer never comes, and it was never executed",
        words="The request is lost: here trying again at once is right, and nobody can see the difference.",
        kind="hang_before",
    ),
)


@frozen(kw_only=True)
class Seen:
    """One order: what its caller believed after how long, and how often it executed."""

    told: Told
    took_s: float
    executed: int

    @property
    def right(self) -> bool:
        """Whether the caller knew the truth."""
        return (self.told, self.executed) in ((Told.DONE, 1), (Told.NOT_DONE, 0))


Sheet = Mapping[tuple[str, str, str], Sequence[Seen]]
"""By way, exchange and title of the trouble."""


def played(way: Way, control: ControlClient, trouble: Trouble, first: int, orders: int, *, at_once: bool) -> list[Seen]:
    """Every order of one trouble. Raises RuntimeError where the trouble met none."""
    sizes = [str(STEP * (first + number)) for number in range(orders)]
    if at_once:
        # Each meets it with its first request: what is sent again comes when all have met it.
        control.fault(trouble.kind, call="place", count=orders, params=trouble.params)
        with ThreadPoolExecutor(orders) as callers:
            told = list(callers.map(lambda size: _asked(way, size), sizes))
    else:
        told = []
        for size in sizes:
            control.fault(trouble.kind, call="place", count=1, params=trouble.params)
            told.append(_asked(way, size))
    threading.Event().wait(LATE_S + 1.0)  # what is late has come by then
    met = sum(rule["hits"] for rule in control.faults())
    control.clear_faults()
    if met != orders:
        raise RuntimeError(f"{met} of {orders} orders met {trouble.kind}.")
    executed = [Decimal(order["qty"]) for order in control.truth()["orders"] if Decimal(order["filled"]) > 0]
    return [
        Seen(told=said, took_s=took_s, executed=executed.count(Decimal(size)))
        for size, (said, took_s) in zip(sizes, told, strict=True)
    ]


def _asked(way: Way, size: str) -> tuple[Told, float]:
    began_s = time.monotonic()
    told = way.place(size)
    return told, time.monotonic() - began_s


def run(orders: int, folder: Path) -> Sheet:
    """Everything, each way beside the others."""
    seen: dict[tuple[str, str, str], Sequence[Seen]] = {}

    def one(title: str, exchange: str, facts: Mapping[str, str], here: Path) -> None:
        here.mkdir()
        control = ControlClient(facts["control_url"])
        with WAYS[title](exchange, facts, here) as way:
            for number, trouble in enumerate(TROUBLES):
                first = 1 + number * orders
                found = played(way, control, trouble, first, orders, at_once=title == OURS)
                seen[title, exchange, trouble.title] = found

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(WAYS) * len(EXCHANGES)))
        asked = []
        for number, title in enumerate(WAYS):
            home = folder / str(number)
            home.mkdir()
            facts = stack.enter_context(exchanges(EXCHANGES, home))
            asked += [pool.submit(one, title, name, facts[name], home / name) for name in EXCHANGES]
        for each in asked:
            each.result()
    return seen


_INTRO = """\
# Comparison

What becomes of an order whose answer never comes. **Nobody wrote the figures**: `make peers` has each way of placing
orders meet the same broken requests, on simulated exchanges in a process of their own, over real HTTP, with ccxt's own
client; the exchanges' books say what was executed.

{stamp}

Each order is an immediate-or-cancel buy that fills, and its first request meets the trouble; a second one would be
answered. A request is given up after {timeout:g} s, and there are {tries} tries where a way tries again.

- *executed twice*: of {orders} orders, those that the exchange executed more than once.
- *told wrong*: the caller ended with "done, once" or with "not done", and that is not so.
- *unresolved*: the caller ended not knowing, with nothing that would find out.
- *knew*: it was told what is so; and the seconds until then, median and longest.

The ways:

- *ccxt, tried again in a loop*: `create_order` once more at each `NetworkError`.
- *ccxt in tenacity*: the same by a decorator, with growing pauses. *One client order id*: chosen once, for all tries.
- *`ccxt.OrderRouter`*: ccxt's own, `execute` of a plan of one step, `retryFailedSteps={retries}`. It is made for
  another purpose, the cheapest route over exchanges, and stops where it does not know.
- *this router*: `place_order`, and `get_order` where that says that nobody can know yet.

"""
_AFTER = """\
An id that is sent again tells one order from two where the exchange looks at it. Bybit refuses a second order under
the id of one that has filled, and the decorator takes that for the refusal of its order; Binance looks at the ids of
open orders only, and fills it again. This router looks before it sends again, and takes absence for proven only when
the request can no longer be executed: that is what its seconds go into where nothing was executed.
"""


def page(sheet: Sheet, stamp: str, orders: int) -> str:
    """The whole page."""
    parts = [_INTRO.format(stamp=stamp, timeout=REQUEST_TIMEOUT_S, tries=TRIES, retries=TRIES - 1, orders=orders)]
    heads = ("executed twice", "told wrong", "unresolved", "knew", "seconds")
    for trouble in TROUBLES:
        parts.append(f"## {trouble.title}\n\n{trouble.words}\n\n")
        for exchange in EXCHANGES:
            parts.append(f"| On {exchange} | {' | '.join(heads)} |\n| --- |{' ---: |' * len(heads)}\n")
            parts += [_row(title, sheet[title, exchange, trouble.title]) for title in WAYS]
            parts.append("\n")
    return "".join([*parts, "## Why\n\n", _AFTER])


def _row(title: str, seen: Sequence[Seen]) -> str:
    right = [each.took_s for each in seen if each.right]
    seconds = f"{statistics.median(right):.1f}, {max(right):.1f}" if right else "-"
    numbers = (
        sum(each.executed > 1 for each in seen),
        sum(not each.right and each.told is not Told.UNKNOWN for each in seen),
        sum(each.told is Told.UNKNOWN for each in seen),
        f"{len(right)} of {len(seen)}",
        seconds,
    )
    return f"| {title} | {' | '.join(map(str, numbers))} |\n"


def broken(sheet: Sheet) -> list[str]:
    """What this router may not do, and did: a sentence each."""
    ours: Iterable[tuple[str, str, Sequence[Seen]]] = (
        (exchange, trouble, seen) for (title, exchange, trouble), seen in sheet.items() if title == OURS
    )
    return [
        f"{exchange}, {trouble}: told {each.told}, executed {each.executed} times."
        for exchange, trouble, seen in ours
        for each in seen
        if not each.right
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"of each way, exchange and trouble ({ORDERS})")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page that is written")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        sheet = run(given.orders, Path(folder))
    measured = machine.commit(ROOT)
    commit = measured.get("commit", "unknown")[:7] + (" and changes" if measured.get("changed_since") else "")
    versions = ", ".join(f"{name} {version(name)}" for name in ("ccxt", "tenacity"))
    stamp = f"Measured on {time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit}, {versions}."
    given.output.write_text(page(sheet, stamp, given.orders))
    wrong = broken(sheet)
    for words in wrong:
        print(words, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
