"""How many examples hypothesis draws for the properties whose examples are long stories.

The suite, which runs before every change lands, draws few; `make properties` draws many, and new ones each time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine

DEEP = bool(os.environ.get("ORDER_ROUTER_DEEP"))


def examples(quick: int, deep: int) -> int:
    """As many as are meant for this run."""
    return deep if DEEP else quick


def stateful(machine: type[RuleBasedStateMachine], quick: int, deep: int, steps: int = 25) -> type:
    """A machine of rules as a class of tests: few short stories in the suite, many long ones in `make properties`."""
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples(quick, deep),
        stateful_step_count=examples(steps, 2 * steps),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    return case
