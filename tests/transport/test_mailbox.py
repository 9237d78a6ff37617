"""The mailbox of a process outside: what it sends arrives or comes back, and another thread can wake it."""

import os
import signal
import statistics
import threading
import time

import pytest
from thespian.actors import ActorSystem

from app.transport import WAKE, Mailbox, Undelivered, address_from_str, attach, detach, free_port
from app.transport.keyed import MAX_FRAME_BYTES, FrameTooLargeError
from app.transport.mailbox import MAX_IN_FLIGHT, MailboxFullError
from tests.transport.actors import Say, Spawn
from tests.transport.conftest import Daemon

ANSWER_TIMEOUT_S = 20


def test_answers_come_in_order(daemon: Daemon, mailbox: Mailbox) -> None:
    """Messages to one actor, handed over in a burst, are answered in their order, and all are confirmed."""
    texts = [str(number) for number in range(100)]
    for text in texts:
        mailbox.tell(daemon.actors[0], Say(text=text))
    assert [mailbox.receive(ANSWER_TIMEOUT_S) for _ in texts] == texts
    assert mailbox.in_flight == 0


def test_nothing_comes_is_none_within_the_time(mailbox: Mailbox) -> None:
    """Without a message `receive` gives None: at once when asked to look only, and not before its time otherwise."""
    assert mailbox.receive(0) is None
    began_s = time.monotonic()
    assert mailbox.receive(0.05) is None
    assert 0.05 <= time.monotonic() - began_s < ANSWER_TIMEOUT_S


def test_wake_ends_a_blocked_receive(mailbox: Mailbox) -> None:
    """Calls of another thread end a long wait promptly, again and again."""
    woken_at_s: list[float] = []
    turn = threading.Semaphore(0)
    rounds = 100

    def wake() -> None:
        for _ in range(rounds):
            turn.acquire()
            woken_at_s.append(time.monotonic())
            mailbox.wake()

    thread = threading.Thread(target=wake, daemon=True)
    thread.start()
    latencies_s = []
    for _ in range(rounds):
        turn.release()
        assert mailbox.receive(ANSWER_TIMEOUT_S) is WAKE
        latencies_s.append(time.monotonic() - woken_at_s[-1])
    thread.join(ANSWER_TIMEOUT_S)
    assert statistics.median(latencies_s) < 0.05


def test_wakes_before_a_receive_are_one(mailbox: Mailbox) -> None:
    """A bell rung thrice is answered once, and is not lost for having been rung early."""
    for _ in range(3):
        mailbox.wake()
    assert mailbox.receive(ANSWER_TIMEOUT_S) is WAKE
    assert mailbox.receive(0) is None


def test_wake_and_messages_do_not_hide_each_other(daemon: Daemon, mailbox: Mailbox) -> None:
    """Both are received when both are there, in whatever order."""
    mailbox.tell(daemon.actors[0], Say(text="answer"))
    mailbox.wake()
    assert {mailbox.receive(ANSWER_TIMEOUT_S), mailbox.receive(ANSWER_TIMEOUT_S)} == {WAKE, "answer"}


def test_what_nobody_takes_comes_back(mailbox: Mailbox) -> None:
    """An address where nobody listens gives the message back at once, not after the time-out."""
    address = address_from_str(f"tcp://127.0.0.1:{free_port()}")
    began_s = time.monotonic()
    mailbox.tell(address, Say(text="lost"))
    returned = mailbox.receive(ANSWER_TIMEOUT_S)
    assert time.monotonic() - began_s < 5
    assert returned == Undelivered(address=address, message=Say(text="lost"), gone=True)
    assert mailbox.in_flight == 0


def test_a_killed_actor_gives_back_what_it_had_not_taken(own_daemon: Daemon) -> None:
    """A message on its way into an actor that is stopped, then killed, comes back long before the time-out."""
    system = attach(own_daemon.port, own_daemon.key)
    with Mailbox(system) as mailbox:
        mailbox.tell(own_daemon.actors[2], Say(text="before"))
        assert mailbox.receive(ANSWER_TIMEOUT_S) == "before"
        os.kill(own_daemon.actor_pids[2], signal.SIGSTOP)
        mailbox.tell(own_daemon.actors[2], Say(text="after"), timeout_s=60)
        assert mailbox.receive(0.05) is None
        os.kill(own_daemon.actor_pids[2], signal.SIGKILL)
        began_s = time.monotonic()
        returned = mailbox.receive(ANSWER_TIMEOUT_S)
        assert time.monotonic() - began_s < 5
    detach(system)
    assert isinstance(returned, Undelivered)
    assert returned.gone
    assert returned.message == Say(text="after")


def test_a_hung_actor_gives_back_what_it_does_not_take(own_daemon: Daemon) -> None:
    """A stopped actor costs the message's own time-out, and nobody else's messages anything."""
    system = attach(own_daemon.port, own_daemon.key)
    with Mailbox(system) as mailbox:
        os.kill(own_daemon.actor_pids[2], signal.SIGSTOP)
        deaf, well = [str(number) for number in range(100)], [f"to the well {number}" for number in range(100)]
        for text in deaf:
            mailbox.tell(own_daemon.actors[2], Say(text=text), timeout_s=2)
        for text in well:
            mailbox.tell(own_daemon.actors[0], Say(text=text))
        assert [mailbox.receive(ANSWER_TIMEOUT_S) for _ in well] == well
        returned = [mailbox.receive(ANSWER_TIMEOUT_S) for _ in deaf]
        assert mailbox.in_flight == 0
        assert mailbox.receive(0) is None
        for text in deaf:  # closing with messages under way drops them and raises nothing
            mailbox.tell(own_daemon.actors[2], Say(text=text))
        mailbox.receive(0.01)
    detach(system)
    assert returned == [Undelivered(address=own_daemon.actors[2], message=Say(text=text), gone=False) for text in deaf]


def test_too_many_unconfirmed_are_refused(mailbox: Mailbox) -> None:
    """The limit is a clear refusal; once the messages came back, there is room again."""
    address = address_from_str(f"tcp://127.0.0.1:{free_port()}")
    for number in range(MAX_IN_FLIGHT):
        mailbox.tell(address, Say(text=str(number)))
    with pytest.raises(MailboxFullError, match="unconfirmed"):
        mailbox.tell(address, Say(text="one too many"))
    returned = [mailbox.receive(ANSWER_TIMEOUT_S) for _ in range(MAX_IN_FLIGHT)]
    texts = [each.message.text for each in returned if isinstance(each, Undelivered) and isinstance(each.message, Say)]
    assert texts == [str(number) for number in range(MAX_IN_FLIGHT)]
    assert mailbox.in_flight == 0


def test_a_message_too_large_is_refused_here(daemon: Daemon, mailbox: Mailbox) -> None:
    """The sender is told, instead of the receiver dropping it; the next one goes through."""
    with pytest.raises(FrameTooLargeError, match="it may take"):
        mailbox.tell(daemon.actors[0], Say(text="x" * MAX_FRAME_BYTES))
    large = "x" * 2_000_000
    mailbox.tell(daemon.actors[0], Say(text=large))
    assert mailbox.receive(ANSWER_TIMEOUT_S) == large


def test_flush_waits_for_confirmations(daemon: Daemon, mailbox: Mailbox) -> None:
    """After `flush` nothing is in flight; answers and wakes that came meanwhile are received later."""
    mailbox.wake()
    for number in range(20):
        mailbox.tell(daemon.actors[1], Say(text=str(number)))
    assert mailbox.flush(ANSWER_TIMEOUT_S)
    assert mailbox.in_flight == 0
    got = [mailbox.receive(ANSWER_TIMEOUT_S) for _ in range(21)]
    assert WAKE in got
    assert [each for each in got if each is not WAKE] == [str(number) for number in range(20)]


def test_a_letter_to_itself_arrives(mailbox: Mailbox) -> None:
    """No wire is involved, and it counts as confirmed all the same."""
    mailbox.tell(mailbox.address, Say(text="note"))
    began_s = time.monotonic()
    assert mailbox.flush(ANSWER_TIMEOUT_S)
    assert time.monotonic() - began_s < 5
    assert mailbox.receive(ANSWER_TIMEOUT_S) == Say(text="note")


def test_addresses_survive_being_text(daemon: Daemon, mailbox: Mailbox) -> None:
    """An actor reaches a child whose address came as a message, and the mailbox by its own."""
    mailbox.tell(daemon.actors[0], Spawn())
    child = mailbox.receive(ANSWER_TIMEOUT_S)
    mailbox.tell(child, Say(text="newborn"))
    assert mailbox.receive(ANSWER_TIMEOUT_S) == "newborn"


def test_other_threads_may_only_wake(mailbox: Mailbox) -> None:
    """Sending or receiving from a second thread is refused with a sentence."""
    mailbox.receive(0)
    refused: list[str] = []

    def use() -> None:
        try:
            mailbox.receive(0)
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(ANSWER_TIMEOUT_S)
    assert len(refused) == 1
    assert "only call wake()" in refused[0]


def test_a_closed_mailbox_says_so(system: ActorSystem) -> None:
    """Closing twice and waking afterwards do no harm; anything else is refused."""
    mailbox = Mailbox(system)
    mailbox.close()
    mailbox.close()
    mailbox.wake()
    with pytest.raises(RuntimeError, match="closed"):
        mailbox.receive(0)
