"""Messages to one address as one message: what a message costs is the sending of it, hardly what is in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from messages.base import Together

MAX_TOGETHER = 64
"""Messages in one."""


def gathered(posted: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """(address, message) pairs, those to one address joined; messages to one address keep their order."""
    piles: list[tuple[Any, list[Any]]] = []
    for address, message in posted:
        for to, pile in piles:
            if (to is address or to == address) and len(pile) < MAX_TOGETHER:
                pile.append(message)
                break
        else:
            piles.append((address, [message]))
    return [(to, pile[0] if len(pile) == 1 else Together(messages=tuple(pile))) for to, pile in piles]
