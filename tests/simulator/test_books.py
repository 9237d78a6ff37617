"""The books as JSON: dumped, loaded, kept change by change; and an exchange that is killed and comes back with them."""

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt.async_support as ccxt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.simulator.books import BadBooks, Books, merge
from app.simulator.client import ControlClient, ControlError
from app.simulator.engine import Engine
from app.simulator.keeping import BooksFile
from app.simulator.model import Refusal
from app.simulator.thread import Simulated, SimulatorThread
from tests.simulator.engines import BTC, D, engine, order, spot, swap
from tests.simulator.real_clients import client_id, eventually, trade
from tests.simulator.test_engine_properties import COMMANDS, LEVEL, RULES, apply, made

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30


def steps(e: Engine, commands: list[tuple[str, int]], start: int) -> None:
    """Apply commands; refusals are part of it."""
    for now_ms, (command, n) in enumerate(commands, start):
        try:
            apply(e, command, n, now_ms)
        except Refusal:
            continue


def copied(e: Engine, into: Engine) -> Engine:
    """`into` with the books of `e`, over JSON."""
    Books(into).load(json.loads(json.dumps(Books(e).dump())))
    return into


@given(COMMANDS, COMMANDS, RULES, LEVEL)
@settings(max_examples=80, deadline=None)
def test_a_copy_goes_on_like_the_original(
    before: list[tuple[str, int]], after: list[tuple[str, int]], rules: dict[str, str], level: Decimal | None
) -> None:
    """The same books at once, and the same orders, fills and money after the same commands."""
    one = made(rules, level)
    other = one.new_account("other")
    steps(one, before, 0)
    steps(other, before[::2], 1000)
    # A market order that a control call filled in part is counted at the price of loading: that alone may differ.
    for e in (one, other):
        for resting in e.open_orders(10**9):
            if resting.price is None and not resting.is_waiting_trigger:
                e.cancel(1999, order_id=resting.order_id)
    two = copied(one, made(rules, level))
    assert Books(two).dump() == Books(one).dump()
    steps(one, after, 2000)
    steps(two, after, 2000)
    assert Books(two).dump() == Books(one).dump()
    assert {c: a for c, a in two.ledger.locked.items() if a} == {c: a for c, a in one.ledger.locked.items() if a}


@given(st.lists(COMMANDS, max_size=5), RULES, LEVEL)
@settings(max_examples=60, deadline=None)
def test_a_dump_and_its_changes_are_the_books(
    parts: list[list[tuple[str, int]]], rules: dict[str, str], level: Decimal | None
) -> None:
    """Each change tells what is new, and together they tell everything."""
    e = made(rules, level)
    books = Books(e)
    books.follow()
    told = [books.dump()]
    for n, commands in enumerate(parts):
        steps(e, commands, n * 1000)
        told.append(books.changes())
    assert books.changes()["accounts"]["main"]["orders"] == []
    whole, now = merge(json.loads(json.dumps(told))), books.dump()
    for account in (*whole["accounts"].values(), *now["accounts"].values()):
        account["orders"].sort(key=lambda o: o["seq"])
    assert whole == now


def test_wrong_books_are_refused_in_a_sentence() -> None:
    """Another exchange's, another version's, half of them, or onto an exchange that has its own."""
    good = Books(engine()).dump()
    used = engine()
    used.place(order(), 1)
    for into, books, words in (
        (used, good, "before anything happened"),
        (engine(), {**good, "version": 2}, "version 2"),
        (engine(swap()), good, "other markets"),
        (engine(), {**good, "accounts": {"main": {"orders": []}}}, "cannot be read"),
        (engine(), {**good, "market": {**good["market"], "lag_ms": "soon"}}, "cannot be read"),
        (engine(), {"version": 1}, "cannot be read"),
    ):
        with pytest.raises(BadBooks, match=words):
            Books(into).load(books)
    with pytest.raises(BadBooks, match="empty"):
        merge([])
    with pytest.raises(BadBooks, match="lack"):
        merge([{"version": 1}])


def test_a_line_that_death_cut_short_is_left_out(tmp_path: Path) -> None:
    """Only the last one; any other that is no JSON is told by its number. The file is private."""
    file = BooksFile(tmp_path / "books")
    assert file.read() == []
    file.start({"a": 1})
    file.add({"b": 2})
    file.close()
    assert (file.path.stat().st_mode & 0o777, os.listdir(tmp_path)) == (0o600, ["books"])
    with file.path.open("ab") as handle:
        handle.write(b'{"c": 3')
    assert file.read() == [{"a": 1}, {"b": 2}]
    with file.path.open("ab") as handle:
        handle.write(b"\n{}\n")
    with pytest.raises(BadBooks, match="Line 3"):
        file.read()
    file.path.write_bytes(b"[]\n")
    with pytest.raises(BadBooks, match="no JSON object"):
        file.read()


def test_the_whole_exchange_over_the_control() -> None:
    """Out of one, into a fresh one of the same name; not into another, nor onto one with orders."""

    async def act(client: Any) -> None:
        await client.create_order(BTC, "limit", "buy", 0.01, 25000, {"clientOrderId": client_id()})
        await client.create_order(BTC, "market", "sell", 0.02, None, {"clientOrderId": client_id(2)})

    with SimulatorThread(["bybit"]) as sims:
        control = sims["bybit"].control
        trade(sims["bybit"], act)
        control.ask("POST", "/account", {"name": "second"})
        control.ask("POST", "/key", {"api_key": "k", "secret": "s", "account": "second", "permissions": ["read"]})
        state, truth = control.ask("GET", "/state"), control.truth()
        with pytest.raises(ControlError, match="before anything happened"):
            control.ask("POST", "/state", state)
    with SimulatorThread(["bybit", "okx"]) as sims:
        with pytest.raises(ControlError, match="those of 'bybit'"):
            sims["okx"].control.ask("POST", "/state", state)
        control = sims["bybit"].control
        assert control.ask("POST", "/state", state) == {"orders": 2}
        again = control.truth()
        assert {**again, "now_ms": 0} == {**truth, "now_ms": 0}
        assert [k["permissions"] for k in control.ask("GET", "/key")] == [["read", "trade"], ["read"]]


def test_an_exchange_in_a_thread_goes_on_with_its_books(tmp_path: Path) -> None:
    """Stopped and started on the same folder: what the control did and what a client did are both there."""

    async def act(client: Any) -> None:
        await client.create_order(BTC, "limit", "buy", 0.01, 25000, {"clientOrderId": client_id()})

    with SimulatorThread(["okx"], books=tmp_path) as sims:
        url = sims["okx"].base_url
        trade(sims["okx"], act)
        sims["okx"].control.deposit("USDT", 5)
        truth = sims["okx"].control.truth()
    with SimulatorThread(["okx"], books=tmp_path) as sims:
        assert sims["okx"].base_url == url
        assert {**sims["okx"].control.truth(), "now_ms": 0} == {**truth, "now_ms": 0}
    assert (truth["balance"]["USDT"], len(truth["orders"])) == ("100005", 1)


def test_what_a_dialect_remembers_itself_is_in_the_books(tmp_path: Path) -> None:
    """Kraken's leverage preferences, and the refused orders that its history tells; in a stale copy too."""
    symbol = "BTC/USD:USD"

    async def act(client: Any) -> None:
        await client.set_leverage(5, symbol)
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            await client.create_order(symbol, "limit", "buy", 0.01, 28000, {"postOnly": True})

    async def look(client: Any) -> None:
        assert (await client.fetch_leverage(symbol))["longLeverage"] == 5
        told = await client.historyGetOrders()
        assert [next(iter(e["event"])) for e in told["elements"]] == ["OrderRejected"]

    with SimulatorThread(["kraken"], books=tmp_path) as sims:
        trade(sims["kraken"], act)
    with SimulatorThread(["kraken"], books=tmp_path) as sims:
        trade(sims["kraken"], look)
        sims["kraken"].control.fault("stale")
        trade(sims["kraken"], look)


class Process:
    """`simulate` with books, in a process of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.ready = folder / "ready.json"
        self.ready.unlink(missing_ok=True)
        self.name = name
        code = (
            "import sys; from pathlib import Path; from app.simulator.run import simulate; "
            "sys.exit(simulate([sys.argv[1]], Path(sys.argv[2]), [], books=Path(sys.argv[3])))"
        )
        arguments = [name, str(self.ready), str(folder / "books")]
        self.process = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)

    def sim(self) -> Simulated:
        """What a test needs of it, once it answers. It lives elsewhere: there is no object to look at."""
        eventually(self.ready.exists, deadline_s=DEADLINE_S)
        facts = json.loads(self.ready.read_text())[self.name]
        control = ControlClient(facts["control_url"])
        return Simulated(name=self.name, control=control, exchange=None, **facts)  # type: ignore[arg-type]

    def kill(self) -> None:
        """Without any warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(DEADLINE_S)


@pytest.mark.parametrize("name", ["bybit", "kraken"])
def test_a_killed_exchange_comes_back_with_its_books(tmp_path: Path, name: str) -> None:
    """Same addresses, orders, positions, money; a resting order still fills; ids go on where they were."""
    symbol = BTC if name == "bybit" else "BTC/USD:USD"

    async def place(client: Any, n: int, price: int | None) -> None:
        kind = "market" if price is None else "limit"
        await client.create_order(symbol, kind, "buy", 0.01, price, {"clientOrderId": client_id(n)})

    async def first(client: Any) -> None:
        await place(client, 1, None)
        await place(client, 2, 25000)

    async def second(client: Any) -> None:
        assert [o["clientOrderId"] for o in await client.fetch_open_orders(symbol)] == [client_id(2)]
        await place(client, 3, None)

    one = Process(tmp_path, name)
    try:
        sim = one.sim()
        trade(sim, first)
        before = sim.control.truth()
        one.kill()
        two = Process(tmp_path, name)
        try:
            back = two.sim()
            assert (back.base_url, back.control_url) == (sim.base_url, sim.control_url)
            truth = back.control.truth()
            assert {**truth, "now_ms": 0} == {**before, "now_ms": 0}
            trade(back, second)
            [fill] = back.control.price(symbol, 25000)
            assert fill["client_order_id"] == client_id(2)
            ids = [o["order_id"] for o in back.control.truth()["orders"]]
            assert len(set(ids)) == 3
            assert ids[:2] == [o["order_id"] for o in before["orders"]]
        finally:
            two.kill()
    finally:
        one.kill()
    assert D(before["fills"][0]["qty"]) == D("0.01")


def test_books_of_a_spot_engine_keep_the_locks() -> None:
    """What open orders lock is counted again, and no more."""
    e = engine(spot())
    resting = e.place(order(qty="1", price="20000", symbol="BTC/USDT"), 1)
    back = copied(e, engine(spot()))
    assert back.ledger.locked == {"USDT": D(20000)}
    back.cancel(2, order_id=resting.order_id)
    assert back.ledger.locked == {"USDT": D(0)}


def test_linked_orders_go_on_growing_after_a_restart() -> None:
    """What was covered before is known: the waiting pair grows by what fills later."""
    e = engine()
    parent = e.place(order(qty="1", price="26000", take_profit="28000", stop_loss="25000"), 1)
    e.fill(parent, 2, qty=D("0.3"))
    back = copied(e, engine())
    again = next(iter(back.all_orders()))
    back.fill(again, 3, qty=D("0.2"))
    assert [(o.role.value, o.qty) for o in back.children(again)] == [("take_profit", D("0.5")), ("stop_loss", D("0.5"))]
    back.move_price(BTC, D(28000), 4)
    assert (back.positions(), [o.order_id for o in back.open_orders(5)]) == ([], [again.order_id])
