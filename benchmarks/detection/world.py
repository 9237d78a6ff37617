"""What becomes of a call to a simulated exchange: a function of exchange, kind and moment, and of nothing else.

Its chance comes from a generator that counts instead of remembering: the draw of a call is a hash of the seed, the
exchange, the kind and the microsecond in which it is sent. So two detectors that send the same call in the same moment
get the same answer, whatever else they sent before, and the strategy's orders, which are sent at the same moments
whoever watches, have the same fate under each of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from attrs import frozen

from messages.health import EvidenceKind, Maintenance

MASK: Final = (1 << 64) - 1
GOLDEN: Final = 0x9E3779B97F4A7C15
EXCHANGES: Final = ("first", "second")
"""The one that is to be used, and its backup."""

REQUEST_TIMEOUT_S: Final = 10.0
"""After which a call of the strategy's is given up, whoever watches: the default of `router.request_timeout_s`."""

SIGNED: Final = frozenset(
    {EvidenceKind.SIGNED_PROBE, EvidenceKind.PLACE, EvidenceKind.CANCEL, EvidenceKind.READ}
)  # the strategy's reads are of its own orders and balances
ORDERS: Final = frozenset({EvidenceKind.PLACE})
KINDS: Final = tuple(EvidenceKind)


class Effect(IntEnum):
    """What a call meets.

    Attributes:
        FINE: It is answered as it should be.
        REFUSED: No connection.
        SILENT: Nothing ever comes back.
        SERVER: HTTP 503, at the usual pace.
        CLOSED: HTTP 503 that says maintenance.
        LIMITED: HTTP 429 with a Retry-After.
        BANNED: HTTP 418 with the end of the ban.
        CLOCK: HTTP 400: our time is not its time.
        LOCAL: The name is not resolved, or the network is unreachable.
    """

    FINE = 0
    REFUSED = 1
    SILENT = 2
    SERVER = 3
    CLOSED = 4
    LIMITED = 5
    BANNED = 6
    CLOCK = 7
    LOCAL = 8


HTTP: Final = (200, 0, 0, 503, 503, 429, 418, 400, 0)
"""The status of each effect; 0 where there is no answer."""

STORM: Final = (Effect.REFUSED, Effect.SERVER, Effect.SILENT)
"""What single errors are, each a third of them."""


class Answer(NamedTuple):
    """What came of one call.

    Attributes:
        effect: See `Effect`.
        latency_s: Until the answer, or the error; infinite where nothing ever comes.
        until_s: When a ban or limit ends.
        notice: Of a status probe: the maintenance under way or announced.
    """

    effect: int
    latency_s: float
    until_s: float | None = None
    notice: Maintenance | None = None


@frozen(kw_only=True)
class Spell:
    """A time in which calls fare otherwise.

    Attributes:
        where: Exchanges, by number.
        effect: What the calls meet.
        kinds: Which calls; None: all of them.
        share: Of these calls, drawn one by one.
        slower: By how much latency has doubled for each second of the spell; 0: not at all.
    """

    begin_s: float
    end_s: float
    where: tuple[int, ...] = (0,)
    effect: Effect = Effect.FINE
    kinds: frozenset[EvidenceKind] | None = None
    share: float = 1.0
    slower: float = 0.0


@frozen(kw_only=True)
class Announced:
    """A maintenance that the status page of an exchange tells of from `told_s` on."""

    told_s: float
    begin_s: float
    end_s: float
    where: int = 0


def mixed(number: int) -> int:
    """64 bits that look drawn (splitmix64's finalizer, public domain)."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


def drawn(seed: int, *names: int) -> float:
    """A number of [0, 1) that only its arguments decide."""
    state = mixed((seed * GOLDEN + 1) & MASK)
    for name in names:
        state = mixed((state ^ (name & MASK)) * GOLDEN & MASK)
    return state / 2.0**64


@frozen(kw_only=True)
class World:
    """All that will happen in one run.

    Attributes:
        errors: Which share of each exchange's calls fails by chance, always.
        spells: Any order; where two overlap, the later one of the list holds.
    """

    seed: int
    errors: tuple[float, ...] = (0.0,) * len(EXCHANGES)
    spells: Sequence[Spell] = ()
    announced: Sequence[Announced] = ()
    usual_s: float = 0.05
    tail_s: float = 0.03


class Calls:
    """Answers the calls of one run. They come in the order of time, so that only what holds now is looked at.

    Attributes:
        counted: How many were asked.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._keys = {
            (where, kind): mixed((world.seed * GOLDEN + 1 + (where << 8) + number) & MASK)
            for where in range(len(EXCHANGES))
            for number, kind in enumerate(KINDS)
        }
        self._until_s = -math.inf
        self._now: list[list[Spell]] = [[] for _ in EXCHANGES]
        self._edges = sorted({edge for spell in world.spells for edge in (spell.begin_s, spell.end_s)})
        self._ahead = sorted(world.spells, key=lambda spell: spell.begin_s)
        self._order = {id(spell): number for number, spell in enumerate(world.spells)}
        self._next_edge = self._next_spell = 0
        self._here: list[Spell] = []
        self.counted = 0

    def ask(self, where: int, kind: EvidenceKind, sent_s: float) -> Answer:
        """What becomes of a call sent at `sent_s`, which is not before that of the last one."""
        if sent_s >= self._until_s:
            self._turn(sent_s)
        self.counted += 1
        world = self._world
        state = mixed((self._keys[where, kind] ^ int(sent_s * 1e6)) * GOLDEN & MASK)
        chance = (state >> 32) / 4294967296.0
        # An exponential tail on what it takes at least: quick enough to draw, and it has a p99 of 2.5 times the mean.
        latency_s = world.usual_s - world.tail_s * math.log(((state & 0xFFFFFFFF) + 1) / 4294967297.0)
        effect, until_s = 0, None
        spells = self._now[where]
        if spells:
            for spell in spells:
                if spell.kinds is not None and kind not in spell.kinds:
                    continue
                if spell.slower:
                    latency_s *= 2.0 ** ((sent_s - spell.begin_s) * spell.slower)
                if spell.share < 1.0 and mixed(state ^ self._order[id(spell)]) / 2.0**64 >= spell.share:
                    continue
                effect, until_s = spell.effect, spell.end_s
        errors = world.errors[where]
        if not effect and chance < errors:
            effect = STORM[int(chance / errors * len(STORM))]
        notice = self._notice(where, sent_s) if world.announced and kind is EvidenceKind.STATUS_PROBE else None
        if effect == Effect.SILENT:
            return Answer(effect, math.inf)
        if effect == Effect.REFUSED or effect == Effect.LOCAL:
            return Answer(effect, 0.002)
        if effect == Effect.LIMITED or effect == Effect.BANNED:
            return Answer(effect, latency_s, until_s)
        return Answer(effect, latency_s, None, notice)

    def _notice(self, where: int, sent_s: float) -> Maintenance | None:
        for each in self._world.announced:
            if each.where == where and each.told_s <= sent_s < each.end_s:
                return Maintenance(begin_s=each.begin_s, end_s=each.end_s, words="system upgrade")
        return None

    def _turn(self, now_s: float) -> None:
        edges = self._edges
        while self._next_edge < len(edges) and edges[self._next_edge] <= now_s:
            self._next_edge += 1
        self._until_s = edges[self._next_edge] if self._next_edge < len(edges) else math.inf
        while self._next_spell < len(self._ahead) and self._ahead[self._next_spell].begin_s <= now_s:
            self._here.append(self._ahead[self._next_spell])
            self._next_spell += 1
        self._here = [spell for spell in self._here if spell.end_s > now_s]
        self._here.sort(key=lambda spell: self._order[id(spell)])
        self._now = [[spell for spell in self._here if where in spell.where] for where in range(len(EXCHANGES))]


PLACE_EVERY_S: Final = 5.0
CANCEL_AFTER_S: Final = 2.0
READ_EVERY_S: Final = 2.0
SHAKEN_S: Final = 0.5


def traffic(seed: int) -> Iterator[tuple[float, EvidenceKind]]:
    """The strategy's calls, oldest first: a placement each 5 s, its cancel 2 s later, a read each 2 s, each up to half
    a second early or late. 0.9 calls a second."""
    place = cancel = read = 0
    place_s, read_s = _shaken(seed, 1, 0, PLACE_EVERY_S), _shaken(seed, 3, 0, READ_EVERY_S)
    cancel_s = place_s + CANCEL_AFTER_S
    while True:
        if place_s <= cancel_s and place_s <= read_s:
            yield place_s, EvidenceKind.PLACE
            place += 1
            place_s = _shaken(seed, 1, place, PLACE_EVERY_S)
        elif cancel_s <= read_s:
            yield cancel_s, EvidenceKind.CANCEL
            cancel += 1
            cancel_s = _shaken(seed, 1, cancel, PLACE_EVERY_S) + CANCEL_AFTER_S
        else:
            yield read_s, EvidenceKind.READ
            read += 1
            read_s = _shaken(seed, 3, read, READ_EVERY_S)


def _shaken(seed: int, stream: int, number: int, every_s: float) -> float:
    return (number + 1) * every_s + (2.0 * drawn(seed, stream, number) - 1.0) * SHAKEN_S
