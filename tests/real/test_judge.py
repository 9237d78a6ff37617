"""What is found of a journal that was kept wrongly has the same name for real as in simulation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.fuzz.rules import RULES
from messages.failover import SwitchResult
from tests.fuzz.forged import seen
from tests.real.judge import violations_of


def test_what_is_left_over_in_a_journal_is_named_as_in_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.fuzz.leaks.verify_tables", lambda db: SimpleNamespace(findings=("a chain is broken",)))
    monkeypatch.setattr("tests.real.judge.fills_kept", lambda world: ())
    switches = (
        SimpleNamespace(epoch=1, finished=False, result=SwitchResult.RUNNING),
        SimpleNamespace(epoch=2, finished=True, result=SwitchResult.COMPLETED),
    )
    journal: Any = SimpleNamespace(_db=None, sums_differ=lambda: "order 1", switches=lambda: switches)
    found = [violation.rule for violation in violations_of(seen(), journal)]
    assert found == ["left over: sums", "left over: journal", "left over: saga steps"]
    assert set(found) <= RULES.keys()
