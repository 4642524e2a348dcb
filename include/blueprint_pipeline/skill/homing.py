"""The last step of skills that act in steps: from wherever the hand is free, to where the arm is by default, with open fingers."""

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.motion.errors import CandidateRejected, PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan, SetpointBuilder
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import find_path, time_checked
from blueprint_pipeline.skill.picking import FREE_PACE, STOP_S


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
