"""Where we are built into Thespian 4.0: what of it we put ourselves in the place of, and what we slow it down by less.

The transport replaces `TCPTransport`, `asyncTransportBase` and `wakeupTransportBase` as a whole, so it keeps to what
Thespian's managers ask of a transport. `SEAMS` names every function of Thespian that this was read from; a test
compares their sources with those of the version it was written against, since none of this is a documented interface.
"""

from __future__ import annotations

import sys
from typing import Final

from thespian.system import systemCommon
from thespian.system.transport import TransmitIntent

SEAMS: Final = (
    "thespian.actors:ActorAddress",
    "thespian.system.actorManager:ActorManager.run",
    "thespian.system.actorManager:ActorManager.handleMessages",
    "thespian.system.actorManager:ActorManager._handleOneMessage",
    "thespian.system.actorManager:ActorManager._shutdownActor",
    "thespian.system.actorManager:ActorManager.actor_send_fail",
    "thespian.system.actorManager:ActorManager.wakeupAfter",
    "thespian.system.addressManager:ActorAddressManager.prepMessageSend",
    "thespian.system.addressManager:ActorAddressManager.compareAddressEq",
    "thespian.system.admin.adminCore:AdminCore._reallySayGoodbye",
    "thespian.system.admin.convention:ConventioneerAdmin.run",
    "thespian.system.logdirector:startupASLogger",
    "thespian.system.logdirector:ThespianLogForwardHandler.handle",
    "thespian.system.multiprocCommon:MultiProcReplicator._childExited",
    "thespian.system.multiprocCommon:MultiProcReplicator._startChildActor",
    "thespian.system.multiprocCommon:MultiProcReplicator.childDied",
    "thespian.system.multiprocCommon:MultiProcReplicator.h_LoggerConnected",
    "thespian.system.multiprocCommon:MultiProcReplicator.signalChildDied",
    "thespian.system.multiprocCommon:shutdown_signal_detector",
    "thespian.system.multiprocCommon:startASLogger",
    "thespian.system.multiprocCommon:startAdmin",
    "thespian.system.multiprocCommon:startChild",
    "thespian.system.ratelimit:RateThrottle",
    "thespian.system.systemBase:BaseContext",
    "thespian.system.systemBase:ExternalOpsToActors",
    "thespian.system.systemBase:systemBase.shutdown",
    "thespian.system.systemCommon:systemCommonBase",
    "thespian.system.timing:ExpirationTimer.__init__",
    "thespian.system.transport:ReceiveEnvelope",
    "thespian.system.transport:ResultCallback",
    "thespian.system.transport:TransmitIntent",
    "thespian.system.transport.asyncTransportBase:asyncTransportBase.scheduleTransmit",
    "thespian.system.transport.asyncTransportBase:asyncTransportBase.deadAddress",
    "thespian.system.transport.wakeupTransportBase:wakeupTransportBase.run",
    "thespian.system.transport.wakeupTransportBase:wakeupTransportBase.addWakeup",
)
"""`module:qualified name` of what we replace or rely upon the inner life of."""


def _brief(intent: TransmitIntent) -> str:
    return f"TransmitIntent({type(intent.message).__name__} to {intent.targetAddr})"


def ease_actor_process() -> None:
    """Take away what costs more than a message, in a process that holds one of our actors and nothing else.

    Thespian's governor sleeps 0.1 s a message above 4,480 a second; a flood is bounded by our own queues instead. And
    it writes every message out as text for a log that is off.
    """
    systemCommon.RATE_THROTTLE = sys.maxsize
    TransmitIntent.identify = _brief
