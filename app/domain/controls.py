"""What a person holds the router to, and what each purpose of an order may do under it.

Kept in the journal and read inside the transaction that commits an order: it holds for every connector from the moment
it is written, also while the coordinator that wrote it is dead. Cancels are never held up by it.

    purpose     frozen      reduce-only             its exchange isolated
    ORDER       refused     only what reduces       refused
    EXIT        passes      passes                  passes: it only closes what stands there
    MOVE        refused     passes                  only what reduces there
"""

from __future__ import annotations

from attrs import frozen

from messages.orders import OrderSpec, Purpose


@frozen(kw_only=True)
class Controls:
    """Of the whole router.

    Attributes:
        frozen: Why nothing new is placed; empty where it is.
        reduce_only: Why only what reduces is placed; empty where everything is.
        isolated: By exchange, why it is kept out: it is no candidate, and nothing new is placed there.
    """

    frozen: str = ""
    reduce_only: str = ""
    isolated: tuple[tuple[str, str], ...] = ()

    def why_isolated(self, exchange: str) -> str:
        """Why an exchange is kept out; empty where it is not."""
        return dict(self.isolated).get(exchange, "")


@frozen(kw_only=True)
class Controlled:
    """A control does not let the order be placed now; nothing was sent.

    Attributes:
        code: Stable identifier: frozen, reduce_only_mode or isolated.
    """

    code: str
    words: str


NONE = Controls()


def controlled(controls: Controls, purpose: Purpose, spec: OrderSpec, exchange: str) -> Controlled | None:
    """Why an order may not be committed on an exchange now; None where nothing speaks against it."""
    if controls is NONE or purpose is Purpose.EXIT:
        return None
    if controls.frozen:
        return Controlled(code="frozen", words=f"Trading is frozen: {controls.frozen} Cancels still pass.")
    if purpose is Purpose.ORDER and controls.reduce_only and not spec.reduce_only:
        words = f"Only orders that reduce a position are taken: {controls.reduce_only}"
        return Controlled(code="reduce_only_mode", words=words)
    isolated = controls.why_isolated(exchange)
    if isolated and not (purpose is Purpose.MOVE and spec.reduce_only):
        return Controlled(code="isolated", words=f"{exchange} is isolated: {isolated} Nothing new is placed there.")
    return None
