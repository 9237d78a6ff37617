"""What is given for systemd, Docker and Compose fits the command, the configuration and each other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.exits import EX_CONFIG, EX_TEMPFAIL, EX_USAGE
from app.config import Config, load, require_credentials, warnings
from app.config.secrets import CREDENTIALS_VARIABLE, SecretSource
from app.launcher.tree import START_TIMEOUT_S, STOP_BUDGET_S
from app.process.lock import private_dir
from app.transport.base import STOP_TIMEOUT_S

DEPLOY = Path(__file__).resolve().parents[1] / "examples" / "deploy"
UNIT, CONFIG = DEPLOY / "order-router.service", DEPLOY / "order-router.example.toml"
DOCKERFILE, COMPOSE = DEPLOY / "Dockerfile", DEPLOY / "compose.yaml"
COMMAND = Path(sys.executable).with_name("order-router")
TIMEOUT_S = 60
STATE_DIR = "/var/lib/order-router"
RUN = ["run", "--config", "/etc/order-router/order-router.toml"]

# Of systemd.directives(7), as of systemd 252: what a service of ours might use.
KNOWN = {
    "Unit": "Description Documentation Wants After StartLimitIntervalSec StartLimitBurst",
    "Service": "Type NotifyAccess ExecStart ExecReload User Group Restart RestartSec RestartForceExitStatus"
    " RestartPreventExitStatus WatchdogSec WatchdogSignal TimeoutStartSec TimeoutStopSec KillMode OOMPolicy TasksMax"
    " StateDirectory StateDirectoryMode UMask LoadCredential LimitCORE NoNewPrivileges"
    " CapabilityBoundingSet ProtectSystem ProtectHome PrivateTmp PrivateDevices ProtectClock"
    " ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables"
    " LockPersonality RemoveIPC RestrictNamespaces RestrictRealtime RestrictSUIDSGID"
    " RestrictAddressFamilies MemoryDenyWriteExecute SystemCallArchitectures SystemCallFilter"
    " SystemCallErrorNumber",
    "Install": "WantedBy",
}


def directives() -> Iterator[tuple[str, str, str]]:
    """Section, name and value of every line of the unit; configparser would keep only the last of a name."""
    section = ""
    for number, line in enumerate(UNIT.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            continue
        name, equals, value = line.partition("=")
        assert equals, f"line {number} is no directive: {line}"
        assert not line.endswith("\\"), f"line {number} goes on in the next, which this test does not read"
        yield section, name, value


def values(name: str) -> list[str]:
    """What the unit says for a directive of [Service]."""
    return [value for section, found, value in directives() if (section, found) == ("Service", name)]


def value(name: str) -> str:
    """The same where it may stand there only once."""
    (found,) = values(name)
    return found


def credentials(config: Config) -> set[str]:
    """The names of files without a folder that a configuration hopes to find."""
    refs = [ref for each in config.exchanges.values() for ref in (each.api_key, each.secret, each.password) if ref]
    assert all(ref.source is SecretSource.FILE for ref in refs)
    return {Path(ref.place).name for ref in refs}


def test_every_directive_is_one_systemd_knows() -> None:
    """A misspelt one is only a line in a log there, and a guard that is not set."""
    unknown = [f"[{section}] {name}" for section, name, _ in directives() if name not in KNOWN.get(section, "").split()]
    assert unknown == []
    assert {section for section, _, _ in directives()} == set(KNOWN)


def test_systemd_itself_has_nothing_to_say_of_it(tmp_path: Path) -> None:
    """Where its verifier is installed: not one warning, once the command is where it says."""
    verifier = shutil.which("systemd-analyze")
    if verifier is None:
        pytest.skip("systemd-analyze is not installed")
    text = UNIT.read_text()
    command = value("ExecStart").split()[0]

    def verified(text: str) -> str:
        unit = tmp_path / UNIT.name
        unit.write_text(text.replace(command, str(COMMAND)))
        done = subprocess.run(
            [verifier, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        return "".join(line for line in done.stderr.splitlines() if UNIT.name in line)

    assert "Unknown key 'WatchdgSec'" in verified(text.replace("WatchdogSec", "WatchdgSec")), "it tells what is wrong"
    assert verified(text) == ""


def test_the_unit_starts_the_command_as_it_is() -> None:
    """In the words of `order-router run --help`, with the installed command's name."""
    program, *arguments = value("ExecStart").split()
    assert Path(program).name == COMMAND.name
    assert arguments == RUN
    assert_understood(arguments)


def assert_understood(arguments: list[str]) -> None:
    """The installed command reads these arguments: what it cannot do is find the file."""
    done = subprocess.run(
        [COMMAND, *arguments], cwd="/", capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == EX_CONFIG, done.stderr
    assert f"the configuration {arguments[-1]} cannot be read: No such file or directory" in done.stderr


def test_systemd_restarts_what_may_go_better_and_nothing_else() -> None:
    """The exit codes are the command's own."""
    assert value("Restart") == "on-failure"
    assert value("RestartForceExitStatus").split() == [str(EX_TEMPFAIL)]
    assert value("RestartPreventExitStatus").split() == [str(EX_USAGE), str(EX_CONFIG)]


def test_times_agree_with_the_daemons_own() -> None:
    """Systemd is the last to lose patience: after the daemon itself has judged, started, or ended its tree."""
    supervision = load(CONFIG).supervision
    # Fed at each check: three that fail, one after the other, and a tree that is replaced meanwhile, are not the end.
    assert int(value("WatchdogSec")) >= 3 * (supervision.path_check_s + supervision.path_check_timeout_s)
    assert int(value("TimeoutStartSec")) > START_TIMEOUT_S + STOP_TIMEOUT_S
    ending_s = STOP_BUDGET_S
    assert int(value("TimeoutStopSec")) >= 2 * ending_s
    grace = re.search(r"stop_grace_period: (\d+)s", COMPOSE.read_text())
    assert grace is not None
    assert int(grace[1]) >= 2 * ending_s


def test_the_state_directory_is_one_the_daemon_takes(tmp_path: Path) -> None:
    """Systemd makes it with that mode; the configuration names it; every other file agrees."""
    made = tmp_path / "state"
    made.mkdir()
    made.chmod(int(value("StateDirectoryMode"), 8))
    private_dir(made)
    assert f"/var/lib/{value('StateDirectory')}" == STATE_DIR == str(load(CONFIG).router.state_dir)
    assert f"install -d -o 10001 -g 10001 -m 0700 {STATE_DIR}" in DOCKERFILE.read_text()
    assert f"- state:{STATE_DIR}\n" in COMPOSE.read_text()


def test_the_configuration_finds_what_systemd_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every credential that is loaded is asked for, and the other way round; then nothing is left to complain of."""
    loaded = dict(each.split(":") for each in values("LoadCredential"))
    assert set(loaded) == credentials(load(CONFIG))
    assert all(path == f"/etc/order-router/credentials/{name}" for name, path in loaded.items())
    for name in loaded:
        (tmp_path / name).write_text(f"the-{name}")
        (tmp_path / name).chmod(0o440)
    monkeypatch.setenv(CREDENTIALS_VARIABLE, str(tmp_path))
    config = load(CONFIG)
    require_credentials(config)
    assert warnings(config) == []
    assert config.exchanges["okx"].password is not None
    assert config.exchanges["okx"].password.read() == "the-okx-passphrase"


def test_the_daemon_may_do_what_it_must() -> None:
    """Guards that would break it are not set: see the unit's last words on each."""
    assert "AF_UNIX" in value("RestrictAddressFamilies").split()
    assert {"AF_INET", "AF_INET6"} <= set(value("RestrictAddressFamilies").split())
    assert value("KillMode") == "mixed"
    for name in ("ProtectProc", "ProcSubset", "PrivateNetwork", "IPAddressDeny"):
        assert values(name) == []
        assert f"{name}=" in UNIT.read_text(), "why it is left alone is said"


def instructions() -> dict[str, list[str]]:
    """The Dockerfile's instructions by name, comments and line ends taken out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    found: dict[str, list[str]] = {}
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name:
            found.setdefault(name, []).append(" ".join(rest.split()))
    return found


def test_the_image_runs_the_command_as_nobody_special() -> None:
    """Instructions that exist, the command in exec form, a user by number, and a check that the command understands."""
    found = instructions()
    known = "FROM WORKDIR RUN COPY ENV USER VOLUME STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD"
    assert set(found) <= {*known.split()}
    assert json.loads(found["ENTRYPOINT"][0]) == [COMMAND.name]
    assert json.loads(found["CMD"][0]) == RUN
    assert found["USER"] == ["10001:10001"]
    check = json.loads(found["HEALTHCHECK"][0].partition("CMD ")[2])
    assert check[-2:] == ["--state-dir", STATE_DIR]
    asked = subprocess.run(
        [COMMAND, *check[1:-1], "/nonexistent/state"],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert asked.returncode == 69, asked.stderr


def test_the_image_is_built_of_what_the_build_may_see() -> None:
    """Everything copied is there, let through by the ignore file, and all that the package is made of."""
    copied = set[str]()
    for line in instructions()["COPY"]:
        if not line.startswith("--from"):
            copied.update(line.split()[:-1])
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n")
    assert copied == {line[1:] for line in ignored if line.startswith("!")}
    assert all((DEPLOY.parents[1] / name).exists() for name in copied)
    assert {"app", "actors", "messages", "supervisor.py", "setup.cfg", "pyproject.toml"} <= copied


def test_credentials_are_never_committed() -> None:
    """The folder that Compose's file names is ignored where it lies."""
    assert "credentials/" in (DEPLOY / ".gitignore").read_text().split()


@pytest.fixture(scope="module")
def compose() -> Any:
    """The parsed file."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load(COMPOSE.read_text())


def test_compose_hands_over_what_the_configuration_asks_for(compose: Any) -> None:
    """The same secrets as under systemd, where bare names are looked for, and declared."""
    service = compose["services"]["order-router"]
    assert set(service["secrets"]) == set(compose["secrets"]) == credentials(load(CONFIG))
    assert all(each == {"file": f"./credentials/{name}"} for name, each in compose["secrets"].items())
    assert service["environment"] == {CREDENTIALS_VARIABLE: "/run/secrets"}
    assert service["command"] == RUN
    assert service["user"] == instructions()["USER"][0]
    assert f"./order-router.toml:{RUN[-1]}:ro" in service["volumes"]
    assert set(compose["volumes"]) == {"state"}


def test_compose_shuts_the_container(compose: Any) -> None:
    """Keys that Compose knows, and those that close something are set."""
    service = compose["services"]["order-router"]
    known = (
        "build command user read_only tmpfs volumes environment secrets cap_drop security_opt ulimits pids_limit init"
    )
    assert set(service) <= {*known.split(), "stop_grace_period", "restart"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ulimits"] == {"core": 0}
    assert "ports" not in service
    assert (DEPLOY / service["build"]["context"]).resolve() == DEPLOY.parents[1]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == DOCKERFILE
