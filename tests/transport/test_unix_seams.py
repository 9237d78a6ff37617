"""Thespian is the version that our transport was read into: a new release that moves a seam is seen here first.

When this fails after an upgrade: read what changed in the functions named, change `app.transport.unix` where it has to
follow, run `make thespian-suite`, and only then put the new fingerprints here and the new version into setup.cfg.
"""

import hashlib
import importlib
import inspect
import subprocess
import sys
from importlib.metadata import requires, version
from typing import Any, Final

import pytest

from app.transport.unix.seams import SEAMS
from app.transport.unix.transport import UnixTransport
from tests.transport.conftest import ROOT

WRITTEN_AGAINST: Final = {
    "thespian.actors:ActorAddress": "ba8e791e19dffeb7",
    "thespian.system.actorManager:ActorManager._handleOneMessage": "05dce43b0e6ef92d",
    "thespian.system.actorManager:ActorManager._shutdownActor": "28e6048b823d1674",
    "thespian.system.actorManager:ActorManager.actor_send_fail": "a7772a9295acf41b",
    "thespian.system.actorManager:ActorManager.handleMessages": "e1149dc7834b6d9b",
    "thespian.system.actorManager:ActorManager.run": "6519eb4919840307",
    "thespian.system.actorManager:ActorManager.wakeupAfter": "5f7c389fd7114b39",
    "thespian.system.addressManager:ActorAddressManager.compareAddressEq": "247908d47292d869",
    "thespian.system.addressManager:ActorAddressManager.prepMessageSend": "3bf9e386fe53832b",
    "thespian.system.admin.adminCore:AdminCore._reallySayGoodbye": "4181f83459bf0232",
    "thespian.system.admin.convention:ConventioneerAdmin.run": "6cc67ff1c711bcb7",
    "thespian.system.logdirector:ThespianLogForwardHandler.handle": "39a7c1f891c741f3",
    "thespian.system.logdirector:startupASLogger": "927620b7a7fdc3fa",
    "thespian.system.multiprocCommon:MultiProcReplicator._childExited": "910c47068615dc91",
    "thespian.system.multiprocCommon:MultiProcReplicator._startChildActor": "74875e11f52c4dbd",
    "thespian.system.multiprocCommon:MultiProcReplicator.childDied": "b123adadb3c3c121",
    "thespian.system.multiprocCommon:MultiProcReplicator.h_LoggerConnected": "f548487bdf17e700",
    "thespian.system.multiprocCommon:MultiProcReplicator.signalChildDied": "473f57793849db6d",
    "thespian.system.multiprocCommon:shutdown_signal_detector": "2bd15f841398b6f4",
    "thespian.system.multiprocCommon:startASLogger": "6299a3569600b855",
    "thespian.system.multiprocCommon:startAdmin": "7ed08672cf9706e9",
    "thespian.system.multiprocCommon:startChild": "607959bb35500ad9",
    "thespian.system.ratelimit:RateThrottle": "0df26227d8c18628",
    "thespian.system.systemBase:BaseContext": "ea6dde7d44c39bd8",
    "thespian.system.systemBase:ExternalOpsToActors": "bf52751adf8ad44c",
    "thespian.system.systemBase:systemBase.shutdown": "b195a06717d46d19",
    "thespian.system.systemCommon:systemCommonBase": "35c822c084a7356a",
    "thespian.system.timing:ExpirationTimer.__init__": "b3e08c2baeb93100",
    "thespian.system.transport.asyncTransportBase:asyncTransportBase.deadAddress": "f99ef1c48b7fab05",
    "thespian.system.transport.asyncTransportBase:asyncTransportBase.scheduleTransmit": "d967b8d19ac0f963",
    "thespian.system.transport.wakeupTransportBase:wakeupTransportBase.addWakeup": "87dfea4c21f72a1d",
    "thespian.system.transport.wakeupTransportBase:wakeupTransportBase.run": "25ade8f9a7ec4b0d",
    "thespian.system.transport:ReceiveEnvelope": "262f9c28dfd11f2d",
    "thespian.system.transport:ResultCallback": "4e24eb57d542b276",
    "thespian.system.transport:TransmitIntent": "76dd884b92bad60d",
}

ASKED_OF_A_TRANSPORT: Final = {
    "__init__": "start",
    "_updateStatusResponse": "response",
    "abort_run": "drain",
    "addWakeup": "period payload",
    "childResetFileNumList": "",
    "close": "",
    "connectEndpoint": "endpoint",
    "deadAddress": "manager child",
    "enableRXPauseFlowControl": "enable",
    "external_transport_clone": "",
    "getAdminAddr": "capabilities",
    "interrupt_wait": "signal_shutdown check_children",
    "lostRemote": "address",
    "prepEndpoint": "address capabilities",
    "probeAdmin": "address",
    "protectedFileNumList": "",
    "run": "handler maximumDuration",
    "scheduleTransmit": "manager intent has_exclusive_flag",
    "setAddressManager": "manager",
    "set_watch": "fds",
}


def found(seam: str) -> Any:
    """What `seam` names."""
    module, _, name = seam.partition(":")
    thing: Any = importlib.import_module(module)
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def test_every_seam_has_a_fingerprint() -> None:
    """None was added without one."""
    assert sorted(SEAMS) == sorted(WRITTEN_AGAINST)


@pytest.mark.parametrize("seam", SEAMS)
def test_no_seam_has_moved(seam: str) -> None:
    """The source is, to the letter, what this was written against."""
    fingerprint = hashlib.sha256(inspect.getsource(found(seam)).encode()).hexdigest()[:16]
    assert fingerprint == WRITTEN_AGAINST[seam], f"{seam} differs in thespian {version('thespian')}"


def test_thespian_is_pinned_to_what_was_read() -> None:
    """setup.cfg takes no other release than the ones these fingerprints are of."""
    assert version("thespian").startswith("4.0.")
    assert [each for each in requires("order-router") or [] if each.startswith("thespian")] == ["thespian<4.1,>=4.0.1"]


def test_the_transport_has_all_that_thespian_asks_for() -> None:
    """Each method is there, with the parameters that Thespian passes, by position or by name."""
    for name, parameters in ASKED_OF_A_TRANSPORT.items():
        signature = inspect.signature(getattr(UnixTransport, name))
        kinds = (inspect.Parameter.VAR_POSITIONAL,)
        got = [each.lstrip("_") for each, p in signature.parameters.items() if p.kind not in kinds and each != "self"]
        assert got == parameters.split(), name


def test_a_bot_keeps_its_own_thespian() -> None:
    """Importing and attaching leave Thespian as it was for others; only actors' own processes are eased."""
    code = (
        "import thespian.system.systemCommon as s, thespian.system.transport as t, sys as y\n"
        "look = lambda: (s.RATE_THROTTLE, t.TransmitIntent.identify, 'thespian.system.multiprocTCPBase' in y.modules)\n"
        "before = look()\n"
        "import app.transport\n"
        "assert look() == before"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=True)
