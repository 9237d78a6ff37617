"""The order router, start to finish: place an order on the primary, move trading to a backup, look back.

Run it against simulated exchanges, without any account:

    order-router simulate -- python examples/order_router_example.py
"""

import asyncio

from app.core.order_router import OrderRouter, OrderRouterError, OrderRouterStatus


async def main() -> None:
    """Places an order at Bybit, fails over to OKX by hand, and shows what the router says of it."""
    router = OrderRouter(
        primary_exchange="bybit_v5",
        failover_exchanges=["okx", "binance"],
        health_check_interval=30,  # Check exchange health every 30 seconds
        max_retry_attempts=3,  # Try 3 times before failing over
        retry_delay=5,  # Wait 5 seconds between retries
        auto_failover=True,  # Automatically failover when primary is down
    )
    await router.initialize()
    try:
        status = router.get_status()
        if status["status"] == OrderRouterStatus.READY.value:
            print(f"Ready on {status['current_exchange']}")

        balance = router.get_account_balance()
        for coin in balance["coins"]:
            print(f"Balance on {balance['exchange']}: {coin['walletBalance']} {coin['coin']}")
        market_data = router.get_market_data("BTCUSDT")
        print(f"BTCUSDT last {market_data['lastPrice']} on {market_data['exchange']}")

        order = router.place_order(
            symbol="BTCUSDT",
            side="Buy",
            order_type="Limit",
            qty="0.001",
            price="25000",
            time_in_force="GoodTillCancel",
            reduce_only=False,
            take_profit="30000",
            stop_loss="24000",
        )
        print(f"Placed {order['orderId']} on {order['exchange']}: {order['side']} {order['qty']} at {order['price']}")

        open_orders = router.get_open_orders(symbol="BTCUSDT")
        print(f"{len(open_orders)} open order(s)")
        cancel_result = router.cancel_order(symbol="BTCUSDT", order_id=order["orderId"])
        print(f"Cancelled: {cancel_result['orderStatus']}")

        switch = router.manual_failover("okx")
        print(
            f"Moved from {switch['from_exchange']} to {switch['to_exchange']} in {switch['duration_s'] * 1000:.0f} ms"
        )
        order = router.place_order(
            symbol="BTCUSDT",
            side="Buy",
            order_type="Limit",
            qty="0.001",
            price="25000",
            client_order_id="after-failover",
        )
        print(f"Placed {order['orderId']} on {order['exchange']}: {order['side']} {order['qty']} at {order['price']}")
        router.cancel_order(symbol="BTCUSDT", order_id=order["orderId"])

        for entry in router.get_failover_history():
            print(f"History: {entry['from_exchange']} -> {entry['to_exchange']} ({entry['reason']})")
    except OrderRouterError as error:
        print(f"OrderRouter error: {error}")
        raise SystemExit(1) from error
    finally:
        router.stop_health_check_thread()


if __name__ == "__main__":
    asyncio.run(main())
