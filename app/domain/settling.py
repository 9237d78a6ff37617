"""Requests to settle an exchange that is left: what they wait for, and what is told at the end."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import define, evolve, field

from app.domain.carry import takes_away
from app.domain.effects import Answer, Asker
from app.domain.leg_task import LegTask
from messages.carries import CarryPolicy
from messages.failover import SettleReply, SettleRequest
from messages.orders import LegState


@define
class _Settling:
    asker: Asker
    request: SettleRequest
    waiting: set[str]
    staying: Collection[str]
    cancelled: list[str] = field(factory=list)


@define
class Settlings:
    """Every request to settle that is not answered yet."""

    exchange: str
    _open: list[_Settling] = field(init=False, factory=list)

    def __len__(self) -> int:
        """How many."""
        return len(self._open)

    def add(
        self, asker: Asker, request: SettleRequest, tasks: Mapping[str, LegTask], staying: Collection[str] = ()
    ) -> None:
        """Somebody waits for everything there is now, but for what stays, of which he is told."""
        self._open.append(_Settling(asker, request, set(tasks).difference(staying), staying))

    def wants_cancelled(self, task: LegTask) -> bool:
        """Whether somebody waits for an order to be cancelled."""
        return any(
            each.request.cancel and task.name in each.waiting and not _to_mark(each, task) for each in self._open
        )

    def to_mark(self, tasks: Mapping[str, LegTask]) -> list[LegTask]:
        """Legs whose orders go on elsewhere, and of which the journal does not say so yet."""
        waiting = ((each, tasks[name]) for each in self._open for name in sorted(each.waiting & tasks.keys()))
        return [task for each, task in waiting if each.request.cancel and _to_mark(each, task)]

    def ended(self, task: LegTask) -> None:
        """A leg can no longer fill."""
        if task.leg.state in (LegState.CANCELLED, LegState.EXPIRED, LegState.DRAINED):
            for each in self._open:
                if task.name in each.waiting:
                    each.cancelled.append(task.order.order_id)

    def answers(self, tasks: Mapping[str, LegTask], now_s: float) -> list[Answer]:
        """Replies to those for whom nothing is left to wait for, or whose time is up; they are forgotten."""
        out: list[Answer] = []
        for each in list(self._open):
            left = [tasks[order_id] for order_id in sorted(each.waiting & tasks.keys())]
            if left and now_s < each.request.deadline_s:
                continue
            self._open.remove(each)
            reply = SettleReply(
                correlation_id=each.request.correlation_id,
                exchange=self.exchange,
                cancelled=tuple(each.cancelled),
                left=tuple(task.left() for task in left)
                + tuple(
                    evolve(tasks[order_id].left(), stays=True) for order_id in sorted(tasks.keys() & set(each.staying))
                ),
            )
            out.append(Answer(asker=each.asker, message=reply))
        return out

    def next_s(self) -> float | None:
        """When the first one's time is up; None when there is none."""
        return min([each.request.deadline_s for each in self._open], default=None)


def _to_mark(each: _Settling, task: LegTask) -> bool:
    goes_on = each.request.policy is not CarryPolicy.DROP and takes_away(task.order, task.leg)
    return goes_on and task.leg.carry_s is None
