"""Small private files: what is not one of ours is told of, and never read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.process.private_file import Untrusted, read_private


@pytest.mark.parametrize("folder", [True, False])
def test_what_is_no_file_is_not_relied_on(tmp_path: Path, folder: bool) -> None:
    """A folder, or a pipe, in its place; and nothing stays open."""
    path = tmp_path / "bybit.json"
    (os.mkdir if folder else os.mkfifo)(path, 0o700)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(Untrusted, match="is no regular file"):
        read_private(path, 100)
    assert len(os.listdir("/proc/self/fd")) == len(before)
