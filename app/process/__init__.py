"""What a process of OrderRouter needs from its operating system: time, guards, logs, the state directory's lock.

Nothing here knows orders, exchanges or actors, so every other room may use it.
"""
