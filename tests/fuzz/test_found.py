"""Seeds that found something in this harness, by profile and as they were found: each holds since it was mended.

Of a bug of the router there is a small run in the corpus as well, where one shows it; these are the whole ones. Some
were the checker's: what it took for a violation was none.
"""

from __future__ import annotations

import pytest

from tests.fuzz.seeds import hold

FOUND = {
    "calm": (527, 655, 1440),
    "disk": (247,),
    "expiring": (19, 1726),
    "moving": (1066,),
    "network": (1743,),
    "returning": (378,),
    "sick": (1150,),
    "steering": (3, 1020),
}


@pytest.mark.deep
@pytest.mark.parametrize("profile", FOUND)
def test_what_was_found_once_holds(profile: str) -> None:
    hold(profile, FOUND[profile])
