"""The live view: exchanges, orders and a timeline, drawn to fit the terminal it finds.

Colours only repeat what the words say, so that nothing is lost without them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from app.demo.scene import Moment, Scene, Shown

BARS = " ▁▂▃▄▅▆▇█"
BARS_ASCII = " .:-=+*#@"
STRIP_WIDTH = 28
FIXED_ROWS = 8
"""Lines besides the last orders and the timeline: rules, exchanges, counts."""
LEAST_ORDERS, MOST_ORDERS = 3, 6
LEAST_MOMENTS, MOST_MOMENTS = 4, 14

STYLES = {"well": "green", "suspect": "yellow", "down": "bold red", "starting": "dim"}
TONES = {"plain": "", "bad": "red", "good": "green"}


class View:
    """A scene as rich draws it; made once, drawn often."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Drawn for the size the terminal has now."""
        scene = self.scene
        height = options.height or console.size.height
        room = max(height - FIXED_ROWS - len(scene.exchanges), 0)
        orders = min(max(room // 3, LEAST_ORDERS), MOST_ORDERS)
        moments = min(max(room - orders, LEAST_MOMENTS), MOST_MOMENTS)
        fancy = not options.ascii_only
        yield Group(
            _rule(f"OrderRouter demo  {clock(scene.elapsed_s)}", fancy),
            _where(scene),
            Text(""),
            _exchanges(scene, fancy),
            _rule("orders", fancy),
            _counts(scene),
            _last_orders(scene, orders),
            _rule("timeline", fancy),
            _timeline(scene, moments, options.max_width),
        )


def clock(seconds: float) -> str:
    """Seconds since the strategy's first order."""
    return f"{seconds:6.2f} s"


def _rule(title: str, fancy: bool) -> RenderableType:
    return Rule(Text(title, style="bold"), characters="─" if fancy else "-", align="left", style="dim")


def _where(scene: Scene) -> Text:
    if scene.began_s is None:
        return Text("starting four simulated exchanges, a daemon and a strategy", style="dim")
    words = f"trading on {scene.active}" if scene.active else "trading on no exchange: it is being moved"
    return Text.assemble(
        (words, "bold" if scene.active else "bold yellow"),
        (f"   {scene.processes} actors, each a process; exchanges are simulated", "dim"),
        overflow="ellipsis",
        no_wrap=True,
    )


def _exchanges(scene: Scene, fancy: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("exchange", no_wrap=True)
    table.add_column("health", min_width=8, no_wrap=True)
    table.add_column("probe", justify="right", min_width=6, no_wrap=True)
    table.add_column(f"accepted, {scene.seconds / STRIP_WIDTH:.2g} s a bar", width=STRIP_WIDTH, no_wrap=True)
    table.add_column("in all", justify="right", no_wrap=True)
    for name in scene.exchanges:
        health = scene.status["exchange_health"].get(name) if scene.status else None
        state = health["state"] if health else "-"
        latency = health["latency_ms"] if health and state in ("well", "suspect") else None
        mark = ("▶ " if fancy else "> ") if name == scene.active else "  "
        table.add_row(
            Text(mark + name, style="bold" if name == scene.active else ""),
            Text(state, style=STYLES.get(state, "dim")),
            Text("-" if latency is None else f"{latency:.0f} ms"),
            Text(strip(scene, name, fancy), style="cyan"),
            Text(str(sum(exchange == name for _, exchange in scene.accepted_at))),
        )
    return table


def strip(scene: Scene, exchange: str, fancy: bool) -> str:
    """Accepted orders over time: one character for an equal share of the trading time, the fullest at full height."""
    bars = BARS if fancy else BARS_ASCII
    counts: dict[str, list[int]] = {name: [0] * STRIP_WIDTH for name in scene.exchanges}
    for at_s, name in scene.accepted_at:
        place = int((at_s - (scene.began_s or at_s)) / scene.seconds * STRIP_WIDTH)
        if name in counts:
            counts[name][min(max(place, 0), STRIP_WIDTH - 1)] += 1
    most = max(max(each) for each in counts.values()) or 1
    # A bin with any order is never drawn empty.
    return "".join(bars[-(-count * (len(bars) - 1) // most)] for count in counts[exchange]).rstrip()


def _counts(scene: Scene) -> Text:
    outcomes = scene.outcomes
    line = Text(overflow="fold")
    parts = [
        ("placed", len(scene.orders), ""),
        ("accepted", outcomes["accepted"], "green"),
        ("waiting", outcomes["waiting"], ""),
        ("open", scene.open, ""),
        ("unknown", scene.unknown, "bold yellow" if scene.unknown else ""),
        ("resolved", scene.resolved, "green" if scene.resolved else ""),
        ("refused", outcomes["refused"], "red" if outcomes["refused"] else ""),
        ("not executed", outcomes["not_executed"], "red" if outcomes["not_executed"] else ""),
    ]
    for word, count, style in parts:
        if word in ("refused", "not executed") and not count:
            continue  # as a rule there are none
        line.append(f"{word} ", style="dim")
        line.append(f"{count}   ", style=style)
    return line


def _last_orders(scene: Scene, rows: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for _ in range(5):
        table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    shown = list(scene.orders.values())[-rows:]
    for order in reversed(shown):
        table.add_row(
            Text(order.client_order_id, style="dim"),
            f"{order.side} {order.quantity} BTCUSDT",
            "at market" if order.price is None else f"limit {order.price}",
            Text(order.exchange or "-"),
            _state(order),
            "-" if order.latency_s is None else f"{order.latency_s * 1000:.0f} ms",
        )
    for _ in range(rows - len(shown)):
        table.add_row("")
    return table


def _state(order: Shown) -> Text:
    if order.outcome is None:
        return Text("waiting for an answer", style="yellow")
    if order.is_unknown:
        return Text("unknown", style="bold yellow")
    state = order.state or order.outcome
    return Text(state.replace("_", " "), style="green" if state == "filled" else "")


def _timeline(scene: Scene, rows: int, width: int) -> RenderableType:
    lines = Text()
    for moment in in_order(list(scene.moments))[-rows:]:
        words = Text(moment.words, style=TONES[moment.tone])
        at = clock(moment.at_s - (scene.began_s or moment.at_s))
        words.truncate(max(width - len(at) - 2, 1), overflow="ellipsis")
        lines.append(f"{at}  ", style="dim")
        lines.append_text(words)
        lines.append("\n")
    lines.rstrip()
    return lines


def in_order(moments: Sequence[Moment]) -> list[Moment]:
    """By time: what is learned late (from a status asked twice a second) may have happened earlier."""
    return sorted(moments, key=lambda moment: moment.at_s)
