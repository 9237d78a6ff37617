"""`python -m tests.e2e.snooping_daemon`: the daemon as it is, whose actors look for secrets in their own processes.

Where to write what it found comes in SNOOP_FOLDER, and in SNOOP_DIGESTS what to look for: names and digests, so that
looking for a secret brings none in.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actors._shell import Shell
from app.domain.calls import BalancesCall
from app.exchanges.adapter import CcxtPort
from app.launcher.__main__ import main
from app.process.secrets_env import taken
from messages.supervision import Ping

FOLDER, DIGESTS = "SNOOP_FOLDER", "SNOOP_DIGESTS"
PR_GET_DUMPABLE = 3


def digest(value: bytes) -> str:
    """What stands for a secret."""
    return hashlib.sha256(value).hexdigest()


def texts() -> Iterator[bytes]:
    """Every text, as bytes, that an object of this process holds, and what is in its environment."""
    gc.unfreeze()
    for holder in gc.get_objects():
        for each in gc.get_referents(holder):
            if type(each) is str:
                yield each.encode("utf-8", "surrogateescape") if each.isascii() else b""
            elif type(each) in (bytes, bytearray):
                yield bytes(each)
    for entry in Path("/proc/self/environ").read_bytes().split(b"\0"):
        yield entry.partition(b"=")[2]


def look(name: str) -> None:
    """Writes what this process holds."""
    wanted: dict[str, str] = json.loads(os.environ[DIGESTS])
    known = {value: key for key, value in wanted.items() if not key.startswith("#")}
    lengths = set(json.loads(os.environ[DIGESTS])["#lengths"].split())
    found = set()
    for text in texts():
        if str(len(text)) in lengths:
            found.add(known.get(digest(text)))
    facts = {
        "found": sorted(filter(None, found)),
        "taken": sorted(taken()),
        "core_limit": resource.getrlimit(resource.RLIMIT_CORE),
        "dumpable": ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
    }
    path = Path(os.environ[FOLDER]) / f"{name}.{os.getpid()}"
    path.write_text(json.dumps(facts))
    path.rename(path.with_suffix(f".{os.getpid()}.json"))


def snoop() -> None:
    """Has each actor look once, at its first ping, the supervisor at its first tick; and one call raise its secret."""
    handle = Shell._dispatch
    perform = CcxtPort.perform
    looked: set[int] = set()

    def dispatch(self: Any, message: Any, sender: Any) -> None:
        handle(self, message, sender)
        if isinstance(message, Ping) and os.getpid() not in looked:
            looked.add(os.getpid())
            look(self.name)

    async def performed(self: Any, call: Any) -> Any:
        if isinstance(call, BalancesCall):
            held = self._credentials
            raise RuntimeError(f"{held!r}: {held.secret} of {held.api_key} in https://x/?y={held.secret}&z=1")
        return await perform(self, call)

    Shell._dispatch = dispatch  # type: ignore[method-assign]
    CcxtPort.perform = performed  # type: ignore[method-assign]


if __name__ == "__main__":
    snoop()
    sys.exit(main(sys.argv[1:]))
