"""How a call is refused: one line in the server's log, and the error to the caller."""

from typing import NoReturn
from urllib.parse import unquote

import grpc

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.log import get_logger
from blueprint_pipeline.simulation.service.errors import pack_error, status_of


def caller_of(context: grpc.ServicerContext) -> str:
    """Address of who calls, through ``TlsListener`` or without TLS: ``127.0.0.1:4242``."""
    kind, _, address = unquote(context.peer()).partition(":")
    return address.rsplit("/", 1)[-1] if kind == "unix" else address


def refuse(context: grpc.ServicerContext, error: BlueprintError, *, method: str | None = None, peer: str | None = None) -> NoReturn:
    """End a call with an error.

    Args:
        context: The call's.
        error: Why.
        method: Which call, where the error does not say it.
        peer: Who called, where the call may have ended since.
    """
    facts = {} if method is None else {"method": method}
    get_logger().warning("call refused", peer=peer or caller_of(context), **facts, **error.as_dict())
    context.set_trailing_metadata(pack_error(error))
    context.abort(status_of(error), str(error))
    raise error  # abort raises; types do not say so
