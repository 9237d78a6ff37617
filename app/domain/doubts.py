"""Orders whose owner was told that nobody can know yet: asked for again and again, until somebody does.

A connector tells the sessions of a strategy whatever it learns, but a message can be lost, and a connector that died
before it told has nobody who tells in its place. So a session does not rely on being told what it owes an answer for.

That the journal does not know an order is an answer too. A placement is begun before its deadline or not at all, and
the order is asked for only after it; so it never was committed, and never will be, unless it is being placed again.

A cancel of which nobody knew is not asked after but asked for again: whoever wanted an order gone wants it so, and the
message may have died with the connector it was sent to before that had kept it. So it ends by being over, one way or
another. A change is asked after until the order says that none is in doubt; it is not made later than its deadline.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Any

from attrs import define, field

from app.domain.order_life import OPEN, PLACEABLE, state_of, unproven
from messages.base import Failed
from messages.orders import CancelOrder, GetOrder, OrderKey, OrderReply, OrderView

ASK_AFTER_S = (2.0, 4.0, 8.0)
"""Between questions after one order; the last one repeats."""

ANSWER_S = 5.0
"""How long an answer may take."""

MAX_DOUBTS = 10_000
"""Orders asked for; one more is left to its owner."""

MARK = "/doubt/"


OVER = frozenset({"order_not_open", "unknown_order"})
"""Codes of answers to a cancel after which there is nothing left to cancel."""


class About(StrEnum):
    """What is in doubt."""

    PLACE = "place"
    CANCEL = "cancel"
    CHANGE = "change"


@define
class _Doubt:
    key: OrderKey | None
    next_s: float
    about: About
    asked: int = 0


@define
class Doubts:
    """The orders in doubt of one session."""

    _doubts: dict[str, _Doubt] = field(init=False, factory=dict)

    def add(self, order_id: str, key: OrderKey | None, now_s: float, about: About = About.PLACE) -> None:
        """Its owner was told that nobody can know yet; `key` where that is known. A cancel goes before all else."""
        before = self._doubts.get(order_id)
        if before is not None:
            before.key = before.key or key
            before.about = About.CANCEL if About.CANCEL in (about, before.about) else about
        elif len(self._doubts) < MAX_DOUBTS:
            self._doubts[order_id] = _Doubt(key, now_s + ASK_AFTER_S[0], about)

    def of(self, key: OrderKey) -> bool:
        """Whether its owner was told that nobody can know yet whether the order of this key was placed."""
        return any(doubt.key == key for doubt in self._doubts.values())

    def told(self, order: OrderView) -> bool:
        """News of an order came; whether they settle a doubt."""
        doubt = self._doubts.get(order.order_id)
        if doubt is None or order.leg is None or not _known(doubt.about, order):
            return False
        del self._doubts[order.order_id]
        return True

    def due(self, session_id: str, strategy: str, now_s: float) -> list[GetOrder | CancelOrder]:
        """The questions it is time for."""
        questions: list[GetOrder | CancelOrder] = []
        for order_id, doubt in self._doubts.items():
            if now_s >= doubt.next_s:
                doubt.next_s = now_s + ANSWER_S + ASK_AFTER_S[min(doubt.asked, len(ASK_AFTER_S) - 1)]
                doubt.asked += 1
                correlation_id = f"{session_id}{MARK}{order_id}"
                deadline_s = now_s + ANSWER_S
                asks = CancelOrder if doubt.about is About.CANCEL else GetOrder
                questions.append(
                    asks(correlation_id=correlation_id, deadline_s=deadline_s, strategy=strategy, order_id=order_id)
                )
        return questions

    def next_s(self) -> float:
        """When a question is due next."""
        return min((doubt.next_s for doubt in self._doubts.values()), default=float("inf"))

    @staticmethod
    def about(correlation_id: str) -> str | None:
        """The order a question of ours was about; None where it is none of ours."""
        _, mark, order_id = correlation_id.rpartition(MARK)
        return order_id if mark else None

    def answered(
        self, order_id: str, outcome: Any, placing: Collection[OrderKey], now_s: float
    ) -> OrderView | OrderKey | None:
        """What an answer settles: the order to tell of, the key of one that was never committed, or nothing yet.

        Args:
            placing: Keys of orders that are being placed again: these may still be committed.
        """
        doubt = self._doubts.get(order_id)
        if doubt is None:
            return None
        match outcome:
            case OrderReply(order=order) if order.leg is not None and _known(doubt.about, order):
                del self._doubts[order_id]
                return order
            case Failed(code=code) if doubt.about is About.CANCEL and code in OVER:
                doubt.about, doubt.next_s = About.PLACE, now_s  # what it is instead of cancelled is asked for once more
                return None
            case Failed(code="unknown_order") if doubt.key is None:
                del self._doubts[order_id]
                return None
            case Failed(code="unknown_order") if doubt.key not in placing:
                del self._doubts[order_id]
                return doubt.key
        doubt.next_s = now_s + ASK_AFTER_S[min(doubt.asked, len(ASK_AFTER_S) - 1)]
        return None


def _known(about: About, order: OrderView) -> bool:
    """Whether what was in doubt is known by what the order is."""
    if about is About.CANCEL:
        return state_of(order) not in OPEN | PLACEABLE
    changing = about is About.CHANGE and order.leg is not None and order.leg.wanted is not None
    return not unproven(order) and not changing
