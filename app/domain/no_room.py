"""What a call comes to that our own rate limiter does not let go: nothing was sent."""

from __future__ import annotations

from app.domain.calls import CallFailed

NO_ROOM = "no_room"
"""Code of a call that our own rate limiter did not let go before its deadline: nothing was sent."""

BANNED = "banned"
"""Code of a call that was not sent, since the exchange will not answer us for a long time: as good as down."""


def no_room(exchange: str, banned_s: float) -> CallFailed:
    """A call that cannot be let go in time; `banned_s` is for how long the exchange will not answer us, above zero."""
    if banned_s > 0:
        words = f"{exchange} has banned us for its rate limit, for another {banned_s:.0f} s."
        return CallFailed(code=BANNED, words=words, ill=True, retry_after_s=banned_s)
    return CallFailed(code=NO_ROOM, words=f"The rate limit of {exchange} leaves no room before the deadline.")


def left_no_room(exchange: str) -> CallFailed:
    """A call that waited and was not let go in time."""
    return CallFailed(code=NO_ROOM, words=f"The rate limit of {exchange} left no room before the deadline.")
