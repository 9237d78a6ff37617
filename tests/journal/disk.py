"""A disk whose power is cut: what may be on it after a recording was broken off, by the worst that POSIX allows.

What was synced is there. What was written since is there or not, each sector for itself, in any order, as of any of the
writes to it: so writes are lost, torn and reordered. A name that was given or taken away is so only for certain once
its directory was synced. What is assumed, as SQLite does on Linux (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`): bytes that
nobody wrote do not change.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from attrs import define, field

from tests.journal.recorder import Acknowledged, Cut, Named, Step, Synced, SyncedNames, Unnamed, Wrote

SECTOR = 512


@define
class _File:
    """Bytes on the disk for certain, and what was done to them since."""

    kept: bytearray = field(factory=bytearray)
    since: list[Wrote | Cut] = field(factory=list)

    def apply(self, step: Wrote | Cut) -> None:
        self.since.append(step)

    def sync(self) -> None:
        for step in self.since:
            _do(self.kept, step)
        self.since.clear()

    def image(self, chance: random.Random, share: float) -> bytes:
        """What may be there: each sector of each write with a probability of `share`."""
        found = bytearray(self.kept)
        for step in self.since:
            for piece in _sectors(step):
                if chance.random() < share:
                    _do(found, piece)
        return bytes(found)


def _sectors(step: Wrote | Cut) -> Iterable[Wrote | Cut]:
    if isinstance(step, Cut):
        return [step]
    cuts = [0, *range(SECTOR - step.offset % SECTOR, len(step.data), SECTOR), len(step.data)]
    return [Wrote(step.path, step.offset + start, step.data[start:end]) for start, end in pairwise(cuts) if end > start]


def _do(content: bytearray, step: Wrote | Cut) -> None:
    size = step.size if isinstance(step, Cut) else step.offset + len(step.data)
    if len(content) < size:
        content.extend(bytes(size - len(content)))
    if isinstance(step, Cut):
        del content[size:]
    else:
        content[step.offset : size] = step.data


@define
class Disk:
    """One directory of it. It begins empty; what is in `files` has its name for certain."""

    files: dict[str, _File] = field(factory=dict)
    now: dict[str, _File] = field(factory=dict)
    names: list[tuple[str, _File | None]] = field(factory=list)
    """Names given (with the file) and taken away since the directory was synced."""

    def take(self, step: Step) -> None:
        """One more step was done."""
        match step:
            case Named(path=path):
                self.now[path] = _File()
                self.names.append((path, self.now[path]))
            case Unnamed(path=path):
                del self.now[path]
                self.names.append((path, None))
            case Wrote(path=path) | Cut(path=path):
                self.now[path].apply(step)
            case Synced(path=path):
                self.now[path].sync()
            case SyncedNames():
                for path, file in self.names:
                    _give(self.files, path, file)
                self.names.clear()
            case Acknowledged():
                pass

    def after_a_cut(self, into: Path, chance: random.Random, share: float) -> None:
        """Puts into a folder what may be there when the power is back; `share` of what was not synced survives."""
        files = dict(self.files)
        for path, file in self.names:
            if chance.random() < share:
                _give(files, path, file)
        for path, file in files.items():
            (into / Path(path).name).write_bytes(file.image(chance, share))


def _give(files: dict[str, _File], path: str, file: _File | None) -> None:
    if file is None:
        files.pop(path, None)
    else:
        files[path] = file
