"""A run as a sequence of choices: what could happen next, what did, and what each event touched.

The events of a run are deliveries, arrivals at an exchange, its answers, and the passing of time. What an event may do
in more than one way (its actor dies in the middle, its call is lost) is chosen within it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence

from attrs import define, field

Footprint = Mapping[str, bool]
"""What an event touched, by name; True where it changed it."""

EVERYTHING = "*"
"""Touched by the passing of time, which commutes with nothing."""

ANYTIME = "~"
"""How the queue of what may happen at any time begins."""

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Asleep(Exception):
    """Whatever could happen next was explored, in this state, in another order."""


def dependent(one: Footprint, other: Footprint) -> bool:
    """Whether two events touched the same, and one of them changed it: then their order may matter."""
    if EVERYTHING in one or EVERYTHING in other:
        return True
    if len(one) > len(other):
        one, other = other, one
    return any(name in other and (changed or other[name]) for name, changed in one.items())


@define
class Step:
    """One choice.

    Attributes:
        options: What could happen, by names that stay the same when what commutes is swapped.
        chosen: Which of them did.
        within: The step of the event within which this was chosen; below zero where it is an event.
        queues: Of each option, the queue at whose head it stood: such options never swap places.
        causes: Of each option, the step that brought it about; below zero for before the first.
        touched: What the event touched; nothing where it is not an event.
    """

    options: tuple[str, ...]
    chosen: int
    within: int = -1
    queues: tuple[str, ...] = ()
    causes: tuple[int, ...] = ()
    touched: dict[str, bool] = field(factory=dict)

    @property
    def name(self) -> str:
        """What was chosen."""
        return self.options[self.chosen]

    @property
    def is_event(self) -> bool:
        """Whether this is an event, and not a choice within one."""
        return self.within < 0


@define
class Guide:
    """Decides each choice of one run: as told first, then whatever is the first that is not asleep.

    Attributes:
        told: What to choose, by name, from the start.
        since: The step of the last event that is told.
        asleep: Events that need not happen instead of that one, nor after it unless it touches what they do.
        digits: What to choose by number, where there is more than one option and nothing is told.
        known: Where runs have been that went on from there in every way.
        steps: What was chosen.
        places: Where the run has been while nothing was under way, each after a choice that is not told.
        branched: Whether such a choice was made since.
        joined: It ended where another run has been.
        wrong: Why what is told, or its digits, fit no run; kept, since an actor that chooses would die of an error.
    """

    told: Sequence[str] = ()
    since: int = 0
    asleep: dict[str, Footprint] = field(factory=dict)
    digits: str = ""
    known: Container[str] = ()
    steps: list[Step] = field(factory=list)
    places: list[str] = field(factory=list)
    branched: bool = False
    joined: bool = False
    wrong: str = ""
    _event: int = -1
    _read: int = 0

    @property
    def event_number(self) -> int:
        """The step of the event that is happening; below zero where none is."""
        return self._event

    def event(self, options: Sequence[str], queues: Sequence[str], causes: Sequence[int]) -> int:
        """Chooses the next event.

        Raises:
            Asleep: None of them is worth it.
        """
        self.end()
        at = len(self.steps)
        if at < len(self.told):
            chosen = self._told(at, options)
        else:
            awake = [n for n, name in enumerate(options) if name not in self.asleep]
            if not awake:
                raise Asleep
            chosen = self._digit(len(options)) if self.digits else awake[0]
        self.branched = self.branched or (len(options) > 1 and at + 1 >= len(self.told))
        self._event = at
        self.steps.append(Step(tuple(options), chosen, queues=tuple(queues), causes=tuple(causes)))
        return chosen

    def within(self, options: Sequence[str]) -> int:
        """Chooses how the event that is happening goes on."""
        at = len(self.steps)
        chosen = self._told(at, options) if at < len(self.told) else self._digit(len(options))
        self.branched = self.branched or (len(options) > 1 and at + 1 >= len(self.told))
        self.steps.append(Step(tuple(options), chosen, within=self._event))
        return chosen

    def came_to(self, place: str) -> None:
        """Nothing is under way any more.

        Raises:
            Asleep: A run has been here.
        """
        self.end()
        self.branched = False
        if place in self.known:
            self.joined = True
            raise Asleep
        self.places.append(place)

    def touch(self, name: str, *, changes: bool) -> None:
        """The event that is happening touches something."""
        if self._event >= 0:
            touched = self.steps[self._event].touched
            touched[name] = touched.get(name, False) or changes

    def end(self) -> None:
        """What was happening is over, and what it touched is known: whoever slept, and may see that, wakes up."""
        if self._event >= self.since and self.asleep:
            touched = self.steps[self._event].touched
            self.asleep = {name: foot for name, foot in self.asleep.items() if not dependent(foot, touched)}
        self._event = -1

    def _digit(self, options: int) -> int:
        if options == 1 or self._read >= len(self.digits):
            return 0
        self._read += 1
        digit = DIGITS.find(self.digits[self._read - 1])
        if 0 <= digit < options:
            return digit
        self.wrong = self.wrong or f"Choice {self._read} of {self.digits!r} is one of {options} here."
        return 0

    def _told(self, at: int, options: Sequence[str]) -> int:
        if self.told[at] in options:
            return options.index(self.told[at])
        self.wrong = self.wrong or f"Choice {at} is told to be {self.told[at]!r}, and is one of {tuple(options)}."
        return 0


def as_digits(steps: Sequence[Step]) -> str:
    """The choices of a run as digits: one for each where there was more than one option."""
    return "".join(DIGITS[step.chosen] for step in steps if len(step.options) > 1).rstrip("0")


def as_choices(digits: str) -> str:
    """Digits as a person is told them: many noughts in a row by their number, between colons."""
    return re.sub("0{4,}", lambda noughts: f":{len(noughts[0])}:", digits) or "0"


def as_told(choices: str) -> str:
    """Digits, as a person tells them.

    Raises:
        ValueError: They are none.
    """
    digits = re.sub(r":(\d{1,4}):", lambda number: "0" * int(number[1]), choices)
    if not set(digits) <= set(DIGITS):
        raise ValueError("choices are digits and small letters, with the number of many noughts between colons")
    return digits.rstrip("0")
