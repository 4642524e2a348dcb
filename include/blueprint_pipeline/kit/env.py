"""A Gymnasium environment made from a kit: the scene, robot, tasks, cameras and success predicate of its dataset.

An action is a row of the dataset's ``action`` column; a frame of the environment is a frame of the dataset. Observations have the keys that
LeRobot's environments use, so that its evaluation reads them: ``agent_pos`` is ``observation.state``, ``environment_state`` is
``observation.object_poses``, ``pixels`` holds ``observation.images.*``. ``ee_pose`` is ``observation.ee_pose``, ``task`` the sentence.

Source: Gymnasium's ``Env``; LeRobot 0.4.4, ``lerobot/envs/utils.py`` (``preprocess_observation``, ``add_envs_task``) and
``lerobot/scripts/lerobot_eval.py`` (``rollout``: ``_max_episode_steps``, ``is_success``).
"""

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .painter import Painter
from .starts import Start, load_starts
from .trial import DIVERGED, EE_POSE, IMAGES, OBJECT_POSES, STATE, TASK, Trial, action_bounds
from .world import KitNotUsable, World, load_kit

KINDS = ("held_out", "delivered")
"""Of starts."""
_LONGEST_SENTENCE = 512
_LETTERS = string.ascii_letters + string.digits + string.punctuation + " "


class KitEnv(gymnasium.Env[dict[str, Any], NDArray[np.float32]]):
    """Tries at a kit's tasks.

    Reward 1.0 and the end in the frame in which every condition of the task holds; the end, too, where physics blew up; cut off after
    ``max_steps`` of ``kit.json``.
    ``info`` has ``is_success``, ``task`` and ``start_id``; at the end also ``missed``: the first condition that does not hold, or nothing.

    Args:
        folder: Of the kit.
        starts: ``held_out``: starts that no demonstration has; ``delivered``: those of the dataset's episodes.
        skills: Only tasks of these skills; all where it is empty.
        cameras: Cameras in ``pixels``; there are no pixels where it is empty.

    Raises:
        ValueError: There is no such kind of start, or the kit has none of it.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}

    def __init__(
        self,
        folder: Path,
        *,
        starts: str = "held_out",
        skills: Sequence[str] = (),
        cameras: Sequence[str] = (),
        render_mode: str | None = None,
    ) -> None:
        if starts not in KINDS:
            raise ValueError(f"starts is '{starts}'; expected one of {', '.join(KINDS)}")
        self._folder, self._cameras, self.render_mode = folder, tuple(cameras), render_mode
        self._world = World(folder)
        if unknown := sorted(set(cameras) - set(self._world.kit["cameras"])):
            raise KitNotUsable(f"There is no camera {', '.join(unknown)}; there are {', '.join(self._world.kit['cameras'])}.")
        self._known = load_starts(folder)
        self._drawn = [
            name
            for name, start in self._known.items()
            if start.delivered is (starts == "delivered") and (not skills or start.task["task_type"] in skills)
        ]
        if not self._drawn:
            raise ValueError(f"{folder} has no {starts} start of {', '.join(skills) or 'any skill'}")
        self._max_episode_steps: int = self._world.kit["max_steps"]
        self.metadata = self.metadata | {"render_fps": self._world.fps}
        self._painter: Painter | None = None
        self._trial = self._begin(self._known[self._drawn[0]])
        low, high = (bound.astype(np.float32) for bound in action_bounds(self._world))
        self.action_space = spaces.Box(low, high, dtype=np.float32)
        self.observation_space = self._build_space()

    @property
    def task(self) -> str:
        """The sentence of the present try."""
        return self._trial.start.instruction

    @property
    def task_description(self) -> str:
        """The same, by the name that LeRobot asks first."""
        return self.task

    @property
    def start_ids(self) -> list[str]:
        """What ``reset`` draws from."""
        return list(self._drawn)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin a try, from a start that is drawn, or from the one that ``options`` names: ``{"start": id}``.

        Raises:
            ValueError: The kit has no such start.
        """
        super().reset(seed=seed)
        name = (options or {}).get("start") or self._drawn[int(self.np_random.integers(len(self._drawn)))]
        if name not in self._known:
            raise ValueError(f"{self._folder} has no start '{name}'; it has {', '.join(self._known)}")
        self._trial = self._begin(self._known[name])
        return self._observe(), self._tell(is_success=False)

    def step(self, action: NDArray[Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Execute one frame."""
        self._trial.act(action)
        missed = self._trial.missed()
        done, ended = missed is None, missed in {None, DIVERGED}
        cut_off = not ended and self._trial.frames >= self._max_episode_steps
        info = self._tell(is_success=done)
        if ended or cut_off:
            info["missed"] = missed or ""
        return self._observe(), float(done), ended, cut_off, info

    def render(self) -> NDArray[np.uint8] | None:
        """The scene camera's picture of the present frame."""
        camera, variation = self._world.kit["cameras"][0], self._trial.start.variation
        return self._draw(self._world.data.qpos.copy(), camera, variation) if self.render_mode else None

    def close(self) -> None:
        """Free what draws."""
        if self._painter is not None:
            self._painter.close()
            self._painter = None

    def _begin(self, start: Start) -> Trial:
        return Trial(self._world, start, self._cameras, self._draw)

    def _draw(self, qpos: NDArray[np.float64], camera: str, variation: Mapping[str, Any]) -> NDArray[np.uint8]:
        if self._painter is None:
            self._painter = Painter(self._world.model, self._world.kit)
        return self._painter.draw(qpos, camera, variation)

    def _tell(self, *, is_success: bool) -> dict[str, Any]:
        return {"is_success": is_success, "task": self.task, "start_id": self._trial.start.start_id}

    def _observe(self) -> dict[str, Any]:
        seen = self._trial.observe()
        named = {"agent_pos": seen[STATE], "environment_state": seen[OBJECT_POSES], "ee_pose": seen[EE_POSE], "task": seen[TASK]}
        pixels = {"pixels": {camera: seen[f"{IMAGES}{camera}"] for camera in self._cameras}} if self._cameras else {}
        return {**named, **pixels}

    def _build_space(self) -> spaces.Dict:
        arms, objects = self._world.arms, self._world.object_ids
        sizes = {"agent_pos": sum(len(arm.joints) + 1 for arm in arms), "environment_state": 7 * len(objects), "ee_pose": 7 * len(arms)}
        found: dict[str, spaces.Space[Any]] = {name: spaces.Box(-np.inf, np.inf, (size,), np.float32) for name, size in sizes.items()}
        found["task"] = spaces.Text(_LONGEST_SENTENCE, charset=_LETTERS)
        if self._cameras:
            width, height = self._world.kit["frame_px"]
            found["pixels"] = spaces.Dict({camera: spaces.Box(0, 255, (height, width, 3), np.uint8) for camera in self._cameras})
        return spaces.Dict(found)


def make_env(folder: Path, n_envs: int, *, use_async_envs: bool) -> dict[str, dict[int, gymnasium.vector.VectorEnv[Any, Any, Any]]]:
    """Held-out starts as LeRobot's evaluation takes them: one task a skill, each with all cameras.

    Returns:
        ``{suite: {task_id: vector_env}}``; the suite is the kit's scene, and tasks are its skills by name, from 0.

    Source: LeRobot's documentation, "Loading Environments from the Hub", and LeRobot 0.4.4, ``lerobot/envs/factory.py`` (``make_env``):
    ``AutoresetMode.SAME_STEP`` keeps ``final_info``, from which success is read.
    """
    kind = gymnasium.vector.AsyncVectorEnv if use_async_envs else gymnasium.vector.SyncVectorEnv
    skills = sorted({start.task["task_type"] for start in load_starts(folder).values() if not start.delivered})
    kit = load_kit(folder)

    def build(skill: str) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
        made = [lambda: KitEnv(folder, skills=[skill], cameras=kit["cameras"], render_mode="rgb_array") for _ in range(n_envs)]
        return kind(made, autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP)

    return {kit["scene_id"]: {number: build(skill) for number, skill in enumerate(skills)}}
