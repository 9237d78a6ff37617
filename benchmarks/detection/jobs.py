"""One detector in one scenario: what the processes of the bench do."""

from __future__ import annotations

import hashlib
import time
from typing import Any, Final

from benchmarks.detection import verdict
from benchmarks.detection.anchors import ANCHORS, DEFAULTS
from benchmarks.detection.ours import SETTINGS, Ours, told
from benchmarks.detection.scenarios import BY_NAME, outage
from benchmarks.detection.trial import Chooser, Run, phase, play
from benchmarks.exchange import ROOT

DETECTORS: Final = ("ours", "haproxy", "envoy", "phi", "seed_loop", "ours_seed_defaults")
OUTAGES: Final = "outages"
"""The job beside the scenarios: how long an outage must be to be left for."""

OUTAGES_S: Final = tuple(0.5 * number for number in range(1, 25))
OUTAGE_TRIALS: Final = 40
LEFT_OUT: Final = (("ours_seed_defaults", "errors_1"), ("ours_seed_defaults", "errors_20"))
"""Months of minutes each that say nothing that the quicker settings, and 5 % of errors, do not."""

WORLD: Final = tuple(f"benchmarks/detection/{name}.py" for name in ("scenarios", "trial", "world"))
RULES: Final = {
    True: ("benchmarks/detection/ours.py", "app/domain/health*.py", "app/domain/network.py", "app/domain/leaving.py"),
    False: ("benchmarks/detection/anchors.py",),
}
"""What decides a result, of ours and of the anchors: a change in any of these files makes it old."""


def measure(detector: str, scenario: str, seed: int, days: float) -> dict[str, Any]:
    """One detector in one scenario."""
    began_s = time.process_time()
    if scenario == OUTAGES:
        found: dict[str, Any] = {"left": _outages(detector, seed)}
    else:
        played = [play(chooser(detector, run), run) for run in BY_NAME[scenario].runs(seed, days)]
        found = verdict.figures(BY_NAME[scenario], played)
    settings = told(SETTINGS[detector]) if detector in SETTINGS else DEFAULTS[detector]
    return {**found, "settings": settings, "took_s": round(time.process_time() - began_s, 2)}


def _outages(detector: str, seed: int) -> list[list[float]]:
    """Pairs: the length of an outage, and in which share of the trials the exchange was left for it."""
    pairs = []
    for row, length_s in enumerate(OUTAGES_S):
        left = 0
        for number in range(OUTAGE_TRIALS):
            run = outage(seed, OUTAGE_TRIALS * row + number, length_s)
            left += play(chooser(detector, run), run).delays[0][1] is not None
        pairs.append([length_s, left / OUTAGE_TRIALS])
    return pairs


def chooser(detector: str, run: Run) -> Chooser:
    """A detector that has just been started."""
    begun = phase(run, 1)
    return Ours(SETTINGS[detector], begun, run.world.seed) if detector in SETTINGS else ANCHORS[detector](begun)


def fingerprint(detector: str) -> str:
    """Of the files that decide a detector's results."""
    files = sorted(path for pattern in (*WORLD, *RULES[detector in SETTINGS]) for path in ROOT.glob(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
