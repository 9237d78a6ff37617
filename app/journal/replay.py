"""What the events say the journal should hold: they are replayed, by the rules by which they were written.

A pure fold: events go in one by one, in the order of their sequence, and each makes of an order what the same decision
made of it then (`leg_life.advance`, the rows that `app.journal.rows` makes of it). What no rule allows is a finding: a
transition that is not in the table, a second leg beside a live one, an intent of another epoch than the route's at that
moment (I3). Whether the tables say the same is asked by `app.journal.verify`.

An event of an older schema says less: where it went, and what came of it. A leg with such an event is followed as far
as they say.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from attrs import define, evolve, field

from app.domain import ids
from app.domain.commit import CommitNew
from app.domain.exits import parent_of
from app.domain.fill_sums import FillSum, with_fills
from app.domain.leg_life import SAME, Terms, advance
from app.domain.leg_table import CHANGES, LIVE, Contradicts, IllegalEvent, LegEvent, answer
from app.journal.aside import EXCESS
from app.journal.facts import checksum
from app.journal.news import FILL
from app.journal.rows import learned_leg, leg_again, life_of, new_leg, text
from messages.orders import LIVE_OR_UNPROVEN, LegState, LegView, Linked, OrderKey


class Event(NamedTuple):
    """A row of `events`, its columns in the order of the table."""

    sequence: int
    at_s: float
    kind: str
    order_id: str | None
    leg: int | None
    exchange: str | None
    epoch: int | None
    detail: str
    strategy: str | None
    number: int | None
    checksum: int | None


_ZERO = Decimal(0)
_DECODE = json.JSONDecoder().decode

Told = Callable[[str], None]
"""Takes a finding, in one sentence."""


class _Wrong(Exception):
    """An event that cannot be; says why."""


@define
class Life:
    """An order by its events.

    Attributes:
        order: Columns of its row by name, as its first intent says; None where that is an older one's.
        legs: By number.
        dim: Numbers of legs that older events tell of, which say less than their rows.
        sums: What the executions told of a leg add up to, by its number.
        last: The event it was in last.
    """

    order_id: str
    key: OrderKey | None
    created_s: float
    order: dict[str, Any] | None = None
    legs: list[LegView] = field(factory=list)
    dim: set[int] = field(factory=set)
    sums: dict[int, FillSum] = field(factory=dict)
    last: int = 0

    @property
    def filled(self) -> Decimal:
        """Base coin proven filled, over all legs."""
        return sum((leg.filled for leg in self.legs), _ZERO)


@define
class RouteLife:
    """An epoch by its events."""

    fenced_s: float
    exchange: str | None = None
    committed_s: float | None = None


@define
class Replay:
    """The fold. `take` an event after the other.

    Attributes:
        journal_id: As the journal says.
        tell: Where findings go.
        routes: By epoch.
        switches: By epoch, what the newest event says of it: finished, and the checksum of its body.
        controls: What a person holds the router to, by name: why, and since when.
        adjustments: Differences that were taken over, the columns of `ADJUSTMENT` each, in the order of their numbers.
        numbers: The last number a strategy was told.
        older: Events of older schemas.
        events: All of them.
        facts: Of the event taken last.
    """

    journal_id: str
    tell: Told
    routes: dict[int, RouteLife] = field(factory=dict)
    switches: dict[int, tuple[bool, int]] = field(factory=dict)
    controls: dict[str, tuple[str, float]] = field(factory=dict)
    adjustments: list[tuple[Any, ...]] = field(factory=list)
    numbers: dict[str, int] = field(factory=dict)
    older: int = 0
    events: int = 0
    facts: dict[str, Any] = field(factory=dict)
    _epoch: int = 0
    sequence: int = 0
    _checked: bool = False

    def take(self, event: Event, life: Life | None) -> Life | None:
        """Makes of an order what an event makes of it.

        Args:
            life: The order it is of, as it was; None where it is of none, or was not there.

        Returns:
            The order as it is by now.
        """
        self.events += 1
        if event.sequence != self.sequence + 1:
            self.tell(f"Event {self.sequence + 1} is missing: the next one is {event.sequence}.")
        self.sequence = event.sequence
        self._look_at(event)
        try:
            self.facts = facts = _DECODE(event.detail)
            if event.order_id is None:
                self._without_order(event, facts)
            else:
                life = self._of_order(event, facts, life)
                if life is not None:
                    life.last = event.sequence
        except _Wrong as wrong:
            self.tell(f"Event {event.sequence} ({event.kind}): {wrong}")
        except IllegalEvent as illegal:
            self.tell(f"Event {event.sequence} ({event.kind}): {illegal}")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, InvalidOperation) as error:
            words = f"{type(error).__name__} {error}"
            self.tell(f"Event {event.sequence} ({event.kind}) cannot be read: {words}.")
        return life

    def _look_at(self, event: Event) -> None:
        """What holds for an event by itself, and for the numbers that strategies are told."""
        if event.checksum is None:
            self.older += 1
            if self._checked:
                self.tell(f"Event {event.sequence} has no checksum, and one before it has.")
        else:
            self._checked = True
            if event.checksum != checksum(*event[1:10]):
                self.tell(f"Event {event.sequence} is not as it was written: its checksum is another.")
        if (event.number is None) != (event.strategy is None):
            self.tell(f"Event {event.sequence} has a number without a strategy, or a strategy without a number.")
        elif event.strategy is not None and event.number is not None:
            due = self.numbers.get(event.strategy, 0) + 1
            if event.number != due:
                self.tell(f"Event {event.sequence} is number {event.number} of {event.strategy}, and {due} was due.")
            self.numbers[event.strategy] = event.number

    # ------------------------------------------------------------------------------------------------ routes

    def _without_order(self, event: Event, facts: dict[str, Any]) -> None:
        match event.kind:
            case "fence":
                if event.epoch is None or event.epoch != self._epoch + 1:
                    raise _Wrong(f"epoch {event.epoch} follows {self._epoch}.")
                self._epoch = event.epoch
                self.routes[event.epoch] = RouteLife(event.at_s)
            case "route":
                route = self.routes.get(event.epoch or 0)
                if event.epoch != self._epoch or route is None or route.exchange is not None:
                    raise _Wrong(f"epoch {event.epoch} was not to be given to {event.exchange}: {route}.")
                route.exchange, route.committed_s = event.exchange, event.at_s
            case "switch":
                if event.epoch is None:
                    raise _Wrong("it is of no epoch.")
                self.switches[event.epoch] = bool(facts["finished"]), int(facts["body"])
            case "control":
                for name in facts["clear"]:
                    if self.controls.pop(name, None) is None:
                        raise _Wrong(f"nothing was held to {name}.")
                for name, why in facts["put"].items():
                    if name in self.controls:
                        raise _Wrong(f"it was held to {name} already.")
                    self.controls[name] = why, event.at_s
            case "adjusted":
                number = int(facts["difference"])
                if number != len(self.adjustments) + 1:
                    raise _Wrong(f"difference {number} follows {len(self.adjustments)}.")
                row = facts | {"number": number, "kind": facts["cause"], "exchange": event.exchange, "at_s": event.at_s}
                self.adjustments.append(tuple(row[name] for name in ADJUSTMENT))
            case _:
                raise _Wrong("this version does not know such an event.")

    def _fenced(self, event: Event, key: OrderKey | None) -> None:
        """I3: an intent is of the route as committed; exits go where their leg is, slices where their position is."""
        route = self.routes.get(self._epoch)
        exit_ = key is not None and bool(parent_of(key))
        moves = key is not None and key.strategy == ids.ROUTER and route is not None and route.exchange is not None
        there = route is not None and route.exchange == event.exchange
        if event.epoch != self._epoch or not (there or exit_ or moves):
            now = "none" if route is None or route.exchange is None else route.exchange
            self.tell(
                f"Event {event.sequence}: the intent of order {event.order_id} is of {event.exchange} in epoch"
                f" {event.epoch}, and the committed route was {now} in epoch {self._epoch}."
            )

    # ------------------------------------------------------------------------------------------------ orders

    def _of_order(self, event: Event, facts: dict[str, Any], life: Life | None) -> Life | None:
        assert event.order_id is not None
        if event.kind == "intent":
            return self._intent(event, facts, life)
        number = event.leg
        if life is None or number is None or not 1 <= number <= len(life.legs):
            raise _Wrong(f"there was no leg {number} of order {event.order_id}.")
        old = life.legs[number - 1]
        if event.exchange != old.exchange:
            raise _Wrong(f"leg {number} of order {event.order_id} is on {old.exchange}, and not on {event.exchange}.")
        if event.kind == EXCESS:
            if Decimal(facts["excess"]) <= 0:
                raise _Wrong("nothing more filled than was asked for.")
            return life
        if event.kind == "exits":
            life.legs[number - 1] = evolve(old, linked=Linked(facts["linked"]))
            return life
        learned = self._filled if event.kind == FILL else self._learned
        life.legs[number - 1] = learned(event, facts, life, old)
        self._one_alive(event, life)
        return life

    def _intent(self, event: Event, facts: dict[str, Any], life: Life | None) -> Life:
        assert event.order_id is not None
        number = event.leg or 0
        asked = facts.get("order")
        if life is None:
            key = (
                None
                if asked is None
                else OrderKey(strategy=asked["strategy"], client_order_id=asked["client_order_id"])
            )
            life = Life(order_id=event.order_id, key=key, created_s=event.at_s, order=asked)
            if key is not None and ids.order_id(self.journal_id, key) != event.order_id:
                self.tell(f"Event {event.sequence}: {event.order_id} is not the id of {key}.")
        if number == len(life.legs) + 1:
            leg = self._new_leg(event, facts, life)
            life.legs.append(leg)
        elif 1 <= number <= len(life.legs):
            life.legs[number - 1] = self._again(event, facts, life, life.legs[number - 1])
        else:
            raise _Wrong(f"leg {number} of order {life.order_id} follows {len(life.legs)}.")
        self._one_alive(event, life)
        self._fenced(event, life.key)
        return life

    def _one_alive(self, event: Event, life: Life) -> None:
        """I1: at most one leg is live or unproven."""
        if len(life.legs) > 1:
            alive = [leg.number for leg in life.legs if leg.state in LIVE_OR_UNPROVEN]
            if len(alive) > 1:
                words = f"legs {alive} of order {life.order_id} are live or unproven at once."
                self.tell(f"Event {event.sequence}: {words}")

    def _new_leg(self, event: Event, facts: dict[str, Any], life: Life) -> LegView:
        number = event.leg or 0
        if "quantity" not in facts:
            life.dim.add(number)
        quantity = Decimal(facts.get("quantity", 0))
        new = CommitNew(
            number=number,
            quantity=quantity,
            price=_decimal(facts.get("price")),
            trigger_price=_decimal(facts.get("trigger_price")),
            whole=_decimal(facts.get("whole")),
            unflagged=facts.get("unflagged", False),
        )
        if life.order is not None and number not in life.dim and not life.dim:
            before = life.legs[-1].whole if life.legs else None
            whole = before if new.whole is None else new.whole  # one that replaces another may be for more, or less
            due = (Decimal(life.order["quantity"]) if whole is None else whole) - life.filled
            # Once carried it is rounded down to another exchange's step, and refused there it goes on to the next.
            carried = any(each.carry_s is not None for each in life.legs)
            if quantity != due and not (carried and 0 < quantity < due):
                self.tell(
                    f"Event {event.sequence}: leg {number} of order {life.order_id} is for {text(quantity)}, and"
                    f" {text(due)} was left of it."
                )
        if event.exchange is None or event.epoch is None:
            raise _Wrong(f"it says of no exchange, or of no epoch, that order {life.order_id} goes there.")
        wire_id = "" if life.key is None else ids.wire_id(self.journal_id, life.key, number)
        return new_leg(
            new,
            wire_id,
            event.exchange,
            event.epoch,
            expiry_s=facts.get("expiry_s", 0.0),
            now_s=event.at_s,
            linked=None if facts.get("linked") is None else Linked(facts["linked"]),
        )

    def _again(self, event: Event, facts: dict[str, Any], life: Life, old: LegView) -> LegView:
        if event.epoch is None:
            raise _Wrong(f"it says of no epoch that order {life.order_id} goes out in it.")
        try:
            advance(life_of(old), LegEvent.RECOMMITTED)
        except IllegalEvent:
            words = f"leg {old.number} of order {life.order_id} is {old.state.value}, and was sent again."
            raise _Wrong(words) from None
        if event.exchange != old.exchange:
            raise _Wrong(f"leg {old.number} of order {life.order_id} moved from {old.exchange} to {event.exchange}.")
        leg = leg_again(old, event.epoch, expiry_s=facts.get("expiry_s", 0.0), now_s=event.at_s)
        if "expiry_s" not in facts:
            life.dim.add(old.number)
        elif old.number not in life.dim and facts["attempts"] != leg.attempts:
            raise _Wrong(f"attempt {facts['attempts']} follows {old.attempts}.")
        return leg

    def _learned(self, event: Event, facts: dict[str, Any], life: Life, old: LegView) -> LegView:
        kind = LegEvent(event.kind)
        state, filled = LegState(facts["state"]), Decimal(facts["filled"])
        seen = facts.get("seen")
        if seen is None or old.number in life.dim:
            life.dim.add(old.number)
            return self._said(event, kind, life, old, state, filled)
        terms = seen.get("terms")
        new = advance(
            life_of(old),
            kind,
            filled=_decimal(seen.get("filled")),
            average_price=_decimal(seen.get("average_price")),
            terms=SAME if terms is None else _terms(terms),
            settles="settles" in seen,
            behind=old.number < len(life.legs),
            at_s=event.at_s,
            until_s=seen.get("until_s"),
        )
        if new.state is not state or new.filled != filled:
            raise _Wrong(
                f"leg {old.number} of order {life.order_id} was {old.state.value} with {text(old.filled)} filled, and"
                f" became {state.value} with {text(filled)}: by the table it is {new.state.value} with"
                f" {text(new.filled)}."
            )
        reason = seen.get("code"), seen.get("words"), seen.get("native_code")
        if kind in CHANGES:
            reason = old.reason_code, old.reason_words, old.native_code
        elsewhere = life.filled - old.filled if len(life.legs) > 1 else _ZERO
        there = seen.get("exchange_order_id")
        return learned_leg(old, new, there, reason, elsewhere=elsewhere, now_s=event.at_s)

    def _filled(self, event: Event, facts: dict[str, Any], life: Life, old: LegView) -> LegView:
        """One more execution is known of a leg."""
        total = life.sums.setdefault(old.number, FillSum())
        total.add(Decimal(facts["quantity"]), Decimal(facts["price"]))
        if old.number in life.dim:
            return evolve(old, updated_s=event.at_s)
        new = with_fills(life_of(old), total)
        if text(new.listed) != facts["listed"] or new.filled != old.filled:
            raise _Wrong(
                f"{text(total.quantity)} of leg {old.number} of order {life.order_id} is listed by now, and"
                f" {facts['listed']} was said, with {text(old.filled)} filled."
            )
        reason = old.reason_code, old.reason_words, old.native_code
        return learned_leg(old, new, None, reason, elsewhere=_ZERO, now_s=event.at_s)

    def _said(
        self, event: Event, kind: LegEvent, life: Life, old: LegView, state: LegState, filled: Decimal
    ) -> LegView:
        """What an event says came of it, where it does not say of what."""
        if filled < old.filled:
            raise _Wrong(f"{text(old.filled)} had filled, and then {text(filled)}.")
        said = answer(old.state, kind)
        due = said if isinstance(said, LegState) else said.state if isinstance(said, Contradicts) else old.state
        by_fills = {LegState.OPEN: {LegState.PARTIALLY_FILLED, LegState.FILLED}}
        by_fills[LegState.PARTIALLY_FILLED] = {LegState.FILLED}
        if old.number < len(life.legs):
            by_fills |= {alive: {LegState.HELD, LegState.FILLED} for alive in LIVE}
        if state is not due and state not in by_fills.get(due, ()):
            raise _Wrong(f"leg {old.number} was {old.state.value}, became {state.value}, and {due.value} by the table.")
        return evolve(old, state=state, filled=filled, updated_s=event.at_s)


def _decimal(told: str | None) -> Decimal | None:
    return None if told is None else Decimal(told)


def _terms(told: dict[str, str]) -> Terms:
    return Terms(**{name: Decimal(value) for name, value in told.items()})


ADJUSTMENT: Final = ("number", "exchange", "symbol", "market_type", "quantity", "ours", "kind", "words", "at_s")
"""Columns of `adjustments`."""

DIM: Final = ("exchange", "epoch", "wire_id", "state", "filled", "committed_s", "created_s", "updated_s")
"""Of a leg, what its events say also where they are of an older schema."""
