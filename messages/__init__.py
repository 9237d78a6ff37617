"""The vocabulary of the router: every message actors exchange, and the values the messages carry.

A leaf: it imports nothing of the project and no third party but attrs, so every other layer may speak it. A module
a topic:

- `base`         requests, replies and what can go wrong with any of them
- `market`       symbols, tickers, balances
- `orders`       orders, legs, and the requests about them
- `positions`    positions and the book over all exchanges
- `health`       probes, evidence, and the states an exchange can be in
- `failover`     routes, switching, pre-flight, history
- `supervision`  the directory of living actors, life and death

Rules: classes are frozen and keyword-only; money and quantities are `Decimal`; quantities are in base coin; times are
Unix seconds of the host's anchored clock as `float` (`…_s`) unless a name ends in `_ms`. The reply address is
Thespian's sender, never a field, except in the directory.
"""
