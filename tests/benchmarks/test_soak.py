"""The soak's judges say what is wrong, and a short soak of real processes finds nothing."""

from __future__ import annotations

import json
from pathlib import Path

import psutil

from benchmarks.soak.__main__ import main
from benchmarks.soak.books import GIVE_UP_S, Books
from benchmarks.soak.growth import growth


def test_a_message_that_vanishes_is_explained_only_by_somebody_hurt_on_its_way() -> None:
    """One way of three met a death; the other two have no excuse."""
    books = Books()
    books.sent(1, (10, 11), 100.0)
    books.sent(2, (12,), 100.0)
    books.sent(3, (11,), 200.0)
    books.hurt(11, 100.5)
    books.settle(100.0 + GIVE_UP_S)
    assert books.waiting == 3
    books.settle(201.0 + GIVE_UP_S)
    assert books.counts == {"sent": 3, "went_with_an_actor": 1, "unexplained": 2}


def test_a_second_answer_is_counted_unless_the_first_came_back_unconfirmed() -> None:
    """Unconfirmed is not unhandled."""
    books = Books()
    for number in (1, 2):
        books.sent(number, (10,), 0.0)
    books.answered(1, 0.1)
    books.answered(1, 0.2)
    books.returned(2)
    books.answered(2, 0.3)
    assert books.counts["answered_twice"] == 1
    assert books.counts["answered_though_returned"] == 1


def test_growth_is_told_and_a_start_is_not() -> None:
    """The first quarter may rise; what rises from the second to the last is named."""
    start = [{"a_descriptors": float(n), "a_pss_bytes": 1e6 * n, "sockets": 5.0} for n in range(10)]
    level = [{"a_descriptors": 10.0, "a_pss_bytes": 10e6, "sockets": 5.0} for _ in range(30)]
    assert growth([*start, *level]) == []
    leaking = [{**each, "sockets": 5.0 + n} for n, each in enumerate([*start, *level])]
    assert growth([*start, *level][:7]) == []
    assert growth(leaking) == ["sockets went from 19.5 to 39.5"]


def test_a_short_soak_holds_and_leaves_nothing(tmp_path: Path) -> None:
    """Real processes: every message has its end, and so has every process."""
    before = psutil.Process().children(recursive=True)
    out = tmp_path / "soak.json"
    assert main(["--minutes", "0.1", "--rate", "200", "--out", str(out)]) == 0
    told = json.loads(out.read_text())
    assert told["complete"]
    assert told["stretches"][0]["messages"]["answered"] > 500
    assert psutil.Process().children(recursive=True) == before
    assert main(["--minutes", "0.1", "--out", str(out), "--resume"]) == 0
    assert json.loads(out.read_text()) == told
