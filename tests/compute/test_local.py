"""A stage runs as a process; its outcome, its error and its sudden death all come back typed."""

import os
import signal

import pytest

from blueprint.compute.job import JobSpec, StageFailed
from blueprint.compute.local import LocalCompute
from blueprint.compute.profiles import Profile


@pytest.fixture
def environment(settings):
    return {
        "BLUEPRINT__WORKSPACE__URL": settings.workspace.url,
        "BLUEPRINT__WORKSPACE__CACHE_DIR": str(settings.workspace.cache_dir),
        "BLUEPRINT__REGISTRY__URL": settings.registry.url,
    }


def job(stage, environment, **request):
    return JobSpec(stage=stage, requests=({"scene_id": "s1", **request},), run_id="run-1", profile=Profile(environment=environment))


def test_error_of_the_stage_comes_back_typed(environment):
    """Code, retryability, exit status and message cross the process boundary."""
    with pytest.raises(StageFailed, match="estimate_physics reads") as caught:
        LocalCompute().run(job("estimate_physics", environment), lambda _event: None)
    assert caught.value.code == "workspace.input_missing"
    assert not caught.value.retryable
    assert caught.value.exit_code == 66


def test_result_and_events_of_the_stage_come_back(environment, sound_scene):
    """The result is the stage's own, and its log events carry the ids of the run."""
    events = []
    (result,) = LocalCompute().run(job("ingest_scene", environment, source=str(sound_scene)), events.append)
    assert result["objects"] > 0
    assert {event.get("run_id") for event in events if event["event"] == "stage done"} == {"run-1"}


def test_killed_process_is_retryable_and_says_how_it_ended(environment, sound_scene):
    """A process that is killed from outside is a transient failure with the signal's name."""
    compute = LocalCompute()

    def kill(_event):
        os.kill(compute._process.pid, signal.SIGKILL)

    with pytest.raises(StageFailed, match="SIGKILL") as caught:
        compute.run(job("ingest_scene", environment, source=str(sound_scene)), kill)
    assert caught.value.retryable
    assert caught.value.code == "compute.process_lost"
