"""`python -m tests.domain.life`, or `make life`: writes docs/LIFE.md from the tables the code acts by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from app.core.render import STATUS_WORDS
from app.domain import leg_table as legs
from app.domain import order_life as orders
from app.domain.leg_table import Contradicts, Illegal, LegEvent, Stale
from app.domain.order_life import Elders, Impossible, OrderState
from messages.orders import LegState

PAGE = Path(__file__).parents[2] / "docs" / "LIFE.md"

_INTRO = """# The lives of orders and legs

Drawn from the tables that the code acts by (`app/domain/leg_table.py`, `app/domain/order_life.py`) by `make life`; a
test holds that this page says what they say.

A *leg* is one placement of an order on one exchange, under one wire id. An *order* is what its legs are together.
Nothing in either moves because of time: only what is learned moves them, and only towards more knowledge, but for the
moves that are named as steps back.
"""

_LEG = """## A leg

"Told" edges are an exchange taking its own word back: what it says of execution is taken over, and the log has
`order.contradiction`. Amounts add to the table: a leg of which all has filled is `filled`, one of which something has
is not `open` but `partially_filled`, and one that has filled in part is never `refused`, but `cancelled`, nor
`absent`, which is *told*. One whose owner has asked for its cancel is `cancelled` where it is proven absent.
"""

_LEG_TABLE = """### Every event in every state

A word is the state the leg is in from then on. *Stale* changes nothing; *told* changes what is said and is logged;
**illegal** is a bug of the router, and is raised before anything is written.
"""

_ORDER = """## An order

For as long as an order has one leg it is what that leg is; `sent` is an intent in the journal, which is sent in the
turn that wrote it. What its older legs executed counts where it has more than one. The last column is what the facade
says as `orderStatus`.
"""

_ORDER_EDGES = """### How an order moves

Drawn from both tables: what an event of its newest leg, or of one held behind it, makes of an order. "Another leg" is
committed where a leg is proven absent, or set aside; "replaced" is the end of a leg and the commit of the one that
takes its place, in one step. Steps only the word of an exchange that is taken back would make are left out.
"""


def page() -> str:
    """All of it."""
    return "\n".join([_INTRO, _LEG, *_leg_diagram(), _LEG_TABLE, *_leg_table(), *_order()])


# ---------------------------------------------------------------------------------------------------- legs


def _leg_diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {LegState.INTENT.value}: committed"
    for state, row in legs.TABLE.items():
        edges: dict[tuple[LegState, bool], list[str]] = {}
        for event, answer in row.items():
            match answer:
                case LegState() if answer is not state:
                    edges.setdefault((answer, False), []).append(event.value)
                case Contradicts(state=new) if new is not state:
                    edges.setdefault((new, True), []).append(event.value)
        for (new, told), events in edges.items():
            yield f"    {state.value} --> {new.value}: {', '.join(events)}{' (told)' if told else ''}"
    for state in sorted(legs.TERMINAL):
        yield f"    {state.value} --> [*]"
    yield "```\n"


def _leg_table() -> Iterator[str]:
    yield _row("", *(state.value for state in LegState))
    yield _row(*["---"] * (len(LegState) + 1))
    for event in LegEvent:
        yield _row(f"`{event.value}`", *(_said(state, legs.TABLE[state][event]) for state in LegState))
    yield ""
    reasons = {
        (kind, answer.why): None
        for row in legs.TABLE.values()
        for answer in row.values()
        for kind, cls in (("stale", Stale), ("told", Contradicts), ("illegal", Illegal))
        if isinstance(answer, cls)
    }
    for kind, title in (("stale", "Stale"), ("told", "Told"), ("illegal", "Illegal")):
        yield f"{title}, since: " + "; ".join(why for k, why in reasons if k == kind) + ".\n"


def _said(state: LegState, answer: legs.Answer) -> str:
    match answer:
        case Stale():
            return "*stale*"
        case Contradicts(state=new):
            return "*told*" if new is state else f"{new.value}, *told*"
        case Illegal():
            return "**illegal**"
        case _:
            return "same" if answer is state else answer.value


# ---------------------------------------------------------------------------------------------------- orders


def _order() -> Iterator[str]:
    yield _ORDER
    heads = {
        Elders.NOTHING: "older legs executed nothing",
        Elders.RESTED: "nothing, but rested",
        Elders.SOME: "some",
        Elders.ALL: "all there was to",
        Elders.IN_DOUBT: "one is held",
    }
    yield _row("newest leg", *(heads[elders] for elders in Elders), "`orderStatus`")
    yield _row(*["---"] * (len(Elders) + 2))
    yield _row("(none yet)", OrderState.INTENT.value, "", "", "", STATUS_WORDS[OrderState.INTENT])
    for state, row in orders.TABLE.items():
        cells = [row[elders] for elders in Elders]
        words = dict.fromkeys(STATUS_WORDS[cell] for cell in cells if isinstance(cell, OrderState))
        shown = [cell.value if isinstance(cell, OrderState) else "-" for cell in cells]
        yield _row(state.value, *shown, ", ".join(words))
    yield ""
    yield _ORDER_EDGES
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {OrderState.INTENT.value}: asked"
    yield f"    {OrderState.INTENT.value} --> {OrderState.SENT.value}: committed"
    for (old, new), events in moves().items():
        yield f"    {old.value} --> {new.value}: {', '.join(events)}"
    yield "```"
    yield ""


def moves() -> dict[tuple[OrderState, OrderState], dict[str, None]]:
    """From and to which state an order moves, and by what, as the two tables say together."""
    found: dict[tuple[OrderState, OrderState], dict[str, None]] = {}

    def add(before: OrderState | Impossible, after: OrderState | Impossible, words: str) -> None:
        if isinstance(before, OrderState) and isinstance(after, OrderState) and before is not after:
            found.setdefault((before, after), {})[words] = None

    for state, row in orders.TABLE.items():
        for elders in Elders:
            for event, answer in legs.TABLE[state].items():
                again = event is LegEvent.RECOMMITTED and row[elders] not in orders.PLACEABLE  # by `commit.already`
                if isinstance(answer, LegState) and answer is not LegState.HELD and not again:
                    add(row[elders], orders.TABLE[answer][elders], event.value)
        for resolved in (Elders.NOTHING, Elders.RESTED, Elders.SOME, Elders.ALL):
            add(row[Elders.IN_DOUBT], row[resolved], "the held leg is proven")
    for elders in Elders:
        if (absent := orders.TABLE[LegState.ABSENT][elders]) in orders.PLACEABLE:
            add(absent, OrderState.SENT, "another leg")
        add(orders.TABLE[LegState.UNKNOWN][elders], OrderState.SENT, "another leg")
        for state in (each for each in LegState if each in legs.LIVE):  # a set has no order of its own
            add(orders.TABLE[state][elders], OrderState.SENT, "replaced")
    return found


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main(write: Iterable[Path] = (PAGE,)) -> None:
    """Writes the page."""
    for path in write:
        path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
