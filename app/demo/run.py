"""The demonstration from beginning to end."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderRouter, OrderRouterError
from app.demo.diary import DiaryReader
from app.demo.scene import Scene
from app.demo.script import Act, Script
from app.demo.told import PlainLines, last_word
from app.demo.verdict import Verdict, judge
from app.demo.view import View
from app.demo.world import World, WorldFailed
from app.domain.ids import ROUTER, is_journal_id
from app.journal.store import Journal
from app.launcher.presence import read_presence
from app.process.logs import configure_logs
from app.simulator.client import ControlError
from messages.orders import LegState

EXCHANGES = ("bybit", "okx", "binance", "kraken")
STRATEGY = "demo"
PER_SECOND = 9.0
RATE_LIMIT_PER_S = 100
"""The simulated exchanges take any number; probing twice a second must not use up what orders need."""
FRAME_S = 0.1
LOOK_S = 0.4
"""Between questions for the daemon's status."""
START_TIMEOUT_S = 30.0
SETTLE_TIMEOUT_S = 20.0
"""After the trading time, for the last answers; beyond it what is open is judged as it is."""
STATUS_TIMEOUT_S = 2.0


class DemoFailed(Exception):
    """The demo could not run; one sentence. That is not a verdict."""


class Terminated(BaseException):
    """SIGTERM: leave by the ordinary way, tidily."""


def run_demo(*, seconds: float, as_json: bool, double: bool = False) -> int:
    """Runs it and returns the exit code: 0 when nothing was lost or doubled, 1 when something was, 130 after Ctrl-C.

    Args:
        seconds: How long the strategy trades.
        double: The first order is executed twice by the exchange, which must be found out.

    Raises:
        DemoFailed: Exchanges or daemon did not start, or ended on the way.
    """
    configure_logs(level="CRITICAL")
    try:
        with _by_signal():
            facts = _run(seconds, as_json, double)
    except KeyboardInterrupt:
        return 130
    except Terminated:
        return 143
    except (WorldFailed, OrderRouterError, ControlError, OSError) as error:
        raise DemoFailed(f"the demo could not run to its end: {error}") from None
    if as_json:
        print(json.dumps(facts), flush=True)
    else:
        print("\n".join(["", *last_word(facts, _width())]), flush=True)
    return 0 if facts["sound"] else 1


def _width() -> int:
    return Console().width if sys.stdout.isatty() else 120


@contextlib.contextmanager
def _by_signal() -> Iterator[None]:
    def terminate(_number: int, _frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Tidying up takes a second or two; an impatient Ctrl-C must not leave it half done."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _run(seconds: float, as_json: bool, double: bool) -> dict[str, Any]:
    began_s = time.monotonic()
    scene = Scene(EXCHANGES, seconds)
    world: World | None = None
    router: OrderRouter | None = None
    try:
        with _stage(scene, as_json) as draw:
            draw()
            world = World(EXCHANGES)
            if double:
                world.controls[EXCHANGES[0]].fault("double", call="place", count=1)
            router = OrderRouter(config=_tables(world, seconds), strategy=STRATEGY)
            router.start()
            presence = read_presence(world.state_dir)
            if presence is None or not is_journal_id(presence.journal_id):
                raise DemoFailed("the daemon ended as soon as it had started")
            script = Script(EXCHANGES[0], world.controls[EXCHANGES[0]])
            _play(scene, script, router, DiaryReader(_diary(world)), draw)
            history = router.get_failover_history()
            with _uninterrupted():
                router.close()  # nothing moves any more, so the books can be compared
        verdict = _judge(scene, world, presence.journal_id)
    finally:
        with _uninterrupted():
            if router is not None:
                router.close()
            if world is not None:
                world.close()
    return _facts(scene, script, verdict, history, time.monotonic() - began_s)


def _tables(world: World, seconds: float) -> dict[str, Any]:
    """The daemon's configuration: quick to suspect, since the demo is short."""
    exchanges: dict[str, dict[str, Any]] = {}
    for name, fact in world.facts.items():
        keys = ("base_url", "api_key", "secret", "password")
        exchanges[name] = {key: fact[key] for key in keys if fact[key]}
        exchanges[name]["rate_limit_per_s"] = RATE_LIMIT_PER_S
    exchanges["kraken"]["allow_settlement_change"] = True
    return {
        "router": {
            "primary_exchange": EXCHANGES[0],
            "failover_exchanges": list(EXCHANGES[1:]),
            "state_dir": str(world.state_dir),
            "request_timeout_s": 1.0,
            "order_timeout_s": 3.0,
        },
        "health": {
            "health_check_interval": 0.5,
            "probe_timeout_s": 0.5,
            "max_retry_attempts": 2,
            "retry_delay": 0.2,
        },
        "failover": {"settle_timeout_s": 2.0, "preflight_timeout_s": 2.0},
        "strategies": {
            STRATEGY: {
                "class": "app.demo.strategy:SteadyTrader",
                "args": {"diary": str(_diary(world)), "seconds": seconds, "per_second": PER_SECOND},
            }
        },
        "exchanges": exchanges,
    }


def _diary(world: World) -> Path:
    assert world.folder is not None
    return world.folder / "diary.jsonl"


def _play(scene: Scene, script: Script, router: OrderRouter, diary: DiaryReader, draw: Any) -> None:
    """Until the strategy has finished and everything is known, or time is up."""
    pause = threading.Event()
    look_s = 0.0
    give_up_s = time.time() + START_TIMEOUT_S
    while True:
        scene.now_s = time.time()
        for line in diary.new_lines():
            scene.heard(line)
            if line["what"] == "route":
                look_s = 0.0  # ask at once why, so that cause and effect are told in their order
            if scene.began_s is not None and line["what"] == "placed" and len(scene.orders) == 1:
                give_up_s = scene.began_s + scene.seconds + SETTLE_TIMEOUT_S
        if scene.now_s >= look_s:
            look_s = scene.now_s + LOOK_S
            # Not vital for the verdict: while the coordinator is busy with a switch, the last one stays.
            with contextlib.suppress(OrderRouterError):
                scene.looked(router.get_status(timeout_s=STATUS_TIMEOUT_S))
        script.step(scene)
        draw()
        if scene.now_s > give_up_s:
            if scene.began_s is None:
                raise DemoFailed(f"the strategy placed no order within {START_TIMEOUT_S:g} s")
            return
        if scene.finished and script.act is Act.MENDED and _settled(scene):
            return
        pause.wait(FRAME_S)


def _settled(scene: Scene) -> bool:
    """Nothing is live or unproven any more, by the journal's own count, and the switch is over."""
    if scene.status is None or scene.status["status"] != "ready":
        return False
    counts = scene.status["orders"]
    open_states = (LegState.INTENT, LegState.UNKNOWN, LegState.OPEN, LegState.PARTIALLY_FILLED)
    return not any(counts.get(state.value) for state in open_states)


def _judge(scene: Scene, world: World, journal_id: str) -> Verdict:
    truths = {name: control.truth() for name, control in world.controls.items()}
    for line in DiaryReader(_diary(world)).new_lines()[len(scene.lines) :]:
        scene.heard(line)  # what was written after the last look
    journal = Journal(world.state_dir / JOURNAL_NAME)
    try:
        orders = journal.orders_in(list(LegState), strategy=STRATEGY)
        moves = journal.orders_in(list(LegState), strategy=ROUTER)
    finally:
        journal.close()
    return judge(scene.lines, orders, truths, journal_id=journal_id, strategy=STRATEGY, moves=moves)


def _facts(scene: Scene, script: Script, verdict: Verdict, history: list[Any], duration_s: float) -> dict[str, Any]:
    switches = [entry for entry in history if entry["result"] == "completed"]
    latencies_s, gap_s = scene.latencies_s(), scene.longest_gap_s()
    first = switches[0] if switches else None
    began_s = int(first["timestamp"]) / 1000 if first is not None else None
    return {
        **verdict.facts(),
        "failovers": len(switches),
        "switch_ms": round(first["duration_s"] * 1000, 1) if first is not None else None,
        "detect_ms": (
            round((began_s - script.broke_s) * 1000) if began_s is not None and script.broke_s is not None else None
        ),
        "outage_ms": None if gap_s is None else round(gap_s * 1000),
        "order_ms_median": round(latencies_s[len(latencies_s) // 2] * 1000, 1) if latencies_s else None,
        "executed_unanswered": script.hung,
        "switches": [
            {
                key: entry[key]
                for key in ("from_exchange", "to_exchange", "reason", "duration_s", "epoch", "candidates_rejected")
            }
            for entry in switches
        ],
        "trading_s": scene.seconds,
        "duration_s": round(duration_s, 1),
        "sound": verdict.sound and bool(switches),
    }


@contextlib.contextmanager
def _stage(scene: Scene, as_json: bool) -> Iterator[Any]:
    """How the scene is shown: live on a terminal, as lines elsewhere, not at all for machines."""
    if as_json:
        yield lambda: None
        return
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        lines = PlainLines(scene)
        print("Starting four simulated exchanges, a daemon and a strategy.", flush=True)

        def tell() -> None:
            for line in lines.new():
                print(line, flush=True)

        yield tell
        return
    view = View(scene)
    with Live(view, console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda: live.update(view, refresh=True)
