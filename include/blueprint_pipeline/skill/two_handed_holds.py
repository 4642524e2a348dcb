"""How both hands can hold an object so that they can lift it, bring it to the goal and let go: all that is asked without a search.

World frame: z up, metres.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert, shift
from blueprint_pipeline.motion.candidates import hand_turns, ik_seeds
from blueprint_pipeline.motion.closed_chain import follow_object, straight_way
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.overhead import bottom_of, height_over
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import require_free, solve_line
from blueprint_pipeline.motion.two_hands import PairedGrasp, rank_pairs
from blueprint_pipeline.skill.grasping import APPROACH_M, LIFT_M, OPEN_GAP_M, RELEASE_M, GraspQuery, goal_pose

MAX_PAIRS = 24
"""Pairs of grasps that are looked at."""
YAWS_RAD = tuple(np.deg2rad((0, 20, -20, 40, -40, 60, -60, 90, -90)))
"""Turns of the object at the goal about the vertical, in the order in which they are tried: hands that hold it cannot turn it far."""
_SLACK_M = 0.01
"""By which the object may lie otherwise in the hands than planned, and they must still reach the goal with it."""
_RISES = (1.0, 0.5, 0.0)
"""Shares of the rise to the height of travel, the first that is good."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Both hands on the target: what they are asked to do with it is followed by both arms, without contact."""

    query: GraspQuery
    held: FloatArray
    """How each hand holds the target, in its frame (2, 4, 4)."""
    widths_m: FloatArray
    """(2,): of the target between the fingers of each hand."""

    @property
    def scene(self) -> MotionScene:
        """Of both arms."""
        return self.query.scene

    def hold(self) -> None:
        """From now on the checker has the target in both hands."""
        self.scene.checker.hold(self.query.target, invert(self.held[0]), (0, 1))

    def lift(self, start: FloatArray, pose_world_object: FloatArray) -> FloatArray:
        """Joint positions (k, n) that lift the target by :data:`~blueprint_pipeline.skill.grasping.LIFT_M` from where it stands.

        Raises:
            CandidateRejected: ``no_ik``, ``grasp_blocked``, ``chain_open``.
        """
        raised = shift(pose_world_object, np.array([0.0, 0.0, LIFT_M]))
        points = follow_object(self.scene, self.held, straight_way(pose_world_object, raised), start, "no_ik")
        self.query.allow_lift(start, self.widths_m)
        require_free(self.scene, points, self.widths_m, "grasp_blocked")
        return points

    def carry(self, start: FloatArray, first: FloatArray, last: FloatArray) -> FloatArray:
        """Joint positions (k, n) that take the target straight from one pose (4, 4) to another through the air.

        Raises:
            CandidateRejected: ``goal_unreachable``, ``chain_open``.
        """
        points = follow_object(self.scene, self.held, straight_way(first, last), start, "goal_unreachable")
        self.scene.checker.allow()
        require_free(self.scene, points[1:], self.widths_m, "goal_unreachable")
        return points

    def lower(self, start: FloatArray, above: FloatArray, goal: FloatArray) -> FloatArray:
        """Joint positions (k, n) that set the target down from above the goal, where the fingers then have room to open.

        Raises:
            CandidateRejected: ``goal_unreachable``, ``chain_open``.
        """
        points = follow_object(self.scene, self.held, straight_way(above, goal), start, "goal_unreachable")
        self.query.allow_support()
        require_free(self.scene, points, self.widths_m, "goal_unreachable")
        require_free(self.scene, points[-1:], self.widths_m + RELEASE_M, "goal_unreachable")
        return points

    def require_slack(self, at: FloatArray, pose_world_object: FloatArray) -> None:
        """Check that the hands reach round about where joint positions (n,) have the target, for it will not lie in them as planned.

        Raises:
            CandidateRejected: ``goal_unreachable``.
        """
        for offset_m in _SLACK_M * np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)]):
            if self.scene.solve_ik(shift(pose_world_object, offset_m) @ self.held, [at]) is None:
                raise CandidateRejected("goal_unreachable", "the goal is at the edge of what both arms reach together")


@dataclass(frozen=True, kw_only=True)
class PairedHold:
    """A pair of grasps with which both arms take the object and bring it to the goal."""

    chain: Chain
    open_m: FloatArray
    """(2,): openings before the grasp."""
    approach: FloatArray
    """Joint positions (k, n) from before the grasp to the grasp."""
    lift: FloatArray
    yaw_rad: float
    """Turn of the object at the goal."""
    rise_m: float
    """By how much more than :data:`~blueprint_pipeline.skill.grasping.LIFT_M` it is raised to travel."""

    @property
    def close_m(self) -> FloatArray:
        """Commanded openings while holding, (2,)."""
        squeeze_m = np.array([binding.arm.gripper.squeeze_m for binding in self.chain.scene.arms.bindings])
        close_m: FloatArray = np.maximum(0.0, self.chain.widths_m - squeeze_m)
        return close_m


@dataclass(frozen=True)
class _HandGrasp:
    """What one hand alone can take."""

    pose_world_tcp: FloatArray
    qpos: FloatArray


def find_holds(query: GraspQuery, rejected: list[CandidateRejected]) -> Iterator[PairedHold]:
    """Holds that pass, in order of promise; why others did not is added to ``rejected``.

    Args:
        query: With the scene of both arms.
        rejected: Is added to.
    """
    query.reset()
    pose_world_object = query.scene.checker.pose_of(query.target)

    def take(hand: int, pose_object_tcp: FloatArray, width_m: float) -> _HandGrasp | None:
        try:
            return _take_alone(query, hand, pose_world_object @ pose_object_tcp, width_m)
        except CandidateRejected as reason:
            rejected.append(reason)
            return None

    for pair in rank_pairs(query.scene, query.target, pose_world_object, MAX_PAIRS, take):
        try:
            yield _check_pair(query, pair, pose_world_object)
        except CandidateRejected as reason:
            rejected.append(reason)


def _take_alone(query: GraspQuery, hand: int, pose_world_tcp: FloatArray, width_m: float) -> _HandGrasp:
    """A grasp by one hand, turned as its arm likes it, with room for the fingers to open a little.

    Raises:
        CandidateRejected: ``no_ik``, ``grasp_blocked``.
    """
    scene = query.scene.hands[hand]
    ways = ((turned, scene.solve_ik(turned, ik_seeds(scene, turned))) for turned in hand_turns(scene, pose_world_tcp))
    found = next((_HandGrasp(turned, qpos) for turned, qpos in ways if qpos is not None), None)
    if found is None:
        raise CandidateRejected("no_ik", f"the {scene.arm.name} hand's grasp is out of reach")
    alone = replace(query, scene=scene)
    alone.reset()
    alone.allow_target()
    require_free(scene, found.qpos[None], min(scene.arm.gripper.stroke_m, width_m + OPEN_GAP_M), "grasp_blocked")
    return found


def _check_pair(query: GraspQuery, pair: PairedGrasp[_HandGrasp], pose_world_object: FloatArray) -> PairedHold:
    """One pair, from the approach to the goal.

    Raises:
        CandidateRejected: ``no_ik``, ``grasp_blocked``, ``goal_unreachable``, ``chain_open``.
    """
    scene = query.scene
    query.reset()
    tools = np.stack([taken.pose_world_tcp for taken in pair.taken])
    at_grasp = np.concatenate([taken.qpos for taken in pair.taken])
    chain = Chain(query=query, held=invert(pose_world_object) @ tools, widths_m=pair.widths_m)
    wanted_m = max(0.0, _over_m(query) - bottom_of(scene, query.target) - LIFT_M)
    query.allow_target()
    back = solve_line(scene, tools, at_grasp, -APPROACH_M * tools[:, :3, 2], "no_ik")
    open_m = _openings(scene, back, pair.widths_m)
    chain.hold()
    lift, yaw_rad, rise_m = _find_way(chain, chain.lift(at_grasp, pose_world_object), pose_world_object, wanted_m)
    return PairedHold(chain=chain, open_m=open_m, approach=back[::-1], lift=lift, yaw_rad=yaw_rad, rise_m=rise_m)


def _over_m(query: GraspQuery) -> float:
    """Height in the world that is above all that is in the way."""
    return height_over(query.scene, bottom_of(query.scene, query.target), query.target)


def _openings(scene: MotionScene, way: FloatArray, widths_m: FloatArray) -> FloatArray:
    """How far the fingers are open on the way (k, n): as far as they go, or a little more than the object where that is blocked.

    Raises:
        CandidateRejected: ``grasp_blocked``.
    """
    widest_m = np.array([binding.arm.gripper.stroke_m for binding in scene.arms.bindings])
    try:
        require_free(scene, way, widest_m, "grasp_blocked")
    except CandidateRejected:
        narrow_m: FloatArray = np.minimum(widest_m, widths_m + OPEN_GAP_M)
        require_free(scene, way, narrow_m, "grasp_blocked")
        return narrow_m
    return widest_m


def _find_way(chain: Chain, lift: FloatArray, pose_world_object: FloatArray, wanted_m: float) -> tuple[FloatArray, float, float]:
    """The lift (k, n) continued to the height of travel, and the turn at the goal to which a free way leads from there.

    Returns:
        The lift, the turn [rad], and by how much the lift is continued [m]: the greatest rise and the first turn that work.

    Raises:
        CandidateRejected: For the reason of the first of all.
    """
    rejected: CandidateRejected | None = None
    lifted = shift(pose_world_object, np.array([0.0, 0.0, LIFT_M]))
    for rise_m in dict.fromkeys(share * wanted_m for share in _RISES):
        travel = shift(lifted, np.array([0.0, 0.0, rise_m]))
        for yaw_rad in YAWS_RAD:
            try:
                raised = lift if rise_m <= 0 else np.vstack([lift, chain.carry(lift[-1], lifted, travel)[1:]])
                goal = goal_pose(chain.query, pose_world_object, yaw_rad)
                for way, there in zip(solve_way(chain, raised[-1], travel, goal, rise_m), (_above(goal, rise_m), goal), strict=True):
                    chain.require_slack(way[-1], there)
            except CandidateRejected as reason:
                rejected = rejected or reason
            else:
                return raised, float(yaw_rad), rise_m
    raise rejected or CandidateRejected("goal_unreachable", "the goal is out of reach")


def solve_way(
    chain: Chain, start: FloatArray, pose_world_object: FloatArray, pose_world_goal: FloatArray, rise_m: float
) -> tuple[FloatArray, FloatArray]:
    """Joint positions from a pose of the lifted target to above the goal (k, n), and from there down to it (m, n).

    Raises:
        CandidateRejected: ``goal_unreachable``, ``chain_open``.
    """
    above = _above(pose_world_goal, rise_m)
    carry = chain.carry(start, pose_world_object, above)
    return carry, chain.lower(carry[-1], above, pose_world_goal)


def _above(pose_world_goal: FloatArray, rise_m: float) -> FloatArray:
    return shift(pose_world_goal, np.array([0.0, 0.0, LIFT_M + rise_m]))
