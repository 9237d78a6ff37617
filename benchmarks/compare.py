"""Before and after in one run: `python -m benchmarks.compare BEFORE [AFTER]`.

BEFORE and AFTER (this one, if not said) are folders with the project in them (`git worktree add` makes one). The router
of each places the same orders on a simulated exchange of its own (one account has one daemon), block by block in turns,
so that the machine's noise meets both. Told are the medians, and the median of each round's ratio of after to before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.exchange import ROOT, exchanges
from benchmarks.figures import FLOOD, SERIAL

ROUNDS = 10
ORDERS = ((SERIAL, 80), (FLOOD, 150))


def compare(before: Path, after: Path, exchange: str = "bybit") -> dict[str, dict[str, float]]:
    """By figure: its median before and after, and the median ratio of the rounds."""
    with tempfile.TemporaryDirectory(prefix="order-compare-") as name, ExitStack() as stack:
        trees = []
        for number, tree in enumerate((before, after)):
            folder = Path(name) / str(number)
            folder.mkdir()
            stack.enter_context(exchanges([exchange], folder))
            trees.append(stack.enter_context(client(tree, exchange, folder)))
        for each in trees:
            assert each.stdout is not None
            if each.stdout.readline().strip() != "ready":
                raise RuntimeError("The router of one tree did not start.")
            for kind, _ in ORDERS:
                turn(each, kind, 30)
        found: dict[str, list[tuple[float, float]]] = {}
        for number in range(ROUNDS):
            for kind, orders in ORDERS:
                turns = [0, 1] if number % 2 == 0 else [1, 0]
                figures = {which: turn(trees[which], kind, orders) for which in turns}
                for key in figures[0]:
                    if (key == "throughput") == (kind == FLOOD) or key == "cpu_per_order":
                        found.setdefault(f"{key}, {kind}", []).append((figures[0][key], figures[1][key]))
    return {
        name: {
            "before": median(pair[0] for pair in pairs),
            "after": median(pair[1] for pair in pairs),
            "ratio": median(pair[1] / pair[0] for pair in pairs),
        }
        for name, pairs in found.items()
    }


def client(tree: Path, exchange: str, folder: Path) -> subprocess.Popen[str]:
    """The router of a tree on the exchange of a folder, which says "ready" and then takes turns."""
    return subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "benchmarks.turns"),
            *(exchange, str(folder / "exchanges.json"), str(folder / "state")),
        ],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def turn(tree: subprocess.Popen[str], kind: str, orders: int) -> dict[str, float]:
    """One turn's figures, in seconds."""
    assert tree.stdin is not None
    assert tree.stdout is not None
    tree.stdin.write(f"{kind} {orders}\n")
    tree.stdin.flush()
    figures: dict[str, float] = json.loads(tree.stdout.readline())
    return figures


def main(arguments: Sequence[str]) -> int:
    """Prints a line for each figure. Returns 0, or 64 for wrong usage."""
    if len(arguments) not in (1, 2):
        print("usage: python -m benchmarks.compare BEFORE [AFTER]", file=sys.stderr)
        return 64
    before, *after = (Path(each).resolve() for each in arguments)
    for name, value in compare(before, after[0] if after else ROOT).items():
        print(f"{name:28} {value['before']:10.5f} {value['after']:10.5f}   x {value['ratio']:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
