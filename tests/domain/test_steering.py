"""The verbs' machine: what each asks for, what it waits for, and that it does so once."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, evolve, field

from app.domain.controls import NONE, Controls
from app.domain.effects import Answer
from app.domain.steering import MAX_CANCELS, Steering
from app.domain.steering_effects import AskCancel, AskMoves, AskOrder, AskReady, Move, Unpark, Write
from app.domain.verb_plan import Scene
from app.domain.verb_words import ASKED, applied, change, name_of
from messages.base import Failed
from messages.control import (
    Drain,
    Failback,
    Freeze,
    Isolate,
    Panic,
    ReduceOnlyMode,
    Release,
    Resolution,
    Resolve,
    Steered,
    Unfreeze,
    Verb,
)
from messages.failover import (
    ManualFailover,
    PreflightReply,
    Readiness,
    Route,
    Switch,
    SwitchReply,
    SwitchResult,
)
from messages.orders import LegState, OrderReply, OrderView, Side, Trigger, TriggerKind
from messages.positions import MovesReply, NotMoved, PositionPlan, PositionPolicy
from tests.domain.orders import BTC, key, leg, order, spec

NAMES = ("bybit", "okx", "binance")
READY = tuple(Readiness(exchange=name, problems=(), at_s=1.0) for name in NAMES[1:])
SCENE = Scene(route=Route(epoch=1, exchange="bybit", since_s=0.0), exchanges=NAMES, readiness=READY)
MOVED = Switch(
    from_exchange="bybit",
    to_exchange="okx",
    reason="Failback",
    at_s=1.0,
    epoch=2,
    result=SwitchResult.COMPLETED,
    duration_s=0.1,
)
STOP = evolve(spec(), reduce_only=True, trigger=Trigger(kind=TriggerKind.STOP, price=Decimal(90)))


def framed(kind: type[Any], **more: Any) -> Any:
    """A verb asked at 0 s, to be answered by 30 s."""
    return kind(**{"correlation_id": "c", "deadline_s": 30.0, **more})


def named(name: str, *legs: Any, what: Any = None) -> OrderView:
    """An order of a name."""
    return evolve(order(*legs, of=key(name), what=what), order_id=name)


@define
class Desk:
    """The machine, with what is so."""

    scene: Scene = SCENE
    machine: Steering = field(factory=Steering)
    now_s: float = 0.0

    def ask(self, verb: Any) -> list[Any]:
        """Asked by somebody; controls that are written hold."""
        return self._held(self.machine.ask("asker", verb, self.scene, self.now_s))

    def tick(self, now_s: float) -> list[Any]:
        """Later."""
        self.now_s = now_s
        return self._held(self.machine.tick(lambda: self.scene, now_s, panic=bool(self.scene.controls.panic)))

    def heard(self, token: str, reply: Any) -> list[Any]:
        """Somebody answers."""
        return self._held(self.machine.heard(token, reply, self.scene, self.now_s))

    def moved(self, token: str, reply: Any) -> list[Any]:
        """The saga does."""
        return self._held(self.machine.moved(token, reply, self.scene, self.now_s))

    def _held(self, effects: list[Any]) -> list[Any]:
        for effect in effects:
            if isinstance(effect, Write):
                self.scene = evolve(self.scene, controls=applied(self.scene.controls, effect.change))
        return effects


def of(effects: list[Any], kind: type[Any]) -> list[Any]:
    """Effects of a kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def answer(effects: list[Any]) -> Steered:
    """The one answer, of a verb that came about."""
    (one,) = of(effects, Answer)
    assert isinstance(one.message, Steered), one.message
    return one.message


def refusal(effects: list[Any]) -> str:
    """Why a verb cannot be."""
    (one,) = effects
    assert isinstance(one.message, Failed), one
    return one.message.words


HOLDING: list[tuple[Verb, Controls]] = [
    (framed(Freeze, reason="closed"), Controls(frozen="closed.")),
    (framed(ReduceOnlyMode, reason="winding down."), Controls(reduce_only="winding down.")),
    (framed(Isolate, exchange="okx"), Controls(isolated=(("okx", ASKED),))),
    (framed(Drain, exchange="okx"), Controls(isolated=(("okx", ASKED),))),
    (framed(Panic, reason="x"), Controls(frozen="x.", panic="x.")),
    (
        framed(Panic, flatten=True),
        Controls(frozen=ASKED, panic=ASKED, flatten=ASKED),
    ),
]


@pytest.mark.parametrize(("verb", "due"), HOLDING, ids=lambda each: type(each).__name__)
def test_a_verb_that_holds_is_written_once_and_before_anything_else(verb: Verb, due: Controls) -> None:
    desk = Desk()
    effects = desk.ask(verb)
    assert isinstance(effects[0], Write)
    assert desk.scene.controls == due
    again = desk.ask(evolve(verb, correlation_id="again"))
    assert of(again, Write) == []
    assert change(verb, due).put == ()


@pytest.mark.parametrize(("verb", "held"), HOLDING, ids=lambda each: type(each).__name__)
def test_a_dry_run_writes_and_moves_nothing(verb: Verb, held: Controls) -> None:
    desk = Desk(evolve(SCENE, open=(named("a", leg(LegState.OPEN)),)))
    effects = desk.ask(evolve(verb, dry_run=True)) + desk.tick(10.0)
    assert desk.scene.controls == NONE
    assert {type(effect) for effect in effects} <= {Answer, AskReady, AskMoves}
    assert all(effect.dry_run for effect in of(effects, AskMoves))
    assert answer(effects).plan is not None
    assert not answer(effects).done


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        (framed(Unfreeze), Controls(frozen="x", reduce_only="y"), Controls(reduce_only="y")),
        (framed(Unfreeze), Controls(frozen="x", panic="x", flatten="x"), NONE),
        (framed(ReduceOnlyMode, on=False), Controls(frozen="x", reduce_only="y"), Controls(frozen="x")),
        (
            framed(Release, exchange="okx"),
            Controls(isolated=(("binance", "y"), ("okx", "x"))),
            Controls(isolated=(("binance", "y"),)),
        ),
    ],
)
def test_what_ends_a_hold_ends_that_alone_and_once(verb: Verb, before: Controls, after: Controls) -> None:
    desk = Desk(evolve(SCENE, controls=before))
    assert answer(desk.ask(verb)).controls == after.shown()
    assert desk.scene.controls == after
    again = desk.ask(evolve(verb, correlation_id="again"))
    assert of(again, Write) == []
    assert answer(again).done


def test_the_same_request_sent_again_while_it_is_under_way_begins_nothing() -> None:
    desk = Desk(evolve(SCENE, open=(named("a", leg(LegState.OPEN)),)))
    assert of(desk.ask(framed(Panic)), AskCancel)
    assert desk.machine.ask("the asker's next life", framed(Panic), desk.scene, 1.0) == []
    desk.scene = evolve(desk.scene, open=())
    (told,) = of(desk.tick(2.0), Answer)
    assert told.asker == "the asker's next life"


# ---------------------------------------------------------------------------------------------------- trading moves


def test_a_failback_is_the_sagas_and_its_refusal_is_told_as_it_is() -> None:
    desk = Desk(evolve(SCENE, route=Route(epoch=2, exchange="okx", since_s=0.0)))
    (move,) = desk.ask(framed(Failback))
    assert (move.exchange, move.reason) == ("bybit", "Failback")
    refused = Failed(correlation_id="verb-1", code="failover_refused", words="A switch is running.")
    (told,) = desk.moved(move.token, refused)
    assert (told.message.correlation_id, told.message.code, told.message.words) == (
        *("c", "failover_refused"),
        "A switch is running.",
    )
    (move,) = desk.ask(framed(Failback))
    came = answer(desk.moved(move.token, SwitchReply(correlation_id="verb-2", switch=MOVED)))
    assert (came.done, came.switch) == (True, MOVED)
    assert answer(Desk().ask(framed(Failback))).done, "trading is there"


def test_an_exchange_in_use_that_is_isolated_is_waited_for_to_be_left() -> None:
    desk = Desk()
    assert [type(effect) for effect in desk.ask(framed(Isolate, exchange="bybit"))] == [Write]
    assert of(desk.tick(1.0), Answer) == []
    desk.scene = evolve(desk.scene, route=Route(epoch=2, exchange=None, since_s=1.0), readiness=())
    assert of(desk.tick(2.0), Answer) == []
    desk.scene = evolve(desk.scene, route=Route(epoch=2, exchange="okx", since_s=2.0), last=MOVED)
    came = answer(desk.tick(3.0))
    assert (came.done, came.switch) == (True, MOVED)


def test_an_exchange_that_nobody_can_take_over_from_is_isolated_all_the_same_and_that_is_said() -> None:
    down = evolve(READY[0], problems=("okx is down: refused.",))
    desk = Desk(evolve(SCENE, readiness=(down,)))
    desk.ask(framed(Isolate, exchange="bybit"))
    came = answer(desk.tick(29.8))
    assert not came.done
    assert "okx is down: refused." in came.words
    assert came.controls == ("bybit is isolated: It was asked for.",)


def test_a_drain_moves_first_isolates_then_and_waits_for_what_is_left() -> None:
    resting = named("a", leg(LegState.OPEN))
    desk = Desk(evolve(SCENE, open=(resting,), held=(("bybit", BTC, Decimal(2)),), positions=PositionPolicy.MIGRATE))
    (move,) = desk.ask(framed(Drain, exchange="bybit"))
    assert (move.exchange, desk.scene.controls) == ("okx", NONE)
    desk.scene = evolve(desk.scene, route=Route(epoch=2, exchange="okx", since_s=1.0))
    effects = desk.moved(move.token, SwitchReply(correlation_id="verb-1", switch=MOVED))
    assert [type(effect).__name__ for effect in effects] == ["Write", "AskSettle"]
    assert of(desk.tick(1.0), Answer) == []
    desk.scene = evolve(desk.scene, open=())
    assert of(desk.tick(2.0), Answer) == [], "its position is still there"
    late = Desk(desk.scene, desk.machine)
    desk.scene = evolve(desk.scene, held=(("okx", BTC, Decimal(2)),))
    came = answer(desk.tick(3.0))
    assert (came.done, came.left, came.stays) == (True, (), ())
    late.scene = evolve(late.scene, open=(resting,))
    late.ask(framed(Drain, exchange="bybit"))
    came = answer(late.tick(29.9))
    assert not came.done
    assert [left.order_id for left in came.left] == ["a"]
    assert [(each.exchange, each.quantity) for each in came.stays] == [("bybit", Decimal(2))]


def test_a_position_that_is_only_tracked_stays_and_is_told() -> None:
    desk = Desk(evolve(SCENE, held=(("okx", BTC, Decimal(-1)),)))
    desk.ask(framed(Drain, exchange="okx"))
    came = answer(desk.tick(1.0))
    assert came.done
    assert [each.words for each in came.stays] == ["It stays: [positions] policy is track."]


@pytest.mark.parametrize(
    ("verb", "scene", "why"),
    [
        (framed(Isolate, exchange="kraken"), SCENE, "'kraken' is not among the configured exchanges"),
        (framed(Release, exchange="kraken"), SCENE, "'kraken' is not among the configured exchanges"),
        (framed(Drain, exchange="bybit"), evolve(SCENE, readiness=()), "no other exchange could take over"),
        (
            framed(Drain, exchange="bybit"),
            evolve(SCENE, route=Route(epoch=2, exchange=None, since_s=0.0), running="settle"),
            r"a switch is running \(settle\)",
        ),
        (
            framed(Failback),
            evolve(
                SCENE,
                route=Route(epoch=2, exchange="okx", since_s=0.0),
                controls=Controls(isolated=(("bybit", "Late."),)),
            ),
            r"it is isolated \(Late\); release it first",
        ),
        (framed(Resolve, order_id="x"), SCENE, "knows no order x"),
        (framed(Panic, flatten=True), evolve(SCENE, spot=True), "On spot there are balances"),
        (framed(ManualFailover, exchange="bybit", dry_run=True), SCENE, "trading is there already"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_nothing_is_done(verb: Any, scene: Scene, why: str) -> None:
    assert re.search(why, refusal(Desk(scene).ask(verb)))


# ---------------------------------------------------------------------------------------------------- panic


def test_a_panic_goes_on_for_as_long_as_there_is_anything_whoever_began_it() -> None:
    """Of a coordinator that was just started, and knows of the panic by the journal alone."""
    asked = named("asked", evolve(leg(LegState.OPEN), cancel_asked_s=1.0))
    resting, stop = named("resting", leg(LegState.OPEN)), named("stop", leg(LegState.OPEN), what=STOP)
    own = evolve(named("slice", leg(LegState.OPEN)), key=key("move/1/BTC/1/flat", strategy="order-router"))
    waits = named("waits", leg(LegState.PARKED))
    held = Controls(frozen="x", panic="x")
    desk = Desk(evolve(SCENE, controls=held, open=(asked, resting, stop, own), waiting=(waits,)))
    cancels = of(desk.tick(0.0), AskCancel)
    assert [(each.order.order_id, each.exchange) for each in cancels] == [("waits", "bybit"), ("resting", "bybit")]
    assert of(desk.tick(0.5), AskCancel) == [], "not in each turn"
    assert len(of(desk.tick(1.1), AskCancel)) == 2


def test_a_panic_that_flattens_keeps_stops_until_no_position_is_left() -> None:
    stop = named("stop", leg(LegState.OPEN), what=STOP)
    desk = Desk(evolve(SCENE, open=(stop,)))
    effects = desk.ask(framed(Panic, flatten=True))
    (moves,) = of(effects, AskMoves)
    assert (moves.policy, moves.dry_run) == (PositionPolicy.FLATTEN, False)
    assert of(effects, AskCancel) == []
    stays = NotMoved(exchange="bybit", symbol=BTC, quantity=Decimal(1), words="No price.")
    desk.heard(moves.token, MovesReply(correlation_id="f", plan=PositionPlan(stays=(stays,)), done=False))
    assert of(desk.tick(1.5), AskCancel) == []
    desk.heard(moves.token, MovesReply(correlation_id="f", plan=PositionPlan(), done=True))
    (cancel,) = of(desk.tick(3.0), AskCancel)
    assert cancel.order is stop
    desk.scene = evolve(desk.scene, open=())
    came = answer(desk.tick(4.0))
    assert (came.done, came.cancelled) == (True, ("stop",))


def test_what_a_panic_could_not_reach_is_told_by_its_deadline() -> None:
    resting, away = named("a", leg(LegState.OPEN)), named("b", leg(LegState.OPEN, exchange="okx"))
    desk = Desk(evolve(SCENE, open=(resting, away)))
    desk.ask(framed(Panic))
    desk.scene = evolve(desk.scene, open=(away,))
    came = answer(desk.tick(29.8))
    assert not came.done
    assert came.cancelled == ("a",)
    assert [left.order_id for left in came.left] == ["b"]
    assert "goes on" in came.words


# ---------------------------------------------------------------------------------------------------- one order


@pytest.mark.parametrize(
    ("state", "how", "asked"),
    [
        (LegState.UNKNOWN, Resolution.LOOK, AskOrder),
        (LegState.UNKNOWN, Resolution.DROP, AskCancel),
        (LegState.OPEN, Resolution.DROP, AskCancel),
        (LegState.PARKED, Resolution.PLACE, Unpark),
        (LegState.PARKED, Resolution.DROP, AskCancel),
        (LegState.DRAINED, Resolution.DROP, AskCancel),
        (LegState.DRAINED, Resolution.PLACE, None),
        (LegState.PARKED, Resolution.LOOK, None),
        (LegState.UNKNOWN, Resolution.PLACE, None),
        (LegState.FILLED, Resolution.DROP, None),
    ],
)
def test_what_is_done_about_one_order(state: LegState, how: Resolution, asked: type[Any] | None) -> None:
    one = named("a", leg(state))
    desk = Desk(evolve(SCENE, find=lambda _: one))
    effects = desk.ask(framed(Resolve, order_id="a", how=how))
    assert [type(effect) for effect in effects if not isinstance(effect, Answer)] == ([] if asked is None else [asked])
    if asked in (None, Unpark):
        assert answer(effects).words
    else:
        assert of(effects, Answer) == []


def test_an_order_that_was_looked_at_is_told_as_it_is_then() -> None:
    states = iter([leg(LegState.UNKNOWN), leg(LegState.UNKNOWN), leg(LegState.FILLED, filled="1")])
    now = [named("a", next(states))]
    desk = Desk(evolve(SCENE, find=lambda _: now[0]))
    (look,) = desk.ask(framed(Resolve, order_id="a"))
    now[0] = named("a", leg(LegState.FILLED, filled="1"))
    came = answer(desk.heard(look.token, OrderReply(correlation_id="v", order=now[0])))
    assert (came.words, came.done) == ("Order a has filled.", True)


# ---------------------------------------------------------------------------------------------------- plans


def test_a_plan_says_what_the_target_would_not_take_and_what_stays() -> None:
    held = evolve(order(leg(LegState.OPEN)), order_id="exit", key=key("exit/x/1/sl/1"))
    orders = (
        named("goes", leg(LegState.OPEN)),
        named("small", leg(LegState.OPEN)),
        named("doubted", leg(LegState.UNKNOWN)),
        held,
        named("elsewhere", leg(LegState.OPEN, exchange="binance")),
    )
    waiting = (named("drained", leg(LegState.DRAINED, exchange="binance")),)
    desk = Desk(evolve(SCENE, open=orders, waiting=waiting))
    ready, moves = desk.ask(framed(ManualFailover, exchange="okx", dry_run=True))
    assert (ready.exchange, len(ready.orders), moves.to_exchange) == ("okx", 3, "okx")
    looked = PreflightReply(
        correlation_id="v",
        exchange="okx",
        problems=("Its clock is off.",),
        at_s=5.0,
        refused=((1, "Too small there."),),
    )
    assert desk.heard(ready.token, looked) == []
    plan = answer(desk.heard(moves.token, MovesReply(correlation_id="v", plan=PositionPlan(cost=Decimal(3))))).plan
    assert plan is not None
    assert [each.order_id for each in plan.carried] == ["goes", "drained"]
    assert [(each.order_id, each.words) for each in plan.parked] == [("small", "Too small there.")]
    assert [each.order_id for each in plan.stays] == ["doubted", "exit"]
    assert plan.candidates[0].problems == ("Its clock is off.",)
    assert (plan.notional, plan.positions.cost, plan.words) == (Decimal(200), Decimal(3), ())


@pytest.mark.parametrize(
    ("state", "how", "said"),
    [
        (LegState.OPEN, Resolution.LOOK, "bybit would be asked for it."),
        (LegState.OPEN, Resolution.DROP, "It would be cancelled on bybit."),
        (LegState.OPEN, Resolution.PLACE, "Nothing would be done."),
        (LegState.PARKED, Resolution.PLACE, "It would be placed where trading is as soon as that can be."),
        (LegState.PARKED, Resolution.DROP, "What is left of it would be ended."),
        (LegState.PARKED, Resolution.LOOK, "Nothing would be done."),
        (LegState.FILLED, Resolution.DROP, "Nothing would be done."),
    ],
)
def test_the_plan_of_one_order_is_about_that_one(state: LegState, how: Resolution, said: str) -> None:
    order = named("a", leg(state))
    desk = Desk(evolve(SCENE, open=(order, named("b", leg(LegState.OPEN))), find={"a": order}.get))
    reply = answer(desk.ask(framed(Resolve, order_id="a", how=how, dry_run=True)))
    assert reply.words.startswith("Order a ")
    assert reply.words.endswith(said)
    assert reply.plan is not None
    assert (reply.plan.stays, reply.plan.candidates) == ((), ())


def test_a_plan_of_which_nobody_told_says_so() -> None:
    desk = Desk(evolve(SCENE, open=(named("a", leg(LegState.OPEN)),)))
    desk.ask(framed(ManualFailover, exchange="okx", dry_run=True))
    assert of(desk.tick(3.0), Answer) == []
    plan = answer(desk.tick(4.1)).plan
    assert plan is not None
    assert len(plan.words) == 2


def test_verbs_are_called_as_on_the_command_line() -> None:
    assert [name_of(verb) for verb, _ in HOLDING] == ["freeze", "reduce-only", "isolate", "drain", "panic", "panic"]
    assert of(Desk().ask(framed(Freeze)), Move) == []


def test_nothing_is_read_where_nothing_waits() -> None:
    def never() -> Scene:
        raise AssertionError("nobody waits")

    machine = Steering()
    assert machine.tick(never, 1.0, panic=False) == []
    assert (machine.next_s() or 0.0) >= 2.0


def test_a_panic_over_many_orders_asks_for_some_at_a_time() -> None:
    many = tuple(named(f"o{number}", leg(LegState.OPEN)) for number in range(MAX_CANCELS + 50))
    desk = Desk(evolve(SCENE, controls=Controls(frozen="x", panic="x"), open=many))
    first = of(desk.tick(0.0), AskCancel)
    asked = {each.order.order_id for each in first}
    assert len(first) == MAX_CANCELS
    desk.scene = evolve(desk.scene, open=tuple(each for each in many if each.order_id not in asked))
    assert len(of(desk.tick(2.0), AskCancel)) == 50
    assert not desk.machine.awaits(first[0].token), "hundreds of answers are not looked at one by one"


def test_a_plan_says_that_what_reduces_stays_for_as_long_as_its_position_does() -> None:
    """As its connector keeps it: it would protect nothing where trading goes."""
    resting = [
        named(name, leg(LegState.OPEN), what=evolve(STOP, side=side))
        for name, side in (("sale", Side.SELL), ("buy", Side.BUY))
    ]
    held = (("bybit", BTC, Decimal(2)), ("okx", BTC, Decimal(-2)))
    desk = Desk(evolve(SCENE, open=tuple(resting), held=held))
    (ready,) = of(desk.ask(framed(ManualFailover, exchange="okx", dry_run=True)), AskReady)
    assert [each.side for each in ready.orders] == [Side.BUY]
    plan = answer(desk.tick(5.0)).plan
    assert plan is not None
    assert [each.order_id for each in plan.stays] == ["sale"]
    assert plan.stays[0].words.endswith("it stays for as long as that does, and goes after it.")
    assert [each.order_id for each in plan.carried] == ["buy"]
