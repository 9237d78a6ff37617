"""A simulated exchange in a process of its own, so that its work is nobody else's CPU.

`python -m benchmarks.exchange READY NAME…` serves until it is terminated or its parent is gone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.process.guards import die_with_parent
from app.simulator.run import simulate

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
ROOT = Path(__file__).resolve().parents[1]

Facts = Mapping[str, Mapping[str, str]]
"""By exchange: base_url, control_url, api_key, secret, password."""


@contextmanager
def exchanges(names: Sequence[str], folder: Path) -> Iterator[Facts]:
    """Starts them; ends them on leaving.

    Raises:
        RuntimeError: They did not start.
    """
    ready = folder / "exchanges.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.exchange", str(ready), *names], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        until_s = time.monotonic() + START_TIMEOUT_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError("The simulated exchanges did not start.")
            time.sleep(0.02)
        yield json.loads(ready.read_text())
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    die_with_parent()
    sys.exit(simulate(sys.argv[2:], Path(sys.argv[1]), ()))
