"""Whoever is not ours reaches no actor over Unix sockets: another user not even a socket, nobody else a pickle."""

from __future__ import annotations

import errno
import os
import pickle
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from thespian.actors import ActorSystem
from thespian.system.messages.status import Thespian_StatusReq

from app.transport import Mailbox, Undelivered, address_from_str
from app.transport.unix.frames import HEADER, LEAVING, MAX_PAYLOAD_BYTES, handshake
from tests.transport.actors import Say
from tests.transport.test_strangers import Exploit
from tests.transport.unixes import UnixDaemon, attached, running

ANSWER_TIMEOUT_S = 20
NOBODY_UID = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def daemon(short_path: Path) -> Iterator[UnixDaemon]:
    """A daemon, in a place where other users get as far as its state directory allows."""
    state_dir = short_path / "state"
    state_dir.mkdir(mode=0o700)
    with running(state_dir) as started:
        yield started


@pytest.fixture
def system(daemon: UnixDaemon) -> Iterator[ActorSystem]:
    """This process attached to it."""
    with attached(daemon) as system:
        yield system


def open_up(daemon: UnixDaemon) -> None:
    """Take away every permission that keeps others out, as a careless user would."""
    for each in [daemon.folder, *daemon.state_dir.parents, daemon.state_dir]:
        if each != Path("/") and each.stat().st_uid == os.geteuid() and each.name != "tmp":
            each.chmod(0o777)
    for each in daemon.sockets():
        each.chmod(0o777)


def served(daemon: UnixDaemon) -> list[Path]:
    """The sockets of processes that listen all the time: admin, logger, actors; not those of launcher and test."""
    others = (f"{os.getpid()}-", f"{daemon.popen.pid}-")
    return [each for each in daemon.sockets() if not each.name.startswith(others)]


def counted(system: ActorSystem, daemon: UnixDaemon, kind: str) -> int:
    """How often the first actor has met this."""
    status = system.ask(daemon.actors[0], Thespian_StatusReq(), ANSWER_TIMEOUT_S)
    return int(status.miscKeyVals.get(f"transport.{kind}", 0))


def as_another_user(act: Callable[[], str]) -> str:
    """What `act` returns in a process of user 65534."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY_UID)
            os.setuid(NOBODY_UID)
            theirs.send(act().encode() or b"-")
        except BaseException:
            theirs.send(traceback.format_exc()[-3000:].encode())
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        ours.settimeout(ANSWER_TIMEOUT_S)
        answer = ours.recv(4096).decode()
    os.waitpid(pid, 0)
    return answer


def answer_to(path: Path, sent: bytes) -> bytes:
    """Everything that comes back before the other side has closed."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(ANSWER_TIMEOUT_S)
        sock.connect(str(path))
        got = b""
        try:
            sock.sendall(sent)
            while piece := sock.recv(4096):
                got += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        return got


def framed(payload: bytes, acks: int = 0) -> bytes:
    """One frame."""
    return HEADER.pack(len(payload), acks) + payload


def forged(proof: Path, hello: bytes) -> dict[str, bytes]:
    """Frames that must all be dropped; `proof` appears if one of them is unpickled."""
    exploit = pickle.dumps(Exploit(proof))
    return {
        "a bare pickle": exploit,
        "a framed pickle": framed(exploit),
        "a pickle behind a handshake without key": framed(handshake(bytes(32), dialled=True, own="x-1", other="admin"))
        + framed(exploit),
        "a pickle behind no handshake": framed(b"") + framed(exploit),
        "a pickle behind a leave": HEADER.pack(LEAVING, 0) + framed(exploit),
        "too large at once": HEADER.pack(MAX_PAYLOAD_BYTES, 0) + exploit,
        "too large behind a handshake": framed(hello) + HEADER.pack(MAX_PAYLOAD_BYTES + 1, 0) + exploit,
        "a pickle behind a wrong acknowledgement": framed(hello) + framed(exploit, acks=99),
        "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "noise": b"\x00\xff" * 500,
        "nothing but zeros": bytes(4096),
    }


def test_the_exploit_bites(tmp_path: Path) -> None:
    """The attack used below does run code where it is unpickled, so its absence means something."""
    with pickle.loads(pickle.dumps(Exploit(tmp_path / "proof"))):
        pass
    assert (tmp_path / "proof").exists()


@as_root
def test_another_user_finds_no_socket(daemon: UnixDaemon) -> None:
    """The folder keeps others from every socket in it."""
    sockets = daemon.sockets()

    def attack() -> str:
        codes = set()
        for path in sockets:
            with socket.socket(socket.AF_UNIX) as sock:
                codes.add(errno.errorcode[sock.connect_ex(str(path))])
        return " ".join(codes)

    assert len(sockets) >= 5
    assert as_another_user(attack) == "EACCES"


@as_root
def test_another_user_is_refused_even_where_permissions_are_open(
    daemon: UnixDaemon, system: ActorSystem, tmp_path: Path
) -> None:
    """With every permission given away, each socket closes unread; no code runs, even with the right key."""
    open_up(daemon)
    proof = tmp_path / "proof"
    sockets = served(daemon)
    hello = {path: handshake(daemon.key, dialled=True, own="x-1", other=path.name) for path in sockets}
    exploit = framed(pickle.dumps(Exploit(proof)))

    def attack() -> str:
        got = []
        for path in sockets:
            for data in [*forged(proof, hello[path]).values(), framed(hello[path]) + exploit]:
                got.append(answer_to(path, data))
        return f"{len(got)} tried, {len([each for each in got if each])} answered"

    assert as_another_user(attack) == f"{12 * len(sockets)} tried, 0 answered"
    assert system.ask(daemon.actors[0], Say(text="still here"), ANSWER_TIMEOUT_S) == "still here"
    assert counted(system, daemon, "foreign") == 12
    assert not proof.exists()
    assert len(daemon.tree()) == 6


@as_root
def test_another_users_listener_is_told_nothing(daemon: UnixDaemon, system: ActorSystem) -> None:
    """Who squats on an actor's name gets a connection that closes at once, and the sender gets its message back."""
    mailbox = Mailbox(system)  # would not open in a folder that others may enter
    open_up(daemon)
    path = daemon.folder / "1-5555555555555555"
    ready, squatter_ready = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        os.setuid(NOBODY_UID)
        with socket.socket(socket.AF_UNIX) as squatter:
            squatter.bind(str(path))
            squatter.listen()
            squatter_ready.send(b"!")
            connection, _ = squatter.accept()
            connection.settimeout(ANSWER_TIMEOUT_S)
            squatter_ready.send(connection.recv(4096) or b"nothing")
        os._exit(0)
    assert ready.recv(1) == b"!"
    with mailbox:
        address = address_from_str(f"unix://{path.name}")
        mailbox.tell(address, Say(text="secret"))
        assert mailbox.receive(ANSWER_TIMEOUT_S) == Undelivered(address=address, message=Say(text="secret"), gone=True)
    assert ready.recv(4096) == b"nothing"
    os.waitpid(pid, 0)
    ready.close()
    squatter_ready.close()


def test_forged_frames_of_our_own_user_run_nothing_and_stop_nobody(
    daemon: UnixDaemon, system: ActorSystem, tmp_path: Path
) -> None:
    """Without the key nothing is unpickled; every bad frame closes its connection, is counted, and all serve on."""
    proof = tmp_path / "proof"
    targets = served(daemon)
    for path in targets:
        hello = handshake(daemon.key, dialled=True, own="x-1", other=path.name)
        for data in forged(proof, hello).values():
            answer_to(path, data)
        for data in (framed(hello)[:30], framed(hello) + HEADER.pack(500, 0) + b"half a frame"):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
                sock.sendall(data)
    for actor in daemon.actors:
        assert system.ask(actor, Say(text="still here"), ANSWER_TIMEOUT_S) == "still here"
    assert counted(system, daemon, "malformed") == 11
    assert counted(system, daemon, "truncated") == 2
    assert len(daemon.tree()) == 6
    assert all(process.status() != psutil.STATUS_ZOMBIE for process in daemon.tree())
    assert not proof.exists()


def test_a_pickle_with_the_key_that_cannot_be_read_harms_nobody(daemon: UnixDaemon, system: ActorSystem) -> None:
    """A newer version may send what we do not know: it is counted, and what comes behind it is handled."""
    path = daemon.socket_of(daemon.actors[0])
    hello = handshake(daemon.key, dialled=True, own="x-1", other=path.name)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(ANSWER_TIMEOUT_S)
        sock.connect(str(path))
        unknown = b"cno.such.module\nThing\n."
        sock.sendall(framed(hello) + framed(unknown) + framed(b"no pickle") + framed(pickle.dumps(Say(text="known"))))
        taken = 0
        answered = sock.recv(4096)
        assert answered[8:].startswith(b"order-router actors")
        answered = answered[8 + HEADER.unpack_from(answered)[0] :]
        while taken < 3:
            while len(answered) < 8:
                answered += sock.recv(4096)
            taken += HEADER.unpack_from(answered)[1]
            answered = answered[8:]
    assert system.ask(daemon.actors[0], Say(text="still here"), ANSWER_TIMEOUT_S) == "still here"
    assert counted(system, daemon, "unreadable") == 2


@pytest.mark.parametrize("answer", ["exploit", "garbage", "silence", "hang up"])
def test_a_stranger_of_our_user_on_an_actors_name_confirms_nothing(
    daemon: UnixDaemon, system: ActorSystem, tmp_path: Path, answer: str
) -> None:
    """Answers without handshake are neither unpickled nor believed, and the sender goes on serving."""
    proof = tmp_path / "proof"
    reply = {
        "exploit": framed(pickle.dumps(Exploit(proof)), acks=2),
        "garbage": b"\xfe" * 100,
        "silence": b"",
        "hang up": b"",
    }[answer]
    path = daemon.folder / "1-6666666666666666"
    address = address_from_str(f"unix://{path.name}")
    with socket.socket(socket.AF_UNIX) as squatter, Mailbox(system) as mailbox:
        squatter.bind(str(path))
        squatter.listen()
        mailbox.tell(address, Say(text="to a stranger"), timeout_s=0.5)
        connection, _ = squatter.accept()
        with connection:
            connection.sendall(reply)
            if answer == "hang up":
                connection.close()
            returned = mailbox.receive(ANSWER_TIMEOUT_S)
        assert isinstance(returned, Undelivered)
        assert returned.message == Say(text="to a stranger")
        assert returned.gone == (answer != "silence")
        assert not proof.exists()
        mailbox.tell(daemon.actors[0], Say(text="to a friend"))
        assert mailbox.receive(ANSWER_TIMEOUT_S) == "to a friend"
    path.unlink(missing_ok=True)
