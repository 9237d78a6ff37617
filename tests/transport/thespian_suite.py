"""A pytest plugin that runs Thespian's own tests on our system base: `pytest -p tests.transport.thespian_suite`.

Thespian's tests are parametrised by the names of its bases, and know by "multiprocTCPBase" what a real one can do. So
that module is replaced by ours before they are imported, and of their parameters only this one is kept; set
ORDER_ROUTER_SUITE_BASE=tcp to run the same selection on stock TCP, for comparison. Nothing of Thespian's is copied.

Two actor systems of one test are two admins in one folder, so that their actors can reach each other.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import thespian.system
from thespian.actors import ActorAddress
from thespian.system.multiprocCommon import multiprocessCommon

from app.transport.unix import frames, link, transport
from app.transport.unix.address import UnixAddress
from app.transport.unix.endpoint import Outside
from app.transport.unix.transport import UnixTransport

BASE = "multiprocTCPBase"
KEY = b"of Thespian's own tests"
LEFT_OUT = ("test_HAConvention", "test_manyActorSystems", "test_load")
"""Minutes of load, or systems by the hundred: of no use on a machine that tests."""
MAX_BYTES = 256 * 1024 * 1024
"""Some send messages of 50 MB, more than our limit for a frame: with it lifted the rest of them is proved."""
_folder = tempfile.TemporaryDirectory(prefix="actors-")


def admin_of(spec: Any) -> ActorAddress:
    """The admin that Thespian's tests know by "host:port", (host, port) or a port."""
    port = spec[1] if isinstance(spec, tuple) else str(spec).rpartition(":")[2]
    return ActorAddress(UnixAddress(f"admin-{port}"))


class SuiteTransport(UnixTransport):
    """Ours, with an admin for each port and conventions of several systems on this host."""

    def __init__(self, start: Any, capabilities: Any = None, *_unused: object) -> None:
        if not isinstance(start, Outside):
            name = self.getAdminAddr(capabilities).addressDetails.name
            start = Outside(Path(_folder.name), KEY, name)
        super().__init__(start)

    def getAdminAddr(self, capabilities: Any = None) -> ActorAddress:
        """By the port."""
        return admin_of((capabilities or {}).get("Admin Port", 1900))

    @staticmethod
    def getAddressFromString(spec: Any, adminRouting: bool = False) -> ActorAddress:
        """Of another system's admin."""
        return admin_of(spec)

    @staticmethod
    def getConventionAddress(capabilities: Any) -> list[ActorAddress] | None:
        """Of the convention's leaders."""
        spec = capabilities.get("Convention Address.IPv4")
        return [admin_of(each) for each in (spec if isinstance(spec, list) else [spec])] if spec else None


class ActorSystemBase(multiprocessCommon):  # type: ignore[misc]  # Thespian is untyped
    """What Thespian looks for in the module of a system base."""

    transportType = SuiteTransport

    def __init__(self, system: Any, logDefs: Any = None) -> None:
        system.capabilities["Thespian ActorSystem Name"] = BASE
        system.capabilities["Thespian ActorSystem Version"] = 1
        system.capabilities["Thespian Watch Supported"] = True
        super().__init__(system, logDefs)


def pytest_configure() -> None:
    """Put ours in the place of stock TCP."""
    if os.environ.get("ORDER_ROUTER_SUITE_BASE", "unix") == "unix":
        module = ModuleType(f"thespian.system.{BASE}")
        module.ActorSystemBase = ActorSystemBase  # type: ignore[attr-defined]
        for limited, name in (
            (frames, "MAX_PAYLOAD_BYTES"),
            (transport, "MAX_PAYLOAD_BYTES"),
            (link, "MAX_HELD_BYTES"),
        ):
            setattr(limited, name, MAX_BYTES)
        sys.modules[module.__name__] = module
        setattr(thespian.system, BASE, module)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what concerns the one base: its parameter, and tests without any."""
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        call = getattr(item, "callspec", None)
        base = call.params.get("asys", BASE) if call is not None else BASE
        wanted = base == BASE and item.path.stem not in LEFT_OUT
        (kept if wanted else dropped).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


def pytest_unconfigure() -> None:
    """Leave nothing."""
    _folder.cleanup()
