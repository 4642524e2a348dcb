"""A scene's folder as all stages before delivery leave it: small, with really simulated episodes that replay."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from blueprint_pipeline.cost.pricing import RunFacts, build_report
from blueprint_pipeline.cost.report import COST_REPORT_PATH
from blueprint_pipeline.dataset.certify.report import CertificationReport, CheckResult, not_run
from blueprint_pipeline.dataset.failures_index import FailuresIndex
from blueprint_pipeline.dataset.layout import CERTIFICATION_PATH, CERTIFICATION_PATHS, DATASET_PATH, DATASET_PATHS, FAILURES_INDEX
from blueprint_pipeline.episode.record import (
    RENDERS_FOLDERS,
    EpisodeRecord,
    EpisodeUsage,
    Execution,
    KOfN,
    KOfNEvidence,
    ReplayCertificate,
    render_path,
)
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.failures import count_kinds
from blueprint_pipeline.quality.report import QUALITY_GATE_REPORT_PATH
from blueprint_pipeline.quality.scene_report import build_quality_gate_report
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.skill.pick_place import PickPlaceTask
from blueprint_pipeline.task.plan import PLAN_PATH, JobPlan, ShardRef
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.workspace.checksums import FileDigest, digest_file
from blueprint_pipeline.workspace.commits import Commit, UnitUsage, Usage
from tests.delivery.scene_episodes import ATTEMPTS, CAMERAS, FPS, JOB_ID, KEPT, PLACEMENT, SCENE_ID, SIZE, simulate_record, write_render
from tests.quality.gate_reports import write_report
from tests.regions import square_about
from tests.simulation.small_scene import write_scene
from tests.task.coverage_cases import cell, plan_of


def write_workspace(root: Path) -> Path:
    """Write ``scenes/kitchen`` below a workspace's root; returns the scene's folder."""
    scene = root / "scenes" / SCENE_ID
    write_scene(scene)
    _write(scene, "usd/scene.usda", '#usda 1.0\n(\n    defaultPrim = "World"\n)\ndef Xform "World" {}\n')
    _write_source(scene)
    plan = _write_plan(scene)
    records = [simulate_record(scene, spec) for spec in plan.episodes]
    for record in records[:KEPT]:
        write_render(scene, record)
    _write_gates(scene)
    for version in ("v3.0", "v2.1"):
        _write(scene, f"{DATASET_PATH}/{version}/meta/info.json", json.dumps({"codebase_version": version}))
        _write(scene, f"{DATASET_PATH}/{version}/README.md", "---\nlicense: cc-by-4.0\n---\n# Kitchen\n")
        _write(scene, f"{DATASET_PATH}/{version}/croissant.json", "{}")
        (scene / DATASET_PATH / version / "data").mkdir()
        (scene / DATASET_PATH / version / "data/file-000.parquet").write_bytes(np.random.default_rng(0).bytes(20_000))
    write_certification(scene, run=False)
    _write_cost(scene, plan, records)
    write_failures(scene)
    return scene


def write_failures(scene, *episode_ids):
    """Failures as the stages leave them: drawn, judged, written and certified; also where there is none."""
    fine = _gate("certificate", 0.0, 0.0, "differences")
    records = [EpisodeRecord.model_validate_json(path.read_bytes()) for path in sorted(scene.glob("geniesim/recordings/*/*/episode.json"))]
    sold = [record for record in records if record.episode_id in episode_ids]
    verdicts = [
        EpisodeVerdict(episode_id=record.episode_id, shard_index=record.shard_index, verdict="kept", gates=(fine,), metrics={})
        for record in sold
    ]
    write_report(
        partial(_write_bytes, scene), "failure_verdicts", verdicts, scene_id=SCENE_ID, job_id=JOB_ID, tier="core", tiers_version="2026.12.0"
    )
    kinds = {record.episode_id: f"predicate.{record.outcome.failure_code}" for record in sold}
    index = FailuresIndex(
        scene_id=SCENE_ID,
        job_id=JOB_ID,
        attempted=ATTEMPTS,
        rejected=ATTEMPTS - KEPT,
        honest=len(sold),
        written=len(sold),
        kinds=count_kinds(kinds.values()),
        episodes=kinds,
    )
    _write(scene, FAILURES_INDEX, index.model_dump_json())
    _write(scene, f"{RENDERS_FOLDERS['failures']}/shard_0000/shard.json", "{}")
    for record in sold:
        write_render(scene, record, "failures")
    folder, checks = DATASET_PATHS["failures"], ()
    if sold:
        _write(scene, f"{folder}/v3.0/meta/info.json", json.dumps({"codebase_version": "v3.0"}))
        _write(scene, f"{folder}/v3.0/README.md", "---\nlicense: cc-by-4.0\n---\n# Failures in the kitchen\n")
        checks = (not_run("lerobot.loads", "v3.0", required=True, reason="no such environment here", tool="lerobot"),)
    report = CertificationReport(
        scene_id=SCENE_ID, job_id=JOB_ID, certified=False, environment={}, episodes=len(sold), frames=20 * len(sold), checks=checks
    )
    _write(scene, CERTIFICATION_PATHS["failures"], report.model_dump_json())


def write_certification(scene, *, run, failed=False):
    """The certificate, with the real lerobot or without it."""
    facts = {"dataset": "v3.0", "required": True, "origin": Origin.MEASURED}
    status = "failed" if failed else "passed"
    checks = [
        CheckResult(
            check="blueprint_pipeline.structure",
            status=status,
            reason="0 finding(s)",
            tool="blueprint_pipeline",
            tool_version=None,
            **facts,
        )
    ]
    if run:
        checks.append(
            CheckResult(check="lerobot.loads", status="passed", reason="60 frames", tool="lerobot", tool_version="0.4.4", **facts)
        )
    else:
        checks.append(not_run("lerobot.loads", "v3.0", required=True, reason="no such environment here", tool="lerobot"))
    report = CertificationReport(
        scene_id=SCENE_ID, job_id=JOB_ID, certified=run, environment={}, episodes=KEPT, frames=60, checks=tuple(checks)
    )
    _write(scene, CERTIFICATION_PATH, report.model_dump_json())


def write_k_of_n(scene):
    """Everything recorded and certified as if another simulator, which gives no same states twice, had acted."""
    for path in scene.glob("geniesim/recordings/*/*/episode.json"):
        record = EpisodeRecord.model_validate_json(path.read_bytes())
        able = record.capabilities.model_copy(update={"deterministic": False, "restores_state": False})
        made = record.simulator.model_copy(update={"name": "isaac_sim", "version": "stand-in for 6.1.0"})
        path.write_text(record.model_copy(update={"capabilities": able, "simulator": made}).model_dump_json())
        proof = scene / render_path(record.shard_index, record.episode_id) / "certificate.json"
        if proof.is_file():
            ends = [Execution(held=n < 4, failure=None, target_end_m=(0.5, 0.0, 0.1), distance_m=0.001 * n) for n in range(5)]
            evidence = KOfNEvidence(rule=KOfN(needed=4, attempts=5, spread_m=0.01), executions=tuple(ends))
            update = {"rule": "k_of_n", "k_of_n": evidence, "simulator": made, "first_difference_frame": 1}
            proof.write_text(ReplayCertificate.model_validate_json(proof.read_bytes()).model_copy(update=update).model_dump_json())


def write_licences(scene, *, can="MIT", box="CC-BY-4.0", background="CC0-1.0"):
    """The scene manifest with other licences."""
    data = json.loads((scene / "assets/scene_manifest.json").read_text())
    for item in data["objects"]:
        item["asset"]["licence"] = {"can": can, "box": box}.get(item["id"], "CC0-1.0")
    data["background"]["licence"] = background
    _write(scene, "assets/scene_manifest.json", json.dumps(data))


def _write_bytes(scene, name, data):
    path = scene / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _write(scene, name, text):
    (scene / name).parent.mkdir(parents=True, exist_ok=True)
    (scene / name).write_text(text)


def _write_source(scene):
    files = {}
    for name in ("scene_info.json", "objects/can/mesh.glb", "objects/box/mesh.glb", "background/mesh.glb", "ATTRIBUTION.md"):
        _write(scene, f"regen3d/{name}", f"bytes of {name}")
        files[name] = digest_file(scene / "regen3d" / name).model_dump()
    _write(scene, "input/source_manifest.json", json.dumps({"schema_version": "1.0", "scene_id": SCENE_ID, "source": "x", "files": files}))
    identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    pose = {"position_m": [0, 0, 0], "quat_wxyz": [1, 0, 0, 0]}
    objects = [
        {
            "id": name,
            "sim_role": "manipulable_object" if name != "table" else "static",
            "name": name,
            "category": name,
            "description": f"a {name}",
            "asset": {
                "path": f"assets/{name}/visual.glb",
                "asset_id": name,
                "source": "a package",
                "relative_path": f"regen3d/objects/{name}/mesh.glb",
                "object_from_mesh": identity,
                "licence": licence,
                "licence_statement": licence,
                "licence_origin": "authored",
                "author": f"maker of the {name}",
                "changes": None,
            },
            "transform": {"position": {"x": 0, "y": 0, "z": 0}, "rotation_quaternion": {"w": 1, "x": 0, "y": 0, "z": 0}},
            "dimensions_est": {"width": 0.1, "depth": 0.1, "height": 0.1},
            "semantics": {"class": name, "instance_id": 0, "affordances": []},
            "physics_hints": {"material_type": "metal", "base_color": [1, 1, 1], "metallic": 0, "roughness": 1, "origin": "authored"},
            "is_floor_contact": name == "table",
            "pose_confidence": None,
        }
        for name, licence in (("can", "MIT"), ("box", "CC-BY-4.0"), ("table", "CC0-1.0"))
    ]
    manifest = {
        "scene_id": SCENE_ID,
        "scene": {"environment_type": "kitchen", "room": {"bounds": {"width": 1, "depth": 1, "height": 1}, "origin": [0, 0, 0]}},
        "objects": objects,
        "background": {
            "path": "assets/background/visual.glb",
            "relative_path": "regen3d/background/mesh.glb",
            "source_linear": identity,
            "licence": "CC0-1.0",
            "licence_statement": "CC0 1.0",
            "licence_origin": "authored",
        },
        "camera": {"pose": pose, "fovy_rad": 1.0, "width": 64, "height": 48},
        "metadata": {
            "source_pipeline": "test",
            "source_scene_id": "x",
            "source_version": "1",
            "source_confidence": None,
            "source_coordinate_frame": "z_up",
            "source_meters_per_unit": 1.0,
            "generated_at": None,
        },
    }
    _write(scene, "assets/scene_manifest.json", json.dumps(manifest))


def _write_plan(scene):
    panda = load_embodiment("franka_panda")
    can = Pose(position_m=(-0.02, -0.15, 0.76), quat_wxyz=(1.0, 0.0, 0.0, 0.0))
    box = Pose(position_m=(0.05, 0.2, 0.74), quat_wxyz=(1.0, 0.0, 0.0, 0.0))
    task = PickPlaceTask(
        instruction="put the can beside the box",
        target_object="can",
        support_object="table",
        region_m=square_about(0.1, 0.0),
        center_object_m=(0.0, 0.0, 0.0),
        goal_position_m=(0.1, 0.0, 0.76),
        upright=True,
    )
    specs = tuple(
        EpisodeSpec(
            episode_index=index,
            episode_id=f"ep_{index:04d}",
            seed=100 + index,
            arm="arm",
            task=task,
            object_poses={"can": can, "box": box},
            robot_qpos=home_qpos(panda),
        )
        for index in range(ATTEMPTS)
    )
    plan = JobPlan(
        job_id=JOB_ID,
        scene_id=SCENE_ID,
        seed=7,
        fps=FPS,
        robot=PLACEMENT,
        cameras=CAMERAS,
        coverage=plan_of([cell(start=start) for start in ("left", "left", "middle", "right", "back")]),
        shards=(ShardRef(shard_index=0, episode_indices=(0, 1, 2)), ShardRef(shard_index=1, episode_indices=(3, 4))),
        episodes=specs,
        **SIZE,
    )
    _write(scene, PLAN_PATH, plan.model_dump_json())
    return plan


def _gate(gate, value, limit, unit, message="", *, passed=True):
    return GateResult(gate=gate, tier="core", passed=passed, value=value, limit=limit, unit=unit, origin=Origin.SIMULATED, message=message)


def _write_gates(scene):
    verdicts = []
    for index in range(ATTEMPTS):
        gates = [_gate("penetration", 0.001 + 0.0005 * index, 0.005, "m")]
        if index == KEPT:
            gates = [_gate("penetration", 0.009, 0.005, "m", "can|table <9 mm> deep", passed=False)]
        if index == ATTEMPTS - 1:
            gates = [_gate("outcome", 1.0, 0.0, "failures", "plan_pick: motion.no_grasp: no grasp is reachable", passed=False)]
        verdict = "kept" if index < KEPT else "rejected"
        verdicts.append(
            EpisodeVerdict(
                episode_id=f"ep_{index:04d}", shard_index=index // 3, verdict=verdict, gates=tuple(gates), metrics={"sparc": -2.0 - index}
            )
        )
    head = {"scene_id": SCENE_ID, "job_id": JOB_ID, "tier": "core", "tiers_version": "2026.12.0"}
    write_report(partial(_write_bytes, scene), "verdicts", verdicts, **head)
    rendered = tuple(
        EpisodeVerdict(
            episode_id=verdict.episode_id, shard_index=0, verdict="kept", gates=(_gate("frozen_frames", 1.0, 5.0, "frames"),), metrics={}
        )
        for verdict in verdicts[:KEPT]
    )
    report = write_report(partial(_write_bytes, scene), "render_verdicts", rendered, **head)
    _write(scene, QUALITY_GATE_REPORT_PATH, build_quality_gate_report(verdicts, rendered, report).model_dump_json())


def _write_cost(scene, plan, records):
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    usage = Usage(wall_s=3.0, cpu_s=6.0, peak_memory_bytes=2**28, bytes_read=100, bytes_written=200)
    commits = [
        Commit(
            key="0" * 64,
            stage=stage,
            unit=unit,
            scene_id=SCENE_ID,
            request={"scene_id": SCENE_ID, **({"shard_index": int(unit)} if unit else {})},
            result={},
            inputs={},
            outputs={f"{stage}/{unit}.json": FileDigest(sha256="0" * 64, size_bytes=2**20)},
            code_version="0.1.0+abc",
            packages={"mujoco": "4.0.0"},
            image_digest=None,
            machine="local_laptop",
            started_at=noon,
            finished_at=noon,
            usage=usage,
        )
        for stage, unit in (("settle_scene", ""), ("simulate_shard", "0000"), ("simulate_shard", "0001"), ("write_dataset", ""))
    ]
    kept = frozenset(record.episode_id for record in records[:KEPT])
    made = UnitUsage(machine="local_laptop", finished_at=noon, usage=usage)
    usages = {
        record.episode_id: EpisodeUsage(episode_id=record.episode_id, cpu_plan_s=0.1, cpu_simulate_s=0.2, made=made) for record in records
    }
    report = build_report(RunFacts(plan=plan, commits=commits, episodes=records, usages=usages, kept=kept, failures=frozenset()))
    _write(scene, COST_REPORT_PATH, report.model_dump_json())
