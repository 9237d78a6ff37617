"""Every verb of the router as a request: what a caller wrote, checked, and how its outcome is to be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from app.core import parse, shapes
from app.core.calls import Call, Reading
from app.core.errors import InvalidRequest
from app.core.settings import Settings
from app.domain.names import UnknownExchange
from app.exchanges.known import known_name
from messages.control import (
    Drain,
    Failback,
    Freeze,
    Isolate,
    Panic,
    ReduceOnlyMode,
    Release,
    Resolve,
    Unfreeze,
    Verb,
)
from messages.failover import ManualFailover

SWITCH_S, VERB_S = 30.0, 10.0
"""How long a verb is waited for where nobody says: one that may move trading, or cancel orders; any other."""


class VerbRequests(ABC):
    """Makes verbs; each raises InvalidRequest for what cannot be."""

    _settings: Settings

    @abstractmethod
    def _frame(self, timeout_s: float | None) -> dict[str, Any]: ...

    @abstractmethod
    def _reading(self) -> Reading: ...

    def _exchange(self, exchange: str) -> str:
        try:
            return known_name(exchange)
        except (UnknownExchange, AttributeError):
            known = ", ".join(self._settings.spell(name) for name in self._settings.config.routed)
            raise InvalidRequest(f"{exchange!r} is not among the configured exchanges: {known}.") from None

    def _verb(self, timeout_s: float | None, dry_run: bool, reason: str, longest_s: float) -> dict[str, Any]:
        dry, wait_s = parse.flag(dry_run, "dry_run"), longest_s if timeout_s is None else timeout_s
        return {**self._frame(wait_s), "dry_run": dry, "reason": parse.reason(reason)}

    def _steered(self, verb: Verb) -> Call[shapes.Steered]:
        return Call(verb, self._reading().steered)

    def plan_failover(self, exchange: str, *, timeout_s: float | None = None) -> Call[shapes.Steered]:
        """Of `OrderRouter.plan_failover`."""
        frame = self._frame(SWITCH_S if timeout_s is None else timeout_s)
        request = ManualFailover(exchange=self._exchange(exchange), dry_run=True, **frame)
        return Call(request, self._reading().steered)

    def failback(
        self, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> Call[shapes.Steered]:
        """Of `OrderRouter.failback`."""
        return self._steered(Failback(**self._verb(timeout_s, dry_run, reason, SWITCH_S)))

    def isolate(
        self, exchange: str, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> Call[shapes.Steered]:
        """Of `OrderRouter.isolate`."""
        name = self._exchange(exchange)
        return self._steered(Isolate(exchange=name, **self._verb(timeout_s, dry_run, reason, SWITCH_S)))

    def release(
        self, exchange: str, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> Call[shapes.Steered]:
        """Of `OrderRouter.release`."""
        name = self._exchange(exchange)
        return self._steered(Release(exchange=name, **self._verb(timeout_s, dry_run, reason, VERB_S)))

    def drain(
        self, exchange: str, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> Call[shapes.Steered]:
        """Of `OrderRouter.drain`."""
        name = self._exchange(exchange)
        return self._steered(Drain(exchange=name, **self._verb(timeout_s, dry_run, reason, SWITCH_S)))

    def freeze(
        self, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> Call[shapes.Steered]:
        """Of `OrderRouter.freeze`."""
        return self._steered(Freeze(**self._verb(timeout_s, dry_run, reason, VERB_S)))

    def unfreeze(
        self, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> Call[shapes.Steered]:
        """Of `OrderRouter.unfreeze`."""
        return self._steered(Unfreeze(**self._verb(timeout_s, dry_run, reason, VERB_S)))

    def reduce_only(
        self, on: bool = True, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> Call[shapes.Steered]:
        """Of `OrderRouter.reduce_only`."""
        wanted = parse.flag(on, "on")
        return self._steered(ReduceOnlyMode(on=wanted, **self._verb(timeout_s, dry_run, reason, VERB_S)))

    def panic(
        self, flatten: bool = False, *, dry_run: bool = False, reason: str = "", timeout_s: float | None = None
    ) -> Call[shapes.Steered]:
        """Of `OrderRouter.panic`."""
        wanted = parse.flag(flatten, "flatten")
        return self._steered(Panic(flatten=wanted, **self._verb(timeout_s, dry_run, reason, SWITCH_S)))

    def resolve(
        self,
        order_id: str,
        how: str = "look",
        *,
        dry_run: bool = False,
        reason: str = "",
        timeout_s: float | None = None,
    ) -> Call[shapes.Steered]:
        """Of `OrderRouter.resolve`."""
        named, wanted = parse.identifier(order_id, "order_id"), parse.resolution(how)
        return self._steered(Resolve(order_id=named, how=wanted, **self._verb(timeout_s, dry_run, reason, VERB_S)))
