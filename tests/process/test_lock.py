"""The state directory is private, and one daemon holds it at a time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.process.lock import LOCK_NAME, StateDirError, StateDirInUse, StateLock, private_dir, private_file
from tests.processes import Deaths

TIMEOUT_S = 20

HOLDER = """
import os, signal, sys
from pathlib import Path
from app.process.lock import StateLock
lock = StateLock(Path(sys.argv[1]))
child = os.fork() if sys.argv[2] == "forks" else None
if child != 0:
    print(child, flush=True)
signal.pause()
"""


def hold(state_dir: Path, forks: bool) -> tuple[subprocess.Popen[str], int | None]:
    """Another process that holds the lock, and the child it forked afterwards."""
    popen = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state_dir), "forks" if forks else "alone"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert popen.stdout is not None
    child = popen.stdout.readline().strip()
    popen.stdout.close()
    return popen, int(child) if child != "None" else None


def test_a_directory_is_made_private(tmp_path: Path) -> None:
    """Missing parents are made as usual, the directory itself for us alone."""
    made = private_dir(tmp_path / "a" / "state")
    assert made.stat().st_mode & 0o777 == 0o700
    assert private_dir(made) == made


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_an_open_directory_is_refused(tmp_path: Path, mode: int) -> None:
    """The sentence names the mode and the remedy; nothing is changed."""
    tmp_path.chmod(mode)
    with pytest.raises(StateDirError, match=f"has mode 0{mode:o}.*chmod 700"):
        StateLock(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == mode
    assert not (tmp_path / LOCK_NAME).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    """A directory of another user is not ours, however tight its mode."""
    tmp_path.chmod(0o700)
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(StateDirError, match="belongs to user id 12345; it must belong to user id 0"):
        private_dir(tmp_path)


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    """Neither as the state directory nor as a parent of it."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StateDirError, match="is not a directory"):
        private_dir(file)
    with pytest.raises(StateDirError, match="cannot be used"):
        private_dir(file / "below")


def test_a_link_in_place_of_the_lock_file_is_refused(tmp_path: Path) -> None:
    """The lock file is never followed elsewhere."""
    tmp_path.chmod(0o700)
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / LOCK_NAME).symlink_to(target)
    with pytest.raises(StateDirError, match="cannot be opened"):
        StateLock(tmp_path)
    assert target.read_text() == "precious"


def test_the_second_is_told_who_is_first(tmp_path: Path) -> None:
    """The error names the directory and the pid, and after a release there is room again."""
    state_dir = tmp_path / "state"
    with StateLock(state_dir) as lock:
        with pytest.raises(StateDirInUse, match=f"{state_dir} is in use by process {os.getpid()};") as refused:
            StateLock(state_dir)
        assert refused.value.pid == os.getpid()
        lock.release()
        lock.release()
        StateLock(state_dir).release()


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    """A lock is not left behind by kill -9, and the stale pid in the file means nothing."""
    popen, _ = hold(tmp_path / "state", forks=False)
    with pytest.raises(StateDirInUse) as refused:
        StateLock(tmp_path / "state")
    assert refused.value.pid == popen.pid
    popen.kill()
    popen.wait(TIMEOUT_S)
    StateLock(tmp_path / "state").release()


def test_a_killed_holders_fork_still_holds(tmp_path: Path) -> None:
    """Nobody starts beside what is left of a killed daemon; with the last of it the lock is free."""
    popen, child = hold(tmp_path / "state", forks=True)
    assert child is not None
    popen.kill()
    popen.wait(TIMEOUT_S)
    with pytest.raises(StateDirInUse):
        StateLock(tmp_path / "state")
    with Deaths([psutil.Process(child)]) as deaths:
        os.kill(child, signal.SIGKILL)
        deaths.wait(TIMEOUT_S)
    StateLock(tmp_path / "state").release()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("mode", "has mode 0640, open to other users; make it private with: chmod 600"),
        ("symlink", "is a symbolic link"),
        ("dangling", "is a symbolic link"),
        ("directory", "is no regular file"),
        ("pipe", "is no regular file"),
    ],
)
def test_a_file_that_is_not_ours_alone_is_refused(tmp_path: Path, how: str, says: str) -> None:
    path = tmp_path / "journal.db"
    match how:
        case "mode":
            path.touch()
            path.chmod(0o640)
        case "symlink":
            (tmp_path / "elsewhere").touch(0o600)
            path.symlink_to(tmp_path / "elsewhere")
        case "dangling":
            path.symlink_to(tmp_path / "nowhere")
        case "directory":
            path.mkdir(0o700)
        case _:
            os.mkfifo(path, 0o600)
    with pytest.raises(StateDirError, match=says) as refused:
        private_file(path)
    assert str(path) in str(refused.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch(0o600)
    os.chown(path, 65534, -1)
    with pytest.raises(StateDirError, match="belongs to user id 65534; it must belong to user id 0"):
        private_file(path)


def test_a_private_file_or_none_is_right(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    private_file(path)
    path.touch(0o600)
    private_file(path)
