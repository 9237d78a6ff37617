"""A person who asks things of the whole router: each verb is sent again until it is answered, or its time is up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import define, field

from app.domain.session import RESEND_S
from app.fuzz.book_plan import VerbPlan
from messages.base import Failed, Reply, Request
from messages.control import Drain, Failback, Freeze, Isolate, Panic, ReduceOnlyMode, Release, Unfreeze
from messages.failover import ManualFailover

TIMEOUT_S = 20.0
WHY = "The run asks for it."


@define
class Asking:
    """A verb, and what came of it."""

    at_s: float
    verb: VerbPlan
    request: Request
    reply: Reply | None = None


@define
class Person:
    """Everything a person asked.

    Attributes:
        find: The coordinator's address; None while it is dead.
        tell: Sends a message from outside.
    """

    now: Callable[[], float]
    later: Callable[[float, Callable[[], None]], None]
    find: Callable[[], Any]
    tell: Callable[[Any, Any], None]
    note: Callable[[str, str], None]
    asked: dict[str, Asking] = field(factory=dict)

    def ask(self, verb: VerbPlan) -> None:
        """Begins to ask."""
        correlation_id = f"verb-{len(self.asked)}"
        asking = Asking(self.now(), verb, _request(verb, correlation_id, self.now() + TIMEOUT_S))
        self.asked[correlation_id] = asking
        self.note("person", f"asks: {verb.kind} {verb.exchange}{', a dry run' if verb.dry_run else ''}")
        self._send(asking)

    def _send(self, asking: Asking) -> None:
        if asking.reply is None and self.now() < asking.request.deadline_s:
            coordinator = self.find()
            if coordinator is not None:
                self.tell(coordinator, asking.request)
            self.later(RESEND_S, partial(self._send, asking))

    def heard(self, message: Reply) -> bool:
        """Whether a reply answers a verb."""
        asking = self.asked.get(message.correlation_id)
        if asking is None:
            return False
        asking.reply = asking.reply or message
        words = getattr(message, "words", "")
        self.note("person", f"is answered to {asking.verb.kind} by {type(message).__name__}: {words}")
        return True

    def refused(self) -> list[Asking]:
        """Verbs that were answered by a refusal."""
        return [asking for asking in self.asked.values() if isinstance(asking.reply, Failed)]


def _request(verb: VerbPlan, correlation_id: str, deadline_s: float) -> Request:
    more: dict[str, Any] = {"correlation_id": correlation_id, "deadline_s": deadline_s, "dry_run": verb.dry_run}
    if verb.kind == "plan":
        more["dry_run"] = True
        return ManualFailover(**more, exchange=verb.exchange)
    more["reason"] = WHY
    match verb.kind:
        case "failback":
            return Failback(**more)
        case "isolate":
            return Isolate(**more, exchange=verb.exchange)
        case "release":
            return Release(**more, exchange=verb.exchange)
        case "drain":
            return Drain(**more, exchange=verb.exchange)
        case "freeze":
            return Freeze(**more)
        case "unfreeze":
            return Unfreeze(**more)
        case "reduce-only" | "any order":
            return ReduceOnlyMode(**more, on=verb.kind == "reduce-only")
        case _:
            return Panic(**more, flatten=verb.kind == "flatten")
