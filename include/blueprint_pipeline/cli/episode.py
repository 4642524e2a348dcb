"""``bpp episode``: show, replay and draw recorded episodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from blueprint_pipeline.cli.output import JsonOption, show, table
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.settings import load_settings

if TYPE_CHECKING:
    from blueprint_pipeline.episode.arrays import EpisodeArrays
    from blueprint_pipeline.episode.record import EpisodeRecord
    from blueprint_pipeline.render.playback import PlaybackScene

app = typer.Typer(help="Show, replay and draw recorded episodes.", no_args_is_help=True)

SceneArgument = Annotated[str, typer.Argument(help="Scene in the workspace.")]
EpisodeArgument = Annotated[str, typer.Argument(help="Episode id; `bpp episode show SCENE` lists them.")]


class UnknownEpisode(InputError):
    """The scene's plan has no such episode."""

    code = "episode.unknown"
    template = "Scene {scene_id} has no episode '{episode_id}'. Its episodes: {shown}."

    scene_id: str
    episode_id: str
    known: Sequence[str]

    @property
    def shown(self) -> str:
        """The first episodes that there are."""
        return ", ".join(self.known[:10]) + (", …" if len(self.known) > len(self.known[:10]) else "")


@app.command("show", epilog="Example: bpp episode show tabletop_scanned pick_place_ep000003")
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
        rows = [[g["gate"], g["passed"], _digits(g["value"]), _limit(g), g["unit"], g["message"]] for g in verdict["gates"]]
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


@app.command(epilog="Example: bpp episode replay tabletop_scanned pick_place_ep000003")
def replay(scene_id: SceneArgument, episode_id: EpisodeArgument, *, as_json: JsonOption = False) -> None:
    """Execute a recorded episode again, in the simulator that made it. Ends with 66 if it does not replay.

    A deterministic simulator must give every state again, bit by bit. Any other is judged by the k-of-n rule, and the answer says so.
    """
    from blueprint_pipeline.quality.replay_rule import load_replay_rule
    from blueprint_pipeline.render.bounded_replay import replay_anywhere
    from blueprint_pipeline.render.k_of_n_replay import execute_episode

    recorded = _open_recording(scene_id, episode_id)
    opened = (recorded.stage.simulator, recorded.stage.loaded, recorded.record, recorded.states)
    deterministic = recorded.stage.simulator.capabilities().deterministic
    verdict = replay_anywhere(*opened) if deterministic else execute_episode(*opened, load_replay_rule())
    evidence = verdict.k_of_n

    def text(console: Console) -> None:
        over = f"{recorded.record.frames} frames, {recorded.record.duration_s:.1f} s"
        if evidence is None:
            console.print(f"{episode_id}: [green]bit-identical[/] over {over}")
            return
        rule = verdict.rule.replace("_", "-")
        console.print(
            f"{episode_id}: [green]{rule}[/], not bit-identical: {evidence.held} of {len(evidence.executions)} executions did the task, "
            f"the target within {evidence.spread_m} m of the recording; {over}"
        )

    if verdict.refusal is not None:
        raise verdict.refusal
    found = {
        "episode_id": episode_id,
        "replayed": verdict.replayed,
        "rule": verdict.rule,
        "simulator": recorded.record.simulator.name,
        "k_of_n": None if evidence is None else {**evidence.model_dump(mode="json"), "held": evidence.held, "spread_m": evidence.spread_m},
        "frames": recorded.record.frames,
    }
    show(found, as_json=as_json, text=text)


@app.command(epilog="Example: bpp episode render tabletop_scanned pick_place_ep000003 --out ./look --width 1280 --height 720")
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
    from blueprint_pipeline.quality.replay_rule import load_replay_rule
    from blueprint_pipeline.render.errors import NoDepthOrLabels
    from blueprint_pipeline.render.playback import play_episode
    from blueprint_pipeline.render.render import RenderOptions, render_episode, write_contact_sheet
    from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator

    recorded = _open_recording(scene_id, episode_id)
    stage, record, states = recorded.stage, recorded.record, recorded.states
    options = RenderOptions(cameras=recorded.cameras, width=width, height=height, depth=depth, segmentation=segmentation)
    if isinstance(stage.simulator, MujocoSimulator):
        certificate = render_episode(stage.simulator, stage.loaded, record, states, folder=out, options=options)
    elif depth or segmentation:
        raise NoDepthOrLabels(record.simulator.name)
    else:
        certificate = play_episode(stage, record, states, folder=out, options=options, rule=load_replay_rule())
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


@app.command(epilog="Example: bpp episode demonstrate tabletop_scanned --out ./demonstrations")
def demonstrate(
    scene_id: SceneArgument,
    *,
    out: Annotated[Path, typer.Option(help="Folder that gets a file an episode.")],
    episode: Annotated[list[str] | None, typer.Option(help="Which; all that were kept by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write kept episodes as demonstrations, whose motions a job repeats with other starts and goals (`augment`)."""
    from blueprint_pipeline.episode.demonstrate import build_demonstration, find_undemonstrable
    from blueprint_pipeline.episode.reader import load_record
    from blueprint_pipeline.episode.record import recording_path
    from blueprint_pipeline.workspace.storage import Workspace

    scene = Workspace(load_settings().workspace).scene(scene_id)
    kept = {name: verdict for name, verdict in _load_verdicts(scene_id).items() if verdict["verdict"] == "kept"}
    if unknown := [name for name in episode or () if name not in kept]:
        raise UnknownEpisode(scene_id, unknown[0], list(kept))
    out.mkdir(parents=True, exist_ok=True)
    written, left_out = [], {}
    for name in episode or kept:
        folder = scene.local(recording_path(kept[name]["shard_index"], name))
        record = load_record(folder)
        reason = None if episode else find_undemonstrable(record)
        if reason is None:
            text = build_demonstration(record, _load_arrays(folder, record)).model_dump_json(indent=1)
            (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
            written.append(name)
        else:
            left_out[name] = reason
    rows = [*([name, "written"] for name in written), *([name, f"left out: {reason}"] for name, reason in left_out.items())]
    title = f"Demonstrations in {out}"
    show(
        {"folder": str(out), "written": written, "left_out": left_out},
        as_json=as_json,
        text=lambda console: console.print(table(title, ["episode", ""], rows)),
    )


def _load_arrays(folder: Path, record: "EpisodeRecord") -> "EpisodeArrays":
    from blueprint_pipeline.episode.arrays import load_arrays

    return load_arrays(folder / "states.parquet", frames=record.frames, n_objects=len(record.object_ids), n_parts=len(record.joint_columns))


@app.command(epilog="Example: bpp episode strip tabletop_scanned pick_place_ep000003 pick_place_ep000007")
def strip(
    scene_id: SceneArgument,
    episode_ids: Annotated[list[str], typer.Argument(help="Episode ids; the first six are drawn.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Draw stills of episodes side by side (start, first touch, end, with the sentence) from their recorded states; certifies nothing."""
    from blueprint_pipeline.render.strip import draw_strip
    from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
    from blueprint_pipeline.workspace.storage import Workspace

    settings = load_settings()
    scene = Workspace(settings.workspace).scene(scene_id)
    name = draw_strip(scene, episode_ids, choose_backend(settings.render.backend))
    url = str(scene.root / name)
    show({"scene_id": scene_id, "name": name, "url": url}, as_json=as_json, text=lambda console: console.print(url, soft_wrap=True))


@dataclass(frozen=True)
class _Recording:
    stage: "PlaybackScene"
    record: "EpisodeRecord"
    states: Path
    cameras: tuple[str, ...]


def _open_recording(scene_id: str, episode_id: str) -> _Recording:
    """Load the scene of an episode in the simulator that the settings name, with its recording."""
    from blueprint_pipeline.simulation.open_simulator import load_beside_twin, open_simulator, scene_inputs

    settings = load_settings()
    simulator = open_simulator(settings.simulation.simulator, settings)  # first: Isaac Sim wants to be up before others are imported
    from blueprint_pipeline.episode.reader import load_audited_plan, load_record
    from blueprint_pipeline.episode.record import recording_path
    from blueprint_pipeline.render.playback import PlaybackScene
    from blueprint_pipeline.twin.model import build_scene_model
    from blueprint_pipeline.workspace.storage import Workspace

    scene = Workspace(settings.workspace).scene(scene_id)
    plan = load_audited_plan(scene, "episode")
    shard_of = {plan.episodes[index].episode_id: shard.shard_index for shard in plan.shards for index in shard.episode_indices}
    if episode_id not in shard_of:
        raise UnknownEpisode(scene_id, episode_id, list(shard_of))
    folder = scene.local(recording_path(shard_of[episode_id], episode_id))
    record = load_record(folder)
    folders = [scene.local(name) for name in scene_inputs(settings.simulation.simulator)]
    twin = build_scene_model(folders[0] / "scene.xml", plan.robot, plan.fps)
    loaded = load_beside_twin(simulator, folders[0].parent, plan.robot, twin)
    return _Recording(PlaybackScene(simulator=simulator, loaded=loaded, twin=twin), record, folder / "states.parquet", plan.cameras)


def _digits(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def _limit(gate: dict[str, Any]) -> str:
    """E.g. ``at most 0.02``: on which side of it the value must lie."""
    return f"{gate['direction'].replace('_', ' ')} {_digits(gate['limit'])}"


def _load_verdicts(scene_id: str) -> dict[str, dict[str, Any]]:
    """Verdicts by episode: the final ones after rendering where there are such, else those on the states."""
    from blueprint_pipeline.quality.report import RENDER_GATES_PATH, load_gate_report, load_render_report, load_verdicts
    from blueprint_pipeline.workspace.storage import Workspace

    scene = Workspace(load_settings().workspace).scene(scene_id)
    verdicts = {episode.episode_id: episode.model_dump(mode="json") for episode in load_verdicts(scene, load_gate_report(scene))}
    if scene.exists(RENDER_GATES_PATH):
        for episode in load_verdicts(scene, load_render_report(scene)):
            final = episode.model_dump(mode="json")
            before = verdicts.get(episode.episode_id, {"gates": []})
            verdicts[episode.episode_id] = {**final, "gates": [*before["gates"], *final["gates"]]}
    return verdicts
