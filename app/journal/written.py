"""What a transaction of the order path did to the journal."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from messages.executions import Execution, OrderFilled
from messages.orders import OrderChanged, OrderView


@frozen(kw_only=True)
class Committed:
    """An intent is in the journal: it may be sent now, and must be accounted for from now on."""

    order: OrderView


@frozen(kw_only=True)
class Recorded:
    """What recording an event did.

    Attributes:
        changed: False when the event taught nothing new.
        sequence: Of the journal's event; 0 when nothing changed.
        number: Of what its strategy is told by it; 0 where it is told nothing.
        resolved: Nobody knew whether the order executed, and now it is known.
        grew: Base coin that filled by this.
        excess: Base coin that filled of the order beyond what was asked, where some of it did by this.
        contradiction: The evidence contradicts an earlier proof; the truth was taken over and must be told.
    """

    order: OrderView
    changed: bool
    sequence: int
    number: int = 0
    resolved: bool = False
    grew: Decimal = Decimal(0)
    excess: Decimal = Decimal(0)
    contradiction: bool = False

    def as_news(self) -> OrderChanged:
        """What the sessions of its strategy are told."""
        return OrderChanged(
            sequence=self.sequence,
            order=self.order,
            number=self.number,
            resolved=self.resolved,
            grew=self.grew,
            total=self.order.filled if self.grew else Decimal(0),
        )


@frozen(kw_only=True)
class ToldSoFar:
    """What a strategy was told after a number, oldest first, as far as it was asked for.

    Attributes:
        latest: The number given last; more is to be read while it is above the last of `news`.
    """

    news: tuple[OrderChanged | OrderFilled, ...]
    latest: int


@frozen(kw_only=True)
class FillRecorded:
    """An execution that was not known before.

    Attributes:
        sequence: Of the journal's event.
        number: Of what its strategy is told.
        order: By this execution, and those before it.
    """

    sequence: int
    number: int
    order: OrderView
    execution: Execution

    def as_news(self) -> OrderFilled:
        """What the sessions of its strategy are told."""
        return OrderFilled(sequence=self.sequence, number=self.number, order=self.order, execution=self.execution)


@frozen(kw_only=True)
class FillsRecorded:
    """What recording executions of a leg did.

    Attributes:
        order: As it is by now.
        ahead: What was told first, where they show that more filled than was known.
        fresh: Those that were not known before, in the order in which they were told.
    """

    order: OrderView
    ahead: Recorded | None = None
    fresh: tuple[FillRecorded, ...] = ()
