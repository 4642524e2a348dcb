"""What a job runs with and where: resource profiles, which stage takes which, and the clusters in order of preference.

The file is ``include/config/compute.yaml``, or what ``BPP__COMPUTE__CONFIG`` names.
"""

from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.settings import ComputeSettings, Settings
from blueprint_pipeline.stage.flow import STAGES
from blueprint_pipeline.workspace.storage import Id

SIMULATOR_VARIABLE = "BPP__SIMULATION__SIMULATOR"
"""By which a profile says what acts in its pods."""
LOCAL = "local"
"""Name of the profile of stages that run as a process of the worker."""


class ComputeConfigInvalid(ConfigFileInvalid):
    """The file of profiles and clusters cannot be used."""

    code = "compute.config_invalid"


class Resources(FrozenModel):
    """What a pod asks for; what is empty is left as the pod template has it. Quantities are Kubernetes' own (``24Gi``, ``500m``)."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    gpus: int = Field(default=0, ge=0)
    accelerator: str | None = None
    """``cloud.google.com/gke-accelerator`` of the node."""
    spot: bool = False
    shared_memory: str | None = None
    """Size of ``/dev/shm``."""


class Profile(FrozenModel):
    """How a job runs: image, command, resources, environment, bounds."""

    name: Id = LOCAL
    template: str | None = None
    """File of the folder of pod templates; ``None``: a pod of nothing but this profile."""
    image: str = ""
    """By digest in production; empty: what ``images.yaml`` beside the templates names, or no image (a process)."""
    command: tuple[str, ...] = ()
    """What replaces the image's entry point; ``job run FILE`` follows."""
    resources: Resources = Resources()
    environment: dict[str, str] = {}
    timeout_s: float = Field(default=21_600.0, gt=0)
    """From the start of the container, or of the worker's process [s]."""
    grace_s: int = Field(default=15, ge=1)
    """Between SIGTERM and SIGKILL [s]; a Spot node grants 15."""
    needs_rt_cores: bool = False
    """Isaac Sim draws with them; the preflight refuses a GPU that has none."""
    minimum_disk_bytes: int = Field(default=2 * 2**30, ge=0)
    """Free ephemeral storage that the preflight asks for."""


class GkeCluster(FrozenModel):
    """Where the Google provider finds a cluster."""

    project: str
    location: str
    cluster: str
    dns_endpoint: bool = False


class Cluster(FrozenModel):
    """One place where pods may run."""

    name: Id
    region: str
    connection: str
    """Airflow connection: of type ``kubernetes``, or ``google_cloud_platform`` where ``gke`` is given."""
    namespace: str
    gke: GkeCluster | None = None
    machines: dict[str, str]
    """Price profile by profile name: what a pod of it is expected to land on."""
    instance_types: dict[str, str] = {}
    """Price profile by instance type, ``<type>/spot`` for Spot: what a pod turned out to be on."""

    def machine_of(self, instance_type: str | None, *, spot: bool) -> str | None:
        """Price profile of a node; ``None`` where the file does not say."""
        return self.instance_types.get(f"{instance_type}/spot" if spot else str(instance_type))


class Failover(FrozenModel):
    """When a job moves to the next cluster."""

    unschedulable_s: float = Field(default=600.0, gt=0)
    """A pod that finds no node for so long [s] goes elsewhere."""
    room_wait_s: float = Field(default=86_400.0, ge=0)
    """Where no cluster has room (quota used up, no node), a job waits for so long [s] without spending a try."""
    room_poll_s: float = Field(default=60.0, gt=0)
    """Between two rounds over all clusters while there is no room, and between two tries at a registry that is away [s]."""
    registry_wait_s: float = Field(default=1800.0, ge=0)
    """How long a task waits for a registry that does not answer [s], without spending a try."""
    pull_s: float = Field(default=60.0, ge=0)
    """A pod whose image does not come for so long [s] after it got its node is given up."""
    setup_s: float = Field(default=300.0, gt=0)
    """A pod with a node whose container cannot be made (no such Secret, no volume) is given up after so long [s]."""
    start_s: float = Field(default=1800.0, gt=0)
    """Likewise for any other reason, or none: an image of 20 GB takes some ten minutes."""
    unreachable_s: float = Field(default=300.0, gt=0)
    """An API that does not answer for so long [s] is taken for lost."""
    breaker_s: float = Field(default=900.0, gt=0)
    """A cluster that does not answer is passed over for so long [s] by all jobs; then one tries it again. One that has no room
    for a profile comes last for that profile."""
    poll_s: float = Field(default=5.0, gt=0)
    """Between two looks at a pod [s]."""
    quiet_s: float = Field(default=10.0, ge=0)
    """A pod's watcher tells nothing sooner than this [s]: a worker of Airflow 3.3 takes some 6 s to report that its task was
    deferred, and a task that goes on before that is taken for one whose worker died."""
    gone_s: float = Field(default=120.0, gt=0)
    """How long the end of a deleted pod is waited for [s], beyond its grace period."""


class ComputeConfig(FrozenModel):
    """The whole file."""

    schema_version: Literal["1.0"]
    shards_per_job: int = Field(default=1, ge=1)
    """Shards that one pod takes, so that a simulator starts once for many."""
    profiles: dict[str, Profile]
    stages: dict[str, str]
    """Profile by stage; a stage that is not named runs in the worker."""
    clusters: tuple[Cluster, ...] = ()
    failover: Failover = Failover()

    @model_validator(mode="before")
    @classmethod
    def _name_profiles(cls, data: dict[str, object]) -> dict[str, object]:
        profiles = data.get("profiles")
        if not isinstance(profiles, dict):
            return data
        return {**data, "profiles": {name: {**fields, "name": name} for name, fields in profiles.items()}}

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        wrong = [f"stages: '{stage}' is no stage of the flow" for stage in self.stages if stage not in STAGES]
        wrong += [f"stages.{stage}: no profile '{name}'" for stage, name in self.stages.items() if name not in {LOCAL, *self.profiles}]
        used = {name for name in self.stages.values() if name != LOCAL}
        wrong += [
            f"clusters.{cluster.name}: no machine for profile '{name}'"
            for cluster in self.clusters
            for name in sorted(used - cluster.machines.keys())
        ]
        wrong += self._isaac_sim_is_usable(used)
        names = [cluster.name for cluster in self.clusters]
        if len(set(names)) < len(names):
            wrong.append(f"clusters: names are not unique: {', '.join(names)}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _isaac_sim_is_usable(self, used: set[str]) -> list[str]:
        """What would be found out an hour later: an image without Isaac Sim, or episodes that another simulator must replay."""
        profiles = {name: self.profiles[name] for name in sorted(used & self.profiles.keys())}
        wrong = [
            f"profiles.{name}: needs_rt_cores is for Isaac Sim, and no `image` is named (target isaac); the release's has no Isaac Sim"
            for name, profile in profiles.items()
            if profile.needs_rt_cores and not profile.image
        ]
        acting = {
            row.name: self.profiles.get(self.stages.get(row.name, LOCAL), Profile()).environment.get(SIMULATOR_VARIABLE)
            for row in STAGES.values()
            if row.uses_simulator
        }
        if len(set(acting.values())) > 1:
            told = ", ".join(f"{stage} {value or 'none'}" for stage, value in acting.items())
            wrong.append(f"stages: what simulates must render, and their profiles set {SIMULATOR_VARIABLE} to: {told}")
        return wrong

    def profile_of(self, stage: str) -> Profile:
        """How a stage runs where pods are wanted."""
        name = self.stages.get(stage, LOCAL)
        return self.local if name == LOCAL else self.profiles[name]

    @property
    def local(self) -> Profile:
        """How a stage runs as a process of the worker: its environment and bounds; the rest is for pods."""
        return self.profiles.get(LOCAL, Profile())

    def cluster(self, name: str) -> Cluster | None:
        """A cluster by name; ``None`` where the file has it no more."""
        return next((cluster for cluster in self.clusters if cluster.name == name), None)


@cache
def load_compute(path: Path) -> ComputeConfig:
    """Read the file, once a process.

    Raises:
        ComputeConfigInvalid: It is missing, is not YAML, or a name or value in it is wrong.
    """
    return load_config(path, ComputeConfig, ComputeConfigInvalid)


def acting_simulator(settings: Settings) -> str:
    """Name of the simulator that acts in the shards of a job, wherever they run.

    Raises:
        ComputeConfigInvalid: Pods are wanted, and the file cannot be used.
    """
    if not runs_as_pod("simulate_shard", settings.compute):
        return settings.simulation.simulator
    profile = load_compute(settings.compute.config).profile_of("simulate_shard")
    return profile.environment.get(SIMULATOR_VARIABLE, settings.simulation.simulator)


def runs_as_pod(stage: str, settings: ComputeSettings) -> bool:
    """Whether a stage is a pod where these settings hold, and no process of the worker.

    Raises:
        ComputeConfigInvalid: Pods are wanted, and the file cannot be used.
    """
    return settings.kind != "local" and load_compute(settings.config).profile_of(stage).name != LOCAL
