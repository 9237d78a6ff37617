"""Connections over real sockets, both ends in this process and time by hand: nothing lost, reordered, waited for."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.process.guards import disable_core_dumps
from app.transport.unix import connections, folder, link
from app.transport.unix.folder import Folder, FolderError
from app.transport.unix.switchboard import ACK_DELAY_S, Outcome
from tests.transport.hall import IDLE_S, TIMEOUT_S, Hall, all_of, collect, outcomes, say, taken


def test_messages_arrive_in_order_and_are_acknowledged(hall: Hall) -> None:
    """Acknowledgements come when the messages were taken, not when they arrived."""
    a, b = hall.board(), hall.board()
    texts = [str(number) for number in range(300)]
    say(a, b, *texts)
    hall.pump(lambda: b.waiting == 300)
    assert not a.done
    assert taken(b) == texts
    hall.pump(lambda: len(a.done) == 300)
    assert outcomes(a) == all_of(Outcome.TAKEN, texts)
    assert not a.held()


def test_an_acknowledgement_rides_on_an_answer(hall: Hall) -> None:
    """A question and its answer are two frames; nothing more is sent and nobody is woken for it."""
    a, b = hall.board(), hall.board()
    say(a, b, "question")
    hall.pump(lambda: b.waiting == 1)
    taken(b)
    say(b, a, "answer")
    hall.pump(lambda: a.waiting == 1, a)
    assert outcomes(a) == [("question", Outcome.TAKEN)]
    hall.clock.ahead_s += 2 * ACK_DELAY_S
    b.poll(0)
    a.poll(0)
    assert not b.done


def test_a_close_fails_what_was_not_taken(hall: Hall) -> None:
    """What was taken is confirmed, the rest is told as gone, in order; so is whatever is sent afterwards."""
    a, b = hall.board(), hall.board()
    say(a, b, "1", "2", "3", "4")
    hall.pump(lambda: b.waiting == 4)
    b.take()
    b.take()
    b.close()
    hall.pump(lambda: len(a.done) == 4, a)
    assert outcomes(a) == all_of(Outcome.TAKEN, ["1", "2"]) + all_of(Outcome.GONE, ["3", "4"])
    say(a, b, "5")
    assert outcomes(a) == [("5", Outcome.GONE)]
    assert not (hall.path / b.name).exists()


def test_the_last_words_of_a_peer_are_heard(hall: Hall) -> None:
    """Who writes to a peer that has just closed still receives what that one had sent."""
    a, b = hall.board(), hall.board()
    say(a, b, "hello")
    hall.pump(lambda: b.waiting == 1)
    taken(b)
    say(b, a, "farewell", "for ever")
    b.close()
    say(a, b, "too late")
    a.poll(0)
    assert taken(a) == ["farewell", "for ever"]
    assert outcomes(a) == [("hello", Outcome.TAKEN), ("too late", Outcome.GONE)]


def test_who_sends_and_closes_at_once_is_heard(hall: Hall) -> None:
    """Handshake, messages and the end arrive together, and there is nobody left to answer: all messages count."""
    b = hall.board()
    for round_ in range(20):
        a = hall.board()
        texts = [f"{number}{'x' * 500 * round_}" for number in range(5)]
        say(a, b, *texts)
        a.close()
        hall.pump(lambda: b.waiting == 5, b)
        assert taken(b) == texts
        hall.pump(lambda: not b._links, b)
        assert not b.counts


def test_a_peer_that_takes_nothing_is_refused_more(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are bounded, no call waits, the refusals are told and counted, and the peer gets all others later."""
    monkeypatch.setattr(link, "MAX_HELD_MESSAGES", 500)
    a, b = hall.board(), hall.board()
    texts = [f"{number}{'x' * 2000}" for number in range(600)]
    began_s = time.monotonic()
    say(a, b, *texts)
    assert time.monotonic() - began_s < 5
    assert outcomes(a) == all_of(Outcome.FAILED, texts[500:])
    assert a.counts["full"] == 100
    assert "refused" in a.incidents["full"]
    got: list[str] = []
    hall.pump(lambda: collect(b, got) == 500)
    assert got == texts[:500]
    hall.pump(lambda: len(a.done) == 500)
    assert outcomes(a) == all_of(Outcome.TAKEN, texts[:500])


def test_bytes_are_bounded_too(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few large messages are as many as a multitude of small ones."""
    monkeypatch.setattr(link, "MAX_HELD_BYTES", 1_000_000)
    a, b = hall.board(), hall.board()
    texts = [str(number) * 300_000 for number in range(5)]
    say(a, b, *texts)
    assert outcomes(a) == all_of(Outcome.FAILED, texts[3:])


def test_a_deadline_is_kept_and_confuses_nothing(hall: Hall) -> None:
    """What is not taken in time has failed, sent or not; acknowledgements that come later are for the right ones."""
    a, b = hall.board(), hall.board()
    early = [f"{number}{'x' * 2000}" for number in range(300)]
    say(a, b, *early, within_s=5)
    say(a, b, "patient")
    hall.clock.ahead_s += 6
    hall.pump(lambda: len(a.done) == 300, a)
    assert outcomes(a) == all_of(Outcome.FAILED, early)
    got: list[str] = []
    hall.pump(lambda: collect(b, got) > 0 and "patient" in got)
    assert got[:-1] == early[: len(got) - 1]
    hall.pump(lambda: bool(a.done))
    assert outcomes(a) == [("patient", Outcome.TAKEN)]
    assert not a.held()


def test_one_that_floods_is_held_back(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Received messages are bounded while nobody takes them; all come in the end, in order, and others get through."""
    monkeypatch.setattr(connections, "MAX_INBOX_MESSAGES", 100)
    monkeypatch.setattr("app.transport.unix.switchboard.MAX_INBOX_MESSAGES", 100)
    a, b, c = hall.board(), hall.board(), hall.board()
    texts = [f"{number}{'x' * 3000}" for number in range(1000)]
    say(a, b, *texts)
    for _ in range(200):
        for board in (a, b):
            board.poll(0)
    assert b.waiting < 200
    got: list[str] = []
    say(c, b, "of another")
    hall.pump(lambda: collect(b, got) == 1001)
    assert [text for text in got if text != "of another"] == texts


def test_an_idle_connection_is_closed_and_opened_again(hall: Hall) -> None:
    """Both ends agree; nothing is told as lost; the next message opens a new one."""
    a, b = hall.board(), hall.board()
    for round_ in range(3):
        say(a, b, f"there {round_}")
        hall.pump(lambda: b.waiting == 1)
        assert taken(b) == [f"there {round_}"]
        hall.pump(lambda: bool(a.done))
        assert outcomes(a) == [(f"there {round_}", Outcome.TAKEN)]
        assert len(a._links) == len(b._links) == 1
        hall.clock.ahead_s += 2 * IDLE_S
        hall.pump(lambda: not a._links and not b._links)
    assert not a.counts
    assert not b.counts


def test_a_message_that_crosses_the_wish_to_leave_arrives(hall: Hall) -> None:
    """Either end may send in the very moment in which the connection is being closed."""
    a, b = hall.board(), hall.board()
    say(a, b, "first")
    hall.pump(lambda: b.waiting == 1)
    taken(b)
    hall.pump(lambda: bool(a.done))
    hall.clock.ahead_s += 2 * IDLE_S
    a.poll(0)  # asks to leave
    say(b, a, "crossing")
    say(a, b, "kept back 1", "kept back 2")
    hall.pump(lambda: a.waiting == 1 and b.waiting == 2)
    assert taken(a) == ["crossing"]
    assert taken(b) == ["kept back 1", "kept back 2"]
    hall.clock.ahead_s += 2 * IDLE_S
    hall.pump(lambda: not a.held() and not b.held())
    a.poll(0)
    hall.clock.ahead_s += 2 * IDLE_S
    a.poll(0)  # asks to leave again; nobody objects, and what is sent meanwhile goes by the next connection
    say(a, b, "kept back 3")
    hall.pump(lambda: b.waiting == 1)
    assert taken(b) == ["kept back 3"]
    assert {outcome for _, outcome in [*outcomes(a), *outcomes(b)]} == {Outcome.TAKEN}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "poll", "poll", "take", "wait", "idle"]), st.integers(0, 2), st.integers(0, 2)
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(steps=STEPS)
def test_nothing_is_lost_or_reordered_whatever_happens_when(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    """Three ends that send, poll, take and fall idle in any order: every message arrives once, in order, confirmed."""
    hall = Hall(tmp_path_factory.mktemp("hall") / "actors")
    boards = [hall.board() for _ in range(3)]
    sent: dict[tuple[int, int], list[str]] = {}
    got: dict[tuple[int, int], list[str]] = {}
    told = 0

    def take(at: int) -> None:
        for text in taken(boards[at]):
            got.setdefault((int(text.split()[0]), at), []).append(text)

    try:
        for number, (what, one, two) in enumerate(steps):
            match what:
                case "send" if one != two:
                    sent.setdefault((one, two), []).append(f"{one} {number}")
                    say(boards[one], boards[two], f"{one} {number}")
                case "poll":
                    boards[one].poll(0)
                case "take":
                    take(one)
                case "wait":
                    hall.clock.ahead_s += ACK_DELAY_S
                case "idle":
                    hall.clock.ahead_s += IDLE_S / 2

        def settled() -> bool:
            for at in range(3):
                take(at)
            return got == sent and not any(board.held() for board in boards)

        hall.pump(settled)
        for board in boards:
            results = outcomes(board)
            told += len(results)
            assert {outcome for _, outcome in results} <= {Outcome.TAKEN}
        assert told == sum(map(len, sent.values()))
    finally:
        hall.close()


def test_a_full_backlog_is_tried_again_and_blocks_nobody(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a peer accepts nothing, others are reached; when it accepts again, it gets everything in order."""
    monkeypatch.setattr(folder, "BACKLOG", 0)
    a, full, well = hall.board(), hall.board(), hall.board()
    waiting = []
    with Folder(hall.path) as opened:
        while True:
            try:
                waiting.append(opened.connect(full.name))
            except BlockingIOError:
                break
    say(a, full, "1", "2")
    say(a, well, "hello")
    hall.pump(lambda: well.waiting == 1, a, well)
    assert a.unsent() == 1
    assert not a.done
    for each in waiting:
        each.close()
    hall.pump(lambda: full.waiting == 2)
    assert taken(full) == ["1", "2"]


def test_a_backlog_that_stays_full_ends_in_failure(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried for a while, not for ever."""
    monkeypatch.setattr(folder, "BACKLOG", 0)
    a, full = hall.board(), hall.board()
    waiting = []
    with Folder(hall.path) as opened:
        while True:
            try:
                waiting.append(opened.connect(full.name))
            except BlockingIOError:
                break
    say(a, full, "1", "2")
    hall.clock.ahead_s += 2 * connections.CONNECT_S
    hall.pump(lambda: bool(a.done), a)
    assert outcomes(a) == all_of(Outcome.FAILED, ["1", "2"])
    assert a.counts["connect"] == 1
    for each in waiting:
        each.close()


def test_any_thread_may_send_and_wake(hall: Hall) -> None:
    """A board that waits is woken by the outcome of what another thread sends, and by a bell."""
    a = hall.board()
    thread = threading.Timer(0.05, lambda: say(a, "1-0000", "nobody there"))
    thread.start()
    began_s = time.monotonic()
    a.poll(TIMEOUT_S)
    assert time.monotonic() - began_s < TIMEOUT_S / 2
    thread.join()
    assert outcomes(a) == [("nobody there", Outcome.GONE)]
    a.ring()
    began_s = time.monotonic()
    a.poll(TIMEOUT_S)
    assert time.monotonic() - began_s < TIMEOUT_S / 2


def test_a_closed_board_refuses_everything(hall: Hall) -> None:
    """Closing twice does no harm, nor does ringing; sending fails, polling says why."""
    a = hall.board()
    a.close()
    a.close()
    a.ring()
    say(a, "1-0000", "x")
    assert outcomes(a) == [("x", Outcome.FAILED)]
    with pytest.raises(RuntimeError, match="closed"):
        a.poll(0)


def test_one_admin_a_folder(hall: Hall) -> None:
    """A second process that wants to be the admin is refused; what dead ones left is cleared away."""
    hall.board()
    left = hall.path / "999999999-00"
    socket.socket(socket.AF_UNIX).bind(str(left))
    with Folder(hall.path) as opened:
        opened.claim()
        assert not left.exists()
        assert hall.boards[0].serves(hall.boards[0].name)
        pid = os.fork()
        if pid == 0:
            try:
                with Folder(hall.path) as second:
                    second.claim()
            except FolderError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_without_core_dumps_reaches_his_own_sockets() -> None:
    """The daemon forbids core dumps, which makes most of its /proc root's; its sockets are reached all the same."""
    home = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    os.chown(home, 65534, 65534)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            disable_core_dumps()
            hall = Hall(home / "actors")
            a, b = hall.board(), hall.board()
            say(a, b, "through")
            hall.pump(lambda: b.waiting == 1)
            code = 0 if taken(b) == ["through"] else 2
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    shutil.rmtree(home)
    assert code == 0
