"""Gates on how a demonstration moves: what is copied shall be worth copying, and the same situation shall look the same."""

from itertools import product

import numpy as np

from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.gates.case import EpisodeCase, Measurement, not_measured
from blueprint_pipeline.quality.metrics.activity import idle_ratio, path_efficiency
from blueprint_pipeline.quality.tiers import GateRule
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.outcome import AGAIN, base_phase


def measure_joint_margin(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Least distance of any joint from the ends of its range [rad], at any time."""
    robot = case.robot
    if arrays.robot_qpos.shape[1] != len(robot.joints):
        return not_measured(f"{arrays.robot_qpos.shape[1]} joints are recorded, the embodiment has {len(robot.joints)}")
    margin = np.minimum(arrays.robot_qpos - robot.lower_rad, robot.upper_rad - arrays.robot_qpos)
    row, joint = np.unravel_index(int(margin.argmin()), margin.shape)
    return Measurement(float(margin[row, joint]), f"{robot.joints[joint]} in frame {row}")


def measure_branch(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest distance from its default of a joint that neither turns the arm as a whole nor the hand alone [rad].

    An arm whose shoulder, elbow or wrist flipped has gone by half a turn or more.
    """
    robot = case.robot
    if arrays.robot_qpos.shape[1] != len(robot.joints):
        return not_measured(f"{arrays.robot_qpos.shape[1]} joints are recorded, the embodiment has {len(robot.joints)}")
    bend = np.abs(arrays.robot_qpos - robot.default_rad)[:, robot.inner]
    if bend.size == 0:
        return not_measured("the arms have no joint between their first and their last")
    row, joint = np.unravel_index(int(bend.argmax()), bend.shape)
    return Measurement(float(bend[row, joint]), f"{np.array(robot.joints)[robot.inner][joint]} in frame {row}")


def measure_detour(case: EpisodeCase, arrays: EpisodeArrays, rule: GateRule) -> Measurement:
    """Least share that the straight way has of a tool's way, of any phase in which it travels farther than ``shortest_m``."""
    found = []
    travels = load_skill(case.spec.task.task_type).travel_phases
    for phase, (arm, name) in product(case.record.phases, enumerate(case.robot.arms)):
        tool_m = arrays.ee_pose[phase.start_frame : phase.end_frame + 1, arm, :3]
        travelled_m = float(np.linalg.norm(np.diff(tool_m, axis=0), axis=1).sum())
        share = path_efficiency(tool_m)
        if base_phase(phase.name) in travels and share is not None and travelled_m >= rule.parameters["shortest_m"]:
            found.append((share, f"{phase.name} from frame {phase.start_frame}: {travelled_m:.2f} m of way of the arm {name}"))
    return Measurement(*min(found)) if found else not_measured("the tool travels in no phase")


def measure_tries(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """How often the robot tried; a record of tries that the names of the frames' phases do not bear out is no measurement."""
    before = 0
    for recovery in case.record.recoveries:
        again = arrays.frames if recovery.again_frame is None else recovery.again_frame
        if not before <= recovery.failed_from_frame < recovery.seen_frame <= again <= arrays.frames:
            return not_measured(f"the try from frame {recovery.failed_from_frame} on is not in the order of the frames")
        before = again
    told = {recovery.again_frame for recovery in case.record.recoveries if recovery.again_frame is not None}
    marked = [name.endswith(AGAIN) for name in arrays.phase[: arrays.frames]]
    begun = {row for row, is_marked in enumerate(marked) if is_marked and not (row and marked[row - 1])}
    if not begun <= told or not all(marked[row] for row in told):
        return not_measured(f"by their phases other tries begin in frames {sorted(begun)}, in the record in {sorted(told)}")
    seen = "; ".join(f"in frame {recovery.seen_frame}: {recovery.seen}" for recovery in case.record.recoveries)
    return Measurement(float(case.record.tries), seen, Origin.SIMULATED)


def measure_stillness(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Share of the time in which the arm stands still for half a second and longer; failed tries and the way back from them are no part."""
    counts = np.ones(len(arrays.robot_qvel), dtype=np.bool_)
    for recovery in case.record.recoveries:
        counts[recovery.failed_from_frame : recovery.again_frame] = False
    moving = arrays.robot_qvel[counts]
    share = idle_ratio(moving, fps=case.fps)
    return (
        not_measured("no arm moves")
        if share is None
        else Measurement(share, f"{share * len(moving) / case.fps:.1f} s of {len(moving) / case.fps:.1f} s")
    )
