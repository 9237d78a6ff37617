"""`python -m benchmarks.journal`, or `make bench-journal`: what the journal costs, and whether it costs more with age.

Everything is measured beside an empty journal in one run, in turns: the journal alone (with the durability of a process
and of power), placing through the real daemon on a simulated exchange, what of an order's time is the journal's, and
how long it takes until orders flow after a connector was killed and after the whole daemon was, with orders live and in
doubt. The old journal is one of a million orders that ended (`benchmarks.grown`), kept in a folder for the next run.
Rely on the ratios, and on nothing where the result says that the machine was busy.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderRouter, OrderRouterError
from app.domain.leg_life import LegEvent
from app.journal.checkpoints import Checkpointer
from app.journal.store import Committed, Journal
from benchmarks import machine
from benchmarks.compare import client, turn
from benchmarks.contest import PRICE, QTY, router_tables
from benchmarks.exchange import ROOT, exchanges
from benchmarks.figures import FLOOD, SERIAL, percentile
from benchmarks.grown import COINS, STRATEGIES, kept
from benchmarks.trace import traced
from messages.market import MarketType, Symbol
from messages.orders import OrderKey, OrderSpec, OrderType, Side

RESULTS = ROOT / "benchmarks" / "results" / "journal.json"
KEPT = Path(tempfile.gettempdir()) / f"order-router-journals-{os.getuid()}"
ORDERS, QUICK_ORDERS = 1_000_000, 50_000
LIVE, UNKNOWN = 500, 50
EXCHANGE = "bybit"
EMPTY, OLD = "empty", "old"
ADDS_TURNS = 3
PATIENCE_S = 60.0
BUSY = 0.5
"""Waiting or running processes a core, before the run, from which on the machine counts as busy with something else."""
BARS = {"adds_p50_ms": 0.3, "placing_ratio": 1.1, "recovery_s": 2.0}
"""What is aimed for, at most."""


def main(arguments: Sequence[str]) -> int:
    """Runs, prints, writes. Returns 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.journal", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ORDERS:,} orders and fewer turns, for a look")
    parser.add_argument("--orders", type=int, help="how many orders the old journal has")
    parser.add_argument("--kept", type=Path, default=KEPT, help="where old journals are kept for the next run")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures are written, as JSON")
    given = parser.parse_args(arguments)
    result = run(given.orders or (QUICK_ORDERS if given.quick else ORDERS), given.kept, quick=given.quick)
    given.output.write_text(json.dumps(result, indent=2) + "\n")
    show(result, Console())
    print(f"written to {given.output}")
    return 0


def run(orders: int, keep: Path, *, quick: bool) -> dict[str, Any]:
    """Everything that is measured, as it is written down."""
    console = Console(stderr=True)
    began_s = time.monotonic()
    about = machine.facts()
    busy = about["load_before"][0] > BUSY * (about["cores"] or 1)
    with console.status(f"making a journal of {orders:,} orders"):
        old = kept(keep, orders)
    made_s = time.monotonic() - began_s
    rounds = 6 if quick else 20
    with tempfile.TemporaryDirectory(prefix="order-journal-", dir=keep) as name:
        folder = Path(name)
        with console.status("the journal alone"):
            bare = {
                durability: _bare(old, folder / durability, power_safe=durability == "power", rounds=rounds)
                for durability in ("process", "power")
            }
        with console.status("what is asked of it"):
            asked = _asked(old, folder / "asked")
        with console.status("placing"):
            placing = _placing(old, folder / "placing", rounds=rounds, orders=60)
        with console.status("what it adds"):
            adds = _adds(old, folder / "adds", orders=100 if quick else 400)
        with console.status("recovering"):
            recovery = {
                which: _recovery(old if which == OLD else None, folder / f"recovery-{which}") for which in (EMPTY, OLD)
            }
    return {
        "schema": 1,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **machine.commit(ROOT),
        "machine": {**about, "load_after": [round(load, 2) for load in os.getloadavg()]},
        "busy": busy,
        "settings": {"exchange": EXCHANGE, "orders": orders, "live": LIVE, "unknown": UNKNOWN, "quick": quick},
        "bars": BARS,
        "old_journal": {"mb": round(old.stat().st_size / 1e6), "bytes_per_order": round(old.stat().st_size / orders)},
        "bare": bare,
        "asked_ms": asked,
        "placing": placing,
        "adds": adds,
        "recovery_s": recovery,
        "making_it_s": round(made_s, 1),
        "took_s": round(time.monotonic() - began_s, 1),
    }


# ------------------------------------------------------------------------------------------------ the journal alone


def _bare(old: Path, folder: Path, *, power_safe: bool, rounds: int) -> dict[str, Any]:
    """Intent and outcome, in turns of a few orders, each journal's log copied by its own thread as in a daemon."""
    folder.mkdir()
    times: dict[str, dict[str, list[float]]] = {which: {"intent": [], "outcome": []} for which in (EMPTY, OLD)}
    ratios = []
    with ExitStack() as stack:
        journals = {}
        for which in (EMPTY, OLD):
            path = folder / f"{which}.db"
            if which == OLD:
                _copied(old, path)
            journals[which] = stack.enter_context(closing(Journal(path, power_safe=power_safe)))
            _routed(journals[which])
            checkpointer = Checkpointer(path)
            checkpointer.start()
            stack.callback(checkpointer.close)
        for number in range(rounds * 4):
            medians = {}
            for which in (EMPTY, OLD) if number % 2 == 0 else (OLD, EMPTY):
                intents, outcomes = _life(journals[which], number, 50)
                times[which]["intent"] += intents
                times[which]["outcome"] += outcomes
                medians[which] = median(map(sum, zip(intents, outcomes, strict=True)))
            if number >= 2:
                ratios.append(medians[OLD] / medians[EMPTY])
        log_mb = {which: round((folder / f"{which}.db-wal").stat().st_size / 1e6, 1) for which in journals}
    return {
        **{
            which: {
                f"{what}_{name}_us": round(1e6 * percentile(found, percent), 1)
                for what, found in times[which].items()
                for name, percent in (("p50", 50), ("p99", 99))
            }
            | {"log_mb": log_mb[which]}
            for which in times
        },
        "ratio": round(median(ratios), 3),
    }


def _copied(old: Path, path: Path) -> None:
    """Down to the disk: what the kernel has still to write of it would be waited for by whoever is measured next."""
    shutil.copy(old, path)
    handle = os.open(path, os.O_RDWR)
    os.fsync(handle)
    os.close(handle)


def _routed(journal: Journal) -> None:
    journal.commit_route(journal.fence(time.time()).epoch, EXCHANGE, time.time())


def _life(journal: Journal, number: int, orders: int) -> tuple[list[float], list[float]]:
    epoch = journal.route().epoch
    intents, outcomes = [], []
    spec = OrderSpec(
        symbol=Symbol(base="BTC", quote="USDT", settle="USDT", market_type=MarketType.SWAP),
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(QTY),
        price=Decimal(PRICE),
    )
    for place in range(orders):
        key = OrderKey(strategy="default", client_order_id=f"bench-{number}-{place}")
        now_s = time.time()
        began_s = time.perf_counter()
        made = journal.commit_intent(
            exchange=EXCHANGE, epoch=epoch, key=key, spec=spec, expiry_s=now_s + 5, now_s=now_s
        )
        then_s = time.perf_counter()
        assert isinstance(made, Committed), made
        journal.record(
            made.order.order_id, 1, LegEvent.SEEN_OPEN, now_s=now_s, exchange_order_id=f"{number:09}{place:09}"
        )
        ended_s = time.perf_counter()
        intents.append(then_s - began_s)
        outcomes.append(ended_s - then_s)
    return intents, outcomes


def _asked(old: Path, folder: Path) -> dict[str, dict[str, float]]:
    """What the actors ask when no order waits: the best of three, in milliseconds."""
    folder.mkdir()
    _copied(old, folder / f"{OLD}.db")
    symbol = Symbol(base=COINS[0], quote="USDT", settle="USDT", market_type=MarketType.SWAP)
    now_s = time.time()
    questions: dict[str, Callable[[Journal], Any]] = {
        "open it": lambda journal: Journal(Path(journal._where)).close(),
        "open orders of a connector": lambda journal: journal.open_orders(exchange=EXCHANGE),
        "orders with exits": lambda journal: journal.linked(EXCHANGE),
        "book": Journal.book,
        "counts": Journal.counts,
        "symbols of a pre-flight": lambda journal: journal.symbols(now_s - 7 * 86_400.0),
        "newest closed orders": lambda journal: journal.closed_orders(STRATEGIES[0], None, 50),
        "newest closed orders of a symbol": lambda journal: journal.closed_orders(STRATEGIES[0], symbol, 50),
        "what was told last": lambda journal: journal.told_after(
            STRATEGIES[0], max(0, journal.last_told(STRATEGIES[0]) - 50), 50
        ),
        "history of switches": Journal.switches,
    }
    found: dict[str, dict[str, float]] = {}
    for which in (EMPTY, OLD):
        with closing(Journal(folder / f"{which}.db")) as journal:
            _routed(journal)
            for name, question in questions.items():
                took_s = []
                for _ in range(3):
                    began_s = time.perf_counter()
                    question(journal)
                    took_s.append(time.perf_counter() - began_s)
                found.setdefault(name, {})[which] = round(1000 * min(took_s), 3)
    return found


# ------------------------------------------------------------------------------------------------ the whole daemon


def _state_dir(folder: Path, old: Path | None) -> Path:
    """One with a journal in it, whose pages the kernel has read: a daemon that has run for a while."""
    folder.mkdir(mode=0o700, parents=True)
    if old is not None:
        _copied(old, folder / JOURNAL_NAME)
        os.chmod(folder / JOURNAL_NAME, 0o600)
    return folder


def _placing(old: Path, folder: Path, *, rounds: int, orders: int) -> dict[str, Any]:
    """Orders one by one through two daemons in turns; each has an exchange of its own."""
    figures: dict[str, list[dict[str, float]]] = {EMPTY: [], OLD: []}
    with ExitStack() as stack:
        clients = {}
        for which in (EMPTY, OLD):
            own = folder / which
            _state_dir(own / "state", old if which == OLD else None)
            stack.enter_context(exchanges([EXCHANGE], own))
            clients[which] = stack.enter_context(client(ROOT, EXCHANGE, own))
        for each in clients.values():
            assert each.stdout is not None
            if each.stdout.readline().strip() != "ready":
                raise RuntimeError("A router did not start.")
            for kind in (SERIAL, FLOOD):
                turn(each, kind, 50)
        for number in range(rounds):
            for which in (EMPTY, OLD) if number % 2 == 0 else (OLD, EMPTY):
                figures[which].append(turn(clients[which], SERIAL, orders))
    return {
        **{
            which: {
                f"{name}_ms": round(1000 * median(each[name] for each in found), 3)
                for name in ("order_p50", "order_p99")
            }
            for which, found in figures.items()
        },
        "ratio": round(
            median(after["order_p50"] / before["order_p50"] for before, after in zip(*figures.values(), strict=True)), 3
        ),
    }


def _adds(old: Path, folder: Path, *, orders: int) -> dict[str, Any]:
    """What of an order's time is the journal's two transactions, told by the marks of a traced daemon.

    In turns, and of each the quietest: another program that wants the processor only ever adds to it.
    """
    found: dict[str, list[dict[str, float]]] = {EMPTY: [], OLD: []}
    for number in range(ADDS_TURNS):
        for which in (EMPTY, OLD) if number % 2 == 0 else (OLD, EMPTY):
            own = folder / f"{which}-{number}"
            own.mkdir(parents=True)
            _state_dir(own / "traced", old if which == OLD else None)
            with exchanges([EXCHANGE], own) as facts:
                shown = traced(EXCHANGE, facts[EXCHANGE], own, orders)
            found[which].append({**shown["journal"], "order_p50_with_marks_ms": shown["order_p50_with_marks_ms"]})
            shutil.rmtree(own / "traced")
    return {which: min(turns, key=lambda turn: turn["p50_ms"]) for which, turns in found.items()}


def _recovery(old: Path | None, folder: Path) -> dict[str, Any]:
    """Seconds until a daemon, or a connector that was killed, serves; with orders live and in doubt."""
    state_dir = _state_dir(folder / "state", old)
    with exchanges([EXCHANGE], folder) as facts:
        tables = router_tables(EXCHANGE, facts[EXCHANGE], state_dir)
        tables["router"]["max_unresolved"] = 2 * UNKNOWN
        with _router(tables) as (router, _):
            placed = [_place(router)["orderId"] for _ in range(LIVE + UNKNOWN)]
        doubted = placed[-UNKNOWN:]
        found: dict[str, Any] = {}
        for cold in (False, True):
            _doubt(state_dir, doubted)
            if cold:
                _forgotten(state_dir / JOURNAL_NAME)
            began_s = time.monotonic()
            with _router(tables) as (router, ready_s):
                _place(router)
                served_s = time.monotonic() - began_s
                _proven(state_dir)
                proven_s = time.monotonic() - began_s
                found["daemon_cold" if cold else "daemon"] = {
                    "ready": round(ready_s, 3),
                    "first_order": round(served_s, 3),
                    "all_looked_up": round(proven_s, 3),
                }
                if not cold:
                    found["status_ms"] = _took_ms(router.get_status)
                    found["open_orders_ms"] = _took_ms(lambda: router.get_open_orders())
                    found["closed_orders_ms"] = _took_ms(lambda: router.get_closed_orders())
                    found["killed"] = {
                        name: _killed(router, state_dir, name, doubted)
                        for name in (f"connector:{EXCHANGE}", "failover_coordinator:", "position_synchronizer:")
                    }
        return found


def _killed(router: OrderRouter, state_dir: Path, name: str, doubted: Sequence[str]) -> dict[str, float]:
    pid = _pid(router, name)
    connector = name.startswith("connector")
    if connector:
        _doubt(state_dir, doubted)
    began_s = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    if connector:
        _place(router)
        served_s = time.monotonic() - began_s
        _proven(state_dir)
        return {"first_order": round(served_s, 3), "all_looked_up": round(time.monotonic() - began_s, 3)}
    _pid(router, name, other_than=pid)
    return {"back": round(time.monotonic() - began_s, 3)}


def _pid(router: OrderRouter, name: str, other_than: int | None = None) -> int:
    """Of an actor whose name begins so, once it runs, and in another process than the one that is named."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(OrderRouterError):  # nobody may be there to say it
            for actor in router.get_status(timeout_s=1.0)["actors"]:
                if actor["name"].startswith(name) and actor["pid"] not in (None, other_than):
                    return int(actor["pid"])
        assert time.monotonic() < until_s, f"{name} is not there"
        time.sleep(0.01)


@contextmanager
def _router(tables: Mapping[str, Any]) -> Iterator[tuple[OrderRouter, float]]:
    """A router with a daemon of its own, and the seconds until that was ready."""
    began_s = time.monotonic()
    router = OrderRouter(config=dict(tables))
    router.start()
    ready_s = time.monotonic() - began_s
    try:
        yield router, ready_s
    finally:
        router.close()


def _place(router: OrderRouter) -> Any:
    return router.place_order("BTCUSDT", "Buy", "Limit", QTY, PRICE)


def _took_ms(call: Callable[[], Any]) -> float:
    took_s = []
    for _ in range(5):
        began_s = time.perf_counter()
        call()
        took_s.append(time.perf_counter() - began_s)
    return round(1000 * median(took_s), 2)


def _doubt(state_dir: Path, order_ids: Sequence[str]) -> None:
    """Takes back what is known of some orders that rest: as if their connector had died before any answer came."""
    with closing(sqlite3.connect(state_dir / JOURNAL_NAME, timeout=10.0)) as db, db:
        db.executemany("UPDATE legs SET state = 'unknown' WHERE order_id = ?", [(each,) for each in order_ids])


def _proven(state_dir: Path) -> None:
    """Returns when nothing is in doubt any more."""
    until_s = time.monotonic() + PATIENCE_S
    query = (
        "SELECT count(*) FROM legs WHERE state IN ('intent', 'open', 'partially_filled', 'unknown')"
        " AND state IN ('intent', 'unknown')"
    )
    with closing(sqlite3.connect(state_dir / JOURNAL_NAME)) as db:
        while db.execute(query).fetchone()[0]:
            assert time.monotonic() < until_s, "not everything in doubt was looked up"
            time.sleep(0.005)


def _forgotten(path: Path) -> None:
    """Lets the kernel forget what it has read of a file, as after the machine was started; nobody may have it open."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


# ------------------------------------------------------------------------------------------------ for people


def show(result: Mapping[str, Any], console: Console) -> None:
    """Prints the figures."""
    settings, about = result["settings"], result["machine"]
    words = "busy with something else: believe the ratios at most" if result["busy"] else "quiet"
    console.print(
        f"{settings['orders']:,} orders in {result['old_journal']['mb']:,} MB; the machine was {words} (load"
        f" {about['load_before'][0]:g} before, {about['load_after'][0]:g} after, {about['cores']} cores)"
    )
    table = Table("", EMPTY, OLD, "ratio", "bar")
    for durability, found in result["bare"].items():
        for what in ("intent", "outcome"):
            for name in ("p50", "p99"):
                key = f"{what}_{name}_us"
                row = f"{what} {name}, {durability}"
                table.add_row(row, f"{found[EMPTY][key]:.0f} µs", f"{found[OLD][key]:.0f} µs", "", "")
        table.add_row(f"both, {durability}", "", "", f"{found['ratio']:.2f}", "")
    table.add_section()
    placing = result["placing"]
    for name in ("order_p50_ms", "order_p99_ms"):
        ratio = f"{placing['ratio']:.3f}" if "p50" in name else ""
        bar = f"{BARS['placing_ratio']:g}" if "p50" in name else ""
        table.add_row(name, f"{placing[EMPTY][name]:.2f} ms", f"{placing[OLD][name]:.2f} ms", ratio, bar)
    adds = result["adds"]
    table.add_row(
        "of it the journal's, p50",
        *(f"{adds[which]['p50_ms']:.3f} ms" for which in (EMPTY, OLD)),
        "",
        f"{BARS['adds_p50_ms']:g} ms",
    )
    table.add_section()
    for name, found in result["asked_ms"].items():
        table.add_row(name, f"{found[EMPTY]:.2f} ms", f"{found[OLD]:.2f} ms", "", "")
    table.add_section()
    empty, old = (result["recovery_s"][which] for which in (EMPTY, OLD))
    for start in ("daemon", "daemon_cold"):
        for name in empty[start]:
            table.add_row(f"{start}: {name}", f"{empty[start][name]:.2f} s", f"{old[start][name]:.2f} s", "", "")
    for name in ("status_ms", "open_orders_ms", "closed_orders_ms"):
        table.add_row(name, f"{empty[name]:.1f} ms", f"{old[name]:.1f} ms", "", "")
    for actor, found in old["killed"].items():
        for name, value in found.items():
            bar = f"{BARS['recovery_s']:g} s" if actor.startswith("connector") else ""
            before = f"{empty['killed'][actor][name]:.2f} s"
            table.add_row(f"{actor.rstrip(':')} killed: {name}", before, f"{value:.2f} s", "", bar)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
