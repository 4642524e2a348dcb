"""A bound on requests that speaks: gRPC's own ends the call without a word to the program."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.simulation.service.errors import MessageTooLarge
from blueprint_pipeline.simulation.service.refusals import caller_of, refuse
from blueprint_pipeline.simulation.service.waiting import MessageWaits

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Bound of one message: an HD frame is 6 MiB, ten minutes of setpoints 1.2 MiB."""
MAX_READ_BYTES = 4 * MAX_MESSAGE_BYTES
"""Up to here a request is read, so that it can be refused in words; more never enters the process."""


class MessageLost(InputError):
    """A request did not arrive whole."""

    code = "simulation.message_lost"
    template = (
        "The request did not arrive: it did not come within {wait_s:.0f} s, it has more than {max_bytes} bytes, of which nothing is read, "
        "or the caller went away."
    )

    max_bytes: int
    wait_s: float


class MessageMalformed(InputError):
    """A request's bytes are not a message of its call."""

    code = "simulation.message_malformed"
    template = (
        "The request to {method} has {size_bytes} bytes that are no such message: {reason}. Use the messages of blueprint.simulation.v1."
    )

    method: str
    size_bytes: int
    reason: str


class MessageBound(grpc.ServerInterceptor):
    """Refuses requests of more than ``MAX_MESSAGE_BYTES`` before they are parsed, and those that do not come or are none.

    Args:
        waits: Bounds the wait for each message.
        pools: Threads of their own for services by the beginning of their methods, so that no one of them can take all threads.
    """

    def __init__(self, waits: MessageWaits, pools: dict[str, ThreadPoolExecutor]) -> None:
        self._waits = waits
        self._pools = pools

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wrap the call's handler in one that takes the request as bytes, and as a stream, so that it is called for a lost one, too."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        if handler.request_streaming:
            return self._bounded_stream(handler, method)

        def read(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            return _parse(handler, self._read(requests, context, method), context, method)

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            return handler.unary_unary(read(requests, context), context)

        def answer_many(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            yield from handler.unary_stream(read(requests, context), context)

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(self._in_pool(answer_many, method), None, handler.response_serializer)
        return grpc.stream_unary_rpc_method_handler(self._in_pool(answer, method), None, handler.response_serializer)

    def _bounded_stream(self, handler: Any, method: str) -> Any:
        """A handler of reflection: it ends when its next question does not come."""

        def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            yield from handler.stream_stream(self._each(requests, context), context)

        return grpc.stream_stream_rpc_method_handler(
            self._in_pool(answer, method), handler.request_deserializer, handler.response_serializer
        )

    def _each(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        while True:
            with self._waits.bounded(context):
                found = next(requests, None)
            if found is None:
                return
            yield found

    def _in_pool(self, behavior: Any, method: str) -> Any:
        """Let gRPC run a handler in the pool of its service: the attribute is how its own health service asks for one."""
        for beginning, pool in self._pools.items():
            if method.startswith(beginning):
                behavior.experimental_thread_pool = pool
        return behavior

    def _read(self, requests: Iterator[bytes], context: grpc.ServicerContext, method: str) -> bytes:
        peer = caller_of(context)
        try:
            with self._waits.bounded(context):
                raw = next(requests, None)
        except grpc.RpcError:  # the call was cancelled while its request came
            raw = None
        if raw is None:
            refuse(context, MessageLost(MAX_READ_BYTES, self._waits.wait_s), method=method, peer=peer)
        if len(raw) > MAX_MESSAGE_BYTES:
            refuse(context, MessageTooLarge(len(raw), MAX_MESSAGE_BYTES), method=method, peer=peer)
        return raw


def _parse(handler: Any, raw: bytes, context: grpc.ServicerContext, method: str) -> Any:
    try:
        return handler.request_deserializer(raw)
    except DecodeError as error:
        refuse(context, MessageMalformed(method, len(raw), str(error)))
