"""A change of a resting leg that somebody asked for: what it asks, how far it has come, and what evidence says of it.

Theory. A change has the outcomes of a placement: made, proven not made, or unknown. What the leg is for by now is
learned from what the exchange reports of it and from nothing else, so an acknowledgement is followed by a look-up
(Bybit and OKX acknowledge the request only). A report that shows what was asked proves that the change was made. One
that shows something else proves that it was not only if it was asked for when the request could no longer take effect:
after its expiry and `Proof.margin_s`, or, where the exchange had acknowledged it, after that margin. Until then the leg
may be for either quantity, and the larger one counts (`LegView.most`).
"""

from __future__ import annotations

from enum import StrEnum
from math import inf

from attrs import define, field, frozen

from app.domain.calls import OrderReport
from app.domain.effects import Asker
from app.domain.leg_life import Terms
from messages.base import Request
from messages.orders import LegView, OrderView


@frozen(kw_only=True)
class Waiting:
    """Someone who asked about a leg and has not been answered."""

    asker: Asker
    correlation_id: str
    deadline_s: float

    @classmethod
    def of(cls, asker: Asker, request: Request) -> Waiting:
        """Whoever asked for something."""
        return cls(asker=asker, correlation_id=request.correlation_id, deadline_s=request.deadline_s)


class Stage(StrEnum):
    """How far a change has come.

    Attributes:
        WAITING: For the rate limiter.
        READY: Granted; another call about the leg is on its way.
        PRICING: The limits need a price of the market first.
        INTENDED: Its intent is being written into the journal.
        SENT: The exchange has not answered yet.
        DOUBT: It has, or did not, and nothing has shown what the order is now.
        WISHED: It cannot be made in place: that another leg is to take its place is being written into the journal.
        REPLACING: The leg is being cancelled for that.
        REPLACED: The other leg is in the journal, and nobody knows yet what the exchange made of it.
    """

    WAITING = "waiting"
    READY = "ready"
    PRICING = "pricing"
    INTENDED = "intended"
    SENT = "sent"
    DOUBT = "doubt"
    WISHED = "wished"
    REPLACING = "replacing"
    REPLACED = "replaced"


@frozen(kw_only=True)
class NotMade:
    """Why a change was not made: the order rests as it was."""

    code: str
    words: str
    native_code: str | None = None


@define(kw_only=True)
class Change:
    """One change.

    Attributes:
        terms: What is asked, of the leg.
        latest_s: Not sent after this.
        deadline_s: When whoever asked stops waiting.
        sent_s: When it was sent; nothing reported before says anything of it.
        acknowledged: The exchange took the request.
        provable_s: A report asked for from then on that shows something else proves that it was not made.
        otherwise: Why it was not, should that be proven.
        contradicted: The last report showed something else.
        made: Proven.
        not_made: Proven.
        replace: Where it cannot be made in place, another leg may take the leg's place.
        gone_s: When a look-up first showed the leg cancelled, to be replaced.
        again_s: When what replaces it is sent again.
    """

    terms: Terms
    waiting: list[Waiting]
    latest_s: float
    deadline_s: float
    stage: Stage = Stage.WAITING
    sent_s: float = inf
    acknowledged: bool = False
    provable_s: float = inf
    otherwise: NotMade | None = None
    contradicted: bool = False
    made: bool = False
    not_made: NotMade | None = None
    replace: bool = True
    gone_s: float | None = None
    again_s: float | None = None

    @property
    def unsent(self) -> bool:
        """Nothing of it can have reached the exchange."""
        return self.stage in (Stage.WAITING, Stage.READY, Stage.PRICING)

    @property
    def decided(self) -> bool:
        """Whether it was made is proven."""
        return self.made or self.not_made is not None

    def judge(self, report: OrderReport, asked_s: float, *, young: bool) -> None:
        """Takes in what the exchange reports of the order.

        Args:
            asked_s: When the exchange was asked.
            young: What it reports may be as old as before the change before this one.
        """
        if self.stage not in (Stage.SENT, Stage.DOUBT) or asked_s < self.sent_s or self.decided:
            return
        asked = (self.terms.quantity, self.terms.price, self.terms.trigger_price)
        shown = (report.quantity, report.price, report.trigger_price)
        pairs = [(want, seen) for want, seen in zip(asked, shown, strict=True) if want is not None]
        self.contradicted = any(seen is not None and seen != want for want, seen in pairs)
        if all(seen == want for want, seen in pairs):
            self.made = self.acknowledged or not young
        elif self.contradicted and asked_s >= self.provable_s:
            words = "The exchange took the request and did not change the order: it rests as it was."
            if not self.acknowledged:
                words = "The request to change the order never took effect: it rests as it was."
            self.not_made = self.otherwise or NotMade(code="not_changed", words=words)


@define
class Held:
    """What is known of a leg's terms besides the journal: the change asked for, and from when on reports teach.

    Attributes:
        change: The one under way; None for none.
        doubt_s: A report asked for from then on ends the doubt that an earlier life left; None where it left none.
        from_s: Reports asked for before may be older than what was proven last, and teach nothing of the terms.
    """

    change: Change | None = None
    doubt_s: float | None = None
    from_s: float = field(default=-inf)

    @property
    def until_s(self) -> float | None:
        """When a look-up can prove what is in doubt; None where nothing is."""
        if self.change is not None and self.change.stage is Stage.DOUBT and not self.change.decided:
            return self.change.provable_s
        return self.doubt_s

    def shown(self, order: OrderView, report: OrderReport, asked_s: float, *, rests: bool) -> tuple[Terms | None, bool]:
        """What a report teaches of a leg's terms, and whether no change of it is in doubt after it.

        Args:
            rests: The report shows the order resting: otherwise its terms matter only for a change in doubt.
        """
        change, leg, young = self.change, order.leg, asked_s < self.from_s
        assert leg is not None, "a report is about a leg"
        if change is not None:
            change.judge(report, asked_s, young=young)
        made = change is not None and change.made
        settles = change is not None and change.decided and self.doubt_s is None
        if change is None and self.doubt_s is not None and report.quantity is not None and asked_s >= self.doubt_s:
            self.doubt_s, settles = None, True
        if (young and not made) or not (rests or change is not None or leg.most is not None):
            return None, settles
        return _differing(order, leg, report, asked=change is not None), settles


def _differing(order: OrderView, leg: LegView, report: OrderReport, *, asked: bool) -> Terms | None:
    """Where a report shows other terms than were known; None where it shows the same, or does not say."""
    spec = order.spec
    quantity = None if report.quantity == leg.quantity else report.quantity
    if spec.reduce_only and not asked and leg.most is None and leg.whole is None:
        quantity = None  # what an exchange takes off it by itself was not asked for, and can come back
    price = trigger_price = None
    if spec.price is not None and report.price != (spec.price if leg.price is None else leg.price):
        price = report.price
    if spec.trigger is not None:
        waits_for = spec.trigger.price if leg.trigger_price is None else leg.trigger_price
        trigger_price = None if report.trigger_price == waits_for else report.trigger_price
    if quantity is None and price is None and trigger_price is None:
        return None
    return Terms(quantity=quantity, price=price, trigger_price=trigger_price)
