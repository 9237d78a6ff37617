"""What an exchange promises, or does not, of ids, expiries, look-ups, cancels and changes: rows, each with its source.

One table per exchange and kind of market. A profile takes from it what it acts by (`ExchangeRules.proof`, the length
and alphabet of ids, the look-back), and the documentation is printed from it, so that the two cannot differ.

A source is an address, "ccxt's source", or, where nobody documents the fact, `DECLARED`: then the value is ours, and
the simulators respect and stress it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Generic, TypeVar

from attrs import fields, frozen

from app.domain.calls import ExpiryEnforcement, Proof
from messages.market import MarginMode, MarketType, PositionMode
from messages.orders import TimeInForce, TriggerBy

DECLARED = "not documented; declared by us"
"""The source of what no exchange documents."""

VALIDITY_S = 5.0
"""From commit to expiry of a placement: five of the slowest answers an exchange that is well gives."""
CLOCK_ERROR_S = 0.5
"""What a measurement of an exchange's clock may err by: no other is used."""
VISIBILITY_S = 1.0
"""How long after executing an order may be missing from look-ups; no exchange documents a bound, this is ours."""
GATEWAY_LATENESS_S = 2.0
"""Where only the gateway looks at the expiry: how long after it an admitted order may still execute. Declared by us,
not documented by the exchanges."""
LOOK_BACK_S = 6 * 86400.0
"""Every exchange's lists reach back seven days at least; a day is left for clocks and the time a look-up takes."""

T_co = TypeVar("T_co", covariant=True)


class IdScope(StrEnum):
    """Among which orders of an account a client order id has to be unique.

    Attributes:
        ALL: Every order there ever was, or was within a long time.
        OPEN: Those that are open: the id of one that ended executes again.
        NONE: The exchange does not look.
    """

    ALL = "all"
    OPEN = "open"
    NONE = "none"


class CancelAnswer(StrEnum):
    """What the answer to a cancel proves.

    Attributes:
        ACKNOWLEDGED: That it was asked for; what became of the order only a look-up tells.
        DONE: That the order is gone.
    """

    ACKNOWLEDGED = "acknowledged"
    DONE = "done"


class Amending(StrEnum):
    """What changing a resting order does.

    Attributes:
        IN_PLACE: The order stays under its ids.
        REPLACED: It is cancelled, and another takes its place under another id.
        NONE: There is no such call.
    """

    IN_PLACE = "in_place"
    REPLACED = "replaced"
    NONE = "none"


class DeadMan(StrEnum):
    """What the exchange does for an account that falls silent.

    Attributes:
        COUNTDOWN: A request arms a timer that cancels unless it is asked again.
        CONNECTION: It cancels when a websocket is lost, so that no request arms anything.
        NONE: Nothing.
    """

    COUNTDOWN = "countdown"
    CONNECTION = "connection"
    NONE = "none"


class Sandbox(StrEnum):
    """What ``sandbox = true`` leads to.

    Attributes:
        NETWORK: A test network of its own, at another address.
        HEADER: The same address, told apart by a header.
        NONE: The exchange has none.
    """

    NETWORK = "network"
    HEADER = "header"
    NONE = "none"


@frozen
class Rule(Generic[T_co]):
    """One fact.

    Attributes:
        source: Where it is documented, or `DECLARED`.
        note: What else there is to know, one sentence or two; may be empty.
    """

    value: T_co
    source: str
    note: str = ""


@frozen(kw_only=True)
class ExchangeRules:
    """The facts of one kind of market on one exchange.

    Attributes:
        exchange: The router's name.
        id_field: The wire's name of the client order id.
        id_length: The most characters it may have.
        id_alphabet: One of its characters, as a regular expression, e.g. ``[0-9a-z]``.
        id_scope: Among which orders it has to be unique.
        duplicate_codes: The exchange's codes for one that is taken.
        expiry_field: What carries the expiry of a placement.
        expiry: Where that is enforced, for orders that go to the book at once.
        trigger_expiry: The same for orders that wait for a trigger: when the order itself arrives, not when it is set
            off.
        validity_s: From commit to expiry.
        lateness_s: How long after the expiry what was admitted may still execute.
        trigger_lateness_s: The same of orders that wait for a trigger, where it is not the same.
        visibility_s: How long after executing an order may be missing from look-ups.
        clock_error_s: What remains of the clock offset after it was measured.
        look_up_open: Endpoints that know an open order, in the order asked.
        look_up_closed: Endpoints that know one that ended.
        look_up_fills: Endpoints that know executions.
        look_back_s: How far back those reach for certain.
        cancel: What the answer to a cancel proves.
        amend: What a change does.
        amendable: What can be changed, in words.
        dead_man: What there is for an account that falls silent.
        dead_man_scope: Which orders that cancels, in words; empty where there is none.
        dead_man_counts: The shortest and the longest it counts down, in seconds; empty where no request arms one.
        dead_man_triggers: Whether that cancels orders that wait for a trigger, too.
        dead_man_by_market: Whether it counts for each market by itself in which an order rests when it is armed.
        attached_exits: Whether an order can carry its take profit and stop loss.
        times_in_force: Those of limit orders.
        trigger_prices: Prices that can set an order off.
        position_modes: Those an account can have; empty on spot.
        margin_modes: Likewise.
        sandbox: The exchange's own test network.
    """

    exchange: str
    market_type: MarketType
    id_field: Rule[str]
    id_length: Rule[int]
    id_alphabet: Rule[str]
    id_scope: Rule[IdScope]
    duplicate_codes: Rule[tuple[str, ...]]
    expiry_field: Rule[str]
    expiry: Rule[ExpiryEnforcement]
    trigger_expiry: Rule[ExpiryEnforcement]
    validity_s: Rule[float]
    lateness_s: Rule[float]
    visibility_s: Rule[float]
    clock_error_s: Rule[float] = Rule(CLOCK_ERROR_S, DECLARED)
    look_up_open: Rule[tuple[str, ...]]
    look_up_closed: Rule[tuple[str, ...]]
    look_up_fills: Rule[tuple[str, ...]]
    look_back_s: Rule[float]
    cancel: Rule[CancelAnswer]
    amend: Rule[Amending]
    amendable: Rule[str]
    dead_man: Rule[DeadMan]
    dead_man_scope: Rule[str]
    attached_exits: Rule[bool]
    times_in_force: Rule[tuple[TimeInForce, ...]]
    trigger_prices: Rule[tuple[TriggerBy, ...]]
    position_modes: Rule[tuple[PositionMode, ...]]
    margin_modes: Rule[tuple[MarginMode, ...]]
    sandbox: Rule[Sandbox]
    trigger_lateness_s: Rule[float] | None = None
    dead_man_counts: Rule[tuple[int, ...]] = Rule((), DECLARED, "No request arms one.")
    dead_man_triggers: Rule[bool] = Rule(False, DECLARED, "No request arms one.")
    dead_man_by_market: Rule[bool] = Rule(False, DECLARED, "No request arms one.")

    @property
    def proof(self) -> Proof:
        """What it takes to prove that a placement did not and will not execute."""
        return Proof(
            enforcement=self.expiry.value,
            validity_s=self.validity_s.value,
            lateness_s=self.lateness_s.value,
            trigger_lateness_s=None if self.trigger_lateness_s is None else self.trigger_lateness_s.value,
            visibility_s=self.visibility_s.value,
            clock_error_s=self.clock_error_s.value,
        )

    def admits_id(self, wire_id: str) -> bool:
        """Whether the exchange takes a client order id."""
        legal = re.fullmatch(f"(?:{self.id_alphabet.value})+", wire_id) is not None
        return legal and len(wire_id) <= self.id_length.value

    def rows(self) -> Iterator[tuple[str, Rule[Any]]]:
        """Every fact, under its name."""
        for each in fields(ExchangeRules):
            value = getattr(self, each.name)
            if isinstance(value, Rule):
                yield each.name, value
