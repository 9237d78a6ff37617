"""Bugs that only the reference model finds: no order is lost or doubled by them, and yet what is told is not right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from app.domain import commit, leg_task
from app.domain.commit import already
from app.domain.connector import Connector
from app.domain.effects import Answer, TurnAway
from app.domain.leg_task import place_reply
from app.domain.placing import Placing
from messages.orders import OrderNotExecuted, OrderRefused, OrderReply, OrderType, OrderView
from tests.fuzz.planted import Bug, swapped


@contextmanager
def another_body_not_seen() -> Iterator[None]:
    """An id that is known is answered by what is known of it, whatever body it is asked for with."""

    def blind(known: OrderView | None, spec: Any) -> Any:
        return already(known, spec if known is None else known.spec)

    with swapped(commit, "already", blind):
        yield


@contextmanager
def turned_away_taken_for_refused() -> Iterator[None]:
    """What an exchange turned away for now is told to be refused for good: nothing executes, and nothing is tried."""

    def final(order: OrderView, correlation_id: str) -> Any:
        answer = place_reply(order, correlation_id)
        if isinstance(answer, OrderNotExecuted):
            return OrderRefused(correlation_id=correlation_id, code=answer.code, words=answer.words, order=order)
        return answer

    with swapped(leg_task, "place_reply", final):
        yield


@contextmanager
def cancel_told_before_it_is_done() -> Iterator[None]:
    """Whoever cancels is answered at once; the exchange is asked afterwards."""
    cancel = Connector.cancel

    def hasty(self: Connector, asker: Any, request: Any, order: Any, now_s: float) -> Any:
        effects = cancel(self, asker, request, order, now_s)
        if order is not None and not any(isinstance(effect, Answer) for effect in effects):
            reply = OrderReply(correlation_id=request.correlation_id, order=order)
            effects = [Answer(asker=asker, message=reply), *effects]
        return effects

    with swapped(Connector, "cancel", hasty):
        yield


@contextmanager
def change_told_and_not_made() -> Iterator[None]:
    """Whoever changes an order is told that it is changed, and it is not."""

    def idle(self: Connector, asker: Any, request: Any, order: Any, now_s: float) -> Any:
        return [Answer(asker=asker, message=OrderReply(correlation_id=request.correlation_id, order=order))]

    with swapped(Connector, "amend", idle):
        yield


@contextmanager
def market_orders_turned_away() -> Iterator[None]:
    """A connector always finds itself too busy for a market order, and says so honestly."""
    ask = Placing.ask

    def busy(self: Placing, asker: Any, request: Any, now_s: float, **more: Any) -> Any:
        if request.spec.order_type is OrderType.MARKET:
            words = "Too many orders are on their way already."
            return TurnAway(asker=asker, request=request, code="busy", words=words)
        return ask(self, asker, request, now_s, **more)

    with swapped(Placing, "ask", busy):
        yield


PLANTED_MODEL: Mapping[str, Bug] = MappingProxyType(
    {
        "another body not seen": Bug(another_body_not_seen, "calm", ("model: other",)),
        "turned away taken for refused": Bug(turned_away_taken_for_refused, "storm", ("model: place",)),
        "cancel told before it is done": Bug(cancel_told_before_it_is_done, "calm", ("model: cancel",)),
        "change told and not made": Bug(change_told_and_not_made, "replacing", ("model: amend",)),
        "market orders turned away": Bug(market_orders_turned_away, "calm", ("model: place",)),
    }
)
