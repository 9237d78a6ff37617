"""Run simulated exchanges in the foreground: to serve until told to stop, or to run one command under them.

Under a command, a configuration that names the exchanges is written to a temporary folder and ORDER_ROUTER_CONFIG
points to it, so that a bot's own code trades on them unchanged. Nothing outlives this process: the command dies with it
even when it is killed (PR_SET_PDEATHSIG), and what the command left behind is ended (this process is its subreaper).
"""

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil

from app.simulator.server import SimulatedExchange

CONFIG_VARIABLE = "ORDER_ROUTER_CONFIG"
INTERRUPT_GRACE_S = 3.0
"""A terminal's ^C reaches the command by itself; one that does not react by then is sent SIGTERM."""
TERMINATE_GRACE_S = 10.0
"""From SIGTERM to SIGKILL, for the command and for what it left behind."""
EXIT_NOT_FOUND = 127
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37


SPOT_HOSTS = {"binance": "binance_spot", "kraken": "kraken_spot"}
"""Where spot of an exchange is a host and an account of its own, by the router's names and the simulator's."""


def simulate(
    exchanges: Sequence[str],
    ready: Path | None,
    command: Sequence[str],
    *,
    books: Path | None = None,
    market_type: str = "swap",
) -> int:
    """Run `exchanges`, and `command` under them; returns its exit code (128 + n when signal n ended it).

    ready: file written, atomically and readable by the owner only, once every exchange answers: a JSON object by
    exchange of base_url, control_url, api_key, secret, password. Without a command this serves until SIGINT or SIGTERM,
    prints a line for each exchange, and returns 0. A command that cannot be started gives 127.
    books: a folder in which each exchange keeps its books, made if it is not there: killed and started again, the
    exchanges go on with them, on the same ports and under the same keys.
    market_type: "swap" or "spot", which the command is to trade: spot of Binance and of Kraken are other hosts.
    Raises ValueError for no exchange, one named twice, an unknown one, a simulator's name of spot under a command, or
    books that are none; OSError if a file cannot be written or a port is taken.
    """
    if not exchanges:
        raise ValueError("Name at least one exchange to simulate.")
    if len(set(exchanges)) != len(exchanges):
        raise ValueError(f"An exchange is named twice in {', '.join(exchanges)}.")
    spot = [name for name in exchanges if name.endswith("_spot")]
    if command and spot:
        raise ValueError(f"{', '.join(spot)} cannot be named to a command: name the exchange, with --market-type spot.")
    if books is not None:
        books.mkdir(mode=0o700, parents=True, exist_ok=True)
    hosts = {name: SPOT_HOSTS.get(name, name) if market_type == "spot" else name for name in exchanges}
    return asyncio.run(_simulate(hosts, ready, list(command), books, market_type))


async def _simulate(
    hosts: Mapping[str, str], ready: Path | None, command: list[str], books: Path | None, market_type: str
) -> int:
    stop = asyncio.Event()
    received: list[signal.Signals] = []
    async with AsyncExitStack() as stack:
        stack.enter_context(_signals(stop, received))
        facts: dict[str, dict[str, str]] = {}
        for name, host in hosts.items():
            exchange = await stack.enter_async_context(
                await SimulatedExchange.start(host, books=books / f"{host}.jsonl" if books else None)
            )
            facts[name] = {
                "base_url": exchange.base_url,
                "control_url": exchange.control_url,
                "api_key": exchange.api_key,
                "secret": exchange.secret,
                "password": exchange.password,
            }
        if ready is not None:
            stack.callback(lambda: ready.unlink(missing_ok=True))
            _write_private(ready, json.dumps(facts, indent=2) + "\n")
        if command:
            return await _under(command, facts, market_type, stop, received)
        for name, fact in facts.items():
            print(f"{name}: exchange {fact['base_url']}, control {fact['control_url']}", flush=True)
        await stop.wait()
        return 0


@contextlib.contextmanager
def _signals(stop: asyncio.Event, received: list[signal.Signals]) -> Iterator[None]:
    """SIGINT and SIGTERM set `stop`, and are put back afterwards."""
    loop = asyncio.get_running_loop()

    def note(number: signal.Signals) -> None:
        received.append(number)
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, note, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


# ---- a command under the exchanges ----------------------------------------------------------------------------------


async def _under(
    command: list[str],
    facts: Mapping[str, Mapping[str, str]],
    market_type: str,
    stop: asyncio.Event,
    received: list[signal.Signals],
) -> int:
    folder = Path(tempfile.mkdtemp(prefix="order-sim-"))
    try:
        config = folder / "order-router.toml"
        _write_private(config, configuration(facts, folder / "state", market_type))
        async with _reaping():
            try:
                child = subprocess.Popen(
                    command, env={**os.environ, CONFIG_VARIABLE: str(config)}, preexec_fn=_die_with(os.getpid())
                )
            except OSError as error:
                print(f"The command {command[0]!r} cannot be started: {error.strerror}.", file=sys.stderr)
                return EXIT_NOT_FOUND
            code = await _wait(child, stop, received)
        return code if code >= 0 else 128 - code
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _wait(child: "subprocess.Popen[bytes]", stop: asyncio.Event, received: list[signal.Signals]) -> int:
    """Wait for the command's end; pass on what we are told, at last with SIGKILL."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    handle = os.pidfd_open(child.pid)
    asyncio.get_running_loop().add_reader(handle, _finish, ended)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            if received and received[0] is signal.SIGINT:
                await asyncio.wait((ended,), timeout=INTERRUPT_GRACE_S)
            for number in (signal.SIGTERM, signal.SIGKILL):
                if not ended.done():
                    child.send_signal(number)
                    await asyncio.wait((ended,), timeout=TERMINATE_GRACE_S)
        return child.wait()
    finally:
        stopped.cancel()
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
        if child.poll() is None:
            child.kill()
            child.wait()


def _finish(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)


def _die_with(parent: int) -> Callable[[], None]:
    """What the child runs between fork and exec: die when the parent does, also if it died already."""
    libc = ctypes.CDLL(None, use_errno=True)

    def arm() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(EXIT_NOT_FOUND)

    return arm


@asynccontextmanager
async def _reaping() -> AsyncIterator[None]:
    """Adopt what the command leaves behind, and end it: SIGTERM, then SIGKILL."""
    libc = ctypes.CDLL(None, use_errno=True)
    was = ctypes.c_int(0)
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(was), 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    me = psutil.Process()
    before = set(me.children(recursive=True))
    try:
        yield
    finally:
        left = [p for p in me.children(recursive=True) if p not in before]
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = await asyncio.to_thread(psutil.wait_procs, left, TERMINATE_GRACE_S)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        await asyncio.to_thread(psutil.wait_procs, alive, TERMINATE_GRACE_S)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, was.value, 0, 0, 0)


# ---- files ----------------------------------------------------------------------------------------------------------


def configuration(facts: Mapping[str, Mapping[str, str]], state_dir: Path, market_type: str = "swap") -> str:
    """The router's configuration for these exchanges: the first is primary, the others fail over in their order."""
    first, *others = facts
    lines = [
        "[router]",
        f"primary_exchange = {_toml(first)}",
        f"failover_exchanges = [{', '.join(_toml(name) for name in others)}]",
        f"market_type = {_toml(market_type)}",
        f"state_dir = {_toml(str(state_dir))}",
    ]
    for name, fact in facts.items():
        lines += ["", f"[exchanges.{_toml(name)}]"]
        lines += [f"{key} = {_toml(fact[key])}" for key in ("base_url", "api_key", "secret", "password") if fact[key]]
    return "\n".join(lines) + "\n"


def _toml(value: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's."""
    return json.dumps(value)


def _write_private(path: Path, content: str) -> None:
    """Write atomically, readable by the owner only."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
