"""What a transaction of the order path did to the journal."""

from __future__ import annotations

from attrs import frozen

from messages.orders import OrderView


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
        contradiction: The evidence contradicts an earlier proof; the truth was taken over and must be told.
    """

    order: OrderView
    changed: bool
    sequence: int
    contradiction: bool = False
