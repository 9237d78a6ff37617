"""Each invariant is held by rules, and each rule bites: shown by a forged history, a world tampered with, or a bug."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from attrs import evolve

from app.fuzz import record as r
from app.fuzz.by_hand import ByHand, books_of
from app.fuzz.checker import Seen, check, check_so_far
from app.fuzz.checker_book import adopted_rightly
from app.fuzz.checker_carry import carry_violations
from app.fuzz.checker_moves import book_violations, move_violations
from app.fuzz.checker_news import Violation
from app.fuzz.exposure import exposure_violations
from app.fuzz.fill_check import fills_heard
from app.fuzz.leaks import MAX_AT_ONCE, MAX_FLIGHTS, leaks
from app.fuzz.model import model_violations
from app.fuzz.rules import INVARIANTS, RULES, held_by
from app.fuzz.run import judge, judged, seen_so_far
from app.fuzz.run_log import NEVER, RunLog
from app.fuzz.runner import SimRunner
from app.fuzz.secrecy import RULE as LEAKED
from app.fuzz.sim_orders import SimTrade
from messages.base import Failed
from messages.orders import LegState, Told
from messages.positions import PositionPolicy
from tests.fuzz.forged import START_S, leg, order, seen, sent
from tests.fuzz.planted import PLANTED
from tests.fuzz.planted_books import PLANTED_BOOKS
from tests.fuzz.planted_model import PLANTED_MODEL
from tests.fuzz.planted_named import NAMED, PLAYED

HERE = Path(__file__).parent
ONE, HALF = Decimal(1), Decimal("0.5")


def heard(told: Told, at_s: float, kind: str | None = "get", **more: Any) -> r.Heard:
    """The strategy heard of order 1."""
    body = {"life": 1, "request": "1/a", "state": None, "filled": None, "words": "", "number": 0, **more}
    return r.Heard(at_s=START_S + at_s, strategy="s", kind=kind, told=told, serial=1, **body)


def asked(kind: str, at_s: float, request: str = "1/a") -> r.Asked:
    """The strategy asked, with four seconds to be answered."""
    return r.Asked(START_S + at_s, "s", 1, request, kind, 1, START_S + at_s + 4.0, ONE, Decimal(20_000))


def filled(number: int, quantity: Decimal, total: Decimal) -> r.FillHeard:
    """The strategy heard of a fill of order 1."""
    return r.FillHeard(START_S + 20.0, 1, quantity, total, number)


def routed(exchange: str | None = "a") -> r.Routed:
    """Trading is there."""
    return r.Routed(START_S, 1, exchange)


def booked(seen: Seen, positions: PositionPolicy = PositionPolicy.MIGRATE) -> Seen:
    """The same where positions count."""
    return evolve(seen, plan=evolve(seen.plan, books=evolve(books_of(("a", "b")), positions=positions)))


def traded(at_s: float) -> Any:
    """A leg with one trade."""
    made = leg("a", at_s, filled=ONE, ended_s=at_s + 1)
    made.trades.append(
        SimTrade(trade_id="t1", at_s=START_S + at_s, listed_s=START_S + at_s, quantity=ONE, price=Decimal(20_000))
    )
    return made


def trade(life: int, number: int) -> r.TradeHeard:
    """The strategy heard of it."""
    return r.TradeHeard(START_S + 30.0, "s", life, 1, "a", "t1", number)


MINE = (order(),)
DEAD = leg("a", 10.0, filled=ONE, ended_s=15.0)
FORGED: dict[str, tuple[Callable[[Seen], Iterable[Violation]], Seen]] = {
    "I1 filled more than asked": (check, seen(orders=(DEAD, leg("b", 20.0, filled=HALF)), plans=MINE)),
    "I1 filled more than declared": (
        check,
        seen(orders=(DEAD, leg("b", 20.0, filled=HALF)), plans=MINE, unknown_max_notional=Decimal(100)),
    ),
    "I1 two live legs": (check, seen(orders=(leg("a", 10.0), leg("b", 20.0)), plans=MINE)),
    "I1 accepted and absent": (check, seen(heard(Told.ACCEPTED, 10.0, "place"), plans=MINE)),
    "I2 not answered in time": (check, seen(asked("place", 10.0), plans=MINE)),
    "I2 not resolved": (check, seen(sent("a", 9.0, "w"), heard(Told.UNKNOWN, 10.0, "place"), plans=MINE)),
    "I2 final question unanswered": (check, seen(plans=MINE)),
    "I2 order forgotten": (check, seen(heard(Told.REFUSED, 585.0), orders=(DEAD,), plans=MINE)),
    "I2 fills differ": (
        check,
        seen(heard(Told.CHANGED, 585.0, state=LegState.CANCELLED, filled=HALF), orders=(DEAD,), plans=MINE),
    ),
    "I2 states differ": (
        check,
        seen(heard(Told.CHANGED, 585.0, state=LegState.OPEN, filled=ONE), orders=(DEAD,), plans=MINE),
    ),
    "I2 fill that is none": (check, seen(filled(1, ONE, ONE), plans=MINE)),
    "I3 sent past the fence": (check, seen(routed("b"), sent("a", 9.0, "w"), plans=MINE)),
    "I3 expiry too late": (check, seen(routed(), evolve(sent("a", 9.0, "w"), expiry_s=START_S + 60.0), plans=MINE)),
    "I3 executed after expiry": (check, seen(orders=(evolve(leg("a", 9.0), expiry_s=START_S + 5.0),), plans=MINE)),
    "liveness": (check, seen(plans=(order(at_s=START_S + 546.0),))),
    "sent without an intent": (check, seen(r.Trouble(START_S, "sent without an intent", ""))),
    "news given up": (check, seen(r.Trouble(START_S, "news given up", ""))),
    "I4 more open than was asked": (
        exposure_violations,
        seen(orders=(leg("a", 10.0, filled=HALF), leg("b", 20.0, quantity=HALF)), plans=MINE),
    ),
    "I4 more open than declared": (
        exposure_violations,
        seen(orders=(leg("a", 10.0), leg("b", 20.0)), plans=MINE, unknown_max_notional=Decimal(19_999)),
    ),
    "news numbered wrongly": (check, evolve(seen(plans=MINE), given={"s": (1, 3)})),
    "news not told": (check, evolve(seen(heard(Told.CHANGED, 9.0, None, number=1), plans=MINE), given={"s": (1, 2)})),
    "news out of order": (check, evolve(seen(heard(Told.CHANGED, 9.0, None, number=2)), given={"s": (1, 2)})),
    "news changed": (check, seen(filled(1, HALF, HALF), filled(1, ONE, ONE), orders=(DEAD,), plans=MINE)),
    "news of fills differ": (check, seen(filled(1, HALF, HALF), orders=(DEAD,), plans=MINE)),
    "trade not told": (fills_heard, seen(orders=(traded(10.0),), plans=MINE)),
    "trade told twice": (fills_heard, seen(trade(1, 1), trade(1, 2), orders=(traded(10.0),), plans=MINE)),
    "model: sent": (
        model_violations,
        seen(sent("a", 9.0, "w"), sent("a", 12.0, "v", quantity="2"), orders=(DEAD,), plans=MINE),
    ),
    "model: get": (
        model_violations,
        seen(
            heard(Told.CHANGED, 12.0, None, request=None, state=LegState.OPEN, filled=ONE),
            asked("get", 20.0, "1/b"),
            heard(Told.REFUSED, 21.0, request="1/b"),
            orders=(DEAD,),
            plans=MINE,
        ),
    ),
    "model: news": (
        model_violations,
        seen(heard(Told.CHANGED, 9.0, None, request=None, state=LegState.FILLED, filled=ONE), plans=MINE),
    ),
    "parked without a reason": (
        carry_violations,
        booked(seen(heard(Told.CHANGED, 585.0, state=LegState.PARKED), plans=MINE)),
    ),
    "carry left": (
        carry_violations,
        booked(seen(heard(Told.CHANGED, 585.0, state=LegState.DRAINED), plans=MINE)),
    ),
    "order lost": (
        carry_violations,
        booked(seen(heard(Told.CHANGED, 585.0, state=LegState.CANCELLED), plans=MINE)),
    ),
    "moved against the policy": (
        move_violations,
        booked(seen(sent("a", 9.0, "m"), orders=(leg("a", 9.1, serial=-1, wire_id="m"),), moves=frozenset({-1})),
               PositionPolicy.TRACK),
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", FORGED)
def test_a_forged_history_is_found(rule: str) -> None:
    """By the rule that it breaks."""
    judges, history = FORGED[rule]
    assert rule in [violation.rule for violation in judges(history)]


def test_what_was_acknowledged_may_be_on_its_way_for_a_while() -> None:
    """So it is absent only when no engine can take it any more; whatever else is wrong is so at once."""
    told = seen(heard(Told.ACCEPTED, 10.0, "place"), filled(1, ONE, ONE), plans=MINE)
    soon, late = (evolve(told, end_s=START_S + end_s) for end_s in (25.0, 45.0))
    assert [each.rule for each in check_so_far(soon)] == ["I2 fill that is none"]
    assert [each.rule for each in check_so_far(late)] == ["I1 accepted and absent", "I2 fill that is none"]


def test_one_leg_after_the_other_is_no_exposure() -> None:
    """What is over counts by what filled of it, and what was asked for may be open, all of it, at every instant."""
    orders = (leg("a", 10.0, filled=HALF, ended_s=20.0), leg("b", 20.0, quantity=HALF))
    assert not list(exposure_violations(seen(orders=orders, plans=MINE)))
    declared = seen(orders=(leg("a", 10.0), leg("b", 20.0)), plans=MINE, unknown_max_notional=Decimal(20_000))
    assert not list(exposure_violations(declared))


# ---------------------------------------------------------------------------------------------------- a world


@pytest.fixture(scope="module")
def world() -> Iterator[Any]:
    """One that has come to its end, and in which all is well."""
    hand = ByHand(books=True)
    hand.place("buy", Decimal("0.1"), None)
    hand.place("buy", Decimal("0.1"), Decimal(24_000))
    hand.wait(3.0)
    hand.fail_over("okx")
    hand.wait(5.0)
    assert hand.finish()[1] == ()
    yield hand.world
    hand.close()


TAMPERED: dict[str, Callable[[Any, pytest.MonkeyPatch], Any]] = {
    "left over: sums": lambda w, m: m.setattr(w.journal, "sums_differ", lambda: "order 1"),
    "left over: journal": lambda w, m: m.setattr("app.fuzz.leaks.verify_tables", lambda db: _Found()),
    "left over: children": lambda w, m: m.setattr(w, "tree", None),
    "left over: placements": lambda w, m: m.setattr(type(w.actor("okx").machine._placing), "under_way", 1),
    "left over: doubts": lambda w, m: m.setattr(type(w.actor("okx").machine._watch), "unknown", {"x": 1}),
    "left over: watches": lambda w, m: m.setattr(type(w.actor("okx").machine), "tasks", {"x": _Task()}),
    "left over: calls in flight": lambda w, m: m.setattr(
        w.actor("okx").machine, "_flights", dict.fromkeys(range(MAX_FLIGHTS + 1))
    ),
    "left over: rate limit": lambda w, m: m.setattr(
        type(w.actor("okx").machine._rate_gate.limiter), "queued", lambda self: 1
    ),
    "left over: questions": lambda w, m: m.setattr(
        type(w.actor("position_synchronizer").reading), "askers", 1, raising=False
    ),
    "left over: saga steps": lambda w, m: m.setattr(w.actor("failover_coordinator").machine, "step", _Step()),
    "left over: verdicts": lambda w, m: m.setattr(
        type(next(iter(w.actor("health_monitor")._detectors.values()))), "state", _Step()
    ),
    "left over: timers": lambda w, m: m.setattr(w.scheduler, "wake_ups", lambda: {"x": [1.0] * (MAX_AT_ONCE + 1)}),
    "I6 more than the exchange gives": lambda w, m: m.setattr(w.exchanges["okx"], "over_s", 1.0),
    "failover in its own way": lambda w, m: m.setattr(
        next(iter(w.operator.switches.values())), "reply", _failed("Cannot: a switch is running; try again.")
    ),
    "book not told": lambda w, m: m.setattr(w, "book", None),
    "book differs": lambda w, m: m.setattr(w, "book", evolve(w.book, lines=())),
    "adopted what nobody did": lambda w, m: m.setattr(w.journal, "adjusted", lambda most: (_Adjusted(),)),
}


class _Found:
    findings = ("a chain that is broken",)


class _Task:
    leg = SimpleNamespace(wire_id="of no order there")
    placers = cancellers = readers = ()


class _Step:
    value = "tampered"


class _Adjusted:
    exchange, symbol, quantity = "okx", "BTC", ONE


def _failed(words: str) -> Any:
    return Failed(correlation_id="x", code="busy", words=words)


@pytest.mark.parametrize("rule", TAMPERED)
def test_a_world_that_was_tampered_with_is_found(rule: str, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the end: by the rule that names what is left over, or wrong."""
    history = seen_so_far(world)

    def rules() -> set[str]:
        found = [*leaks(world), *book_violations(world, history), *adopted_rightly(world)]
        return {violation.rule for violation in found}

    assert rules() == set()
    TAMPERED[rule](world, monkeypatch)
    assert rule in rules()


@pytest.mark.parametrize("event", NEVER)
def test_what_must_never_be_logged_is_found(event: str) -> None:
    record = r.Record()
    with RunLog(record, lambda: 1.0).kept():
        structlog.get_logger().warning(event, exchange="okx")
    assert [fact.rule for fact in record.facts if isinstance(fact, r.Trouble)] == [event]


def test_a_run_that_goes_round_in_circles_is_found(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def circles() -> None:
        raise RuntimeError("1000000 events: something goes round in circles.")

    monkeypatch.setattr(world, "run", circles)
    assert "the run itself" in [violation.rule for violation in judged(world)[1]]


def test_a_secret_is_found_wherever_it_gets_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port quotes a request with its key in what it answers: in messages, in the log, in stories, in the journal."""
    travel = SimRunner._travel

    def quoting(self: SimRunner, call: Any, answer: Callable[[Any], None]) -> None:
        def quoted(result: Any) -> None:
            told = getattr(result, "words", None) is not None
            answer(evolve(result, words=f"{result.words} key={self.port.credentials}") if told else result)

        travel(self, call, quoted)

    monkeypatch.setattr(SimRunner, "_travel", quoting)
    hand = ByHand()
    try:
        hand.breaks("bybit", "overload")
        hand.place("buy", Decimal("0.1"), None)
        hand.wait(3.0)
        found = {violation.words.split(":")[0] for violation in judge(hand.world)[1] if violation.rule == LEAKED}
    finally:
        hand.close()
    assert {"in a message", "in the log", "in the journal"} <= found
    assert any(words.startswith("told as") for words in found)


# ---------------------------------------------------------------------------------------------------- the table

OTHER_TESTS = {
    "I1 another id after absence": "test_checker_again.py",
    "I2 guessed": "test_checker_guessed.py",
    "I5 a route is lost": "test_disk.py",
    "I5 lost at a power cut": "test_disk.py",
    "I5 another past": "test_disk.py",
    "I5 the journal is lost": "test_disk.py",
    "I5 the journal is damaged": "test_disk.py",
    "I5 the journal is not proven": "test_disk.py",
    "I7 not live": "test_checker_ill.py",
    "I7 order not accepted": "test_checker_ill.py",
    "I7 left without a reason": "test_checker_ill.py",
    "I7 follows what flaps": "test_checker_ill.py",
    "I7 asked during a ban": "test_checker_ill.py",
    "I7 our own network": "test_own_network.py",
    "actors do not raise": "corpus.py",
}
"""Rules that are shown to bite in a file of their own, which names them."""


def shown() -> set[str]:
    """Rules of which a test shows that they bite."""
    bugs = (*PLANTED.values(), *PLANTED_BOOKS.values(), *PLANTED_MODEL.values())
    planted = {rule for bug in bugs for rule in bug.rules} | {rule for name in PLAYED for rule in NAMED[name].rules}
    return {*FORGED, *TAMPERED, *NEVER, "the run itself", LEAKED, *OTHER_TESTS, *(planted & RULES.keys())}


def test_every_invariant_has_a_rule_and_every_rule_an_invariant() -> None:
    assert all(held_by(invariant) for invariant in INVARIANTS)
    assert all(set(held) <= set(INVARIANTS) and held for held in RULES.values())


def test_every_rule_is_shown_to_bite() -> None:
    assert set(RULES) - shown() == set()
    for rule, name in OTHER_TESTS.items():
        module = importlib.import_module(f"tests.fuzz.{name.removesuffix('.py')}")
        named = rule == getattr(module, "RULE", None) or f'"{rule}"' in (HERE / name).read_text()
        assert named, f"{name} does not name {rule}"


def test_every_rule_of_the_code_is_in_the_table() -> None:
    """Whoever adds one says which invariant it holds."""
    found: set[str] = set()
    root = HERE.parent.parent
    for path in (*(root / "app" / "fuzz").glob("*.py"), *(root / "tests" / "real").glob("*.py")):
        text = path.read_text()
        found |= set(re.findall(r'(?:Violation|Trouble)\(\s*(?:self\._?now(?:_s)?\(\), )?"([^"]+)"', text))
    assert len(found) > 30
    assert found - set(RULES) == set()
