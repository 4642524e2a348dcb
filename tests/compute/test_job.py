"""The job specification: what makes two jobs the same, and what a pod may be named."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from blueprint_pipeline.compute.exit_codes import Ending, ending_of
from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.profiles import Profile
from blueprint_pipeline.errors import error_classes

SPEC = {"stage": "simulate_shard", "requests": ({"scene_id": "s1", "shard_index": 3},), "run_id": "manual__2026-11-23T08:00:00+00:00"}


def test_the_key_knows_neither_time_nor_try_nor_secrets():
    """A retry finds the pod of the first try."""
    first = JobSpec(**SPEC)
    again = JobSpec(**SPEC, attempt=7, secrets={"WORD": SecretStr("a")}, profile=Profile(timeout_s=5))
    assert (first.key, first.name) == (again.key, again.name)


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "render_shard"},
        {"run_id": "other"},
        {"dag_id": "other"},
        {"requests": ({"scene_id": "s1", "shard_index": 4},)},
        {"profile": Profile(image="job@sha256:1")},
    ],
)
def test_other_work_has_another_key(change):
    """Stage, requests, run and image are what the work is."""
    assert JobSpec(**{**SPEC, **change}).key != JobSpec(**SPEC).key


@given(st.text(max_size=50), st.lists(st.integers(0, 2**31), min_size=1, max_size=50))
def test_the_name_is_a_dns_label(run_id, shards):
    """Whatever Airflow calls its run."""
    spec = JobSpec(stage="simulate_shard", requests=tuple({"scene_id": "s", "shard_index": i} for i in shards), run_id=run_id)
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", spec.name)


def test_secrets_are_never_written_down():
    """Neither in JSON nor in a log line."""
    spec = JobSpec(**SPEC, secrets={"WORD": SecretStr("whsec_1")})
    assert "whsec" not in spec.model_dump_json() + repr(spec)
    assert spec.secrets["WORD"].get_secret_value() == "whsec_1"


def test_a_job_is_of_one_scene():
    with pytest.raises(ValidationError, match="one scene, found s1, s2"):
        JobSpec(**{**SPEC, "requests": ({"scene_id": "s1"}, {"scene_id": "s2"})})


def test_every_exit_code_has_one_meaning():
    """The table of the module, and every error class of ours stands in it."""
    assert [ending_of(code) for code in (0, 64, 74, 75, 76, 78, 137, 143)] == [
        Ending.DONE,
        Ending.PERMANENT,
        Ending.PERMANENT,
        Ending.RETRY,
        Ending.PERMANENT,
        Ending.PERMANENT,
        Ending.PREEMPTED,
        Ending.PREEMPTED,
    ]
    assert {ending_of(code) for code in (1, 2, 63, 79, 126, 139, 255)} == {Ending.DEFECT}
    for cls in error_classes():
        wanted = {Ending.RETRY, Ending.PREEMPTED} if cls.retryable else {Ending.PERMANENT}
        assert ending_of(cls.exit_code) in wanted, cls
