"""What actors log in a run: notes of its story, and what must never be logged is a violation."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from attrs import define

from app.fuzz.record import Note, Record, Trouble
from app.fuzz.secrecy import RULE, SECRET

NEVER = ("order.contradiction", "supervisor.gave_up", "connector.unexpected_message", "route.stale")
"""Events that say themselves that something went wrong."""

UNTOLD = frozenset({"evidence", "level"})
"""Of what is logged, too much for a timeline."""


@define
class RunLog:
    """The log of one run; `now` is its clock."""

    record: Record
    now: Callable[[], float]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Whatever is logged within is kept here."""
        before = structlog.get_config()
        structlog.configure(
            processors=[self._logged],
            wrapper_class=structlog.make_filtering_bound_logger(20),
            logger_factory=structlog.ReturnLoggerFactory(),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)

    def _logged(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        name = event.pop("event")
        if SECRET in f"{name} {event}":
            self.record.add(Trouble(self.now(), RULE, f"in the log: {name}"))
        if event.pop("exc_info", None):
            words = "".join(traceback.format_exception(*sys.exc_info(), limit=-8))
            self.record.add(Trouble(self.now(), "actors do not raise", f"{event}\n{words}"))
        elif name in NEVER:
            self.record.add(Trouble(self.now(), name, str(dict(event))))
        elif method != "debug":
            told = (f"{key}={value}" for key, value in event.items() if value and key not in UNTOLD)
            self.record.add(Note(self.now(), "log", " ".join([str(name), *told])))
        raise structlog.DropEvent
