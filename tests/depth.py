"""How many examples hypothesis draws for the properties whose examples are long stories.

The suite, which runs before every change lands, draws few; `make properties` draws many, and new ones each time.
"""

from __future__ import annotations

import os

DEEP = bool(os.environ.get("ORDER_ROUTER_DEEP"))


def examples(quick: int, deep: int) -> int:
    """As many as are meant for this run."""
    return deep if DEEP else quick
