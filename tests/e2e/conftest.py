"""Worlds shared by a file, where a test does not need one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.world import World

Build = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Build]:
    """Builds worlds that end with the test."""
    with ExitStack() as stack:

        def build(*exchanges: str, **sections: object) -> World:
            return stack.enter_context(World(exchanges, tmp_path / "state", **sections))  # type: ignore[arg-type]

        yield build
