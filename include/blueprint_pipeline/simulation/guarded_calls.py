"""Calls to a simulator in another process: a breaker holds them back where it failed repeatedly, and no answer is an error of ours."""

from collections.abc import Callable
from typing import TypeVar

import grpc
from purgatory import SyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from blueprint_pipeline.errors import BlueprintError, TransientError

BREAKER_FAILURES = 5
BREAKER_WAIT_S = 15.0

Answer = TypeVar("Answer")
Refusal = Callable[[grpc.RpcError], BlueprintError | None]
"""What a server said by an error: ours to raise, and no failure of the server; ``None``: it did not answer."""


class BreakerOpen(TransientError):
    """The server failed several times in a row; calls are held back for a while."""

    code = "simulation.breaker_open"
    template = "The simulator at {address} failed repeatedly; no call is made for {wait_s:.0f} s."

    address: str
    wait_s: float


class SimulatorUnreachable(TransientError):
    """No answer, or none in time."""

    code = "simulation.unreachable"
    template = "The simulator at {address} did not answer {call}: {status}, {detail}. Is the process up, and is the certificate its own?"

    address: str
    call: str
    status: str
    detail: str


class GuardedCalls:
    """Makes calls to one address.

    Args:
        address: ``host:port``, as errors name it.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        breakers = SyncCircuitBreakerFactory(default_threshold=BREAKER_FAILURES, default_ttl=BREAKER_WAIT_S)
        self._breaker = breakers.get_breaker(address)

    def make(self, name: str, call: Callable[[], Answer], refusal: Refusal) -> Answer:
        """Make a call.

        Args:
            name: Of the call, as errors name it.
            call: Makes it, with a deadline.
            refusal: Tells what the server said from its silence.

        Raises:
            BreakerOpen: The server failed repeatedly just now.
            SimulatorUnreachable: It did not answer.
        """
        try:
            with self._breaker:
                try:
                    return call()
                except grpc.RpcError as error:
                    said = refusal(error)
                    if said is None:
                        raise self.unreachable(name, error) from error
        except OpenedState as error:
            raise BreakerOpen(self._address, BREAKER_WAIT_S) from error
        raise said

    def unreachable(self, name: str, error: grpc.RpcError) -> SimulatorUnreachable:
        """The error of ours for a call that was not answered."""
        status, detail = (error.code().name, error.details()) if isinstance(error, grpc.Call) else ("UNKNOWN", str(error))
        return SimulatorUnreachable(self._address, name, status, detail or "")
