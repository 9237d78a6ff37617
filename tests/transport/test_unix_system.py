"""The system over Unix sockets: private, found by its state directory, and no death leaves a process or a stall behind.

What must hold over either transport is taken from the tests of the other one; their fixtures are Unix's here.
"""

import os
import pickle
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from thespian.actors import ActorSystem

from app.transport import Mailbox, NotRunningError, Undelivered, address_from_str, address_to_str, attach, detach
from app.transport.base import sweep_sockets
from app.transport.mailbox import MAX_IN_FLIGHT, MailboxFullError
from tests.e2e.world import until
from tests.processes import Deaths
from tests.transport.actors import AskPid, Exited, Fault, Parent, Say, Spawn
from tests.transport.conftest import ROOT
from tests.transport.test_base import (
    test_a_killed_actor_takes_its_children,
    test_killing_the_admin_leaves_the_launcher_alone,
    test_only_the_starter_has_an_admin,
    test_stopping_leaves_nothing,
    test_the_tree_is_whole,
)
from tests.transport.test_mailbox import (
    test_a_closed_mailbox_says_so,
    test_a_letter_to_itself_arrives,
    test_a_message_too_large_is_refused_here,
    test_addresses_survive_being_text,
    test_answers_come_in_order,
    test_flush_waits_for_confirmations,
    test_nothing_comes_is_none_within_the_time,
    test_other_threads_may_only_wake,
    test_wake_and_messages_do_not_hide_each_other,
    test_wake_ends_a_blocked_receive,
    test_wakes_before_a_receive_are_one,
)
from tests.transport.unixes import UnixDaemon, attached, running

__all__ = [
    "test_a_closed_mailbox_says_so",
    "test_a_killed_actor_takes_its_children",
    "test_a_letter_to_itself_arrives",
    "test_a_message_too_large_is_refused_here",
    "test_addresses_survive_being_text",
    "test_answers_come_in_order",
    "test_flush_waits_for_confirmations",
    "test_killing_the_admin_leaves_the_launcher_alone",
    "test_nothing_comes_is_none_within_the_time",
    "test_only_the_starter_has_an_admin",
    "test_other_threads_may_only_wake",
    "test_stopping_leaves_nothing",
    "test_the_tree_is_whole",
    "test_wake_and_messages_do_not_hide_each_other",
    "test_wake_ends_a_blocked_receive",
    "test_wakes_before_a_receive_are_one",
]

GONE_TIMEOUT_S = 2
ANSWER_TIMEOUT_S = 20
NOBODY = address_from_str("unix://1-0000000000000000")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnixDaemon]:
    """A daemon shared by the tests of this module, in a state directory whose path no socket could have."""
    deep = tmp_path_factory.mktemp("deep") / ("x" * 120) / ("y" * 120)
    deep.mkdir(parents=True)
    with running(deep) as started:
        yield started


@pytest.fixture
def own_daemon(tmp_path: Path) -> Iterator[UnixDaemon]:
    """A daemon for one test that does something to it."""
    with running(tmp_path) as started:
        yield started


@pytest.fixture
def system(daemon: UnixDaemon) -> Iterator[ActorSystem]:
    """This process attached to the shared daemon."""
    with attached(daemon) as system:
        yield system


@pytest.fixture
def mailbox(system: ActorSystem) -> Iterator[Mailbox]:
    """A mailbox owned by the test's thread."""
    with Mailbox(system) as opened:
        yield opened


def test_nothing_listens_on_a_network(daemon: UnixDaemon, system: ActorSystem) -> None:
    """No process of the tree, nor one that attached, has an internet socket of any kind; the folder is private."""
    assert system.ask(daemon.actors[0], Say(text="up"), ANSWER_TIMEOUT_S) == "up"
    assert [each for process in daemon.tree() for each in process.net_connections("inet")] == []
    assert stat.S_IMODE(daemon.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in daemon.sockets()} == {0o600}
    assert len(daemon.sockets()) >= 6


def test_attach_starts_nothing_where_nothing_runs(tmp_path: Path) -> None:
    """One sentence, at once, whether or not a daemon ever ran there."""
    before = psutil.Process().children(recursive=True)
    for _ in range(2):
        with pytest.raises(NotRunningError, match=f"no OrderRouter daemon .* {tmp_path}/actors; start it first"):
            attach(0, secrets.token_bytes(32), base="unix", state_dir=tmp_path)
        (tmp_path / "actors").mkdir(mode=0o700, exist_ok=True)
    assert psutil.Process().children(recursive=True) == before


def test_attach_refuses_a_folder_that_others_may_enter(tmp_path: Path) -> None:
    """The sentence says what is wrong and what would be right."""
    (tmp_path / "actors").mkdir(mode=0o755)
    with pytest.raises(NotRunningError, match="has mode 0755, open to other users, and must have mode 0700"):
        attach(0, secrets.token_bytes(32), base="unix", state_dir=tmp_path)


def test_attach_with_another_key_is_no_answer(daemon: UnixDaemon, system: ActorSystem) -> None:
    """The admin closes the connection, and those with the key notice nothing."""
    with pytest.raises(NotRunningError, match="did not answer to our key"):
        attach(0, secrets.token_bytes(32), base="unix", state_dir=daemon.state_dir)
    assert system.ask(daemon.actors[0], Say(text="up"), ANSWER_TIMEOUT_S) == "up"


def test_a_second_start_there_is_refused(daemon: UnixDaemon) -> None:
    """Starting where a daemon runs fails with a sentence and leaves no process."""
    code = (
        "from pathlib import Path; from app.transport import start_system;"
        f" start_system(0, bytes(32), base='unix', state_dir=Path({str(daemon.state_dir)!r}))"
    )
    second = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S, cwd=ROOT
    )
    assert second.returncode == 1
    assert f"StartFailedError: the folder {daemon.folder} is in use" in second.stderr.splitlines()[-1]


def test_two_daemons_serve_one_process(daemon: UnixDaemon, own_daemon: UnixDaemon, system: ActorSystem) -> None:
    """Neither keys nor folders get in each other's way."""
    with attached(own_daemon) as second:
        for _ in range(3):
            assert system.ask(daemon.actors[1], Say(text="first"), ANSWER_TIMEOUT_S) == "first"
            assert second.ask(own_daemon.actors[1], Say(text="second"), ANSWER_TIMEOUT_S) == "second"


def test_detach_leaves_the_system_running_and_no_socket(daemon: UnixDaemon) -> None:
    """Detaching twice is as good as once, the next one may attach, and nothing piles up in the folder or in us."""
    with attached(daemon):
        pass
    sockets, descriptors = len(daemon.sockets()), psutil.Process().num_fds()
    for _ in range(3):
        again = attach(0, daemon.key, base="unix", state_dir=daemon.state_dir)
        with Mailbox(again) as mailbox:
            mailbox.tell(daemon.actors[0], Say(text="up"))
            assert mailbox.receive(ANSWER_TIMEOUT_S) == "up"
        detach(again)
        detach(again)
    assert len(daemon.sockets()) == sockets
    assert psutil.Process().num_fds() == descriptors


def test_killing_the_launcher_leaves_nothing_that_matters(own_daemon: UnixDaemon) -> None:
    """kill -9 of the launcher takes everything; the next start clears its sockets away and works."""
    launcher, *rest = own_daemon.tree()
    with Deaths(rest) as deaths:
        launcher.kill()
        own_daemon.popen.wait(ANSWER_TIMEOUT_S)
        deaths.wait(GONE_TIMEOUT_S)
    left = set(own_daemon.sockets())
    assert len(left) >= 5
    with running(own_daemon.state_dir) as again, attached(again) as system:
        assert system.ask(again.actors[2], Say(text="again"), ANSWER_TIMEOUT_S) == "again"
        assert left & set(again.sockets()) <= {again.folder / "admin"}


def test_what_the_dead_left_can_be_swept_and_what_the_living_use_stays(own_daemon: UnixDaemon) -> None:
    """For a launcher whose tree has ended in whatever way."""
    before = set(own_daemon.sockets())
    sweep_sockets(own_daemon.state_dir)
    assert set(own_daemon.sockets()) == before
    launcher, *rest = own_daemon.tree()
    with Deaths(rest) as deaths:
        launcher.kill()
        own_daemon.popen.wait(ANSWER_TIMEOUT_S)
        deaths.wait(GONE_TIMEOUT_S)
    sweep_sockets(own_daemon.state_dir)
    assert set(own_daemon.sockets()) <= {own_daemon.folder / "admin"}
    sweep_sockets(own_daemon.state_dir / "nowhere")


def test_what_killed_outsiders_leave_is_cleared_by_the_next(daemon: UnixDaemon) -> None:
    """A process outside that is killed leaves its sockets; they do not pile up, and no one else's are touched."""
    code = (
        "import sys; from pathlib import Path; from app.transport import Mailbox, attach;"
        "system = attach(0, bytes.fromhex(sys.argv[1]), base='unix', state_dir=Path(sys.argv[2]));"
        "mailbox = Mailbox(system); print('attached', flush=True); sys.stdin.read()"
    )
    killed = []
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", code, daemon.key.hex(), str(daemon.state_dir)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as outsider:
            assert outsider.stdout is not None
            assert outsider.stdout.readline() == b"attached\n"
            outsider.kill()
        killed.append(outsider.pid)

    def left() -> list[int]:
        return [pid for pid in killed if any(each.name.startswith(f"{pid}-") for each in daemon.sockets())]

    assert left() == killed[-1:]
    with attached(daemon) as system:
        assert left() == []
        assert system.ask(daemon.actors[2], Say(text="still here"), ANSWER_TIMEOUT_S) == "still here"


def test_a_logger_that_dies_is_replaced_and_takes_nobody_along(own_daemon: UnixDaemon) -> None:
    """It writes records, and is on nobody's way."""
    admin = psutil.Process(own_daemon.admin_pid)
    (logger,) = [each for each in admin.children() if each.pid not in own_daemon.actor_pids]
    before = [each for each in own_daemon.tree() if each != logger]
    logger.kill()

    def another() -> bool:
        new = [each for each in admin.children() if each.pid not in (logger.pid, *own_daemon.actor_pids)]
        return any(each.status() != psutil.STATUS_ZOMBIE for each in new)

    until(another, means="another logger")
    until(lambda: not any(each.name.startswith(f"{logger.pid}-") for each in own_daemon.sockets()))
    assert all(each.is_running() for each in before)
    with attached(own_daemon) as system:
        assert system.ask(own_daemon.actors[2], Say(text="still here"), ANSWER_TIMEOUT_S) == "still here"


def test_a_crashed_actor_dies_and_its_parent_is_told(own_daemon: UnixDaemon) -> None:
    """A segmentation fault ends the actor at once; what made it crash comes back, as nobody can say what it did."""
    with attached(own_daemon) as system, Mailbox(system) as mailbox:
        mailbox.tell(own_daemon.actors[2], Spawn())
        child = mailbox.receive(ANSWER_TIMEOUT_S)
        mailbox.tell(child, AskPid())
        pid = mailbox.receive(ANSWER_TIMEOUT_S)
        assert isinstance(pid, int)
        with Deaths([psutil.Process(pid)]) as deaths:
            mailbox.tell(child, Fault())
            got = [mailbox.receive(ANSWER_TIMEOUT_S) for _ in range(2)]
            deaths.wait(GONE_TIMEOUT_S)
        assert "child exited" in got
        assert Undelivered(address=child, message=Fault(), gone=True) in got
        mailbox.tell(own_daemon.actors[2], Say(text="its parent is well"))
        assert mailbox.receive(ANSWER_TIMEOUT_S) == "its parent is well"
        assert not own_daemon.socket_of(child).exists()


def test_of_children_that_die_together_each_is_told(own_daemon: UnixDaemon) -> None:
    """The end of one must not be forgotten over another's: nobody would ever start it again."""
    with attached(own_daemon) as system, Mailbox(system) as mailbox:
        parent = system.createActor(Parent)
        for number in range(20):
            children: dict[str, int] = {}
            for _ in range(3):
                mailbox.tell(parent, Spawn())
                child = mailbox.receive(ANSWER_TIMEOUT_S)
                mailbox.tell(child, AskPid())
                pid = mailbox.receive(ANSWER_TIMEOUT_S)
                assert isinstance(pid, int)
                children[str(child)] = pid
            for pid in children.values():
                os.kill(pid, signal.SIGKILL)
            told = set[str]()
            while len(told) < len(children):
                said = mailbox.receive(5)
                assert isinstance(said, Exited), f"round {number}: told of {len(told)} of {len(children)}"
                told |= {each for each in children if each in said.child}


def test_what_nobody_takes_comes_back(mailbox: Mailbox) -> None:
    """An address where nobody listens gives the message back at once, not after the time-out."""
    began_s = time.monotonic()
    mailbox.tell(NOBODY, Say(text="lost"))
    returned = mailbox.receive(ANSWER_TIMEOUT_S)
    assert time.monotonic() - began_s < 5
    assert returned == Undelivered(address=NOBODY, message=Say(text="lost"), gone=True)
    assert mailbox.in_flight == 0


def test_too_many_unconfirmed_are_refused(mailbox: Mailbox) -> None:
    """The limit is a clear refusal; once the messages came back, there is room again."""
    for number in range(MAX_IN_FLIGHT):
        mailbox.tell(NOBODY, Say(text=str(number)))
    with pytest.raises(MailboxFullError, match="unconfirmed"):
        mailbox.tell(NOBODY, Say(text="one too many"))
    returned = [mailbox.receive(ANSWER_TIMEOUT_S) for _ in range(MAX_IN_FLIGHT)]
    texts = [each.message.text for each in returned if isinstance(each, Undelivered) and isinstance(each.message, Say)]
    assert texts == [str(number) for number in range(MAX_IN_FLIGHT)]
    assert mailbox.in_flight == 0


def test_a_killed_actor_gives_back_what_it_had_not_taken(own_daemon: UnixDaemon) -> None:
    """Messages on their way into an actor that is stopped, then killed, come back in order, long before their time."""
    with attached(own_daemon) as system, Mailbox(system) as mailbox:
        mailbox.tell(own_daemon.actors[2], Say(text="before"))
        assert mailbox.receive(ANSWER_TIMEOUT_S) == "before"
        os.kill(own_daemon.actor_pids[2], signal.SIGSTOP)
        sent = [Say(text=str(number)) for number in range(800)]
        for message in sent:
            mailbox.tell(own_daemon.actors[2], message, timeout_s=60)
        assert mailbox.receive(0.05) is None
        os.kill(own_daemon.actor_pids[2], signal.SIGKILL)
        began_s = time.monotonic()
        returned = [mailbox.receive(ANSWER_TIMEOUT_S) for _ in sent]
        assert time.monotonic() - began_s < 5
    assert returned == [Undelivered(address=own_daemon.actors[2], message=message, gone=True) for message in sent]


def test_a_hung_actor_costs_nobody_else_anything(own_daemon: UnixDaemon) -> None:
    """A stopped actor's messages come back when their time is up, in order; others are answered meanwhile."""
    with attached(own_daemon) as system, Mailbox(system) as mailbox:
        os.kill(own_daemon.actor_pids[2], signal.SIGSTOP)
        deaf, well = [str(number) for number in range(700)], [f"to the well {number}" for number in range(100)]
        for text in deaf:
            mailbox.tell(own_daemon.actors[2], Say(text=text), timeout_s=3)
        for text in well:
            mailbox.tell(own_daemon.actors[0], Say(text=text))
        assert [mailbox.receive(ANSWER_TIMEOUT_S) for _ in well] == well
        returned = [mailbox.receive(ANSWER_TIMEOUT_S) for _ in deaf]
        assert mailbox.in_flight == 0
        assert mailbox.receive(0) is None
    assert returned == [Undelivered(address=own_daemon.actors[2], message=Say(text=text), gone=False) for text in deaf]


def test_a_stopped_actor_gets_what_was_sent_when_it_goes_on(own_daemon: UnixDaemon) -> None:
    """Nothing is lost or reordered that waited in buffers and queues."""
    with attached(own_daemon) as system, Mailbox(system) as mailbox:
        os.kill(own_daemon.actor_pids[2], signal.SIGSTOP)
        texts = [f"{number} {'x' * 2000}" for number in range(600)]
        for text in texts:
            mailbox.tell(own_daemon.actors[2], Say(text=text), timeout_s=60)
        assert mailbox.receive(0.05) is None
        os.kill(own_daemon.actor_pids[2], signal.SIGCONT)
        assert [mailbox.receive(ANSWER_TIMEOUT_S) for _ in texts] == texts


def test_an_external_tell_is_not_held_up_by_a_stuck_peer(own_daemon: UnixDaemon) -> None:
    """Thespian's own blocking tell waits a moment for a peer that takes nothing, once, and not a minute each time."""
    with attached(own_daemon) as system:
        os.kill(own_daemon.actor_pids[2], signal.SIGSTOP)
        began_s = time.monotonic()
        for number in range(600):
            system.tell(own_daemon.actors[2], Say(text=f"{number} {'x' * 2000}"))
        for number in range(20):
            assert system.ask(own_daemon.actors[0], Say(text=str(number)), ANSWER_TIMEOUT_S) == str(number)
        assert time.monotonic() - began_s < 15
        os.kill(own_daemon.actor_pids[2], signal.SIGCONT)


def test_an_actor_reaches_a_child_by_a_small_address(daemon: UnixDaemon, system: ActorSystem) -> None:
    """What travels as an address is a name, whatever the path of the state directory."""
    child = system.ask(daemon.actors[0], Spawn(), ANSWER_TIMEOUT_S)
    assert len(pickle.dumps(child)) < 200 < len(str(daemon.folder))
    assert address_from_str(address_to_str(child)) == child
    assert system.ask(child, Say(text="newborn"), ANSWER_TIMEOUT_S) == "newborn"


def test_a_forked_child_holds_none_of_its_parents_connections(daemon: UnixDaemon, system: ActorSystem) -> None:
    """A process forked from one that is attached has closed every socket of it before it does anything else."""
    assert system.ask(daemon.actors[0], Say(text="up"), ANSWER_TIMEOUT_S) == "up"

    def held() -> int:
        return sum("/proc/self/fd" in str(each.laddr) for each in psutil.Process().net_connections("unix"))

    assert held() > 0
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        theirs.send(b"%d" % held())
        os._exit(0)
    with ours, theirs:
        assert ours.recv(10) == b"0"
    os.waitpid(pid, 0)
    assert system.ask(daemon.actors[0], Say(text="still up"), ANSWER_TIMEOUT_S) == "still up"
