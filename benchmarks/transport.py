"""What a message between actors costs: ours beside Thespian's TCP and a bare pipe, in turns, in one run.

    python -m benchmarks.transport [--rounds 5] [--asks 1000] [--burst 2000] [--out benchmarks/results/transport.json]

Every contestant is a process of its own (`--worker NAME`) that is told by lines what to measure next, so that they take
turns within seconds and meet the same weather on a shared machine. Figures are medians over the rounds; ratios are
medians of the ratios of one round. "tcp" is Thespian's stock base, but for its listeners being on 127.0.0.1; "keyed" is
the project's confined TCP base; "pipe" is `multiprocessing.Pipe` between two processes, the least a pickled message can
cost.

Two processes that talk cost more when the kernel puts them on two cores, one of which must be woken, than on one; which
it does differs from start to start and between contestants. `--cpu 0` keeps all of them on one: like beside like.

ask: from a process outside to an actor and back. actor: from an actor to another and back. tells: messages a second
from outside to an actor, until it has handled the last. burst: the same between two actors, sent by one handler.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
from thespian.actors import Actor, ActorAddress, ActorSystem

from app.process.guards import die_with_parent
from app.transport import free_port, start_system, stop_system
from app.transport.address import LoopbackAddress

WORKERS = ("unix", "keyed", "tcp", "pipe")
ANSWER_S = 30.0
WARM_UP = 50


@attrs.frozen(kw_only=True)
class Note:
    """A small message, of about the size of an order."""

    number: int
    text: str = "BTC/USDT:USDT buy 0.25 limit 64250.5"


@attrs.frozen(kw_only=True)
class Play:
    """Answered by the round trips, in seconds, of `times` messages to `partner` and back."""

    partner: ActorAddress
    times: int


@attrs.frozen(kw_only=True)
class Flood:
    """Sends `times` messages to `partner` at once; answered with the seconds until it has handled them all."""

    partner: ActorAddress
    times: int


@attrs.frozen(kw_only=True)
class Count:
    """Answered when `times` further messages that want no answer have come."""

    times: int


@attrs.frozen(kw_only=True)
class Tick:
    """Wants no answer."""

    number: int


class Player(Actor):  # type: ignore[misc]  # Thespian is untyped
    """Echoes notes, plays with a partner, counts."""

    def __init__(self) -> None:
        self.asker: Any = None
        self.times_s: list[float] = []
        self.play: Play | None = None
        self.began_s = 0.0
        self.expected = self.counted = 0

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:
        """One case a message class."""
        match message:
            case Note() if self.play is not None:
                self.times_s.append(time.perf_counter() - self.began_s)
                if len(self.times_s) == self.play.times:
                    self.play = None
                    self.send(self.asker, self.times_s)
                else:
                    self.serve()
            case Note():
                self.send(sender, message)
            case Tick():
                self.counted += 1
                self.tell_if_done()
            case Play():
                self.asker, self.play, self.times_s = sender, message, []
                self.serve()
            case Flood(partner=partner, times=times):
                self.asker, self.began_s = sender, time.perf_counter()
                self.send(partner, Count(times=times))
                for number in range(times):
                    self.send(partner, Tick(number=number))
            case Count(times=times):
                self.asker, self.expected = sender, times
                self.tell_if_done()
            case "counted":
                self.send(self.asker, time.perf_counter() - self.began_s)

    def serve(self) -> None:
        """One message to the partner."""
        assert self.play is not None
        self.began_s = time.perf_counter()
        self.send(self.play.partner, Note(number=len(self.times_s)))

    def tell_if_done(self) -> None:
        """All came that were announced."""
        if self.expected and self.counted == self.expected:
            self.expected = self.counted = 0
            self.send(self.asker, "counted")


def actors_worker(name: str) -> Callable[[str, int], Any]:
    """Start two actors on the transport `name`; what measures them, and ends them when asked to."""
    if name == "tcp":
        import thespian.system.transport.TCPTransport as module

        module.TCPv4ActorAddress = LoopbackAddress
        system = ActorSystem("multiprocTCPBase", {"Admin Port": free_port()}, transientUnique=True)
    else:
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        base: Any = "tcp" if name == "keyed" else "unix"
        system = start_system(free_port(), secrets.token_bytes(32), base=base, state_dir=folder)
    first, second = system.createActor(Player), system.createActor(Player)

    def measure(what: str, times: int) -> Any:
        match what:
            case "ask":
                times_s = []
                for number in range(times):
                    began_s = time.perf_counter()
                    system.ask(first, Note(number=number), ANSWER_S)
                    times_s.append(time.perf_counter() - began_s)
                return times_s
            case "actor":
                return system.ask(first, Play(partner=second, times=times), ANSWER_S)
            case "tells":
                began_s = time.perf_counter()
                for number in range(times):
                    system.tell(first, Tick(number=number))
                assert system.ask(first, Count(times=times), ANSWER_S) == "counted"
                return time.perf_counter() - began_s
            case "burst":
                return system.ask(first, Flood(partner=second, times=times), ANSWER_S)
        if name == "tcp":
            system.shutdown()
        else:
            stop_system(system)
        return None

    return measure


def pipe_worker() -> Callable[[str, int], Any]:
    """The same for a pipe to a forked process."""
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    die_with_parent()
    other = multiprocessing.get_context("fork").Process(target=_echo, args=(theirs,), daemon=True)
    other.start()

    def measure(what: str, times: int) -> Any:
        if what == "end":
            ours.send(None)
            other.join(ANSWER_S)
            return None
        if what in ("ask", "actor"):
            times_s = []
            for number in range(times):
                began_s = time.perf_counter()
                ours.send(Note(number=number))
                ours.recv()
                times_s.append(time.perf_counter() - began_s)
            return times_s
        began_s = time.perf_counter()
        for number in range(times):
            ours.send(Tick(number=number))
        ours.send(Note(number=0))
        ours.recv()
        return time.perf_counter() - began_s

    return measure


def _echo(pipe: Any) -> None:
    while (message := pipe.recv()) is not None:
        if isinstance(message, Note):
            pipe.send(message)


def work(name: str) -> None:
    """Measure what lines on stdin say, until they end."""
    measure = pipe_worker() if name == "pipe" else actors_worker(name)
    try:
        for what in ("ask", "actor", "tells", "burst"):
            measure(what, WARM_UP)
        print("ready", flush=True)
        for line in sys.stdin:
            what, times = line.split()
            print(json.dumps(measure(what, int(times))), flush=True)
    finally:
        measure("end", 0)


class Worker:
    """A contestant's process."""

    def __init__(self, name: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.transport", "--worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout is not None
        if self.popen.stdout.readline() != "ready\n":
            raise RuntimeError(f"the contestant {name} did not start")

    def measure(self, what: str, times: int) -> Any:
        """Its answer."""
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        print(what, times, file=self.popen.stdin, flush=True)
        return json.loads(self.popen.stdout.readline())

    def end(self) -> None:
        """Wait until it has ended."""
        self.popen.communicate(timeout=60)


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description="Measure what a message between actors costs.")
    parser.add_argument("--worker", choices=WORKERS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--asks", type=int, default=1000)
    parser.add_argument("--burst", type=int, default=2000)
    parser.add_argument("--cpu", type=int, help="keep every process on this core")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/transport.json"))
    given = parser.parse_args()
    if given.worker:
        work(given.worker)
        return
    if given.cpu is not None:
        os.sched_setaffinity(0, {given.cpu})
    workers = {name: Worker(name) for name in WORKERS}
    rounds: list[dict[str, dict[str, float]]] = []
    try:
        for number in range(given.rounds):
            order = WORKERS[number % len(WORKERS) :] + WORKERS[: number % len(WORKERS)]
            rounds.append({name: one_round(workers[name], given.asks, given.burst) for name in order})
            print(f"round {number + 1}: " + ", ".join(f"{n} ask {rounds[-1][n]['ask_p50_us']:.0f} us" for n in WORKERS))
    finally:
        for worker in workers.values():
            worker.end()
    result = summary(rounds, given)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({"median": result["median"], "unix_over": result["unix_over"]}, indent=2))


def one_round(worker: Worker, asks: int, burst: int) -> dict[str, float]:
    """One contestant's turn."""
    figures: dict[str, float] = {}
    for what in ("ask", "actor"):
        times_s = sorted(worker.measure(what, asks))
        figures[f"{what}_p50_us"] = 1e6 * times_s[len(times_s) // 2]
        figures[f"{what}_p99_us"] = 1e6 * times_s[len(times_s) * 99 // 100]
    for what in ("tells", "burst"):
        figures[f"{what}_per_s"] = burst / worker.measure(what, burst)
    return figures


def summary(rounds: list[dict[str, dict[str, float]]], given: argparse.Namespace) -> dict[str, Any]:
    """Medians, and what ours is over each other's."""
    names = list(rounds[0]["unix"])
    return {
        "what": "us a round trip, messages a second one way; medians over rounds, ratios within each round",
        "python": platform.python_version(),
        "thespian": version("thespian"),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "kept_on_cpu": given.cpu,
        "load_1min": round(os.getloadavg()[0], 2),
        "rounds": given.rounds,
        "asks": given.asks,
        "burst": given.burst,
        "median": {w: {n: round(statistics.median(r[w][n] for r in rounds), 1) for n in names} for w in WORKERS},
        "unix_over": {
            w: {n: round(statistics.median(r["unix"][n] / r[w][n] for r in rounds), 3) for n in names}
            for w in WORKERS
            if w != "unix"
        },
        "each_round": [{w: {n: round(v, 1) for n, v in figures.items()} for w, figures in r.items()} for r in rounds],
    }


if __name__ == "__main__":
    main()
