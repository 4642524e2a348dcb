"""One closed-loop trial of a policy in the simulator, judged by the skill's own success predicate."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from benchmarks.learning.observation import Reader, nearest_rotation, read_sentence
from benchmarks.learning.policy import KNOTS, Chunk, Policy
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import build_pose
from blueprint_pipeline.motion.candidates import ik_seeds
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.rollout.controller import observe_motion
from blueprint_pipeline.rollout.worker import Worker
from blueprint_pipeline.simulation.protocol import BodyContact, SimulationState
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.outcome import PredicateCheck
from blueprint_pipeline.task.spec import EpisodeSpec

_AT_REST = 6
"""Frames that the arm is given to come to rest at the end of a chunk."""
_FASTEST_SHARE = 0.7
"""Of the joints' velocity limits: setpoints go no faster, whatever the policy says."""


@dataclass
class Trial:
    """A trial as it goes on."""

    worker: Worker
    spec: EpisodeSpec
    states: list[SimulationState]
    contacts: list[tuple[BodyContact, ...]]

    def checks(self) -> tuple[PredicateCheck, ...]:
        """The predicate on all that was seen so far."""
        task, twin = self.spec.task, self.worker.twin
        controller = self.worker.controllers[self.spec.arm]
        motion = observe_motion(
            task,
            twin.object_ids,
            self.states,
            [*self.contacts, ()],
            arm=controller.planner.acting.layout.index,
            fps=twin.fps,
        )
        return load_skill(task.task_type).check(task, motion)


def run_trial(worker: Worker, reader: Reader, policy: Policy, spec: EpisodeSpec) -> Trial:
    """Let the policy act from an episode's start until the predicate holds or it has no more chunks."""
    planner, twin = worker.controllers[spec.arm].planner, worker.twin
    sentence = read_sentence(spec.task.instruction, reader.object_ids)
    state = worker.simulator.reset(spec.object_poses, spec.robot_qpos)
    trial = Trial(worker, spec, [state], [])
    setpoint = planner.holding(twin.qpos_of(state.robot_qpos, state.gripper_width_m, state.object_poses))
    index = planner.acting.layout.index
    for number in range(len(policy.models)):
        state = trial.states[-1]
        frames = reader.frames(state.ee_pose[index][None], state.gripper_width_m[index : index + 1], state.object_poses[None], sentence)
        setpoints = _setpoints(planner, policy.act(frames, number), setpoint, twin.fps)
        track = worker.simulator.track(setpoints)
        setpoint = setpoints[-1]
        trial.states += track.states
        trial.contacts += track.contacts
        if all(check.held for check in trial.checks()):
            break
    return trial


def _setpoints(planner: MotionScene, chunk: Chunk, start: FloatArray, fps: int) -> FloatArray:
    """A chunk as setpoints (T, nu), from the one before on; at its end the arm waits a little.

    The arm goes through the knots' joint positions along a cubic spline that rests at both ends, as a chunk does.
    """
    arm = planner.acting
    step_rad = np.array([joint.max_velocity_rad_s for joint in arm.arm.joints]) * _FASTEST_SHARE / fps
    joints = [start[arm.actuators]]
    for place_m, turn in zip(chunk.places_m, chunk.turns, strict=True):
        pose_world_tcp = planner.pose_world_base @ build_pose(place_m, nearest_rotation(turn))
        solved = planner.solve_ik(pose_world_tcp, [*ik_seeds(planner, pose_world_tcp), joints[-1]])
        joints.append(joints[-1] if solved is None else solved)
    widths_m = np.clip([arm.command_m(start), *chunk.widths_m], 0.0, arm.arm.gripper.stroke_m)
    at = np.append(np.arange(1, chunk.frames + 1) / chunk.frames, np.ones(_AT_REST)) * KNOTS
    rows, now = [], start
    for wanted, width_m in zip(
        CubicSpline(range(KNOTS + 1), joints, bc_type="clamped")(at), np.interp(at, range(KNOTS + 1), widths_m), strict=True
    ):
        now = now.copy()
        now[arm.actuators] += np.clip(wanted - now[arm.actuators], -step_rad, step_rad)
        now[arm.gripper_actuator] = arm.arm.gripper.ctrl_at(float(width_m))
        rows.append(now)
    return np.array(rows)
