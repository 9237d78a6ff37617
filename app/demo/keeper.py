"""The process that holds what must be tidied away: simulated exchanges and the temporary folder.

It ends when the process that started it does, however that dies: first it waits until the daemon, which ends by the
same sign, has let go of the folder, then removes it. So a demo killed by -9 leaves neither process nor file.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from app.process.lock import LOCK_NAME
from app.process.parent_pipe import wait_for_eof
from app.simulator.thread import SimulatorThread

FREE_TIMEOUT_S = 20.0
"""The daemon ends within its own limits, which are below this; after that the folder goes all the same."""
STATE_NAME = "state"


def main(arguments: list[str]) -> int:
    """Serves until the starter is gone, or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m app.demo.keeper")
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("exchanges", nargs="+")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the starter's to handle
    folder = Path(tempfile.mkdtemp(prefix="order-router-demo-"))
    try:
        with SimulatorThread(given.exchanges) as sims:
            facts = {
                name: {
                    "base_url": sim.base_url,
                    "control_url": sim.control_url,
                    "api_key": sim.api_key,
                    "secret": sim.secret,
                    "password": sim.password,
                }
                for name, sim in sims.all.items()
            }
            os.write(given.ready_fd, json.dumps({"folder": str(folder), "exchanges": facts}).encode() + b"\n")
            os.close(given.ready_fd)
            wait_for_eof(given.parent_fd)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _wait_until_free(folder / STATE_NAME / LOCK_NAME)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _wait_until_free(lock: Path) -> None:
    """Until no process of the daemon holds its state directory any more; at once where there is none."""
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    pause = threading.Event()
    until_s = time.monotonic() + FREE_TIMEOUT_S
    try:
        while time.monotonic() < until_s:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                pause.wait(0.05)
    finally:
        os.close(fd)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
