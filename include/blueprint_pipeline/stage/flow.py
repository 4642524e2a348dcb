"""The flow: one row a stage, in the order in which a scene goes through them.

The DAG, the requests of its tasks, the words of its progress, the prices of a run and the command line are made from these rows. A new
stage is a module that holds it and a row here. A stage is looked up lazily: naming one imports neither a simulator nor a planner.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.stage.contract import Stage
from blueprint_pipeline.workspace.storage import SceneFolder

if TYPE_CHECKING:
    from blueprint_pipeline.registry.database import Registry

Group = Literal["scene", "simulation", "episode", "dataset", "delivery"]
GROUPS: dict[Group, str] = {
    "scene": "From meshes with poses to a physically true scene at rest",
    "simulation": "Plan every episode, then simulate them in shards: states only, no pixels",
    "episode": "Judge, ask where in doubt, draw what is kept, and prove by replay",
    "dataset": "Write LeRobot v3.0 and v2.1 from one encode, and let the real readers judge",
    "delivery": "Price, package, sign, upload, verify, and notify the lab",
}
"""The nouns of the flow in order, each with what its stages do."""
FAILURES = "failures"
"""The selection of episodes that a run makes beside ``kept`` where its lab buys failures."""


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """What the rest of the system knows of a stage without importing it."""

    name: str
    """``verb_noun``; also the task id. The module holds the stage under this name in capitals."""
    group: Group
    module: str
    """Where the stage is defined."""
    says: str
    """Its result in words: a format string over the result's fields; a list stands for its length."""
    counts: str = ""
    """What its progress counts: ``episodes``; empty for a stage that does one thing."""
    quantities: tuple[str, ...] = ()
    """Fields of its result that add up over scenes and shards, each a metric: a whole number, or a list, which stands for its length.
    An index or a status code does not add up."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Fields of its request, each with the parameter of the run that it takes."""
    config: tuple[str, ...] = ()
    """Files below ``include/config`` that decide what it makes, as patterns (``prices/*.yaml``) that may name a field of the request
    (``labs/{lab}.yaml``). Their digests are part of its key."""
    sharded: bool = False
    """Runs once a shard of the plan; its request says which (``shard_index``)."""
    selects: bool = False
    """Works on a selection of the episodes (``selection`` of its request): on what is kept, and in a second request on honest failures
    where the run's lab buys them."""
    gives: str = ""
    """The field of its result that lists the shards which the sharded stages after it are mapped over."""
    pool: str | None = None
    """Airflow pool that bounds how many of its tasks run at a time."""
    uses_simulator: bool = False
    """A simulator acts in it: all such stages of a scene must have the same one."""
    priced: Literal["as_one", "by_unit"] = "as_one"
    """``as_one``: one commit, which decides what a run costs. ``by_unit``: a commit a shard or a batch, priced by unit. Stages after
    ``price_run`` are not in its report."""
    outlet: Literal["", "dataset", "bundle"] = ""
    """Airflow asset that it updates."""
    tells: bool = False
    """It tells somebody what happened: whether they could be told does not change what happened, so its failure fails no run."""
    counts_in_registry: str = ""
    """What keeps in the registry what became of the scene's batch, as ``module:function`` of the scene's folder and the registry. It is
    called when the stage's work is done, found done, or refused by a gate, with its files in place; doing it twice changes nothing."""
    connected: Mapping[str, str] = field(default_factory=dict)
    """Fields of its request that the lab's connection has, where it has them, each with the connection's field."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Variables of its process that the lab's connection has, each with the connection's field."""

    def describe(self, result: Mapping[str, object]) -> str:
        """A result of the stage in words."""
        words = self.says.format_map({name: _plain(value) for name, value in result.items()})
        return f"failures: {words}" if result.get("selection") == FAILURES else words

    def count(self, result: Mapping[str, Any]) -> dict[str, int]:
        """The quantities of a result, by name; those of failures have names of their own, and add to nothing else."""
        prefix = f"{FAILURES}_" if result.get("selection") == FAILURES else ""
        return {f"{prefix}{name}": _plain(result[name]) for name in self.quantities if name in result}


def _plain(value: Any) -> Any:
    return len(value) if isinstance(value, list | tuple | dict) else value


_LAB = {"lab": "lab"}
_LIMITS = ("tiers.yaml", "third_party_policy.yaml")

_ROWS = (
    StageRow(
        name="ingest_scene",
        group="scene",
        module="blueprint_pipeline.scene.stages",
        says="objects: {objects}, movable: {movable}, without a known licence: {unknown_licences}",
        quantities=("objects", "movable", "unknown_licences"),
        params={"source": "source"},
        config=("categories.yaml", "materials.yaml"),
    ),
    StageRow(
        name="estimate_physics",
        group="scene",
        module="blueprint_pipeline.scene.stages",
        says="objects: {objects}; the movable ones weigh {movable_mass_kg:.2f} kg",
        quantities=("objects",),
        counts="objects",
        config=("materials.yaml", "categories.yaml"),
    ),
    StageRow(
        name="process_meshes",
        group="scene",
        module="blueprint_pipeline.scene.stages",
        says="triangles to draw: {triangles}, convex hulls to collide: {hulls}; share of the surface that collides, in the worst mesh: "
        "{solid_share:.0%}",
        quantities=("triangles", "hulls"),
        counts="meshes",
    ),
    StageRow(
        name="assemble_scene",
        group="scene",
        module="blueprint_pipeline.scene.stages",
        says="prims of the USD stage: {prims}, bodies of the MJCF twin: {bodies}",
        quantities=("prims", "bodies", "geoms"),
        params={"duration_s": "settle_s"},
    ),
    StageRow(
        name="settle_scene",
        group="scene",
        module="blueprint_pipeline.scene.stages",
        says="at rest; the farthest that an object moved: {max_drift_m:.2g} m; joints that move: {joints}",
        quantities=("joints",),
    ),
    StageRow(
        name="plan_tasks",
        group="simulation",
        module="blueprint_pipeline.job.stages",
        says="episodes: {episodes}, objects to handle: {targets}, shards: {shards}",
        quantities=("episodes",),
        params={
            name: name
            for name in (
                *("robot", "skills", "episodes", "seed", "shard_size", "fps", "width", "height"),
                *("variation", "cover", "recoveries", "augment", "demonstrations"),
            )
        },
        counts_in_registry="blueprint_pipeline.job.count_batch:count_planned",
        config=("affordances.yaml", "third_party_policy.yaml"),
        gives="shards",
    ),
    StageRow(
        name="simulate_shard",
        group="simulation",
        module="blueprint_pipeline.rollout.stages",
        says="{succeeded} of {attempted} attempts succeeded",
        quantities=("attempted", "succeeded", "frames"),
        counts="episodes",
        sharded=True,
        pool="simulation",
        uses_simulator=True,
        priced="by_unit",
    ),
    StageRow(
        name="import_episodes",
        group="episode",
        module="blueprint_pipeline.episode_import.import_episodes",
        says="{recorded} of {planned} planned episodes are complete",
        quantities=("planned", "recorded", "succeeded", "failed_attempts"),
        counts="episodes",
    ),
    StageRow(
        name="gate_episodes",
        group="episode",
        module="blueprint_pipeline.quality.stages",
        counts_in_registry="blueprint_pipeline.quality.coverage:count_gated",
        says="{kept} kept, {rejected} rejected, {borderline} for a person to decide",
        quantities=("kept", "rejected", "borderline"),
        counts="episodes",
        params={"tier": "tier"},
        config=_LIMITS,
    ),
    StageRow(
        name="record_approval",
        group="episode",
        module="blueprint_pipeline.quality.stages",
        says="{approved} approved, {rejected} rejected by a person",
        quantities=("approved", "rejected"),
        priced="by_unit",
    ),
    StageRow(
        name="render_shard",
        group="episode",
        module="blueprint_pipeline.render.stages",
        selects=True,
        says="{rendered} of {selected} episodes replayed and rendered",
        quantities=("selected", "rendered", "refused", "frames"),
        counts="episodes",
        params={name: name for name in ("render_profile", "depth", "segmentation")},
        sharded=True,
        pool="render",
        uses_simulator=True,
        priced="by_unit",
    ),
    StageRow(
        name="gate_renders",
        group="episode",
        module="blueprint_pipeline.quality.stages",
        counts_in_registry="blueprint_pipeline.quality.coverage:count_rendered",
        selects=True,
        says="{kept} kept, {rejected} rejected",
        quantities=("kept", "rejected"),
        counts="episodes",
        params={"tier": "tier"},
        config=_LIMITS,
    ),
    StageRow(
        name="write_dataset",
        group="dataset",
        module="blueprint_pipeline.dataset.stages",
        selects=True,
        says="episodes: {episodes}, frames: {frames}, cameras: {cameras}",
        quantities=("episodes", "frames", "size_bytes"),
        counts="episodes",
        params={"more_formats": "more_formats"},
        config=("third_party_policy.yaml",),
    ),
    StageRow(
        name="certify_dataset",
        group="dataset",
        module="blueprint_pipeline.dataset.stages",
        selects=True,
        says="checks: {passed} passed, {failed} failed, {not_run} did not run",
        quantities=("passed", "failed", "not_run"),
        counts="checks",
        outlet="dataset",
    ),
    StageRow(
        name="price_run",
        group="delivery",
        module="blueprint_pipeline.cost.stages",
        says="episodes kept: {kept} of {attempted}; entries without a price: {unknown_entries}",
        quantities=("attempted", "kept", "unknown_entries"),
        params={"failures": "failures"},
        config=("prices/*.yaml",),
    ),
    StageRow(
        name="package_bundle",
        group="delivery",
        module="blueprint_pipeline.delivery.stages",
        says="signed; episodes: {kept}, failed ones beside them: {failures}, files: {files}",
        quantities=("attempted", "kept", "failures", "files", "size_bytes"),
        params=_LAB,
        config=("labs/{lab}.yaml", "prices/*.yaml", *_LIMITS),  # its provenance names the tables of the prices
    ),
    StageRow(
        name="deliver_bundle",
        group="delivery",
        module="blueprint_pipeline.delivery.stages",
        says="uploaded, read back and verified; files: {files}",
        quantities=("files", "size_bytes"),
        params=_LAB,
        config=("labs/{lab}.yaml",),
        connected={"bucket": "delivery_url"},
        outlet="bundle",
    ),
    StageRow(
        name="notify_lab",
        group="delivery",
        module="blueprint_pipeline.delivery.stages",
        says="the lab was told; attempts: {attempts}",
        quantities=("attempts",),
        tells=True,
        params=_LAB,
        config=("labs/{lab}.yaml",),
        secrets={"BPP__DELIVERY__WEBHOOK_URL": "host", "BPP__DELIVERY__WEBHOOK_SECRET": "password"},
    ),
)

STAGES: dict[str, StageRow] = {row.name: row for row in _ROWS}
"""Every stage by name, in order."""


class UnknownStage(InputError):
    """No stage has this name."""

    code = "flow.unknown_stage"
    template = "There is no stage '{name}'. Stages, in order: {known}."

    name: str
    known: Sequence[str] = tuple(STAGES)


def stages_of(group: str) -> list[StageRow]:
    """The rows of a group, in order."""
    return [row for row in STAGES.values() if row.group == group]


def stages_before(name: str) -> list[StageRow]:
    """The rows of the stages that a scene goes through before this one, in order."""
    names = list(STAGES)
    return [STAGES[earlier] for earlier in names[: names.index(name)]]


def load_stage(name: str) -> Stage[Any, Any]:
    """Import and return a stage.

    Raises:
        UnknownStage: No stage has this name.
    """
    if name not in STAGES:
        raise UnknownStage(name)
    stage: Stage[Any, Any] = getattr(import_module(STAGES[name].module), name.upper())
    return stage


def load_count(name: str) -> Callable[[SceneFolder, "Registry"], None]:
    """What keeps in the registry what became of the scene's batch, once a stage of this name is done; for most stages nothing does."""
    module, _, function = STAGES[name].counts_in_registry.partition(":")
    if not module:
        return lambda _scene, _registry: None
    found: Callable[[SceneFolder, Registry], None] = getattr(import_module(module), function)
    return found
