"""Setting what a position is to be opened with, before it is: margin mode, then leverage, and what came of it.

Theory. What is set is read first, and only what differs is set: exchanges count settings, some refuse one that is so
already, and a margin mode that is not to change must not be touched where something stands. The mode goes first, since
on some it brings a leverage of its own. What was set is read once more, so that the answer says what is, not what was
asked. An exchange that cannot set something, or refuses it by a code, is no failure: the position may be opened all the
same, on what is there, and whoever asked decides. Only where nobody knows what is set is there no answer but to ask
again: each step may be repeated without harm.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field

from app.domain import calls as c
from app.domain.effects import Answer, Asker
from app.domain.rate_gate import RATE_LIMITED
from messages.account import PrepareSymbol, SymbolPrepared, SymbolSettings
from messages.base import Failed
from messages.market import MarginMode, MarketType, Symbol

MAX_AT_ONCE = 32
"""Symbols that are prepared at the same time; one more is asked for again later."""


@define
class _Preparation:
    """Of one symbol.

    Attributes:
        askers: Everybody who wants the same.
        told: As read last; None before, or where the exchange tells nothing.
        checking: Everything is set, and it is read once more.
    """

    askers: list[tuple[Asker, PrepareSymbol]]
    deadline_s: float
    leverage: Decimal | None
    margin_mode: MarginMode | None
    told: SymbolSettings | None = None
    changed: bool = False
    checking: bool = False
    words: list[str] = field(factory=list)


@define
class Preparing:
    """Of one connector. Methods return answers to give, and calls to make for the room."""

    exchange: str
    timeout_s: float
    _all: dict[Symbol, _Preparation] = field(init=False, factory=dict)

    def ask(self, asker: Asker, request: PrepareSymbol, now_s: float) -> list[Answer | c.Call]:
        """Somebody is about to open a position."""
        symbol = request.symbol
        nothing = request.leverage is None and request.margin_mode is None
        if symbol.market_type is MarketType.SPOT or nothing:
            reply = SymbolPrepared(
                correlation_id=request.correlation_id, exchange=self.exchange, settings=None, changed=False
            )
            return [Answer(asker=asker, message=reply)]
        one = self._all.get(symbol)
        if one is not None and (one.leverage, one.margin_mode) == (request.leverage, request.margin_mode):
            one.askers.append((asker, request))
            return []
        if one is not None or len(self._all) >= MAX_AT_ONCE:
            busy = (
                f"{symbol} is being set otherwise on {self.exchange}" if one else f"{MAX_AT_ONCE} symbols are being set"
            )
            return [_failed(asker, request, "busy", f"{busy}: ask again in a moment.")]
        self._all[symbol] = _Preparation(
            askers=[(asker, request)],
            deadline_s=request.deadline_s,
            leverage=request.leverage,
            margin_mode=request.margin_mode,
        )
        return [self._read(symbol, now_s)]

    def returned(self, call: c.Call, result: c.Result, now_s: float) -> list[Answer | c.Call]:
        """A call of the room came back."""
        symbol = _symbol(call)
        one = None if symbol is None else self._all.get(symbol)
        if one is None or symbol is None:
            return []
        if isinstance(result, c.CallFailed):
            refused = result.code == c.UNSUPPORTED or (
                result.native_code is not None and not result.ill and result.code != RATE_LIMITED
            )
            if not refused or isinstance(call, c.AccountCall):
                return self._over(symbol, result)
            one.words.append(result.words)
        elif isinstance(result, c.SettingMade):
            one.changed |= result.changed
        elif isinstance(result, c.AccountResult):
            one.told = result.account.of(symbol)
        if isinstance(call, c.AccountCall):
            if one.checking:
                return self._told(symbol, one)
            if one.margin_mode is not None and (one.told is None or one.told.margin_mode is not one.margin_mode):
                return [c.MarginModeCall(symbol=symbol, mode=one.margin_mode, deadline_s=self._by(one, now_s))]
            return self._leverage(symbol, one, now_s)
        if isinstance(call, c.MarginModeCall):
            return self._leverage(symbol, one, now_s)
        return self._check(symbol, one, now_s)

    def _leverage(self, symbol: Symbol, one: _Preparation, now_s: float) -> list[Answer | c.Call]:
        there = None if one.told is None or one.changed else one.told.leverage  # a new mode may bring its own
        if one.leverage is None or one.leverage == there:
            return self._check(symbol, one, now_s)
        return [c.LeverageCall(symbol=symbol, leverage=one.leverage, deadline_s=self._by(one, now_s))]

    def _check(self, symbol: Symbol, one: _Preparation, now_s: float) -> list[Answer | c.Call]:
        if not one.changed:
            return self._told(symbol, one)
        one.checking = True
        return [self._read(symbol, now_s)]

    def _read(self, symbol: Symbol, now_s: float) -> c.AccountCall:
        return c.AccountCall(symbols=(symbol,), deadline_s=self._by(self._all[symbol], now_s))

    def _by(self, one: _Preparation, now_s: float) -> float:
        return min(one.deadline_s, now_s + self.timeout_s)

    def _told(self, symbol: Symbol, one: _Preparation) -> list[Answer | c.Call]:
        del self._all[symbol]
        words = list(one.words)
        leverage = None if one.told is None else one.told.leverage
        if leverage is not None and one.leverage is not None and leverage != one.leverage and not words:
            words.append(f"{self.exchange} has a leverage of {leverage} for {symbol}, not {one.leverage}.")
        return [
            Answer(
                asker=asker,
                message=SymbolPrepared(
                    correlation_id=request.correlation_id,
                    exchange=self.exchange,
                    settings=one.told,
                    changed=one.changed,
                    words=tuple(words),
                ),
            )
            for asker, request in one.askers
        ]

    def _over(self, symbol: Symbol, failed: c.CallFailed) -> list[Answer | c.Call]:
        one = self._all.pop(symbol)
        return [_failed(asker, request, failed.code, failed.words) for asker, request in one.askers]


def _failed(asker: Asker, request: PrepareSymbol, code: str, words: str) -> Answer:
    message = Failed(correlation_id=request.correlation_id, code=code, words=words, retryable=True)
    return Answer(asker=asker, message=message)


def _symbol(call: c.Call) -> Symbol | None:
    if isinstance(call, c.AccountCall):
        return call.symbols[0] if call.symbols else None
    return call.symbol if isinstance(call, c.LeverageCall | c.MarginModeCall) else None
