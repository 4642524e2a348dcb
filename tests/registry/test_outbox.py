"""Messages: one an event, one sender at a time, tried again, and given up in the end."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from blueprint_pipeline.registry.errors import RecordMissing
from blueprint_pipeline.registry.outbox import FIRST_PAUSE_S, GIVE_UP_S, HOLD_S
from blueprint_pipeline.registry.records import Message


def message(message_id="failure/d/r/0", **facts):
    return Message(message_id=message_id, **{"kind": "failure", "scene_id": "kitchen", "text": "it failed", **facts})


def test_an_event_is_one_message(registry):
    """However often it is reported, and by whom at the same time."""
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda _: registry.outbox.add(message()), range(8)))
    assert sorted(added) == [False] * 7 + [True]


def test_one_sender_has_a_message(registry, clock):
    """Two that look at the same time do not both send it; one that died leaves it to the next."""
    registry.outbox.add(message())
    assert [len(registry.outbox.take()) for _ in range(2)] == [1, 0]
    clock.advance(seconds=HOLD_S + 1)
    assert len(registry.outbox.take()) == 1


def test_who_waits_for_its_turn_is_nobody_elses(registry, clock):
    """A sender that took two and is slow with the first still has the second for itself when it comes to that."""
    for run in ("first", "second"):
        registry.outbox.add(message(message_id=f"failure/d/{run}/0"))
    assert len(registry.outbox.take()) == 2
    clock.advance(seconds=HOLD_S + 1)
    assert [item.message.message_id for item in registry.outbox.take()] == ["failure/d/first/0"]
    clock.advance(seconds=HOLD_S)
    assert {item.message.message_id for item in registry.outbox.take()} == {"failure/d/first/0", "failure/d/second/0"}


def test_what_arrived_is_not_sent_again(registry, clock):
    registry.outbox.add(message())
    registry.outbox.take()
    assert registry.outbox.mark_sent("failure/d/r/0", "slack_default").channel == "slack_default"
    clock.advance(days=2)
    assert registry.outbox.take() == []


def test_a_try_that_failed_is_repeated_with_growing_pauses_and_given_up(registry, clock):
    """A channel that is away for a while loses nothing; one that is away for a day does not fill the night with tries."""
    registry.outbox.add(message())
    pauses = []
    for _ in range(3):
        registry.outbox.take()
        failed = registry.outbox.mark_failed("failure/d/r/0", "no answer")
        pauses.append((failed.due_at - clock()).total_seconds())
        assert registry.outbox.take() == []
        clock.advance(seconds=pauses[-1])
    assert pauses == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    clock.advance(seconds=GIVE_UP_S)
    assert registry.outbox.mark_failed("failure/d/r/0", "no answer").status == "given_up"
    assert [item.status for item in registry.outbox.all_of(status="given_up")] == ["given_up"]


def test_incidents_of_a_scene_are_open_until_they_are_resolved(registry):
    """Other kinds and other scenes open none."""
    registry.outbox.add(message())
    registry.outbox.add(message("late/d/r", kind="late"))
    registry.outbox.add(message("delivery/x", kind="delivery"))
    registry.outbox.add(message("failure/d/q/0", scene_id="office"))
    found = [item.message.message_id for item in registry.outbox.open_incidents("kitchen")]
    assert found == ["failure/d/r/0", "late/d/r"]
    assert registry.outbox.resolve(found, message("recovery/d/r", kind="recovery"))
    assert registry.outbox.open_incidents("kitchen") == []
    assert [item.message.kind for item in registry.outbox.take()][-1] == "recovery"
    assert len(registry.outbox.open_incidents("office")) == 1


@pytest.mark.parametrize("call", [lambda box: box.mark_sent("x", "y"), lambda box: box.mark_failed("x", "y")])
def test_an_unknown_message_is_an_error(registry, call):
    with pytest.raises(RecordMissing):
        call(registry.outbox)
