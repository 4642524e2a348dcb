"""A recorded session: every call to Isaac Sim with its answer, in one file, and an :class:`IsaacApi` that plays it back.

With it, what a GPU pod did can be checked again on any machine, through the backend's own code: the same calls must come in the same
order, and the recorded answers lead to the same figures. A session says in its header what answered (``origin``). One of ``stand_in``
was answered by another engine, and proves how we call and what we make of the answers, and nothing of Isaac Sim.

Format: gzip, one JSON document a line; first the header, then one line a call. Arrays are base64 of little-endian float32, pictures PNG.
"""

import base64
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, Self, TextIO

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from blueprint_pipeline.errors import InputError, IntegrityError
from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.simulation.isaac_sim.calls import (
    ContactPoint,
    Float32Array,
    IsaacApi,
    Origin,
    Placement,
    Readout,
    Shot,
    StageBinding,
    StepContacts,
)

_TOLERANCE = 1e-5
"""Of arguments [rad, m]: what is asked may differ by rounding between machines, and by nothing else."""
_WORDS = 300
_DIGITS = 9
"""Of impulses [N s] and separations [m]: a nanometre."""


class SessionDiverged(IntegrityError):
    """A call differs from the one that was recorded at this point: its answer would be made up."""

    code = "simulation.session_diverged"
    template = "Call {index} is {found}; recorded was {recorded}. What is asked of Isaac Sim has changed since: record the session again."

    index: int
    found: str
    recorded: str


class SessionUnreadable(InputError):
    """A file is no recorded session, or of another version."""

    code = "simulation.session_unreadable"
    template = "{path} is no recorded session that can be played: {reason}. Record it again."

    path: str
    reason: str


class SessionHeader(BaseModel):
    """The first line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["blueprint_pipeline.isaac_sim.session"] = "blueprint_pipeline.isaac_sim.session"
    version: Literal[1] = 1
    origin: Origin
    answered_by: str
    """Name and version of what answered, as it says itself."""
    content: str
    """What was done."""


class RecordingApi:
    """Passes every call on, and writes it down with its answer. Use it as a context manager, or call ``close``."""

    def __init__(self, api: IsaacApi, path: Path, content: str) -> None:
        self._api = api
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a time of its own the same session is the same file.
        self._raw = path.open("wb")
        self._file: TextIO = io.TextIOWrapper(gzip.GzipFile(fileobj=self._raw, mode="wb", filename="", mtime=0), encoding="utf-8")
        self._write(SessionHeader(origin=api.origin, answered_by=api.version, content=content).model_dump())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def version(self) -> str:
        return self._api.version

    @property
    def origin(self) -> Origin:
        return self._api.origin

    def open_stage(self, path: Path, binding: StageBinding) -> tuple[str, ...]:
        joints = self._api.open_stage(path, binding)
        self._write({"call": "open_stage", "asked": asdict(binding), "answer": list(joints)})
        return joints

    def read(self) -> Readout:
        readout = self._api.read()
        self._write({"call": "read", "asked": {}, "answer": _pack_fields(readout)})
        return readout

    def place(self, placement: Placement) -> None:
        self._api.place(placement)
        self._write({"call": "place", "asked": _pack_fields(placement), "answer": None})

    def advance(self, targets: Float32Array) -> Sequence[StepContacts]:
        steps = self._api.advance(targets)
        self._write({"call": "advance", "asked": {"targets": _pack_array(targets)}, "answer": _pack_contacts(steps)})
        return steps

    def draw(self, shot: Shot) -> ImageArray:
        image = self._api.draw(shot)
        self._write({"call": "draw", "asked": asdict(shot), "answer": _pack_image(image)})
        return image

    def close_stage(self) -> None:
        self._api.close_stage()
        self._write({"call": "close_stage", "asked": {}, "answer": None})

    def close(self) -> None:
        """End the file; what answered stays open."""
        self._file.close()
        self._raw.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")


class ReplayedApi:
    """Answers every call as it was answered in the session, if it is the call that was made then.

    Raises:
        SessionUnreadable: The file is no session of this version.
    """

    def __init__(self, path: Path) -> None:
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            self.header = SessionHeader.model_validate(lines[0])
        except (OSError, EOFError, ValueError, IndexError, ValidationError) as error:
            raise SessionUnreadable(str(path), str(error).splitlines()[0] if str(error) else "it is empty") from error
        self._lines: Iterator[tuple[int, dict[str, Any]]] = iter(enumerate(lines[1:], 1))

    @property
    def version(self) -> str:
        return self.header.answered_by

    @property
    def origin(self) -> Origin:
        return self.header.origin

    def open_stage(self, path: Path, binding: StageBinding) -> tuple[str, ...]:  # noqa: ARG002 -- it is read by who answers
        return tuple(self._answer("open_stage", asdict(binding)))

    def read(self) -> Readout:
        answer = self._answer("read", {})
        return Readout(**{field.name: _unpack_array(answer[field.name]) for field in fields(Readout)})

    def place(self, placement: Placement) -> None:
        self._answer("place", _pack_fields(placement))

    def advance(self, targets: Float32Array) -> Sequence[StepContacts]:
        return _unpack_contacts(self._answer("advance", {"targets": _pack_array(targets)}))

    def draw(self, shot: Shot) -> ImageArray:
        return _unpack_image(self._answer("draw", asdict(shot)))

    def close_stage(self) -> None:
        self._answer("close_stage", {})

    def _answer(self, call: str, asked: dict[str, Any]) -> Any:
        index, line = next(self._lines, (0, {"call": "the end of the session", "asked": {}}))
        if line["call"] != call or not _same(_plain(asked), line["asked"]):
            raise SessionDiverged(
                index, f"{call} {json.dumps(_plain(asked))[:_WORDS]}", f"{line['call']} {json.dumps(line['asked'])[:_WORDS]}"
            )
        return line["answer"]


def _plain(asked: dict[str, Any]) -> dict[str, Any]:
    """As it reads from JSON: tuples are lists there."""
    found: dict[str, Any] = json.loads(json.dumps(asked))
    return found


def _same(asked: Any, recorded: Any) -> bool:
    if isinstance(asked, dict) and isinstance(recorded, dict):
        if "f4" in asked and "f4" in recorded:
            first, second = _unpack_array(asked), _unpack_array(recorded)
            return first.shape == second.shape and bool(np.allclose(first, second, rtol=0.0, atol=_TOLERANCE))
        return asked.keys() == recorded.keys() and all(_same(asked[key], recorded[key]) for key in asked)
    if isinstance(asked, float) or isinstance(recorded, float):
        return isinstance(recorded, int | float) and abs(asked - recorded) <= _TOLERANCE
    return bool(asked == recorded)


def _pack_fields(record: Readout | Placement) -> dict[str, Any]:
    return {field.name: _pack_array(getattr(record, field.name)) for field in fields(record)}


def _pack_array(values: Float32Array) -> dict[str, Any]:
    little = np.ascontiguousarray(values, dtype="<f4")
    return {"f4": base64.b64encode(little.tobytes()).decode(), "shape": list(little.shape)}


def _unpack_array(packed: dict[str, Any]) -> Float32Array:
    return np.frombuffer(base64.b64decode(packed["f4"]), dtype="<f4").reshape(packed["shape"]).astype(np.float32)


def _pack_contacts(steps: Sequence[StepContacts]) -> dict[str, Any]:
    actors = sorted({actor for points in steps for point in points for actor in point.actors})
    number = {actor: index for index, actor in enumerate(actors)}
    rows = [
        [
            [number[point.actors[0]], number[point.actors[1]], round(point.normal_impulse_ns, _DIGITS), round(point.separation_m, _DIGITS)]
            for point in points
        ]
        for points in steps
    ]
    return {"actors": actors, "steps": rows}


def _unpack_contacts(packed: dict[str, Any]) -> list[StepContacts]:
    actors = packed["actors"]
    return [
        tuple(
            ContactPoint(actors=(actors[first], actors[second]), normal_impulse_ns=impulse, separation_m=separation)
            for first, second, impulse, separation in points
        )
        for points in packed["steps"]
    ]


def _pack_image(image: ImageArray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _unpack_image(packed: str) -> ImageArray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(packed))).convert("RGB"), dtype=np.uint8)
