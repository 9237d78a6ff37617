"""The machine that carries positions: what is asked of which connector, and when, for one slice to follow the other.

It remembers nothing that must survive: which order is next is `app.domain.moving`'s to say, by the journal. Here is
what a life of it needs besides: fresh quotes and positions, one placement at a time for each symbol, a pause between
slices and a growing one where nothing fills, and who waits to be told. A placement is asked for under the name that
follows from the journal; until it is answered, or its deadline has passed, nothing else is asked for of the symbol.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from attrs import define, evolve, field, frozen

from app.domain.ids import ROUTER
from app.domain.lots import ZERO
from app.domain.move_ground import Ground, moved, spent, stale_exits
from app.domain.moving import Move, MoveKind, MoveOrder, Stays, next_step
from app.domain.opening import OpeningTerms
from app.domain.position_plan import SymbolPlan, plan, shown
from app.domain.position_situation import Market, MoveLimits, Situation, Venue
from app.domain.sights import Key, Sights
from messages.base import Failed, Reply, Request
from messages.market import Symbol
from messages.orders import CancelOrder, GetOrder, OrderNotExecuted, OrderRefused, OrderView, PlaceOrder, Purpose
from messages.positions import MovesReply, NotMoved, PositionPolicy

LOOK_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Between questions for an order that may still fill; the last repeats."""
WAIT_S = 1.0
"""Beyond the deadline of a placement, before it counts as not answered."""
WAITS_S = (1.0, 1.0, 2.0, 4.0, 8.0)
"""Before what waits is looked at again; the last repeats."""
SETTLED_S = 30.0
"""Before what stays for good is."""
LONGEST_PAUSE_S = 30.0
"""After slices of which nothing filled."""
CANCEL_AGAIN_S = 5.0
"""Before the cancel of an exit that protects nothing any more is asked for again."""


@frozen(kw_only=True)
class MoveSettings:
    """What moving keeps to.

    Attributes:
        exchanges: In their order.
        leverage: Set where a position is opened; None: that of the position.
        order_timeout_s: For one placement.
    """

    exchanges: tuple[str, ...]
    policy: PositionPolicy = PositionPolicy.TRACK
    limits: MoveLimits = field(factory=MoveLimits)
    leverage: Decimal | None = None
    order_timeout_s: float = 5.0


@frozen(kw_only=True)
class ToConnector:
    """Send a request to the connector of an exchange."""

    exchange: str
    request: Request


@define
class _Pursuit:
    """One symbol, in this life.

    Attributes:
        placing: The placement that is not answered yet, until when it may be, and on which exchange.
        listening: It waits for an answer, and goes on with it.
        before: What the journal said when it was asked for.
        settled: What the journal said when nothing was left to do.
        looked: How often an order that may still fill was asked for; `waited`, how often there was nothing to do.
        stays: What is not moved, and why, by the last look.
    """

    placing: tuple[str, float, str] | None = None
    listening: bool = False
    before: object = None
    settled: object = None
    again_s: float = 0.0
    failures: int = 0
    looked: int = 0
    waited: int = 0
    words: str = ""
    stays: tuple[NotMoved, ...] = ()
    done: bool = False


@define
class Mover:
    """Of one life of the synchronizer; `life` makes its correlation ids its own."""

    settings: MoveSettings
    life: int
    _sights: Sights = field(init=False)
    _symbols: dict[Symbol, _Pursuit] = field(init=False, factory=dict)
    _preparing: OpeningTerms = field(init=False)
    _cancelled_s: dict[str, float] = field(init=False, factory=dict)
    _override: tuple[int, PositionPolicy] | None = field(init=False, default=None)
    _mirrored: int = field(init=False, default=0)
    _serial: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._sights = Sights(f"moves-{self.life}-look-")
        settings = self.settings
        self._preparing = OpeningTerms(f"moves-{self.life}-prepare-", settings.leverage, settings.order_timeout_s)

    # ------------------------------------------------------------------------------------------------ in

    def policy(self, ground: Ground) -> tuple[PositionPolicy, bool]:
        """The policy in force, and whether a person asked for it besides the configuration."""
        if ground.flatten:
            return PositionPolicy.FLATTEN, True
        if self._override is not None and self._override[0] == ground.route.epoch:
            return self._override[1], True
        return self.settings.policy, False

    def asked(self, epoch: int, policy: PositionPolicy | None) -> None:
        """Somebody wants positions moved now: what waits is looked at at once."""
        if policy is not None:
            self._override = epoch, policy
        if (policy or self.settings.policy) is PositionPolicy.MIRROR:
            self._mirrored = epoch
        for pursuit in self._symbols.values():
            if not pursuit.failures and not pursuit.done:
                pursuit.again_s = 0.0

    def heard(self, reply: Reply, now_s: float) -> bool:
        """An answer; whether it is one to a request of ours."""
        if self._sights.heard(reply, now_s) or self._preparing.heard(reply):
            return True
        for pursuit in self._symbols.values():
            if pursuit.placing is not None and pursuit.placing[0] == reply.correlation_id:
                pursuit.placing = None
                if isinstance(reply, OrderRefused | OrderNotExecuted | Failed):
                    pursuit.words = reply.words
                return True
        return reply.correlation_id.startswith("moves-")  # late, or to an earlier life

    def restarted(self, exchange: str) -> None:
        """A connector began anew: what was on its way to the last one is lost, or in the journal."""
        self._sights.restarted(exchange)
        for pursuit in self._symbols.values():
            pursuit.looked = 0
            if pursuit.placing is not None and pursuit.placing[2] == exchange:
                pursuit.placing = None

    # ------------------------------------------------------------------------------------------------ time

    def tick(self, ground: Ground, now_s: float) -> list[ToConnector]:
        """Does whatever is due, by what the journal says now."""
        out: list[ToConnector] = []
        if ground.route.exchange is None:
            return out
        for symbol in self._concerned(ground):
            out += self._pursue(symbol, ground, now_s)
        return out + self._stale_exits(ground, now_s)

    def next_s(self) -> float | None:
        """When `tick` has something to do next; None while nothing moves."""
        due = [p.again_s if p.placing is None else p.placing[1] for p in self._symbols.values() if not p.listening]
        due += [at_s for at_s in (self._sights.next_s(), self._preparing.next_s()) if at_s is not None]
        return min(due, default=None)

    @property
    def stays(self) -> tuple[NotMoved, ...]:
        """What is not moved, and why, by the last look."""
        return tuple(each for pursuit in self._symbols.values() for each in pursuit.stays)

    def moves(self, epoch: int) -> bool:
        """Whether positions on an exchange that is not in use are to go."""
        asked = self._override is not None and self._override[0] == epoch
        return asked or self.settings.policy is not PositionPolicy.TRACK

    def mirrors(self, epoch: int) -> bool:
        """Whether it matters where trading was before."""
        return self._mirrored == epoch

    @property
    def idle(self) -> bool:
        """Nothing is to be moved."""
        return all(pursuit.done for pursuit in self._symbols.values())

    def _concerned(self, ground: Ground) -> list[Symbol]:
        found = []
        for symbol in sorted(ground.standing, key=str):
            situation = self._bare(symbol, ground)
            if situation.sources or situation.imbalance or ground.moving(symbol):
                found.append(symbol)
        for symbol in [each for each in self._symbols if each not in found]:
            del self._symbols[symbol]
        return found

    def _bare(self, symbol: Symbol, ground: Ground) -> Situation:
        """By the journal alone: what stands where, without what the exchanges say."""
        rows = ground.standing.get(symbol, {})
        venues = {
            name: Venue(exchange=name, attributed=rows[name].attributed, adopted=rows[name].adopted)
            for name in self.settings.exchanges
            if name in rows
        }
        assert ground.route.exchange is not None
        policy, asked = self.policy(ground)
        if policy is PositionPolicy.MIRROR and self._mirrored != ground.route.epoch:
            policy = PositionPolicy.TRACK  # once for each switch: what is traded since is not made the same again
        return Situation(
            symbol=symbol,
            in_use=ground.route.exchange,
            venues=venues,
            imbalance=ground.imbalance(symbol),
            policy=policy,
            everywhere=asked,
            left=ground.left,
        )

    def _seen(self, bare: Situation, ground: Ground) -> Situation:
        """With what the exchanges say."""
        symbol = bare.symbol
        venues = {bare.in_use: Venue(exchange=bare.in_use), **bare.venues}
        opened, cost = spent(ground.done(symbol))
        return evolve(
            bare,
            venues={name: self._venue(venue, symbol, ground) for name, venue in venues.items()},
            moved_notional=opened,
            spent=cost,
        )

    def _venue(self, venue: Venue, symbol: Symbol, ground: Ground) -> Venue:
        name, quote, actual = venue.exchange, self._sights.quote(venue.exchange, symbol), None
        if self._sights.knows(name):
            position = self._sights.position(name, symbol)
            actual = ZERO if position is None else position.quantity
        market = None
        if quote is not None and quote.ticker.bid and quote.ticker.ask:
            bid, ask = ground.own_prices((name, symbol))
            market = Market(lots=quote.lots, bid=quote.ticker.bid, ask=quote.ticker.ask, own_bid=bid, own_ask=ask)
        words = self._sights.why_not(name, symbol)
        pieces = ground.pieces(name, symbol, venue.attributed) if venue.attributed else ()
        words = words if actual is None or market is None else ""
        return evolve(venue, actual=actual, market=market, pieces=pieces, words=words)

    # ------------------------------------------------------------------------------------------------ one symbol

    def _pursue(self, symbol: Symbol, ground: Ground, now_s: float) -> list[ToConnector]:
        pursuit = self._symbols.setdefault(symbol, _Pursuit(again_s=now_s))
        if pursuit.placing is not None:
            if now_s < pursuit.placing[1]:
                return []
            pursuit.placing = None
        moving = ground.moving(symbol)
        if moving:
            return self._ask_after(pursuit, moving, now_s)
        pursuit.looked = 0
        bare = self._bare(symbol, ground)
        said = (ground.route.epoch, bare.policy, bare.everywhere, tuple(sorted(ground.standing[symbol].items())))
        if pursuit.before is not None:
            filled = pursuit.before != said
            pursuit.failures = 0 if filled else pursuit.failures + 1
            pause_s = min(self.settings.limits.pause_s * 2.0 ** min(pursuit.failures, 10), LONGEST_PAUSE_S)
            pursuit.again_s = now_s if filled and bare.imbalance else now_s + pause_s
            pursuit.before = None
        if pursuit.settled is not None and pursuit.settled != said:
            pursuit.settled, pursuit.done, pursuit.again_s, pursuit.waited = None, False, now_s, 0
        if now_s < pursuit.again_s and not pursuit.listening:
            return []
        asks, seen = self._sights.look(self._keys(bare), ground.marks, now_s)
        pursuit.listening, pursuit.done = not seen, False
        if not seen:
            return [ToConnector(exchange=exchange, request=request) for exchange, request in asks]
        situation = self._seen(bare, ground)
        held = bool(ground.frozen) and not bare.imbalance and not ground.flatten
        step = Stays() if held else next_step(situation, self.settings.limits)
        if isinstance(step, Stays):
            pursuit.stays, pursuit.done = (*step.waits, *step.dust), not step.waits and not held
            pursuit.settled, pursuit.waited = said, pursuit.waited + 1
            wait_s = WAITS_S[min(pursuit.waited, len(WAITS_S)) - 1]
            pursuit.again_s = now_s + (SETTLED_S if pursuit.done else wait_s)
            return []
        if step.kind in (MoveKind.OPEN, MoveKind.MIRROR):
            asks_first = self._prepared(step, situation, ground, now_s)
            if asks_first is not None:
                pursuit.listening = True
                return asks_first
        pursuit.before = said
        return [self._place(pursuit, symbol, step, ground, now_s)]

    def _keys(self, bare: Situation) -> set[Key]:
        """What has to be seen before anything is decided."""
        named = {bare.in_use, *(venue.exchange for venue in bare.sources)}
        if bare.imbalance:
            named |= {venue.exchange for venue in bare.venues.values() if venue.attributed * bare.imbalance > 0}
        return {key for name in named for key in ((name, None), (name, bare.symbol))}

    def _ask_after(self, pursuit: _Pursuit, moving: Iterable[OrderView], now_s: float) -> list[ToConnector]:
        if now_s < pursuit.again_s and pursuit.looked:
            return []
        pursuit.again_s = now_s + LOOK_S[min(pursuit.looked, len(LOOK_S) - 1)]
        pursuit.looked += 1
        pursuit.done = False
        out = []
        for order in moving:
            if order.leg is not None:
                self._serial += 1
                request = GetOrder(
                    correlation_id=f"moves-{self.life}-order-{self._serial}",
                    deadline_s=now_s + self.settings.order_timeout_s,
                    strategy=ROUTER,
                    order_id=order.order_id,
                )
                out.append(ToConnector(exchange=order.leg.exchange, request=request))
        return out

    def _prepared(
        self, step: MoveOrder, situation: Situation, ground: Ground, now_s: float
    ) -> list[ToConnector] | None:
        """Leverage and margin mode are set where a position is to be opened; None where that is done."""
        opening = (ground.route.epoch, step.exchange, situation.symbol)
        if self._preparing.ready(opening):
            return None
        held = [self._sights.position(venue.exchange, situation.symbol) for venue in situation.sources]
        source = next((each for each in held if each is not None), None)
        name, leverage = ("", None) if source is None else (source.exchange, source.leverage)
        asked = self._preparing.ask(opening, name, leverage, now_s)
        return [] if asked is None else [ToConnector(exchange=asked[0], request=asked[1])]

    def _place(self, pursuit: _Pursuit, symbol: Symbol, step: MoveOrder, ground: Ground, now_s: float) -> ToConnector:
        number = len(ground.done(symbol)) + 1
        self._serial += 1
        named = f"moves-{self.life}-place-{self._serial}"
        deadline_s = now_s + self.settings.order_timeout_s
        pursuit.placing, pursuit.words = (named, deadline_s + WAIT_S, step.exchange), ""
        request = PlaceOrder(
            correlation_id=named,
            deadline_s=deadline_s,
            epoch=ground.route.epoch,
            key=Move(ground.route.epoch, str(symbol), number, step.kind).key,
            spec=step.spec(symbol),
            purpose=Purpose.MOVE,
        )
        return ToConnector(exchange=step.exchange, request=request)

    def _stale_exits(self, ground: Ground, now_s: float) -> list[ToConnector]:
        policy, asked = self.policy(ground)
        out: list[ToConnector] = []
        for exchange, order in stale_exits(ground, policy, self.settings.exchanges, everywhere=asked):
            if now_s < self._cancelled_s.get(order.order_id, 0.0) + CANCEL_AGAIN_S:
                continue
            self._cancelled_s[order.order_id] = now_s
            self._serial += 1
            request = CancelOrder(
                correlation_id=f"moves-{self.life}-exit-{self._serial}",
                deadline_s=now_s + self.settings.order_timeout_s,
                strategy=order.key.strategy,
                order_id=order.order_id,
            )
            out.append(ToConnector(exchange=exchange, request=request))
        return out

    # ------------------------------------------------------------------------------------------------ told

    def look(self, ground: Ground, policy: PositionPolicy | None, now_s: float) -> tuple[list[ToConnector], bool]:
        """What has to be asked for a plan, and whether all of it is known: never between two exchanges."""
        if ground.route.exchange is None:
            return [], False
        keys: set[Key] = set()
        for symbol in ground.standing:
            keys |= self._keys(self._under(symbol, ground, policy))
        asks, seen = self._sights.look(keys, ground.marks, now_s)
        return [ToConnector(exchange=exchange, request=request) for exchange, request in asks], seen

    def _under(self, symbol: Symbol, ground: Ground, policy: PositionPolicy | None) -> Situation:
        """As if it were done by a policy; None: by that in force."""
        bare = self._bare(symbol, ground)
        if policy is None:
            return evolve(bare, policy=self.policy(ground)[0])
        return evolve(bare, policy=policy, everywhere=policy is PositionPolicy.FLATTEN)

    def planned(self, ground: Ground, policy: PositionPolicy | None) -> tuple[SymbolPlan, ...]:
        """Everything that would be done, symbol by symbol, by what is known now."""
        if ground.route.exchange is None:
            return ()
        situations = [self._under(symbol, ground, policy) for symbol in sorted(ground.standing, key=str)]
        return tuple(plan(self._seen(bare, ground), self.settings.limits) for bare in situations if bare.sources)

    def told(self, correlation_id: str, ground: Ground, policy: PositionPolicy | None, *, done: bool) -> MovesReply:
        """What is still to be done, and what was done under the route's epoch."""
        in_use = ground.route.exchange or ""
        parts = tuple(part for symbol in ground.standing for part in moved(ground.done(symbol), in_use))
        words = [pursuit.words for pursuit in self._symbols.values() if pursuit.words]
        return MovesReply(
            correlation_id=correlation_id,
            plan=shown(self.planned(ground, policy)),
            moved=parts,
            done=done,
            words=" ".join(dict.fromkeys([*([ground.frozen] if ground.frozen else []), *words])),
        )
