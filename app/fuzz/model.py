"""The router as its user is promised it, in the simplest code there is, to hold the real one against.

No actors, no epochs, no legs, no journal: a dictionary of orders, and of each what its owner asked, what the exchanges
truly did with it, and the best that its owner has been told. It shares nothing with `app.domain`.

Whatever is wrong, each answer and each news has to be among those that the model allows (refinement): a truth of some
moment before it was heard, and never less than was told before. While nothing is wrong there is one right answer, and
it has to be that (equality).

    place          accepted: an exchange has it. Refused: an exchange refused it, or its id has another body, or its
                   owner withdrew it before any exchange had it. Quiet: accepted where an exchange took it, refused
                   where one refused it, and nothing else
    another body   refused, always, unless it was this body that came first; what executes is of one body
    cancel         cancelled: it is over, with what is told to have filled, and nothing of it is ever sent again
                   unless it is asked for again. Quiet: cancelled, unless there was nothing to cancel
    amend          amended: an exchange has it as it was to become. Quiet: amended, unless it was over by then
    get, news      what was true at some moment; of what is over, all that filled. Quiet: what was true just now
    always         what once is told is not taken back: not that it is known, not what filled, not that it is over
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from attrs import define, field

from app.fuzz import record as r
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.sim_orders import SimOrder
from app.fuzz.strategy import OrderPlan
from messages.orders import LegState, Told

ZERO = Decimal(0)
FRESH_S = 15.0
"""So old may be what is told while nothing is wrong: a round of look-ups, and executions that are listed late."""

PROMPT_S = 0.7
"""An engine that takes an order so soon leaves nobody in doubt."""

AMPLE_S = 8.0
"""A deadline so far off leaves room for a rate limit of five calls a second, also while twenty orders come at once."""

LIVE = (LegState.OPEN, LegState.PARTIALLY_FILLED)
ENDED = (LegState.FILLED, LegState.CANCELLED, LegState.EXPIRED)
OVER = (*ENDED, LegState.DRAINED, LegState.PARKED)
PLACING = ("place", "other")


@define
class Order:
    """One order, as its owner may know it.

    Attributes:
        truth: What exchanges had of it, the oldest first, refused ones included.
        requests: What its owner asked, the oldest first.
        sent: When it was handed to an exchange, and for how much.
        filled: The most that was told to have filled.
        told_s: When anything but a refusal was first told of it.
        over: What was told when it was told to be over: when, and what filled; None before.
        withdrawn_s: When it was told to be cancelled.
    """

    plan: OrderPlan
    truth: list[SimOrder]
    requests: list[r.Asked] = field(factory=list)
    sent: list[r.Sent] = field(factory=list)
    refused_s: float = float("inf")
    filled: list[tuple[float, Decimal]] = field(factory=list)
    told_s: float = float("inf")
    over: tuple[float, LegState, Decimal] | None = None
    withdrawn_s: float = float("inf")

    def filled_by(self, at_s: float) -> Decimal:
        """What truly had filled."""
        return sum((leg.filled_by(at_s) for leg in self.truth), ZERO)

    def live_at(self, at_s: float) -> bool:
        """Whether it truly could fill."""
        return any(leg.live_at(at_s) and leg.executed for leg in self.truth)

    def taken_s(self) -> float:
        """When an exchange first took it."""
        return min((leg.accepted_s for leg in self.truth if leg.executed), default=float("inf"))

    def moments(self, until_s: float) -> Iterator[float]:
        """When anything about it changed."""
        return (at_s for leg in self.truth for at_s, _, _ in leg.history if at_s <= until_s)

    def body(self) -> Decimal | None:
        """For how much it was first handed to an exchange; None where it never was."""
        return self.sent[0].quantity if self.sent else None


@define
class Model:
    """Walks through a run, and says what was told wrongly."""

    seen: Seen
    orders: dict[int, Order] = field(factory=dict)
    asked: dict[str, r.Asked] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for strategy in self.seen.plan.strategies:
            for serial, plan in strategy.orders.items():
                self.orders[serial] = Order(plan, [])
        for leg in sorted(self.seen.orders, key=lambda leg: leg.accepted_s):
            if leg.serial in self.orders:
                self.orders[leg.serial].truth.append(leg)
        for at_s, serial in sorted(self.seen.refused, reverse=True):
            if serial in self.orders:
                self.orders[serial].refused_s = at_s

    def violations(self) -> Iterator[Violation]:
        """Every one."""
        for fact in self.seen.facts:
            order = self.orders.get(getattr(fact, "serial", 0))
            if order is None:
                continue
            if isinstance(fact, r.Asked):
                order.requests.append(fact)
                self.asked[fact.request] = fact
            elif isinstance(fact, r.Sent):
                words = self._sent(order, fact)
                order.sent.append(fact)
                if words:
                    yield Violation("model: sent", fact.at_s, fact.serial, words)
            elif isinstance(fact, r.Heard):
                asked = self.asked.get(fact.request or "")
                wrong = [self._never_taken_back(order, fact, asked), self._true(order, fact)]
                if asked is not None:
                    wrong += [self._answer(order, asked, fact), self._right(order, asked, fact)]
                kind = "news" if asked is None else asked.kind
                yield from (Violation(f"model: {kind}", fact.at_s, fact.serial, words) for words in wrong if words)
                self._remember(order, fact)

    # ------------------------------------------------------------------------------------------------ always

    def _sent(self, order: Order, sent: r.Sent) -> str:
        body = order.body()
        if body is not None and not order.plan.changes and sent.quantity > body:
            return f"sent for {sent.quantity}, and it is an order for {body}"
        again = any(a.kind in PLACING and a.deadline_s > order.withdrawn_s for a in order.requests)
        if sent.at_s > order.withdrawn_s and not again:
            return "sent after its owner was told that it is cancelled"
        return ""

    def _never_taken_back(self, order: Order, heard: r.Heard, asked: r.Asked | None) -> str:
        """What was told before this was asked for is still so."""
        if asked is None or asked.kind == "other":
            return ""
        if heard.state is None:
            gone = heard.told is Told.REFUSED and asked.kind == "get" and order.told_s < asked.at_s
            return "it is not known, and it was told of before" if gone else ""
        known = max((filled for at_s, filled in order.filled if at_s <= asked.at_s), default=ZERO)
        if heard.filled is not None and heard.filled < known:
            return f"{heard.filled} has filled, and {known} had when it was told before"
        if order.over is not None and order.over[0] <= asked.at_s and not order.plan.changes:
            _, state, filled = order.over
            if (heard.state, heard.filled) != (state, filled):
                words = f"it is {heard.state.value} with {heard.filled}"
                return f"{words}, and it was told to be over: {state.value} with {filled}"
        return ""

    def _true(self, order: Order, heard: r.Heard) -> str:
        """Whether what is told was so at some moment."""
        if heard.state is None or heard.filled is None or self.seen.unknown_max_notional is not None:
            return ""
        state, filled, now_s = heard.state, heard.filled, heard.at_s
        says = f"{state.value} with {filled}"
        if filled > order.filled_by(now_s):
            return f"{says}, and {order.filled_by(now_s)} has filled"
        if state in LIVE:
            had = order.taken_s() <= now_s or any(sent.at_s <= now_s for sent in order.sent)
            return "" if had else f"{says}, and no exchange has it"
        if state not in OVER:
            return ""
        ends = [leg.ended_s for leg in order.truth if leg.executed and leg.ended_s is not None and leg.ended_s <= now_s]
        if any(not order.live_at(at_s) and order.filled_by(at_s) == filled for at_s in ends):
            return ""
        if state is LegState.FILLED:
            return f"{says}, and that much has not filled of it"
        withdrawn = not filled and not any(leg.executed and leg.accepted_s <= now_s for leg in order.truth)
        return "" if withdrawn else f"{says}, and it was never over with so much"

    def _answer(self, order: Order, asked: r.Asked, heard: r.Heard) -> str:
        """Whether a request may be answered like this at all."""
        now_s = heard.at_s
        match heard.told:
            case Told.ACCEPTED if not any(sent.at_s <= now_s for sent in order.sent):
                return "accepted, and it was handed to no exchange"
            case Told.ACCEPTED if self._differs(order, asked):
                return f"accepted for {asked.quantity}, and it is an order for {order.body()}"
            case Told.REFUSED if asked.kind in PLACING and not self._may_refuse(order, asked, now_s):
                return f"refused, and nobody had refused it: {heard.words}"
            case Told.CANCELLED if order.live_at(now_s) and self.seen.unknown_max_notional is None:
                return "cancelled, and it is live"
            case Told.AMENDED if not self._amended(order, asked, now_s):
                return f"changed, and no exchange has it for {asked.quantity} at {asked.price}"
        return ""

    def _differs(self, order: Order, asked: r.Asked) -> bool:
        """Whether a request has another body than the order."""
        bodies = {order.plan.quantity, order.plan.half}
        body = order.body()
        return not order.plan.changes and body in bodies and asked.quantity in bodies and asked.quantity != body

    def _may_refuse(self, order: Order, asked: r.Asked, now_s: float) -> bool:
        if self.seen.plan.books is not None:
            return True  # by what stands there, and by a person: the other checkers judge that
        others = any(a.kind in PLACING and a.quantity != asked.quantity for a in order.requests)
        cancels = any(a.kind == "cancel" for a in order.requests)
        refused = any(not leg.executed and leg.accepted_s <= now_s for leg in order.truth) or order.refused_s <= now_s
        return refused or (others and order.body() != asked.quantity) or (cancels and order.taken_s() > now_s)

    def _amended(self, order: Order, asked: r.Asked, now_s: float) -> bool:
        handed = {sent.wire_id for sent in order.sent if sent.at_s <= now_s}
        filled, step = ZERO, ZERO if self.seen.plan.books is None else Decimal("0.001")
        for leg in order.truth:
            whole = filled + leg.quantity
            filled += leg.filled
            as_asked = asked.quantity is None or abs(whole - asked.quantity) <= step
            priced = asked.price is None or (leg.spec.price is not None and abs(leg.spec.price - asked.price) <= 1)
            if leg.wire_id in handed and as_asked and priced:
                return True
        return False

    def _remember(self, order: Order, heard: r.Heard) -> None:
        if heard.told is Told.CANCELLED:
            order.withdrawn_s = min(order.withdrawn_s, heard.at_s)
        if heard.state is None or heard.kind == "other":
            return
        order.told_s = min(order.told_s, heard.at_s)
        order.filled.append((heard.at_s, heard.filled or ZERO))
        if heard.state in ENDED and order.over is None and self.seen.unknown_max_notional is None:
            order.over = heard.at_s, heard.state, heard.filled or ZERO

    # ------------------------------------------------------------------------------------------------ while it is quiet

    def _right(self, order: Order, asked: r.Asked, heard: r.Heard) -> str:
        """The one right answer to what was asked while nothing was wrong, where this is another."""
        begin_s, now_s, told = asked.at_s, heard.at_s, heard.told
        if not any(from_s <= begin_s and now_s <= to_s for from_s, to_s in self.seen.quiet):
            return ""
        if self.seen.plan.books is not None or self._in_doubt(order, now_s):
            return ""
        ample = asked.deadline_s - begin_s >= AMPLE_S
        right: tuple[Told, ...] = (told,)
        match asked.kind:
            case "place" | "other" if ample:
                right = self._placed(order, asked, now_s)
            case "cancel" if ample:
                over = not order.live_at(begin_s) or not order.live_at(max(begin_s, now_s - PROMPT_S))
                over |= any(leg.filled_by(now_s) == leg.quantity for leg in order.truth[-1:])  # fills won the race
                right = (Told.CANCELLED, Told.CANCEL_FAILED) if over else (Told.CANCELLED,)
                if all(leg.filled_by(begin_s) == leg.quantity for leg in order.truth[-1:]):
                    right = (Told.CANCEL_FAILED,)
            case "get":
                right = (Told.CHANGED,) if order.taken_s() < begin_s - PROMPT_S else (Told.CHANGED, Told.REFUSED)
        if told not in right:
            return f"{told.value} ({heard.words}), and right is {' or '.join(each.value for each in right)}"
        least = order.filled_by(begin_s - FRESH_S)
        if asked.kind == "get" and heard.filled is not None and heard.filled < least:
            return f"{heard.filled} has filled, and {least} had {FRESH_S:g} s ago"
        lives = order.live_at(begin_s) and order.live_at(begin_s - FRESH_S)
        if asked.kind == "get" and lives and heard.state is not None and heard.state not in LIVE:
            return f"it is {heard.state.value}, and it was live all the time"
        return ""

    def _placed(self, order: Order, asked: r.Asked, now_s: float) -> tuple[Told, ...]:
        if self._differs(order, asked):
            return (Told.REFUSED,)
        if order.taken_s() <= now_s:
            return (Told.ACCEPTED,)
        if any(leg.accepted_s <= now_s for leg in order.truth):  # acknowledged, and then refused
            return (Told.ACCEPTED, Told.REFUSED)
        return (Told.REFUSED,) if order.refused_s <= now_s else (Told.ACCEPTED,)

    def _in_doubt(self, order: Order, now_s: float) -> bool:
        """Whether the exchange took its time over an order, as it may; or has taken it late, or never."""
        for sent in order.sent:
            done = [
                leg.accepted_s for leg in order.truth if leg.wire_id == sent.wire_id and leg.accepted_s >= sent.at_s
            ]
            done += [order.refused_s] if order.refused_s >= sent.at_s else []
            if sent.at_s <= now_s and min(done, default=float("inf")) > sent.at_s + PROMPT_S:
                return True
        return False


def model_violations(seen: Seen) -> list[Violation]:
    """Every answer and all news of a run that the model does not allow."""
    return list(Model(seen).violations())
