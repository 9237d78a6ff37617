"""The facade's thread: one session, one mailbox, and futures for whoever asks from other threads.

Nothing of it runs on the caller's event loop. The machine and the mailbox belong to this thread alone; callers put
requests into a queue and ring the bell, and are answered through `concurrent.futures.Future`.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import NoReturn

import structlog

from app.core.errors import NotRunning, OrderOutcomeUnknown
from app.core.waiting import Waiting
from app.domain import session as s
from app.domain.gather import gathered
from app.domain.session_endings import unknown
from app.launcher.presence import Presence, presence_mark, read_presence
from app.process.clock import AnchoredClock
from app.transport.address import address_from_str
from app.transport.base import NotRunningError, attach, detach
from app.transport.mailbox import Mailbox, MailboxFullError
from messages.base import Reply, Request, Together
from messages.executions import OrderFilled, ToldUpTo
from messages.failover import RouteChanged
from messages.health import HealthAlarms
from messages.orders import AmendOrder, CancelOrder, OrderChanged, PlaceOrder
from messages.positions import BookNews
from messages.supervision import Address, Directory

log = structlog.get_logger()

News = BookNews | HealthAlarms | s.RouteTold | s.OrderTold | s.NewsBegin | s.NeverCommitted
"""What happened, and nobody asked for."""

LONGEST_WAIT_S = 0.1
NEW_TREE_LOOK_S = 0.05
"""Between looks at whether the daemon, and the tree it keeps, are still the same."""
NEW_TREE_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 5.0
FLUSH_S = 0.5
ANSWER_SLACK_S = 2.0
"""The session answers by the deadline; a wait that lasts longer means that its thread hangs."""


class Client:
    """A session on a running daemon, for use from any thread.

    Attributes:
        session: Read-only for others: its `route` and `state` are replaced whole.
    """

    def __init__(
        self,
        presence: Presence,
        settings: s.SessionSettings,
        *,
        state_dir: Path,
        on_news: Callable[[News], None],
        on_end: Callable[[], None],
    ) -> None:
        """
        Args:
            state_dir: Where the daemon tells its presence; a tree that was replaced tells a new one there.
            on_news: Called on this client's thread; must not block.
            on_end: The same, once, when nothing more will come: after `close`, or when the daemon has ended.

        Raises:
            NotRunning: The daemon does not answer.
        """
        self.clock = AnchoredClock(presence.anchor_s)
        self.session = s.Session(settings)
        self._presence = presence
        self._state_dir = state_dir
        self._mark = presence_mark(state_dir)
        self._on_news = on_news
        self._on_end = on_end
        self._asked: deque[tuple[Request, Waiting]] = deque()
        self._forgotten: deque[str] = deque()
        self._futures: dict[str, Waiting] = {}
        self._supervisor = address_from_str(presence.supervisor)
        self._mailbox: Mailbox | None = None
        self._told: list[tuple[Address, object]] = []
        self._closing = False
        self._ended = ""
        self._lock = threading.Lock()
        self._connected: Future[None] = Future()
        self.routed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="order-router", daemon=True)
        self._thread.start()
        self._connected.result()

    # ------------------------------------------------------------------------------------------------ any thread

    @property
    def ended(self) -> str:
        """Why nothing can be asked any more, in one sentence; empty while it can."""
        return self._ended

    @property
    def journal_id(self) -> str:
        """Of the journal that the daemon writes."""
        return self._presence.journal_id

    def ask(self, request: Request) -> Future[s.Outcome]:
        """Asks the router. The future ends at the request's deadline at the latest.

        Raises:
            NotRunning: Closed, or the daemon has ended.
        """
        future: Future[s.Outcome] = Future()
        # Whoever waits may stop waiting; the future itself cannot be cancelled, since the order is not.
        future.set_running_or_notify_cancel()
        self.ask_for(future, request)
        return future

    def ask_for(self, waiting: Waiting, request: Request) -> None:
        """Asks the router for somebody who waits in a way of his own; he is told on this client's thread.

        Raises:
            NotRunning: Closed, or the daemon has ended.
        """
        with self._lock:
            if self._ended:
                raise NotRunning(self._ended)
            self._asked.append((request, waiting))
            if self._mailbox is not None:
                self._mailbox.wake()

    def forget(self, correlation_id: str) -> None:
        """Nobody waits for this any more."""
        with self._lock:
            if not self._ended:
                self._forgotten.append(correlation_id)
                if self._mailbox is not None:
                    self._mailbox.wake()

    def close(self) -> None:
        """Ends the session; the daemon goes on. Safe to call again."""
        self._closing = True
        with self._lock:
            if self._mailbox is not None:
                self._mailbox.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_TIMEOUT_S)

    # ------------------------------------------------------------------------------------------------ its own thread

    def _run(self) -> None:
        why = ""
        try:
            while not why:
                why = self._attached()
                if not why and not self._await_new_tree():
                    break
        except NotRunningError as error:
            why = str(error)
        except ProcessLookupError:
            pass  # it ended, which is what is said below
        except Exception:  # a bug here must not leave callers waiting: they are answered below
            log.exception("client.failed")
            why = "The router's own thread failed; its log says why."
        finally:
            why = why or f"The daemon (pid {self._presence.pid}) has ended."
            self._answer_all(why)
            if not self._connected.done():
                self._connected.set_exception(NotRunning(why))

    def _attached(self) -> str:
        """One tree. Returns why the session is over; empty when only that tree is."""
        try:
            presence = self._presence
            key = bytes.fromhex(presence.key)
            system = attach(presence.admin_port, key, base=presence.transport, state_dir=self._state_dir)
        except NotRunningError:
            if self._connected.done() and presence_mark(self._state_dir) != self._mark:
                return ""  # that tree is gone already, too
            raise
        try:
            daemon = os.pidfd_open(self._presence.pid)
            try:
                with Mailbox(system) as mailbox:
                    with self._lock:
                        self._mailbox = mailbox
                    if not self._connected.done():
                        self._connected.set_result(None)
                    try:
                        return self._serve(mailbox, daemon)
                    finally:
                        with self._lock:
                            self._mailbox = None
            finally:
                os.close(daemon)
        finally:
            detach(system)

    def _await_new_tree(self) -> bool:
        """Waits for the daemon to tell where its new tree is; False when it ended instead."""
        until_s = time.monotonic() + NEW_TREE_TIMEOUT_S
        self.session.lost()
        daemon = os.pidfd_open(self._presence.pid)
        try:
            while time.monotonic() < until_s and not self._closing:
                mark, presence = presence_mark(self._state_dir), read_presence(self._state_dir)
                if mark != self._mark and presence is not None:
                    self._presence, self._mark = presence, mark
                    self._supervisor = address_from_str(presence.supervisor)
                    self.clock = AnchoredClock(presence.anchor_s)
                    return True
                # Nothing can be sent meanwhile, but every caller is still answered by its deadline.
                self._take_asked(None)
                self._perform(None, self.session.tick(self.clock()))
                if select.select([daemon], [], [], NEW_TREE_LOOK_S)[0]:
                    return False
        finally:
            os.close(daemon)
        return False

    def _serve(self, mailbox: Mailbox, daemon: int) -> str:
        self._told.clear()  # to a tree that is gone
        self._perform(mailbox, self.session.reconnected(self.clock()))
        look_s = 0.0
        while not self._closing:
            self._take_asked(mailbox)
            self._send_told(mailbox)
            wait_s = min(max(self.session.next_s() - self.clock(), 0.0), LONGEST_WAIT_S)
            got = mailbox.receive(wait_s)
            now_s = self.clock()
            for each in got.messages if isinstance(got, Together) else (got,):
                self._take(mailbox, each, now_s)
            self._perform(mailbox, self.session.tick(now_s))
            if now_s >= look_s:
                look_s = now_s + NEW_TREE_LOOK_S
                if select.select([daemon], [], [], 0)[0]:
                    return f"The daemon (pid {self._presence.pid}) has ended."
                if presence_mark(self._state_dir) != self._mark:
                    return ""
        self._perform(mailbox, self.session.end())
        self._send_told(mailbox)
        mailbox.flush(FLUSH_S)
        return "The router was closed."

    def _take(self, mailbox: Mailbox, got: object, now_s: float) -> None:
        match got:
            case Directory():
                self._perform(mailbox, self.session.directory_told(got, now_s))
            case RouteChanged():
                self._perform(mailbox, self.session.route_told(got, now_s))
            case OrderChanged() | OrderFilled() | ToldUpTo():
                self._perform(mailbox, self.session.news_told(got, now_s))
            case BookNews() | HealthAlarms():
                self._on_news(got)
            case Reply():
                self._perform(mailbox, self.session.reply(got, now_s))

    def _take_asked(self, mailbox: Mailbox | None) -> None:
        while self._asked:
            request, future = self._asked.popleft()
            self._futures[request.correlation_id] = future
            try:
                self._perform(mailbox, self.session.ask(request, self.clock()))
            except s.TooManyPending as error:
                del self._futures[request.correlation_id]
                future.set_exception(NotRunning(str(error)))
        while self._forgotten:
            correlation_id = self._forgotten.popleft()
            self.session.forget(correlation_id)
            self._futures.pop(correlation_id, None)

    def _perform(self, mailbox: Mailbox | None, effects: list[s.SessionEffect]) -> None:
        for effect in effects:
            match effect:
                case s.Tell(to=to, message=message):
                    if mailbox is not None:  # else it is asked again once there is somebody to ask
                        self._told.append((self._supervisor if to is None else to, message))
                case s.Resolved(correlation_id=correlation_id, outcome=outcome):
                    future = self._futures.pop(correlation_id, None)
                    if future is not None:
                        future.set_result(outcome)
                case s.RouteTold(route=route):
                    if route.exchange is not None:
                        self.routed.set()
                    self._on_news(effect)
                case s.OrderTold() | s.NewsBegin() | s.NeverCommitted():
                    self._on_news(effect)

    def _send_told(self, mailbox: Mailbox) -> None:
        """Orders asked for at the same moment travel as one message, and are committed together."""
        if self._told:
            told, self._told = self._told, []
            for address, message in gathered(told):
                try:
                    mailbox.tell(address, message)
                except MailboxFullError as error:
                    log.warning("client.mailbox_full", words=str(error))  # the session sends again

    def _answer_all(self, why: str) -> None:
        with self._lock:
            self._ended = why
            for request, future in self._asked:
                self._futures[request.correlation_id] = future
                future.set_exception(NotRunning(f"{why} {type(request).__name__} was never sent."))
            self._asked.clear()
        for correlation_id, future in self._futures.items():
            if future.done():
                continue
            unsure = self.session.in_doubt(correlation_id, why)
            if unsure is not None:
                future.set_result(unsure)
            else:
                future.set_exception(NotRunning(why))
        self._futures.clear()
        self.routed.set()
        self._on_end()


def no_answer(request: Request, client: Client) -> NoReturn:
    """Raises what is to be said where a client's own thread hangs, so that the session's word does not come either."""
    ended = "The router's own thread does not answer."
    if isinstance(request, PlaceOrder | CancelOrder | AmendOrder):
        doubt = unknown(request, client.journal_id, ended)
        raise OrderOutcomeUnknown(doubt.order_id, doubt.words) from None
    raise NotRunning(ended) from None
