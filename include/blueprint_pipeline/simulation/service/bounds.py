"""A bound on requests that speaks: gRPC's own ends the call without a word to the program."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.simulation.service.errors import MessageTooLarge
from blueprint_pipeline.simulation.service.refusals import caller_of, refuse

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Bound of one message: an HD frame is 6 MiB, ten minutes of setpoints 1.2 MiB."""
MAX_READ_BYTES = 4 * MAX_MESSAGE_BYTES
"""Up to here a request is read, so that it can be refused in words; more never enters the process."""


class MessageLost(InputError):
    """A request did not arrive whole."""

    code = "simulation.message_lost"
    template = "The request did not arrive: it has more than {max_bytes} bytes, of which nothing is read, or the caller went away."

    max_bytes: int


class MessageBound(grpc.ServerInterceptor):
    """Refuses requests of more than ``MAX_MESSAGE_BYTES`` before they are parsed."""

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wrap the call's handler in one that takes the request as bytes, and as a stream, so that it is called for a lost one, too."""
        handler = continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        method = handler_call_details.method

        def read(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            return handler.request_deserializer(_read_bounded(requests, context, method))

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            return handler.unary_unary(read(requests, context), context)

        def answer_many(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            yield from handler.unary_stream(read(requests, context), context)

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(answer_many, None, handler.response_serializer)
        return grpc.stream_unary_rpc_method_handler(answer, None, handler.response_serializer)


def _read_bounded(requests: Iterator[bytes], context: grpc.ServicerContext, method: str) -> bytes:
    peer = caller_of(context)
    try:
        raw = next(requests, None)
    except grpc.RpcError:  # the call was cancelled while its request came
        raw = None
    if raw is None:
        refuse(context, MessageLost(MAX_READ_BYTES), method=method, peer=peer)
    if len(raw) > MAX_MESSAGE_BYTES:
        refuse(context, MessageTooLarge(len(raw), MAX_MESSAGE_BYTES), method=method, peer=peer)
    return raw
