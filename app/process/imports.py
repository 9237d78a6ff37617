"""Imports without what the garbage collector makes of them, for a program that goes on for long.

What is imported stays, and there is much of it: as it grows, the collector looks at all of it again and again, a fifth
of what the start of a daemon takes. The young are looked at as ever: what imports leave behind is freed.
Only the standard library is imported here, and little of that.
"""

from __future__ import annotations

import gc

_SELDOM = 1_000_000
_before = gc.get_threshold()


def leave_the_old_alone() -> None:
    """Until `look_at_all_again`, the collector does not look at what has survived it twice."""
    young, middle, _ = _before
    gc.set_threshold(young, middle, _SELDOM)


def look_at_all_again() -> None:
    """As Python has it."""
    gc.set_threshold(*_before)
