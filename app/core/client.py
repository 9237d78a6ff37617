"""The facade's thread: one session, one mailbox, and futures for whoever asks from other threads.

Nothing of it runs on the caller's event loop. The machine and the mailbox belong to this thread alone; callers put
requests into a queue and ring the bell, and are answered through `concurrent.futures.Future`.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import structlog

from app.core.errors import NotRunning
from app.domain import session as s
from app.launcher.presence import Presence
from app.process.clock import AnchoredClock
from app.transport.address import address_from_str
from app.transport.base import NotRunningError, attach, detach
from app.transport.mailbox import Mailbox, MailboxFullError
from messages.base import Reply, Request, Together
from messages.failover import RouteChanged
from messages.orders import OrderChanged
from messages.supervision import Directory

log = structlog.get_logger()

LONGEST_WAIT_S = 0.5
"""Between looks at whether the daemon still lives."""
CLOSE_TIMEOUT_S = 5.0
FLUSH_S = 0.5


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
        on_news: Callable[[s.RouteTold | s.OrderTold], None],
        on_end: Callable[[], None],
    ) -> None:
        """
        Args:
            on_news: Called on this client's thread; must not block.
            on_end: The same, once, when nothing more will come: after `close`, or when the daemon has ended.

        Raises:
            NotRunning: The daemon does not answer.
        """
        self.clock = AnchoredClock(presence.anchor_s)
        self.session = s.Session(settings)
        self._presence = presence
        self._on_news = on_news
        self._on_end = on_end
        self._asked: deque[tuple[Request, Future[s.Outcome]]] = deque()
        self._forgotten: deque[str] = deque()
        self._futures: dict[str, Future[s.Outcome]] = {}
        self._supervisor = address_from_str(presence.supervisor)
        self._mailbox: Mailbox | None = None
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

    def ask(self, request: Request) -> Future[s.Outcome]:
        """Asks the router. The future ends at the request's deadline at the latest.

        Raises:
            NotRunning: Closed, or the daemon has ended.
        """
        future: Future[s.Outcome] = Future()
        # Whoever waits may stop waiting; the future itself cannot be cancelled, since the order is not.
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._ended or self._mailbox is None:
                raise NotRunning(self._ended or "The router is not connected.")
            self._asked.append((request, future))
            self._mailbox.wake()
        return future

    def forget(self, correlation_id: str) -> None:
        """Nobody waits for this any more."""
        with self._lock:
            if not self._ended and self._mailbox is not None:
                self._forgotten.append(correlation_id)
                self._mailbox.wake()

    def close(self) -> None:
        """Ends the session; the daemon goes on. Safe to call again."""
        self._closing = True
        if self._mailbox is not None:
            self._mailbox.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_TIMEOUT_S)

    # ------------------------------------------------------------------------------------------------ its own thread

    def _run(self) -> None:
        try:
            system = attach(self._presence.admin_port, bytes.fromhex(self._presence.key))
        except NotRunningError as error:
            self._ended = str(error)
            self._connected.set_exception(NotRunning(self._ended))
            return
        try:
            daemon = os.pidfd_open(self._presence.pid)
        except ProcessLookupError:
            detach(system)
            self._ended = f"The daemon (pid {self._presence.pid}) has ended."
            self._connected.set_exception(NotRunning(self._ended))
            return
        why = "The router was closed."
        try:
            with Mailbox(system) as mailbox:
                self._mailbox = mailbox
                self._connected.set_result(None)
                why = self._serve(mailbox, daemon)
        except Exception:  # a bug here must not leave callers waiting: they are answered below
            log.exception("client.failed")
            why = "The router's own thread failed; its log says why."
        finally:
            os.close(daemon)
            detach(system)
            self._answer_all(why)

    def _serve(self, mailbox: Mailbox, daemon: int) -> str:
        self._perform(mailbox, self.session.start(self.clock()))
        while not self._closing:
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
            wait_s = min(max(self.session.next_s() - self.clock(), 0.0), LONGEST_WAIT_S)
            got = mailbox.receive(wait_s)
            now_s = self.clock()
            for each in got.messages if isinstance(got, Together) else (got,):
                self._take(mailbox, each, now_s)
            self._perform(mailbox, self.session.tick(now_s))
            if got is None and select.select([daemon], [], [], 0)[0]:
                return f"The daemon (pid {self._presence.pid}) has ended."
        self._perform(mailbox, self.session.end())
        mailbox.flush(FLUSH_S)
        return "The router was closed."

    def _take(self, mailbox: Mailbox, got: object, now_s: float) -> None:
        match got:
            case Directory():
                self._perform(mailbox, self.session.directory_told(got, now_s))
            case RouteChanged():
                self._perform(mailbox, self.session.route_told(got, now_s))
            case OrderChanged():
                self._perform(mailbox, self.session.order_told(got))
            case Reply():
                self._perform(mailbox, self.session.reply(got, now_s))

    def _perform(self, mailbox: Mailbox, effects: list[s.SessionEffect]) -> None:
        for effect in effects:
            match effect:
                case s.Tell(to=to, message=message):
                    try:
                        mailbox.tell(self._supervisor if to is None else to, message)
                    except MailboxFullError as error:
                        log.warning("client.mailbox_full", words=str(error))  # the session sends again
                case s.Resolved(correlation_id=correlation_id, outcome=outcome):
                    future = self._futures.pop(correlation_id, None)
                    if future is not None:
                        future.set_result(outcome)
                case s.RouteTold(route=route):
                    if route.exchange is not None:
                        self.routed.set()
                    self._on_news(effect)
                case s.OrderTold():
                    self._on_news(effect)

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
            unsure = self.session.in_doubt(correlation_id)
            if unsure is not None:
                future.set_result(unsure)
            else:
                future.set_exception(NotRunning(why))
        self._futures.clear()
        self.routed.set()
        self._on_end()
