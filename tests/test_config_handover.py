"""Secrets on their way to the connector that needs them, through real forks; and those that systemd hands over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.config import ConfigError, load, read_credentials, require_credentials, warnings
from app.config.files import descriptor_of
from app.config.handover import forget, keep_own, secret_variables, take_over
from app.config.secrets import CREDENTIALS_VARIABLE
from app.process.secrets_env import taken

TIMEOUT_S = 30
NOBODY = 65534

VARIABLES = """
[router]
primary_exchange = "okx"
failover_exchanges = ["bybit_v5"]
[exchanges.okx]
api_key_env = "OKX_KEY"
secret_env = "OKX_SECRET"
password_env = "OKX_PASSWORD"
[exchanges.bybit_v5]
api_key_env = "BYBIT_KEY"
secret_env = "BYBIT_SECRET"
[exchanges.binance]
api_key_env = "BINANCE_KEY"
secret_file = "binance-secret"
"""
VALUES = {
    name: f"value-of-{name.lower()}"
    for name in ("OKX_KEY", "OKX_SECRET", "OKX_PASSWORD", "BYBIT_KEY", "BYBIT_SECRET", "BINANCE_KEY")
}
INLINE = '[exchanges.okx]\napi_key = "inline-key"\nsecret = "inline-secret"\npassword = "inline-password"\n'

TREE = """
import ctypes, json, os, sys
from app.config import ConfigError, load, read_credentials, require_credentials
from app.config.handover import forget, keep_own, take_over
from app.process.guards import PR_SET_DUMPABLE, disable_core_dumps

if len(sys.argv) > 2:  # here, since another user may be unable to read the interpreter and our files
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # as it is after an exec by that user
config = load(sys.argv[1])
take_over(config)
disable_core_dumps()
require_credentials(config)

def tried(exchange):
    try:
        return read_credentials(config, exchange).secret
    except ConfigError as error:
        return str(error)

def in_a_fork(does):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, json.dumps(does()).encode())
        os._exit(0)
    os.close(write)
    with open(read) as answer:
        said = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(said)

def connector(name):
    keep_own(config, name)
    found = [tried("okx"), tried("bybit")]
    forget(config)
    return [*found, tried(name)]

def other():
    forget(config)
    return [tried("okx"), tried("bybit")]

def supervisor():
    first = in_a_fork(lambda: connector("okx"))
    return [first, in_a_fork(lambda: connector("okx"))]

print(json.dumps({
    "okx": in_a_fork(lambda: connector("okx")), "bybit": in_a_fork(lambda: connector("bybit")),
    "other": in_a_fork(other), "supervisor": in_a_fork(supervisor), "uid": os.geteuid(),
}))
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "router.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def tree(where: str, *, fd: int | None = None, user: int | None = None) -> dict[str, Any]:
    """What each process of a small tree, forked as the daemon's is, could read."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", TREE, where, *([] if user is None else [str(user)])],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, **VALUES, "PYTHONPATH": os.getcwd()},
        pass_fds=() if fd is None else (fd,),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_every_process_has_what_is_its_own(tmp_path: Path) -> None:
    """A connector its exchange's until it has read them, a restarted one again, everybody else nothing."""
    told = tree(str(written(tmp_path, VARIABLES)))
    gone = "exchanges.{}_env names the environment variable {}, which is not set or empty"
    okx, bybit = gone.format("okx.api_key", "OKX_KEY"), gone.format("bybit_v5.api_key", "BYBIT_KEY")
    for heard, expected in (
        (told["okx"], [VALUES["OKX_SECRET"], bybit, okx]),
        (told["bybit"], [okx, VALUES["BYBIT_SECRET"], bybit]),
        (told["other"], [okx, bybit]),
        *((life, [VALUES["OKX_SECRET"], bybit, okx]) for life in told["supervisor"]),
    ):
        assert [text.rpartition("router.toml: ")[2] for text in heard] == expected


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.mark.parametrize("user", [None, pytest.param(NOBODY, marks=needs_root)])
@pytest.mark.parametrize("name", ["/proc/self/fd/{}", "/dev/fd/{}"])
def test_an_embedded_configuration_is_read_again_without_core_dumps(name: str, user: int | None) -> None:
    """PR_SET_DUMPABLE=0 gives /proc/PID to root. A process of another user still reads its own descriptors there, in
    forks of forks too; whoever forgot has none."""
    fd = os.memfd_create("order-router.toml", os.MFD_CLOEXEC)
    try:
        os.write(fd, ('[router]\nprimary_exchange = "okx"\nfailover_exchanges = []\n' + INLINE).encode())
        told = tree(name.format(fd), fd=fd, user=user)
    finally:
        os.close(fd)
    assert told["uid"] == (os.geteuid() if user is None else user)
    for life in (told["okx"], *told["supervisor"]):
        assert life[0] == "inline-secret"
        assert "cannot be read again" in life[2]
    assert "cannot be read again" in told["other"][0]


FLAG = """
import ctypes, os, signal, sys
from app.process.guards import PR_SET_DUMPABLE, disable_core_dumps
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
for guarded in (False, True):
    child = os.fork()
    if child == 0:
        if guarded:
            disable_core_dumps()
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    try:
        open(f"/proc/{child}/environ", "rb").close()
        print("open")
    except PermissionError:
        print("closed")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@needs_root
def test_without_core_dumps_the_same_user_cannot_look_in_from_outside() -> None:
    """What the test above rests on: the flag works in this kernel, and for that user."""
    seen = subprocess.run(
        [sys.executable, "-c", FLAG, str(NOBODY)], timeout=TIMEOUT_S, capture_output=True, text=True, check=True
    )
    assert seen.stdout.split() == ["open", "closed"]


def test_names_of_variables(tmp_path: Path) -> None:
    """Of all exchanges, also those that only wait for their day; of one, by either of its names; of none."""
    config = load(written(tmp_path, VARIABLES))
    assert secret_variables(config) == set(VALUES)
    assert secret_variables(config, "bybit") == secret_variables(config, "bybit_v5") == {"BYBIT_KEY", "BYBIT_SECRET"}
    assert secret_variables(config, "kraken") == set()


def test_before_anything_is_taken_the_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check-config` takes nothing; taking changes what is in the environment, and nothing of what is read."""
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)
    config = load(written(tmp_path, VARIABLES))
    require_credentials(config)
    before = read_credentials(config, "okx")
    take_over(config)
    try:
        assert not set(VALUES) & set(os.environ)
        require_credentials(config)
        assert read_credentials(config, "okx") == before
        keep_own(config, "okx")
        with pytest.raises(ConfigError, match="BYBIT_KEY, which is not set"):
            require_credentials(config)
    finally:
        taken().drop()


def test_a_configuration_on_disk_is_left_alone(tmp_path: Path) -> None:
    """There is no descriptor to close, and forgetting twice is no error."""
    config = load(written(tmp_path, INLINE))
    take_over(config)
    forget(config)
    forget(config)
    assert read_credentials(config, "okx").secret == "inline-secret"


def test_no_program_started_later_gets_the_descriptor() -> None:
    """It was handed to the daemon across an exec; it must not cross another."""
    fd = os.memfd_create("order-router.toml", 0)
    try:
        os.write(fd, INLINE.encode())
        assert os.get_inheritable(fd)
        take_over(load(f"/dev/fd/{fd}"))
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/dev/fd/7", 7),
        ("/proc/self/fd/12", 12),
        ("/proc/1/fd/7", None),
        ("/dev/fd/x", None),
        ("/dev/fd/²", None),
        ("/dev/fd", None),
        ("/etc/7", None),
        ("7", None),
    ],
)
def test_which_paths_name_a_descriptor_of_ours(path: str, number: int | None) -> None:
    """Only those may be closed."""
    assert descriptor_of(Path(path)) == number


# ---------------------------------------------------------------------------------------------------- systemd


CREDENTIAL = '[exchanges.binance]\napi_key = "x"\nsecret_file = "{}"\n'


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where systemd puts them, with the mode an access list gives them."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "binance-secret").write_text("of-systemd\n")
    (folder / "binance-secret").chmod(0o440)
    monkeypatch.setenv(CREDENTIALS_VARIABLE, str(folder))
    return folder


def secret_of(tmp_path: Path, name: str) -> str:
    return read_credentials(load(written(tmp_path, CREDENTIAL.format(name))), "binance").secret


def test_a_credential_of_systemd_comes_first(tmp_path: Path, credentials: Path) -> None:
    """Before a file of that name beside the configuration; its mode is systemd's affair."""
    (tmp_path / "binance-secret").write_text("of-the-folder")
    (tmp_path / "binance-secret").chmod(0o600)
    assert secret_of(tmp_path, "binance-secret") == "of-systemd"
    config = load(tmp_path / "router.toml")
    assert not any("chmod" in sentence for sentence in warnings(config))
    assert str(config.exchanges["binance"].secret) == f"from the file {credentials / 'binance-secret'}"


def test_what_systemd_did_not_give_is_looked_for_as_ever(tmp_path: Path, credentials: Path) -> None:
    """Beside the configuration; and an error names that place."""
    (tmp_path / "another").write_text("of-the-folder")
    assert secret_of(tmp_path, "another") == "of-the-folder"
    with pytest.raises(ConfigError, match=f"names the file {tmp_path / 'nowhere'}, which cannot be read"):
        secret_of(tmp_path, "nowhere")


@pytest.mark.parametrize("name", ["./sub/binance-secret", "../credentials/other", "sub/binance-secret"])
def test_only_a_bare_name_is_a_credential(tmp_path: Path, credentials: Path, name: str) -> None:
    """A path with folders says where it is meant."""
    (credentials / "sub").mkdir()
    (credentials / "sub" / "binance-secret").write_text("of-systemd")
    (credentials / "other").write_text("of-systemd")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "binance-secret").write_text("of-the-folder")
    found = load(written(tmp_path, CREDENTIAL.format(name))).exchanges["binance"].secret
    assert found is not None
    assert found.place == str(tmp_path / name)


@pytest.mark.parametrize("named", ["", "relative", "/no/such/folder"])
def test_without_a_usable_directory_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """The variable may be another program's."""
    monkeypatch.setenv(CREDENTIALS_VARIABLE, named)
    (tmp_path / "binance-secret").write_text("of-the-folder")
    assert secret_of(tmp_path, "binance-secret") == "of-the-folder"
