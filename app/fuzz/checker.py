"""The invariants, judged by what strategies asked and heard and by what the exchanges know to be true.

Nothing here asks the router's own machines or its journal what happened, except the last check, which looks for work
left behind. Orders are told apart by their serial, which exchanges keep for us, not by the router's ids.

Which rule holds which invariant (`app.fuzz.rules` has every one by its name, and a test that each bites):

    I1 exactly once     fills of one order, over all exchanges, do not exceed what was asked; its legs never live at the
                        same time; what was answered "accepted" is on some exchange. Where the owner has declared that
                        what nobody knows of is placed elsewhere, all that exceeds is worth no more than he declared.
                        What is sent again after absence keeps its id (`checker_again`)
    I2 honest           every request of a living strategy is answered by its deadline; "not executed" and "refused"
                        mean that nothing executed, nor ever will; "unknown" is resolved, and the truth is told; every
                        answer is one that the model of the router allows (`model`)
    I3 fenced           nothing is sent but to the exchange that holds the route; nothing executes after its expiry and
                        the lateness the exchange admits
    I4 exposure         at every instant what has filled of an order and what still may are no more than was asked, or
                        declared (`exposure`); what the router itself moves changes the net by a slice at most, at
                        every execution, and in the end positions are where trading is (`checker_moves`, `checker_book`)
    I5 durable          what once was told is not taken back by any death (`model`); no order is forgotten or lost
                        (`checker_carry`), each execution is kept once (`fill_check`), and what a strategy is told is
                        numbered without a gap over all its lives, and heard in order (`checker_news`); the journal
                        proves itself
    I6 bounded          nothing is left over, by kind: questions, doubts, watches, timers, calls in flight, steps of the
                        saga (`leaks`); no exchange is asked for more than it gives, or during a ban; no run goes round
                        in circles
    I7 live             after the faults an order is accepted, and everybody is there; where exchanges are ill, trading
                        leaves in time and with a reason (`checker_ill`); our own network moves nothing (`own_network`)
    I8 confined         a secret of the connectors' is in no message, log, story or journal (`secrecy`)
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from attrs import frozen

from app.fuzz import record as r
from app.fuzz.checker_news import Violation, news_violations
from app.fuzz.exchange import MARKET
from app.fuzz.plan import Plan
from app.fuzz.sim_orders import SimOrder
from messages.orders import LegState, Told

SLACK_S = 1.0
"""How much later than its deadline an answer may be heard: messages take their time."""

RESOLVE_S = 30.0
"""Within this time after faults stopped every outcome must be known: the longest validity, lateness and visibility of
any exchange, the longest distance between look-ups, and a reconnect."""

ABSENT = "I1 accepted and absent"
PROVEN = frozenset(LegState) - {LegState.INTENT, LegState.UNKNOWN}


@frozen
class Seen:
    """What the checker goes by: the facts, the truth, and when the world began and became calm.

    Attributes:
        given: By strategy, the numbers that the journal gave to what it is told.
        refused: When an exchange refused an order by a code, and its serial.
        turned_away: When a placement was answered as not executed, and its wire id.
        quiet: From when to when nothing at all was wrong.
        moves: Serials of orders that move positions; `untold`, with their exits: no strategy hears of them.
    """

    plan: Plan
    facts: tuple[r.Fact, ...]
    orders: tuple[SimOrder, ...]
    start_s: float
    calm_s: float
    end_s: float
    given: dict[str, tuple[int, ...]]
    moves: frozenset[int] = frozenset()
    untold: frozenset[int] = frozenset()
    unknown_max_notional: Decimal | None = None
    refused: tuple[tuple[float, int], ...] = ()
    turned_away: tuple[tuple[float, str], ...] = ()
    quiet: tuple[tuple[float, float], ...] = ()

    def truth(self, serial: int) -> list[SimOrder]:
        """Every leg of an order on any exchange that its engine took, by time."""
        return sorted((o for o in self.orders if o.serial == serial and o.executed), key=lambda o: o.accepted_s)

    def asked(self) -> Iterator[r.Asked]:
        """Every request."""
        return (fact for fact in self.facts if isinstance(fact, r.Asked))

    def heard(self) -> Iterator[r.Heard]:
        """Everything told."""
        return (fact for fact in self.facts if isinstance(fact, r.Heard))

    def deaths(self, actor: str) -> list[float]:
        """When an actor died, one way or another."""
        died = (fact for fact in self.facts if isinstance(fact, r.Died))
        return [fact.at_s for fact in died if fact.actor in (actor, "everything")]


def check(seen: Seen) -> list[Violation]:
    """Every violation of a run, the earliest first."""
    found = [
        *_troubles(seen),
        *_exactly_once(seen),
        *_answered(seen),
        *_never_guessed(seen),
        *_resolved(seen),
        *_truth_at_the_end(seen),
        *_fills_told(seen),
        *news_violations(seen),
        *_fenced(seen),
        *_live(seen),
    ]
    return sorted(found, key=lambda violation: violation.at_s)


def check_so_far(seen: Seen) -> list[Violation]:
    """Every violation of a run that is not over: of rules that nothing which is still to come can make good."""
    rules = (_troubles, _exactly_once, _answered, _never_guessed, _resolved, _fills_told, _fenced)
    found = [violation for rule in rules for violation in rule(seen) if violation.at_s <= seen.end_s]
    # What was acknowledged may still be on its way to the engine.
    found = [each for each in found if each.rule != ABSENT or each.at_s + RESOLVE_S <= seen.end_s]
    return sorted(found, key=lambda violation: violation.at_s)


def _troubles(seen: Seen) -> Iterator[Violation]:
    for fact in seen.facts:
        if isinstance(fact, r.Trouble):
            yield Violation(fact.rule, fact.at_s, 0, fact.words)


def _exactly_once(seen: Seen) -> Iterator[Violation]:
    for strategy in seen.plan.strategies:
        for serial, plan in strategy.orders.items():
            legs = seen.truth(serial)
            filled = sum((leg.filled for leg in legs), Decimal(0))
            if seen.unknown_max_notional is not None:
                worth = (filled - plan.quantity) * (plan.price or MARKET)
                if worth > seen.unknown_max_notional or (filled > plan.quantity and len(legs) < 2):
                    words = f"{filled} filled of {plan.quantity} asked, worth {worth} more than that"
                    yield Violation("I1 filled more than declared", legs[-1].accepted_s, serial, words)
                continue
            if filled > plan.most:
                words = f"{filled} filled of {plan.most} asked, on {', '.join(leg.exchange for leg in legs)}"
                yield Violation("I1 filled more than asked", legs[-1].accepted_s, serial, words)
            for earlier, later in pairwise(legs):
                if earlier.ended_s is None or later.accepted_s < earlier.ended_s:
                    words = f"live on {earlier.exchange} and on {later.exchange} at the same time"
                    yield Violation("I1 two live legs", later.accepted_s, serial, words)
    on_exchange = {order.serial for order in seen.orders}
    for heard in seen.heard():
        if heard.told is Told.ACCEPTED and heard.serial not in on_exchange:
            yield Violation(ABSENT, heard.at_s, heard.serial, "no exchange has it")


def _answered(seen: Seen) -> Iterator[Violation]:
    answers = {heard.request: heard for heard in seen.heard() if heard.request is not None}
    for asked in seen.asked():
        due_s = asked.deadline_s + SLACK_S + _stopped_s(seen, asked.strategy)
        if due_s > seen.end_s or any(asked.at_s <= at_s <= due_s for at_s in seen.deaths(asked.strategy)):
            continue
        answer = answers.get(asked.request)
        if answer is None or answer.at_s > due_s:
            words = f"{asked.kind} of {asked.strategy} due at {asked.deadline_s - seen.start_s:.3f} s"
            yield Violation("I2 not answered in time", due_s, asked.serial, words)


def _stopped_s(seen: Seen, actor: str) -> float:
    stopped_s = sum(stall.for_s for stall in seen.plan.stalls if stall.actor == actor)
    return stopped_s + max((lag.delay_s for lag in seen.plan.lags if lag.actor == actor), default=0.0)


def _never_guessed(seen: Seen) -> Iterator[Violation]:
    placed: dict[int, list[r.Asked]] = {}
    open_until_s: dict[int, dict[str, float]] = {}
    told: list[tuple[r.Heard, bool]] = []
    for fact in seen.facts:
        if isinstance(fact, r.Asked) and fact.kind in ("place", "other"):
            placed.setdefault(fact.serial, []).append(fact)
            open_until_s.setdefault(fact.serial, {})[fact.request] = fact.deadline_s
        elif isinstance(fact, r.Heard):
            others = open_until_s.get(fact.serial, {})
            if fact.request is not None:
                others.pop(fact.request, None)
            if fact.told in (Told.NOT_EXECUTED, Told.REFUSED) and fact.kind != "other":
                # Another request for the same order that may still be acted on makes no promise of this answer.
                told.append((fact, any(until_s > fact.at_s for until_s in others.values())))
    asked = {each.request: each for each in seen.asked()}
    asked_s = {each.request: each.at_s for each in asked.values() if each.kind == "get"}
    sent_s: dict[str, float] = {}
    bodies: dict[int, Decimal] = {}
    for fact in seen.facts:
        if isinstance(fact, r.Sent):
            sent_s.setdefault(fact.wire_id, fact.at_s)
            bodies.setdefault(fact.serial, fact.quantity)
    for heard, others_open in told:
        if others_open or _had_another_body(heard, asked.get(heard.request or ""), bodies):
            continue
        # The answer to a question may have been on its way since just after it was asked, and knows nothing later.
        known_s = asked_s.get(heard.request or "", seen.end_s)
        until_s = min((a.at_s for a in placed.get(heard.serial, ()) if a.at_s > heard.at_s), default=seen.end_s)
        for leg in seen.truth(heard.serial):
            if leg.accepted_s < until_s and sent_s.get(leg.wire_id, 0.0) <= known_s:
                words = f"told {heard.told.value} ({heard.words}), and it executed on {leg.exchange}"
                yield Violation("I2 guessed", heard.at_s, heard.serial, words)
                break


def _had_another_body(heard: r.Heard, asked: r.Asked | None, bodies: dict[int, Decimal]) -> bool:
    """Whether what was refused is not what was placed: of two bodies under one id, it is the one that came first."""
    if asked is None or asked.kind != "place" or heard.told is not Told.REFUSED:
        return False
    return bodies.get(heard.serial, asked.quantity) != asked.quantity


def _resolved(seen: Seen) -> Iterator[Violation]:
    sent = {fact.serial for fact in seen.facts if isinstance(fact, r.Sent)}
    heard = list(seen.heard())
    for unknown in heard:
        if unknown.told is not Told.UNKNOWN or unknown.kind != "place" or unknown.serial not in sent:
            continue
        due_s = max(unknown.at_s, seen.calm_s) + RESOLVE_S
        if any(h.serial == unknown.serial and h.state in PROVEN and unknown.at_s <= h.at_s <= due_s for h in heard):
            continue
        yield Violation("I2 not resolved", due_s, unknown.serial, f"{unknown.strategy} was told unknown, then nothing")


def _truth_at_the_end(seen: Seen) -> Iterator[Violation]:
    final: dict[int, r.Heard] = {}
    for heard in seen.heard():
        if heard.kind == "get" and heard.at_s >= seen.start_s + seen.plan.times.final_get_s:
            final[heard.serial] = heard
    for strategy in seen.plan.strategies:
        for serial in strategy.orders:
            said = final.get(serial)
            legs = seen.truth(serial)
            if said is None:
                yield Violation("I2 final question unanswered", seen.end_s, serial, "nobody answered")
                continue
            filled = sum((leg.filled_by(said.at_s) for leg in legs), Decimal(0))
            live = [leg for leg in legs if leg.live_at(said.at_s)]
            if said.state is None and legs:
                yield Violation("I2 order forgotten", said.at_s, serial, f"it is on {legs[-1].exchange}: {said.words}")
            elif said.state is not None and said.state not in PROVEN:
                yield Violation("I2 not resolved", said.at_s, serial, f"still {said.state.value} long after the faults")
            elif said.filled is not None and said.filled != filled:
                words = f"{said.filled} filled, says the router, and {filled}, says the exchange"
                yield Violation("I2 fills differ", said.at_s, serial, words)
            elif bool(live) != (said.state in (LegState.OPEN, LegState.PARTIALLY_FILLED)):
                state = said.state.value if said.state is not None else "nothing"
                words = f"{state}, says the router; {'live' if live else 'not live'}, says the exchange"
                yield Violation("I2 states differ", said.at_s, serial, words)


def _fills_told(seen: Seen) -> Iterator[Violation]:
    for fact in seen.facts:
        if isinstance(fact, r.FillHeard):
            true = sum((leg.filled_by(fact.at_s) for leg in seen.truth(fact.serial)), Decimal(0))
            if fact.total > true or fact.quantity <= 0:
                words = f"told {fact.total} filled when it was {true}"
                yield Violation("I2 fill that is none", fact.at_s, fact.serial, words)


def _fenced(seen: Seen) -> Iterator[Violation]:
    route: r.Routed | None = None
    proofs = {traits.name: traits.proof for traits in seen.plan.traits}
    for fact in seen.facts:
        if isinstance(fact, r.Routed):
            route = fact
        elif isinstance(fact, r.Sent):
            goes = route is not None and route.exchange is not None
            if not goes and fact.serial < 0 and fact.serial not in seen.moves:
                continue  # an exit goes to the exchange of its leg, whatever the route
            if not goes or (fact.serial >= 0 and route is not None and route.exchange != fact.exchange):
                words = f"sent to {fact.exchange} when the route was {route.exchange if route is not None else None}"
                yield Violation("I3 sent past the fence", fact.at_s, fact.serial, words)
            if fact.expiry_s > fact.at_s + proofs[fact.exchange].validity_s + 1e-6:
                yield Violation(
                    "I3 expiry too late", fact.at_s, fact.serial, "valid for longer than the exchange's rule"
                )
    for order in seen.orders:
        proof = proofs[order.exchange]
        if order.accepted_s > order.expiry_s + proof.lateness_s + proof.clock_error_s:
            words = f"executed {order.accepted_s - order.expiry_s:.3f} s after its expiry"
            yield Violation("I3 executed after expiry", order.accepted_s, order.serial, words)


def _live(seen: Seen) -> Iterator[Violation]:
    for strategy in seen.plan.strategies:
        for serial, plan in strategy.orders.items():
            if plan.at_s < seen.start_s + seen.plan.times.final_orders_s:
                continue
            answers = [h for h in seen.heard() if h.serial == serial and h.kind == "place"]
            if not any(answer.told is Told.ACCEPTED for answer in answers):
                words = f"the last order: {answers[0].told.value}, {answers[0].words}" if answers else "not answered"
                yield Violation("liveness", plan.at_s, serial, words)
