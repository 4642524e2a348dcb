"""What the policy sees: the tool's pose, the gripper's opening and all objects' poses of a frame, and the episode's sentence.

Nothing else: no goal, no phase, no time. Poses are brought into the robot's base frame (x forward, y left, z up).
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.policy.errors import SentenceNotRead

PLACES = frozenset({"left", "right", "front", "back", "middle", "behind"})
"""Words that say where to. Colours, verbs, prepositions and the support's name say nothing more once the objects are found."""


@dataclass(frozen=True)
class Sentence:
    """A sentence as a lab would read it with the objects' names at hand."""

    target: int
    """Index of the object that is named first."""
    reference: int | None
    """Index of the object that is named second."""
    words: tuple[str, ...]
    """Those of :data:`PLACES` that it has; ``left of`` where a second object is named, ``left`` where not."""


def read_sentence(text: str, object_ids: tuple[str, ...]) -> Sentence:
    """Find the objects' names (the last words of their ids that say no place) in a sentence, in the order in which they are named.

    Raises:
        SentenceNotRead: It names none, or a name that two objects have; parts of objects are not read.
    """
    tokens = re.findall(r"[a-z]+", text.lower())
    names = [re.findall(r"[a-z]+", object_id.lower()) for object_id in object_ids]
    last = [next((word for word in reversed(name) if word not in PLACES), "") for name in names]
    named = [index for _, index in sorted((tokens.index(word), index) for index, word in enumerate(last) if word in tokens)]
    if not named:
        raise SentenceNotRead(text, "it names none of the objects", object_ids)
    if len({last[index] for index in named}) < len(named):
        raise SentenceNotRead(text, "two objects have the same name", object_ids)
    if any("/" in object_ids[index] for index in named):
        raise SentenceNotRead(text, "it names a part of an object", object_ids)
    words = (word for word in tokens if word in PLACES)
    if len(named) > 1:
        return Sentence(named[0], named[1], tuple(f"{word} of" for word in words))
    return Sentence(named[0], None, tuple(words))


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Frames in the base frame, b of them."""

    tool_m: FloatArray
    """(b, 3)."""
    tool_turn: FloatArray
    """(b, 3, 3)."""
    width_m: FloatArray
    """(b,)."""
    target_m: FloatArray
    """(b, 3)."""
    target_turn: FloatArray
    """(b, 3, 3)."""
    reference_m: FloatArray
    """(b, 3); 0 where no second object is named."""
    words: FloatArray
    """(b, w): which words of the vocabulary the sentence has."""
    target: FloatArray
    """(b, n_objects): which object is named first."""
    reference: FloatArray
    """(b, n_objects): which object is named second; all 0 where none is."""

    def at(self, rows: NDArray[np.int64]) -> "Frames":
        """Some of the frames."""
        return Frames(**{name: value[rows] for name, value in vars(self).items()})

    def numbers(self, axes: FloatArray) -> FloatArray:
        """Inputs (b, n) of the policy, positions and turns seen in ``axes`` (b, 3, 3) about the base.

        Each word stands by itself and with each object that is named: how far "behind" is depends on how wide both are.
        """
        tool_m, target_m, reference_m = (see(axes, value) for value in (self.tool_m, self.target_m, self.reference_m))
        tool, target = see_turn(axes, self.tool_turn), see_turn(axes, self.target_turn)
        twice = doubled(target[:, :, 0])
        of_object = (self.target[:, :, None] * twice[:, None]).reshape(len(twice), -1)
        parts = [tool_m, tool[:, :, 2], doubled(tool[:, :, 1]), self.width_m[:, None] * 10, target_m, target[:, :2, 0], twice, of_object]
        where = [(self.words[:, :, None] * named[:, None]).reshape(len(twice), -1) for named in (self.target, self.reference)]
        return np.concatenate([*parts, reference_m, self.words, self.target, self.reference, *where], axis=1)


def see(axes: FloatArray, vectors: FloatArray) -> FloatArray:
    """Vectors (b, 3) in axes (b, 3, 3)."""
    seen: FloatArray = np.einsum("bji,bj->bi", axes, vectors)
    return seen


def see_turn(axes: FloatArray, turns: FloatArray) -> FloatArray:
    """Rotation matrices (b, 3, 3) in axes (b, 3, 3)."""
    seen: FloatArray = axes.transpose(0, 2, 1) @ turns
    return seen


def doubled(vectors: FloatArray) -> FloatArray:
    """Cosine and sine of twice the angle of vectors (b, 3) about the vertical: the same for a direction and its opposite. (b, 2)."""
    x, y = vectors[:, 0], vectors[:, 1]
    return np.stack([x**2 - y**2, 2 * x * y], axis=1) / np.maximum(x**2 + y**2, 1e-9)[:, None]


@dataclass(frozen=True)
class Reader:
    """Turns what a dataset delivers into :class:`Frames`.

    Attributes:
        base: The robot's base in the world, (4, 4).
        object_ids: Movable objects in the order of their poses.
        vocabulary: Words of the training sentences.
    """

    base: FloatArray
    object_ids: tuple[str, ...]
    vocabulary: tuple[str, ...]

    def frames(self, tool: FloatArray, width_m: FloatArray, objects: FloatArray, sentence: Sentence) -> Frames:
        """Read frames of one episode.

        Args:
            tool: Poses in the world, (b, 7).
            width_m: Opening of the gripper, (b,).
            objects: Poses in the world, (b, n_objects, 7).
            sentence: The episode's.
        """
        known = sentence.reference is not None
        target, reference = objects[:, sentence.target], objects[:, sentence.reference or 0]
        words = np.array([word in sentence.words for word in self.vocabulary], dtype=np.float64)
        numbers = np.arange(len(self.object_ids))
        return Frames(
            tool_m=self.positions(tool[:, :3]),
            tool_turn=self.turns(tool[:, 3:]),
            width_m=width_m,
            target_m=self.positions(target[:, :3]),
            target_turn=self.turns(target[:, 3:]),
            reference_m=self.positions(reference[:, :3]) * known,
            words=np.tile(words, (len(tool), 1)),
            target=np.tile(numbers == sentence.target, (len(tool), 1)).astype(np.float64),
            reference=np.tile(numbers == (sentence.reference if known else -1), (len(tool), 1)).astype(np.float64),
        )

    def positions(self, points_m: FloatArray) -> FloatArray:
        """World points (..., 3) in the base frame."""
        seen: FloatArray = (points_m - self.base[:3, 3]) @ self.base[:3, :3]
        return seen

    def turns(self, quats: FloatArray) -> FloatArray:
        """World quaternions wxyz (b, 4) as rotation matrices in the base frame, (b, 3, 3)."""
        matrices: FloatArray = self.base[:3, :3].T @ Rotation.from_quat(quats, scalar_first=True).as_matrix()
        return matrices


def nearest_rotation(matrix: FloatArray) -> FloatArray:
    """The rotation matrix (3, 3) nearest to one that was interpolated.

    Source: Kabsch, "A solution for the best rotation to relate two sets of vectors" (1976).
    """
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right)
