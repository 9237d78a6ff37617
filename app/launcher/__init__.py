"""Starts the tree of actors, keeps it, and leaves nothing behind.

- `presence`  the file by which others find a running daemon
- `daemon`    the foreground process
- `spawn`     starting a daemon of one's own by exec, for the facade
"""
