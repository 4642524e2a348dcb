"""The documents about a job that users of the predecessor know: scene graph, asset index, task configuration, export manifest.

Nothing in them depends on the time or on the machine, so the same job gives the same bytes; the export manifest's inventory
and checksums cover the other files.

Source: the audited pipeline's contracts for ``geniesim/*.json``.
"""

import json
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256

import numpy as np

import blueprint_pipeline
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.licence.policy import load_policy
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.scene.manifest import ManifestObject, SceneManifest
from blueprint_pipeline.scene.physics import Physics
from blueprint_pipeline.scene.prim_paths import object_path
from blueprint_pipeline.skill.affordances import Affordances
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.twin.body_names import object_of

ADJACENT_M = 0.15
"""Two things on the same support are adjacent if their outlines are nearer than this."""
INSIDE_M = 0.02
_DIFFICULTIES = ((0.35, "easy"), (0.6, "medium"), (float("inf"), "hard"))
Json = dict[str, object]


def build_scene_graph(
    manifest: SceneManifest, poses: Mapping[str, Pose], supports: Mapping[str, str], plan: JobPlan, affordances: Affordances
) -> Json:
    """Objects as nodes with their settled poses, and what stands on, in or next to what."""
    tasks: dict[str, set[str]] = {}
    for episode in plan.episodes:
        tasks.setdefault(object_of(episode.task.target_object), set()).add(episode.task.task_type)
    nodes = [_node(item, poses.get(item.id, item.pose), sorted(tasks.get(item.id, ())), affordances) for item in manifest.objects]
    return {
        "scene_id": manifest.scene_id,
        "coordinate_system": "z_up",
        "meters_per_unit": 1.0,
        "nodes": nodes,
        "edges": _edges(manifest, poses, supports),
        "metadata": {"job_id": plan.job_id, "quaternion_order": "wxyz"},
    }


def _node(item: ManifestObject, pose: Pose, tasks: list[str], affordances: Affordances) -> Json:
    size = item.dimensions_est
    known = affordances.of(item.category, item.id, item.description)
    return {
        "asset_id": item.id,
        "semantic": item.category,
        "size": [size.width, size.depth, size.height],
        "pose": {"position": list(pose.position_m), "orientation": list(pose.quat_wxyz)},
        "task_tag": tasks,
        "usd_path": object_path(item.id),
        "properties": {"sim_role": item.sim_role, "affordances": list(known.affordances)},
        "bp_metadata": {"description": item.description, "pose_origin": "simulated" if item.is_movable else "estimated"},
    }


def _edges(manifest: SceneManifest, poses: Mapping[str, Pose], supports: Mapping[str, str]) -> list[Json]:
    known = {item.id: item for item in manifest.objects}
    edges: list[Json] = []
    for upper, lower in sorted(supports.items()):
        if lower not in known:
            continue
        relation = "in" if lower in poses and _is_inside(poses[upper], known[lower], poses[lower]) else "on"
        edges.append({"source": upper, "target": lower, "relation": relation, "confidence": 1.0})
    names = sorted(supports)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            gap = _gap_m(known[first], poses[first], known[second], poses[second])
            if supports[first] == supports[second] and gap <= ADJACENT_M:
                confidence = round(1.0 - max(gap, 0.0) / ADJACENT_M, 3)
                edges.append({"source": first, "target": second, "relation": "adjacent", "confidence": confidence})
    return edges


def _half(item: ManifestObject) -> FloatArray:
    return np.array([item.dimensions_est.width, item.dimensions_est.depth, item.dimensions_est.height]) / 2


def _gap_m(first: ManifestObject, first_pose: Pose, second: ManifestObject, second_pose: Pose) -> float:
    """Horizontal distance between the boxes of two objects; negative where they overlap."""
    apart = np.abs(np.array(first_pose.position_m) - np.array(second_pose.position_m))[:2] - (_half(first) + _half(second))[:2]
    return float(apart.max() if apart.max() < 0 else np.linalg.norm(np.maximum(apart, 0.0)))


def _is_inside(upper_pose: Pose, lower: ManifestObject, lower_pose: Pose) -> bool:
    """Whether the upper one's centre lies within the lower one's outline, below its rim."""
    offset = np.array(upper_pose.position_m) - np.array(lower_pose.position_m)
    half = _half(lower)
    return bool((np.abs(offset[:2]) < half[:2] - INSIDE_M).all() and offset[2] < half[2])


def build_asset_index(manifest: SceneManifest, physics: Mapping[str, Physics], affordances: Affordances) -> Json:
    """What every asset is, what it weighs, and whether it may be sold."""
    policy = load_policy()
    assets = []
    for item in manifest.objects:
        known = physics[item.id]
        rule = policy.licence(item.asset.licence)
        assets.append(
            {
                "asset_id": item.id,
                "usd_path": f"usd/assets/{item.id}.usda",
                "semantic_description": item.description or item.category,
                "categories": [item.category],
                "mass": known.mass.mass_kg if item.is_movable else None,
                "material": {"friction": known.friction.sliding, "restitution": known.restitution.coefficient, "name": known.material},
                "collision_hull_path": f"assets/{item.id}/collision",
                "texture_variants": {},
                "embedding": [],
                "embedding_status": "missing",
                "commercial_ok": rule is not None and rule.commercial_ok,
                "license": item.asset.licence,
                "source": item.asset.source,
                "bp_metadata": {
                    "mass_origin": known.mass.origin.value,
                    "friction_origin": known.friction.origin.value,
                    "licence_origin": item.asset.licence_origin.value,
                    "affordances": list(affordances.of(item.category, item.id, item.description).affordances),
                },
            }
        )
    return {"assets": assets, "metadata": {"scene_id": manifest.scene_id}}


def build_task_config(manifest: SceneManifest, plan: JobPlan, embodiment: Embodiment) -> Json:
    """Which tasks were chosen, most frequent first, what was left out and why, and where the robot stands."""
    counts = Counter((episode.task.task_type, episode.task.target_object, episode.task.support_object) for episode in plan.episodes)
    hints = {episode.task.target_object: episode.task.instruction for episode in reversed(plan.episodes)}
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    suggested = [
        {
            "task_type": task_type,
            "target_object": target,
            "goal_region": support,
            "difficulty": _difficulty(load_skill(task_type).difficulty),
            "priority": priority,
            "description_hint": hints[target],
            "constraints": {"episodes": count},
        }
        for priority, ((task_type, target, support), count) in enumerate(ranked, start=1)
    ]
    x, y, z = plan.robot.base_pose.position_m
    radii = [arm.working_radius for arm in embodiment.arms]
    farthest = max(radius.farthest_m + float(np.hypot(*radius.center_m)) for radius in radii)
    height = max(arm.reach_m for arm in embodiment.arms)
    return {
        "scene_id": manifest.scene_id,
        "environment_type": manifest.scene.environment_type,
        "suggested_tasks": suggested,
        "robot_config": {
            "type": plan.robot.embodiment,
            "base_position": [x, y, z],
            "base_orientation": list(plan.robot.base_pose.quat_wxyz),
            "workspace_bounds": [[x - farthest, y - farthest, z], [x + farthest, y + farthest, z + height]],
        },
        "metadata": {
            "job_id": plan.job_id,
            "episodes": len(plan.episodes),
            "seed": plan.seed,
            "left_out": plan.left_out,
        },
    }


def build_export_manifest(plan: JobPlan, files: Mapping[str, bytes]) -> Json:
    """Inventory and checksums of the exported files; ``files`` maps names within ``geniesim/`` to their bytes."""
    return {
        "schema_version": "2.0",
        "schema_definition": "blueprint-pipeline export manifest 2.0",
        "export_info": {"exporter_version": blueprint_pipeline.__version__, "source_pipeline": "blueprint-pipeline"},
        "config": {
            "robot_type": plan.robot.embodiment,
            "generate_embeddings": False,
            "embedding_model": None,
            "max_tasks": len(plan.episodes),
        },
        "result": {"job_id": plan.job_id, "episodes": len(plan.episodes), "shards": len(plan.shards)},
        "geniesim_compatibility": {"version": "3.0", "isaac_sim_version": "5.1.0", "formats": ["usda", "mjcf"]},
        "file_inventory": [{"path": name, "size_bytes": len(data)} for name, data in sorted(files.items())],
        "checksums": {
            "files": {name: {"sha256": sha256(data).hexdigest(), "size_bytes": len(data)} for name, data in sorted(files.items())}
        },
    }


def dump_json(value: Json) -> bytes:
    """JSON as it is written: indented, in the order given, with a final newline."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _difficulty(score: float) -> str:
    return next(name for limit, name in _DIFFICULTIES if score <= limit)
