"""What is set for a market before a position is opened there: leverage and margin mode as they are where it comes from.

Once for each route and market. What an exchange cannot set is told and keeps nothing: it asks for margin by itself, and
the position is worth the same. An exchange that does not answer is asked again.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field, frozen

from messages.account import AccountReply, GetAccount, PrepareSymbol, SymbolPrepared
from messages.base import Failed, Reply, Request
from messages.market import MarginMode, Symbol

Opening = tuple[int, str, Symbol]
"""An epoch, the exchange a position is opened on, and its symbol."""


@frozen
class _Asked:
    opening: Opening
    until_s: float
    source: str = ""


@define
class OpeningTerms:
    """Of one life. Correlation ids begin with `prefix`."""

    prefix: str
    leverage: Decimal | None
    timeout_s: float
    words: dict[Opening, tuple[str, ...]] = field(init=False, factory=dict)
    _ready: set[Opening] = field(init=False, factory=set)
    _modes: dict[tuple[str, Symbol], MarginMode | None] = field(init=False, factory=dict)
    _asked: dict[str, _Asked] = field(init=False, factory=dict)
    _serial: int = field(init=False, default=0)

    def ready(self, opening: Opening) -> bool:
        """Whether a position may be opened."""
        return opening in self._ready

    def ask(self, opening: Opening, source: str, leverage: Decimal | None, now_s: float) -> tuple[str, Request] | None:
        """What is to be asked of which exchange next; None while an answer is awaited.

        Args:
            source: Where the position comes from.
            leverage: What the position has there; None where that is not known.
        """
        for named, asked in list(self._asked.items()):
            if now_s >= asked.until_s:
                del self._asked[named]
            elif asked.opening == opening:
                return None
        _, exchange, symbol = opening
        self._serial += 1
        named, deadline_s = f"{self.prefix}{self._serial}", now_s + self.timeout_s
        reads = bool(source) and (source, symbol) not in self._modes
        self._asked[named] = _Asked(opening, deadline_s + 1.0, source if reads else "")
        if reads:
            return source, GetAccount(correlation_id=named, deadline_s=deadline_s, symbols=(symbol,))
        request = PrepareSymbol(
            correlation_id=named,
            deadline_s=deadline_s,
            symbol=symbol,
            leverage=self.leverage or leverage,
            margin_mode=self._modes.get((source, symbol)),
        )
        return exchange, request

    def heard(self, reply: Reply) -> bool:
        """An answer; whether it is one to a question of ours."""
        asked = self._asked.pop(reply.correlation_id, None)
        if asked is None:
            return False
        symbol = asked.opening[2]
        if asked.source:
            settings = reply.account.of(symbol) if isinstance(reply, AccountReply) else None
            self._modes[asked.source, symbol] = None if settings is None else settings.margin_mode
        elif isinstance(reply, SymbolPrepared):
            self._ready.add(asked.opening)
            self.words[asked.opening] = reply.words
        elif isinstance(reply, Failed) and not reply.retryable:
            self._ready.add(asked.opening)
            self.words[asked.opening] = (reply.words,)
        return True

    def next_s(self) -> float | None:
        """When the first question is given up; None while nothing was asked."""
        return min([asked.until_s for asked in self._asked.values()], default=None)
