"""The command `order-router`: a file for each group of verbs.

- `main`           entry: checks, then the verbs, and every error as one sentence and an exit code
- `exits`          exit codes and how a verb ends early
- `attach`         a router on a daemon that runs already; nothing here ever starts one but `run` and `demo`
- `daemon`         run
- `look`, `watch`  status, history, orders, positions
- `steer`          failover
- `settings`       check-config
- `practice`       demo, simulate, fuzz
- `output`         JSON for machines, tables for people

Modules import what they need when their verb is used: `--help` must not wait for an exchange library.
"""
