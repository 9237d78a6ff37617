"""The file by which a running daemon is found: where its actors are, and what it was started with.

`daemon.json` in the state directory, mode 0600, written when the daemon serves and removed when it ends. It holds no
secret but one: the key of the actor system, which only the user who may read the directory can read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import psutil
from attrs import asdict, frozen
from cattrs import BaseValidationError
from cattrs.preconf.json import make_converter

PRESENCE_NAME = "daemon.json"

_converter = make_converter(forbid_extra_keys=False)


@frozen(kw_only=True)
class Presence:
    """A daemon that serves.

    Attributes:
        created_s: The process's own start time, so that a reused pid is not taken for it.
        transport: What the actors talk over; for "unix", their sockets are beside this file.
        admin_port: For "tcp".
        supervisor: Address of the root supervisor.
        key: Of the actor system, hexadecimal.
        anchor_s: Of its clock, which every process attached to it uses too.
        settings: What a router may be constructed with, by the names of the facade's arguments.
    """

    pid: int
    created_s: float
    admin_port: int
    supervisor: str
    key: str
    anchor_s: float
    journal_id: str
    settings: dict[str, Any]
    transport: Literal["unix", "tcp"] = "tcp"

    def __repr__(self) -> str:
        """Without the key."""
        return f"Presence(pid={self.pid}, transport={self.transport}, admin_port={self.admin_port})"


def write_presence(state_dir: Path, presence: Presence) -> None:
    """Writes the file at once and whole."""
    path = state_dir / PRESENCE_NAME
    draft = path.with_suffix(".new")
    fd = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(asdict(presence), file)
    draft.replace(path)


def remove_presence(state_dir: Path) -> None:
    """Removes the file, if it is there."""
    (state_dir / PRESENCE_NAME).unlink(missing_ok=True)


def read_presence(state_dir: Path) -> Presence | None:
    """The daemon that serves on a state directory; None where there is none, or it is dead."""
    try:
        presence = _converter.loads((state_dir / PRESENCE_NAME).read_text(), Presence)
        created_s = psutil.Process(presence.pid).create_time()
    except (OSError, ValueError, BaseValidationError, psutil.Error):
        return None
    return presence if abs(created_s - presence.created_s) < 1.0 else None


def presence_mark(state_dir: Path) -> tuple[int, int] | None:
    """Changes whenever the file does; None while it is not there. Cheap enough to look at all the time."""
    try:
        found = os.stat(state_dir / PRESENCE_NAME)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
