"""A placement's copies: what an answer about one of them proves of the order, and what it does not."""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve

from app.domain.session import OutcomeUnknown, Resolved, Session, SessionEffect, SessionSettings, Tell
from messages.failover import NotRouted, Route, RouteChanged, RouterState
from messages.market import MarketType, Symbol
from messages.orders import LegState, OrderKey, OrderNotExecuted, OrderRefused, OrderSpec, OrderType, PlaceOrder, Side
from messages.supervision import Directory, DirectoryEntry, Role
from tests.domain.orders import leg, order

SPEC = OrderSpec(
    symbol=Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP),
    side=Side.BUY,
    order_type=OrderType.LIMIT,
    quantity=Decimal("0.001"),
    price=Decimal(20000),
)
ROUTE = Route(epoch=1, exchange="bybit", since_s=0.0)


def directory(generation: int, incarnation: int = 1) -> Directory:
    """One connector and a coordinator."""
    entries = (
        DirectoryEntry(role=Role.CONNECTOR, name="bybit", address=f"b{incarnation}", incarnation=incarnation, pid=1),
        DirectoryEntry(role=Role.FAILOVER_COORDINATOR, name="c", address="c", incarnation=1, pid=2),
    )
    return Directory(generation=generation, journal_id="0" * 8, entries=entries)


def session() -> Session:
    """One that knows where orders go."""
    made = Session(SessionSettings(session_id="s", strategy="t", retry_delay_s=0.1))
    made.directory_told(directory(1), 0.0)
    made.route_told(RouteChanged(route=ROUTE, state=RouterState.READY), 0.0)
    return made


def request(deadline_s: float = 6.0) -> PlaceOrder:
    """A placement."""
    key = OrderKey(strategy="t", client_order_id="o")
    return PlaceOrder(correlation_id="p", deadline_s=deadline_s, epoch=1, key=key, spec=SPEC)


def copies(effects: list[SessionEffect]) -> list[str]:
    """The placements among what is told."""
    return [e.message.correlation_id for e in effects if isinstance(e, Tell) and isinstance(e.message, PlaceOrder)]


def outcome(effects: list[SessionEffect]) -> object:
    """How the one request ended."""
    (resolved,) = [e for e in effects if isinstance(e, Resolved)]
    assert resolved.correlation_id == "p"
    return resolved.outcome


def turned_away(copy: str) -> OrderNotExecuted:
    """The connector did not begin this copy."""
    return OrderNotExecuted(correlation_id=copy, code="busy", words="Busy.")


def test_an_order_whose_only_copy_was_turned_away_is_told_as_not_executed() -> None:
    made = session()
    (copy,) = copies(made.ask(request(), 0.0))
    made.reply(turned_away(copy), 5.95)
    assert copies(made.tick(5.97)) == [], "too late to hear of another copy"
    assert isinstance(outcome(made.tick(6.0)), OrderNotExecuted)


def test_an_answer_about_one_copy_says_nothing_about_another_that_is_under_way() -> None:
    made = session()
    (first,) = copies(made.ask(request(), 0.0))
    (second,) = copies(made.tick(3.0))
    assert first != second
    made.reply(turned_away(first), 5.95)
    assert isinstance(outcome(made.tick(6.0)), OutcomeUnknown), "the second copy may be committed yet"


def test_a_copy_past_its_deadline_ends_nothing_while_another_is_under_way() -> None:
    made = session()
    copies(made.ask(request(), 0.0))
    (second,) = copies(made.tick(3.0))
    late = OrderNotExecuted(correlation_id=second, code="deadline_passed", words="Late.")
    assert made.reply(late, 5.99) == []
    assert isinstance(outcome(made.tick(6.0)), OutcomeUnknown)


def test_every_copy_answered_in_any_order_ends_the_doubt() -> None:
    made = session()
    (first,) = copies(made.ask(request(), 0.0))
    (second,) = copies(made.tick(3.0))
    made.reply(turned_away(second), 5.94)
    made.reply(NotRouted(correlation_id=first, route=ROUTE), 5.95)
    assert isinstance(outcome(made.tick(6.0)), OrderNotExecuted)


def refused(copy: str) -> OrderRefused:
    """A limit does not let this copy through; nothing was committed."""
    return OrderRefused(correlation_id=copy, code="limit_per_second", words="Too many.")


def test_copies_that_waited_for_one_attempt_use_up_one_retry() -> None:
    """Committed, and the connector died: absence is proven seconds later, and by then several copies wait for it."""
    made = session()
    sent = (
        copies(made.ask(request(20.0), 0.0)) + copies(made.tick(3.0)) + copies(made.tick(6.0)) + copies(made.tick(9.0))
    )
    assert len(sent) == 4
    for attempts in range(1, 4):
        at_s = 8.0 + attempts
        absent = order(evolve(leg(LegState.ABSENT), attempts=attempts))
        for copy in sent:
            made.reply(OrderNotExecuted(correlation_id=copy, code="absent", words="Absent.", order=absent), at_s)
        sent = copies(made.tick(at_s + 0.2))
        assert len(sent) == (1 if attempts < 3 else 0), "three attempts are allowed"


def test_a_refusal_before_any_commit_ends_the_request_when_no_other_copy_is_under_way() -> None:
    made = session()
    (copy,) = copies(made.ask(request(), 0.0))
    assert outcome(made.reply(refused(copy), 1.0)) == refused(copy)


def test_a_refusal_before_any_commit_is_not_told_while_another_copy_may_still_be_placed() -> None:
    made = session()
    (first,) = copies(made.ask(request(), 0.0))
    (second,) = copies(made.tick(3.0))
    assert made.reply(refused(first), 3.1) == [], "there may be room again when the second comes to its turn"
    assert outcome(made.reply(refused(second), 5.97)) == refused(second)


def test_a_copy_under_way_after_a_refusal_is_in_doubt_at_the_deadline() -> None:
    made = session()
    (first,) = copies(made.ask(request(), 0.0))
    assert copies(made.tick(3.0))
    made.reply(refused(first), 3.1)
    assert isinstance(outcome(made.tick(6.0)), OutcomeUnknown)


def test_a_copy_that_died_with_its_connector_is_in_doubt_until_one_sent_after_is_answered() -> None:
    made = session()
    (first,) = copies(made.ask(request(), 0.0))
    (second,) = copies(made.directory_told(directory(2, incarnation=2), 1.0))
    made.reply(turned_away(first), 1.1)  # sent before the death, come late
    assert made.in_doubt("p", "It ended.") is not None
    made.reply(turned_away(second), 1.2)
    assert made.in_doubt("p", "It ended.") is None


def test_a_request_whose_receivers_die_of_it_is_sent_ever_more_rarely() -> None:
    made = session()
    sent_s = [0.0]
    assert copies(made.ask(request(deadline_s=40.0), 0.0)) == ["p"]
    now_s, alive = 0.0, 1
    while now_s < 30.0:  # each receiver dies at once, and its successor is there a tenth of a second later
        if sent_s[-1] == now_s:
            alive += 1
            now_s += 0.1
            sent = copies(made.directory_told(directory(alive, incarnation=alive), now_s))
        else:
            now_s = made.next_s()
            sent = copies(made.tick(now_s))
        if sent:
            sent_s.append(now_s)
    assert sent_s[1] == 0.1, "one death is no reason to wait"
    assert len([at_s for at_s in sent_s if at_s < 30.0]) <= 5, sent_s


def test_a_receiver_that_had_answered_did_not_die_of_the_request() -> None:
    """Connectors that are killed again and again while they start keep nobody waiting once one of them serves."""
    made = session()
    sent = copies(made.ask(request(deadline_s=40.0), 0.0))
    for incarnation in range(2, 12):
        at_s = 0.1 * incarnation
        made.reply(turned_away(sent[-1]), at_s)
        sent += copies(made.directory_told(directory(incarnation, incarnation=incarnation), at_s + 0.05))
    assert len(sent) == 11, "each successor is asked at once"
    made.reply(turned_away(sent[-1]), 1.2)
    assert len(copies(made.tick(1.31))) == 1, "and the last one again after retry_delay_s"


def test_a_death_while_a_request_waits_its_time_makes_it_wait_no_longer() -> None:
    """It had no copy there."""
    made = session()
    made.ask(request(deadline_s=40.0), 0.0)
    for incarnation in (2, 3):  # two receivers die with it
        made.directory_told(directory(incarnation, incarnation=incarnation), 0.1 * incarnation)
    for incarnation in range(4, 9):
        assert copies(made.directory_told(directory(incarnation, incarnation=incarnation), 0.1 * incarnation)) == []
    assert copies(made.tick(3.29)) == []
    assert len(copies(made.tick(3.31))) == 1


def test_a_renewed_subscription_is_no_news() -> None:
    made = session()
    assert made.route_told(RouteChanged(route=ROUTE, state=RouterState.READY), 10.0) == []
    assert made.route_told(RouteChanged(route=ROUTE, state=RouterState.ERROR), 20.0) != []


def test_what_is_asked_too_late_is_not_sent_at_all() -> None:
    made = session()
    effects = made.ask(request(deadline_s=1.0), 1.0)
    assert copies(effects) == []
    assert isinstance(outcome(effects), OrderNotExecuted)


def sibling(made: Session, deadline_s: float, spec: OrderSpec = SPEC) -> str:
    """The copy of another request under the same id, called q."""
    (copy,) = copies(made.ask(evolve(request(deadline_s), correlation_id="q", spec=spec), 0.0))
    return copy


def told(effects: list[SessionEffect]) -> dict[str, str]:
    """What each request came to."""
    return {e.correlation_id: type(e.outcome).__name__ for e in effects if isinstance(e, Resolved)}


def test_an_order_told_to_be_in_doubt_is_not_told_as_not_executed_of_another_request() -> None:
    """Who places twice under one id, and hears "unknown" and then "not executed", would place it anew."""
    made = session()
    copies(made.ask(request(), 0.0))
    second = sibling(made, 6.1)
    made.reply(turned_away(second), 5.9)
    assert told(made.tick(6.0)) == {"p": "OutcomeUnknown"}
    assert told(made.tick(6.1)) == {"q": "OutcomeUnknown"}, "the copy of the first may have been committed"


def test_an_order_in_doubt_is_not_told_as_not_executed_of_a_request_with_an_earlier_deadline() -> None:
    made = session()
    copies(made.ask(request(), 0.0))
    second = sibling(made, 3.0)
    late = OrderNotExecuted(correlation_id=second, code="deadline_passed", words="Too late.")
    assert told(made.reply(late, 3.0)) == {"q": "OutcomeUnknown"}


def test_an_order_in_doubt_is_not_told_as_refused_of_another_request_unless_its_body_is_another() -> None:
    for code, heard in (("frozen", "OutcomeUnknown"), ("client_order_id_reused", "OrderRefused")):
        made = session()
        copies(made.ask(request(), 0.0))
        second = sibling(made, 6.0, evolve(SPEC, quantity=Decimal("0.002")))
        refusal = OrderRefused(correlation_id=second, code=code, words="No.")
        assert told(made.reply(refusal, 1.0)) == {"q": heard}


def test_a_request_is_told_as_not_executed_beside_one_that_was_turned_away_too() -> None:
    made = session()
    (first,) = copies(made.ask(request(), 0.0))
    second = sibling(made, 6.0)
    made.reply(turned_away(first), 5.95)
    made.reply(turned_away(second), 5.95)
    assert told(made.tick(6.0)) == {"p": "OrderNotExecuted", "q": "OrderNotExecuted"}


def test_an_order_is_not_told_as_not_executed_while_another_request_for_it_may_still_be_sent() -> None:
    made = session()
    (first,) = copies(made.ask(request(), 0.0))
    second = sibling(made, 3.0)
    made.reply(turned_away(first), 2.95)
    made.reply(turned_away(second), 2.95)
    assert told(made.tick(3.0)) == {"q": "OutcomeUnknown"}


def test_what_is_asked_too_late_of_an_order_in_doubt_is_in_doubt() -> None:
    made = session()
    copies(made.ask(request(), 0.0))
    made.tick(6.0)
    assert told(made.ask(evolve(request(6.0), correlation_id="q"), 6.0)) == {"q": "OutcomeUnknown"}
