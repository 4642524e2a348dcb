"""Repeats a demonstration's motions where other things stand: each in the frame of its object, with planned ways between them.

Of MimicGen the transformed segments; where it interpolates blindly from one to the next, these ways are searched and checked for contacts
as all others are. What has slipped in the hand since is made up for, and at the goal the object may be turned about the vertical until the
arm gets there.

Source: Mandlekar et al., "MimicGen" (2023), arXiv:2310.17596, section 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.transforms import build_pose, invert, matrix_of, quat_of, turn_about_z
from blueprint_pipeline.motion.candidates import hand_turns
from blueprint_pipeline.motion.collision import relative_pose
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import constant, describe_contact, find_path, time_checked
from blueprint_pipeline.skill.attempts import SEED_STEP
from blueprint_pipeline.skill.contract import Skill, Steps
from blueprint_pipeline.skill.grasping import YAWS_RAD, GraspQuery
from blueprint_pipeline.skill.picking import FREE_PACE, STOP_S, summarise_rejected
from blueprint_pipeline.skill.placing import CARRY_PACE
from blueprint_pipeline.skill.subtasks import Subtask
from blueprint_pipeline.skill.traced_ways import TracedWay, grip_now, grip_pose, move_along, require_all_free, solve_ways, split_ways
from blueprint_pipeline.task.demonstration import SourceDemonstration
from blueprint_pipeline.task.task import Task

VERSION = "retrace-1"
"""Recorded with every derived episode, beside the version of its skill."""
_STAGES = {"target": "retrace_grasp", "goal": "retrace_place"}
_LOST_M = 0.05


@dataclass(frozen=True, kw_only=True)
class _Reached:
    """The motion about the target, and what bringing it to the goal needs to know of it."""

    ways: Sequence[TracedWay]
    pose_tcp_object: FloatArray
    """The target in the tool's frame, as planned."""
    width_m: float
    """Of the target between the fingers."""
    yaw_rad: float
    """Turn about the vertical through the goal with which it was found reachable."""


def retrace(scene: MotionScene, qpos: FloatArray, task: Task, skill: Skill[Any], demonstration: SourceDemonstration, *, seed: int) -> Steps:
    """Take the target and bring it to the goal as the demonstration did.

    Args:
        scene: The prepared model.
        qpos: Whole state (nq,) before the first step.
        task: What to do.
        skill: How, in the demonstration too.
        demonstration: Two segments: about the target, and about the goal.
        seed: Decides every search.

    Raises:
        PlanningFailed: A motion is out of reach or touches something here; from ``next`` and ``send``.
    """
    tracer = _Tracer(scene, task, skill, demonstration, seed)
    reached = tracer.reach(qpos)
    plan = tracer.take(qpos, reached)
    observed = yield plan
    yield tracer.bring(observed, reached, plan.setpoints[-1])


def find_untraceable(scene: MotionScene, qpos: FloatArray, task: Task, skill: Skill[Any], demonstration: SourceDemonstration) -> str | None:
    """Why a demonstration cannot be repeated from a state (nq,), as far as no path has to be searched for it; ``None``: it may be."""
    try:
        _Tracer(scene, task, skill, demonstration, 0).reach(qpos)
    except PlanningFailed as failure:
        return failure.reason
    return None


class _Tracer:
    """Repeats one demonstration in one episode."""

    def __init__(self, scene: MotionScene, task: Task, skill: Skill[Any], demonstration: SourceDemonstration, seed: int) -> None:
        self._scene, self._task, self._seed = scene, task, seed
        self._grasp, self._place = demonstration.segments
        by_name = {subtask.name: subtask for subtask in skill.subtasks}
        self._subtasks: tuple[Subtask, Subtask] = by_name[self._grasp.subtask], by_name[self._place.subtask]
        self._goal = np.eye(4)

    def reach(self, qpos: FloatArray) -> _Reached:
        """The motion about the target as joint positions, from where it stands, with the goal in reach as well.

        Raises:
            PlanningFailed: It is out of reach, touches something, or cannot be brought to the goal.
        """
        scene, checker = self._scene, self._scene.checker
        query = self._query(qpos)
        query.reset()
        if not checker.is_free(scene.arm_qpos(qpos), scene.gripper_width(qpos)):
            raise PlanningFailed(_STAGES["target"], "start_in_collision", f"where the robot starts, {describe_contact(scene)}")
        stands = checker.pose_of(self._task.target_object)
        self._goal = self._goal_frame(stands)
        gripped = stands @ grip_pose(self._grasp)
        rejected: list[CandidateRejected] = []
        for pose in hand_turns(scene, gripped):
            try:
                return self._reach(query, stands, invert(gripped) @ pose)
            except CandidateRejected as reason:
                rejected.append(reason)
        raise summarise_rejected(_STAGES["target"], self._task.target_object, rejected)

    def _reach(self, query: GraspQuery, stands: FloatArray, turn: FloatArray) -> _Reached:
        """The same with the tool turned about its approach (4, 4)."""
        scene, checker = self._scene, self._scene.checker
        query.reset()
        ways = solve_ways(scene, self._grasp, lambda pose: stands @ pose @ turn, None)
        before, grip, after = split_ways(ways)
        width_m = grip.motion.reached_m
        query.allow_target()
        require_all_free(scene, before, before[-1].motion.width_m, "grasp_blocked")
        held = relative_pose(scene.tool_pose(grip.points[-1]), stands)
        checker.hold(query.target, held)
        query.allow_lift(after[0].points[0], width_m)
        require_all_free(scene, after, width_m, "grasp_blocked")
        yaw_rad = self._reachable_yaw(query, held, after[-1].points[-1], width_m)
        return _Reached(ways=ways, pose_tcp_object=held, width_m=width_m, yaw_rad=yaw_rad)

    def take(self, qpos: FloatArray, reached: _Reached) -> MotionPlan:
        """From where the robot starts until the target is lifted."""
        scene, query = self._scene, self._query(qpos)
        query.reset()
        before, grip, after = split_ways(reached.ways)
        open_m = before[-1].motion.width_m
        builder = SetpointBuilder(scene.acting, fps=scene.fps, start=scene.holding(qpos))
        try:
            path = find_path(scene, scene.arm_qpos(qpos), before[0].points[0], open_m, self._seed)
            builder.move(self._subtasks[0].phases[0], *time_checked(scene, path, FREE_PACE, builder.early(open_m)))
            query.allow_target()
            for way in before:
                move_along(scene, builder, way)
            grip_now(builder, grip.motion)
            scene.checker.hold(query.target, reached.pose_tcp_object)
            for way in after:
                query.allow_lift(way.points[0], reached.width_m)
                move_along(scene, builder, way, held_m=reached.width_m)
        except CandidateRejected as reason:
            raise PlanningFailed(_STAGES["target"], reason.failure_code, reason.reason) from reason
        setpoints, phases = builder.build()
        return MotionPlan(setpoints=setpoints, phases=phases)

    def bring(self, qpos: FloatArray, reached: _Reached, last: FloatArray) -> MotionPlan:
        """From the lifted target, as it lies in the hand, until it stands at the goal and the arm is home."""
        query = self._query(qpos)
        query.reset()
        checker, target = self._scene.checker, self._task.target_object
        held = relative_pose(checker.tcp_pose(self._scene.arm_qpos(qpos)), checker.pose_of(target))
        slipped = float(np.linalg.norm((invert(reached.pose_tcp_object) @ held)[:3, 3]))
        if slipped > _LOST_M:
            reason = f"'{target}' is {slipped * 100:.0f} cm away from where the hand should hold it"
            raise PlanningFailed(_STAGES["goal"], "object_not_held", reason)
        rejected: list[CandidateRejected] = []
        for attempt, yaw in enumerate(sorted(YAWS_RAD, key=lambda value: abs(value - reached.yaw_rad)), start=1):
            try:
                return self._bring(query, held, reached, last, yaw_rad=float(yaw), seed=self._seed + SEED_STEP * attempt)
            except CandidateRejected as reason:
                rejected.append(reason)
        raise summarise_rejected(_STAGES["goal"], target, rejected)

    def _bring(self, query: GraspQuery, held: FloatArray, reached: _Reached, last: FloatArray, *, yaw_rad: float, seed: int) -> MotionPlan:
        scene, checker, width_m = self._scene, self._scene.checker, reached.width_m
        start: FloatArray = last[scene.acting.actuators]
        query.reset()
        checker.hold(query.target, held)
        before, grip, after = split_ways(self._solve_place(held, yaw_rad, start))
        query.allow_support()
        require_all_free(scene, before, width_m, "goal_unreachable")
        checker.allow()
        builder = SetpointBuilder(scene.acting, fps=scene.fps, start=last)
        path = find_path(scene, start, before[0].points[0], width_m, seed)
        carried, _ = time_checked(scene, path, CARRY_PACE, constant(width_m))
        builder.move(self._subtasks[1].phases[0], carried, np.full(len(carried), scene.acting.command_m(last)))
        query.allow_support()
        for way in before:
            move_along(scene, builder, way, held_m=width_m)
        grip_now(builder, grip.motion)
        checker.release()
        checker.put(query.target, scene.tool_pose(grip.points[-1]) @ held)
        query.allow_target()
        for way in after:
            move_along(scene, builder, way)
        checker.release()
        checker.allow()
        open_m = after[-1].motion.width_m
        home = find_path(scene, after[-1].points[-1], np.array(scene.arm.default_qpos_rad), open_m, seed + 1)
        opens = builder.late(scene.arm.gripper.stroke_m)
        builder.move(self._subtasks[1].phases[-1], *time_checked(scene, home, FREE_PACE, opens), hold_s=STOP_S)
        setpoints, phases = builder.build()
        return MotionPlan(setpoints=setpoints, phases=phases)

    def _reachable_yaw(self, query: GraspQuery, held: FloatArray, near: FloatArray, width_m: float) -> float:
        """The first turn at the goal that the arm reaches with this grasp; rejected for the reason of the first of all."""
        rejected: CandidateRejected | None = None
        for yaw in YAWS_RAD:
            try:
                before, _, _ = split_ways(self._solve_place(held, float(yaw), near))
                query.allow_support()
                require_all_free(self._scene, before, width_m, "goal_unreachable")
            except CandidateRejected as reason:
                rejected = rejected or reason
            else:
                return float(yaw)
        raise rejected or CandidateRejected("goal_unreachable", "the goal is out of reach")

    def _solve_place(self, held: FloatArray, yaw_rad: float, near: FloatArray) -> list[TracedWay]:
        """The ways about the goal: the target goes as it went, however it lies in the hand now."""
        as_held = np.eye(4) if self._place.held is None else matrix_of(self._place.held)
        frame = self._goal @ turn_about_z(yaw_rad)
        return solve_ways(self._scene, self._place, lambda pose: frame @ pose @ as_held @ invert(held), near)

    def _query(self, qpos: FloatArray) -> GraspQuery:
        """Who may touch what; where the target goes is the tracer's own business."""
        task = self._task
        return GraspQuery(
            scene=self._scene,
            qpos=qpos,
            target=task.target_object,
            support=task.support_object,
            goal_position_m=(0.0, 0.0, 0.0),
            center_object_m=(0.0, 0.0, 0.0),
        )

    def _goal_frame(self, stands: FloatArray) -> FloatArray:
        place_m = self._task.goal_m(_pose_of(stands))
        if place_m is None:
            raise PlanningFailed(_STAGES["goal"], "no_goal", "the task names no place that the target is brought to")
        return build_pose(np.array(place_m), np.eye(3))


def _pose_of(matrix: FloatArray) -> Pose:
    return Pose.of([*matrix[:3, 3], *quat_of(matrix)])
