"""The gates on episodes that the real simulator made: sound ones are kept at the strictest tier, damaged ones are not."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from blueprint_pipeline.episode.reader import planned_episodes
from blueprint_pipeline.job.plan_tasks import load_task_scene
from blueprint_pipeline.quality.episode_gating import judge_case
from blueprint_pipeline.quality.gate_inputs import load_episode_case
from blueprint_pipeline.quality.robot_limits import load_robot_limits
from blueprint_pipeline.quality.tiers import load_tiers
from blueprint_pipeline.rollout.shard import simulate_shard
from blueprint_pipeline.task.skills import SKILLS
from tests.simulation.receiver_scene import RECEIVER_XML, RECEIVERS
from tests.simulation.small_job import small_context, small_folder, task_scene, write_job
from tests.simulation.small_scene import SLIPPERY_XML

pytestmark = pytest.mark.slow


def scene_for(skill, folder, contexts):
    """The small scene; slippery, with things that hold others, with holes, or with parts that move, where the skill needs that."""
    if skill in contexts:
        twin = small_folder(folder).local("mjcf")
        shutil.copytree(contexts[skill].scene.local("mjcf"), twin)
        return replace(load_task_scene(contexts[skill]), mjcf_path=twin / "scene.xml")
    if skill in {"place_in", "stack"}:
        return task_scene(folder, RECEIVER_XML, RECEIVERS)
    return task_scene(folder, SLIPPERY_XML) if skill == "slide" else task_scene(folder)


def simulate(folder, episodes, scene, skill, seed=0):
    """Simulated episodes of one skill."""
    plan = write_job(folder, episodes, skills=(skill,), seed=seed, scene=scene)
    simulate_shard(0, small_context(folder))
    robot = load_robot_limits(plan.robot.embodiment)
    return [
        load_episode_case(small_folder(folder), plan, shard_index, spec, robot=robot, licence_blockers=())
        for shard_index, spec in planned_episodes(plan)
    ]


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Two picked and placed objects."""
    folder = tmp_path_factory.mktemp("job")
    return simulate(folder, 2, task_scene(folder), "pick_place")


def changed(case, **arrays):
    return replace(case, arrays=replace(case.arrays, **arrays))


def target(case):
    return case.record.object_ids.index(case.spec.task.target_object)


def teleport(case):
    poses = case.arrays.object_poses.copy()
    poses[len(poses) // 2 :, target(case), 0] += 0.15
    return changed(case, object_poses=poses)


def nudge_a_bystander(case):
    poses = case.arrays.object_poses.copy()
    poses[len(poses) // 2 :, (target(case) + 1) % poses.shape[1], 1] += 0.02
    return changed(case, object_poses=poses)


def slide_off_the_goal(case):
    poses = case.arrays.object_poses.copy()
    poses[-60:, target(case), 0] += 0.5 * np.minimum(np.linspace(0, 2, 60), 1)
    return changed(case, object_poses=poses)


def delay_actions(case):
    return changed(case, robot_command=np.roll(case.arrays.robot_command, 6, axis=0))


def advance_actions(case):
    return changed(case, robot_command=np.roll(case.arrays.robot_command, -4, axis=0))


def swap_joints(case):
    return changed(case, robot_command=case.arrays.robot_command[:, [0, 3, 2, 1, 4, 5, 6]])


def actions_in_degrees(case):
    return changed(case, robot_command=np.rad2deg(case.arrays.robot_command))


def freeze_states(case):
    joints = case.arrays.robot_qpos.copy()
    middle = len(joints) // 2
    joints[middle : middle + 30] = joints[middle]
    return changed(case, robot_qpos=joints)


def lose_frames(case):
    time_s = case.arrays.time_s.copy()
    time_s[len(time_s) // 2 :] += 0.1
    return changed(case, time_s=time_s)


def touch_with_the_hand(case):
    contacts = case.arrays.contacts
    return changed(case, contacts=replace(contacts, pair=tuple(name.replace("left_finger", "hand") for name in contacts.pair)))


DAMAGES = {
    teleport: "object_speed",
    nudge_a_bystander: "bystander_motion",
    slide_off_the_goal: "task_recheck",
    delay_actions: "action_state_lead",
    advance_actions: "action_state_lag",
    swap_joints: "action_state_consistency",
    actions_in_degrees: "action_state_consistency",
    freeze_states: "state_continuity",
    lose_frames: "timestamps",
    touch_with_the_hand: "unexplained_contacts",
}


@pytest.mark.parametrize("skill", [row.name for row in SKILLS.values() if row.arms == 1])
def test_simulated_episodes_pass_the_strictest_tier(tmp_path, cabinet, panel, pegs, skill):
    """Every skill of one arm, for several seeds: no gate has anything against an episode, and few need a person to look."""
    folders = [tmp_path / str(seed) for seed in range(3)]
    contexts = dict.fromkeys(("open", "close"), cabinet) | dict.fromkeys(("press", "turn"), panel) | {"insert": pegs}
    cases = [case for seed, folder in enumerate(folders) for case in simulate(folder, 4, scene_for(skill, folder, contexts), skill, seed)]
    verdicts = [judge_case(case, load_tiers(), "full") for case in cases]
    assert [verdict.failed() for verdict in verdicts] == [[]] * len(cases)
    kept = [verdict.verdict for verdict in verdicts].count("kept")
    assert kept >= 0.8 * len(cases), [gate for verdict in verdicts for gate in verdict.gates if gate.borderline]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_to_a_simulated_episode_is_found_at_the_loosest_tier(cases, damage):
    for case in cases:
        verdict = judge_case(damage(case), load_tiers(), "core")
        assert verdict.verdict == "rejected"
        assert DAMAGES[damage] in {gate.gate for gate in verdict.failed()}


def test_a_record_without_the_receiver_is_not_measured(tmp_path):
    """One damaged record is one rejected episode, and no defect of the program."""
    (case,) = simulate(tmp_path, 1, task_scene(tmp_path, RECEIVER_XML, RECEIVERS), "place_in")
    names = tuple("other" if name == case.spec.task.support_object else name for name in case.record.object_ids)
    verdict = judge_case(replace(case, record=case.record.model_copy(update={"object_ids": names})), load_tiers(), "core")
    assert verdict.verdict == "rejected"
    assert {gate.gate: gate.value for gate in verdict.failed()}["task_recheck"] is None
