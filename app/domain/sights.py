"""What was last seen of exchanges by whoever moves positions: what stands there, and what an order would meet.

A slice is decided by what was asked for just now, on both exchanges; what does not answer is not guessed. What stands
on an exchange is asked for anew as soon as anything of ours has filled there since.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field, frozen

from messages.base import Failed, Reply, Request
from messages.market import GetQuote, QuoteReply, Symbol
from messages.positions import GetPositions, Position, PositionsReply

FRESH_S = 2.0
"""How old what is seen may be when a slice is decided by it, from when it was asked for."""
PATIENCE_S = 3.0
"""An exchange that has not answered by then does not answer."""
AGAIN_S = 1.0
"""Before one that did not answer is asked again."""

Key = tuple[str, Symbol | None]
"""An exchange, and the symbol of a quote; None of positions."""


@frozen
class Seen:
    """An answer, or in words why there is none; `mark` is what our own fills there added up to when it was asked."""

    asked_s: float
    mark: object
    reply: PositionsReply | QuoteReply | None = None
    words: str = ""


@define
class Sights:
    """Of one life. Correlation ids begin with `prefix`."""

    prefix: str
    _seen: dict[Key, Seen] = field(init=False, factory=dict)
    _asked: dict[str, tuple[Key, float, object]] = field(init=False, factory=dict)
    _serial: int = field(init=False, default=0)

    def look(self, keys: set[Key], marks: Mapping[str, object], now_s: float) -> tuple[list[tuple[str, Request]], bool]:
        """What is to be asked of which exchange, and whether all of `keys` are seen, as far as they can be, now.

        Args:
            marks: What our own fills add up to, by exchange.
        """
        self._give_up(now_s)
        asked = {key for key, _, mark in self._asked.values() if mark == self._mark(key, marks)}
        out: list[tuple[str, Request]] = []
        for key in sorted(keys, key=lambda each: (each[0], str(each[1] or ""))):
            seen = self._seen.get(key)
            fresh_s = AGAIN_S if seen is not None and seen.words else FRESH_S
            known = seen is not None and (bool(seen.words) or seen.mark == self._mark(key, marks))
            if key in asked or (known and seen is not None and now_s - seen.asked_s < fresh_s):
                continue
            asked.add(key)
            exchange, symbol = key
            self._serial += 1
            named = f"{self.prefix}{self._serial}"
            self._asked[named] = key, now_s, self._mark(key, marks)
            deadline_s = now_s + PATIENCE_S
            if symbol is None:
                out.append((exchange, GetPositions(correlation_id=named, deadline_s=deadline_s)))
            else:
                out.append((exchange, GetQuote(correlation_id=named, deadline_s=deadline_s, symbol=symbol)))
        return out, not (asked & keys)

    def heard(self, reply: Reply, now_s: float) -> bool:
        """An answer; whether it is one to a question of ours."""
        found = self._asked.pop(reply.correlation_id, None)
        if found is None:
            return False
        key, asked_s, mark = found
        if isinstance(reply, PositionsReply | QuoteReply):
            self._seen[key] = Seen(asked_s, mark, reply)
        else:
            self._seen[key] = Seen(
                now_s, mark, None, reply.words.rstrip(".") if isinstance(reply, Failed) else "no answer"
            )
        return True

    def position(self, exchange: str, symbol: Symbol) -> Position | None:
        """What stands there, as last seen; None where nothing does, and where it is not known."""
        seen = self._seen.get((exchange, None))
        if seen is None or not isinstance(seen.reply, PositionsReply):
            return None
        return next((each for each in seen.reply.positions if each.symbol == symbol), None)

    def knows(self, exchange: str) -> bool:
        """Whether it said what stands there."""
        seen = self._seen.get((exchange, None))
        return seen is not None and seen.reply is not None

    def quote(self, exchange: str, symbol: Symbol) -> QuoteReply | None:
        """What an order meets there, as last seen; None where it is not known."""
        seen = self._seen.get((exchange, symbol))
        return seen.reply if seen is not None and isinstance(seen.reply, QuoteReply) else None

    def why_not(self, exchange: str, symbol: Symbol) -> str:
        """Why something is not known of it."""
        found = (self._seen.get(key) for key in ((exchange, None), (exchange, symbol)))
        return next((seen.words for seen in found if seen is not None and seen.words), "")

    def next_s(self) -> float | None:
        """When the first question is given up; None while nothing was asked."""
        return min([asked_s + PATIENCE_S + AGAIN_S for _, asked_s, _ in self._asked.values()], default=None)

    def _give_up(self, now_s: float) -> None:
        for named, (key, asked_s, mark) in list(self._asked.items()):
            if now_s >= asked_s + PATIENCE_S + AGAIN_S:
                del self._asked[named]
                self._seen[key] = Seen(now_s, mark, None, "it gave no answer in time")

    def restarted(self, exchange: str) -> None:
        """Its connector began anew: what was asked of the last one is not answered any more."""
        self._asked = {named: asked for named, asked in self._asked.items() if asked[0][0] != exchange}

    @staticmethod
    def _mark(key: Key, marks: Mapping[str, object]) -> object:
        return marks.get(key[0]) if key[1] is None else None  # a quote is none of our fills' doing
