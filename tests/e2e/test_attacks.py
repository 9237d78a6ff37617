"""Strangers at every socket of a trading daemon: none of their code runs, orders go on, and the log tells of them."""

from __future__ import annotations

import json
import os
import pickle
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderRouter
from app.transport.unix.frames import handshake
from tests.e2e.conftest import Build
from tests.e2e.world import Answered, World, check_once, place, tree, until
from tests.transport.test_strangers import Exploit
from tests.transport.test_unix_strangers import answer_to, as_another_user, as_root, forged, framed


@pytest.fixture
def world(short_path: Path) -> Iterator[Build]:
    """Worlds whose sockets a stranger can name."""
    with ExitStack() as stack:

        def build(*exchanges: str) -> World:
            return stack.enter_context(World(exchanges, short_path / "state"))

        yield build


ROLES = 8
"""Admin, logger, supervisor, two connectors, monitor, coordinator, synchronizer: each listens, the launcher as well."""


def sockets_of(world: World) -> list[Path]:
    """Those that the daemon listens on all the time."""
    presence = world.presence()
    pids = {each.pid for each in tree(presence.pid)} - {presence.pid}
    found = [each for each in (world.state_dir / "actors").iterdir() if each.is_socket()]
    return [each for each in found if each.name == "admin" or int(each.name.partition("-")[0]) in pids]


@contextmanager
def trading(router: OrderRouter, answered: list[Answered]) -> Iterator[None]:
    """Orders one after the other, as long as the body lasts."""
    stop = threading.Event()

    def trade() -> None:
        while not (stop.is_set() and len(answered) >= 20):
            answered.append(place(router, f"order-{len(answered)}", order_type="Market", price=None))

    with ThreadPoolExecutor(1) as pool:
        trader = pool.submit(trade)
        try:
            yield
        finally:
            stop.set()
        trader.result()


def told(world: World) -> Counter[str]:
    """Lines of the daemon's log by event."""
    lines = (world.state_dir / "order-router.log").read_text().splitlines()
    return Counter(json.loads(line)["event"] for line in lines)


def check_unharmed(world: World, router: OrderRouter, before: set[int], answered: list[Answered]) -> None:
    """Everybody of the tree lives on, and every order was accepted and placed once."""
    assert {each.pid for each in tree(world.presence().pid)} == before
    assert [each for each in answered if each.order is None] == []
    books = world.books()
    for each in answered:
        assert len(check_once(books, world.presence().journal_id, router.strategy, each)) == 1
    assert all(actor["restarts"] == 0 for actor in router.get_status()["actors"])


def test_garbage_of_our_own_user_at_every_socket_costs_no_order(world: Build, tmp_path: Path) -> None:
    """Forged pickles, oversize and cut frames, connections that say nothing: at admin, logger and every actor."""
    here = world("bybit", "okx")
    proof, answered = tmp_path / "proof", list[Answered]()
    with here.running() as router:
        sockets, before = sockets_of(here), {each.pid for each in tree(here.presence().pid)}
        assert len(sockets) == ROLES
        silent = [socket.socket(socket.AF_UNIX) for _ in range(20 * len(sockets))]
        with trading(router, answered):
            for number, sock in enumerate(silent):
                with suppress(BlockingIOError):
                    sock.setblocking(False)
                    sock.connect(str(sockets[number % len(sockets)]))
            for path in sockets:
                # The key is a stranger's guess here: the daemon's is in a file that only its user can read.
                for data in forged(proof, handshake(bytes(32), dialled=True, own="x-1", other=path.name)).values():
                    answer_to(path, data)
        for sock in silent:
            sock.close()
        assert not proof.exists()
        check_unharmed(here, router, before, answered)
        until(lambda: told(here)["transport.malformed"] >= len(sockets), means="the log telling of each")


@as_root
def test_another_user_reaches_nothing_even_where_a_careless_one_opened_everything(world: Build, tmp_path: Path) -> None:
    """Closed unread with the key and without, at every socket, while orders flow."""
    here = world("bybit", "okx")
    proof, answered = tmp_path / "proof", list[Answered]()
    with here.running() as router:
        sockets, before = sockets_of(here), {each.pid for each in tree(here.presence().pid)}
        folder = here.state_dir / "actors"
        key = bytes.fromhex(here.presence().key)

        def attack() -> str:
            tried = unanswered = 0
            for path in sockets:
                hello = handshake(key, dialled=True, own="x-1", other=path.name)
                exploit = framed(hello) + framed(pickle.dumps(Exploit(proof)))
                for data in [*forged(proof, hello).values(), exploit]:
                    tried += 1
                    unanswered += not answer_to(path, data)
            return f"{tried} tried, {unanswered} unanswered"

        opened = [each for each in (*here.state_dir.parents, here.state_dir, folder) if str(each).startswith("/tmp/")]
        modes = {each: each.stat().st_mode for each in (*opened, *sockets)}
        with trading(router, answered):
            try:
                for each in modes:
                    each.chmod(0o777)
                assert as_another_user(attack) == f"{12 * len(sockets)} tried, {12 * len(sockets)} unanswered"
            finally:
                for each, mode in modes.items():
                    each.chmod(mode)
        assert not proof.exists()
        check_unharmed(here, router, before, answered)
        until(lambda: told(here)["transport.foreign"] >= len(sockets), means="the log telling of each")


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, OrderRouter]]:
    """A daemon that is only looked at."""
    with World(["bybit", "okx"], tmp_path_factory.mktemp("attacks") / "state") as here, here.running() as router:
        yield here, router


@as_root
def test_another_user_sees_no_key_and_no_journal(looked_at: tuple[World, OrderRouter]) -> None:
    """What is in the state directory is the user's own, file by file, should the directory be opened."""
    here, router = looked_at
    assert place(router, "one").order is not None
    files = [each for each in here.state_dir.rglob("*") if each.is_file()]
    assert {"daemon.json", "order-router.log", JOURNAL_NAME} <= {each.name for each in files}

    def read() -> str:
        return " ".join(sorted({_refusal(each) for each in files}))

    assert as_another_user(read) == "PermissionError"
    assert [each.name for each in files if each.stat().st_mode & 0o077] == []
    assert here.state_dir.stat().st_mode & 0o077 == 0


def _refusal(path: Path) -> str:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return type(error).__name__
    return f"{path.name} was read"


def test_no_process_listens_on_a_network(looked_at: tuple[World, OrderRouter]) -> None:
    """What `ss -lntux` would show of the daemon while it trades: nothing; outgoing connections are the connectors'."""
    here, router = looked_at
    assert place(router, "another").order is not None
    found = [each for process in tree(here.presence().pid) for each in process.net_connections("inet")]
    assert [each for each in found if each.status != "ESTABLISHED" and not each.raddr] == []
    # The hold on an account is an abstract name that nobody listens on (the flag is the kernel's SO_ACCEPTCON).
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines() if "@order-router" in line]
    assert rows
    assert [row for row in rows if int(row[3], 16) & 0x10000] == []
