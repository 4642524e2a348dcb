"""Where one hand can give an object to the other: a pose of the object in the air, and a grasp for each hand with which both hold it there.

All that is asked without a search for a path. World frame: z up, metres.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert
from blueprint_pipeline.motion.candidates import hand_turns, ik_seeds
from blueprint_pipeline.motion.collision import ARMS_APART_M
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.overhead import bottom_of, extend_up, height_over
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import find_direct, require_free, solve_line
from blueprint_pipeline.motion.two_hands import PairedGrasp, rank_pairs
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.skill.grasping import APPROACH_M, LIFT_M, OPEN_GAP_M, RELEASE_M, GraspQuery, check_taking, find_yaw
from blueprint_pipeline.skill.meeting_places import list_places
from blueprint_pipeline.skill.placing import RETRACT_M

GIVER, TAKER = 0, 1
"""Indices of the hands in a scene of both: the one that gives comes first."""
STRAIGHTNESS = 0.6
"""Share that the straight way has of a hand's way: more than the strictest tier asks for, since what is executed differs a little."""
MAX_PAIRS = 3
"""Pairs of grasps that are looked at for each place where the hands could meet."""
_ANYWHERE = frozenset({"no_ik", "grasp_blocked", "goal_unreachable"})
"""Reasons against a grasp wherever the hands meet."""
_MARGIN_M = 0.005
"""Between two palms, beyond what arms keep from each other."""


@dataclass(frozen=True, kw_only=True)
class HandGrasp:
    """A grasp by one hand."""

    pose_object_tcp: FloatArray
    """(4, 4)."""
    width_m: float
    """Of the object between the fingers."""
    open_m: float
    """Opening before the grasp."""
    close_m: float
    """Commanded opening while holding."""

    @property
    def released_m(self) -> float:
        """Opening after the release."""
        return min(self.open_m, self.width_m + RELEASE_M)


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """How an object goes from one hand to the other. Joint positions are those of one arm."""

    pose_world_object: FloatArray
    """Where the object stands before (4, 4)."""
    given: HandGrasp
    taken: HandGrasp
    approach: FloatArray
    """Of the giving arm (k, n), from before the grasp to the grasp."""
    lift: FloatArray
    """Of the giving arm (k, n), from there upward until the object is above all that is in the way."""
    giver_there: FloatArray
    """Of the giving arm (n,), where the hands meet."""
    taker_there: FloatArray
    """Of the taking arm (n,)."""
    yaw_rad: float
    """Turn of the object at the goal against how it stood."""
    over_m: float
    """Height in the world that is above all that is in the way."""
    rise_m: float
    """By how much more than :data:`~blueprint_pipeline.skill.grasping.LIFT_M` it is raised to be there."""

    @property
    def both_closed_m(self) -> FloatArray:
        """Commanded openings while both hold it (2,)."""
        return np.array([self.given.close_m, self.taken.close_m])

    @property
    def offered_m(self) -> FloatArray:
        """Commanded openings while one hand holds it and the other is open for it (2,)."""
        return np.array([self.given.close_m, self.taken.open_m])

    @property
    def open_m(self) -> FloatArray:
        """How far the fingers are apart meanwhile (2,)."""
        return np.array([self.given.width_m, self.taken.open_m])


@dataclass(frozen=True, kw_only=True)
class _OneHand:
    """What one hand alone can do with a grasp."""

    pose_object_tcp: FloatArray
    there: FloatArray
    """Joint positions (n,) where the hands meet."""
    yaw_rad: float = 0.0
    """Of the taking hand: turn of the object at the goal."""


def least_apart_m(first: Arm, second: Arm) -> float:
    """Between two hands that hold a thing side by side: nearer to each other their palms meet."""
    return first.gripper.palm.half_x_m + second.gripper.palm.half_x_m + ARMS_APART_M + _MARGIN_M


def find_meetings(query: GraspQuery, rejected: list[CandidateRejected]) -> Iterator[Meeting]:
    """Meetings that work, in order of promise; why others do not is added to ``rejected``.

    Args:
        query: With the scene of both arms, the giving one first.
        rejected: Is added to.
    """
    query.reset()
    pose_world_object = query.scene.checker.pose_of(query.target)
    apart_m = least_apart_m(*(binding.arm for binding in query.scene.arms.bindings))
    bottom_m = bottom_of(query.scene, query.target)
    over_m = height_over(query.scene, bottom_m, query.target)
    rise_m = over_m - bottom_m
    for met in list(list_places(query, pose_world_object, max(LIFT_M, rise_m))):
        search = _Search(
            query=query,
            pose_world_object=pose_world_object,
            met=met,
            over_m=over_m,
            rise_m=max(0.0, rise_m - LIFT_M),
            rejected=rejected,
        )
        for pair in rank_pairs(query.scene, query.target, met, MAX_PAIRS, search.take, apart_m=apart_m):
            try:
                yield search.check(pair)
            except CandidateRejected as reason:
                rejected.append(reason)
        if search.is_hopeless:
            return


@dataclass(frozen=True, kw_only=True)
class _Search:
    """Asks what the hands can do if they meet at one place."""

    query: GraspQuery
    pose_world_object: FloatArray
    met: FloatArray
    """Pose of the object there (4, 4)."""
    over_m: float
    rise_m: float
    """Both as in :class:`Meeting`."""
    rejected: list[CandidateRejected]
    answers: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    """Of each hand: why it refused a grasp, or that it did not, as an empty string."""

    @property
    def is_hopeless(self) -> bool:
        """Whether a hand refused all, for reasons that have nothing to do with where the hands meet."""
        return any(found and set(found) <= _ANYWHERE for found in self.answers)

    def take(self, hand: int, pose_object_tcp: FloatArray, width_m: float) -> _OneHand | None:
        """What a hand alone can do with a grasp, turned as it likes it or the other way; ``None``: nothing."""
        stands, ask = ((self.pose_world_object, self._give), (self.met, self._receive))[hand]
        alone = replace(self.query, scene=self.query.scene.hands[hand])
        failed: list[CandidateRejected] = []
        for turned in hand_turns(alone.scene, stands @ pose_object_tcp):
            try:
                found = ask(alone, invert(stands) @ turned, width_m)
            except CandidateRejected as reason:
                failed.append(reason)
            else:
                self.answers[hand].append("")
                return found
        self.answers[hand].append(failed[0].failure_code)
        self.rejected.append(failed[0])
        return None

    def _give(self, query: GraspQuery, held: FloatArray, width_m: float) -> _OneHand:
        """The giving hand takes the object where it stands, and brings it to the place.

        Raises:
            CandidateRejected: ``no_ik``, ``grasp_blocked``, ``meeting_unreachable``.
        """
        taking = check_taking(query, held, width_m)
        return _OneHand(pose_object_tcp=held, there=_solve(query.scene, self.met @ held, near=taking.lift[-1]))

    def _receive(self, query: GraspQuery, held: FloatArray, width_m: float) -> _OneHand:
        """The other hand takes it there, and brings it to the goal.

        Raises:
            CandidateRejected: ``meeting_unreachable``, ``goal_unreachable``.
        """
        there = _solve(query.scene, self.met @ held)
        query.reset()
        query.scene.checker.hold(query.target, invert(held))
        return _OneHand(pose_object_tcp=held, there=there, yaw_rad=find_yaw(query, self.pose_world_object, held, there, width_m))

    def check(self, pair: PairedGrasp[_OneHand]) -> Meeting:
        """A pair of grasps, from before the first to after the hands have parted.

        Raises:
            CandidateRejected: ``meeting_unreachable``, ``meeting_blocked``, ``detour``.
        """
        query, (giving, receiving), (giver, taker) = self.query, pair.taken, self.query.scene.hands
        given_m, taken_m = (float(width) for width in pair.widths_m)
        taking = check_taking(replace(query, scene=giver), giving.pose_object_tcp, given_m)
        lift = extend_up(giver, taking.lift, self.rise_m, given_m)
        given = _hand_grasp(giver, giving.pose_object_tcp, given_m, taking.open_m)
        there = np.concatenate([giving.there, receiving.there])
        reach = reach_in(query, given.pose_object_tcp, receiving.pose_object_tcp, there)
        meeting = Meeting(
            pose_world_object=self.pose_world_object,
            given=given,
            taken=_hand_grasp(taker, receiving.pose_object_tcp, taken_m, _opening(query, reach, given_m, taken_m)),
            approach=taking.approach,
            lift=lift,
            giver_there=giving.there,
            taker_there=receiving.there,
            yaw_rad=receiving.yaw_rad,
            over_m=self.over_m,
            rise_m=self.rise_m,
        )
        _require_way(query, meeting, reach[0])
        draw_back(query, meeting, receiving.pose_object_tcp, there)
        return meeting


def _require_way(query: GraspQuery, meeting: Meeting, before: FloatArray) -> None:
    """Check that both arms get from the lifted object, and from where the other one is, to before the grasp (n,) without a detour.

    Raises:
        CandidateRejected: ``detour``.
    """
    scene = query.scene
    query.reset()
    scene.checker.hold(query.target, invert(meeting.given.pose_object_tcp), (GIVER,))
    start = np.concatenate([meeting.lift[-1], scene.arms.split(scene.arm_qpos(query.qpos))[TAKER]])
    if find_direct(scene, start, before, meeting.open_m, straightness=STRAIGHTNESS) is None:
        raise CandidateRejected("detour", "no direct way leads both arms to where the hands would meet")


def _solve(scene: MotionScene, pose_world_tcp: FloatArray, near: FloatArray | None = None) -> FloatArray:
    """Joint positions (n,) of one arm where the hands meet.

    Raises:
        CandidateRejected: ``meeting_unreachable``.
    """
    found = scene.solve_ik(pose_world_tcp, ik_seeds(scene, pose_world_tcp, near=near))
    if found is None:
        raise CandidateRejected("meeting_unreachable", f"the {scene.arm.name} hand does not reach where the hands would meet")
    return found


def _hand_grasp(scene: MotionScene, held: FloatArray, width_m: float, open_m: float) -> HandGrasp:
    close_m = max(0.0, width_m - scene.arm.gripper.squeeze_m)
    return HandGrasp(pose_object_tcp=held, width_m=width_m, open_m=open_m, close_m=close_m)


def reach_in(query: GraspQuery, given: FloatArray, taken: FloatArray, there: FloatArray) -> FloatArray:
    """Joint positions (k, n) of both arms with which the taking hand reaches for what the giving one holds still.

    Afterwards the checker has the target in the giving hand, and the other one may come close to it.

    Args:
        query: With the scene of both arms.
        given: The giving hand in the object's frame (4, 4).
        taken: The same of the taking hand, where it shall hold the object.
        there: Joint positions (n,) of both arms where both hold it.

    Raises:
        CandidateRejected: ``meeting_unreachable``.
    """
    scene = query.scene
    query.reset()
    scene.checker.hold(query.target, invert(given), (GIVER,))
    query.allow_target()
    giver_there, taker_there = scene.arms.split(there)
    tool = scene.tool_poses(there)[GIVER] @ invert(given) @ taken
    back = solve_line(scene.hands[TAKER], tool, taker_there, -APPROACH_M * tool[:3, 2], "meeting_unreachable")
    return np.hstack([np.tile(giver_there, (len(back), 1)), back[::-1]])


def _opening(query: GraspQuery, reach: FloatArray, given_m: float, taken_m: float) -> float:
    """How far the taking hand is open on its way (k, n): a little more than the object, for hands stand still while one closes.

    Raises:
        CandidateRejected: ``meeting_blocked``.
    """
    open_m = min(query.scene.hands[TAKER].arm.gripper.stroke_m, taken_m + OPEN_GAP_M)
    require_free(query.scene, reach, np.array([given_m, open_m]), "meeting_blocked")
    return open_m


def draw_back(query: GraspQuery, meeting: Meeting, taken: FloatArray, there: FloatArray) -> FloatArray:
    """Joint positions (k, n) of both arms with which the giving hand lets go and draws back while the other one holds still.

    Afterwards the checker has the target in the taking hand, and the other one may still be close to it.

    Args:
        query: With the scene of both arms.
        meeting: How the hands hold the object.
        taken: The taking hand in the object's frame (4, 4).
        there: Joint positions (n,) of both arms where both hold it.

    Raises:
        CandidateRejected: ``meeting_unreachable``, ``meeting_blocked``.
    """
    scene = query.scene
    query.reset()
    scene.checker.hold(query.target, invert(taken), (TAKER,))
    query.allow_target()
    giver_there, taker_there = scene.arms.split(there)
    tool = scene.tool_poses(there)[GIVER]
    back = solve_line(scene.hands[GIVER], tool, giver_there, -RETRACT_M * tool[:3, 2], "meeting_unreachable")
    both = np.hstack([back, np.tile(taker_there, (len(back), 1))])
    require_free(scene, both, np.array([meeting.given.released_m, meeting.taken.width_m]), "meeting_blocked")
    return both
