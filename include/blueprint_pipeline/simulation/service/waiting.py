"""No call holds a thread without bound: messages that do not come, and callers that are gone, are given up."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from itertools import count
from time import monotonic
from typing import TypeVar

import grpc

from blueprint_pipeline.errors import TransientError

MESSAGE_WAIT_S = 10.0
"""How long a call's next message is waited for [s]."""
_LOOKS = 4
"""Looks at the calls that wait, within that time."""
_CALLER_LOOK_S = 0.25
"""Between two looks at whether a caller still waits for an answer [s]."""

Answer = TypeVar("Answer")


class CallAbandoned(TransientError):
    """The caller was gone, or its deadline had passed, before the engine answered."""

    code = "simulation.call_abandoned"
    template = "The caller did not wait for the engine's answer: its deadline was over after {waited_s:.1f} s, or it went away."

    waited_s: float


class MessageWaits:
    """Cancels calls whose next message does not come in time; one thread looks after all of them.

    Args:
        wait_s: Bound [s].
    """

    def __init__(self, wait_s: float = MESSAGE_WAIT_S) -> None:
        self.wait_s = wait_s
        self._calls: dict[int, tuple[float, grpc.ServicerContext]] = {}
        self._lock = threading.Lock()
        self._numbers = count()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, name="message-waits", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    @contextmanager
    def bounded(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Wait for a call's message in the block; it is cancelled if that takes too long."""
        number = next(self._numbers)
        with self._lock:
            self._calls[number] = (monotonic() + self.wait_s, context)
        try:
            yield
        finally:
            with self._lock:
                self._calls.pop(number, None)

    def _look(self) -> None:
        while not self._stopped.wait(self.wait_s / _LOOKS):
            now = monotonic()
            with self._lock:
                late = [context for until, context in self._calls.values() if until < now]
            for context in late:
                context.cancel()


def await_answer(future: "Future[Answer]", context: grpc.ServicerContext, on_abandoned: Callable[[], None]) -> Answer:
    """What the engine answers, for as long as somebody waits for it.

    Args:
        future: Of the engine's thread; taken out of its queue if it has not begun.
        context: The call's.
        on_abandoned: Called where the engine goes on working for nobody.

    Raises:
        CallAbandoned: Nobody does.
    """
    began = monotonic()
    while True:
        try:
            return future.result(_CALLER_LOOK_S)
        except NotYet:
            if future.done():
                raise  # the engine's own
            if context.is_active():
                continue
        if not future.cancel():
            on_abandoned()
        raise CallAbandoned(monotonic() - began)
