"""A real recorded episode for tests, made without a planner: a block is grasped and lifted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.episode.states import StateRow, build_states_table, write_states
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.conformance_scene import BLOCK, write_conformance_scene
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.protocol import BodyContact, LoadedScene, SimulationState
from blueprint_pipeline.skill.pick_place import PickPlaceTask
from blueprint_pipeline.task.outcome import Outcome, Phase
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.workspace.checksums import digest_file
from tests.regions import square_about

FPS = 30
FRAMES = 45


@dataclass(frozen=True)
class Recorded:
    """An episode and the scene that it was made in."""

    scene: Path
    placement: RobotPlacement
    record: EpisodeRecord
    states: Path

    def load(self) -> tuple[MujocoSimulator, LoadedScene]:
        """A fresh simulator with the scene loaded, and what it loaded."""
        simulator = MujocoSimulator()
        return simulator, simulator.load(self.scene, self.placement, FPS)


def _row(state: SimulationState, setpoint: np.ndarray, contacts: tuple[BodyContact, ...]) -> StateRow:
    return StateRow(
        state=state, setpoint=setpoint, robot_command=setpoint[:7], gripper_command_m=setpoint[7:], phase="lift", contacts=contacts
    )


def record_lift(folder: Path) -> Recorded:
    """Close on the block and raise the arm; write ``states.parquet`` and the record."""
    panda = load_embodiment("franka_panda")
    scene = write_conformance_scene(folder / "scene", panda)
    simulator = MujocoSimulator()
    loaded = simulator.load(scene.folder, scene.placement, FPS)
    spec = EpisodeSpec(
        episode_index=0,
        episode_id="lift",
        seed=0,
        arm="arm",
        task=PickPlaceTask(
            instruction="lift the block",
            target_object=BLOCK,
            support_object="plinth",
            region_m=square_about(*scene.block_pose.position_m[:2]),
            center_object_m=(0.0, 0.0, 0.0),
            goal_position_m=scene.block_pose.position_m,
            upright=True,
        ),
        object_poses={BLOCK: scene.block_pose},
        robot_qpos=home_qpos(panda),
    )
    state = simulator.reset(spec.object_poses, spec.robot_qpos)
    integration_state = simulator.save_state()
    setpoints = np.tile(state.ctrl, (FRAMES, 1))
    setpoints[:, -1] = np.interp(np.arange(FRAMES), [0, 15], [0.08, 0.0])
    setpoints[:, 1] += np.interp(np.arange(FRAMES), [25, FRAMES], [0.0, -0.2])
    rows = []
    track = simulator.track(setpoints)
    for setpoint, after, contacts in zip(setpoints, track.states, track.contacts, strict=True):
        rows.append(_row(state, setpoint, contacts))
        state = after
    rows.append(_row(state, setpoints[-1], ()))
    path = folder / "states.parquet"
    write_states(path, build_states_table(rows, integration_state, np.zeros((len(rows), 0))))
    record = EpisodeRecord(
        scene_id="conformance",
        job_id="job-000000000000",
        shard_index=0,
        episode_id="lift",
        spec=spec,
        robot=scene.placement,
        fps=FPS,
        frames=FRAMES,
        duration_s=FRAMES / FPS,
        object_ids=loaded.object_ids,
        phases=(Phase(name="lift", start_frame=0, end_frame=FRAMES),),
        outcome=Outcome(success=True, failure_stage=None, failure_code=None, failure_reason=None, predicate=()),
        simulator=loaded.info,
        capabilities=simulator.capabilities(),
        controller="test",
        model_sha256=loaded.model_sha256,
        states=digest_file(path),
        origins={"states": Origin.SIMULATED},
    )
    return Recorded(scene=scene.folder, placement=scene.placement, record=record, states=path)
