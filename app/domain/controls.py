"""What a person holds the router to, and what each purpose of an order may do under it.

Kept in the journal and read inside the transaction that commits an order: it holds for every connector from the moment
it is written, also while the coordinator that wrote it is dead. Cancels are never held up by it.

    purpose     frozen                  reduce-only             its exchange isolated
    ORDER       refused                 only what reduces       refused
    EXIT        passes                  passes                  passes: it only closes what stands there
    MOVE        closing a slice, or     passes, but what        only what reduces there
                what a panic flattens   corrects and may open

A slice that was opened before a freeze is still closed, so that the net is what it was.
A panic is a freeze under which our orders are cancelled for as long as there are any; one that flattens closes our
positions too, until there is none. Both are kept like the freeze, so that whoever is started anew goes on with it.
"""

from __future__ import annotations

from attrs import frozen

from messages.orders import OrderSpec, Purpose


@frozen(kw_only=True)
class Controls:
    """Of the whole router.

    Attributes:
        frozen: Why nothing new is placed; empty where it is.
        panic: Why every order of ours is cancelled; empty where none is.
        flatten: Why our positions are closed as well; empty where they are not.
        reduce_only: Why only what reduces is placed; empty where everything is.
        isolated: By exchange, why it is kept out: it is no candidate, and nothing new is placed there.
    """

    frozen: str = ""
    panic: str = ""
    flatten: str = ""
    reduce_only: str = ""
    isolated: tuple[tuple[str, str], ...] = ()

    def why_isolated(self, exchange: str) -> str:
        """Why an exchange is kept out; empty where it is not."""
        return dict(self.isolated).get(exchange, "")

    def shown(self) -> tuple[str, ...]:
        """What holds, a sentence each."""
        out = []
        if self.flatten:
            out.append(f"Panic: nothing new is placed, our orders are cancelled and our positions closed: {self.panic}")
        elif self.panic:
            out.append(f"Panic: nothing new is placed, and our orders are cancelled: {self.panic}")
        elif self.frozen:
            out.append(f"Trading is frozen: {self.frozen}")
        if self.reduce_only:
            out.append(f"Only orders that reduce a position are taken: {self.reduce_only}")
        return (*out, *(f"{name} is isolated: {why}" for name, why in self.isolated))


@frozen(kw_only=True)
class Controlled:
    """A control does not let the order be placed now; nothing was sent.

    Attributes:
        code: Stable identifier: frozen, reduce_only_mode or isolated.
    """

    code: str
    words: str


NONE = Controls()


FLAT = "/flat"
"""How the client order id of an order ends by which the router closes a position for good."""
CLOSE = "/close"
"""Likewise, by which it closes what it has opened elsewhere."""
CORRECT = "correct/"
"""How the id of one begins that trades back what a person did: it may open, so the reduce-only mode holds it up."""


def controlled(
    controls: Controls, purpose: Purpose, spec: OrderSpec, exchange: str, client_order_id: str = ""
) -> Controlled | None:
    """Why an order may not be committed on an exchange now; None where nothing speaks against it."""
    if controls is NONE or purpose is Purpose.EXIT:
        return None
    closes = purpose is Purpose.MOVE and spec.reduce_only
    flattens = closes and bool(controls.flatten) and client_order_id.endswith(FLAT)
    if controls.frozen and not flattens and not (closes and client_order_id.endswith(CLOSE)):
        return Controlled(code="frozen", words=f"Trading is frozen: {controls.frozen} Cancels still pass.")
    corrects = purpose is Purpose.MOVE and client_order_id.startswith(CORRECT)
    if (purpose is Purpose.ORDER or corrects) and controls.reduce_only and not spec.reduce_only:
        words = f"Only orders that reduce a position are taken: {controls.reduce_only}"
        return Controlled(code="reduce_only_mode", words=words)
    isolated = controls.why_isolated(exchange)
    if isolated and not closes:
        return Controlled(code="isolated", words=f"{exchange} is isolated: {isolated} Nothing new is placed there.")
    return None
