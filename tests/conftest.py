"""Settings for all tests."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline for one example: the machine that runs the tests may be busy, and slow is not wrong. In CI the examples
# are the same at each run, so that a red run can be repeated; at a desk new ones are tried.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci", parent=settings.get_profile("desk"), derandomize=True, print_blob=True, max_examples=100
)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Like `tmp_path`, but so short that a stranger's plain call reaches the sockets in it: it takes 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="or-") as folder:
        yield Path(folder)
