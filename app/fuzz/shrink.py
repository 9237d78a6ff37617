"""Makes a run that fails as small as it can be made and still break the same rule, so that a person can read it.

Delta debugging (A. Zeller and R. Hildebrandt, "Simplifying and isolating failure-inducing input", 2002: `ddmin`):
halves of the plan are left out, then quarters, and so on, for as long as what is left breaks the rule; in the end no
single part can be left out. Each try is a run with the same chances, though what chance decides falls elsewhere when
there is less to decide. Tries are bounded in number, and in time where that is asked for: within the first bound the
same case shrinks to the same, always.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from attrs import define, field, frozen

from app.fuzz.case import Case, case_of, run_case
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.parts import Part, cut, last_s, only, parts_of

MOST_RUNS = 300
"""Tries."""
SPARE_S = 10.0
"""So long after the last of what befalls it a run may be calm."""


@frozen(kw_only=True)
class Shrunk:
    """What shrinking came to.

    Attributes:
        seen: Of the run of the small case; likewise `violations`, which have the rule among them.
        before: Parts there were; `after`, that are left.
        bound: Why it ended before it was done; empty where no part can be left out any more.
    """

    case: Case
    seen: Seen
    violations: tuple[Violation, ...]
    before: int
    after: int
    runs: int
    bound: str


Run = Callable[[Case], tuple[Seen, tuple[Violation, ...]]]
"""Plays a case and judges it."""


class _Enough(Exception):
    """A bound is reached."""


@define
class _Shrinking:
    """One at work."""

    case: Case
    most_runs: int
    until_s: float
    run: Run
    seen: Seen
    violations: tuple[Violation, ...]
    runs: int = 1
    _tried: set[frozenset[Part]] = field(init=False, factory=set)

    def breaks(self, case: Case) -> bool:
        """Whether a smaller case breaks the rule as well: from then on it is the one to be shrunk."""
        if self.runs >= self.most_runs:
            raise _Enough(f"after {self.runs} runs")
        if time.monotonic() >= self.until_s:
            raise _Enough("when its time was up")
        self.runs += 1
        seen, violations = self.run(case)
        if not any(violation.rule == self.case.rule for violation in violations):
            return False
        self.case, self.seen, self.violations = case, seen, violations
        return True

    def without(self, parts: Sequence[Part], less: Sequence[Part]) -> bool:
        """Whether it breaks the rule without some of its parts."""
        kept = frozenset(parts) - frozenset(less)
        if not less or kept in self._tried:
            return False
        self._tried.add(kept)
        return self.breaks(only(self.case, kept))

    def shrink(self) -> None:
        """Until no part can be left out."""
        self._cut(self._broken_s() + SPARE_S)
        self._by_kind()
        while True:
            before = self.case
            self._cut(last_s(self.case.plan) + SPARE_S)
            self._ddmin()
            if self.case is before:
                return

    def _broken_s(self) -> float:
        broken = next(violation for violation in self.violations if violation.rule == self.case.rule)
        return min(broken.at_s, self.seen.end_s) - self.seen.start_s

    def _cut(self, calm_s: float) -> None:
        if calm_s < self.case.plan.times.calm_s - 1.0 and not self.case.plan.illnesses:
            self.breaks(cut(self.case, calm_s))

    def _by_kind(self) -> None:
        """Whole kinds first, and every order that the rule is not about: what costs most runs is gone by that."""
        serials = {violation.serial for violation in self.violations if violation.rule == self.case.rule}
        self._leave_out(lambda part: part.kind == "order" and part.which[0] not in serials)
        for kind in dict.fromkeys(part.kind for part in parts_of(self.case)):
            self._leave_out(lambda part, kind=kind: part.kind == kind)  # type: ignore[misc]

    def _leave_out(self, those: Callable[[Part], bool]) -> None:
        parts = parts_of(self.case)
        self.without(parts, [part for part in parts if those(part)])

    def _ddmin(self) -> None:
        self._tried.clear()  # parts are numbered anew in each smaller case
        pieces = 2
        while (parts := parts_of(self.case)) and pieces <= 2 * len(parts):
            pieces = min(pieces, len(parts))
            for number in range(pieces):
                piece = parts[number * len(parts) // pieces : (number + 1) * len(parts) // pieces]
                if self.without(parts, piece):
                    self._tried.clear()
                    pieces = max(2, pieces - 1)
                    break
            else:
                if pieces == len(parts):
                    return
                pieces *= 2


def shrink(
    case: Case,
    *,
    most_runs: int = MOST_RUNS,
    for_s: float = float("inf"),
    rule: str | None = None,
    run: Run = run_case,
) -> Shrunk | None:
    """Shrinks a case.

    Args:
        for_s: Seconds it may take.
        rule: To be broken in the end as at first; None for the first that is.

    Returns:
        What came of it; None where the case breaks no such rule.
    """
    until_s = time.monotonic() + for_s
    seen, violations = run(case)
    broken = [each.rule for each in violations if rule is None or each.rule == rule]
    if not broken:
        return None
    case = Case(rule=broken[0], profile=case.profile, plan=case.plan, chances=case.chances)
    work, bound = _Shrinking(case, most_runs, until_s, run, seen, violations), ""
    try:
        work.shrink()
    except _Enough as enough:
        bound = f"It was ended {enough}: a smaller one may be found."
    return Shrunk(
        case=work.case,
        seen=work.seen,
        violations=work.violations,
        before=len(parts_of(case)),
        after=len(parts_of(work.case)),
        runs=work.runs,
        bound=bound,
    )


def shrink_seed(seed: int, profile: str, *, most_runs: int = MOST_RUNS, for_s: float = float("inf")) -> Shrunk | None:
    """Shrinks what a seed means today."""
    return shrink(case_of(seed, profile), most_runs=most_runs, for_s=for_s)
