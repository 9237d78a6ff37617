"""What befalls a run at the steps of a switch: somebody dies, or an exchange fails, just as trading is at that step.

Most steps last for milliseconds. Times that are drawn beforehand hit them so seldom that thousands of runs leave pairs
of step and death untried (docs/FUZZ_COVERAGE.md). So these wait for the step, as a debugger does at a breakpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from attrs import define, field, frozen

from app.domain.saga_table import Step
from app.fuzz.faults import OUTAGES, Fault, Window
from messages.supervision import Role

AT = (Step.PREFLIGHT, Step.SETTLE, Step.LEAVE, Step.CARRY, Step.POSITIONS, Step.REPORT)
"""Steps that last longer than one handler. Fence and commit do not: a death there is one of `COORDINATOR_POINTS`."""

CONTROL = (Role.FAILOVER_COORDINATOR.value, Role.POSITION_SYNCHRONIZER.value, Role.HEALTH_MONITOR.value)

KINDS = {
    **OUTAGES,
    **{fault.value: (fault,) for fault in Fault if all(fault not in kinds for kinds in OUTAGES.values())},
}
"""What an exchange may fail by: the outages, and whatever is none of them."""


@frozen(kw_only=True)
class AtStep:
    """Once, as a switch enters a step.

    Attributes:
        nth: Of how many times it is entered, from 1 on.
        after_s: After so long, although the switch may have gone on by then.
        actor: Who dies then, "everything" included; empty where nobody does.
        exchange: Which one fails from then on, by `kinds`, for `for_s`; empty where none does.
    """

    step: Step
    nth: int
    after_s: float
    actor: str = ""
    exchange: str = ""
    kinds: str = ""
    for_s: float = 0.0


def draw_at_steps(
    names: Sequence[str], strategies: Sequence[str], most: tuple[int, int], rng: Random
) -> tuple[AtStep, ...]:
    """As many as `most` says, least and most; a death, a failing exchange, or both, in one of the steps."""
    actors = (*names, *names, *CONTROL, *CONTROL, *strategies, "everything")
    drawn = []
    for _ in range(rng.randint(*most)):
        draw = rng.random()
        fails = draw >= 0.5
        drawn.append(
            AtStep(
                step=rng.choice(AT),
                nth=rng.choice((1, 1, 1, 2, 2, 3)),
                after_s=rng.choice((0.0, 0.002, 0.05, 0.8)) * rng.random(),
                actor=rng.choice(actors) if draw < 0.75 else "",
                exchange=rng.choice(names) if fails else "",
                kinds=rng.choice(tuple(KINDS)) if fails else "",
                for_s=rng.choice((0.5, 5.0, 40.0)) * rng.random() if fails else 0.0,
            )
        )
    return tuple(drawn)


@define
class StepWatch:
    """Looks at the step before each message is handled, and lets happen what waited for it.

    Attributes:
        calm_s: From then on nothing befalls anybody.
        later: Does something after so many seconds.
        kill: Ends an actor by name.
        fail: Begins a window of faults; its times are of the run's clock.
    """

    planned: Sequence[AtStep]
    calm_s: float
    now: Callable[[], float]
    step: Callable[[], Step | None]
    later: Callable[[float, Callable[[], None]], None]
    kill: Callable[[str], None]
    fail: Callable[[Window], None]
    _was: Step | None = field(init=False, default=None)
    _entered: dict[Step, int] = field(init=False, factory=dict)

    def look(self) -> None:
        """Something may have entered another step."""
        step = self.step()
        if step is None or step is self._was:
            return
        self._was = step
        nth = self._entered[step] = self._entered.get(step, 0) + 1
        for each in self.planned:
            if each.step is step and each.nth == nth:
                self.later(each.after_s, lambda each=each: self._befall(each))  # type: ignore[misc]

    def _befall(self, each: AtStep) -> None:
        now_s = self.now()
        if now_s >= self.calm_s:
            return
        if each.exchange:
            until_s = min(self.calm_s, now_s + each.for_s)
            self.fail(Window(each.exchange, now_s, until_s, KINDS[each.kinds]))
        if each.actor:
            self.kill(each.actor)
