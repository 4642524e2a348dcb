"""Handing an object from one hand to the other, and setting it down with that: one plan of both arms in five steps, each from what is seen.

The giving hand takes the object and lifts it. Both arms move to where the hands meet. There the other hand takes the object while the
first still holds it. The first lets go and draws back. It goes home while the other arm carries the object on and sets it down.
World frame: z up, metres.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert
from blueprint_pipeline.motion.collision import relative_pose
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.overhead import from_above
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder, Widths
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import constant, describe_contact, find_direct, find_path, solve_line, time_checked
from blueprint_pipeline.skill.attempts import SEED_STEP, complete_first
from blueprint_pipeline.skill.contract import Steps
from blueprint_pipeline.skill.grasping import YAWS_RAD, GraspQuery, goal_pose, raise_above_goal, solve_place
from blueprint_pipeline.skill.hand_phases import HandPhases
from blueprint_pipeline.skill.meeting import GIVER, STRAIGHTNESS, TAKER, HandGrasp, Meeting, draw_back, find_meetings, reach_in
from blueprint_pipeline.skill.picking import (
    AWAY_PACE,
    FREE_PACE,
    GRIP_SPEED_M_S,
    LINE_PACE,
    STOP_S,
    summarise_rejected,
)
from blueprint_pipeline.skill.placing import CARRY_PACE, RELEASE_SPEED_M_S, RETRACT_M

_LOST_M = 0.03
"""By how much an object that slipped is lost."""
_CLOSED_S, _STILL_S = 0.1, 0.1
"""How long a hand is given to close on the object, and to let go of it on the support."""
_TAKE, _MEET, _RECEIVE, _PART, _SET_DOWN = "plan_take", "plan_meet", "plan_receive", "plan_part", "plan_set_down"


def hand_over(query: GraspQuery, phases: HandPhases, *, seed: int) -> Steps:
    """Plan the whole, step by step.

    Args:
        query: What is handed over and where it goes, with the scene of both arms, the giving one first.
        phases: Their names.
        seed: Decides every search: the same seed gives the same setpoints, bit by bit.

    Raises:
        PlanningFailed: There is no motion, or the object is not where a hand should hold it; from ``next`` and ``send``.
    """
    course = _Course(query=query, phases=phases, controls=query.scene.holding(query.qpos))
    plan, meeting = course.plan_take(seed)
    course = course.after(plan, (yield plan))
    plan = course.plan_meet(meeting, seed)
    course = course.after(plan, (yield plan))
    plan = course.plan_receive(meeting)
    course = course.after(plan, (yield plan))
    plan = course.plan_part(meeting)
    course = course.after(plan, (yield plan))
    yield course.plan_set_down(meeting, seed)


@dataclass(frozen=True, kw_only=True)
class _Course:
    """Where things stand before a step."""

    query: GraspQuery
    phases: HandPhases
    controls: FloatArray
    """What is commanded now (nu,)."""

    @property
    def _scene(self) -> MotionScene:
        return self.query.scene

    def after(self, plan: MotionPlan, observed: FloatArray) -> "_Course":
        """After a step, from what was observed (nq,)."""
        return replace(self, query=replace(self.query, qpos=observed), controls=plan.setpoints[-1])

    def _builder(self) -> SetpointBuilder:
        return SetpointBuilder(*self._scene.arms.bindings, fps=self._scene.fps, start=self.controls)

    def _held(self, hand: int) -> FloatArray:
        """A hand in the frame of the object (4, 4), as observed."""
        self.query.reset()
        tool = self._scene.tool_poses(self._scene.arm_qpos(self.query.qpos))[hand]
        return relative_pose(self._scene.checker.pose_of(self.query.target), tool)

    def _require_held(self, hand: int, grasp: HandGrasp, stage: str) -> FloatArray:
        """How a hand holds the object (4, 4).

        Raises:
            PlanningFailed: ``object_not_held``.
        """
        held = self._held(hand)
        slipped_m = float(np.linalg.norm(held[:3, 3] - grasp.pose_object_tcp[:3, 3]))
        if slipped_m > _LOST_M:
            name = self._scene.arms.bindings[hand].arm.name
            reason = f"'{self.query.target}' is {slipped_m * 100:.0f} cm away from where the {name} hand should hold it"
            raise PlanningFailed(stage, "object_not_held", reason)
        return held

    def plan_take(self, seed: int) -> tuple[MotionPlan, Meeting]:
        """The giving hand takes the object and lifts it; the other arm stands still.

        Raises:
            PlanningFailed: With the most frequent reason among what was tried.
        """
        query, scene = self.query, self._scene
        query.reset()
        if not scene.checker.is_free(scene.arm_qpos(query.qpos), scene.gripper_widths(query.qpos)):
            raise PlanningFailed(_TAKE, "start_in_collision", f"where the robot starts, {describe_contact(scene)}")
        rejected: list[CandidateRejected] = []
        found = complete_first(find_meetings(query, rejected), self._take, rejected, seed=seed)
        if found is not None:
            return found
        if not rejected:
            raise PlanningFailed(_TAKE, "no_grasp", f"the hands have no two grasps of '{query.target}' side by side from above")
        raise summarise_rejected(_TAKE, query.target, rejected)

    def _take(self, meeting: Meeting, /, *, seed: int, may_wander: bool) -> tuple[MotionPlan, Meeting]:
        query, scene, name = self.query, self._scene, self.phases.giver
        giver, grasp = scene.hands[GIVER], meeting.given
        alone, builder = replace(query, scene=giver), self._builder()
        start, still = scene.arms.split(builder.arm_end)
        alone.reset()
        down = from_above(giver, meeting.approach, meeting.over_m, grasp.open_m)
        path = _find_way(giver, start, down[0], grasp.open_m, seed, may_wander=may_wander)
        query.reset()
        open_m = np.array([grasp.open_m, scene.arms.bindings[TAKER].arm.gripper.stroke_m])
        builder.move(f"{name}_approach", *time_checked(scene, _beside(path, still), FREE_PACE, builder.early(open_m)))
        query.allow_target()
        builder.move(f"{name}_reach", *time_checked(scene, _beside(down, still), LINE_PACE, builder.early(open_m)), hold_s=STOP_S)
        close_m, held_m = np.array([grasp.close_m, open_m[TAKER]]), np.array([grasp.width_m, open_m[TAKER]])
        builder.grip(f"{name}_grasp", width_m=close_m, speed_m_s=GRIP_SPEED_M_S, hold_s=_CLOSED_S)
        scene.checker.hold(query.target, invert(grasp.pose_object_tcp), (GIVER,))
        query.allow_lift(builder.arm_end, held_m)
        lift, _ = time_checked(scene, _beside(meeting.lift, still), LINE_PACE, constant(held_m))
        builder.move(f"{name}_lift", lift, np.tile(close_m, (len(lift), 1)))
        return _build(builder), meeting

    def plan_meet(self, meeting: Meeting, seed: int) -> MotionPlan:
        """Both arms go to where the hands meet, the other one to before the object as it lies in the first.

        Raises:
            PlanningFailed: ``object_not_held``; or there is no way.
        """
        held = self._require_held(GIVER, meeting.given, _MEET)
        return self._tried(_MEET, lambda: self._meet(meeting, held, seed))

    def _meet(self, meeting: Meeting, held: FloatArray, seed: int) -> MotionPlan:
        query, scene, builder = self.query, self._scene, self._builder()
        before = self._reach(meeting, held, meeting.giver_there)[0]
        scene.checker.hold(query.target, invert(held), (GIVER,))
        scene.checker.allow()
        path = _find_way(scene, builder.arm_end, before, meeting.open_m, seed, may_wander=True)
        there, _ = time_checked(scene, path, CARRY_PACE, constant(meeting.open_m))
        builder.move("both_meet", there, np.tile(meeting.offered_m, (len(there), 1)), hold_s=STOP_S)
        return _build(builder)

    def plan_receive(self, meeting: Meeting) -> MotionPlan:
        """The other hand takes the object, as it lies in the first, while that holds it still.

        Raises:
            PlanningFailed: ``object_not_held``; or there is no way.
        """
        held = self._require_held(GIVER, meeting.given, _RECEIVE)
        return self._tried(_RECEIVE, lambda: self._receive(meeting, held))

    def _receive(self, meeting: Meeting, held: FloatArray) -> MotionPlan:
        builder, name = self._builder(), self.phases.taker
        giver_there, _ = self._scene.arms.split(builder.arm_end)
        reach = np.vstack([builder.arm_end, self._reach(meeting, held, giver_there)])
        timed, _ = time_checked(self._scene, reach, LINE_PACE, constant(meeting.open_m))
        builder.move(f"{name}_reach", timed, np.tile(meeting.offered_m, (len(timed), 1)), hold_s=STOP_S)
        builder.grip(f"{name}_grasp", width_m=meeting.both_closed_m, speed_m_s=GRIP_SPEED_M_S, hold_s=_CLOSED_S)
        return _build(builder)

    def _reach(self, meeting: Meeting, held: FloatArray, giver_there: FloatArray) -> FloatArray:
        """Joint positions (k, n) of both arms with which the other hand takes the object as it lies in the first.

        Raises:
            CandidateRejected: ``meeting_unreachable``.
        """
        taker, taken = self._scene.hands[TAKER], meeting.taken.pose_object_tcp
        tool = self._scene.hands[GIVER].tool_pose(giver_there) @ invert(held) @ taken
        taker_there = taker.solve_ik(tool, [meeting.taker_there])
        if taker_there is None:
            raise CandidateRejected("meeting_unreachable", f"the {taker.arm.name} hand does not reach the object as it lies in the other")
        return reach_in(self.query, held, taken, np.concatenate([giver_there, taker_there]))

    def plan_part(self, meeting: Meeting) -> MotionPlan:
        """The giving hand lets go and draws back.

        Raises:
            PlanningFailed: ``object_not_held`` by either hand; or there is no way.
        """
        self._require_held(GIVER, meeting.given, _PART)
        held = self._require_held(TAKER, meeting.taken, _PART)
        return self._tried(_PART, lambda: self._part(meeting, held))

    def _part(self, meeting: Meeting, held: FloatArray) -> MotionPlan:
        builder, name = self._builder(), self.phases.giver
        back = draw_back(self.query, meeting, held, builder.arm_end)
        free_m = np.array([meeting.given.released_m, meeting.taken.width_m])
        timed, _ = time_checked(self._scene, back, AWAY_PACE, constant(free_m))
        released_m = np.array([meeting.given.released_m, meeting.taken.close_m])
        builder.grip(f"{name}_release", width_m=released_m, speed_m_s=GRIP_SPEED_M_S, hold_s=0.0)
        builder.move(f"{name}_retract", timed, np.tile(released_m, (len(timed), 1)), hold_s=STOP_S)
        return _build(builder)

    def plan_set_down(self, meeting: Meeting, seed: int) -> MotionPlan:
        """The other hand sets the object down, as it lies in it, and goes home; the giving arm goes home meanwhile.

        A turn at the goal to which both arms go straight comes before one for which a hand would wander.

        Raises:
            PlanningFailed: ``object_not_held``; or no turn at the goal has a motion.
        """
        held = self._require_held(TAKER, meeting.taken, _SET_DOWN)
        yaws_rad = sorted(YAWS_RAD, key=lambda value: abs(value - meeting.yaw_rad))
        rejected: list[CandidateRejected] = []
        for attempt, (may_wander, yaw_rad) in enumerate(product((False, True), yaws_rad), start=1):
            try:
                return self._set_down(meeting, held, float(yaw_rad), seed=seed + SEED_STEP * attempt, may_wander=may_wander)
            except CandidateRejected as reason:
                rejected.append(reason)
        raise summarise_rejected(_SET_DOWN, self.query.target, rejected)

    def _set_down(self, meeting: Meeting, held: FloatArray, yaw_rad: float, *, seed: int, may_wander: bool) -> MotionPlan:
        query, scene, builder, name = self.query, self._scene, self._builder(), self.phases.taker
        home, start = scene.arms.split(scene.arms.home)[GIVER], builder.arm_end
        pose_world_goal = goal_pose(query, meeting.pose_world_object, yaw_rad)
        up = self._above_goal(meeting, held, pose_world_goal @ held)
        query.reset()
        scene.checker.hold(query.target, invert(held), (TAKER,))
        carried_m = np.array([meeting.given.released_m, meeting.taken.width_m])
        path = _find_way(scene, start, np.concatenate([home, up[-1]]), carried_m, seed, may_wander=may_wander)
        carry, _ = time_checked(scene, path, CARRY_PACE, constant(carried_m))
        query.allow_support()
        lower, _ = time_checked(scene, _beside(up[::-1], home, first=False), LINE_PACE, constant(carried_m))
        strokes_m = np.array([binding.arm.gripper.stroke_m for binding in scene.arms.bindings])
        holding_m = np.array([strokes_m[GIVER], meeting.taken.close_m])
        openings = builder.late(holding_m)(len(carry))
        builder.move("both_part", carry, openings)
        builder.move(f"{name}_lower", lower, np.tile(holding_m, (len(lower), 1)), hold_s=STOP_S)
        released_m = np.array([strokes_m[GIVER], meeting.taken.released_m])
        builder.grip(f"{name}_release", width_m=released_m, speed_m_s=RELEASE_SPEED_M_S, hold_s=_STILL_S)
        scene.checker.release()
        scene.checker.put(query.target, pose_world_goal)
        self._go_home(meeting, builder, seed=seed + 1, may_wander=may_wander)
        return _build(builder)

    def _above_goal(self, meeting: Meeting, held: FloatArray, pose_world_tcp: FloatArray) -> FloatArray:
        """Joint positions (k, n) of the taking arm from the goal upward, as high as it travels.

        Raises:
            CandidateRejected: ``goal_unreachable``.
        """
        alone = replace(self.query, scene=self._scene.hands[TAKER], qpos=self._with_giver_home())
        alone.reset()
        alone.scene.checker.hold(alone.target, invert(held))
        up = solve_place(alone, pose_world_tcp, meeting.taker_there, meeting.taken.width_m)
        return raise_above_goal(alone.scene, up, meeting.rise_m, meeting.taken.width_m)

    def _with_giver_home(self) -> FloatArray:
        """The observed state (nq,) with the giving arm where it will be."""
        qpos, binding = self.query.qpos.copy(), self._scene.arms.bindings[GIVER]
        qpos[binding.qpos] = binding.arm.home_qpos_rad
        return qpos

    def _go_home(self, meeting: Meeting, builder: SetpointBuilder, *, seed: int, may_wander: bool) -> None:
        """The taking hand back from the object and home.

        Raises:
            CandidateRejected: It cannot.
        """
        query, scene, name = self.query, self._scene, self.phases.taker
        taker, strokes_m = scene.hands[TAKER], np.array([binding.arm.gripper.stroke_m for binding in scene.arms.bindings])
        home, at = scene.arms.split(builder.arm_end)
        tool = taker.tool_pose(at)
        query.allow_target()
        back = solve_line(taker, tool, at, -RETRACT_M * tool[:3, 2], "goal_unreachable")
        wide_m, narrow_m = (np.array([strokes_m[GIVER], width]) for width in (meeting.taken.open_m, meeting.taken.released_m))
        rows = _beside(back, home, first=False)
        open_m = wide_m if all(scene.checker.is_free(qpos, wide_m) for qpos in rows) else narrow_m
        builder.move(f"{name}_retract", *time_checked(scene, rows, AWAY_PACE, builder.early(open_m)))
        scene.checker.release()
        scene.checker.allow()
        path = _find_way(scene, rows[-1], scene.arms.home, open_m, seed, may_wander=may_wander)
        builder.move(f"{name}_home", *time_checked(scene, path, FREE_PACE, builder.late(strokes_m)), hold_s=STOP_S)

    def _tried(self, stage: str, plan: Callable[[], MotionPlan]) -> MotionPlan:
        """A step that can be done in but one way.

        Raises:
            PlanningFailed: It cannot.
        """
        try:
            return plan()
        except CandidateRejected as reason:
            raise PlanningFailed(stage, reason.failure_code, reason.reason) from reason


def _find_way(scene: MotionScene, start: FloatArray, goal: FloatArray, width_m: Widths, seed: int, *, may_wander: bool) -> FloatArray:
    """A free path (k, n) in which no hand wanders; else, if one may, the best of those that wander, or that a search finds.

    Raises:
        CandidateRejected: ``no_path``, ``detour``.
    """
    direct = find_direct(scene, start, goal, width_m, straightness=STRAIGHTNESS)
    if direct is not None:
        return direct
    if not may_wander:
        raise CandidateRejected("detour", "no direct way leads there")
    return find_path(scene, start, goal, width_m, seed)


def _beside(rows: FloatArray, still: FloatArray, *, first: bool = True) -> FloatArray:
    """Joint positions of both arms (k, n): one moves (k, m), the other stands still; ``first``: it is the first that moves."""
    others = np.tile(still, (len(rows), 1))
    return np.hstack([rows, others] if first else [others, rows])


def _build(builder: SetpointBuilder) -> MotionPlan:
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases)
