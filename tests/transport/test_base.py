"""The system base: loopback only, attach never starts anything, and no death leaves a process behind."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from thespian.actors import ActorSystem

from app.transport import Mailbox, NotRunningError, admin_pid, attach, detach, free_port
from tests.processes import Deaths
from tests.transport.actors import AskPid, Fault, Say, Spawn
from tests.transport.conftest import Daemon

GONE_TIMEOUT_S = 2
ANSWER_TIMEOUT_S = 20


def test_the_tree_is_whole(daemon: Daemon) -> None:
    """The admin is the launcher's own child; admin, logger, and three actors run; actors nest."""
    tree = daemon.tree()
    parents = {each.pid: each.ppid() for each in tree}
    assert len(tree) == 6
    assert parents[daemon.admin_pid] == daemon.popen.pid
    actor, child, grandchild = daemon.actor_pids
    assert (parents[actor], parents[child], parents[grandchild]) == (daemon.admin_pid, actor, child)


def test_only_loopback_listens(daemon: Daemon, system: ActorSystem) -> None:
    """No process of the tree, nor one that attached, has a socket on another interface."""
    assert system.ask(daemon.actors[0], Say(text="up"), ANSWER_TIMEOUT_S) == "up"
    sockets = [
        connection
        for process in [*daemon.tree(), psutil.Process()]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert daemon.port in {each.laddr.port for each in sockets}
    assert len({each.laddr.port for each in sockets}) >= 6
    assert {each.laddr.ip for each in sockets} == {"127.0.0.1"}


def test_attach_starts_nothing_where_nothing_runs() -> None:
    """One sentence, at once, and no new process."""
    port = free_port()
    before = psutil.Process().children(recursive=True)
    with pytest.raises(NotRunningError, match=f"no OrderRouter daemon listens on 127.0.0.1:{port}"):
        attach(port, secrets.token_bytes(32))
    assert psutil.Process().children(recursive=True) == before


def test_attach_with_another_key_is_no_answer(daemon: Daemon, system: ActorSystem) -> None:
    """The admin drops it, the caller is told within its time-out, and those with the key notice nothing."""
    with pytest.raises(NotRunningError, match="did not answer to our key"):
        attach(daemon.port, secrets.token_bytes(32), timeout_s=0.5)
    assert system.ask(daemon.actors[0], Say(text="up"), ANSWER_TIMEOUT_S) == "up"


def test_attach_to_another_program_is_no_answer() -> None:
    """A listener that never answers costs the time-out and no more."""
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(NotRunningError, match="another program"),
    ):
        attach(other.getsockname()[1], secrets.token_bytes(32), timeout_s=0.5)


def test_two_daemons_with_two_keys_serve_one_process(daemon: Daemon, own_daemon: Daemon, system: ActorSystem) -> None:
    """Keys do not get in each other's way, nor does the thespian module everybody shares change."""
    second = attach(own_daemon.port, own_daemon.key)
    try:
        for _ in range(3):
            assert system.ask(daemon.actors[1], Say(text="first"), ANSWER_TIMEOUT_S) == "first"
            assert second.ask(own_daemon.actors[1], Say(text="second"), ANSWER_TIMEOUT_S) == "second"
    finally:
        detach(second)


def test_detach_leaves_the_system_running(daemon: Daemon) -> None:
    """Detaching twice is as good as once, and the next one may attach."""
    for _ in range(2):
        attached = attach(daemon.port, daemon.key)
        assert attached.ask(daemon.actors[0], Say(text="up"), ANSWER_TIMEOUT_S) == "up"
        detach(attached)
        detach(attached)


def test_only_the_starter_has_an_admin(system: ActorSystem) -> None:
    """An attached process is told that it has nothing to watch."""
    with pytest.raises(NotRunningError, match="started no actor system"):
        admin_pid(system)


def test_a_second_start_on_the_port_is_refused(daemon: Daemon) -> None:
    """Starting where a daemon runs fails with a sentence and leaves no process."""
    script = f"from app.transport import start_system; start_system({daemon.port}, bytes(32))"
    second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S)
    assert second.returncode == 1
    assert f"StartFailedError: port {daemon.port} on 127.0.0.1 is in use" in second.stderr.splitlines()[-1]


def test_what_actors_log_is_written_once_and_whole(tmp_path: Path) -> None:
    """An actor's event goes through Thespian's logger process into the file, as one JSON line without secrets."""
    log = tmp_path / "log"
    subprocess.run([sys.executable, "-m", "tests.transport.log_once", str(log)], timeout=ANSWER_TIMEOUT_S, check=True)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (ours,) = [line for line in lines if line["event"] == "actor.said"]
    assert (ours["text"], ours["api_key"], ours["level"]) == ("100 % of é", "[redacted]", "info")
    assert ours["logger"] == "tests.transport.log_once"


def test_stopping_leaves_nothing(own_daemon: Daemon) -> None:
    """An orderly stop ends admin, logger and all actors."""
    launcher, *rest = own_daemon.tree()
    with Deaths(rest) as deaths:
        assert own_daemon.say("stop") == "stopped"
        deaths.wait(GONE_TIMEOUT_S)
    assert own_daemon.popen.wait(ANSWER_TIMEOUT_S) == 0
    assert not launcher.is_running()


def test_killing_the_launcher_leaves_nothing(own_daemon: Daemon) -> None:
    """kill -9 of the launcher takes admin, logger, actor, child and grandchild with it, and frees the port."""
    launcher, *rest = own_daemon.tree()
    with Deaths(rest) as deaths:
        launcher.kill()
        own_daemon.popen.wait(ANSWER_TIMEOUT_S)
        deaths.wait(GONE_TIMEOUT_S)
    with socket.create_server(("127.0.0.1", own_daemon.port)):
        pass


def test_killing_the_admin_leaves_the_launcher_alone(own_daemon: Daemon) -> None:
    """kill -9 of the admin takes everything under it; the launcher lives to see it."""
    launcher, *rest = own_daemon.tree()
    with Deaths(rest) as deaths:
        os.kill(own_daemon.admin_pid, signal.SIGKILL)
        deaths.wait(GONE_TIMEOUT_S)
    assert launcher.is_running()


def test_a_killed_actor_takes_its_children(own_daemon: Daemon) -> None:
    """kill -9 of an actor takes what it created, and its parent lives."""
    actor, child, grandchild = (psutil.Process(pid) for pid in own_daemon.actor_pids)
    with Deaths([child, grandchild]) as deaths:
        child.kill()
        deaths.wait(GONE_TIMEOUT_S)
    assert actor.is_running()


def test_a_crashed_actor_dies_and_its_parent_is_told(own_daemon: Daemon) -> None:
    """A segmentation fault ends the actor instead of spinning in a signal handler."""
    system = attach(own_daemon.port, own_daemon.key)
    try:
        child = system.ask(own_daemon.actors[2], Spawn(), ANSWER_TIMEOUT_S)
        process = psutil.Process(system.ask(child, AskPid(), ANSWER_TIMEOUT_S))
        with Deaths([process]) as deaths, Mailbox(system) as mailbox:
            mailbox.tell(child, Fault())
            assert mailbox.flush(ANSWER_TIMEOUT_S)  # taken, as an acknowledgement comes before the handler
            assert system.listen(ANSWER_TIMEOUT_S) == "child exited"
            deaths.wait(GONE_TIMEOUT_S)
    finally:
        detach(system)
