"""``blueprint episode``: show, replay and draw recorded episodes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from blueprint.cli.output import JsonOption, show, table
from blueprint.errors import InputError
from blueprint.settings import load_settings

app = typer.Typer(help="Show, replay and render recorded episodes.", no_args_is_help=True)

SceneArgument = Annotated[str, typer.Argument(help="Scene in the workspace.")]
EpisodeArgument = Annotated[str, typer.Argument(help="Episode id; `blueprint episode show SCENE` lists them.")]


class UnknownEpisode(InputError):
    """The scene's plan has no such episode."""

    code = "episode.unknown"

    def __init__(self, scene_id: str, episode_id: str, known: list[str]) -> None:
        shown = ", ".join(known[:10]) + (", …" if len(known) > len(known[:10]) else "")
        super().__init__(f"Scene {scene_id} has no episode '{episode_id}'. Its episodes: {shown}.", episode_id=episode_id)


@app.command("show", epilog="Example: blueprint episode show tabletop_scanned pick_place_000003")
def show_episode(
    scene_id: SceneArgument,
    episode_id: Annotated[str, typer.Argument(help="One episode in full; all in a list by default.")] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """List the episodes of a scene with verdicts and reasons, or show one with every gate and margin."""
    verdicts = _load_verdicts(scene_id)
    if episode_id:
        if episode_id not in verdicts:
            raise UnknownEpisode(scene_id, episode_id, list(verdicts))
        verdict = verdicts[episode_id]
        columns = ["gate", "passed", "value", "limit", "unit", "message"]
        rows = [[g["gate"], g["passed"], g["value"], g["limit"], g["unit"], g["message"]] for g in verdict["gates"]]
        title = f"{episode_id}: {verdict['verdict']}"
        show(verdict, as_json=as_json, text=lambda console: console.print(table(title, columns, rows)))
        return
    rows = [[name, v["verdict"], "; ".join(g["gate"] for g in v["gates"] if not g["passed"])] for name, v in verdicts.items()]
    title = f"Episodes of {scene_id}"
    show(
        {"episodes": list(verdicts.values())},
        as_json=as_json,
        text=lambda c: c.print(table(title, ["episode", "verdict", "failed gates"], rows)),
    )


@app.command(epilog="Example: blueprint episode replay tabletop_scanned pick_place_000003")
def replay(scene_id: SceneArgument, episode_id: EpisodeArgument, *, as_json: JsonOption = False) -> None:
    """Execute a recorded episode again and compare every state, bit by bit. Ends with 66 if they differ."""
    from blueprint.episode.replay import replay_episode

    recorded = _open_recording(scene_id, episode_id)
    verdict = replay_episode(recorded.simulator, recorded.model_sha256, recorded.record, recorded.states)

    def text(console: Console) -> None:
        console.print(f"{episode_id}: [green]bit-identical[/] over {recorded.record.frames} frames, {recorded.record.duration_s:.1f} s")

    if verdict.refusal is not None:
        raise verdict.refusal
    show({"episode_id": episode_id, "replayed": verdict.replayed, "frames": recorded.record.frames}, as_json=as_json, text=text)


@app.command(epilog="Example: blueprint episode render tabletop_scanned pick_place_000003 --out ./look --width 1280 --height 720")
def render(
    scene_id: SceneArgument,
    episode_id: EpisodeArgument,
    *,
    out: Annotated[Path, typer.Option(help="Folder for the videos and certificate.json.")],
    width: Annotated[int, typer.Option(help="Pixels across, even.", min=16, max=3840)] = 640,
    height: Annotated[int, typer.Option(help="Pixels down, even.", min=16, max=2160)] = 480,
    depth: Annotated[bool, typer.Option(help="Also depth, in millimetres.")] = False,
    segmentation: Annotated[bool, typer.Option(help="Also a label for every pixel.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay an episode and draw it from every camera of the job; nothing is drawn of one that does not replay."""
    from blueprint.episode.render import RenderOptions, render_episode, write_contact_sheet

    recorded = _open_recording(scene_id, episode_id)
    options = RenderOptions(cameras=recorded.cameras, width=width, height=height, depth=depth, segmentation=segmentation)
    certificate = render_episode(recorded.simulator, recorded.model_sha256, recorded.record, recorded.states, folder=out, options=options)
    write_contact_sheet(out, certificate)
    (out / "certificate.json").write_text(certificate.model_dump_json(indent=1) + "\n")
    rows = [
        [name, video.frames, f"{video.width}x{video.height}", f"{video.digest.size_bytes / 1e6:.2f}"]
        for name, video in certificate.videos.items()
    ]
    title = f"{episode_id}: {'replayed' if certificate.replayed else 'refused'}"
    columns = ["camera", "frames", "size", "MB"]
    show(certificate.model_dump(mode="json"), as_json=as_json, text=lambda console: console.print(table(title, columns, rows)))
    if not certificate.replayed:
        raise typer.Exit(66)


@dataclass(frozen=True)
class _Recording:
    simulator: Any
    model_sha256: str
    record: Any
    states: Path
    cameras: tuple[str, ...]


def _open_recording(scene_id: str, episode_id: str) -> _Recording:
    """Load the scene of an episode in the embedded simulator, with its recording."""
    from blueprint.episode.record import recording_path
    from blueprint.quality.cases import load_plan, load_record
    from blueprint.simulation.mujoco.backend import MujocoSimulator
    from blueprint.workspace.storage import Workspace

    scene = Workspace(load_settings().workspace).scene(scene_id)
    plan = load_plan(scene, "episode")
    shard_of = {plan.episodes[index].episode_id: shard.shard_index for shard in plan.shards for index in shard.episode_indices}
    if episode_id not in shard_of:
        raise UnknownEpisode(scene_id, episode_id, list(shard_of))
    folder = scene.local(recording_path(shard_of[episode_id], episode_id))
    record = load_record(folder)
    simulator = MujocoSimulator(load_settings().render.backend)
    loaded = simulator.load(scene.local("mjcf").parent, plan.robot, plan.fps)
    return _Recording(simulator, loaded.model_sha256, record, folder / "states.parquet", plan.cameras)


def _load_verdicts(scene_id: str) -> dict[str, dict[str, Any]]:
    """Verdicts by episode: the final ones after rendering where there are such, else those on the states."""
    from blueprint.quality.report import load_gate_report, load_render_report
    from blueprint.workspace.storage import Workspace

    scene = Workspace(load_settings().workspace).scene(scene_id)
    verdicts = {episode.episode_id: episode.model_dump(mode="json") for episode in load_gate_report(scene).episodes}
    if scene.exists("geniesim/quality/render_gates.json"):
        for episode in load_render_report(scene).episodes:
            final = episode.model_dump(mode="json")
            before = verdicts.get(episode.episode_id, {"gates": []})
            verdicts[episode.episode_id] = {**final, "gates": [*before["gates"], *final["gates"]]}
    return verdicts
