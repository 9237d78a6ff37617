"""Differences between an exchange and the journal: what is a delay is none, what a person did is found whole, once."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from attrs import define, evolve, field

from app.domain.book import NOTHING, Exposure, Holding, shared
from app.domain.book_evidence import ENOUGH, NotYet, Verdict, weigh
from app.domain.book_watch import LASTING_S, STAND_S, BookWatch, Inquire, Read, Standing, Stands, standings
from messages.executions import Cause, Execution
from messages.market import Symbol
from messages.orders import LegState, Side
from messages.positions import DifferenceKind, Position
from tests.domain.orders import BTC, order, spec

X = "bybit"


def position(quantity: Decimal, **more: Decimal) -> Position:
    """Of BTC."""
    return Position(
        exchange=X,
        symbol=BTC,
        quantity=quantity,
        entry_price=None,
        mark_price=more.get("mark"),
        leverage=None,
        unrealised_pnl=None,
        at_s=0.0,
        liquidation_price=more.get("liquidation"),
    )


def execution(
    number: int, quantity: Decimal, *, own: bool = False, price: int = 100, cause: Cause | None = None
) -> Execution:
    """A trade; sells below zero."""
    return Execution(
        exchange=X,
        symbol=BTC,
        trade_id=f"t{number}",
        exchange_order_id=f"o{number}",
        order_id="ours" if own else None,
        key=None,
        side=Side.BUY if quantity > 0 else Side.SELL,
        quantity=abs(quantity),
        price=Decimal(100),
        fee=None,
        fee_coin=None,
        maker=None,
        at_s=float(number),
        cause=cause,
    )


@define
class Account:
    """An exchange's truth, and a journal that hears of our fills later."""

    chance: random.Random
    position: Decimal = Decimal(0)
    known: Decimal = Decimal(0)
    holding: Holding = NOTHING
    persons: Decimal = Decimal(0)
    trades: list[Execution] = field(factory=list)
    unheard: list[tuple[float, Execution]] = field(factory=list)
    kept: set[str] = field(factory=set)
    leg: Exposure | None = None
    watch: BookWatch = field(factory=BookWatch)
    adopted: list[tuple[Decimal, DifferenceKind]] = field(factory=list)
    asked: list[tuple[float, float, dict[Symbol, Standing]]] = field(factory=list)
    questions: list[tuple[float, Inquire]] = field(factory=list)

    def journal(self) -> dict[Symbol, Standing]:
        """What it says now."""
        return standings(X, {(X, BTC): self.holding}, () if self.leg is None else (self.leg,))

    def trade(self, quantity: Decimal, now_s: float, *, own: bool) -> None:
        """Somebody trades; of ours the journal hears later."""
        self.position += quantity
        each = execution(len(self.trades), quantity, own=own)
        self.trades.append(each)
        if own:
            self.unheard.append((now_s + self.chance.choice([0.1, 1.0, 5.0, 20.0]), each))
        else:
            self.persons += quantity

    def step(self, now_s: float) -> None:
        """Whatever is due."""
        for due in [each for each in self.unheard if each[0] <= now_s]:
            self.unheard.remove(due)
            self.kept.add(due[1].trade_id)
            signed = due[1].quantity if due[1].side is Side.BUY else -due[1].quantity
            self.holding = Holding(
                attributed=self.holding.attributed + signed, adopted=self.holding.adopted, foreign=self.holding.foreign
            )
        effects, silent = self.watch.tick(now_s)
        assert silent == []
        self._do(effects, now_s)
        for asked in [each for each in self.asked if each[1] <= now_s]:
            self.asked.remove(asked)
            shown = [position(self.position)] if self.position else []
            done = self.watch.read(X, shown, asked[2], self.journal(), asked_s=asked[0], now_s=now_s)
            self._do(done, now_s)
        for question in [each for each in self.questions if each[0] <= now_s]:
            self.questions.remove(question)
            self._weigh(question[1], now_s)

    def read(self, now_s: float) -> None:
        """Asks for the position."""
        self.asked.append((now_s, now_s + self.chance.choice([0.05, 0.5]), self.journal()))

    def _do(self, effects: list[Read | Inquire], now_s: float) -> None:
        for effect in effects:
            if isinstance(effect, Read):
                self.read(now_s)
            else:
                self.questions.append((now_s + 0.1, effect))

    def _weigh(self, asked: Inquire, now_s: float) -> None:
        stands = self.watch.inquired(X, BTC)
        if stands is None:
            return
        listed = [each for each in self.trades if each.at_s >= 0]
        unknown = frozenset(each.trade_id for each in listed if each.order_id and each.trade_id not in self.kept)
        verdict = weigh(stands, listed, unknown, ())
        if isinstance(verdict, NotYet) or stands.standing.holding != self.holding:
            self.watch.settled(stands, now_s, adopted=False)
            return
        ours, foreign = shared(self.holding, stands.quantity, ours_first=False)
        held = self.holding
        self.holding = Holding(attributed=held.attributed, adopted=held.adopted + ours, foreign=held.foreign + foreign)
        self.adopted.append((stands.quantity, verdict.kind))
        self.watch.settled(stands, now_s, adopted=True)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_only_late_is_no_difference_and_what_a_person_did_is_found_whole(seed: int) -> None:
    """Fills of ours that are heard of up to twenty seconds late, and a person's trades among them, at any moment."""
    chance = random.Random(seed)
    account = Account(chance)
    persons = seed % 2 == 1
    for tick in range(1200):
        now_s = tick / 10
        if tick < 600 and chance.random() < 0.04:
            account.trade(Decimal(chance.choice([-2, -1, 1, 1, 3])), now_s, own=True)
        if persons and tick < 600 and chance.random() < 0.01:
            account.trade(Decimal(chance.choice([-2, -1, 1, 2])), now_s, own=False)
        if tick % 20 == 0:
            account.read(now_s)
        account.step(now_s)
    assert account.holding.due == account.position, "in the end the book says what is there"
    assert sum((quantity for quantity, _ in account.adopted), Decimal(0)) == account.persons
    if not persons:
        assert account.adopted == []
    assert account.watch.lasting(1e9) == []


def test_it_stands_only_at_a_second_reading_with_nothing_in_motion() -> None:
    watch = BookWatch()
    held = {BTC: Standing(holding=Holding(attributed=Decimal(1)))}
    less = [position(Decimal("0.6"))]
    assert watch.read(X, less, held, held, asked_s=10.0, now_s=10.1) == []
    assert watch.read(X, less, held, held, asked_s=11.0, now_s=11.1) == [], "too early"
    moved = {BTC: Standing(holding=Holding(attributed=Decimal("0.6")))}
    assert watch.read(X, less, held, moved, asked_s=14.0, now_s=14.1) == [], "the journal heard of it meanwhile"
    assert watch.read(X, less, held, held, asked_s=15.0, now_s=15.1) == [], "that was the first again"
    doubt = {BTC: Standing(holding=Holding(attributed=Decimal(1)), legs=(("sell", "unknown", Decimal(1), Decimal(0)),))}
    assert watch.read(X, less, doubt, doubt, asked_s=19.0, now_s=19.1) == [], "a leg is in doubt"
    assert watch.read(X, less, held, held, asked_s=20.0, now_s=20.1) == []
    [asked] = watch.read(X, less, held, held, asked_s=20.1 + STAND_S, now_s=24.0)
    assert isinstance(asked, Inquire)
    assert watch.read(X, less, held, held, asked_s=24.1, now_s=24.2) == [], "it is asked once"


def test_what_cannot_be_adopted_is_told_and_asked_for_less_often() -> None:
    watch = BookWatch()
    held = {BTC: Standing(holding=Holding(attributed=Decimal(1)))}
    asked, now_s = 0, 0.0
    while now_s < 300.0:
        now_s += 1.0
        if watch.read(X, [], held, held, asked_s=now_s, now_s=now_s):
            asked += 1
            stands = watch.inquired(X, BTC)
            assert stands is not None
            assert stands.times == asked - 1
            watch.settled(stands, now_s, adopted=False)
    assert 5 <= asked <= 12
    assert watch.lasting(now_s) == [((X, BTC), Decimal(-1), 1.0)]
    watch.read(X, [position(Decimal(1))], held, held, asked_s=now_s, now_s=now_s)
    assert watch.lasting(now_s + LASTING_S) == []


# ---- evidence --------------------------------------------------------------------------------------------------------


def stands(quantity: str, *, legs: bool = False, before: Position | None = None) -> Stands:
    """A difference beside one bitcoin of ours."""
    sell = ("sell", "open", Decimal(1), Decimal(0))
    standing = Standing(holding=Holding(attributed=Decimal(1)), legs=(sell,) if legs else ())
    return Stands(exchange=X, symbol=BTC, quantity=Decimal(quantity), standing=standing, before=before, since_s=0.0)


def kind_of(*args: object, **named: object) -> DifferenceKind:
    """What it is taken for."""
    found = weigh(*args, **named)  # type: ignore[arg-type]
    assert isinstance(found, Verdict), found
    return found.kind


def test_trades_that_add_up_to_it_say_what_it_was() -> None:
    """The newest that do; by what the exchange says of them, by the level of a stop, or a person's."""
    sold = execution(2, Decimal("-0.4"))
    earlier = execution(1, Decimal(5))
    assert kind_of(stands("-0.4"), [earlier, sold], frozenset(), ()) is DifferenceKind.PERSON
    person = weigh(stands("-0.4"), [earlier, sold], frozenset(), ())
    assert isinstance(person, Verdict)
    assert sold.exchange_order_id in person.words, "whoever looks for it finds it by the order"
    for cause, kind in (
        (Cause.LIQUIDATION, DifferenceKind.LIQUIDATION),
        (Cause.DELEVERAGED, DifferenceKind.EXCHANGE_CLOSE),
        (Cause.DELIVERED, DifferenceKind.EXCHANGE_CLOSE),
        (Cause.STOP, DifferenceKind.STOP),
    ):
        by = execution(2, Decimal("-0.4"), cause=cause)
        assert kind_of(stands("-0.4"), [earlier, by], frozenset(), ()) is kind
    protected = order(what=evolve(spec(), stop_loss=Decimal(99)))
    assert kind_of(stands("-0.4"), [sold], frozenset(), (protected,)) is DifferenceKind.STOP
    far = order(what=evolve(spec(), stop_loss=Decimal(50)))
    assert kind_of(stands("-0.4"), [sold], frozenset(), (far,)) is DifferenceKind.PERSON
    assert kind_of(stands("-0.3"), [sold], frozenset(), ()) is DifferenceKind.UNEXPLAINED
    assert kind_of(stands("-0.4"), None, frozenset(), ()) is DifferenceKind.UNEXPLAINED


def test_an_order_of_ours_that_may_be_what_it_is_comes_first() -> None:
    """A trade of ours that is not kept, or a leg that rests and nothing listed against it; not where trades add up."""
    ours, sold = execution(1, Decimal("-0.4"), own=True), execution(2, Decimal("-0.4"))
    assert isinstance(weigh(stands("-0.4"), [ours], frozenset({"t1"}), ()), NotYet)
    assert isinstance(weigh(stands("-0.4", legs=True), [], frozenset(), ()), NotYet)
    assert isinstance(weigh(stands("-0.4", legs=True), None, frozenset(), ()), NotYet)
    assert kind_of(stands("-0.4", legs=True), [sold], frozenset(), ()) is DifferenceKind.PERSON
    assert kind_of(stands("0.4", legs=True), [], frozenset(), ()) is DifferenceKind.UNEXPLAINED, "it sells"
    often = evolve(stands("-0.4", legs=True), times=ENOUGH)
    assert kind_of(often, [], frozenset(), ()) is DifferenceKind.UNEXPLAINED, "polls would have shown it"
    assert isinstance(weigh(often, None, frozenset(), ()), NotYet), "the exchange tells nothing"
    assert isinstance(weigh(often, [ours], frozenset({"t1"}), ()), NotYet)


def test_a_position_that_is_gone_at_its_liquidation_price_was_liquidated() -> None:
    near = position(Decimal(1), mark=Decimal(100), liquidation=Decimal("99.5"))
    far = position(Decimal(1), mark=Decimal(100), liquidation=Decimal(50))
    assert kind_of(stands("-1", before=near), [], frozenset(), ()) is DifferenceKind.LIQUIDATION
    assert kind_of(stands("-1", before=far), [], frozenset(), ()) is DifferenceKind.UNEXPLAINED
    assert kind_of(stands("-0.5", before=near), [], frozenset(), ()) is DifferenceKind.UNEXPLAINED


def test_a_leg_in_doubt_is_seen_as_that() -> None:
    for state in LegState:
        leg = Exposure(exchange=X, symbol=BTC, side=Side.BUY, quantity=Decimal(1), filled=Decimal(0), state=state)
        found = standings(X, {}, [leg]).get(BTC)
        doubted = found is not None and found.doubted
        assert doubted is (state in {LegState.INTENT, LegState.UNKNOWN, LegState.HELD}), state


def test_the_journal_says_of_an_exchange_only_what_is_there_and_may_still_fill() -> None:
    legs = [
        Exposure(exchange=name, symbol=BTC, side=Side.BUY, state=state, quantity=Decimal(2), filled=Decimal(1))
        for name, state in ((X, LegState.OPEN), (X, LegState.CANCELLED), ("okx", LegState.OPEN))
    ]
    found = standings(X, {(X, BTC): NOTHING}, legs)
    assert [len(each.legs) for each in found.values()] == [1]
    assert not standings("kraken", {}, legs)
