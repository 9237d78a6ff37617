"""Positions that somebody should look at: near their liquidation, without the stop they had, or not to be seen.

What is wrong is a function of what is known now; what was protected a while ago is remembered, since a stop that is
gone leaves nothing behind. A stop is often replaced by a cancel and a placement: so one that is missing is told only
after two looks in a row, and so is one that is for less than what stands.

Stops that an exchange keeps by itself, attached to an order or a position, are not seen here: nothing is said of a
position without a stop that never had one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from attrs import define, evolve, field, frozen

from app.domain.book import ZERO, Exposure, Holding, Place
from app.domain.leg_life import MAY_FILL
from messages.market import Symbol
from messages.orders import Side
from messages.positions import Alarm, Position

NEAR_LIQUIDATION, STOP_LOST, SIZE, UNPROTECTED, UNREAD = (
    "near_liquidation",
    "stop_lost",
    "size",
    "unprotected",
    "unread",
)
"""Codes of `Alarm`."""

_TWICE = frozenset({STOP_LOST, SIZE})


@frozen(kw_only=True)
class Seen:
    """What alarms are judged by.

    Attributes:
        positions: By exchange and symbol, as last read.
        holdings: What the journal says stands.
        legs: Every leg that may still fill.
        unprotected: By exchange and symbol, orders of which not all that filled has its exits.
        read_s: By exchange, when positions were read.
    """

    positions: Mapping[Place, Position]
    holdings: Mapping[Place, Holding]
    legs: tuple[Exposure, ...]
    unprotected: Mapping[Place, int]
    read_s: Mapping[str, float]


_Key = tuple[str, Symbol, str]


@define
class Alarms:
    """Which stand.

    Attributes:
        liquidation: Distance of the mark price from the liquidation price, as a part of the mark price, from which on
            it is told; 0 for never.
        unread_s: An exchange that has told no positions for so long, while something stands there, is told.
    """

    liquidation: Decimal
    unread_s: float
    _standing: dict[_Key, Alarm] = field(init=False, factory=dict)
    _once: dict[_Key, Alarm] = field(init=False, factory=dict)
    _stops: dict[Place, Decimal] = field(init=False, factory=dict)
    _since_s: float | None = field(init=False, default=None)

    def look(self, seen: Seen, now_s: float) -> tuple[list[Alarm], list[Alarm]]:
        """Judges anew; returns the alarms that were raised by this, and those that are over."""
        if self._since_s is None:
            self._since_s = now_s
        found = {(each.exchange, each.symbol, each.code): each for each in self._judged(seen, now_s)}
        raised = []
        for key, alarm in found.items():
            if key in self._standing or key[2] not in _TWICE or key in self._once:
                known = self._standing.get(key)
                if known is None:
                    raised.append(alarm)
                self._standing[key] = alarm if known is None else evolve(alarm, at_s=known.at_s)
        over = [alarm for key, alarm in self._standing.items() if key not in found]
        self._standing = {key: alarm for key, alarm in self._standing.items() if key in found}
        self._once = found
        return raised, over

    def words(self, exchange: str, symbol: Symbol) -> tuple[str, ...]:
        """What stands of a position."""
        return tuple(a.words for key, a in self._standing.items() if key[:2] == (exchange, symbol))

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """All that stand."""
        return tuple(self._standing.values())

    def _judged(self, seen: Seen, now_s: float) -> Iterable[Alarm]:
        places = seen.positions.keys() | {place for place, held in seen.holdings.items() if held.due}
        stops = _stops(seen)
        for place in sorted(places, key=lambda each: (each[0], str(each[1]))):
            exchange, symbol = place
            position = seen.positions.get(place)
            held = seen.holdings.get(place)
            quantity = position.quantity if position is not None else ZERO
            if position is not None:
                yield from self._near(position, now_s)
            elif exchange not in seen.read_s and held is not None:
                quantity = held.due
            if not quantity:
                self._stops.pop(place, None)
                continue
            yield from self._protected(place, quantity, stops.get(place, ZERO), now_s)
            if (orders := seen.unprotected.get(place, 0)) > 0:
                words = (
                    f"{_plain(quantity)} of {symbol} on {exchange} lacks exits that {orders} of its orders asked for."
                )
                yield Alarm(exchange=exchange, symbol=symbol, code=UNPROTECTED, words=words, at_s=now_s)
            read_s = seen.read_s.get(exchange, self._since_s or now_s)
            if now_s - read_s > self.unread_s:
                words = (
                    f"{_plain(quantity)} of {symbol} stands on {exchange}, which has told no positions for"
                    f" {self.unread_s:g} s and more."
                )
                yield Alarm(exchange=exchange, symbol=symbol, code=UNREAD, words=words, at_s=now_s)

    def _near(self, position: Position, now_s: float) -> Iterable[Alarm]:
        price, mark = position.liquidation_price, position.mark_price
        if price is None or mark is None or mark <= 0 or price <= 0 or not self.liquidation:
            return
        distance = abs(mark - price) / mark
        if distance <= self.liquidation:
            words = (
                f"{_plain(position.quantity)} of {position.symbol} on {position.exchange} is {distance:.1%} from its"
                f" liquidation: its mark price is {_plain(mark)}, and {_plain(price)} liquidates it."
            )
            yield Alarm(
                exchange=position.exchange, symbol=position.symbol, code=NEAR_LIQUIDATION, words=words, at_s=now_s
            )

    def _protected(self, place: Place, quantity: Decimal, stop: Decimal, now_s: float) -> Iterable[Alarm]:
        """Of what had a stop of its own."""
        exchange, symbol = place
        signed = stop if quantity < 0 else -stop  # buys protect a short position
        if signed <= 0:
            stop = ZERO
        if stop:
            self._stops[place] = abs(stop)
            if abs(stop) < abs(quantity):
                words = (
                    f"{_plain(quantity)} of {symbol} stands on {exchange}, and what rests there to close it is for"
                    f" {_plain(abs(stop))}."
                )
                yield Alarm(exchange=exchange, symbol=symbol, code=SIZE, words=words, at_s=now_s)
        elif place in self._stops:
            words = (
                f"{_plain(quantity)} of {symbol} stands on {exchange}, and nothing rests there to close it any more:"
                f" a stop for {_plain(self._stops[place])} did."
            )
            yield Alarm(exchange=exchange, symbol=symbol, code=STOP_LOST, words=words, at_s=now_s)


def _stops(seen: Seen) -> dict[Place, Decimal]:
    """What waits for a trigger on the losing side and reduces what stands on its exchange; above zero where it buys."""
    out: dict[Place, Decimal] = {}
    for leg in seen.legs:
        if leg.state in MAY_FILL and leg.reduce_only and leg.stop and not leg.unflagged:
            place = leg.exchange, leg.symbol
            out[place] = out.get(place, ZERO) + (leg.left if leg.side is Side.BUY else -leg.left)
    return out


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")
