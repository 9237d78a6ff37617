"""The dead-man switch of one exchange: kept armed, and what its expiry proves.

Theory. The exchange counts down and cancels the account's orders unless it hears from us again. So while an exchange
cannot be reached, there is a moment from which on its orders are gone, whatever it says. When that is, follows from two
bounds, since an answer that is lost says nothing:

    fires_s   the earliest: the newest request that was answered was sent then, and it counts from later than that
    gone_s    the latest: any request that was sent could have arrived until it was given up, answered or not; and what
              was cancelled may stand a moment longer in the books (lateness, and how long look-ups lag behind)

It is armed anew at each third of its time, so that two requests in a row may be lost; after one that failed, sooner.
Once it can have fired nothing more is sent until the exchange is heard of: requests that are lost would move the latest
moment on for ever, and save nothing. An order that could still arrive after the earliest moment (its own expiry bounds
that) may rest there all the same; so may one of a kind that the switch passes over.

*Gone* says nothing of how much filled before. So an order that is gone is marked like one that is taken off when
trading moves (CARRY_ASKED): it keeps its leg, which may have filled; nothing is placed instead, since the leg is not
over; and once the exchange answers, and its end is read with all that filled, what is left of it is placed where
trading is, or parked, as `orders.policy` says. The switch of a daemon that died as a whole marks nothing: that orders
then end is what it is for.

Nothing of this is kept: what an earlier life of the connector armed may still be on its way, so that the latest moment
begins with what that life could have sent.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field, frozen

from app.domain import calls as c
from app.domain.carry import takes_away
from app.domain.effects import Answer, Asker
from app.domain.evidence import NOT_REACHED
from app.domain.leg_task import LegTask
from app.domain.no_room import BANNED, NO_ROOM
from messages.account import DeadManView, Disarm, Disarmed
from messages.orders import LegState

SHARE = 3
"""It is armed anew after the third part of its time."""
AGAIN_S = 1.0
"""After a request that failed."""
NEVER_SENT = frozenset({NO_ROOM, BANNED, "deadline_passed", "not_ready", "not_sent", "clock_unknown"})
"""Codes of requests that did not leave this host; likewise `NOT_REACHED`, where one request is all there is to it."""


@frozen(kw_only=True)
class DeadManSettings:
    """What is known of one exchange's switch.

    Attributes:
        timeout_s: What it counts down from.
        triggers: It cancels orders that wait for a trigger, too.
        by_market: It counts for the markets in which an order rested when it was armed, each by itself.
        marks: What is gone is to be placed, or parked, once it is known what filled (`orders.policy` is not "drop").
    """

    timeout_s: float
    triggers: bool
    by_market: bool
    marks: bool = True

    @property
    def again_s(self) -> float:
        """Between two times that it is armed."""
        return self.timeout_s / SHARE


@define
class DeadMan:
    """The switch of one connector. Methods take an event and the time.

    Attributes:
        settings: None where it is off.
        request_timeout_s: Until when a request, also one of an earlier life, may be on its way.
    """

    exchange: str
    settings: DeadManSettings | None
    proof: c.Proof
    request_timeout_s: float
    _next_s: float | None = field(init=False, default=None)
    _sent_s: float | None = field(init=False, default=None)
    _armed_s: float | None = field(init=False, default=None)
    _arrived_s: float = field(init=False, default=0.0)
    _off: bool = field(init=False, default=False)
    _unsupported: str = field(init=False, default="")
    _failed: str = field(init=False, default="")
    _gone: int = field(init=False, default=0)
    _fired: bool = field(init=False, default=False)
    _waits: bool = field(init=False, default=False)
    _stopping: list[tuple[Asker, Disarm]] = field(init=False, factory=list)
    _told: DeadManView | None = field(init=False, default=None)

    def recover(self, now_s: float) -> None:
        """After a start: it is armed at once, and an earlier life may have armed it a moment ago."""
        if self.settings is not None:
            self._next_s = now_s
            self._arrived_s = now_s + self.request_timeout_s

    # ------------------------------------------------------------------------------------------------ armed

    def call(self, now_s: float) -> c.DeadManCall | None:
        """What to ask of the exchange now; None for nothing."""
        if self.settings is None or self._next_s is None or now_s < self._next_s or self._sent_s is not None:
            return None
        self._next_s, self._sent_s = None, now_s
        return c.DeadManCall(timeout_s=self.settings.timeout_s, deadline_s=now_s + self.request_timeout_s)

    def disarm(self, asker: Asker, request: Disarm) -> Answer | None:
        """The router stops in order: what rests is to stay. Returns the answer where there is nothing to switch off.

        A request that is on its way would arm it again after that, so its end is waited for: see `to_disarm`.
        """
        self._off, self._next_s, self._waits = True, None, False
        if self.settings is None or self._unsupported:
            reply = Disarmed(correlation_id=request.correlation_id, exchange=self.exchange, words="")
            return Answer(asker=asker, message=reply)
        self._stopping.append((asker, request))
        return None

    def to_disarm(self) -> list[tuple[Asker, Disarm, c.DeadManCall]]:
        """Requests that switch it off, each to be sent now for whoever waits for it."""
        if self._sent_s is not None:
            return []
        stopping, self._stopping = self._stopping, []
        return [(who, asked, c.DeadManCall(timeout_s=0.0, deadline_s=asked.deadline_s)) for who, asked in stopping]

    def returned(self, call: c.DeadManCall, result: c.Result, sent_s: float, now_s: float) -> None:
        """A request came back."""
        if self.settings is None:
            return
        if not call.timeout_s:
            return  # whatever it was answered, nothing is relied on any more
        self._sent_s = None
        if not self._never_sent(result):
            self._arrived_s = max(self._arrived_s, now_s)
        if isinstance(result, c.DeadManArmed):
            self._armed_s = sent_s if self._armed_s is None else max(self._armed_s, sent_s)
            self._failed = ""
            self._wait_until(sent_s + self.settings.again_s)
        elif isinstance(result, c.CallFailed) and result.code == c.UNSUPPORTED:
            if self.settings.by_market:  # of as many markets as there are now
                self._failed, self._armed_s = result.words, None
                self._wait_until(now_s + self.settings.again_s)
            else:
                self._unsupported = result.words
        else:
            self._failed = result.words if isinstance(result, c.CallFailed) else "its answer was no answer to it."
            again_s = now_s + min(AGAIN_S, self.settings.again_s)
            self._waits = self.fires_s is not None and again_s >= self.fires_s
            self._wait_until(None if self._waits else again_s)

    def alive(self, now_s: float) -> None:
        """The exchange has answered something."""
        if self._waits:
            self._waits = False
            self._wait_until(now_s)

    def _never_sent(self, result: c.Result) -> bool:
        assert self.settings is not None
        if not isinstance(result, c.CallFailed):
            return False
        return result.code in NEVER_SENT or (result.code in NOT_REACHED and not self.settings.by_market)

    def _wait_until(self, at_s: float | None) -> None:
        self._next_s = None if self._off else at_s

    def next_s(self) -> float | None:
        """When to arm it, or when it has fired for certain."""
        due = self._next_s, None if self._fired else self.gone_s
        return min([at_s for at_s in due if at_s is not None], default=None)

    # ------------------------------------------------------------------------------------------------ expired

    @property
    def fires_s(self) -> float | None:
        """The earliest moment at which it can fire; None where nobody knows that it is armed."""
        if self.settings is None or self._armed_s is None or self._off:
            return None
        return self._armed_s + self.settings.timeout_s

    @property
    def gone_s(self) -> float | None:
        """From when on it has fired for certain, if nothing more is sent; None where it is not known to be armed."""
        if self.settings is None or self.fires_s is None:
            return None
        last_s = (
            self._arrived_s if self._sent_s is None else max(self._arrived_s, self._sent_s + self.request_timeout_s)
        )
        return last_s + self.settings.timeout_s + self.proof.lateness_s + self.proof.visibility_s

    def expired(self, now_s: float) -> bool:
        """Whether it has fired for certain."""
        return self.gone_s is not None and now_s >= self.gone_s

    def covers(self, task: LegTask) -> bool:
        """Whether a leg was there when it fired, at the latest, and is of a kind that it cancels."""
        if self.settings is None or self.fires_s is None or self._armed_s is None:
            return False
        triggered = task.order.spec.trigger is not None
        if triggered and not self.settings.triggers:
            return False
        leg = task.leg
        if self.settings.by_market:  # armed for the markets in which something rested then: this did
            seen = leg.state in (LegState.OPEN, LegState.PARTIALLY_FILLED)
            return seen and leg.expiry_s + self.proof.margin_of(conditional=triggered) <= self._armed_s
        return leg.expiry_s + self.proof.margin_of(conditional=triggered) <= self.fires_s

    def gone(self, tasks: Iterable[LegTask], now_s: float) -> list[LegTask]:
        """Legs that are on the exchange no more, though nobody knows how much of them filled: those not marked yet."""
        self._fired = self.expired(now_s)
        if not self._fired:
            self._gone = 0
            return []
        there = [task for task in tasks if task.live or task.unproven]
        covered = [task for task in there if self.covers(task)]
        self._gone = len(covered)
        assert self.settings is not None
        if not self.settings.marks:
            return []
        return [task for task in covered if task.leg.carry_s is None and takes_away(task.order, task.leg)]

    # ------------------------------------------------------------------------------------------------ told

    def view(self, now_s: float) -> DeadManView | None:
        """How it stands; None where it is off."""
        if self.settings is None:
            return None
        words = ""
        if self._unsupported:
            words = self._unsupported
        elif self._off:
            words = "It was switched off, since the router stops."
        elif self.expired(now_s):
            words = (
                f"It has fired: what rested there is gone, and how much of it filled is not known until {self.exchange}"
                " answers."
            )
        elif self._failed:
            words = f"It could not be armed anew: {self._failed}"
        elif self._armed_s is None:
            words = "It is not armed yet."
        return DeadManView(
            exchange=self.exchange,
            timeout_s=self.settings.timeout_s,
            armed_s=self._armed_s,
            fires_s=self.fires_s,
            words=words,
            gone=self._gone,
        )

    def news(self, now_s: float) -> DeadManView | None:
        """How it stands, where that is another than was told last."""
        view = self.view(now_s)
        if view == self._told:
            return None
        self._told = view
        return view

    def untold(self) -> None:
        """Whoever is told may know nothing of it."""
        self._told = None
