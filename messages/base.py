"""What every request and reply shares: who asked, until when, and how a request fails.

Thespian hands a late reply to the next ask of the same caller, so a reply is matched by `correlation_id` and strangers'
replies are dropped.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen


class Message:
    """What is sent between actors.

    Its text is its kind alone: Thespian makes a text of each message it sends, three times, for a log that is off, and
    what an order says belongs into no such log anyway. `repr` still tells all.
    """

    __slots__ = ()

    def __str__(self) -> str:
        """The kind."""
        return type(self).__name__


@frozen(kw_only=True)
class Together(Message):
    """Messages to one receiver that left at the same moment; it handles one after the other.

    What a message costs is the sending of it, hardly what is in it. An order's answer and the news of that order, and
    the answers that came back from an exchange while its connector was busy, travel as one.
    """

    messages: tuple[Any, ...]


@frozen(kw_only=True)
class Request(Message):
    """Something asked of an actor, answered at most once by a `Reply` with the same correlation id.

    Attributes:
        correlation_id: Unique per request of a session; a re-sent request keeps it.
        deadline_s: Unix seconds after which the asker no longer waits; what has not begun by then is not begun.
    """

    correlation_id: str
    deadline_s: float


@frozen(kw_only=True)
class Reply(Message):
    """An answer to a `Request`.

    Attributes:
        correlation_id: That of the request.
    """

    correlation_id: str


@frozen(kw_only=True)
class Failed(Reply):
    """A request that was not carried out, and did nothing.

    Attributes:
        code: Stable identifier, e.g. ``"invalid_symbol"``, ``"insufficient_funds"``, ``"exchange_unreachable"``.
        words: One sentence for a person.
        native_code: The exchange's own code where it gave one.
        retryable: True where the same request may succeed later or elsewhere.
    """

    code: str
    words: str
    native_code: str | None = None
    retryable: bool = False
