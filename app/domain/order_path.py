"""Whether orders get through: whom to ask, and when systemd may be told that the daemon is well.

A daemon whose supervisor answers can still be one that places nothing. So its watchdog is fed by what an order needs:
the connector of the exchange in use answers that an order has made its way since it was last asked or, where none has,
that a dry request has gone the same way: the connector's mailbox, its rate limiter, a journal transaction that takes
the write lock and reads the route, the event loop of the exchange's client, a placement made and signed there, and
back. Nothing is sent, so an exchange that is down says nothing about the path.

Who the exchange in use is, each answer tells: it is in the journal. When the one asked stays silent the next is asked,
since trading may have moved meanwhile. Its answer feeds nothing unless trading is there, or nowhere: while a switch is
under way no exchange is in use, and whoever answers speaks for the path.

    | event                              | what is done                                             |
    | the one in use answers, well       | fed                                                      |
    | any answers, well, no one in use   | fed                                                      |
    | one answers that another is in use | that one is asked at once                                |
    | one answers that it is stuck       | withheld, if it is in use; asked again `every_s` later   |
    | no answer for `timeout_s`          | withheld; the next is asked                              |
    | the one asked was started anew     | asked again at once: the question died with its mailbox  |
    | we were away for `timeout_s`       | asked again at once: nobody owes an answer for that time |
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field, frozen

from messages.supervision import OrderPathChecked


@frozen
class Ask:
    """Ask a connector whether orders get through it.

    Attributes:
        since_s: An order that made its way after this needs no dry request.
    """

    exchange: str
    correlation_id: str
    since_s: float
    deadline_s: float


@frozen
class Feed:
    """Orders get through: say so."""


@frozen
class Withhold:
    """They do not, and why."""

    words: str


Effect = Ask | Feed | Withhold


@frozen
class _Question:
    exchange: str
    incarnation: int
    correlation_id: str
    asked_s: float


@define
class PathWatch:
    """The machine. Methods take an event and the time, and return effects to perform in order.

    Attributes:
        every_s: Between questions, in seconds.
        timeout_s: How long an answer may take.
        active: The exchange in use as it was last told; None while there is none.
    """

    every_s: float
    timeout_s: float
    active: str | None = None
    _connectors: dict[str, int] = field(init=False, factory=dict)
    _silent: str | None = field(init=False, default=None)
    _question: _Question | None = field(init=False, default=None)
    _next_s: float = field(init=False, default=0.0)
    _numbers: int = field(init=False, default=0)
    _ticked_s: float | None = field(init=False, default=None)

    def knows(self, connectors: Mapping[str, int], now_s: float) -> list[Effect]:
        """Who can be asked, by exchange, with the number of its life."""
        self._connectors = dict(connectors)
        question = self._question
        if question is not None and connectors.get(question.exchange) != question.incarnation:
            self._question = None
            self._next_s = now_s
        return self.tick(now_s)

    def tick(self, now_s: float) -> list[Effect]:
        """Asks when it is time, and loses patience when it is."""
        out: list[Effect] = []
        if self._ticked_s is not None and now_s > self._ticked_s + self.timeout_s and self._question is not None:
            self._question, self._next_s = None, now_s
        self._ticked_s = now_s
        question = self._question
        if question is not None and now_s >= question.asked_s + self.timeout_s:
            out.append(Withhold(f"the connector of {question.exchange} has not answered for {self.timeout_s:g} s"))
            self._silent = question.exchange
            self._question = None
            out += self._ask_next(question.exchange, now_s)
        elif question is None and now_s >= self._next_s:
            out += self._ask_next(None, now_s)
        return out

    def answered(self, reply: OrderPathChecked, now_s: float) -> list[Effect]:
        """An answer. One to an earlier question is not listened to."""
        question = self._question
        if question is None or reply.correlation_id != question.correlation_id:
            return []
        self._question = None
        self._next_s = now_s + self.every_s
        self.active = reply.routed
        if self._silent == reply.exchange:
            self._silent = None
        if reply.routed in (None, reply.exchange):
            return [Withhold(reply.words)] if reply.words else [Feed()]
        if reply.routed not in self._connectors:
            return [Withhold(f"trading is on {reply.routed}, which has no connector")]
        if reply.routed == self._silent:
            return []  # it was asked just before, in vain, and is again when it is time
        return [self._ask(reply.routed, now_s)]

    def _ask_next(self, silent: str | None, now_s: float) -> list[Effect]:
        """Asks the one in use; after one that stayed silent the next, which may know better."""
        names = list(self._connectors)
        if not names:
            return []
        if silent in names:
            return [self._ask(names[(names.index(silent) + 1) % len(names)], now_s)]
        return [self._ask(names[0] if self.active not in names else self.active, now_s)]

    def _ask(self, exchange: str, now_s: float) -> Ask:
        self._numbers += 1
        correlation_id = f"order-path-{self._numbers}"
        self._question = _Question(exchange, self._connectors[exchange], correlation_id, now_s)
        return Ask(exchange, correlation_id, now_s - self.every_s, now_s + self.timeout_s)
