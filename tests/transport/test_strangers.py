"""Whoever is not ours can connect, and nothing more: no code runs, nobody stops serving."""

import pickle
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from thespian.actors import ActorSystem
from thespian.system.transport.streamBuffer import toSendBuffer

from app.transport import Mailbox, Undelivered, address_from_str, address_to_str
from app.transport.keyed import MAX_FRAME_BYTES, KeyedPickle
from tests.transport.actors import Say
from tests.transport.conftest import Daemon

ANSWER_TIMEOUT_S = 20


class Exploit:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (open, (str(self.path), "w"))


def port_of(text: str) -> int:
    """The port in an address as text."""
    return int(text.rpartition(":")[2])


def attack(port: int, sent: bytes, close_at_once: bool = False) -> None:
    """Send raw bytes, then wait until the other side has dropped the connection (or drop it ourselves)."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_TIMEOUT_S) as connection:
        connection.sendall(sent)
        if not close_at_once:
            try:
                while connection.recv(4096):
                    pass
            except ConnectionResetError:
                pass


def forged(proof: Path) -> list[bytes]:
    """Frames that must all be dropped; `proof` appears if one of them is unpickled."""
    bare = pickle.dumps((None, Exploit(proof)))
    other_key = KeyedPickle(b"another key than the real one...")
    return [
        b"%d>%s" % (len(bare), bare),
        toSendBuffer(Exploit(proof), other_key.dumps),
        b"%d>%s" % (len(bare) + 32, bytes(32) + bare),
        b"0>",
        b"31>" + b"x" * 31,
        b"-5>" + bare,
        b"+5>" + bare,
        b">" + bare,
        b"%d>" % (MAX_FRAME_BYTES + 1),
        b"9" * 40,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x00\xff" * 500,
    ]


def test_the_exploit_bites(tmp_path: Path) -> None:
    """The attack used below does run code where it is unpickled, so its absence means something."""
    proof = tmp_path / "proof"
    with pickle.loads(pickle.dumps(Exploit(proof))):
        pass
    assert proof.exists()


@pytest.mark.parametrize("target", ["admin", "actor"])
def test_forged_frames_run_nothing_and_stop_nobody(
    daemon: Daemon, system: ActorSystem, tmp_path: Path, target: str
) -> None:
    """Every kind of bad frame is dropped, its connection closed, and the actor or admin serves on."""
    proof = tmp_path / "proof"
    port = daemon.port if target == "admin" else port_of(address_to_str(daemon.actors[0]))
    for frame in forged(proof):
        attack(port, frame)
    attack(port, b"500>half a frame", close_at_once=True)
    attack(port, b"", close_at_once=True)
    assert system.ask(daemon.actors[0], Say(text="still here"), ANSWER_TIMEOUT_S) == "still here"
    assert psutil.pid_exists(daemon.admin_pid)
    assert not proof.exists()


def test_a_changed_byte_drops_the_frame(daemon: Daemon, system: ActorSystem) -> None:
    """A genuine frame with any part of it changed is not ours any more."""
    frame = bytearray(toSendBuffer((daemon.actors[0], Say(text="genuine")), KeyedPickle(daemon.key).dumps))
    frame[-2] ^= 1
    attack(port_of(address_to_str(daemon.actors[0])), bytes(frame))
    assert system.ask(daemon.actors[0], Say(text="still here"), ANSWER_TIMEOUT_S) == "still here"


@pytest.mark.parametrize("answer", ["bare ack", "exploit", "garbage", "silence"])
def test_a_stranger_on_a_dead_actors_port_confirms_nothing(
    daemon: Daemon, mailbox: Mailbox, tmp_path: Path, answer: str
) -> None:
    """Answers without our tag are neither unpickled nor believed, and the sender goes on serving."""
    proof = tmp_path / "proof"
    reply = {
        "bare ack": toSendBuffer("ACK"),
        "exploit": toSendBuffer(Exploit(proof)),
        "garbage": b"-1>" + b"x" * 100,
        "silence": b"",
    }[answer]
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken: list[socket.socket] = []

        def serve() -> None:
            try:
                while True:
                    connection, _ = squatter.accept()
                    taken.append(connection)
                    connection.sendall(reply)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = address_from_str(f"tcp://127.0.0.1:{squatter.getsockname()[1]}")
        mailbox.tell(address, Say(text="to a stranger"), timeout_s=0.5)
        returned = mailbox.receive(ANSWER_TIMEOUT_S)
        squatter.shutdown(socket.SHUT_RDWR)
    thread.join(ANSWER_TIMEOUT_S)
    for connection in taken:
        connection.close()
    assert isinstance(returned, Undelivered)
    assert returned.message == Say(text="to a stranger")
    assert not returned.gone
    assert taken, "the stranger was never reached"
    assert not proof.exists()
    mailbox.tell(daemon.actors[0], Say(text="to a friend"))
    assert mailbox.receive(ANSWER_TIMEOUT_S) == "to a friend"
