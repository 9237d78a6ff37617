"""Margin mode and leverage, set before a position is opened: only what differs, in order, and told as it then is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import define, field

from app.domain import calls as c
from app.domain.effects import Answer
from app.domain.preparing import MAX_AT_ONCE, Preparing
from messages.account import AccountView, PrepareSymbol, SymbolPrepared, SymbolSettings
from messages.base import Failed
from messages.market import MarginMode, MarketType, PositionMode, Symbol

D = Decimal
BTC = Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
CROSS, ISOLATED = MarginMode.CROSS, MarginMode.ISOLATED


@define
class Desk:
    """A room at an exchange that does as it is told, unless it is to answer otherwise."""

    leverage: Decimal | None = field(factory=lambda: D(10))
    mode: MarginMode | None = CROSS
    otherwise: dict[type, c.Result] = field(factory=dict)
    isolated_brings: Decimal | None = None
    room: Preparing = field(factory=lambda: Preparing("okx", 5.0))
    calls: list[c.Call] = field(factory=list)
    told: list[tuple[Any, Any]] = field(factory=list)

    def ask(self, asker: str, leverage: str | None = None, mode: MarginMode | None = None, of: Symbol = BTC) -> None:
        """Somebody asks."""
        request = PrepareSymbol(
            correlation_id=asker,
            deadline_s=3.0,
            symbol=of,
            leverage=None if leverage is None else D(leverage),
            margin_mode=mode,
        )
        self.take(self.room.ask(asker, request, 0.0))

    def take(self, wanted: list[Answer | c.Call]) -> None:
        """Does what the room wants."""
        for each in wanted:
            if isinstance(each, Answer):
                self.told.append((each.asker, each.message))
            else:
                self.calls.append(each)

    def go_on(self) -> None:
        """Answers the oldest call."""
        call = self.calls.pop(0)
        self.done.append(call)
        self.take(self.room.returned(call, self._answer(call), 0.0))

    done: list[c.Call] = field(factory=list)

    def _answer(self, call: c.Call) -> c.Result:
        if type(call) in self.otherwise:
            return self.otherwise[type(call)]
        match call:
            case c.AccountCall():
                settings = SymbolSettings(symbol=call.symbols[0], leverage=self.leverage, margin_mode=self.mode)
                account = AccountView(
                    exchange="okx",
                    position_mode=PositionMode.ONE_WAY,
                    free=D(1),
                    symbols=(settings,),
                    clock_offset_s=0.0,
                    clock_error_s=0.0,
                    at_s=0.0,
                )
                return c.AccountResult(account=account)
            case c.LeverageCall():
                self.leverage = call.leverage
            case c.MarginModeCall():
                self.mode = call.mode
                self.leverage = self.isolated_brings or self.leverage
        return c.SettingMade(changed=True)

    def asked(self, leverage: str | None = None, mode: MarginMode | None = None) -> tuple[list[str], Any]:
        """What was sent, and what was answered."""
        self.ask("a", leverage, mode)
        while self.calls:
            self.go_on()
        ((_, answer),) = self.told
        return [type(call).__name__ for call in self.done], answer


def test_what_is_so_already_is_not_set() -> None:
    """One reading."""
    sent, answer = Desk().asked("10", CROSS)
    assert sent == ["AccountCall"]
    assert isinstance(answer, SymbolPrepared)
    assert (answer.changed, answer.words) == (False, ())
    assert answer.settings == SymbolSettings(symbol=BTC, leverage=D(10), margin_mode=CROSS)


def test_only_what_differs_is_set_and_read_again() -> None:
    """The margin mode first."""
    sent, answer = Desk().asked("5", CROSS)
    assert sent == ["AccountCall", "LeverageCall", "AccountCall"]
    assert (answer.changed, answer.settings.leverage) == (True, D(5))
    sent, answer = Desk().asked("5", ISOLATED)
    assert sent == ["AccountCall", "MarginModeCall", "LeverageCall", "AccountCall"]
    assert (answer.settings.leverage, answer.settings.margin_mode) == (D(5), ISOLATED)
    sent, answer = Desk().asked(None, ISOLATED)
    assert sent == ["AccountCall", "MarginModeCall", "AccountCall"]


def test_a_mode_may_bring_a_leverage_of_its_own() -> None:
    """So that it is set again, though it was right before."""
    sent, answer = Desk(isolated_brings=D(50)).asked("10", ISOLATED)
    assert sent == ["AccountCall", "MarginModeCall", "LeverageCall", "AccountCall"]
    assert answer.settings.leverage == D(10)


def test_what_the_exchange_cannot_set_is_told_and_the_rest_is_set() -> None:
    """It is no failure: who asked decides."""
    words = "okx takes the margin mode with each order."
    cannot = c.CallFailed(code=c.UNSUPPORTED, words=words, retryable=False)
    sent, answer = Desk(otherwise={c.MarginModeCall: cannot}).asked("5", ISOLATED)
    assert sent == ["AccountCall", "MarginModeCall", "LeverageCall", "AccountCall"]
    assert isinstance(answer, SymbolPrepared)
    assert answer.words == (words,)
    assert answer.settings is not None
    assert (answer.settings.leverage, answer.settings.margin_mode) == (D(5), CROSS)


def test_a_refusal_by_a_code_is_told() -> None:
    """With the exchange's own words."""
    refused = c.CallFailed(code="refused", words="okx refused it with code 59102.", native_code="59102")
    sent, answer = Desk(otherwise={c.LeverageCall: refused}).asked("500")
    assert sent == ["AccountCall", "LeverageCall"]
    assert (answer.changed, answer.words) == (False, (refused.words,))


def test_a_leverage_that_was_taken_otherwise_is_told() -> None:
    """It is read again, and not believed."""
    sent, answer = Desk(otherwise={c.LeverageCall: c.SettingMade(changed=True)}).asked("20")
    assert sent == ["AccountCall", "LeverageCall", "AccountCall"]
    assert answer.words == ("okx has a leverage of 10 for BTC/USDT:USDT, not 20.",)


def test_where_nobody_knows_it_is_to_be_asked_again() -> None:
    """Whatever call it was."""
    silent = c.CallFailed(code="timeout", words="No answer in time.", ill=True)
    limited = c.CallFailed(code="rate_limited", words="Too many.", native_code="50011")
    for kind in (c.AccountCall, c.MarginModeCall, c.LeverageCall):
        for failed in (silent, limited):
            _, answer = Desk(otherwise={kind: failed}).asked("5", ISOLATED)
            assert isinstance(answer, Failed), kind
            assert (answer.code, answer.retryable) == (failed.code, True)


def test_who_wants_the_same_waits_for_it_and_who_wants_otherwise_is_turned_away() -> None:
    """One at a time for a symbol."""
    desk = Desk()
    desk.ask("a", "5")
    desk.ask("b", "5")
    desk.ask("c", "7")
    assert [(asker, type(message)) for asker, message in desk.told] == [("c", Failed)]
    assert len(desk.calls) == 1
    while desk.calls:
        desk.go_on()
    assert [(asker, message.correlation_id) for asker, message in desk.told[1:]] == [("a", "a"), ("b", "b")]
    desk.ask("c", "7")
    assert len(desk.calls) == 1


def test_it_is_bounded() -> None:
    """So many symbols at once, and no more."""
    desk = Desk()
    for number in range(MAX_AT_ONCE + 1):
        desk.ask("a", "5", of=Symbol(base=f"C{number}", quote="USDT", settle="USDT", market_type=MarketType.SWAP))
    assert len(desk.calls) == MAX_AT_ONCE
    assert [type(message) for _, message in desk.told] == [Failed]


def test_spot_has_nothing_to_set() -> None:
    """Nor has who wants nothing."""
    desk = Desk()
    desk.ask("a", "5", of=Symbol(base="BTC", quote="USDT", settle=None, market_type=MarketType.SPOT))
    desk.ask("b")
    assert [type(message) for _, message in desk.told] == [SymbolPrepared] * 2
    assert desk.calls == []
