"""Secrets of the environment, looked for where others would: /proc, children, and the memory of real processes."""

import ast
import ctypes
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.process.secrets_env import SecretStore, env_secret, has_env_secret, take, taken

TIMEOUT_S = 20
KEY, OTHER = "key-4711-of-okx-0815", "an-unrelated-value-of-path"
SECRET = "a-long-secret-" + "hunter2-" * 60 + "its-end-of-23-bytes-long"
"""Long, as RSA keys are: memory of that size, once freed, is not used again so soon, and the search finds it."""
END = SECRET[-24:].encode()

TAKER = """
import os, signal, sys
from app.process.secrets_env import take, taken
take(["OKX_KEY", "OKX_SECRET", "NOT_SET", ""])
forgot, tells = os.pipe()
kept = os.fork()
if kept == 0:
    taken().keep_only(["OKX_KEY"])
    os.write(tells, b".")
    signal.pause()
dropped = os.fork()
if dropped == 0:
    taken().drop()
    os.write(tells, b".")
    signal.pause()
os.read(forgot, 1), os.read(forgot, 1)
print(kept, dropped, flush=True)
sys.stdin.read()
os.kill(kept, signal.SIGKILL)
os.kill(dropped, signal.SIGKILL)
"""


@contextmanager
def running() -> Iterator[tuple[int, int, int]]:
    """The process that took the secrets, its fork that kept one of them, and its fork that forgot all."""
    env = {**os.environ, "OKX_KEY": KEY, "OKX_SECRET": SECRET, "UNRELATED": OTHER}
    with subprocess.Popen(
        [sys.executable, "-c", TAKER], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as taker:
        assert taker.stdin is not None
        assert taker.stdout is not None
        kept, dropped = map(int, taker.stdout.readline().split())
        try:
            yield taker.pid, kept, dropped
        finally:
            taker.stdin.close()
            taker.wait(TIMEOUT_S)


def environ_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def memory_holds(pid: int, needle: bytes) -> bool:
    """Whether any writable memory of a process holds these bytes; looked at from outside, so as not to find itself."""
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except PermissionError:
        pytest.skip("the kernel does not let us look into a child's memory")
    try:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, mode = line.split()[:2]
            if not mode.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            if needle in os.pread(memory, end - start, start):
                return True
    finally:
        os.close(memory)
    return False


def test_no_environ_in_proc_shows_a_secret() -> None:
    """Neither the process that had them nor its forks; what was not named is left as it is."""
    with running() as pids:
        for pid in pids:
            shown = environ_of(pid)
            assert KEY.encode() not in shown
            assert SECRET.encode() not in shown
            assert b"OKX_" not in shown
            assert f"UNRELATED={OTHER}".encode() in shown.split(b"\0")
            assert f"PATH={os.environ['PATH']}".encode() in shown.split(b"\0")


def test_a_fork_that_forgot_holds_no_copy_anywhere() -> None:
    """Not in any page it could write to. What it kept, and what its parent has, is found: so the search finds."""
    with running() as (taker, kept, dropped):
        assert memory_holds(taker, END)
        assert memory_holds(kept, KEY.encode())
        assert not memory_holds(kept, END)
        assert not memory_holds(dropped, KEY.encode())
        assert not memory_holds(dropped, END)


def test_a_secret_set_after_the_start_is_on_the_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapper of ours may have set it: the C library's copy is not in the kernel's block, and is overwritten too."""
    monkeypatch.setenv("LATE_SECRET", SECRET)
    getenv = ctypes.CDLL(None).getenv
    getenv.argtypes, getenv.restype = [ctypes.c_char_p], ctypes.c_void_p
    address = getenv(b"LATE_SECRET")
    assert ctypes.string_at(address, len(SECRET)) == SECRET.encode()
    take(["LATE_SECRET"])
    try:
        assert ctypes.string_at(address, len(SECRET)) == bytes(len(SECRET))
    finally:
        taken().drop()


def test_every_entry_of_a_name_is_overwritten(tmp_path: Path) -> None:
    """A block may hold a name twice, one hiding the other, and names that begin or end alike are others'."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os\n"
        "from app.process.secrets_env import take\n"
        "take(['TWICE', 'A.B'])\n"
        "print(open('/proc/self/environ', 'rb').read())\n"
    )
    block = [b"XTWICE=left-1", b"TWICE=first", b"TWICEX=left-2", b"TWICE=second", b"OTHER=TWICE=left-3", b"AxB=left-4"]
    block += [b"A.B=third", b"PYTHONPATH=" + os.fsencode(os.getcwd())]
    # Python's exec makes a dictionary of the environment, in which no name is twice: libc's does not.
    exec_it = (
        "import ctypes, sys\n"
        f"block = {block!r}\n"
        f"argv = [{os.fsencode(sys.executable)!r}, {os.fsencode(program)!r}]\n"
        "array = lambda texts: (ctypes.c_char_p * (len(texts) + 1))(*texts, None)\n"
        "ctypes.CDLL(None).execve(argv[0], array(argv), array(block))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", exec_it], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert done.stderr == ""
    left = [entry for entry in ast.literal_eval(done.stdout).split(b"\0") if entry]
    assert left == [entry for entry in block if entry.partition(b"=")[0] not in (b"TWICE", b"A.B")]


def test_programs_started_later_inherit_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """By exec or by a shell of the C library; a name that is not set stays unset."""
    monkeypatch.setenv("OKX_SECRET", SECRET)
    take(["OKX_SECRET", "NEVER_SET"])
    try:
        assert "OKX_SECRET" not in os.environ
        seen = subprocess.run(["env"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True).stdout
        assert SECRET not in seen
        assert os.system('test -z "$OKX_SECRET"') == 0
        assert list(taken()) == ["OKX_SECRET"]
        assert env_secret("OKX_SECRET") == SECRET
        assert env_secret("NEVER_SET") is None
    finally:
        taken().drop()
    assert env_secret("OKX_SECRET") is None


def test_what_a_value_looks_like_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty, of one letter, not UTF-8, long: the same text comes back, and a shared object is not written to."""
    values = {"A_EMPTY": "", "A_LETTER": "x", "A_BYTES": "\udcff\udcfe", "A_LONG": "s" * 5000, "A_BLANK": " \t"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    held = os.environb[b"A_LONG"]
    take(values)
    try:
        assert {name: env_secret(name) for name in values} == values
        assert bytes([120])[0] == 120, "texts of one byte are shared by the whole interpreter"
        assert held == b"s" * 5000, "a copy that somebody else holds is his"
        assert [name for name in values if has_env_secret(name)] == ["A_LETTER", "A_BYTES", "A_LONG"]
    finally:
        taken().drop()


def test_taking_twice_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken first stays, and a variable that was set anew is the newer."""
    monkeypatch.setenv("A_FIRST", "first-value")
    take(["A_FIRST"])
    monkeypatch.setenv("A_SECOND", "second-value")
    take(["A_FIRST", "A_SECOND"])
    try:
        assert (env_secret("A_FIRST"), env_secret("A_SECOND")) == ("first-value", "second-value")
        monkeypatch.setenv("A_FIRST", "newer-value")
        take(["A_FIRST"])
        assert env_secret("A_FIRST") == "newer-value"
    finally:
        taken().drop()


def test_a_store_shows_and_sends_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither printed nor pickled, by itself or in something else."""
    monkeypatch.setenv("OKX_SECRET", SECRET)
    store = take(["OKX_SECRET"])
    try:
        assert repr(store) == str(store) == "SecretStore(OKX_SECRET)"
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="secrets are not pickled"):
                pickle.dumps({"store": store}, protocol)
    finally:
        taken().drop()
    assert repr(store) == "SecretStore()"


def test_forgetting_overwrites_the_bytes() -> None:
    """The buffer itself, not only the reference to it."""
    store = SecretStore()
    buffer = store._values["A"] = bytearray(b"secret-value")
    store.keep_only(["A"])
    assert store.get("A") == "secret-value"
    store.drop()
    assert buffer == bytes(12)
    assert "A" not in store
