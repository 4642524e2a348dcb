"""Kit wants all calls from the thread that started it; a gRPC server calls from a thread of its own. This takes them over."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import current_thread, main_thread
from typing import Any, TypeVar

from blueprint_pipeline.errors import Interrupted
from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.simulation.isaac_sim.calls import (
    Float32Array,
    IsaacApi,
    Origin,
    Placement,
    Readout,
    Shot,
    StageBinding,
    StepContacts,
)

_LOOK_S = 0.2
_SIMULATOR = "The simulator's process"
Answer = TypeVar("Answer")


class MainThreadApi:
    """An ``IsaacApi`` that may be called from any thread, while :meth:`work` runs in the main one."""

    def __init__(self, api: IsaacApi) -> None:
        self._api = api
        self._ended = False
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def work(self, stop: Callable[[], bool]) -> None:
        """Make the calls that other threads ask for, until ``stop`` says so; later ones are refused with ``Interrupted``."""
        while not stop():
            try:
                future, call = self._waiting.get(timeout=_LOOK_S)
            except Empty:
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 -- it belongs to the thread that asked
                future.set_exception(error)
        self._ended = True
        while not self._waiting.empty():
            self._waiting.get()[0].set_exception(Interrupted(_SIMULATOR))

    @property
    def version(self) -> str:
        return self._api.version

    @property
    def origin(self) -> Origin:
        return self._api.origin

    def open_stage(self, path: Path, binding: StageBinding) -> tuple[str, ...]:
        return self._do(lambda: self._api.open_stage(path, binding))

    def read(self) -> Readout:
        return self._do(self._api.read)

    def place(self, placement: Placement) -> None:
        self._do(lambda: self._api.place(placement))

    def advance(self, targets: Float32Array) -> Sequence[StepContacts]:
        return self._do(lambda: self._api.advance(targets))

    def draw(self, shot: Shot) -> ImageArray:
        return self._do(lambda: self._api.draw(shot))

    def close_stage(self) -> None:
        self._do(self._api.close_stage)

    def _do(self, call: Callable[[], Answer]) -> Answer:
        if current_thread() is main_thread():
            return call()
        if self._ended:
            raise Interrupted(_SIMULATOR)
        future: Future[Answer] = Future()
        self._waiting.put((future, call))
        return future.result()
