"""A run written down: its plan and what chance decided in it, so that it can be played again when seeds mean otherwise.

A seed is a run only for as long as plans are drawn as they are today. What was found by one is kept as a case: a file
of JSON that `order-router fuzz --replay-plan FILE` plays.
"""

from __future__ import annotations

import json
from decimal import Decimal, DecimalException
from random import Random

from attrs import frozen
from cattrs import ClassValidationError, transform_error
from cattrs.preconf.json import JsonConverter, make_converter
from cattrs.v import format_exception

from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.plan import Plan, draw_plan
from app.fuzz.profiles import PROFILES, Profile
from app.fuzz.run import run_plan

BEFORE_EXCHANGES = 3
"""Numbers that a world draws before those of its exchanges: for messages, for itself, for the weather."""


@frozen(kw_only=True)
class Case:
    """One run.

    Attributes:
        rule: What it broke when it was found.
        chances: The numbers its world begins with: three of its own, one for each exchange, the journal's id.
    """

    rule: str
    profile: Profile
    plan: Plan
    chances: tuple[int, ...]


class Chances(Random):
    """Gives out numbers that were drawn before, in their order."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        super().__init__(0)
        self._left = list(numbers)

    def getrandbits(self, k: int, /) -> int:
        """The next."""
        return self._left.pop(0)


def case_of(seed: int, profile: str, rule: str = "") -> Case:
    """What a seed means today."""
    rng = Random(f"{profile}-{seed}")
    plan = draw_plan(PROFILES[profile], rng)
    chances = [rng.getrandbits(64) for _ in range(BEFORE_EXCHANGES + len(plan.traits))]
    return Case(rule=rule, profile=PROFILES[profile], plan=plan, chances=(*chances, rng.getrandbits(32)))


def run_case(case: Case) -> tuple[Seen, tuple[Violation, ...]]:
    """Plays a case and judges it; it stays as it is."""
    return run_plan(case.plan, case.profile, Chances(case.chances))


def _converter() -> JsonConverter:
    converter = make_converter(omit_if_default=True, forbid_extra_keys=True)
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    return converter


_CONVERTER = _converter()


def to_json(case: Case) -> str:
    """A case as text; what is as usual is left out."""
    return json.dumps(_CONVERTER.unstructure(case), indent=1)


def from_json(text: str) -> Case:
    """The case in a text.

    Raises:
        ValueError: It is no case, or one of another version of the harness; the text says which field is wrong.
    """
    try:
        parts = json.loads(text)
        if not isinstance(parts, dict):
            raise ValueError("it is no object of JSON")
        case = _CONVERTER.structure(parts, Case)
        if (case.profile.disk is None) != (case.plan.disk is None):
            raise ValueError("its plan has a disk, and its profile has none, or the other way round")
        needed = BEFORE_EXCHANGES + len(case.plan.traits) + 1
        if len(case.chances) != needed:
            raise ValueError(f"chances has {len(case.chances)} numbers, and a run of it begins with {needed}")
        return case
    except ClassValidationError as error:
        wrong = transform_error(error, format_exception=_words)
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ValueError(f"This is no run that this version can play: {wrong[0]}{more}.") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"This is no run that this version can play: {error}.") from error


def _words(error: BaseException, kind: type | None) -> str:
    """What is wrong with one field."""
    if isinstance(error, DecimalException):
        return "it is no number"
    if isinstance(error, AttributeError):
        return "it is no object of JSON"
    return format_exception(error, kind)
