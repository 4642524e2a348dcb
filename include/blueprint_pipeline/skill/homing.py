"""The way home: from wherever the hand is free, or from what it let go of, to where the arm is by default, with open fingers."""

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.overhead import extend_up
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder, Widths
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import find_direct, find_path, time_checked
from blueprint_pipeline.skill.grasping import GraspQuery
from blueprint_pipeline.skill.picking import FREE_PACE, STOP_S

_HIGHER_M = (0.0, 0.06, 0.12, 0.18)
"""By how much hands go up farther than above all that is in the way, the first that leads home straight."""


def plan_home(scene: MotionScene, qpos: FloatArray, controls: FloatArray, *, seed: int) -> MotionPlan:
    """Plan the way home.

    Args:
        scene: The prepared model.
        qpos: Whole state (nq,): the hand touches nothing.
        controls: What is commanded now (nu,).
        seed: Decides the path search.

    Raises:
        PlanningFailed: There is no way.
    """
    scene.checker.place_objects(qpos)
    scene.checker.allow()
    builder = SetpointBuilder(scene.acting, fps=scene.fps, start=controls)
    try:
        path = find_path(scene, builder.arm_end, scene.arms.home, scene.gripper_width(qpos), seed + 1)
        builder.move("home", *time_checked(scene, path, FREE_PACE, builder.late(scene.arm.gripper.stroke_m)), hold_s=STOP_S)
    except CandidateRejected as reason:
        raise PlanningFailed("plan_home", reason.failure_code, reason.reason) from reason
    setpoints, phases = builder.build()
    return MotionPlan(setpoints=setpoints, phases=phases)


def find_home(query: GraspQuery, back: FloatArray, rise_m: float, open_m: Widths, seed: int) -> tuple[FloatArray, FloatArray]:
    """The way back (k, n) continued up, and the way home (m, n) from there.

    A hand that ends beside its home and turns on the way there would wander; then it goes up farther first.

    Args:
        query: What was let go of; the checker has it where it stands now, and is left with nothing allowed to touch it.
        back: Joint positions from it (k, n).
        rise_m: By how much they go up in any case, to be above all that is in the way.
        open_m: Openings.
        seed: Decides the path search, where no direct way leads home.

    Raises:
        CandidateRejected: There is no way home.
    """
    scene, found = query.scene, list[FloatArray]()
    for more_m in _HIGHER_M:
        query.allow_target()
        raised = extend_up(scene, back, max(0.0, rise_m) + more_m, open_m)
        scene.checker.release()
        scene.checker.allow()
        found.append(raised)
        home = find_direct(scene, raised[-1], scene.arms.home, open_m)
        if home is not None:
            return raised, home
    return found[0], find_path(scene, found[0][-1], scene.arms.home, open_m, seed)
