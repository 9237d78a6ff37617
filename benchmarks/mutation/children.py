"""Forks that do one thing each, say what came of it, and are gone; a bounded number at a time."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from attrs import define


@define
class _Child:
    task: Any
    pipe: int


def run_all(tasks: Iterable[Any], do: Callable[[Any], Any], told: Callable[[Any, Any], bool], jobs: int = 1) -> None:
    """Calls `do(task)` in a fork each; `told(task, answer)` in this process, until it returns False.

    The answer is what `do` returned, by way of JSON, or {"died": signal or exit code}.
    """
    running: dict[int, _Child] = {}
    going = True
    for task in tasks:
        if not going:
            break
        pid, pipe = _fork(do, task)
        running[pid] = _Child(task, pipe)
        while len(running) >= jobs:
            going = _reap(running, told) and going
    while running:
        _reap(running, told)


def _fork(do: Callable[[Any], Any], task: Any) -> tuple[int, int]:
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 70
    try:
        os.close(reading)
        answer = json.dumps(do(task)).encode()
        while answer:
            answer = answer[os.write(writing, answer) :]
        code = 0
    except BaseException:
        os.write(writing, json.dumps({"raised": traceback.format_exc()}).encode())
        code = 0
    finally:
        os._exit(code)


def _reap(running: dict[int, _Child], told: Callable[[Any, Any], bool]) -> bool:
    # Read to the end before waiting: a long answer would fill the pipe, and the child wait for us.
    pid, child = next(iter(running.items()))
    parts: list[bytes] = []
    while part := os.read(child.pipe, 1 << 16):
        parts.append(part)
    os.close(child.pipe)
    del running[pid]
    _, status = os.waitpid(pid, 0)
    died = os.waitstatus_to_exitcode(status)
    answer = json.loads(b"".join(parts)) if parts and died == 0 else {"died": died}
    return told(child.task, answer)
