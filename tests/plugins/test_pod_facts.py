"""What a pod's status means, in one word; and the error of a pod that failed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.errors import PreemptedError, TransientError
from plugins.providers.kubernetes.pod_facts import PodFacts, judge
from plugins.providers.kubernetes.pod_failure import error_of
from tests.sample_errors import BadInput

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
SPEC = JobSpec(stage="simulate_shard", requests=({"scene_id": "s1"},), run_id="r1")


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def pod(**fields):
    return PodFacts(**{"name": "p", "uid": "u", "key": "k", "phase": "Pending", "created_at": ago(100), **fields})


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, "waiting"),
        ({"created_at": ago(700), "unschedulable": "0/3 nodes are available"}, "unschedulable"),
        ({"created_at": ago(700), "scheduled_at": ago(650)}, "waiting"),
        ({"scheduled_at": ago(90), "waiting_reason": "ErrImagePull"}, "waiting"),
        ({"scheduled_at": ago(90), "waiting_reason": "ImagePullBackOff"}, "image"),
        ({"scheduled_at": ago(90), "waiting_reason": "InvalidImageName"}, "image"),
        ({"scheduled_at": ago(30), "waiting_reason": "ImagePullBackOff"}, "waiting"),
        ({"scheduled_at": ago(1), "waiting_reason": "ErrImageNeverPull"}, "image"),
        ({"created_at": ago(700), "scheduled_at": ago(90), "waiting_reason": "CreateContainerConfigError"}, "waiting"),
        ({"created_at": ago(700), "scheduled_at": ago(310), "waiting_reason": "CreateContainerConfigError"}, "not_started"),
        ({"created_at": ago(700), "scheduled_at": ago(310), "waiting_reason": "ContainerCreating"}, "waiting"),
        ({"created_at": ago(700), "scheduled_at": ago(310), "trouble": "FailedMount: timed out"}, "not_started"),
        ({"created_at": ago(2000), "scheduled_at": ago(1900), "waiting_reason": "ContainerCreating"}, "not_started"),
        ({"phase": "Running", "started_at": ago(90)}, "running"),
        ({"phase": "Running", "started_at": ago(4000)}, "overdue"),
        ({"phase": "Running", "started_at": ago(90), "deleted_at": ago(5)}, "waiting"),
        ({"phase": "Running", "started_at": ago(90), "deleted_at": ago(60)}, "terminating"),
        ({"phase": "Succeeded", "started_at": ago(90), "exit_code": 0}, "succeeded"),
        ({"phase": "Failed", "reason": "Evicted"}, "failed"),
    ],
)
def test_a_status_is_one_word(fields, verdict):
    assert judge(pod(**fields), NOW, unschedulable_s=600, timeout_s=3600, gone_s=30) == verdict


def failed(**fields):
    return error_of(pod(phase="Failed", **fields), SPEC, "alpha")


SAID = json.dumps(BadInput("no good", at=3).as_dict())


@pytest.mark.parametrize(
    ("fields", "code", "kind"),
    [
        ({"exit_code": 143, "last_output": "{}"}, "compute.pod_preempted", PreemptedError),
        ({"exit_code": 137, "container_reason": "Error"}, "compute.pod_preempted", PreemptedError),
        ({"exit_code": 137, "container_reason": "OOMKilled"}, "compute.out_of_memory", TransientError),
        (
            {"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."},
            "compute.pod_preempted",
            PreemptedError,
        ),
        ({"reason": "Evicted", "message": "The node was low on resource: memory."}, "compute.pod_preempted", PreemptedError),
        *(
            ({"reason": "Evicted", "message": message, **ended}, code, kind)
            for ended in ({}, {"exit_code": 137}, {"exit_code": 143})
            for message, code, kind in [
                ("Pod ephemeral local storage usage exceeds the total limit of containers 10Gi. ", "compute.out_of_disk", TransientError),
                ('Container base exceeded its local ephemeral storage limit "8Gi". ', "compute.out_of_disk", TransientError),
                ('Usage of EmptyDir volume "scratch" exceeds the limit "4Gi". ', "compute.out_of_disk", TransientError),
                (
                    "The node was low on resource: memory. Container base was using 9Gi, which exceeds its request of 4Gi. ",
                    "compute.pod_preempted",
                    PreemptedError,
                ),
                (
                    "The node was low on resource: ephemeral-storage. Container base was using 9Gi, request is 0. ",
                    "compute.pod_preempted",
                    PreemptedError,
                ),
                ("The node had condition: [DiskPressure]. ", "compute.pod_preempted", PreemptedError),
                ("Pod The node was low on resource: [PIDPressure]. ", "compute.pod_preempted", PreemptedError),
            ]
        ),
        *(
            ({"reason": reason, "message": "Pod was rejected"}, "compute.pod_preempted", PreemptedError)
            for reason in (
                "OutOfcpu",
                "OutOfmemory",
                "OutOfpods",
                "OutOfnvidia.com/gpu",
                "UnexpectedAdmissionError",
                "NodeAffinity",
                "TopologyAffinityError",
            )
        ),
        ({"disrupted": "PreemptionByScheduler"}, "compute.pod_preempted", PreemptedError),
        ({"reason": "DeadlineExceeded", "exit_code": 143}, "compute.timed_out", TransientError),
        ({"exit_code": 1, "last_output": "Traceback (most recent call last)"}, "compute.job_crashed", TransientError),
        ({"exit_code": 128, "container_reason": "StartError"}, "compute.job_crashed", TransientError),
        ({"exit_code": 65, "last_output": SAID}, "sample.bad_input", None),
        ({"exit_code": 65}, "stage.failed", None),
    ],
)
def test_a_failure_is_an_error_of_our_tree(fields, code, kind):
    """What the process said counts before what the node says, except where the node took it away."""
    error = failed(**fields)
    assert error.code == code
    if kind is None:
        assert not error.retryable
    else:
        assert isinstance(error, kind)
        assert isinstance(error, PreemptedError) == (kind is PreemptedError)


def test_the_stages_own_words_come_through():
    error = failed(exit_code=65, last_output=SAID)
    assert (str(error), error.facts["at"], error.exit_code) == ("[sample.bad_input] no good", 3, 65)


def test_a_crash_tells_its_last_words():
    assert "ZeroDivisionError: by nought" in str(failed(exit_code=1, last_output="Traceback\nZeroDivisionError: by nought\n"))
