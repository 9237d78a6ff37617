"""Messages to one receiver leave as one when the handler is done, and arrive one by one."""

from __future__ import annotations

from typing import Any

from thespian.actors import ActorSystemMessage

from actors._shell import Shell
from app.domain.gather import MAX_TOGETHER
from messages.base import Reply, Together


class Posting(Shell):
    """Posts what it is told to, and keeps what is sent and what arrives."""

    needs_start = False

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[Any, Any]] = []
        self.arrived: list[Any] = []

    def now_s(self) -> float:
        """It stands still."""
        return 0.0

    def send(self, address: Any, message: Any) -> None:
        """To nobody."""
        self.sent.append((address, message))

    def on_message(self, message: Any, sender: Any, now_s: float) -> None:
        """Posts a list of (address, message); keeps the rest."""
        if not isinstance(message, list):
            self.arrived.append(message)
            return
        for address, each in message:
            self.post(address, each)
        assert not self.sent, "nothing leaves before the handler is done"


def done(number: int) -> Reply:
    """A message."""
    return Reply(correlation_id=str(number))


def sent(*posted: tuple[str, Reply]) -> list[tuple[Any, Any]]:
    """What leaves when these are posted by one handler."""
    actor = Posting()
    actor.receiveMessage(list(posted), "somebody")
    return actor.sent


def test_each_receiver_gets_one_message_in_the_order_of_posting() -> None:
    """The first that something was posted to first; a single message travels as itself."""
    one, two, three = done(1), done(2), done(3)
    assert sent(("a", one)) == [("a", one)]
    assert sent(("a", one), ("b", two), ("a", three)) == [("a", Together(messages=(one, three))), ("b", two)]
    assert sent() == []


def test_what_travels_as_one_is_bounded() -> None:
    """The rest follows, in order."""
    messages = [done(number) for number in range(2 * MAX_TOGETHER + 1)]
    out = sent(*(("a", message) for message in messages))
    assert [len(message.messages) for _, message in out[:-1]] == [MAX_TOGETHER, MAX_TOGETHER]
    assert [each for _, message in out[:-1] for each in message.messages] + [out[-1][1]] == messages


def test_what_arrives_as_one_is_handled_one_by_one() -> None:
    """In order."""
    actor = Posting()
    actor.receiveMessage(Together(messages=(done(1), done(2))), "somebody")
    assert actor.arrived == [done(1), done(2)]


def test_an_actor_that_fails_sends_nothing_of_what_it_posted() -> None:
    """As if it had been killed: who waits asks again."""

    class Failing(Posting):
        myAddress = "itself"  # Thespian's name

        def on_message(self, message: Any, sender: Any, now_s: float) -> None:
            self.post("a", done(1))
            raise RuntimeError("on purpose")

    actor = Failing()
    actor.receiveMessage(done(0), "somebody")
    assert all(isinstance(message, ActorSystemMessage) for _, message in actor.sent)
