"""What the rooms of the router's calls need of it: to ask, and to wait for the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from app.core.calls import Call
from app.core.requests import Requests

T = TypeVar("T")


class Waits(ABC):
    """Somebody who makes blocking calls."""

    _requests: Requests

    @abstractmethod
    def _wait(self, call: Call[T]) -> T:
        """Asks, and waits for what comes of it."""

    @abstractmethod
    def _begin(self, call: Call[T]) -> Callable[[], T]:
        """Asks; what is returned waits for what comes of it."""
