"""``bpp policy``: train a baseline on a bundle's dataset, and try policies in its kit."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from blueprint_pipeline.cli.output import JsonOption, progress_bar, show

app = typer.Typer(help="Train a baseline on a delivered dataset, and try policies from held-out starts.", no_args_is_help=True)

BundleArgument = Annotated[Path, typer.Argument(help="Folder of a bundle.", exists=True, file_okay=False)]


@app.command("train-baseline", epilog="Example: bpp policy train-baseline bundle --out policy.npz")
def train_baseline(
    bundle: BundleArgument,
    *,
    out: Annotated[Path, typer.Option(help="File to write.")],
    steps: Annotated[int, typer.Option(min=0, help="Of training each network.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Of the networks' first weights and of the order of the data.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Clone behaviour from the training episodes of a bundle's dataset, by its state columns and sentences alone; minutes on a CPU."""
    from blueprint_pipeline.dataset.formats import STORE
    from blueprint_pipeline.policy import baseline
    from blueprint_pipeline.policy.columns import load_columns
    from blueprint_pipeline.policy.evaluate import find_kit

    baseline.validate_target(out)
    kit = find_kit(bundle)
    taught = load_columns(bundle / "data" / "dataset" / STORE)
    baseline.save_baseline(out, baseline.train_baseline(taught, kit, steps=steps, seed=seed))

    def text(console: Console) -> None:
        console.print(f"Learnt from {len(taught.episodes)} episodes: {out}", soft_wrap=True)
        console.print(f"Try it: bpp policy evaluate {bundle} --policy {out}", soft_wrap=True)

    show({"policy": str(out), "episodes": len(taught.episodes)}, as_json=as_json, text=text)


@app.command(epilog="Example: bpp policy evaluate bundle --policy policy.npz --trials 50")
def evaluate(
    bundle: BundleArgument,
    *,
    policy: Annotated[str, typer.Option(help="MODULE:CALLABLE, or a file that `bpp policy train-baseline` wrote.")],
    trials: Annotated[int, typer.Option(min=1, help="From so many held-out starts.")] = 50,
    camera: Annotated[list[str] | None, typer.Option(help="A camera that the policy sees; say it again for another one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Try a policy in a bundle's kit from starts that no episode has; how often it does the task, and what it misses first."""
    from blueprint_pipeline.policy import evaluate as trying
    from blueprint_pipeline.policy.load import load_policy

    kit = trying.find_kit(bundle)
    acting = load_policy(policy, kit)
    with progress_bar("trials", visible=not as_json) as tell:
        done: list[trying.TrialResult] = []

        def count(result: trying.TrialResult) -> None:
            done.append(result)
            tell(len(done), trials)

        found = trying.evaluate(kit, acting, name=policy, trials=trials, cameras=camera or (), on_trial=count)

    def text(console: Console) -> None:
        console.print(trying.describe_evaluation(found), soft_wrap=True)

    show(found.model_dump(mode="json"), as_json=as_json, text=text)
