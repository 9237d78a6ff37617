"""What each further connector costs, from what every process has."""

from __future__ import annotations

from benchmarks.memory import COORDINATOR, increments


def test_the_first_switch_is_the_coordinators_and_not_a_connectors() -> None:
    def daemon(connectors: int, coordinator: float) -> dict[str, dict[str, float]]:
        each = {"pss_mb": 18.0, "private_dirty_mb": 15.0}
        return {
            COORDINATOR: {"pss_mb": coordinator + 3.0, "private_dirty_mb": coordinator},
            **{f"connector:{number}": each for number in range(connectors)},
        }

    found = increments([daemon(1, 12.0), daemon(2, 15.0), daemon(3, 16.5)])
    assert found["total_pss_mb"] == [33.0, 54.0, 73.5]
    assert found["increment_mb"] == [21.0, 19.5]
    assert found["coordinator_first_switch_mb"] == 3.0
    assert found["each_further_connector_mb"] == [18.0, 19.5], "what it grows later counts"
    assert found["worst_mb"] == 19.5
