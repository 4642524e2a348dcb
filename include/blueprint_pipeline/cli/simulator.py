"""``bpp simulator``: is a simulator fit to act, prove it with evidence, and serve one over gRPC."""

from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from blueprint_pipeline.cli.output import JsonOption, error_console, show, table
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.simulators import SIMULATORS

if TYPE_CHECKING:
    from blueprint_pipeline.compute.preflight import PreflightReport
    from blueprint_pipeline.proof.proof import ProofRecord
    from blueprint_pipeline.simulation.conformance import ConformanceCheck
    from blueprint_pipeline.simulation.protocol import Simulator

app = typer.Typer(help="Check, prove and serve simulators.", no_args_is_help=True)


def _checked(name: str) -> str:
    try:
        return SIMULATORS.checked(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


AddressOption = Annotated[str | None, typer.Option(help="host:port of a served simulator, instead of one in this process.")]
SimulatorOption = Annotated[
    str,
    typer.Option(
        "--simulator",
        callback=_checked,
        metavar="NAME",
        help=f"What acts, where it is installed: {', '.join(SIMULATORS)}.",
    ),
]
_USUAL = "mujoco"
_PASSED = {True: Text("passed", "green"), False: Text("failed", "red")}


@app.command(epilog="Example: bpp simulator check --simulator isaac_sim --preflight")
def check(
    *,
    simulator: SimulatorOption = _USUAL,
    address: AddressOption = None,
    certificate: Annotated[Path | None, typer.Option(help="Client certificate chain (PEM).")] = None,
    private_key: Annotated[Path | None, typer.Option(help="Client private key (PEM).")] = None,
    server_ca: Annotated[Path | None, typer.Option(help="Authority that signs the server's certificate (PEM).")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the bearer token; read at each call.")] = None,
    session: Annotated[Path | None, typer.Option(help="A recorded session of isaac_sim, to play back instead of starting it.")] = None,
    preflight: Annotated[
        bool,
        typer.Option("--preflight", help="First check GPU, driver, Vulkan, disk, image and planner; exits with 69 if one fails."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the conformance suite: load, settle, cameras not black, gripper closes, object lifts, replay. Ends with 64 if one fails."""
    if sum((simulator != _USUAL and session is None, address is not None, session is not None)) > 1:
        raise typer.BadParameter("Only one of --simulator, --address and --session can say what acts.")
    tls_files = _all_or_none(certificate, private_key, server_ca, "--server-ca")
    if address is None and (tls_files or token_file):
        raise typer.BadParameter("Certificates and a token are for a served simulator: give --address.")
    report = _preflight(simulator) if preflight else None
    from blueprint_pipeline.simulation.conformance import check_simulator

    if address is not None:
        title, results = address, check_simulator(_remote(address, tls_files, token_file))
    elif session is not None:
        title, results = _check_session(session)
    else:
        title, results = simulator, check_simulator(_local(simulator))

    def text(console: Console) -> None:
        if report is not None:
            console.print(_preflight_table(report))
        rows = [[result.name, _PASSED[result.passed], result.message] for result in results]
        console.print(table(f"Simulator {title}", ["check", "state", "found"], rows))

    found = {
        "simulator": title,
        "preflight": None if report is None else report.model_dump(mode="json"),
        "checks": [result.model_dump(mode="json") for result in results],
    }
    show(found, as_json=as_json, text=text)
    if not results or not all(result.passed for result in results):
        raise typer.Exit(64)


@app.command(epilog="Example: bpp simulator prove tabletop_scanned --simulator isaac_sim")
def prove(
    scene_id: Annotated[str, typer.Argument(help="Scene in the workspace, with a plan (plan_tasks).")],
    *,
    simulator: SimulatorOption = _USUAL,
    episode: Annotated[str | None, typer.Option(help="Which episode of the plan to attempt; the first by default.")] = None,
    attempts: Annotated[int | None, typer.Option(help="How often (n); as the tiers' rule says by default.", min=1)] = None,
    needed: Annotated[int | None, typer.Option(help="How many must succeed and end in the same place (k); likewise.", min=1)] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that a simulator works on this machine, and file the evidence with the scene.

    Looks at the machine (for a simulator that needs RT cores), runs the conformance suite, attempts an episode of the plan n times, draws
    every camera, and writes evidence/SIMULATOR/TIME/ below the scene: proof.json, pictures, and the session where the simulator records
    one. Ends with 64 if the proof failed; what failed is filed, too.
    """
    from blueprint_pipeline.episode.reader import load_audited_plan
    from blueprint_pipeline.episode.record import KOfN
    from blueprint_pipeline.proof.evidence import evidence_path, file_preflight_error, file_proof
    from blueprint_pipeline.quality.replay_rule import load_replay_rule
    from blueprint_pipeline.rollout.errors import NothingPlanned
    from blueprint_pipeline.task.plan import PLAN_PATH
    from blueprint_pipeline.workspace.storage import Workspace

    settings = load_settings()
    scene = Workspace(settings.workspace).scene(scene_id)
    if not scene.exists(PLAN_PATH):
        raise NothingPlanned(scene_id, PLAN_PATH)
    plan = load_audited_plan(scene, "simulator prove")
    where = evidence_path(simulator)
    try:
        report = _preflight(simulator) if SIMULATORS[simulator].needs_rt_cores else None
    except BlueprintError as error:
        file_preflight_error(scene, where, error)
        raise
    usual = load_replay_rule()
    tries = attempts or usual.attempts
    record = file_proof(
        scene,
        plan,
        partial(_recorded, simulator),
        where,
        preflight=report,
        episode_id=episode,
        rule=KOfN(needed=min(needed or usual.needed, tries), attempts=tries, spread_m=usual.spread_m),
        image_digest=settings.compute.image_digest,
    )
    evidence = f"{scene.root}/{where}"
    show(
        {"evidence": evidence, **record.model_dump(mode="json")},
        as_json=as_json,
        text=lambda console: _show_proof(console, record, evidence),
    )
    if not record.passed:
        raise typer.Exit(64)


@app.command(epilog="Example: bpp simulator serve --port 50051")
def serve(
    *,
    simulator: SimulatorOption = _USUAL,
    host: Annotated[str, typer.Option(help="Address to bind to; anything but loopback needs TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one and logs it.")] = 50051,
    certificate: Annotated[Path | None, typer.Option(help="Server certificate chain (PEM).")] = None,
    private_key: Annotated[Path | None, typer.Option(help="Server private key (PEM).")] = None,
    client_ca: Annotated[Path | None, typer.Option(help="Authority that signs client certificates (PEM).")] = None,
    token_keys: Annotated[Path | None, typer.Option(help="JWK set of the keys that sign bearer tokens.")] = None,
) -> None:
    """Serve a simulator as blueprint.simulation.v1, with health and reflection, until SIGTERM."""
    from blueprint_pipeline.simulation.service.security import ServerTls, TokenCheck
    from blueprint_pipeline.simulation.service.server import ServerOptions, SimulatorServer
    from blueprint_pipeline.stage.runner import stop_on_sigterm

    files = _all_or_none(certificate, private_key, client_ca, "--client-ca")
    tls = ServerTls(certificate=files[0], private_key=files[1], client_ca=files[2]) if files else None
    options = ServerOptions(host=host, port=port, tls=tls, tokens=TokenCheck(token_keys) if token_keys else None)
    from blueprint_pipeline.simulation.engine import load_engine

    opened, work = load_engine(simulator).open_for_service(load_settings().render)
    with stop_on_sigterm(), SimulatorServer(opened, options) as server:
        title = f"{SIMULATORS[simulator].title} {opened.version}"
        error_console.print(f"serving blueprint.simulation.v1 with {title} at {server.address}; end with Ctrl-C")
        work()


def _preflight(simulator: str) -> "PreflightReport":
    from blueprint_pipeline.compute.preflight import run_preflight

    row = SIMULATORS[simulator]
    return run_preflight(needs_rt_cores=row.needs_rt_cores, minimum_disk_bytes=row.minimum_disk_bytes)


def _local(simulator: str) -> "Simulator":
    from blueprint_pipeline.simulation.engine import load_engine

    return load_engine(simulator).open(load_settings().render)


def _recorded(simulator: str, session: Path) -> "AbstractContextManager[Simulator]":
    from blueprint_pipeline.simulation.engine import load_engine

    return load_engine(simulator).record(load_settings().render, session)


def _remote(address: str, tls_files: tuple[Path, Path, Path] | None, token_file: Path | None) -> "Simulator":
    from blueprint_pipeline.simulation.service.client import ClientOptions, RemoteSimulator
    from blueprint_pipeline.simulation.service.security import ClientTls, read_token

    tls = ClientTls(certificate=tls_files[0], private_key=tls_files[1], server_ca=tls_files[2]) if tls_files else None
    remote = RemoteSimulator(ClientOptions(address=address, tls=tls, token=partial(read_token, token_file) if token_file else None))
    remote.wait_until_ready(10)
    return remote


def _all_or_none(certificate: Path | None, private_key: Path | None, authority: Path | None, name: str) -> tuple[Path, Path, Path] | None:
    if certificate and private_key and authority:
        return certificate, private_key, authority
    if certificate or private_key or authority:
        raise typer.BadParameter(f"TLS needs all of --certificate, --private-key and {name}.")
    return None


def _check_session(session: Path) -> "tuple[str, list[ConformanceCheck]]":
    """Run the suite on a session's answers; the title says what answered."""
    from blueprint_pipeline.simulation.conformance import check_simulator
    from blueprint_pipeline.simulation.isaac_sim.backend import IsaacSimSimulator
    from blueprint_pipeline.simulation.isaac_sim.session import ReplayedApi

    api = ReplayedApi(session)
    title = f"isaac_sim, played back from {session.name}; origin {api.origin}: {api.version}"
    return title, check_simulator(IsaacSimSimulator(api))


def _preflight_table(report: "PreflightReport") -> Table:
    marks = {"ok": Text("ok", "green"), "warning": Text("warning", "yellow"), "not_needed": Text("not needed")}
    return table("This machine", ["part", "state", "found"], [[item.part, marks[item.state], item.found] for item in report.findings])


def _show_proof(console: Console, record: "ProofRecord", evidence: str) -> None:
    if record.preflight is not None:
        console.print(_preflight_table(record.preflight))
    console.print(table("Suite", ["check", "state", "found"], [[item.name, _PASSED[item.passed], item.message] for item in record.checks]))
    episode = record.episode
    if episode is not None:
        rows = [
            [index, _PASSED[item.success], item.failure or f"ended at {item.target_end_m}"]
            for index, item in enumerate(episode.attempts, 1)
        ]
        console.print(table(f"Attempts of {episode.episode_id}", ["attempt", "state", "found"], rows))
        console.print(f"{episode.within} of {episode.rule.attempts} count, {episode.rule.needed} are needed; spread {episode.spread_m} m")
    if record.error is not None:
        console.print(str(record.error["message"]), markup=False)
    console.print(Text.assemble("Proof ", _PASSED[record.passed], f", filed at {evidence}"))
