"""The arguments of `order-router fuzz`: what is asked for, and that nothing is asked for that would do nothing."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from types import MappingProxyType
from typing import Any

from app.fuzz.exhaust_scopes import SCOPES
from app.fuzz.profiles import PROFILES

USUAL: Mapping[str, Any] = MappingProxyType(
    {"seeds": 1000, "start": 0, "jobs": os.cpu_count() or 1, "profile": "all", "coverage": False, "shrink": False}
)
"""Of options that are not given."""

TAKES = MappingProxyType(
    {
        "seeds": {"seeds", "start", "minutes", "jobs", "profile", "coverage"},
        "--replay": {"replay", "profile"},
        "--replay with --shrink": {"replay", "profile", "shrink", "minutes", "keep"},
        "--replay-plan": {"replay_plan"},
        "--exhaust": {"exhaust", "minutes", "keep"},
        "--exhaust with --replay": {"exhaust", "replay"},
    }
)
"""Of each thing that can be asked for, the options that mean something; `--json` does for all."""


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses arguments.

    Raises:
        SystemExit: They make no sense, which was said, or help was all that was asked for.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    given = {name for name, value in vars(arguments).items() if value is not None} - {"json"}
    what = _asked_for(given)
    for name in sorted(given - TAKES[what]):
        parser.error(_does_nothing(name, what))
    if arguments.exhaust == "all" and arguments.replay is not None:
        parser.error("--exhaust all: --replay tells a run of one scope: name it")
    if arguments.exhaust is None and arguments.replay is not None and not arguments.replay.isdecimal():
        parser.error(f"--replay: {arguments.replay!r} is not a seed")
    for name in USUAL.keys() - given:
        setattr(arguments, name, USUAL[name])
    return arguments


def _asked_for(given: set[str]) -> str:
    if "exhaust" in given:
        return "--exhaust with --replay" if "replay" in given else "--exhaust"
    if "replay_plan" in given:
        return "--replay-plan"
    if "replay" in given:
        return "--replay with --shrink" if "shrink" in given else "--replay"
    return "seeds"


def _does_nothing(name: str, what: str) -> str:
    """Why an option is not to be given; with what it would mean something, where that was forgotten."""
    option = f"--{name.replace('_', '-')}"
    if what == "--replay" and name in TAKES["--replay with --shrink"]:
        return f"{option} does nothing with --replay: give --shrink as well"
    if what != "seeds":
        return f"{option} does nothing with {what}"
    if name == "keep":
        return "--keep does nothing by itself: give --replay and --shrink, or --exhaust"
    return f"{option} does nothing by itself: give --replay"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="order-router fuzz",
        description="The whole router in simulated time under drawn faults: a seed is a run of ten minutes.",
        epilog="Exit code 1: an invariant did not hold; the seed replays it. docs/FUZZ.md tells what is simulated.",
    )
    parser.add_argument("--seeds", type=_at_least_one, metavar="N", help="how many to run (1000)")
    parser.add_argument("--start", type=_not_below_zero, metavar="SEED", help="the first (0)")
    parser.add_argument(
        "--minutes", type=_minutes, metavar="M", help="end after so long in all, whatever is left to run"
    )
    parser.add_argument("--jobs", type=_at_least_one, metavar="N", help="processes (one for each core)")
    parser.add_argument(
        "--profile",
        choices=[*PROFILES, "all"],
        metavar="NAME",
        help=f"how rough: {', '.join(PROFILES)}, or all (the default) to take turns, but for those of illness, "
        "sick and blinking, which last three times as long",
    )
    parser.add_argument("--replay", metavar="SEED", help="run one seed and print its story as a timeline")
    parser.add_argument(
        "--exhaust",
        choices=[*SCOPES, "all"],
        metavar="SCOPE",
        help=f"no seeds, but every order of events within a small scope: {', '.join(SCOPES)}, or all; --replay CHOICES "
        "tells one run of it, --keep FILE goes on where it was left",
    )
    parser.add_argument(
        "--coverage",
        action="store_true",
        default=None,
        help="say which states, events, steps, faults and deaths were met together",
    )
    parser.add_argument(
        "--shrink", action="store_true", default=None, help="with --replay: make what fails small, and tell it"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FILE",
        help="with --shrink: write the small plan there; with --exhaust: leave the search there, and go on with it",
    )
    parser.add_argument("--replay-plan", type=Path, metavar="FILE", help="run a plan that --shrink --keep wrote")
    parser.add_argument("--json", action="store_true", help="print facts as JSON")
    return parser


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def _at_least_one(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _not_below_zero(text: str) -> int:
    number = _whole(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is less than 0")
    return number


def _minutes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if isnan(number) or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time")
    return number
