"""How the exchanges are, as `status` shows it: a line each, what is out of the ordinary, and all of it on request."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console, Group

from app.cli.health_view import evidence_view, health_notes, health_table
from app.core.render_health import health, network
from messages.health import (
    EvidenceKind,
    HealthState,
    HealthView,
    Latency,
    Maintenance,
    Network,
    NetworkState,
    Witness,
)

AT_S = 1_790_000_000.0


def believed(exchange: str, state: HealthState = HealthState.WELL, **more: Any) -> HealthView:
    return HealthView(
        exchange=exchange,
        state=state,
        since_s=AT_S,
        reason="a signed call was answered",
        consecutive_failures=0,
        last_ok_s=AT_S,
        latency_s=0.05,
        clock_offset_s=0.001,
        **more,
    )


def status(*views: HealthView, own: Network | None = None, witnesses: tuple[Witness, ...] = ()) -> Any:
    return {
        "current_exchange": "bybit",
        "primary_exchange": "bybit",
        "failover_exchanges": [view.exchange for view in views if view.exchange != "bybit"],
        "exchange_health": {view.exchange: health(view) for view in views},
        "own_network": network(own, witnesses),
    }


def shown(*parts: Any) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=200, no_color=True).print(Group(*parts))
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


def test_nothing_is_said_of_what_is_as_it_should_be() -> None:
    """A line for each exchange, the one in use with a star, and no more."""
    found = status(believed("bybit"), believed("okx"))
    assert [line.split()[:2] for line in shown(health_table(found))][1:] == [["bybit", "*"], ["okx", "well"]]
    assert health_notes(found) == []


def test_what_is_out_of_the_ordinary_is_said_a_line_each() -> None:
    """With the exchange that it is about; what comes from outside cannot write to the terminal."""
    ill = believed(
        "bybit",
        unfit="its answers take 0.9 s, 9 times as long as usual",
        credentials="code 10003:\x1b[31m API key is invalid",
        banned_until_s=AT_S + 60,
        maintenance=Maintenance(begin_s=AT_S + 600, end_s=AT_S + 1200, words="upgrade"),
        halted=(("BTC/USDT:USDT", "code 110074"),),
        stale="prices have not moved for 130 s",
        hold_until_s=AT_S + 30,
    )
    own = Network(state=NetworkState.OURS, words="nothing has answered since 12:00:00")
    lines = shown(*health_notes(status(ill, believed("okx"), own=own)))
    assert lines[0] == "our own network: nothing has answered since 12:00:00"
    assert [line.partition(": ")[2].split()[0] for line in lines[1:]] == [
        *("credentials:", "unfit:", "stale:", "we", "maintenance", "BTC/USDT:USDT", "on"),
    ]
    assert all(line.startswith("bybit: ") for line in lines[1:])
    assert "\x1b" not in "".join(lines)


def test_on_request_everything_is_shown_that_a_belief_rests_on() -> None:
    """Counts, latencies by kind, the pieces that decided, and who was asked of our own network."""
    suspect = believed(
        "bybit",
        HealthState.SUSPECT,
        calls=40,
        failed=3,
        suspicion=9.21,
        penalty=1.5,
        evidence=("place: no answer within 2 s (1.5 s before)", "public probe: refused"),
        latencies=(Latency(kind=EvidenceKind.PLACE, recent_s=0.9, usual_s=0.1),),
    )
    own = Network(state=NetworkState.THEIRS, words="okx answered 0.2 s ago")
    witness = Witness(target="192.0.2.1:443", ok=False, at_s=AT_S, words="no answer within 2 s")
    lines = shown(*evidence_view(status(suspect, own=own, witnesses=(witness,))))
    assert lines[1].split()[3:7] == ["40", "3", "9.2", "1.50"]
    assert lines[1].endswith("place 900 ms / 100 ms")
    assert lines[2:6] == [
        "bybit became suspect by:",
        "  place: no answer within 2 s (1.5 s before)",
        "  public probe: refused",
        "our own network: okx answered 0.2 s ago",
    ]
    assert lines[6].startswith("  192.0.2.1:443 not reached: no answer within 2 s (")
