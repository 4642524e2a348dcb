"""``blueprint simulator``: is a simulator fit to act, and serve one over gRPC."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from blueprint.cli.output import JsonOption, error_console, show, table
from blueprint.settings import load_settings

app = typer.Typer(help="Check and serve simulators.", no_args_is_help=True)

AddressOption = Annotated[str | None, typer.Option(help="host:port of a served simulator; the embedded MuJoCo by default.")]


@app.command(epilog="Example: blueprint simulator check --address 127.0.0.1:50051")
def check(*, address: AddressOption = None, as_json: JsonOption = False) -> None:
    """Run the conformance suite: load, settle, cameras not black, gripper closes, object lifts, replay. Ends with 64 if one fails."""
    from blueprint.simulation.conformance import check_simulator

    results = check_simulator(_simulator(address))
    marks = {True: "[green]passed[/]", False: "[red]failed[/]"}
    rows = [[result.name, marks[result.passed], result.message] for result in results]

    def text(console: Console) -> None:
        console.print(table(f"Simulator {address or 'mujoco (embedded)'}", ["check", "state", "found"], rows))

    show({"checks": [result.model_dump(mode="json") for result in results]}, as_json=as_json, text=text)
    if not results or not all(result.passed for result in results):
        raise typer.Exit(64)


@app.command(epilog="Example: blueprint simulator serve --port 50051")
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to bind to; anything but loopback needs TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one and logs it.")] = 50051,
    certificate: Annotated[Path | None, typer.Option(help="Server certificate chain (PEM).")] = None,
    private_key: Annotated[Path | None, typer.Option(help="Server private key (PEM).")] = None,
    client_ca: Annotated[Path | None, typer.Option(help="Authority that signs client certificates (PEM).")] = None,
    token_keys: Annotated[Path | None, typer.Option(help="JWK set of the keys that sign bearer tokens.")] = None,
) -> None:
    """Serve the embedded simulator as blueprint.simulation.v1, with health and reflection, until SIGTERM."""
    from blueprint.runner import stop_on_sigterm, wait_for_stop
    from blueprint.simulation.service.security import ServerTls, TokenCheck
    from blueprint.simulation.service.server import ServerOptions, SimulatorServer

    files = (certificate, private_key, client_ca)
    if any(files) and not all(files):
        raise typer.BadParameter("TLS needs all of --certificate, --private-key and --client-ca.")
    tls = (
        ServerTls(certificate=certificate, private_key=private_key, client_ca=client_ca)
        if certificate and private_key and client_ca
        else None
    )
    options = ServerOptions(host=host, port=port, tls=tls, tokens=TokenCheck(token_keys) if token_keys else None)
    with stop_on_sigterm(), SimulatorServer(_simulator(None), options) as server:
        error_console.print(f"serving blueprint.simulation.v1 at {server.address}; end with Ctrl-C")
        wait_for_stop()


def _simulator(address: str | None):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- the protocol's module must load lazily
    if address is None:
        from blueprint.simulation.mujoco.backend import MujocoSimulator

        return MujocoSimulator(load_settings().render.backend)
    from blueprint.simulation.service.client import ClientOptions, RemoteSimulator

    remote = RemoteSimulator(ClientOptions(address=address))
    remote.wait_until_ready(10)
    return remote
