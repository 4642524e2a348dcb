"""Compose a message: what people see, and the event that it is about."""

from blueprint_pipeline.delivery.slack_message import SlackMessage
from blueprint_pipeline.registry.ids import message_id
from blueprint_pipeline.registry.records import Message, MessageKind


def compose(
    kind: MessageKind,
    *event: object,
    shown: SlackMessage,
    scene_id: str | None = None,
    lab: str | None = None,
    run_id: str | None = None,
    code: str | None = None,
    link: str | None = None,
) -> Message:
    """The message about an event; ``event`` is what :func:`blueprint_pipeline.registry.ids.message_id` tells it by."""
    return Message(
        message_id=message_id(kind, *event),
        kind=kind,
        scene_id=scene_id,
        lab=lab,
        run_id=run_id,
        code=code,
        text=shown.text,
        blocks=shown.blocks,
        link=link,
    )
