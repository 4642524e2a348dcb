"""``bpp deliver`` and ``bpp verify``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from blueprint_pipeline.cli.output import JsonOption, show, table
from blueprint_pipeline.cli.stages import run_stages
from blueprint_pipeline.settings import load_settings


def deliver(
    scene_id: Annotated[str, typer.Argument(help="Scene whose dataset is ready.")],
    *,
    lab: Annotated[str, typer.Option(help="Lab that gets it: a profile under include/config/labs.")],
    bucket: Annotated[str | None, typer.Option(help="Folder or URL instead of the profile's bucket.")] = None,
    make_key: Annotated[bool, typer.Option(help="Make a signing key if there is none yet.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Price, package, sign and deliver a scene's dataset to a lab. Doing it twice changes nothing.

    Example: bpp deliver tabletop_scanned --lab aurora_robotics
    """
    from blueprint_pipeline.delivery.signing import make_signing_key

    key = load_settings().delivery.signing_key
    if make_key and not key.exists():
        make_signing_key(key)
    stages: list[tuple[str, dict[str, object]]] = [
        ("price_run", {}),
        ("package_bundle", {"lab": lab}),
        ("deliver_bundle", {"lab": lab, "bucket": bucket}),
    ]
    results = run_stages(scene_id, stages, as_json=as_json)
    receipt = results["deliver_bundle"]
    rows = [[name, value] for name, value in receipt.items()]
    show({"stages": results}, as_json=as_json, text=lambda console: console.print(table("Delivered", ["field", "value"], rows)))


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder (or .tar) of a bundle.")],
    *,
    key: Annotated[Path | None, typer.Option(help="Public key of the sender (PEM), obtained separately from the bundle.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle without a network: signature, every byte, nothing missing, nothing added. Ends with 66 and the file's name if not.

    Example: bpp verify ./bundle --key aurora.pub.pem
    """
    from blueprint_pipeline.delivery.verify import validate_bundle

    report = validate_bundle(bundle, key)

    def text(console: Console) -> None:
        console.print(f"[green]intact[/]: {report.files} files, {report.size_bytes / 1e6:.1f} MB, signed by {report.trusted_keyid[:16]}")
        if report.trust == "enclosed_key":
            console.print("The key came with the bundle, so this does not prove who sent it: give the sender's key with --key.")

    show(report.model_dump(mode="json"), as_json=as_json, text=text)
