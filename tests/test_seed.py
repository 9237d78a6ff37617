"""The page that says how the router is used, snippet by snippet, word for word, on simulated exchanges.

Each program below is made of the page's own code blocks in an `async def main()`, run as a bot would be: a process of
its own, whose configuration is found through the environment. What the page does not show is checked in lines of ours
around the blocks.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXCHANGES = ["bybit", "okx", "binance", "kraken"]
TIMEOUT_S = 60

INITIALIZATION = """\
from app.core.order_router import OrderRouter

# Create OrderRouter with Bybit V5 as primary and OKX and Binance as failovers
router = OrderRouter(
    primary_exchange="bybit_v5",
    failover_exchanges=["okx", "binance"],
    health_check_interval=30,  # Check exchange health every 30 seconds
    max_retry_attempts=3,      # Try 3 times before failing over
    retry_delay=5,             # Wait 5 seconds between retries
    auto_failover=True         # Automatically failover when primary is down
)

# Initialize the router
await router.initialize()
"""

TRADING = """\
# Get account balance
balance = router.get_account_balance()

# Get market data
market_data = router.get_market_data("BTCUSDT")

# Place an order
order = router.place_order(
    symbol="BTCUSDT",
    side="Buy",
    order_type="Limit",
    qty="0.001",
    price="25000",
    time_in_force="GoodTillCancel",
    reduce_only=False,
    take_profit="30000",
    stop_loss="24000"
)

# Get open orders
open_orders = router.get_open_orders(symbol="BTCUSDT")

# Cancel an order
cancel_result = router.cancel_order(
    symbol="BTCUSDT",
    order_id=order["orderId"]
)
"""

FAILOVER = """\
# Get router status
status = router.get_status()

# Manually failover to a specific exchange
router.manual_failover("okx")

# Get failover history
history = router.get_failover_history()
"""

CLEANUP = """\
# Stop the health check thread when done
router.stop_health_check_thread()
"""

ERRORS = """\
from app.core.order_router import OrderRouterError

try:
    # Use the router
    router.place_order(...)
except OrderRouterError as e:
    # Handle router-specific errors
    print(f"OrderRouter error: {str(e)}")
except Exception as e:
    # Handle other errors
    print(f"Error: {str(e)}")
"""

STATUS = """\
from app.core.order_router import OrderRouterStatus

# Get router status
status = router.get_status()

# Check if router is ready
if status["status"] == OrderRouterStatus.READY.value:
    # Router is ready
    pass
elif status["status"] == OrderRouterStatus.SWITCHING.value:
    # Router is currently switching exchanges
    pass
elif status["status"] == OrderRouterStatus.ERROR.value:
    # Router is in an error state
    pass
"""

CHECK_TRADING = """\
assert balance["exchange"] == "bybit_v5" and float(balance["coins"][0]["walletBalance"]) > 0, balance
assert market_data["symbol"] == "BTCUSDT" and market_data["lastPrice"] == "27000", market_data
assert (order["symbol"], order["side"], order["orderType"]) == ("BTCUSDT", "Buy", "Limit"), order
assert (order["qty"], order["price"], order["orderStatus"]) == ("0.001", "25000", "New"), order
assert (order["takeProfit"], order["stopLoss"], order["exchange"]) == ("30000", "24000", "bybit_v5"), order
assert [each["orderId"] for each in open_orders] == [order["orderId"]], open_orders
assert (cancel_result["orderId"], cancel_result["orderStatus"]) == (order["orderId"], "Cancelled"), cancel_result
assert router.get_open_orders(symbol="BTCUSDT") == []
"""

CHECK_FAILOVER = """\
assert status["status"] == "ready" and status["current_exchange"] == "bybit_v5", status
assert status["primary_exchange"] == "bybit_v5" and status["failover_exchanges"] == ["okx", "binance"], status
assert set(status["exchange_health"]) == {"bybit_v5", "okx", "binance"}, status
(moved,) = history
assert (moved["from_exchange"], moved["to_exchange"], moved["reason"]) == ("bybit_v5", "okx", "Manual failover"), moved
assert [each["epoch"] for each in router.failover_history] == [moved["epoch"]]
assert router.current_connector_name == "okx"
"""

CHECK_STATUS = """\
assert status["status"] == OrderRouterStatus.READY.value == router.status.value, status
assert status["current_exchange"] == "okx", status
"""

CHECK_CLEANUP = """\
from app.core.order_router import NotRunning
assert router.get_status()["status"] == OrderRouterStatus.STOPPED.value == router.status.value
try:
    router.get_open_orders()
except NotRunning as e:
    assert "closed" in str(e), e
else:
    raise AssertionError("it answered after the end")
router.stop_health_check_thread()
print("reached the end")
"""


def program(*blocks: str) -> str:
    """The blocks one after the other in an async main."""
    body = textwrap.indent("\n".join(blocks), "    ")
    return f"import asyncio\n\n\nasync def main() -> None:\n{body}\n\nasyncio.run(main())\n"


def under_simulation(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as `order-router simulate -- COMMAND` does."""
    run = (
        "import sys; from app.simulator.run import simulate;"
        " sys.exit(simulate(sys.argv[1].split(','), None, sys.argv[2:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", run, ",".join(EXCHANGES), *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(
            (INITIALIZATION, TRADING, FAILOVER, CLEANUP, ERRORS, STATUS, 'print("reached the end")'),
            marks=pytest.mark.deep,
        ),
        (
            *(INITIALIZATION, TRADING, CHECK_TRADING, FAILOVER, CHECK_FAILOVER, ERRORS, STATUS, CHECK_STATUS),
            *(CLEANUP, CHECK_CLEANUP),
        ),
    ],
    ids=["as on the page", "with checks between"],
)
def test_the_page_runs_word_for_word(blocks: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "bot.py"
    file.write_text(program(*blocks))
    ran = under_simulation("env", f"PYTHONPATH={ROOT}", sys.executable, str(file))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "reached the end"
    assert "Error: " in ran.stdout, "the page's own call without arguments is an error of Python's"


def test_the_example_runs_to_its_end() -> None:
    ran = under_simulation("env", f"PYTHONPATH={ROOT}", sys.executable, "examples/order_router_example.py")
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert said[0] == "Ready on bybit_v5"
    assert said[-1] == "History: bybit_v5 -> okx (Manual failover)"
    assert any(line.startswith("Moved from bybit_v5 to okx in ") for line in said)
