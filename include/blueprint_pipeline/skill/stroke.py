"""One straight stroke of a push: how the hand is held, and whether the arm can do it.

World frame: z up, metres.
"""

from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import build_pose, shift
from blueprint_pipeline.motion.candidates import hand_turns, ik_seeds
from blueprint_pipeline.motion.collision import Allowance, relative_pose
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import require_free, solve_line
from blueprint_pipeline.robot.gripper import Gripper
from blueprint_pipeline.skill.push_contact import BEFORE_M, Contact, Pushed

BACK_M = 0.03
"""How far the fingers go straight back after it."""
HOVER_M = 0.10
"""How high the hand is above the stroke before and after it."""
HAND_GAP_M = 0.008
"""What all of the hand but the fingers keeps from the object."""
_TOUCH_M = 0.003
_SUPPORT_TOUCH_M = 0.008


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """A stroke that the arm can do."""

    descend: FloatArray
    """Joint positions from above down to behind the object (k, n)."""
    push: FloatArray
    """Through the contact to the end (k, n)."""
    leave: FloatArray
    """Back and up (k, n)."""
    width_m: float
    """Opening between the fingers."""
    direction: FloatArray
    """(2,): unit vector of the push."""
    length_m: float
    """How far the object is pushed."""

    @property
    def way_m(self) -> FloatArray:
        """(2,): from where the object stands to where it is brought."""
        way: FloatArray = self.length_m * self.direction
        return way


def tool_pose(pushed: Pushed, contact: Contact, gripper: Gripper) -> FloatArray:
    """The tool centre point in the world (4, 4) as the fingers touch the object.

    The hand's approach points down and forward, leaning by ``lean_rad``; the fingers lie side by side across the way. The
    edge that touches is the lower front one of the pads.
    """
    forward, up = np.array([*contact.direction, 0.0]), np.array([0.0, 0.0, 1.0])
    sine, cosine = np.sin(contact.lean_rad), np.cos(contact.lean_rad)
    approach = sine * forward - cosine * up
    closing = np.cross(up, forward)
    rotation = np.column_stack([np.cross(closing, approach), closing, approach])
    half_m, tip_m = gripper.pad.width_m / 2, float(gripper.advance_at(contact.width_m)) + gripper.pad.tip_below_pad_m
    edge_forward, edge_below = half_m * cosine + tip_m * sine, tip_m * cosine - half_m * sine
    position = np.array([*(pushed.center_m - (contact.behind_m + edge_forward) * contact.direction), 0.0])
    position[2] = pushed.bottom_m + contact.edge_m + edge_below
    return build_pose(position, rotation)


@dataclass(frozen=True, kw_only=True)
class Hold:
    """One way to hold the hand at a contact."""

    pose_world_tcp: FloatArray
    """As the fingers touch (4, 4)."""
    hidden: float
    """Share of the object that is out of sight of the hand's camera then; 0 for a hand without one."""


def holds(scene: MotionScene, pushed: Pushed, contact: Contact) -> list[Hold]:
    """The two ways to hold the hand at a contact, the one nearer to the arm's default first."""
    camera, turns = scene.hand_camera, hand_turns(scene, tool_pose(pushed, contact, scene.arm.gripper))
    hidden = [0.0 if camera is None else 1.0 - camera.share_in_view(turn, pushed.points_m) for turn in turns]
    return [Hold(pose_world_tcp=turn, hidden=share) for turn, share in zip(turns, hidden, strict=True)]


def solve_stroke(scene: MotionScene, pushed: Pushed, contact: Contact, hold: Hold, length_m: float) -> Stroke:
    """Joint positions for a stroke of a length, free of collisions with everything but the object.

    Raises:
        CandidateRejected: ``no_ik``, ``goal_unreachable`` or ``stroke_blocked``.
    """
    stroke = _solve_line(scene, contact, hold.pose_world_tcp, length_m)
    _require_free(scene, pushed, stroke)
    return stroke


def _solve_line(scene: MotionScene, contact: Contact, pose_world_tcp: FloatArray, length_m: float) -> Stroke:
    forward, up = np.array([*contact.direction, 0.0]), np.array([0.0, 0.0, 1.0])
    before = shift(pose_world_tcp, -contact.before_m * forward)
    at_before = scene.solve_ik(before, ik_seeds(scene, before))
    if at_before is None:
        raise CandidateRejected("no_ik", "the start of the stroke is out of the arm's reach")
    descend = solve_line(scene, before, at_before, HOVER_M * up, "no_ik")[::-1]
    push = solve_line(scene, before, at_before, (contact.before_m + length_m) * forward, "goal_unreachable")
    after = shift(pose_world_tcp, length_m * forward)
    back_m = contact.before_m - BEFORE_M + BACK_M
    back = solve_line(scene, after, push[-1], -back_m * forward, "goal_unreachable")
    rise = solve_line(scene, shift(after, -back_m * forward), back[-1], HOVER_M * up, "goal_unreachable")
    return Stroke(
        descend=descend,
        push=push,
        leave=np.concatenate([back, rise[1:]]),
        width_m=contact.width_m,
        direction=contact.direction,
        length_m=length_m,
    )


def _require_free(scene: MotionScene, pushed: Pushed, stroke: Stroke) -> None:
    """Check a whole stroke.

    Raises:
        CandidateRejected: ``stroke_blocked``: what touches what.
    """
    scene.checker.place_objects(pushed.qpos)
    scene.checker.allow()
    require_free(scene, stroke.descend, stroke.width_m, "stroke_blocked")
    moved = carry(scene, pushed, stroke)
    require_free(scene, stroke.push, stroke.width_m, "stroke_blocked")
    leave_behind(scene, pushed, moved)
    require_free(scene, stroke.leave, stroke.width_m, "stroke_blocked")


def carry(scene: MotionScene, pushed: Pushed, stroke: Stroke) -> FloatArray:
    """From now on the object moves before the fingers, as it does in the stroke; its support may touch it.

    Returns:
        Where the object stands at the end of the stroke, (4, 4).
    """
    checker = scene.checker
    checker.place_objects(pushed.qpos)
    first, last = (checker.tcp_pose(stroke.push[index]) for index in (0, -1))
    way = last[:3, 3] - first[:3, 3]
    moved = shift(checker.pose_of(pushed.target), way / np.linalg.norm(way) * stroke.length_m)
    checker.hold(pushed.target, relative_pose(last, moved))
    checker.allow(Allowance(checker.bodies_of(pushed.target), checker.bodies_of(pushed.support), _SUPPORT_TOUCH_M))
    return moved


def leave_behind(scene: MotionScene, pushed: Pushed, pose_world_object: FloatArray) -> None:
    """The object stands where the stroke left it; the fingers may still touch it, and the rest of the hand keeps away from it."""
    checker = scene.checker
    checker.release()
    checker.put(pushed.target, pose_world_object)
    checker.set_clearance(pushed.target, HAND_GAP_M)
    checker.allow(Allowance(checker.finger_bodies, checker.bodies_of(pushed.target), _TOUCH_M))
