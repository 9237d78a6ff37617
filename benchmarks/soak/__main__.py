"""Twenty minutes of messages between real processes while random ones die: `make soak`, `python -m benchmarks.soak`.

    [--minutes 20] [--rate 500] [--seed N] [--out benchmarks/results/soak.json] [--resume]

A process outside sends `--rate` notes a second to six workers over the Unix transport, a third of them by way of a
second worker and a third by way of two. Every few seconds a worker is killed, crashed, stopped for up to four seconds,
or made to leave; every twenty seconds somebody outside who floods them is killed with -9. Exit code 1 when a message
vanished without anybody having died on its way, was answered twice, or when anything grew. What was measured so far is
kept when the soak is interrupted, and `--resume` adds to it, as further stretches, until the minutes are full.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from app.transport import Mailbox, Undelivered, address_from_str, address_to_str, attach, detach
from app.transport.mailbox import MailboxFullError
from benchmarks.machine import commit, facts
from benchmarks.soak.actors import WORKERS, Answer, AskStaff, Exit, Note, Staff
from benchmarks.soak.books import GIVE_UP_S, Books
from benchmarks.soak.growth import Sample, growth, measure
from benchmarks.soak.hurting import Hurting

ROOT = Path(__file__).resolve().parents[2]
TURN_S = 0.02
STAFF_S = 0.1
SAMPLE_S = 5.0
PASSERBY_S = 20.0
SAVE_S = 60.0


class Stretch:
    """One uninterrupted run: the tree, the sender, the books."""

    def __init__(self, state_dir: Path, *, rate: int, seed: int) -> None:
        self._state_dir = state_dir
        self._rate = rate
        self._key = secrets.token_bytes(32)
        self._host = self._started("benchmarks.soak.host", state_dir)
        told = json.loads(self._line(self._host))
        self._keeper = address_from_str(told["keeper"])
        self._admin_pid = int(told["admin_pid"])
        self._system = attach(0, self._key, base="unix", state_dir=state_dir)
        self._chance = random.Random(seed)
        self._hurting = Hurting(chance=random.Random(seed + 1), due_s=0.0)
        self._staff: Staff | None = None
        self._number = 0
        self.books = Books()
        self.samples: list[Sample] = []
        self.passersby = 0

    def _started(self, module: str, *arguments: object) -> subprocess.Popen[str]:
        started = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert started.stdin is not None
        started.stdin.write(self._key.hex() + "\n")
        started.stdin.flush()
        return started

    @staticmethod
    def _line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()

    def run(self, seconds: float, every_minute: Callable[[float], None]) -> None:
        """Sends, hurts and looks until the time is over, then waits for what is under way.

        Args:
            every_minute: Is called with the seconds gone, and once more at the end.
        """
        with Mailbox(self._system) as mailbox:
            begun_s = time.monotonic()
            until_s = begun_s + seconds
            asked_s = sampled_s = turn_s = 0.0
            save_s = begun_s + SAVE_S
            passerby_s = begun_s + PASSERBY_S
            self._hurting.due_s = begun_s + 10.0
            mailbox.tell(self._keeper, AskStaff())
            while (now_s := time.monotonic()) < until_s or (self.books.waiting and now_s < until_s + 2 * GIVE_UP_S):
                running = now_s < until_s
                self._hear(mailbox.receive(max(0.0, turn_s - now_s)))
                now_s = time.monotonic()
                if now_s >= asked_s:
                    asked_s = now_s + STAFF_S
                    mailbox.tell(self._keeper, AskStaff())
                    self.books.settle(now_s)
                if now_s >= turn_s and self._staff is not None:
                    # Behind by more than a second means that this process was not run: that is not made up for.
                    turn_s = max(turn_s, now_s - 1.0) + TURN_S
                    if running:
                        self._send(mailbox, now_s)
                        self._hurt(mailbox, now_s)
                resumed = self._hurting.go_on(now_s, at_once=not running)
                if resumed:
                    self.books.hurt(resumed, now_s)
                if running and now_s >= sampled_s and self._staff is not None:
                    sampled_s = now_s + SAMPLE_S
                    self._sample(self._staff)
                if running and now_s >= passerby_s:
                    passerby_s = now_s + PASSERBY_S
                    self._passer_by()
                if running and now_s >= save_s:
                    save_s = now_s + SAVE_S
                    every_minute(now_s - begun_s)
        every_minute(min(seconds, time.monotonic() - begun_s))

    def end(self) -> None:
        """The tree is gone after this."""
        self._hurting.go_on(0.0, at_once=True)
        detach(self._system)
        self._host.communicate(timeout=30)

    def _hear(self, got: object | None) -> None:
        now_s = time.monotonic()
        match got:
            case Answer(number=number):
                self.books.answered(number, now_s)
            case Undelivered(message=Note(number=number)):
                self.books.returned(number)
            case Staff():
                gone = {pid for pid, _ in self._staff.workers} if self._staff else set()
                for pid in gone - {pid for pid, _ in got.workers}:
                    self.books.hurt(pid, now_s)
                self._staff = got

    def _send(self, mailbox: Mailbox, now_s: float) -> None:
        assert self._staff is not None
        if len(self._staff.workers) < 3:
            return
        for _ in range(round(self._rate * TURN_S)):
            way = self._chance.sample(self._staff.workers, 1 + self._number % 3)
            self._number += 1
            note = Note(number=self._number, home=mailbox.address, via=tuple(address for _, address in way[1:]))
            self.books.sent(self._number, tuple(pid for pid, _ in way), now_s)
            try:
                mailbox.tell(way[0][1], note)
            except MailboxFullError:
                self.books.returned(self._number)
                self.books.counts["refused_by_the_full_mailbox"] += 1

    def _hurt(self, mailbox: Mailbox, now_s: float) -> None:
        assert self._staff is not None
        if len(self._staff.workers) < WORKERS:
            return
        way = self._hurting.due(now_s)
        if way:
            pid, address = self._chance.choice(self._staff.workers)
            self.books.hurt(pid, now_s)
            self._hurting.hurt(pid, way, now_s)
            if way == "os._exit":
                mailbox.tell(address, Exit())

    def _sample(self, staff: Staff) -> None:
        children = {each.pid: each for each in psutil.Process(self._admin_pid).children()}
        # The admin has two children: the logger and the keeper.
        logger = next((pid for pid in children if pid != staff.keeper_pid), self._admin_pid)
        lasting = {"sender": os.getpid(), "admin": self._admin_pid, "keeper": staff.keeper_pid, "logger": logger}
        self.samples.append(measure(lasting, self._state_dir / "actors", psutil.Process(self._host.pid)))

    def _passer_by(self) -> None:
        assert self._staff is not None
        addresses = [address_to_str(address) for _, address in self._staff.workers]
        passerby = self._started("benchmarks.soak.passerby", self._state_dir, *addresses)
        self._line(passerby)
        passerby.kill()
        passerby.communicate()
        self.passersby += 1

    def result(self, seconds: float) -> dict[str, Any]:
        """What this stretch has shown so far."""
        trips_ms = sorted(1000 * each for each in self.books.round_trips_s if each)
        counts = dict(sorted(self.books.counts.items()))
        problems = growth(self.samples)
        problems += [
            f"{counts[name]} messages {words}"
            for name, words in (
                ("unexplained", "vanished although nobody on their way was hurt"),
                ("answered_twice", "were answered twice"),
            )
            if counts.get(name)
        ]
        return {
            "duration_s": round(seconds, 1),
            "messages": counts,
            "per_s": round(counts.get("sent", 0) / max(seconds, 1.0), 1),
            "round_trip_p50_ms": round(trips_ms[len(trips_ms) // 2], 3) if trips_ms else None,
            "round_trip_p99_ms": round(trips_ms[len(trips_ms) * 99 // 100], 3) if trips_ms else None,
            "hurt": dict(self._hurting.done),
            "deaths": self._staff.deaths if self._staff else 0,
            "floods_killed": self.passersby,
            "first": self.samples[len(self.samples) // 4] if self.samples else {},
            "last": self.samples[-1] if self.samples else {},
            "problems": problems,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Soak the transport.")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=500, help="messages a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "soak.json")
    parser.add_argument("--resume", action="store_true", help="add to what --out has until the minutes are full")
    given = parser.parse_args(arguments)
    before: list[dict[str, Any]] = []
    if given.resume and given.out.exists():
        before = json.loads(given.out.read_text())["stretches"]
    left_s = 60 * given.minutes - sum(each["duration_s"] for each in before)
    if left_s <= 0:
        print(f"{given.out} has its {given.minutes:g} minutes already")
        return 0
    kept: dict[str, Any] = {
        "schema": 1,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **commit(ROOT),
        "machine": facts(),
        "asked": {"minutes": given.minutes, "rate_per_s": given.rate, "seed": given.seed, "workers": WORKERS},
    }
    console = Console()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        stretch = Stretch(Path(folder), rate=given.rate, seed=given.seed + len(before))

        def save(gone_s: float) -> None:
            result = stretch.result(gone_s)
            kept["stretches"] = [*before, result]
            whole_s = sum(each["duration_s"] for each in kept["stretches"])
            kept["complete"] = whole_s >= 60 * given.minutes - 1
            given.out.parent.mkdir(parents=True, exist_ok=True)
            given.out.write_text(json.dumps(kept, indent=2) + "\n")
            console.print(
                f"{whole_s / 60:5.1f} min  {result['messages'].get('answered', 0):>7} answered, "
                f"{result['messages'].get('returned', 0)} returned, "
                f"{result['messages'].get('went_with_an_actor', 0)} went with {result['deaths']} deaths, "
                f"p50 {result['round_trip_p50_ms']} ms; {'; '.join(result['problems']) or 'nothing grows'}",
                soft_wrap=True,
            )

        try:
            stretch.run(left_s, save)
        finally:
            stretch.end()
    return 1 if any(each["problems"] for each in kept["stretches"]) else 0


if __name__ == "__main__":
    sys.exit(main())
