"""The end of the demo: where the bundle is, what was kept and why the rest was not, the cost, who was told, what to look at next."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from blueprint_pipeline.price.money import format_usd
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace
from operators.embedded.progress import RunView
from operators.embedded.receivers import Message, Receiver

_LOG_TAIL = 12


def show_failure(console: Console, view: RunView, log: Path, slack: Receiver) -> None:
    """Say which stage failed and why, and where to read more."""
    failed = view.failed()
    for name, task in failed:
        console.print(Panel(escape(task.error), title=f"[bold red]{name} failed[/]", title_align="left", border_style="red"))
    if not failed:
        words = view.problem or "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL:])
        console.print(Panel(escape(words), title="[bold red]Airflow ended early[/]", title_align="left", border_style="red"))
    for message in slack.messages:
        console.print(Panel(escape(readable_message(message)), title="Slack was told", title_align="left"))
    console.print(f"The whole log: {log}", soft_wrap=True)
    console.print("What was finished is kept: correct the cause and run `make demo` again; it goes on there.")


def show_closing(  # noqa: PLR0917 -- the parts of one page
    console: Console, view: RunView, settings: Settings, scene_id: str, receivers: Mapping[str, Receiver], wall_s: float
) -> int:
    """Print what the run made; 0 where a bundle lies at the lab."""
    scene = Workspace(settings.workspace).scene(scene_id)
    console.rule("[bold]Delivered")
    for label, value in delivered(view):
        console.print(f"  [bold]{label:<12}[/] {escape(value)}", soft_wrap=True)
    console.rule("[bold]Episodes")
    for line in kept_and_rejected(scene):
        console.print(f"  {escape(line)}", soft_wrap=True)
    console.rule("[bold]Certificate and cost")
    for line in certificate(view) + cost(view):
        console.print(f"  {escape(line)}", soft_wrap=True)
    console.rule("[bold]Messages that arrived")
    for name, receiver in receivers.items():
        for message in receiver.messages:
            console.print(Panel(escape(readable_message(message)), title=f"{name} {message.note}".strip(), title_align="left"))
        if not receiver.messages:
            console.print(f"  {name}: nothing new (a delivery that was announced before is not announced again)")
    console.rule("[bold]Time")
    console.print(timing_table(view, wall_s))
    show_next(console, view, scene)
    return 0


def delivered(view: RunView) -> list[tuple[str, str]]:
    """Names and places of what a person wants to open."""
    packed, delivery = view.result_of("package_bundle"), view.result_of("deliver_bundle")
    return [
        ("bundle", str(delivery["location"])),
        ("report page", str(delivery["report_url"])),
        ("licence", str(packed["licence"])),
        ("size", f"{delivery['size_bytes'] / 1e6:.1f} MB in {delivery['files']} files, signed with key {packed['signing_keyid'][:16]}"),
    ]


def kept_and_rejected(scene: SceneFolder) -> list[str]:
    """How many episodes were kept, and every reason why others were not, with the episodes it is about."""
    from blueprint_pipeline.quality.report import load_gate_report, load_kept, load_render_report

    report, final = load_gate_report(scene), load_render_report(scene)
    kept = load_kept(scene)
    lines = [
        f"{len(kept)} of {len(report.episodes)} episodes kept ({100 * len(kept) / max(1, len(report.episodes)):.0f} %), tier {report.tier}."
    ]
    verdicts = [episode for episode in (*report.episodes, *final.episodes) if episode.verdict != "kept"]
    for episode in verdicts:
        reasons = "; ".join(f"{gate.gate}: {gate.message}" for gate in episode.failed()) or episode.verdict
        lines.append(f"{episode.verdict} {episode.episode_id}: {reasons}")
    counted = Counter(gate.gate for episode in verdicts for gate in episode.failed())
    if len(counted) > 1:
        lines.append("Reasons: " + ", ".join(f"{gate} ({count})" for gate, count in counted.most_common()))
    return lines


def certificate(view: RunView) -> list[str]:
    """What the certificate says, and which checks did not run."""
    result = view.result_of("certify_dataset")
    programs = ", ".join(dict.fromkeys(name.partition(".")[0] for name in result["passed"]))
    lines = [f"{'certified' if result['certified'] else 'NOT certified'}: {len(result['passed'])} checks passed ({programs})"]
    if result["failed"]:
        lines.append(f"failed: {', '.join(result['failed'])}")
    if result["not_run"]:
        lines.append(
            f"did not run: {', '.join(result['not_run'])}. `make certify-env` installs what they need; then run `make demo` again."
        )
    return lines


def cost(view: RunView) -> list[str]:
    """What the run cost, with the rejects priced in."""
    result = view.result_of("price_run")
    each = result["usd_per_kept_episode"]
    of_each = "not known" if each is None else f"{format_usd(each)} ({result['usd_per_kept_episode_certainty']})"
    total = f"{format_usd(result['measured_usd'])} measured, {format_usd(result['estimated_usd'])} estimated"
    unknown = f", {result['unknown_entries']} entries not known" if result["unknown_entries"] else ""
    return [f"cost per kept episode: {of_each}; the run: {total}{unknown} (prices {', '.join(result['price_tables'])})"]


def readable_message(message: Message) -> str:
    """What a person in the channel would read."""
    body: Any = message.body
    if isinstance(body, dict) and "blocks" in body:
        return "\n".join(filter(None, (_block_text(block) for block in body["blocks"]))) or str(body.get("text"))
    if isinstance(body, dict):
        return "\n".join(f"{name}: {value}" for name, value in body.items())
    return str(body)


def _block_text(block: Mapping[str, Any]) -> str:
    parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def timing_table(view: RunView, wall_s: float) -> Table:
    """Wall time by stage, and how many stages found their work done."""
    table = Table.grid(padding=(0, 2))
    for name, seconds in sorted(view.stage_seconds().items(), key=lambda item: -item[1])[:6]:
        table.add_row(f"  {name}", f"{seconds:.1f} s")
    done, stages = view.found_done()
    table.add_row("  [bold]all[/]", f"{wall_s:.1f} s, of {stages} stages {done} found their work done")
    return table


def show_next(console: Console, view: RunView, scene: SceneFolder) -> None:
    """Point at what is worth a look."""
    bundle = view.result_of("deliver_bundle")["location"]
    console.rule("[bold]What to look at next")
    for command, what in (
        (f"bpp verify {bundle}", "check the bundle offline, as the lab does"),
        (f"bpp scene show {scene.scene_id}", "the scene and what was made of it"),
        (f"bpp cost {scene.scene_id}", "where the money goes"),
        ("make up", "Airflow's UI with this DAG and the nightly batch"),
        ("make demo", "run it again: every stage finds its work done, nothing changes"),
    ):
        console.print(f"  [cyan]{escape(command)}[/]  {what}", soft_wrap=True)
