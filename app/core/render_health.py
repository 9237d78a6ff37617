"""What is believed of the exchanges' health, as a bot sees it, and the events that tell of what to put right."""

from __future__ import annotations

from app.core import shapes
from app.core.spelling import Spell, milliseconds
from messages.health import HealthAlarms, HealthState, HealthView, Maintenance, Network, NetworkState, Witness


def health(view: HealthView) -> shapes.ExchangeHealth:
    """What is believed of an exchange."""
    return shapes.ExchangeHealth(
        state=view.state.value,
        believed=view.health.value,
        healthy=view.state is HealthState.WELL,
        reason=view.reason,
        since=milliseconds(view.since_s),
        consecutive_failures=view.consecutive_failures,
        last_ok=milliseconds(view.last_ok_s),
        latency_ms=milli(view.latency_s),
        clock_offset_ms=milli(view.clock_offset_s),
        cause="" if view.cause is None else view.cause.value,
        unfit=view.unfit,
        no_better=view.no_better,
        evidence=list(view.evidence),
        maintenance=None if view.maintenance is None else _maintenance(view.maintenance),
        banned_until=milliseconds(view.banned_until_s),
        credentials=view.credentials,
        halted=dict(view.halted),
        stale=view.stale,
        calls=view.calls,
        failed=view.failed,
        latencies={
            each.kind.value: shapes.CallLatency(recent_ms=milli(each.recent_s), usual_ms=milli(each.usual_s))
            for each in view.latencies
        },
        suspicion=round(view.suspicion, 3),
        rate_limit_used=view.pressure,
        flap_penalty=round(view.penalty, 3),
        hold_until=milliseconds(view.hold_until_s),
    )


def network(found: Network | None, witnesses: tuple[Witness, ...]) -> shapes.OwnNetwork:
    """Our own network."""
    return shapes.OwnNetwork(
        state=(NetworkState.UNKNOWN if found is None else found.state).value,
        words="" if found is None else found.words,
        witnesses=[
            shapes.NetworkWitness(target=each.target, ok=each.ok, words=each.words, timestamp=milliseconds(each.at_s))
            for each in witnesses
        ],
    )


def events(news: HealthAlarms, spell: Spell) -> list[shapes.Event]:
    """What a stream tells of alarms."""
    return [
        shapes.HealthAlarmEvent(
            kind="health_alarm",
            alarm=shapes.HealthAlarm(
                exchange=spell(each.exchange) if each.exchange else "",
                code=each.code,
                words=each.words,
                timestamp=milliseconds(each.at_s),
            ),
            over=over,
        )
        for alarms, over in ((news.raised, False), (news.over, True))
        for each in alarms
    ]


def _maintenance(told: Maintenance) -> shapes.ExchangeMaintenance:
    return shapes.ExchangeMaintenance(begin=milliseconds(told.begin_s), end=milliseconds(told.end_s), words=told.words)


def milli(seconds: float | None) -> float | None:
    """Seconds in ms, as finely as anybody asks; None for None."""
    return None if seconds is None else round(seconds * 1000, 3)
