"""The harness' strategy in a real process: its plan and its diary are files, which outlive it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from app.fuzz.record import Died
from app.fuzz.strategy import FuzzStrategy, StrategyPlan
from messages.executions import Execution
from messages.orders import Fill, OrderUpdate
from tests.real import diary

LOOK_S = 0.1
"""Between two looks whether there is a plan by now."""


class RealStrategy(FuzzStrategy):
    """Follows the plan in a file, once it is there, and keeps in it how far it is."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._todo: list[tuple[float, int, str]] = []
        self._waiting: dict[str, Any] = {}
        self._begun = False

    def on_start(self) -> None:
        """A new life, which begins when there is a plan."""
        path = plan_path(self._folder, self.name)
        if not path.exists():
            self.call_at(self.now_s() + LOOK_S)
            return
        self._plan = read_plan(self._folder, self.name)
        before = diary.read(self._folder, self.name)
        self._record = diary.Diary(self._folder, self.name)
        if before:  # it died some time after that, and whatever it waited for then died with it
            self._record.add(Died(before[-1].at_s, self.name, "its next life begins"))
        self._begun = True
        super().on_start()
        self._keep()

    def on_timer(self, now_s: float) -> None:
        """See `FuzzStrategy`."""
        if not self._begun:
            self.on_start()
            return
        super().on_timer(now_s)
        self._keep()

    def on_order(self, update: OrderUpdate) -> None:
        """See `FuzzStrategy`."""
        super().on_order(update)
        self._keep()

    def on_fill(self, fill: Fill) -> None:
        """See `FuzzStrategy`."""
        super().on_fill(fill)

    def on_execution(self, execution: Execution, number: int) -> None:
        """See `FuzzStrategy`."""
        super().on_execution(execution, number)

    def _keep(self) -> None:
        write_plan(self._folder, self._plan)


def plan_path(folder: Path, name: str) -> Path:
    """Where a strategy's plan is."""
    return folder / f"{name}.plan"


def read_plan(folder: Path, name: str) -> StrategyPlan:
    """A strategy's plan, as it is now."""
    found: StrategyPlan = pickle.loads(plan_path(folder, name).read_bytes())
    return found


def write_plan(folder: Path, plan: StrategyPlan) -> None:
    """Whole or not at all."""
    path = plan_path(folder, plan.name)
    draft = path.with_suffix(".new")
    draft.write_bytes(pickle.dumps(plan))
    draft.replace(path)
