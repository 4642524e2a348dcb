"""Tell people: write a message into the outbox and try to send it at once; what is not taken, ``watch_runs`` tries again.

Nothing here raises: whether people are told never changes what happened.
"""

import logging

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.registry.database import Registry, open_registry
from blueprint_pipeline.registry.outbox import INCIDENTS, Outbox
from blueprint_pipeline.registry.records import Message, OutboxMessage
from blueprint_pipeline.settings import load_settings
from plugins.providers.messages.channels import ChannelMissing, post

REGISTRY_WAIT_S = 4.0
"""How long to wait for a busy registry [s]: Airflow ends a callback that takes more than 20 s, and with it the task's end."""
PATIENCE = 3
"""From this try on, every kind of message also goes to the second channel; those that open an incident do so at once."""

log = logging.getLogger(__name__)


def tell(message: Message) -> bool:
    """Write a message down and try once to send it; ``False`` where this event was told, or is being told, already.

    Where the registry does not answer, the message is sent without it: an alert that may come twice is better than none.
    """
    try:
        with open_registry(load_settings().registry, wait_s=REGISTRY_WAIT_S) as registry:
            if not registry.outbox.add(message):
                log.info("%s was told before, or waits in the outbox", message.message_id)
                return False
            send_now(registry, message.message_id)
    except BlueprintError as error:
        log.warning("the outbox cannot be used (%s); the message is sent without it", error)
        _send(message, tries=0)
    return True


def send_now(registry: Registry, message_id: str) -> None:
    """Try once to send a message that stands in the outbox with its event; where that cannot be tried now, ``watch_runs`` sends it."""
    try:
        send_due(registry, message_id=message_id)
    except BlueprintError as error:
        log.warning("%s is not sent now, for the outbox cannot be used: %s", message_id, error)


def write_down(message: Message) -> bool:
    """Write a message into the outbox; ``watch_runs`` sends it."""
    try:
        with open_registry(load_settings().registry, wait_s=REGISTRY_WAIT_S) as registry:
            return registry.outbox.add(message)
    except BlueprintError as error:
        log.error("this message was lost, for the registry cannot be used (%s): %s", error, message.text)  # noqa: TRY400 -- the message is whole
        return False


def send_due(registry: Registry, *, message_id: str | None = None, limit: int = 50) -> list[OutboxMessage]:
    """Try every message that is due, once; how each stands now."""
    return [_try(registry.outbox, taken) for taken in registry.outbox.take(message_id=message_id, limit=limit)]


def _try(outbox: Outbox, taken: OutboxMessage) -> OutboxMessage:
    message = taken.message
    channel, errors = _send(message, tries=taken.attempts)
    if channel is not None:
        return outbox.mark_sent(message.message_id, channel)
    state = outbox.mark_failed(message.message_id, "; ".join(errors))
    if state.status == "given_up":
        log.error("no channel has taken %s for a day; it is given up: %s", message.message_id, message.text)
    return state


def _send(message: Message, *, tries: int) -> tuple[str | None, list[str]]:
    """The connection that took the message, or what each said."""
    chosen, errors = load_settings().messages, []
    urgent = message.kind in INCIDENTS or tries + 1 >= PATIENCE
    for connection_id in (chosen.channel, chosen.second_channel) if urgent else (chosen.channel,):
        try:
            post(connection_id, message)
        except BlueprintError as error:
            errors.append(error.message)
            if not isinstance(error, ChannelMissing) or connection_id == chosen.channel:
                log.warning("no message was sent over '%s': %s %s", connection_id, error, message.text)
        else:
            log.info("message sent over '%s': %s", connection_id, message.text)
            return connection_id, errors
    return None, errors
