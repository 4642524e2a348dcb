"""Slack messages about deliveries and failures, as Block Kit; Airflow's Slack connection sends them.

Source: Slack Block Kit reference (limits are checked by ``slack_sdk.models``).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    LinkButtonElement,
    MarkdownTextObject,
    SectionBlock,
)

from blueprint_pipeline.delivery.receipt import Receipt
from blueprint_pipeline.price.money import describe_usd_per_episode

_HEADER_CHARACTERS = 150
_TEXT_CHARACTERS = 2900
_FIELD_CHARACTERS = 1900


class SlackMessage(BaseModel):
    """What a chat message needs: blocks for people, text for notifications and screen readers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    blocks: list[dict[str, Any]]


class DeliveryFacts(BaseModel):
    """What people ask first about a delivery, beside its receipt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lab_name: str
    attempted: int
    kept: int
    usd_per_kept_episode: float | None
    """``None``: some of the cost is not known."""
    licence: str
    certification: str
    """What is certified and what is not, in words."""
    webhook_acknowledged: bool


def build_delivery_message(receipt: Receipt, facts: DeliveryFacts, *, run_url: str | None = None) -> SlackMessage:
    """Announce that a lab got a dataset.

    Raises:
        SlackObjectFormationError: A block breaks a limit of Slack's.
    """
    text = f"{facts.lab_name} got a dataset of {receipt.scene_id}, episodes: {facts.kept}"
    cost = "not known" if facts.usd_per_kept_episode is None else describe_usd_per_episode(facts.usd_per_kept_episode)
    fields = {
        "Scene": receipt.scene_id,
        "Job": receipt.job_id,
        "Kept": f"{facts.kept} of {facts.attempted} attempted",
        "Cost": cost,
        "Size": f"{receipt.size_bytes / 1e6:.1f} MB, files: {receipt.files}",
        "Licence": facts.licence,
        "Dataset": facts.certification,
        "Lab told": "yes, acknowledged" if facts.webhook_acknowledged else "not yet",
    }
    blocks: list[Block] = [
        HeaderBlock(text=_cut(text, _HEADER_CHARACTERS)),
        SectionBlock(fields=[_field(name, value) for name, value in fields.items()]),
        SectionBlock(text=MarkdownTextObject(text=_cut(f"*Bundle*\n`{_escape(receipt.location)}`", _TEXT_CHARACTERS))),
    ]
    links = {"Report": receipt.report_url, "Run": run_url}
    buttons = [_button(name, url) for name, url in links.items() if url is not None and url.startswith(("https://", "http://"))]
    if buttons:
        blocks.append(ActionsBlock(elements=[*buttons]))
    blocks.append(
        ContextBlock(
            elements=[MarkdownTextObject(text=f"Delivery `{receipt.delivery_id}`, signed with key `{receipt.signing_keyid[:16]}`")]
        )
    )
    return _message(text, blocks)


def build_failure_message(
    *,
    stage: str,
    dag_id: str,
    scene_id: str | None,
    lab: str | None,
    code: str,
    message: str,
    todo: str,
    attempt: int,
    run_url: str | None,
    runbook_url: str | None = None,
) -> SlackMessage:
    """Report what failed, with which code, where to look and what to do.

    Args:
        stage: Name of the stage.
        dag_id: The DAG that it belongs to: told where it works on no scene.
        scene_id: Id of the scene.
        lab: Who waits for the dataset.
        code: Stable code of the error, e.g. ``delivery.conflict``.
        message: What was found, what was expected, and what to do.
        todo: The next step.
        attempt: How many times it was tried.
        run_url: The run in Airflow.
        runbook_url: What on-call reads about this code.

    Raises:
        SlackObjectFormationError: A block breaks a limit of Slack's.
    """
    where = {"Scene": scene_id, "Lab": lab} if scene_id else {"DAG": dag_id}
    return build_notice(
        f"{stage} failed {f'on {scene_id}' if scene_id else f'in {dag_id}'}: {code}",
        fields={"Stage": stage, **{name: value or "-" for name, value in where.items()}, "Code": f"`{code}`", "Attempts": str(attempt)},
        sections={"What happened": message, "What to do": todo},
        links={"Run": run_url, "Runbook": runbook_url},
    )


def build_notice(
    title: str, *, fields: Mapping[str, str], sections: Mapping[str, str] = MappingProxyType({}), links: Mapping[str, str | None]
) -> SlackMessage:
    """Any message to people: a title, facts, sections of text, and buttons.

    Args:
        title: The line that a notification shows.
        fields: Facts by name, at most ten; a value in backticks is code.
        sections: Text by heading.
        links: Buttons by name; one without a URL is left out.

    Raises:
        SlackObjectFormationError: A block breaks a limit of Slack's.
    """
    blocks: list[Block] = [HeaderBlock(text=_cut(title, _HEADER_CHARACTERS))]
    if fields:
        blocks.append(SectionBlock(fields=[_field(name, value) for name, value in fields.items()]))
    blocks += [
        SectionBlock(text=MarkdownTextObject(text=_cut(f"*{heading}*\n{_escape(text)}", _TEXT_CHARACTERS)))
        for heading, text in sections.items()
    ]
    buttons = [_button(name, url) for name, url in links.items() if url is not None and url.startswith(("https://", "http://"))]
    if buttons:
        blocks.append(ActionsBlock(elements=[*buttons]))
    return _message(title, blocks)


def _message(text: str, blocks: list[Block]) -> SlackMessage:
    return SlackMessage(text=text, blocks=[block.to_dict() for block in blocks])


def _field(name: str, value: str) -> MarkdownTextObject:
    shown = value if value.startswith("`") else _escape(value)
    return MarkdownTextObject(text=_cut(f"*{name}*\n{shown}", _FIELD_CHARACTERS))


def _button(name: str, url: str) -> ButtonElement:
    return LinkButtonElement(text=name, url=url, action_id=f"open_{name.lower().replace(' ', '_')}")


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def _escape(text: str) -> str:
    """Slack's three control characters (mentions and links begin with ``<``)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
