"""The end of the demo: what was kept, left out and certified, what it cost, where the bundle is, who was told, and what to try next."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from blueprint_pipeline.dataset.certify.describe import describe_certification
from blueprint_pipeline.delivery.signing import public_key_path
from blueprint_pipeline.price.money import describe_usd, describe_usd_per_episode
from blueprint_pipeline.quality.explain import tally_reasons
from blueprint_pipeline.quality.report import load_gate_report, load_render_report, load_verdicts
from blueprint_pipeline.quality.verdicts import EpisodeVerdict
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace
from operators.embedded.progress import describe_time
from operators.embedded.receivers import Receiver, summary_of
from operators.embedded.run_view import RunView

_LOG_TAIL = 12
_LABEL_WIDTH = 12
BPP = ".venv/bin/bpp"
"""How a person calls the program in a checkout, whatever stands on the path."""

Fact = tuple[str, str]
"""A label, empty where the one before goes on; and a sentence or a path."""


def show_failure(console: Console, view: RunView, log: Path, slack: Receiver) -> None:
    """Say which stage failed and why, who was told, and where to read more."""
    failed = view.failed()
    facts: list[Fact] = [("Failed", f"{name}: {task.error}") for name, task in failed]
    if not failed:
        tail = view.problem or "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL:])
        facts.append(("Failed", f"Airflow ended early:\n{tail}"))
    facts += [
        ("Told", describe_messages({"Slack": slack}) or "nobody."),
        ("Log", str(log)),
        ("Next", "What was finished is kept. Correct the cause and run the same command again: it resumes there."),
    ]
    show_facts(console, facts)


def show_delivery(
    console: Console, view: RunView, settings: Settings, *, scene_id: str, receivers: Mapping[str, Receiver], wall_s: float
) -> None:
    """Print what the run made."""
    scene = Workspace(settings.workspace).scene(scene_id)
    facts: list[Fact] = [
        *describe_episodes(scene),
        *describe_left_out(view),
        *describe_set_aside(view),
        ("Dataset", describe_dataset(view)),
        *describe_failures(view),
        ("Cost", describe_cost(view.result_of("price_run"))),
        ("Time", describe_wall_time(view, wall_s)),
        *describe_delivery(view),
    ]
    told = describe_messages(receivers) or "nobody anew: Slack and the lab have heard of this delivery before."
    facts += [("Told", told), ("Next", "try one of these:")]
    show_facts(console, facts)
    for command, what in next_commands(view, scene_id, public_key_path(settings.delivery.signing_key)):
        console.print(Text.assemble((command, "cyan"), (f"  # {what}", "dim")), soft_wrap=True)


def show_facts(console: Console, facts: list[Fact]) -> None:
    """A line a fact, never broken: a path stays one word for who copies it."""
    console.print()
    for label, text in facts:
        console.print(Text.assemble((f"{label:<{_LABEL_WIDTH}}", "bold"), text), soft_wrap=True)


def describe_episodes(scene: SceneFolder) -> list[Fact]:
    """How many episodes were kept, and why the others were not."""
    report, final = load_gate_report(scene), load_render_report(scene)
    kept = f"{final.count('kept')} of {report.judged} kept (tier {report.tier})."
    verdicts = chain(load_verdicts(scene, report), load_verdicts(scene, final))
    return [("Episodes", kept), *(("", sentence) for sentence in describe_rejects(verdicts))]


def describe_failures(view: RunView) -> list[Fact]:
    """How many failed episodes are in the bundle, beside the others; nothing where the lab buys none."""
    sold = view.result_of("package_bundle").get("failures", 0)
    return (
        [("Failures", f"{sold} honest {'failure' if sold == 1 else 'failures'} in the bundle, as a dataset of their own.")] if sold else []
    )


def describe_rejects(episodes: Iterable[EpisodeVerdict]) -> list[str]:
    """A sentence a reason, of the gate that decided: what else an attempt lacks that never came to its end is no reason of its own."""
    shortened = [reason.model_copy(update={"example": reason.example.partition(";")[0]}) for reason in tally_reasons(episodes).reasons()]
    return [f"Rejected {reason.sentence().replace('_', ' ')}." for reason in shortened]


def describe_left_out(view: RunView) -> list[Fact]:
    """Objects that a skill does not take: a line a reason."""
    left_out: Mapping[str, Mapping[str, str]] = view.result_of("plan_tasks").get("left_out", {})
    by_reason: dict[tuple[str, str], list[str]] = {}
    for skill, reasons in left_out.items():
        for target, reason in reasons.items():
            by_reason.setdefault((skill, reason.partition(";")[0].rstrip(".")), []).append(target)
    told = [f"{', '.join(targets)} ({skill}): {reason}.".replace("_", " ") for (skill, reason), targets in by_reason.items()]
    return [("Left out" if number == 0 else "", sentence) for number, sentence in enumerate(told)]


def describe_set_aside(view: RunView) -> list[Fact]:
    """Objects that are fixed because they never come to rest, each with the reason."""
    set_aside: Mapping[str, str] = view.result_of("assemble_scene").get("set_aside", {})
    told = [f"{name}: {reason.partition(';')[0].rstrip('.')}.".replace("_", " ") for name, reason in set_aside.items()]
    return [("Set aside" if number == 0 else "", sentence) for number, sentence in enumerate(told)]


def describe_dataset(view: RunView) -> str:
    """Whether it is certified, in the words that Slack gets."""
    result = view.result_of("certify_dataset")
    return describe_certification(**{name: result[name] for name in ("certified", "passed", "failed", "not_run")})


def describe_cost(result: Mapping[str, Any]) -> str:
    """What a kept episode and the run cost, with the rejects priced in, and how well that is known."""
    each, total = result["usd_per_kept_episode"], describe_usd(result["measured_usd"] + result["estimated_usd"])
    if each is None:
        return f"of a kept episode not known: {result['unknown_entries']} entries have no price. What is known of the run: {total}."
    return f"{describe_usd_per_episode(each)} ({result['usd_per_kept_episode_certainty']}); the whole run: {total}."


def describe_wall_time(view: RunView, wall_s: float) -> str:
    """How long it took, which stage took longest, and what was found done."""
    done, stages = view.found_done()
    if done == stages:
        return f"{describe_time(wall_s)}: all {stages} stages found their work done."
    name, longest_s = max(view.stage_seconds().items(), key=lambda item: item[1])
    found = f"; {done} of {stages} stages found their work done" if done else ""
    return f"{describe_time(wall_s)}, of which {name} took {describe_time(longest_s)}{found}."


def describe_delivery(view: RunView) -> list[Fact]:
    """Names and places of what a person wants to open."""
    packed, delivery = view.result_of("package_bundle"), view.result_of("deliver_bundle")
    return [
        ("Bundle", str(delivery["location"])),
        ("Report", str(delivery["report_url"])),
        ("", f"{delivery['size_bytes'] / 1e6:.0f} MB in {delivery['files']} files, licence {packed['licence']}, signed."),
    ]


def describe_messages(receivers: Mapping[str, Receiver]) -> str:
    """Who was told what; empty where nobody was."""
    told = [
        f"{name}: {summary_of(message)}{f' ({message.note})' if message.note else ''}"
        for name, receiver in receivers.items()
        for message in receiver.messages
    ]
    return ". ".join(told)


def next_commands(view: RunView, scene_id: str, public_key: Path) -> Iterator[tuple[str, str]]:
    """Commands that work as printed, from the root of the checkout, and what each does."""
    if view.result_of("certify_dataset")["not_run"]:
        yield "make certify-env demo", "install the checks that did not run, and run them"
    bundle = str(view.result_of("deliver_bundle")["location"])
    yield shlex.join([BPP, "verify", bundle, "--key", str(public_key)]), "check the bundle as the lab does"
    yield f"{BPP} episode show {scene_id}", "every episode with its verdict"
    yield "make up", "Airflow's UI with this DAG"
