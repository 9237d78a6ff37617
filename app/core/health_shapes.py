"""Shapes of what is believed of the exchanges' health, and of our own network."""

from __future__ import annotations

from typing import Literal, TypedDict


class CallLatency(TypedDict):
    """How long calls of a kind take, in ms: lately, and usually on this exchange; None where too few are known."""

    recent_ms: float | None
    usual_ms: float | None


class ExchangeMaintenance(TypedDict):
    """A time in which an exchange is closed, as it says; `end` is empty where it does not say until when."""

    begin: str
    end: str
    words: str


class ExchangeHealth(TypedDict):
    """What is believed of an exchange.

    `state` is starting, well, suspect, down, half_open (on trial after it was down), maintenance or isolated, and
    `believed` what evidence says also of one that is isolated. `evidence` are the pieces that decided the last change,
    the newest last, `reason` the same in a sentence, and `cause` what was wrong with its last failing call: silent,
    connection, server, local or maintenance; empty where nothing fails.

    `unfit` says why trading should leave it though it answers, `no_better` why it gains nothing by going there while
    another one is unfit, `credentials` what is wrong with ours, `stale` what no longer moves, `halted` why by symbol;
    each is empty where nothing is. `calls` and `failed` are those of the error-rate window, `rate_limit_used` the share
    that is used of the fullest of the exchange's rate limits, as we count them. `suspicion` is phi of the oldest call
    that has no answer yet; `flap_penalty` counts how often it was down, half of it forgotten in each half-life, and
    until `hold_until` it is not trusted again.
    """

    state: str
    believed: str
    healthy: bool
    reason: str
    since: str
    consecutive_failures: int
    last_ok: str
    latency_ms: float | None
    clock_offset_ms: float | None
    cause: str
    unfit: str
    no_better: str
    evidence: list[str]
    maintenance: ExchangeMaintenance | None
    banned_until: str
    credentials: str
    halted: dict[str, str]
    stale: str
    calls: int
    failed: int
    latencies: dict[str, CallLatency]
    suspicion: float
    rate_limit_used: float
    flap_penalty: float
    hold_until: str


class NetworkWitness(TypedDict):
    """An address that has nothing to do with the exchanges, and whether it could be reached at `timestamp`."""

    target: str
    ok: bool
    words: str
    timestamp: str


class OwnNetwork(TypedDict):
    """Our own network: `state` is theirs (it works, whatever fails), ours (it does not) or unknown."""

    state: str
    words: str
    witnesses: list[NetworkWitness]


class HealthAlarm(TypedDict):
    """Something of ours to put right; `code` is own_network or credentials, and `exchange` empty for own_network."""

    exchange: str
    code: str
    words: str
    timestamp: str


class HealthAlarmEvent(TypedDict):
    """Our own network is down, as it looks, or an exchange does not take our credentials: trading stays where it is.

    Or, where it is `over`, not any more. What stands is told again by a daemon whose coordinator was restarted.
    """

    kind: Literal["health_alarm"]
    alarm: HealthAlarm
    over: bool
