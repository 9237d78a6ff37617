"""The file in which a connector's use of limits outlives it: what is in it after any end, and what is not believed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.kept_limits import WINDOW, KeptLimits, Values
from app.domain.rates import Budget, Rates
from app.exchanges import limits_file
from app.exchanges.limits_file import GROWTH, HEAD, HEAD_BYTES, NAME_BYTES, PLACE, PLACE_BYTES, LimitsFile
from app.exchanges.settings import ExchangeSettings

RATES = Rates(budgets=(Budget(name="orders", most=10, window_s=1.0),))
ORDERS = "orders", ""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the log says."""
    lines: list[str] = []
    monkeypatch.setattr(limits_file.log, "warning", lambda event, **facts: lines.append(f"{event}: {facts['words']}"))
    return lines


def file_in(
    folder: Path, account: str = "a", clock: Callable[[], float] = time.time, rates: Rates = RATES
) -> LimitsFile:
    """One life's."""
    found = LimitsFile.of(
        ExchangeSettings(name="bybit", handover_dir=folder / "markets"), "bybit", account, rates, clock
    )
    assert found is not None
    return found


def path_in(folder: Path) -> Path:
    """The only one there."""
    (found,) = (folder / "limits").iterdir()
    return found


def used(units: float, at_s: float | None = None) -> Values:
    """So much of a window."""
    return WINDOW, 10.0, 0.0, 0.0, 0.0, 1.0, (time.time() if at_s is None else at_s) + 60.0, units


def after(folder: Path, **more: object) -> KeptLimits:
    """What the next life is left."""
    life = file_in(folder, **more)  # type: ignore[arg-type]
    kept = life.take_over()
    life.close()
    return kept


def test_what_was_kept_is_left_to_the_next_life_and_the_one_after(tmp_path: Path, told: list[str]) -> None:
    life = file_in(tmp_path)
    assert life.take_over() == KeptLimits()
    values = {("budget", f"S{n}"): used(float(n)) for n in range(3 * GROWTH)}
    ban_s = time.time() + 1000.0
    for _ in range(3):
        life.keep(values, ban_s, ban_s)
    life.keep({ORDERS: used(1.0)}, ban_s, ban_s)
    last = used(2.0)
    life.keep({ORDERS: last}, ban_s, ban_s)
    for _ in range(3):
        kept = after(tmp_path)
        assert set(kept.meters) == {*values, ORDERS}
        assert kept.meters[ORDERS] == pytest.approx(last, abs=0.01)
        assert (kept.closed_until_s, kept.banned_until_s) == pytest.approx((ban_s, ban_s), abs=0.01)
    assert not told
    path = path_in(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_kept_before_a_kill_is_there(tmp_path: Path) -> None:
    """Of a process that is killed between two writes, at no moment of its choice."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        life = file_in(tmp_path)
        life.take_over()
        at_s = time.time()
        for number in range(1_000_000):
            life.keep({ORDERS: used(float(number), at_s)}, 0.0, 0.0)
            os.write(write, number.to_bytes(4, "little"))
    os.close(write)
    heard = b""
    while len(heard) < 4 * 2000:
        heard += os.read(read, 65536)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while more := os.read(read, 65536):
        heard += more
    os.close(read)
    last = int.from_bytes(heard[-4:], "little")
    assert after(tmp_path).meters[ORDERS][7] in (last, last + 1)


def newest_place(content: bytes) -> int:
    """Where the newest values of the second region begin."""
    base = HEAD_BYTES + NAME_BYTES + 2 * PLACE_BYTES + NAME_BYTES
    numbers = [PLACE.unpack_from(content, base + turn * PLACE_BYTES)[0] for turn in (0, 1)]
    return base + numbers.index(max(numbers)) * PLACE_BYTES


def test_a_kill_in_the_middle_of_a_write_leaves_the_one_before(tmp_path: Path, told: list[str]) -> None:
    life = file_in(tmp_path)
    life.take_over()
    for units in (1.0, 2.0, 3.0):
        life.keep({ORDERS: used(units)}, 0.0, 0.0)
    path = path_in(tmp_path)
    content = bytearray(path.read_bytes())
    at = newest_place(bytes(content)) + PLACE.size + 56
    content[at : at + 8] = bytes(8)
    path.write_bytes(bytes(content))
    assert after(tmp_path).meters[ORDERS][7] == 2.0
    assert not told


def spoilt(change: Callable[[bytearray], bytearray | None]) -> Callable[[Path], None]:
    """Changes the file's content."""

    def spoil(path: Path) -> None:
        content = bytearray(path.read_bytes())
        path.write_bytes(bytes(change(content) or content))

    return spoil


def other_version(content: bytearray) -> None:
    """As if a later router had written it."""
    magic, version, _, *rest = HEAD.unpack_from(content)
    HEAD.pack_into(content, 0, magic, version + 1, 0, *rest)


def both_places(content: bytearray) -> None:
    """Neither is whole."""
    base = HEAD_BYTES + NAME_BYTES + 2 * PLACE_BYTES + NAME_BYTES
    for turn in (0, 1):
        content[base + turn * PLACE_BYTES + PLACE.size + 3] ^= 0xFF


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoilt(lambda content: content[:10]), "no file of limits"),
        (spoilt(lambda content: bytearray(b"\x7fELF") + content[4:]), "no file of limits"),
        (spoilt(other_version), "of version 2"),
        (spoilt(lambda content: content.__setitem__(40, content[40] ^ 1)), "damaged"),
        (spoilt(both_places), "damaged"),
        (lambda path: path.chmod(0o644), "mode 0644"),
        (lambda path: (path.unlink(), path.mkdir(0o700)), "no regular file"),
    ],
)  # fmt: skip
def test_what_cannot_be_believed_is_told_of_in_one_line_and_replaced(
    spoil: Callable[[Path], object], words: str, tmp_path: Path, told: list[str]
) -> None:
    life = file_in(tmp_path)
    life.take_over()
    for units in (1.0, 2.0):
        life.keep({ORDERS: used(units)}, 0.0, 0.0)
    path = path_in(tmp_path)
    spoil(path)
    assert after(tmp_path) == KeptLimits()
    assert words in told[0]
    if path.is_file():
        assert len(told) == 1
        assert after(tmp_path) == KeptLimits()
        assert len(told) == 1, "it is a good one again"


@pytest.mark.parametrize(
    "other",
    [{"account": "b"}, {"rates": evolve(RATES, budgets=(evolve(RATES.budgets[0], most=9),))}],
    ids=["another account", "another table"],
)
def test_what_is_of_another_account_or_table_counts_for_nothing(
    other: dict[str, object], tmp_path: Path, told: list[str]
) -> None:
    life = file_in(tmp_path)
    life.take_over()
    life.keep({ORDERS: used(1.0)}, 0.0, 0.0)
    assert after(tmp_path, **other) == KeptLimits()
    assert len(told) == 1


def test_a_region_that_was_only_begun_harms_none(tmp_path: Path, told: list[str]) -> None:
    """Killed between the name and the first values: nothing had been sent on the strength of it."""
    life = file_in(tmp_path)
    life.take_over()
    life.keep({ORDERS: used(1.0)}, 0.0, 0.0)
    assert life._new(("late", "")) is not None
    assert set(after(tmp_path).meters) == {ORDERS}
    assert not told


@pytest.mark.parametrize("set_s", [0.0, 3600.0, -3600.0])
def test_a_date_that_was_set_moves_nothing(set_s: float, tmp_path: Path) -> None:
    """A daemon that is started again anchors its clock at another date: times are held against the time since boot."""
    life = file_in(tmp_path)
    life.take_over()
    life.keep({ORDERS: used(1.0)}, 0.0, 0.0)
    left_s = life._clock() + 60.0
    kept = after(tmp_path, clock=lambda: time.time() + set_s)
    assert kept.meters[ORDERS][6] == pytest.approx(left_s + set_s, abs=0.1)


def test_after_another_boot_the_date_has_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = file_in(tmp_path)
    life.take_over()
    life.keep({ORDERS: used(1.0)}, 0.0, 0.0)
    monkeypatch.setattr(limits_file, "_boot", lambda: bytes(16))
    monkeypatch.setattr(limits_file, "_boot_s", lambda: 1.0)
    kept = after(tmp_path)
    assert kept.meters[ORDERS][6] == pytest.approx(time.time() + 60.0, abs=1.0)


@pytest.mark.parametrize("ahead_s", [6 * 3600.0, 400 * 86_400.0])
def test_a_date_that_was_ahead_before_another_boot_closes_an_exchange_for_no_longer_than_it_asked(
    ahead_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute of silence, kept under a date that was put right after the boot, would have been hours, or days."""
    life = file_in(tmp_path, clock=lambda: time.time() + ahead_s)
    life.take_over()
    ahead = time.time() + ahead_s
    life.keep({ORDERS: used(1.0, ahead)}, ahead + 60.0, ahead + 600.0)
    monkeypatch.setattr(limits_file, "_boot", lambda: bytes(16))
    monkeypatch.setattr(limits_file, "_boot_s", lambda: 1.0)
    for _ in range(2):
        kept = after(tmp_path)
        assert kept.closed_until_s == pytest.approx(time.time() + 60.0, abs=20.0)
        assert kept.banned_until_s == pytest.approx(time.time() + 600.0, abs=20.0)
        assert kept.meters[ORDERS][6] == pytest.approx(time.time() + 60.0, abs=20.0)


def test_a_disk_without_room_keeps_nothing_and_ends_nothing(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room is asked for before it is written to: a page that is not there would end the process."""

    def full(fd: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    life = file_in(tmp_path)
    assert life.take_over() == KeptLimits()
    life.keep({ORDERS: used(1.0)}, 0.0, 0.0)
    assert len(told) == 1
    assert "No space left" in told[0]
    assert not list((tmp_path / "limits").iterdir())


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_no_damage_makes_it_fail_or_forget_all_but_one_write(tmp_path: Path, data: st.DataObject) -> None:
    """One byte of the file changes: all is there, or what one write was worth is missing, or nothing is believed."""
    life = file_in(tmp_path)
    life.take_over()
    for units in (1.0, 2.0):
        life.keep({ORDERS: used(units)}, 0.0, 0.0)
    life.close()
    path = path_in(tmp_path)
    content = bytearray(path.read_bytes())
    regions = [HEAD_BYTES + n * (NAME_BYTES + 2 * PLACE_BYTES) for n in (0, 1)]
    places = [base + NAME_BYTES + turn * PLACE_BYTES for base in regions for turn in (0, 1)]
    spots = [
        *range(HEAD.size),
        *(base + n for base in regions for n in range(16)),
        *(at + n for at in places for n in range(80)),
    ]
    content[data.draw(st.sampled_from(spots))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(content))
    kept = after(tmp_path)
    assert kept.meters.get(ORDERS, used(0.0))[7] in (0.0, 1.0, 2.0)
    path.unlink()
