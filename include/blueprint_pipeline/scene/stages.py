"""The stages of a scene: ingested, given physics and meshes, assembled, at rest."""

from typing import Annotated

import mujoco
from pydantic import Field

from blueprint_pipeline.public_url import PrivateUrl
from blueprint_pipeline.scene.assemble import load_assets, write_twin, write_usd
from blueprint_pipeline.scene.assets import estimate_scene, process_scene
from blueprint_pipeline.scene.canonical_files import write_json
from blueprint_pipeline.scene.decompose import MAX_OVERFILL
from blueprint_pipeline.scene.ingest import SOURCE_FOLDER, SOURCE_MANIFEST_PATH, digest_source, ingest
from blueprint_pipeline.scene.joint_test import JOINTS_PATH, check_joints
from blueprint_pipeline.scene.layout import INVENTORY_PATH, LAYOUT_PATH
from blueprint_pipeline.scene.manifest import MANIFEST_PATH, asset_folder, load_manifest
from blueprint_pipeline.scene.set_aside import SET_ASIDE_PATH, load_set_aside
from blueprint_pipeline.scene.settle import SETTLED_PATH, settle_patiently, settled_qpos, validate_settled
from blueprint_pipeline.simulators import TWIN_FOLDER, TWIN_PATH
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult

_ASSET_FOLDERS = (asset_folder("*"), asset_folder("*/*"))
_READ = (SOURCE_FOLDER, SOURCE_MANIFEST_PATH, MANIFEST_PATH)


class IngestSceneRequest(StageRequest):
    """Where the reconstruction lies."""

    source: Annotated[PrivateUrl, Field(min_length=1)]
    """Folder or fsspec URL in the ``regen3d/`` layout."""


class IngestSceneResult(StageResult):
    """What was ingested."""

    objects: int
    movable: int
    unknown_licences: int


class SceneRequest(StageRequest):
    """A stage that has nothing to choose."""


class EstimatePhysicsResult(StageResult):
    """Masses of the movable objects, estimated."""

    objects: int
    movable_mass_kg: float


class ProcessMeshesResult(StageResult):
    """What the meshes have become."""

    triangles: int
    hulls: int
    overfilled: tuple[str, ...]
    """Objects whose pieces cover more free space than :data:`~blueprint_pipeline.scene.decompose.MAX_OVERFILL`, as far as they were cut."""
    solid_share: float
    """Of the surface of the mesh that collides least: what lies no farther outside its pieces than their clearance."""


class AssembleSceneRequest(StageRequest):
    """For how long the scene is watched, here and when it is settled: what does not rest until then is set aside."""

    duration_s: float = Field(default=2.0, gt=0, le=60)
    """Simulated time [s]."""


class AssembleSceneResult(StageResult):
    """Size of the assembled scene."""

    prims: int
    bodies: int
    geoms: int
    set_aside: dict[str, str]
    """Objects that never come to rest, each with the reason: they are fixed where they were reconstructed."""


class SettleSceneResult(StageResult):
    """The worst figures of the settled scene."""

    max_drift_m: float
    max_tilt_rad: float
    max_penetration_m: float
    joints: int
    """Joints that were moved over their whole range."""
    stuck: dict[str, str]
    """Parts that did not pass, each with the reason: no robot is asked to move them."""


def _ingest(request: IngestSceneRequest, context: StageContext) -> IngestSceneResult:
    manifest = ingest(request.scene_id, request.source, context)
    return IngestSceneResult(
        objects=len(manifest.objects),
        movable=sum(item.is_movable for item in manifest.objects),
        unknown_licences=sum(item.asset.licence == "unknown" for item in manifest.objects),
    )


def _estimate(_request: SceneRequest, context: StageContext) -> EstimatePhysicsResult:
    found = estimate_scene(context)
    movable = [item.id for item in load_manifest(context.scene).objects if item.is_movable]
    return EstimatePhysicsResult(objects=len(found), movable_mass_kg=round(sum(found[name].mass.mass_kg for name in movable), 6))


def _process(_request: SceneRequest, context: StageContext) -> ProcessMeshesResult:
    reports = process_scene(context)
    collision = {name: report.collision for name, report in reports.items()}
    return ProcessMeshesResult(
        triangles=sum(report.visual.triangles_after for report in reports.values()),
        hulls=sum(item.hulls for item in collision.values()),
        overfilled=tuple(sorted(name for name, item in collision.items() if item.overfill > MAX_OVERFILL)),
        solid_share=min(item.solid_share for item in collision.values()),
    )


def _assemble(request: AssembleSceneRequest, context: StageContext) -> AssembleSceneResult:
    twin = write_twin(load_assets(context.scene), context, duration_s=request.duration_s)
    prims = write_usd(twin.assets, context)
    return AssembleSceneResult(prims=prims, bodies=int(twin.model.nbody), geoms=int(twin.model.ngeom), set_aside=twin.set_aside)


def _settle(request: SceneRequest, context: StageContext) -> SettleSceneResult:
    model = mujoco.MjModel.from_xml_path(str(context.input(TWIN_FOLDER).parent / TWIN_PATH))
    watched_s = load_set_aside(context.scene).watched_s
    record = settle_patiently(model, request.scene_id, duration_s=watched_s)
    validate_settled(record)
    write_json(context.output(SETTLED_PATH), record)
    tests = check_joints(model, settled_qpos(model, record.poses), request.scene_id)
    write_json(context.output(JOINTS_PATH), tests)
    return SettleSceneResult(
        max_drift_m=record.max_drift_m,
        max_tilt_rad=record.max_tilt_rad,
        max_penetration_m=record.max_penetration_m,
        joints=len(tests.joints),
        stuck=tests.problems(),
    )


INGEST_SCENE = Stage(
    name="ingest_scene",
    description="Copy a reconstruction, check it, and describe it in the world's frame.",
    request=IngestSceneRequest,
    result=IngestSceneResult,
    run=_ingest,
    reads=lambda _: [],
    writes=lambda _: [SOURCE_FOLDER, SOURCE_MANIFEST_PATH, MANIFEST_PATH, LAYOUT_PATH, INVENTORY_PATH],
    external_inputs=lambda request, _settings: digest_source(request.source),
    replaces_at_end=True,
)

ESTIMATE_PHYSICS = Stage(
    name="estimate_physics",
    description="Estimate mass, inertia, friction and restitution of every object.",
    request=SceneRequest,
    result=EstimatePhysicsResult,
    run=_estimate,
    reads=lambda _: _READ,
    writes=lambda _: [f"{folder}/physics.json" for folder in _ASSET_FOLDERS],
)

PROCESS_MESHES = Stage(
    name="process_meshes",
    description="Cut meshes into convex pieces for collision, and thin them out for drawing.",
    request=SceneRequest,
    result=ProcessMeshesResult,
    run=_process,
    reads=lambda _: _READ,
    writes=lambda _: [f"{folder}/{file}" for folder in _ASSET_FOLDERS for file in ("visual.glb", "collision/*.obj", "meshes.json")],
)

ASSEMBLE_SCENE = Stage(
    name="assemble_scene",
    description="Assemble the USD stage and its MJCF twin from the same assets.",
    request=AssembleSceneRequest,
    result=AssembleSceneResult,
    run=_assemble,
    reads=lambda _: ["assets"],
    writes=lambda _: ["usd", "mjcf", SET_ASIDE_PATH],
)

SETTLE_SCENE = Stage(
    name="settle_scene",
    description="Let the scene come to rest, refuse one that does not rest where it was reconstructed, and move every joint.",
    request=SceneRequest,
    result=SettleSceneResult,
    run=_settle,
    reads=lambda _: [MANIFEST_PATH, "mjcf", SET_ASIDE_PATH],
    writes=lambda _: [SETTLED_PATH, JOINTS_PATH],
)
