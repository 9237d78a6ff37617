"""ccxt imported once, before connectors are forked: they start at once, and share its hundred megabytes.

Measured: `import ccxt.async_support` takes 1 to 2 s and 103 MB; a child forked after it, with the collector's objects
frozen, has under 1 MB of pages of its own. A connector restarted after a death needs none of that time.
"""

from __future__ import annotations

import gc


def preload() -> None:
    """Imports the client library, and keeps the collector from touching, and so copying, what is shared by fork."""
    import ccxt.async_support  # noqa: F401

    gc.collect()
    gc.freeze()
