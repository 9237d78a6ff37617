"""Whether what is sent again can be told apart by its exchange from what was sent before.

Sent once more after it was proven absent, an order keeps its id, so that the exchange's own check for duplicates guards
it should the proof be wrong. Under another id nothing does. So within one epoch, on one exchange, another id follows
only where it is shown what became of the last one: its engine took it, it was refused by a code, or each time that it
was sent the answer was that it is not executed, as where no connection was had. So it is of what was carried, too, as
long as it is sent for as much.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from app.fuzz import record as r
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation

RULE = "I1 another id after absence"


def again_violations(seen: Seen) -> Iterator[Violation]:
    """Every violation."""
    taken = {order.wire_id for order in seen.orders}
    epoch, sends, last = 0, Counter[str](), dict[tuple[int, str], tuple[int, r.Sent]]()
    for fact in seen.facts:
        if isinstance(fact, r.Routed):
            epoch = fact.epoch
        elif isinstance(fact, r.Sent) and fact.serial > 0:
            before = last.get((fact.serial, fact.exchange))
            last[fact.serial, fact.exchange] = epoch, fact
            sends[fact.wire_id] += 1
            if before is None or before[0] != epoch or before[1].wire_id == fact.wire_id:
                continue
            was = before[1]
            if was.quantity != fact.quantity:
                continue
            told = any(serial == fact.serial and was.at_s <= at_s <= fact.at_s for at_s, serial in seen.refused)
            turned_away = sum(wire_id == was.wire_id and at_s <= fact.at_s for at_s, wire_id in seen.turned_away)
            if was.wire_id not in taken and not told and turned_away < sends[was.wire_id]:
                words = f"…{fact.wire_id[-6:]} after …{was.wire_id[-6:]}, of which {fact.exchange} knows nothing"
                yield Violation(RULE, fact.at_s, fact.serial, words)
