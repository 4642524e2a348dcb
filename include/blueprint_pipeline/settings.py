"""The settings of a process, read once from the environment; nothing else in the package reads it.

A variable is ``BPP__<GROUP>__<FIELD>``, e.g. ``BPP__WORKSPACE__URL=gs://bucket/prefix``. A misspelt
name stops the process: silence would run production with a default.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.simulators import SimulatorName

PREFIX = "BPP__"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WorkspaceSettings(_Group):
    """Where scenes and everything made of them lie."""

    url: str = ".bpp/workspace"
    """A folder or any fsspec URL (``gs://bucket/prefix``)."""
    cache_dir: Path = Path(".bpp/cache")
    """Local folder for mesh caches and for copies of remote files."""


class RegistrySettings(_Group):
    """The relational database of what must outlive a run."""

    url: str = "sqlite:///.bpp/registry.db"
    """SQLAlchemy URL; SQLite embedded, ``postgresql+psycopg2://`` in production."""
    lease_s: float = Field(default=900.0, gt=0)
    """A running stage holds a lease for this long [s] and renews it; a lost machine frees it so."""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ComputeSettings(_Group):
    """Where stages run."""

    kind: Literal["local", "kubernetes"] = "local"
    """``local``: every stage is a process of its worker; ``kubernetes``: stages run as ``config`` says."""
    config: Path = CONFIG_FOLDER / "compute.yaml"
    """Profiles, which stage takes which, and clusters."""
    pod_templates: Path = Path("/opt/airflow/pod_templates")
    """Folder of pod templates (``cpu.yaml``, ``gpu.yaml``) and ``images.yaml``: the chart's config map, mounted."""
    lease_wait_s: float = Field(default=1800.0, gt=0)
    """How long a job waits for work that another process is at [s], before it gives up and is tried again."""
    registry_wait_s: float = Field(default=600.0, gt=0)
    """How long a job waits for a registry that does not answer [s]; what it finished meanwhile is kept."""
    workers: int = Field(default_factory=_cores, ge=1)
    """Processes of one stage; one a core."""
    warm_s: float = Field(default=120.0, ge=0)
    """How long the server that starts local stages stays without one [s] (about 350 MB, shared by all Airflow tasks of this user);
    0: every stage is a process that imports everything again. Linux only."""
    machine: str = "local_laptop"
    """What the process runs on, for prices: a machine profile of the price table."""
    image_digest: str | None = None
    """``sha256:…`` of the container image that the process runs in, if it runs in one; goes into commit records."""
    pod_uid: str | None = None
    """UID of the pod that the process runs in; the operator sets it."""
    node: str | None = None
    """Name of the node that the process runs on; the operator sets it."""


class SimulationSettings(_Group):
    """What acts in the scenes, and draws them. Plans are made in the MJCF twin, whatever acts."""

    simulator: SimulatorName = "mujoco"
    """A row of ``SIMULATORS``; part of the keys of what is simulated and drawn. ``isaac_sim`` acts in its own image, or where ``address``
    serves it."""
    address: str | None = None
    """``host:port`` of a simulator of that name served as ``blueprint.simulation.v1``; ``None``: it acts in the stage's own process.
    The server reads scenes at the paths that this process has them at: beside it in the pod, or on the same volume."""
    certificate: Path | None = None
    """Client certificate chain (PEM) for a served simulator; with ``private_key`` and ``server_ca``, or none of them."""
    private_key: Path | None = None
    server_ca: Path | None = None
    token_file: Path | None = None
    """File with the bearer token for a served simulator; read at each call."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        files = (self.certificate, self.private_key, self.server_ca)
        if any(files) and not all(files):
            raise ValueError("TLS needs all of certificate, private_key and server_ca")
        if (any(files) or self.token_file) and self.address is None:
            raise ValueError("certificates and a token are for a served simulator: give its address")
        return self


class GenieSimSettings(_Group):
    """Genie Sim's data collection server, where ``genie_sim`` acts. It takes one scene, and is started anew for the next."""

    address: str = "127.0.0.1:50051"
    """``host:port``. The server has neither TLS nor tokens, and listens on its own machine alone unless it is told otherwise."""
    version: str = "unknown"
    """Release of the server, e.g. ``3.2.0``, for records: no call of its protocol tells it."""
    physics_hz: int = Field(default=480, gt=0)
    """What it was started with as ``--physics_step``. Each call takes one step, so a frame needs as many as objects are read in it."""
    stages: Path = Path(".bpp/cache/genie_sim")
    """Folder for the stages that it loads. It reads this and the scenes at the paths that this process has them at."""
    recordings: Path | None = None
    """Its folder ``recording_data``, as this process sees it. ``None``: nothing is recorded, so no torque is measured, and gates reject."""


class RenderSettings(_Group):
    """How cameras are drawn."""

    backend: Literal["auto", "egl", "osmesa", "cgl", "warp"] = "auto"
    """``auto`` takes the first that draws a frame: EGL, OSMesa (CGL on macOS), then mujoco-warp's ray tracer."""


class DatasetSettings(_Group):
    """How datasets are certified."""

    certify_python: Path = Path(".venv-certify/bin/python")
    """Interpreter of the environment that holds lerobot, torch and the public graders (``make certify-env``)."""


class DeliverySettings(_Group):
    """How bundles are signed and announced."""

    signing_key: Path = Path(".bpp/keys/signing.pem")
    """Ed25519 private key, PEM (PKCS 8). The demo makes one; production mounts its own."""
    webhook_url: str | None = None
    """Where the lab of this process is notified of a delivery; ``None``: the address in its profile."""
    webhook_secret: SecretStr | None = None
    """Signs the call (``whsec_...``). The operator hands over the password of the Airflow connection that the lab's profile
    names, in the environment of the stage; no request and no file holds it."""


class MessageSettings(_Group):
    """Over which Airflow connections people are told, of type ``slackwebhook`` or ``http``."""

    channel: str = "slack_default"
    second_channel: str = "on_call_backup"
    """Takes a message that the first does not take; there need not be one."""
    runbook_url: str | None = None
    """Where this installation's people read ``docs/on-call.md``; each message about a failure then has a button that leads there."""


class LogSettings(_Group):
    """How the process logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["auto", "json", "console"] = "auto"
    """``auto``: text for people where stderr is a terminal, else JSON lines."""


class Settings(BaseSettings):
    """All settings of a process, frozen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid")

    workspace: WorkspaceSettings = WorkspaceSettings()
    registry: RegistrySettings = RegistrySettings()
    compute: ComputeSettings = ComputeSettings()
    simulation: SimulationSettings = SimulationSettings()
    genie_sim: GenieSimSettings = GenieSimSettings()
    render: RenderSettings = RenderSettings()
    dataset: DatasetSettings = DatasetSettings()
    delivery: DeliverySettings = DeliverySettings()
    messages: MessageSettings = MessageSettings()
    log: LogSettings = LogSettings()


def environment_of_child(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that this one starts: its own, and ``extra``."""
    return {**os.environ, **extra}


def replace_environment(environment: Mapping[str, str]) -> None:
    """Give this process another environment, and forget the settings of the one before."""
    os.environ.clear()
    os.environ.update(environment)
    load_settings.cache_clear()


class UnknownSetting(ConfigurationError):
    """An environment variable has our prefix and names no setting."""

    code = "settings.unknown"
    template = "The environment variable {variable} names no setting: '{group}' is not one of {known}. Correct or unset it."

    variable: str
    group: str
    known: Sequence[str]


class InvalidSettings(ConfigurationError):
    """A setting has a value of the wrong kind."""

    code = "settings.invalid"
    template = "The settings cannot be read: {problems:; }."

    problems: Sequence[str]


@cache
def load_settings() -> Settings:
    """Read the settings of this process, once.

    Raises:
        ConfigurationError: A variable is misspelt or has a value of the wrong kind.
    """
    known = set(Settings.model_fields)
    for name in os.environ:
        if name.startswith(PREFIX):
            group = name.removeprefix(PREFIX).split("__")[0].lower()
            if group not in known:
                raise UnknownSetting(name, group, sorted(known))
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"{PREFIX}{'__'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors()]
        raise InvalidSettings(problems) from error
