"""Where an exchange shows another position than the journal says, and when that is a difference rather than a delay.

Theory. What an exchange shows and what the journal knows are never of one moment. A fill is in the position before its
report is here; a report may be here before the position shows it; a leg in doubt may be in either. None of that is a
difference. So a reading is held against the journal as it was when it was asked and as it was when it was answered, and
judges only where these are the same and no leg of the symbol there is in doubt. What it shows beside that is suspected,
and stands once a second reading, begun `STAND_S` after the first was answered, shows exactly the same beside an
unchanged journal:

    | a reading of a symbol shows                    | what is made of it                                       |
    | what the journal says                          | nothing is suspected any more                            |
    | something else, journal or legs in motion      | nothing is suspected; read again soon                    |
    | something else, for the first time             | suspected; read again after `STAND_S`                    |
    | the same again                                 | it stands: the account's executions are asked for        |

Executions are the evidence (`book_evidence`). One of them that is ours, and that the journal does not have, explains
more than any of the rest: then nothing is adopted, and it begins anew. So it does where a leg that rests there may have
filled as much and nothing that is listed says otherwise, a few times over, each twice as long after the last: by then
polls would have shown it. Else it is adopted, whatever it was, since it is there. The journal adopts it only if it
still says what it did when it was judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from attrs import define, field, frozen

from app.domain.book import NOTHING, ZERO, Exposure, Holding, Place
from app.domain.leg_life import MAY_FILL
from app.domain.leg_table import ASIDE, UNPROVEN
from messages.market import Symbol
from messages.orders import Side
from messages.positions import Position

STAND_S = 3.0
"""Between two readings that show the same: longer than any exchange's lists lag behind."""

PATIENCE_S = 10.0
"""For executions that were asked for; after that there are none."""

MOTION_S = 1.0
"""Before what is in motion is read again; each time in vain twice as long, up to `MOTION_MAX_S`."""
MOTION_MAX_S = 60.0

WINDOW_S = 86_400.0
"""So far back executions are asked for at most."""
SLACK_S = 10.0
"""So much before the last reading that agreed they are asked for: clocks differ, and positions lag."""

LASTING_S = 30.0
"""What differs for so long and cannot be adopted is told."""

MAX_SUSPECTED = 1000


@frozen(kw_only=True)
class Standing:
    """What the journal says of a symbol on an exchange at a moment.

    Attributes:
        legs: Every leg there that may still fill, in an order of their own.
    """

    holding: Holding = NOTHING
    legs: tuple[tuple[str, str, Decimal, Decimal], ...] = ()

    @property
    def doubted(self) -> bool:
        """Whether nobody knows of a leg there."""
        return any(state in _DOUBTED for _, state, _, _ in self.legs)

    def may_explain(self, quantity: Decimal) -> bool:
        """Whether a leg there may have filled so as to make some of a difference."""
        side = Side.BUY if quantity > 0 else Side.SELL
        return any(each == side.value for each, _, _, _ in self.legs)


_DOUBTED = frozenset(state.value for state in UNPROVEN | ASIDE)


def standings(exchange: str, holdings: Mapping[Place, Holding], may_fill: Iterable[Exposure]) -> dict[Symbol, Standing]:
    """What the journal says of an exchange now, by symbol."""
    legs: dict[Symbol, list[tuple[str, str, Decimal, Decimal]]] = {}
    for leg in may_fill:
        if leg.exchange == exchange and leg.state in MAY_FILL:
            legs.setdefault(leg.symbol, []).append((leg.side.value, leg.state.value, leg.quantity, leg.filled))
    held = {symbol: holding for (name, symbol), holding in holdings.items() if name == exchange}
    return {
        symbol: Standing(holding=held.get(symbol, NOTHING), legs=tuple(sorted(legs.get(symbol, ()))))
        for symbol in held.keys() | legs.keys()
    }


@frozen(kw_only=True)
class Read:
    """Read an exchange's positions."""

    exchange: str


@frozen(kw_only=True)
class Inquire:
    """Read the account's executions of a symbol since a time; answer with `BookWatch.inquired`."""

    exchange: str
    symbol: Symbol
    since_s: float
    deadline_s: float


@frozen(kw_only=True)
class Stands:
    """A difference that stands; what is known of it is to be weighed, and it is to be adopted.

    Attributes:
        standing: What the journal said when it was judged: it must still say so.
        before: The position as it was read last when all agreed; None where it was not, or there was none.
        since_s: Executions were asked for since then.
        times: So often it was weighed before, just so, and not adopted.
    """

    exchange: str
    symbol: Symbol
    quantity: Decimal
    standing: Standing
    before: Position | None
    since_s: float
    times: int = 0


Effect = Read | Inquire


@define
class _Suspicion:
    quantity: Decimal
    standing: Standing
    first_s: float
    inquiring_until_s: float | None = None
    since_s: float = 0.0


@frozen
class _Held:
    """What was not adopted: until when, and for how long, it is left, and how often it was weighed, just so."""

    until_s: float
    wait_s: float
    quantity: Decimal
    standing: Standing
    times: int


@define
class BookWatch:
    """Of all exchanges. Methods take an event and the time, and return effects."""

    _suspected: dict[Place, _Suspicion] = field(init=False, factory=dict)
    _agreed: dict[Place, tuple[float, Position | None]] = field(init=False, factory=dict)
    _differed: dict[Place, tuple[Decimal, float]] = field(init=False, factory=dict)
    _again_s: dict[str, float] = field(init=False, factory=dict)
    _motion_s: dict[str, float] = field(init=False, factory=dict)
    _held: dict[Place, _Held] = field(init=False, factory=dict)

    def read(
        self,
        exchange: str,
        positions: Iterable[Position],
        before: Mapping[Symbol, Standing],
        after: Mapping[Symbol, Standing],
        *,
        asked_s: float,
        now_s: float,
    ) -> list[Effect]:
        """An exchange told its positions.

        Args:
            before: What the journal said when they were asked for; `after`, when they came.
            asked_s: When that was.
        """
        self._again_s.pop(exchange, None)
        shown = {position.symbol: position for position in positions}
        out: list[Effect] = []
        motion = False
        suspected = {symbol for name, symbol in self._suspected if name == exchange}
        for symbol in sorted(shown.keys() | before.keys() | after.keys() | suspected, key=str):
            place = exchange, symbol
            position, standing = shown.get(symbol), after.get(symbol, Standing())
            quantity = (ZERO if position is None else position.quantity) - standing.holding.due
            if quantity:
                self._differed[place] = quantity, self._differed.get(place, (ZERO, now_s))[1]
            else:
                self._differed.pop(place, None)
                self._held.pop(place, None)
            if not quantity and before.get(symbol, Standing()).holding == standing.holding:
                self._suspected.pop(place, None)
                self._agreed[place] = asked_s, position
            elif before.get(symbol, Standing()) != standing or standing.doubted:
                self._suspected.pop(place, None)
                motion = True
            elif quantity:
                out += self._differs(place, quantity, standing, asked_s, now_s)
        if motion:
            wait_s = self._motion_s.get(exchange, MOTION_S)
            self._motion_s[exchange] = min(2 * wait_s, MOTION_MAX_S)
            self._sooner(exchange, now_s + wait_s)
        else:
            self._motion_s.pop(exchange, None)
        return out

    def _differs(
        self, place: Place, quantity: Decimal, standing: Standing, asked_s: float, now_s: float
    ) -> list[Effect]:
        exchange, symbol = place
        known = self._suspected.get(place)
        if known is None or known.quantity != quantity or known.standing != standing:
            if known is not None or len(self._suspected) < MAX_SUSPECTED:
                self._suspected[place] = _Suspicion(quantity, standing, now_s)
                self._sooner(exchange, now_s + STAND_S)
            return []
        if known.inquiring_until_s is not None:
            return []
        if asked_s < known.first_s + STAND_S:
            self._sooner(exchange, known.first_s + STAND_S)
            return []
        held = self._held.get(place)
        if held is not None and now_s < held.until_s:
            self._sooner(exchange, held.until_s)
            return []
        agreed_s = self._agreed[place][0] if place in self._agreed else now_s - WINDOW_S
        known.since_s = max(agreed_s - SLACK_S, now_s - WINDOW_S)
        known.inquiring_until_s = now_s + PATIENCE_S
        deadline_s = known.inquiring_until_s
        return [Inquire(exchange=exchange, symbol=symbol, since_s=known.since_s, deadline_s=deadline_s)]

    def inquired(self, exchange: str, symbol: Symbol) -> Stands | None:
        """Executions were told, or cannot be: what stands by now; None where nothing does any more."""
        known = self._suspected.get((exchange, symbol))
        if known is None or known.inquiring_until_s is None:
            return None
        known.inquiring_until_s = None
        agreed = self._agreed.get((exchange, symbol))
        return Stands(
            exchange=exchange,
            symbol=symbol,
            quantity=known.quantity,
            standing=known.standing,
            before=None if agreed is None else agreed[1],
            since_s=known.since_s,
            times=self._weighed(known, self._held.get((exchange, symbol))),
        )

    @staticmethod
    def _weighed(known: _Suspicion, held: _Held | None) -> int:
        return 0 if held is None or (held.quantity, held.standing) != (known.quantity, known.standing) else held.times

    def settled(self, stands: Stands, now_s: float, *, adopted: bool) -> None:
        """It was adopted, or is not to be: then it begins anew."""
        place = stands.exchange, stands.symbol
        self._suspected.pop(place, None)
        if adopted:
            self._held.pop(place, None)
            self._sooner(stands.exchange, now_s)
        else:
            held = self._held.get(place)
            same = held is not None and (held.quantity, held.standing) == (stands.quantity, stands.standing)
            wait_s = STAND_S if held is None else min(2 * held.wait_s, MOTION_MAX_S)
            times = held.times + 1 if held is not None and same else 1
            self._held[place] = _Held(now_s + wait_s, wait_s, stands.quantity, stands.standing, times)
            self._sooner(stands.exchange, now_s + wait_s)

    def lasting(self, now_s: float) -> list[tuple[Place, Decimal, float]]:
        """What has differed for long and is not adopted: by how much, as last read, and since when."""
        found = [(place, quantity, at_s) for place, (quantity, at_s) in self._differed.items()]
        return [each for each in found if now_s - each[2] >= LASTING_S]

    def tick(self, now_s: float) -> tuple[list[Effect], list[Place]]:
        """What is due: exchanges to read, and places whose executions nobody told in time."""
        out: list[Effect] = [Read(exchange=name) for name, at_s in sorted(self._again_s.items()) if at_s <= now_s]
        for read in out:
            del self._again_s[read.exchange]
        silent = []
        for place, known in self._suspected.items():
            if known.inquiring_until_s is not None and known.inquiring_until_s <= now_s:
                silent.append(place)
        return out, silent

    def next_s(self) -> float | None:
        """When `tick` has something to do next; None while nothing is suspected."""
        due = list(self._again_s.values())
        due += [each.inquiring_until_s for each in self._suspected.values() if each.inquiring_until_s is not None]
        return min(due, default=None)

    def _sooner(self, exchange: str, at_s: float) -> None:
        self._again_s[exchange] = min(at_s, self._again_s.get(exchange, at_s))
