"""A disk whose power is cut: what may be on it afterwards, by the worst that POSIX and SQLite's documentation allow.

What was synced is there. What was written since is there or not, each sector for itself, in any order, as of any of the
writes to it: so writes are lost, torn and reordered. A name that was given or taken away is so only for certain once
its directory was synced.

Not weaker than a real disk: nothing that was not synced is kept because SQLite or the journal would want it. What is
known to be safe is known from SQLite's own calls to xSync, not from the journal's pragmas, so that a commit that should
have synced and did not is lost. Not stronger either: a sync that has succeeded holds, since without that nothing can be
promised (sqlite.org/howtocorrupt.html, 3); bytes that nobody wrote do not change (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`,
which SQLite takes for granted on Linux); and a sync that failed leaves what was written as unsynced as it was. What was
written and never synced is mostly there nevertheless, since a kernel writes back by itself: so up to a point drawn anew
for each file all of it may be, and beyond that each sector by chance. Every such outcome is one of those allowed.
Recovery is SQLite's own, on files put together from that.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from attrs import define, field

from app.fuzz.vfs import Cut, Named, Step, Synced, SyncedNames, Unnamed, Wrote

SECTOR = 512


@define
class File:
    """Bytes on the disk for certain, and what was done to them since."""

    kept: bytearray = field(factory=bytearray)
    since: list[Wrote | Cut] = field(factory=list)

    def sync(self) -> None:
        """All of it is on the disk."""
        for step in self.since:
            _do(self.kept, step)
        self.since.clear()

    def image(self, chance: random.Random, share: float, flushed: float = 0.0) -> bytes:
        """What may be there: all of the oldest `flushed` of the writes, each sector of the rest with `share`."""
        found = bytearray(self.kept)
        certain = round(flushed * len(self.since))
        for step in self.since[:certain]:
            _do(found, step)
        for step in self.since[certain:]:
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
    """One directory of it. It begins empty.

    Attributes:
        files: What has its name for certain.
        now: What has it as long as the power is on.
        names: Given (with the file) and taken away since the directory was synced.
    """

    files: dict[str, File] = field(factory=dict)
    now: dict[str, File] = field(factory=dict)
    names: list[tuple[str, File | None]] = field(factory=list)

    @staticmethod
    def of(folder: Path) -> Disk:
        """A disk on which everything that is in a folder is for certain."""
        files = {str(path): File(bytearray(path.read_bytes())) for path in sorted(folder.iterdir())}
        return Disk(files, dict(files))

    def take(self, step: Step) -> None:
        """One more step was done."""
        match step:
            case Wrote(path=path) | Cut(path=path):
                self.now[path].since.append(step)
            case Synced(path=path):
                self.now[path].sync()
            case Named(path=path):
                self.now[path] = File()
                self.names.append((path, self.now[path]))
            case Unnamed(path=path):
                del self.now[path]
                self.names.append((path, None))
            case SyncedNames():
                for path, file in self.names:
                    _give(self.files, path, file)
                self.names.clear()

    def unsynced(self) -> int:
        """How many writes may be lost."""
        return sum(len(file.since) for file in self.now.values())

    def after_a_cut(self, into: Path, chance: random.Random, share: float, flushed: float = 0.0) -> None:
        """Puts into a folder what may be there when the power is back.

        Args:
            share: Of what was not synced, with which probability each sector survives.
            flushed: The part of each file's unsynced writes, from the oldest on, that the kernel had written by itself.
        """
        files = dict(self.files)
        for path, file in self.names:
            if chance.random() < max(share, flushed):
                _give(files, path, file)
        for path, file in files.items():
            (into / Path(path).name).write_bytes(file.image(chance, share, flushed))


def _give(files: dict[str, File], path: str, file: File | None) -> None:
    if file is None:
        files.pop(path, None)
    else:
        files[path] = file
