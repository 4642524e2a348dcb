"""What can go wrong between a client and a served simulator, and how errors cross the wire."""

import json
from typing import Any

import grpc

from blueprint_pipeline.errors import BlueprintError, GateError, InputError, MissingPartError, RelayedError, TransientError
from blueprint_pipeline.simulation.errors import SimulationDiverged

DETAIL_KEY = "blueprint-pipeline-error-bin"
"""Trailing metadata that carries an error's dictionary as JSON."""


class InvalidToken(InputError):
    """A bearer token is absent, forged, expired or for somebody else."""

    code = "simulation.invalid_token"
    template = "The bearer token is refused: {reason}. Get a new token for audience blueprint.simulation.v1."

    reason: str


class MessageTooLarge(InputError):
    """A request is over the bound."""

    code = "simulation.message_too_large"
    template = "The request has {size_bytes} bytes, at most {max_bytes} are taken. Send fewer setpoints at a time."

    size_bytes: int
    max_bytes: int


class SimulatorBusy(TransientError):
    """Another caller has a scene loaded in this simulator."""

    code = "simulation.busy"
    template = (
        "The simulator is used by another caller, who called {idle_s:.0f} s ago. Wait until it closes its scene, or "
        "serve another simulator: one process acts for one caller."
    )

    idle_s: float


class RemoteSimulatorError(RelayedError):
    """The served simulator refused or failed; this carries the server's error."""

    code = "simulation.remote_error"

    address: str
    call: str

    def describe(self) -> str:
        """The server's message, and where it comes from."""
        return f"{super().describe()} (simulator at {self.address}, {self.call})"


def rebuild_error(address: str, call: str, error: dict[str, Any]) -> BlueprintError:
    """The error to raise for one that a server packed: its own class where callers tell it apart, as an attempt that diverged."""
    if error["code"] == SimulationDiverged.code:
        return SimulationDiverged(float(error["facts"]["time_s"]), str(error["facts"]["worst"]))
    return RemoteSimulatorError(error, address, call)


_STATUS: tuple[tuple[type[BlueprintError], grpc.StatusCode], ...] = (
    (InvalidToken, grpc.StatusCode.UNAUTHENTICATED),
    (MessageTooLarge, grpc.StatusCode.RESOURCE_EXHAUSTED),  # what gRPC itself says
    (SimulatorBusy, grpc.StatusCode.RESOURCE_EXHAUSTED),  # not UNAVAILABLE: gRPC itself would call again at once
    (TransientError, grpc.StatusCode.UNAVAILABLE),
    (InputError, grpc.StatusCode.INVALID_ARGUMENT),
    (MissingPartError, grpc.StatusCode.FAILED_PRECONDITION),
    (GateError, grpc.StatusCode.FAILED_PRECONDITION),
)


def status_of(error: BlueprintError) -> grpc.StatusCode:
    """The gRPC status that an error travels as."""
    return next((status for family, status in _STATUS if isinstance(error, family)), grpc.StatusCode.INTERNAL)


def pack_error(error: BlueprintError) -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata for an error."""
    return ((DETAIL_KEY, json.dumps(error.as_dict()).encode()),)


def unpack_error(call: grpc.Call) -> dict[str, Any] | None:
    """The error that a server packed, or ``None`` if it sent none."""
    for key, value in call.trailing_metadata() or ():
        if key == DETAIL_KEY:
            found: dict[str, Any] = json.loads(value)
            return found
    return None
