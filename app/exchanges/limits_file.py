"""Where a connector keeps what it has used of its exchange's limits, for its next life.

A file mapped into memory, for one connector alone. What is written to it is in the kernel's cache at once, and so
outlives a kill -9 of this process, or of all of them, at the price of a copy in memory: it is written before every call
that is sent. A power cut may lose it; starting again takes longer than most windows last. A ban may last for days, so
that one is synced to the disk.

Each meter has a region of its own, with two places that are written in turn, each with a number and a checksum: a kill
in the middle of a write leaves the one before, and the call that was to follow was not sent. Each life begins a new
file with what still counts, and puts it in the old one's place at once.

Times are by the router's clock, which counts from the boot. The head says how far it was from the time since boot:
within the same boot that is what times are held against, whatever was done to the date. After another boot the date has
to do. Where it lies before the last write, it was ahead by then and was put right: no time counts as passed since, so
that it gives no room, and closes an exchange for no longer than it had asked.

A file that is damaged, of another version, exchange, account or table of limits, or that others could have written, is
told of in one line and not used.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import time
import zlib
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from struct import Struct, error, unpack_from

import structlog
from attrs import define, frozen

from app.domain.kept_limits import KeptLimits, MeterName, Values, counts_still, moved
from app.domain.rates import Rates
from app.exchanges.settings import ExchangeSettings
from app.process.lock import StateDirError, private_dir
from app.process.private_file import Untrusted, read_private, remove_half_written

log = structlog.stdlib.get_logger(__name__)

MAGIC = b"ORLIMITS"
VERSION = 1
HEAD = Struct("<8sII16s32sd")
"""Magic, version, checksum of the rest, boot, of whom, our clock minus the time since boot."""
HEAD_BYTES = 128
NAME_BYTES = 256
PLACE = Struct("<QII")
"""Number, how many values, checksum."""
PLACE_BYTES = 4096
"""Of one of the two places of a region."""
MOST_VALUES = (PLACE_BYTES - PLACE.size) // 8
REGION_BYTES = NAME_BYTES + 2 * PLACE_BYTES
GROWTH = 8
"""Regions added at a time."""
MOST_REGIONS = 4096
MOST_BYTES = HEAD_BYTES + MOST_REGIONS * REGION_BYTES
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_WHOLE: MeterName = ("", "")
"""The name of the first region, which holds what is of no meter."""
_NUMBERS = {n: Struct(f"<{n}d") for n in range(1, 64)}


class Unreadable(Exception):
    """The file is none of ours, or damaged; the message is one sentence."""


@define
class _Region:
    base: int
    number: int = 0


@frozen
class _Read:
    boot: bytes
    minus_boot_s: float
    kept_s: float
    closed_until_s: float
    banned_until_s: float
    meters: dict[MeterName, Values]


class LimitsFile:
    """Of one connector.

    Args:
        of_whom: What must be the same for a file to be ours: exchange, account and table, digested to 32 bytes.
        clock: The router's.
    """

    def __init__(self, path: Path, *, exchange: str, of_whom: bytes, clock: Callable[[], float]) -> None:
        self._path = path
        self._exchange = exchange
        self._of_whom = of_whom
        self._clock = clock
        self._regions: dict[MeterName, _Region] = {}
        self._map: mmap.mmap | None = None
        self._fd = -1
        self._banned_until_s = 0.0
        self._full = False

    @classmethod
    def of(
        cls, settings: ExchangeSettings, profile: str, account: str, rates: Rates, clock: Callable[[], float]
    ) -> LimitsFile | None:
        """That of an account, by its fingerprint; None where nothing is left to the next life."""
        if settings.handover_dir is None:
            return None
        whom = (profile, settings.market_type.value, settings.base_url, settings.sandbox, account, rates.budgets)
        path = settings.handover_dir.parent / "limits" / f"{profile}-{settings.market_type.value}"
        return cls(path, exchange=profile, of_whom=sha256(repr(whom).encode()).digest(), clock=clock)

    # ---- in ----------------------------------------------------------------------------------------------------------

    def take_over(self) -> KeptLimits:
        """What the life before has left; begins a file of our own with it."""
        now_s = self._clock()
        boot, minus_boot_s = _boot(), now_s - _boot_s()
        kept = KeptLimits()
        try:
            content = read_private(self._path, MOST_BYTES)
            if content is not None:
                read = self._read(content)
                same_boot = read.boot == boot
                shift_s = minus_boot_s - read.minus_boot_s if same_boot else min(0.0, now_s - read.kept_s)
                kept = _by_our_clock(read, shift_s, now_s)
        except (Untrusted, Unreadable) as problem:
            log.warning("limits.not_taken_over", exchange=self._exchange, words=str(problem))
        self._begin(boot, minus_boot_s, kept)
        return kept

    def _read(self, content: bytes) -> _Read:
        if len(content) < HEAD_BYTES or content[: len(MAGIC)] != MAGIC:
            raise Unreadable(f"{self._path} is no file of limits.")
        _, version, checksum, boot, of_whom, minus_boot_s = HEAD.unpack_from(content)
        if version != VERSION:
            raise Unreadable(f"{self._path} is of version {version}, and this router writes version {VERSION}.")
        if checksum != _checksum(version, content[16 : HEAD.size]):
            raise Unreadable(f"{self._path} is damaged.")
        if of_whom != self._of_whom:
            raise Unreadable(f"{self._path} is of another exchange, account or table of limits.")
        meters: dict[MeterName, Values] = {}
        for base in range(HEAD_BYTES, len(content) - REGION_BYTES + 1, REGION_BYTES):
            name = _name_in(content, base)
            if name is None:
                break  # not begun: nothing was sent on the strength of it
            _, values = max((_place_in(content, base, turn) for turn in (0, 1)), key=lambda place: place[0])
            if values is not None:
                meters[name] = values
            elif all(_begun(content, base, turn) for turn in (0, 1)):
                raise Unreadable(f"{self._path} is damaged.")
        closed_s, banned_s, kept_s, *_ = (*meters.pop(_WHOLE, ()), 0.0, 0.0, 0.0)
        return _Read(boot, minus_boot_s, kept_s, closed_s, banned_s, meters)

    # ---- out ---------------------------------------------------------------------------------------------------------

    def _begin(self, boot: bytes, minus_boot_s: float, kept: KeptLimits) -> None:
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            private_dir(self._path.parent)
            remove_half_written(self._path.parent)
            with contextlib.suppress(FileNotFoundError):
                beside.unlink()
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(beside, flags, 0o600)
            head = HEAD.pack(MAGIC, VERSION, 0, boot, self._of_whom, minus_boot_s)
            checksum = _checksum(VERSION, head[16:])
            os.pwrite(self._fd, HEAD.pack(MAGIC, VERSION, checksum, boot, self._of_whom, minus_boot_s), 0)
            self._banned_until_s = kept.banned_until_s
            self._put(_WHOLE, (kept.closed_until_s, kept.banned_until_s, self._clock()))
            for name, values in kept.meters.items():
                self._put(name, values)
            beside.rename(self._path)
            if kept.banned_until_s:
                self._sync()
        except (OSError, StateDirError) as problem:
            self._give_up(problem)
            with contextlib.suppress(OSError):
                beside.unlink()

    def keep(self, meters: Mapping[MeterName, Values], closed_until_s: float, banned_until_s: float) -> None:
        """See `KeepsLimits`; what is new by the time a call is sent has to be here before."""
        if self._map is None:
            return
        try:
            for name, values in meters.items():
                self._put(name, values)
            self._put(_WHOLE, (closed_until_s, banned_until_s, self._clock()))
            if banned_until_s > self._banned_until_s:
                self._banned_until_s = banned_until_s
                self._sync()
        except OSError as problem:
            self._give_up(problem)

    def _put(self, name: MeterName, values: Values) -> None:
        count = len(values)
        region = self._regions.get(name) or self._new(name)
        if region is None or count > MOST_VALUES:
            self._too_much()
            return
        assert self._map is not None
        numbers = _NUMBERS.get(count)
        if numbers is None:
            numbers = _NUMBERS[count] = Struct(f"<{count}d")
        region.number += 1
        body = numbers.pack(*values)
        base = region.base + NAME_BYTES + (region.number & 1) * PLACE_BYTES
        place = PLACE.pack(region.number, count, zlib.crc32(body, (region.number ^ count) & 0xFFFFFFFF))
        self._map[base : base + PLACE.size + len(body)] = place + body

    def _too_much(self) -> None:
        if not self._full:
            self._full = True
            words = f"{self._path} has room for {MOST_REGIONS} limits, {MOST_VALUES} numbers of each."
            log.warning("limits.not_all_kept", exchange=self._exchange, words=words)

    def _new(self, name: MeterName) -> _Region | None:
        """None where there is no more room: what such a meter uses is not kept."""
        index = len(self._regions)
        text = "\0".join(name).encode()
        if index >= MOST_REGIONS or len(text) > NAME_BYTES - 8:
            return None
        region = _Region(HEAD_BYTES + index * REGION_BYTES)
        if index % GROWTH == 0:
            # Room on the disk first: a page that cannot be had when it is written ends the process.
            size = HEAD_BYTES + (index + GROWTH) * REGION_BYTES
            os.posix_fallocate(self._fd, 0, size)
            if self._map is not None:
                self._map.close()
            self._map = mmap.mmap(self._fd, size)
        assert self._map is not None
        self._regions[name] = region
        entry = len(text).to_bytes(4, "little") + zlib.crc32(text).to_bytes(4, "little") + text
        self._map[region.base : region.base + len(entry)] = entry
        return region

    def _sync(self) -> None:
        assert self._map is not None
        self._map.flush()
        os.fsync(self._fd)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _give_up(self, problem: Exception) -> None:
        words = f"{self._path} cannot be written, so a restart would forget what is used by then: {problem}"
        log.warning("limits.not_kept", exchange=self._exchange, words=words)
        self.close()

    def close(self) -> None:
        """Nothing is kept from now on; what was is still there."""
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _by_our_clock(read: _Read, shift_s: float, now_s: float) -> KeptLimits:
    closed_s, banned_s = read.closed_until_s, read.banned_until_s
    meters = {name: moved(values, shift_s) for name, values in read.meters.items()}
    return KeptLimits(
        meters={name: values for name, values in meters.items() if counts_still(values, now_s)},
        closed_until_s=closed_s + shift_s if closed_s + shift_s > now_s else 0.0,
        banned_until_s=banned_s + shift_s if banned_s + shift_s > now_s else 0.0,
    )


def _name_in(content: bytes, base: int) -> MeterName | None:
    length = int.from_bytes(content[base : base + 4], "little")
    text = content[base + 8 : base + 8 + length]
    if not 0 < length <= NAME_BYTES - 8 or zlib.crc32(text) != int.from_bytes(content[base + 4 : base + 8], "little"):
        return None
    budget, _, symbol = text.decode(errors="replace").partition("\0")
    return budget, symbol


def _begun(content: bytes, base: int, turn: int) -> bool:
    at = base + NAME_BYTES + turn * PLACE_BYTES
    return any(content[at : at + PLACE.size])


def _place_in(content: bytes, base: int, turn: int) -> tuple[int, Values | None]:
    at = base + NAME_BYTES + turn * PLACE_BYTES
    number, count, checksum = PLACE.unpack_from(content, at)
    if not 0 < count <= MOST_VALUES or number & 1 != turn:
        return -1, None
    body = content[at + PLACE.size : at + PLACE.size + 8 * count]
    if zlib.crc32(body, (number ^ count) & 0xFFFFFFFF) != checksum:
        return -1, None
    try:
        return number, unpack_from(f"<{count}d", body)
    except error:
        return -1, None


def _checksum(version: int, rest: bytes) -> int:
    return zlib.crc32(rest, version)


def _boot() -> bytes:
    return bytes.fromhex(BOOT_ID.read_text().strip().replace("-", ""))


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
