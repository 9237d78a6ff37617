"""The system's clock behind the protocol."""

import time

from app.process.clock import Clock, SystemClock


def test_the_system_clock_is_a_clock() -> None:
    """Seconds never go back; the wall shows the host's date in milliseconds."""
    clock: Clock = SystemClock()
    first_s, second_s = clock.now_s(), clock.now_s()
    assert first_s <= second_s <= time.monotonic()
    assert abs(clock.wall_ms() - time.time() * 1000) < 1000
