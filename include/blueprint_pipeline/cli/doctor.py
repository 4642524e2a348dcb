"""``bpp doctor``: is everything on this machine that a run needs, and if not, what to do."""

import importlib.metadata
import os
import platform
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from blueprint_pipeline.cli.output import JsonOption, show, table
from blueprint_pipeline.cli.settings_in_force import list_settings
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.settings import Settings, load_settings
from blueprint_pipeline.simulators import SIMULATORS

GIB = 1024**3
MIN_FREE_BYTES = 5 * GIB


@dataclass(frozen=True)
class DoctorFinding:
    """What one check of the machine found."""

    part: str
    state: Literal["ok", "absent", "broken"]
    """``absent`` parts are optional: the run says what it did without them. ``broken`` ones stop a run."""
    found: str
    advice: str = ""


def doctor(
    *,
    gpu: Annotated[bool, typer.Option("--gpu", help="Also ask for what Isaac Sim needs: GPU, driver, RT cores, Vulkan, disk.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the machine, the workspace, the registry, the renderer and the optional parts; show the settings in force, without secrets.

    Ends with 0 if a run can start, with 69 if something needed is broken. Example: bpp doctor --json
    """
    settings = load_settings()
    looks = (*LOOKS, check_gpu) if gpu else LOOKS
    findings = [finding for look in looks for finding in look(settings)]
    in_force = list(list_settings(settings))

    def text(console: Console) -> None:
        marks = {"ok": Text("ok", "green"), "absent": Text("absent", "yellow"), "broken": Text("broken", "red")}
        rows = [[finding.part, marks[finding.state], finding.found, finding.advice] for finding in findings]
        console.print(table("This machine", ["part", "state", "found", "what to do"], rows))
        shown = [[item.variable, item.value, "default" if item.is_default else "set"] for item in in_force]
        console.print(table("Settings in force", ["variable", "value", "from"], shown))

    data = {"findings": [asdict(finding) for finding in findings], "settings": [asdict(item) for item in in_force]}
    show(data, as_json=as_json, text=text)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(69)


def check_python(_settings: Settings) -> Iterator[DoctorFinding]:
    """The interpreter, and the packages that simulate and deliver."""
    found = platform.python_version()
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        yield DoctorFinding("python", "ok", found)
    else:
        yield DoctorFinding("python", "broken", found, "Install Python 3.11 or 3.12.")
    for package in ("mujoco", "mink", "ompl", "toppra", "usd-core", "av", "pyarrow"):
        yield DoctorFinding(package, "ok", importlib.metadata.version(package))
    for package in ("apache-airflow", "mujoco-warp"):
        version = next((dist.version for dist in importlib.metadata.distributions(name=package)), None)
        if version is None:
            yield DoctorFinding(package, "absent", "not installed", _WITHOUT[package])
        else:
            yield DoctorFinding(package, "ok", version)


_WITHOUT = {
    "apache-airflow": "Stages run by command; `make up` and `make demo` need it.",
    "mujoco-warp": "Needed only where neither EGL nor OSMesa draws.",
}


def check_disk(settings: Settings) -> Iterator[DoctorFinding]:
    """The workspace can be written, and there is room."""
    from blueprint_pipeline.workspace.storage import Workspace

    workspace = Workspace(settings.workspace)
    probe = workspace.root / f".doctor-{uuid.uuid4().hex}"
    try:
        workspace.root.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
        probe.unlink()
        yield DoctorFinding("workspace", "ok", str(workspace.root))
    except OSError as error:
        yield DoctorFinding("workspace", "broken", f"{workspace.root}: {error}", "Set BPP__WORKSPACE__URL to a place that can be written.")
    places = {"cache": settings.workspace.cache_dir.absolute()}
    if workspace.root.protocol in {"", "file", "local"}:
        places = {"workspace": Path(str(workspace.root.path)).absolute(), **places}
    for name, place in places.items():
        free = shutil.disk_usage(_nearest(place)).free
        advice = "" if free >= MIN_FREE_BYTES else f"Free at least {MIN_FREE_BYTES // GIB} GiB there."
        yield DoctorFinding(f"disk of the {name}", "broken" if advice else "ok", f"{free / GIB:.1f} GiB free at {place}", advice)


def _nearest(place: Path) -> Path:
    """The folder, or where it would be made."""
    return next(folder for folder in (place, *place.parents) if folder.exists())


def check_registry(settings: Settings) -> Iterator[DoctorFinding]:
    """The database answers, and its tables are of this version."""
    from sqlalchemy.engine import make_url

    from blueprint_pipeline.registry.database import open_registry

    url = make_url(settings.registry.url).render_as_string(hide_password=True)
    try:
        open_registry(settings.registry)
        yield DoctorFinding("registry", "ok", url)
    except BlueprintError as error:
        yield DoctorFinding("registry", "broken", url, str(error))


def check_renderer(settings: Settings) -> Iterator[DoctorFinding]:
    """A renderer draws a frame that is not black."""
    from blueprint_pipeline.simulation.mujoco.renderers import choose_backend

    try:
        yield DoctorFinding("renderer", "ok", choose_backend(settings.render.backend))
    except BlueprintError as error:
        yield DoctorFinding("renderer", "broken", settings.render.backend, str(error))


def check_optional_parts(settings: Settings) -> Iterator[DoctorFinding]:
    """What a run can do without, and says so."""
    python = settings.dataset.certify_python
    there = os.access(python, os.X_OK)
    yield DoctorFinding(
        "certify environment",
        "ok" if there else "absent",
        str(python),
        "" if there else "`make certify-env`; without it the certificate says that lerobot and the graders did not run.",
    )
    key = settings.delivery.signing_key
    there = key.is_file()
    advice = "" if there else "`bpp deliver --make-key`, or mount your own."
    yield DoctorFinding("signing key", "ok" if there else "absent", str(key), advice)


def check_gpu(_settings: Settings) -> Iterator[DoctorFinding]:
    """What simulators with a GPU need of the machine; the first part that fails is named with its error."""
    from blueprint_pipeline.compute.preflight import run_preflight

    for row in SIMULATORS.values():
        if not row.needs_rt_cores:
            continue
        try:
            report = run_preflight(needs_rt_cores=True, minimum_disk_bytes=row.minimum_disk_bytes)
        except BlueprintError as error:
            yield DoctorFinding(row.title, "broken", error.code, error.message)
            continue
        for found in report.findings:
            advice = "A warning: not refused." if found.state == "warning" else ""
            yield DoctorFinding(f"{row.title}: {found.part}", "ok", found.found, advice)


LOOKS: tuple[Callable[[Settings], Iterator[DoctorFinding]], ...] = (
    check_python,
    check_disk,
    check_registry,
    check_renderer,
    check_optional_parts,
)
