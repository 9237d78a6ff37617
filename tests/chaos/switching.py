"""`python -m tests.chaos.switching`, or `make chaos-switch`: kill -9 in the middle of a switch with everything.

Orders rest, positions stand, the market takes a part of some orders, and trading is moved. When the exchanges' books
show that the switch has come to a certain point, somebody of the daemon is killed, or one of the two exchanges refuses
connections for some seconds; whoever asked for the switch asks again until trading has moved. Then every order must
rest on the other exchange once, with what is left of it, every position must stand there, nothing may be anywhere else,
and the net may never have been further than one slice from what the strategy wants. Each injury of a run moves
everything to the other exchange.

Ends with 0, or with 1 where something was lost, doubled, or did not arrive.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import product
from typing import Any, Final

from attrs import define, frozen

from app.core.order_router import OrderRouterError
from benchmarks.switching.curve import base_of, largest_drift
from benchmarks.switching.planned import PRICES, Cargo, Journey, Placed
from benchmarks.switching.stops import LIVE, Truths
from tests.chaos.injury import Target
from tests.chaos.stage import STRATEGY, Stage

EXCHANGES: Final = ("bybit", "okx")
SLICE_NOTIONAL: Final = 500
SECTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "orders": {"policy": "replace"},
    "positions": {"policy": "migrate", "slice_notional": SLICE_NOTIONAL, "slice_pause_s": 0.05},
}
CARGO: Final = Cargo(
    orders=(
        Placed(base="BTC", side="Buy", qty="0.020", price="25000"),
        Placed(base="BTC", side="Sell", qty="0.030", price="29000"),
        Placed(base="ETH", side="Buy", qty="0.50", price="1700"),
        Placed(base="ETH", side="Sell", qty="0.60", price="1900", kind="post-only", time_in_force="PostOnly"),
        Placed(base="SOL", side="Sell", qty="20", price="32", kind="reduce-only", reduce_only=True),
        Placed(base="BTC", side="Sell", qty="0.010", price="", kind="stop", trigger="23000"),
    ),
    positions={"ETH": Decimal("-0.6"), "SOL": Decimal("40")},
)
BOUND_S: Final = 60.0
"""For one switch, whoever dies in it."""
LOOK_S: Final = 0.004
ASK_S: Final = 0.1


class Moment(StrEnum):
    """How far a switch has come, by the exchanges' books."""

    ASKED = "just asked for"
    TAKEN_OFF = "the first order taken off"
    ALL_OFF = "every order taken off"
    CARRIED = "the first order placed again"
    OPENED = "the first slice opened"
    HALF = "half of the positions moved"


OUT_S: Final = 4.0
"""For so long an exchange that dies refuses connections."""
DYING: Final = {"old exchange": 0, "new exchange": 1}
TARGETS: Final = (
    *("old connector", "new connector", Target.COORDINATOR, Target.SYNCHRONIZER, Target.MONITOR),
    *(Target.SUPERVISOR, Target.ADMIN, Target.LAUNCHER, *DYING),
)


@frozen(kw_only=True)
class Blow:
    """Who is killed, and when."""

    target: str
    moment: Moment

    def __str__(self) -> str:
        return f"{self.target} {'out' if self.target in DYING else 'killed'}, {self.moment}"


@define(kw_only=True)
class Sample:
    """What became of one."""

    blow: Blow
    took_s: float
    hit: bool
    wrong: list[str]


class Switching:
    """Switches on a stage, one injury in each."""

    def __init__(self, stage: Stage, *, seed: int = 1) -> None:
        self._stage = stage
        self.journey = Journey(
            stage.router,
            stage.world.controls,
            journal_id=stage.presence().journal_id,
            seed=seed,
            told=lambda _: None,
            cargo=CARGO,
            strategy=STRATEGY,
        )
        self._at = EXCHANGES[0]

    def set_out(self) -> list[str]:
        """What is not as it should be before anything is hurt."""
        self._stage.census.well(BOUND_S)
        return self.journey.set_out(self._at)

    def injure(self, blow: Blow) -> Sample:
        """One switch to the other exchange, and somebody dies in it."""
        old, new = self._at, next(name for name in EXCHANGES if name != self._at)
        strike = self._strike(blow.target, old, new)
        self.journey.take()
        began_s = time.monotonic()
        moved, over = threading.Event(), threading.Event()
        asking = threading.Thread(target=self._ask, args=(new, moved, over), daemon=True)
        asking.start()
        hit = self._until(blow.moment, old, new, began_s + BOUND_S / 4)
        hit = strike() and hit
        wrong = [] if moved.wait(BOUND_S) else [f"Trading did not move to {new} within {BOUND_S:g} s."]
        wrong += self.journey.arrived(new, max(1.0, began_s + BOUND_S - time.monotonic()))
        took_s = time.monotonic() - began_s
        over.set()
        asking.join(BOUND_S)
        self._at = new
        drift = largest_drift(self.journey.standing(self.journey.truths()), PRICES)
        wrong += [
            f"{base} drifted by {value:.0f}, and a slice is {SLICE_NOTIONAL}."
            for base, value in drift.items()
            if value > SLICE_NOTIONAL
        ]
        if wrong:
            wrong += self._told()
        return Sample(blow=blow, took_s=took_s, hit=hit, wrong=wrong)

    def _told(self) -> list[str]:
        """What the router says of the orders, for whoever looks for the reason."""
        try:
            found = self._stage.router.get_open_orders()
        except OrderRouterError as error:
            return [f"The router says: {error}"]
        names = ("orderLinkId", "orderStatus", "exchange", "leavesQty", "rejectReason")
        return [f"The router says: {', '.join(str(dict(order)[name]) for name in names)}" for order in found]

    def _strike(self, target: str, old: str, new: str) -> Callable[[], bool]:
        """What is done at the moment; it says whether it met anybody."""
        if target in DYING:
            control = self._stage.world.controls[(old, new)[DYING[target]]]

            def out() -> bool:
                control.fault("refused")
                threading.Event().wait(OUT_S)  # an outage has a length, whatever becomes of it
                control.clear_faults()
                return True

            return out
        roll = self._stage.census.well(BOUND_S)
        assert roll is not None, "not everybody served before the switch"
        pid = {
            "old connector": roll.children[f"connector:{old}"],
            "new connector": roll.children[f"connector:{new}"],
        }.get(target) or roll.of(Target(target), old)
        assert pid is not None

        def kill() -> bool:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it was just replaced, for what happened to it before
                return False
            finally:
                if target == Target.LAUNCHER:
                    self._again()
            return True

        return kill

    def _ask(self, exchange: str, moved: threading.Event, over: threading.Event) -> None:
        """As a person does: again, until trading is there; and once more where it had to leave again."""
        router = self._stage.router
        while not over.is_set():
            try:
                if router.get_status()["current_exchange"] == exchange:
                    moved.set()
                    over.wait(ASK_S)
                else:
                    router.manual_failover(exchange)
            except OrderRouterError:
                over.wait(ASK_S)

    def _again(self) -> None:
        """Starts the daemon anew, and attaches to it, as a service manager and a bot do."""
        self._stage.stop()
        until_s = time.monotonic() + BOUND_S
        pause = threading.Event()
        while self._stage.family() and time.monotonic() < until_s:
            pause.wait(0.01)
        self._stage.start()
        while time.monotonic() < until_s:
            try:
                self._stage.router.attach()
                return
            except OrderRouterError:
                pause.wait(0.05)

    def _until(self, moment: Moment, old: str, new: str, until_s: float) -> bool:
        """Waits for a moment; False where it did not come in time."""
        if moment is Moment.ASKED:
            return True
        pause = threading.Event()
        before = self.journey.truths()
        while time.monotonic() < until_s:
            if _came(moment, before, self.journey.truths(), old, new):
                return True
            pause.wait(LOOK_S)
        return False


def _came(moment: Moment, before: Truths, now: Truths, old: str, new: str) -> bool:
    def resting(truths: Truths, exchange: str) -> int:
        return sum(order["status"] in LIVE for order in truths[exchange]["orders"])

    def worth(truths: Truths, exchange: str) -> Decimal:
        held = truths[exchange]["positions"].items()
        return sum((abs(Decimal(qty)) * PRICES[base_of(symbol)] for symbol, qty in held), Decimal(0))

    match moment:
        case Moment.ASKED:
            return True
        case Moment.TAKEN_OFF:
            return resting(now, old) < len(CARGO.orders)
        case Moment.ALL_OFF:
            return resting(now, old) == 0
        case Moment.CARRIED:
            return resting(now, new) > 0
        case Moment.OPENED:
            return worth(now, new) > 0
        case Moment.HALF:
            return worth(now, new) * 2 >= worth(before, old)


def plan(seed: int) -> Iterator[Blow]:
    """Every pair of a target and a moment, in rounds, each in an order of its own."""
    chance = random.Random(seed)
    pairs = [Blow(target=target, moment=moment) for target, moment in product(TARGETS, Moment)]
    while True:
        yield from chance.sample(pairs, len(pairs))


def play(blows: Sequence[Blow], told: Callable[[Sample], None], *, seed: int = 1) -> list[Sample]:
    """One stage, and all blows on it; stops where something is wrong, since what follows would be as well."""
    samples: list[Sample] = []
    with Stage(EXCHANGES, **SECTIONS) as stage:
        switching = Switching(stage, seed=seed)
        begun = switching.set_out()
        if begun:
            raise RuntimeError(f"It did not even begin: {' '.join(begun)}")
        for blow in blows:
            samples.append(switching.injure(blow))
            told(samples[-1])
            if samples[-1].wrong:
                break
    return samples


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see above."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.switching", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--injuries", type=int, default=len(TARGETS) * len(Moment), help="how many (each pair once)")
    parser.add_argument("--seed", type=int, default=1, help="of their order, and of what the market takes (1)")
    parser.add_argument("--only", help="whose death alone, e.g. 'failover_coordinator'")
    given = parser.parse_args(arguments)
    drawn = plan(given.seed)
    blows: list[Blow] = []
    while len(blows) < given.injuries:
        blow = next(drawn)
        if given.only is None or blow.target == given.only:
            blows.append(blow)
    left = list(blows)
    bad: list[Sample] = []
    while left:  # a run that went wrong goes on, on a new stage, after what went wrong
        samples = play(left, lambda sample: print(_line(sample), file=sys.stderr, flush=True), seed=given.seed)
        bad += [sample for sample in samples if sample.wrong]
        left = left[len(samples) :]
    print(f"{len(blows)} injuries, {len(bad)} went wrong")
    return 1 if bad else 0


def _line(sample: Sample) -> str:
    came = "" if sample.hit else " (that moment did not come)"
    words = "".join(f"\n    {each}" for each in sample.wrong[:20])
    return f"{sample.blow}{came}: everything had arrived after {sample.took_s:.1f} s{words}"


if __name__ == "__main__":
    sys.exit(main())
