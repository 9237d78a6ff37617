"""What verbs hold the router to, and how that is said: pure sentences, no decision about orders.

A control is a row of the journal with a reason in words. Which rows a verb puts and clears is a function of the verb
and of what holds already, so a verb that is sent again puts the same row, and says that it holds.
"""

from __future__ import annotations

from collections.abc import Sized
from decimal import Decimal

from attrs import frozen

from app.domain.controls import Controls
from app.domain.leg_life import BETWEEN, MAY_FILL
from app.domain.order_life import OrderState, state_of
from messages.control import (
    Drain,
    Freeze,
    Isolate,
    Panic,
    ReduceOnlyMode,
    Release,
    Resolution,
    Resolve,
    SwitchPlan,
    Unfreeze,
    Verb,
)
from messages.failover import Switch
from messages.orders import LegState, OrderView

FROZEN, PANIC, FLATTEN, REDUCE_ONLY, ISOLATED = "frozen", "panic", "flatten", "reduce_only", "isolated:"
"""Names of rows; the last is followed by the exchange."""

ASKED = "It was asked for."
"""The reason of whoever gave none."""


@frozen(kw_only=True)
class Change:
    """What a verb writes of the controls.

    Attributes:
        put: Rows by name, each with its reason.
        clear: Names of rows that go.
        words: What is so from then on, in one sentence; empty where the verb says more later.
    """

    put: tuple[tuple[str, str], ...] = ()
    clear: tuple[str, ...] = ()
    words: str = ""

    @property
    def needed(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.put or self.clear)


def sentence(reason: str) -> str:
    """A person's reason as one sentence."""
    line = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
    if not line:
        return ASKED
    return line if line.endswith((".", "!", "?")) else f"{line}."


def name_of(verb: Verb) -> str:
    """What a verb is called on the command line."""
    if isinstance(verb, ReduceOnlyMode):
        return "reduce-only"
    return type(verb).__name__.lower()


def change(verb: Verb, controls: Controls) -> Change:
    """What a verb writes of the controls, by what holds already."""
    why = sentence(verb.reason)
    match verb:
        case Freeze():
            if controls.frozen:
                return Change(words=f"Trading is frozen already: {controls.frozen}")
            words = "Trading is frozen: nothing new is placed and no position is moved; cancels and exits still pass."
            return Change(put=((FROZEN, why),), words=words)
        case Unfreeze():
            held = [name for name in (FROZEN, PANIC, FLATTEN) if getattr(controls, name)]
            if not held:
                return Change(words="Trading is not frozen.")
            words = "Trading is no longer frozen: orders are taken again"
            if controls.panic:
                words = "The panic is over: orders are taken again"
            rest = " but only those that reduce a position." if controls.reduce_only else "."
            return Change(clear=tuple(held), words=words + ("," if controls.reduce_only else "") + rest)
        case ReduceOnlyMode(on=True):
            if controls.reduce_only:
                return Change(words=f"Only orders that reduce a position are taken already: {controls.reduce_only}")
            words = "Only orders that reduce a position are taken from now on; resting orders stay."
            return Change(put=((REDUCE_ONLY, why),), words=words)
        case ReduceOnlyMode():
            if not controls.reduce_only:
                return Change(words="Orders of every kind are taken already.")
            return Change(clear=(REDUCE_ONLY,), words="Orders of every kind are taken again.")
        case Isolate(exchange=exchange) | Drain(exchange=exchange):
            held_by = controls.why_isolated(exchange)
            if held_by:
                return Change(words=f"{exchange} is isolated already: {held_by}")
            words = f"{exchange} is isolated: it is no candidate, and nothing new is placed there until it is released."
            return Change(put=((ISOLATED + exchange, why),), words=words)
        case Release(exchange=exchange):
            if not controls.why_isolated(exchange):
                return Change(words=f"{exchange} is not isolated.")
            words = f"{exchange} is released: trading may move there again once it is ready."
            return Change(clear=(ISOLATED + exchange,), words=words)
        case Panic(flatten=flatten):
            rows = {FROZEN: controls.frozen, PANIC: controls.panic, **({FLATTEN: controls.flatten} if flatten else {})}
            return Change(put=tuple((name, why) for name, held in rows.items() if not held))
        case _:
            return Change()


def applied(controls: Controls, done: Change) -> Controls:
    """What holds once a change is written."""
    isolated = dict(controls.isolated)
    rows = {name: getattr(controls, name) for name in (FROZEN, PANIC, FLATTEN, REDUCE_ONLY)}
    for name, why in done.put:
        if name.startswith(ISOLATED):
            isolated[name.removeprefix(ISOLATED)] = why
        else:
            rows[name] = why
    for name in done.clear:
        if name.startswith(ISOLATED):
            isolated.pop(name.removeprefix(ISOLATED), None)
        else:
            rows[name] = ""
    return Controls(**rows, isolated=tuple(sorted(isolated.items())))


# ---- what is said ---------------------------------------------------------------------------------------------------

STATES = {
    OrderState.INTENT: "is on its way",
    OrderState.SENT: "is on its way to {exchange}",
    OrderState.UNKNOWN: "may have executed on {exchange}: nobody can know yet, and it is looked for",
    OrderState.HELD: "may have executed on an exchange that was left: nobody can know yet, and it is looked for",
    OrderState.LIVE: "rests on {exchange}",
    OrderState.PARTIALLY_FILLED: "rests on {exchange}, {filled} of it filled",
    OrderState.FILLED: "has filled",
    OrderState.CANCELLED: "is cancelled, {filled} of it filled",
    OrderState.EXPIRED: "has expired, {filled} of it filled",
    OrderState.REFUSED: "was refused",
    OrderState.ABSENT: "is proven never to have executed",
    OrderState.UNFINISHED: "is over, {filled} of it filled",
    OrderState.MOVING: "was taken off {exchange}, {filled} of it filled, and goes where trading is as soon as it can",
    OrderState.PARKED: "was taken off {exchange}, {filled} of it filled, and waits for its owner",
}


def state(order: OrderView) -> str:
    """What an order is, in one sentence."""
    leg = order.leg
    where = "" if leg is None else leg.exchange
    filled = format(order.filled, "f") if order.filled else "nothing"
    words = f"Order {order.order_id} {STATES[state_of(order)].format(exchange=where, filled=filled)}"
    why = "" if leg is None or not leg.reason_words else f": {leg.reason_words}"
    return sentence(words + why)


def count(things: Sized, what: str = "order") -> str:
    """So many of something."""
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"


def moved(switch: Switch) -> str:
    """Where trading went, without a full stop."""
    return f"Trading moved from {switch.from_exchange} to {switch.to_exchange} (epoch {switch.epoch})"


def drained(exchange: str, switch: Switch | None, left: Sized, stays: Sized) -> str:
    """What came of draining an exchange."""
    first = "" if switch is None else f"{moved(switch)}. "
    orders = f"{count(left)} of ours may still be live there" if left else "no order of ours is left there"
    positions = f"{count(stays, 'position')} of ours stand{'s' if len(stays) == 1 else ''} there" if stays else ""
    more = f"; {positions}" if positions else ", and no position" if not left else ""
    return f"{first}{exchange} is isolated: {orders}{more}."


def amount(value: Decimal) -> str:
    """Money, for people."""
    return f"{value:,.2f}"


def _would(verb: Verb) -> str:
    """What a verb would hold the router to, or end."""
    match verb:
        case Freeze():
            return "Nothing new would be placed on any exchange, and no position moved; cancels and exits would pass."
        case Unfreeze():
            return "Orders would be taken again."
        case ReduceOnlyMode(on=on):
            return "Only orders that reduce a position would be taken." if on else "All orders would be taken again."
        case Isolate(exchange=exchange) | Drain(exchange=exchange):
            return f"{exchange} would be isolated until it is released: nothing new is placed there."
        case Release(exchange=exchange):
            return f"{exchange} would be released; trading would not move by that."
        case _:
            return ""


def would_resolve(verb: Resolve, order: OrderView) -> str:
    """What an order is, and what would become of it."""
    newest, legs = order.legs[-1].state, [leg for leg in order.legs if leg.state in MAY_FILL]
    waits = newest in BETWEEN
    if verb.how is Resolution.DROP and (legs or waits):
        would = "What is left of it would be ended." if waits else f"It would be cancelled on {legs[-1].exchange}."
    elif verb.how is Resolution.PLACE and newest is LegState.PARKED:
        would = "It would be placed where trading is as soon as that can be."
    elif verb.how is Resolution.LOOK and legs and not waits:
        would = f"{legs[-1].exchange} would be asked for it."
    else:
        would = "Nothing would be done."
    return f"{state(order)} {would}"


def planned(verb: Verb, plan: SwitchPlan, controls: Controls) -> str:
    """What a verb would do, in a sentence or two; `would_resolve` says it of one order."""
    out = []
    moves = not isinstance(verb, Freeze | Unfreeze | ReduceOnlyMode | Release | Panic | Resolve)
    if moves and plan.to_exchange != plan.from_exchange:
        where = plan.to_exchange or "nowhere: no other exchange could take over"
        out.append(f"Trading would move from {plan.from_exchange or 'no exchange'} to {where}.")
    elif moves:
        out.append(f"Trading would stay on {plan.from_exchange or 'no exchange'}.")
    look = next((each for each in plan.candidates if each.exchange == plan.to_exchange), None)
    if moves and look is not None and look.problems:
        out.append(f"It would be given up: {' '.join(look.problems)}")
    done = change(verb, controls)
    if done.words:
        out.append(_would(verb) if done.needed else done.words)
    if isinstance(verb, Panic):
        out.append("Trading would be frozen until order-router unfreeze.")
    kinds = (("placed there", plan.carried), ("parked", plan.parked), ("cancelled", plan.cancelled))
    told = [f"{count(orders)} would be {what}" for what, orders in kinds if orders]
    if plan.stays:
        told.append(f"{count(plan.stays)} would stay")
    if plan.positions.slices:
        slices = count(plan.positions.slices, "slice")
        worth, cost = amount(plan.positions.notional), amount(plan.positions.cost)
        told.append(f"positions worth {worth} would be moved or closed in {slices} at an expected cost of {cost}")
    why = [f"Why there: {plan.why}."] if plan.why else []
    return " ".join([*out, *([f"{'; '.join(told)}."] if told else []), *why])
