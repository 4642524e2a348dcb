"""The flow's table of contents agrees with the stages and with what a run may choose."""

from itertools import pairwise

import jinja2
import pytest
from airflow.sdk.exceptions import ParamValidationError

from blueprint_pipeline.delivery.lab import InvalidLabProfile, load_lab
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.job.stages import PlanTasksRequest
from blueprint_pipeline.stage.flow import STAGES, load_stage
from blueprint_pipeline.stage.runner import parse_request
from blueprint_pipeline.task.coverage import COVERS
from operators.scene_flow import SCENE_ID, SceneFlow, build_scene_dag
from operators.scene_params import build_params
from operators.scene_requests import add_selections, as_template, build_request, values_of


@pytest.fixture(scope="module")
def dag():
    return build_scene_dag(SceneFlow(dag_id="flow_under_test", doc_md="x"))


def test_every_stage_of_the_flow_is_a_task_in_order(dag):
    """No stage is forgotten, and each comes after the one before it."""
    for before, after in pairwise(STAGES):
        assert after in dag.get_task(before).get_flat_relative_ids(upstream=False), (before, after)


@pytest.mark.parametrize("name", STAGES)
def test_requests_rendered_from_default_parameters_are_valid(name):
    """Templates give text; the stage's model makes typed values of it and refuses nothing."""
    values = {key: param.resolve() for key, param in build_params({"lab": "aurora_robotics"}).items()}
    rendered = {field: jinja2.Template(str(template)).render(params=values) for field, template in build_request(name, as_template).items()}
    request = {**rendered, "shard_index": 0} if STAGES[name].sharded else rendered
    parsed = parse_request(load_stage(name), request)
    assert parsed.scene_id == values["scene_id"]


def test_first_and_last_task_embrace_the_run(dag):
    """close_run runs at the end, whatever happened between, and no teardown keeps a run open that a person cancelled."""
    assert dag.get_task("close_run").trigger_rule == "all_done"
    assert not any(task.is_teardown for task in dag.tasks)
    assert not dag.get_task("close_run").downstream_task_ids
    assert "open_run" in dag.get_task("close_run").get_flat_relative_ids(upstream=True)


def test_skipped_question_does_not_stop_the_run(dag):
    """Where nobody is asked, the approval is recorded as empty and rendering goes on."""
    assert dag.get_task("record_approval").trigger_rule == "none_failed"
    assert dag.get_task("render_shard").trigger_rule == "all_success"


def test_form_of_the_question_has_only_its_own_fields(dag):
    """An answer through the API is checked against the form: the run's parameters must not be part of it."""
    assert set(dag.get_task("approve_episodes").serialized_params) == {"only_episodes", "review_note"}


def test_what_is_made_of_a_scene_is_told_of_that_scene_alone(dag):
    """An asset of all scenes, one partition a scene: who waits for one is not started by another."""
    told = {task.task_id: task.partition_key for task in dag.tasks if task.outlets}
    assert set(told) == {row.name for row in STAGES.values() if row.outlet}
    assert set(told.values()) == {SCENE_ID}


def test_groups_are_the_nouns(dag):
    """The UI shows the five nouns, in order."""
    assert set(dag.task_group.children) == {"open_run", "scene", "simulation", "episode", "dataset", "delivery", "close_run"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scene_id", "../x"),
        ("episodes", 0),
        ("episodes", "many"),
        ("tier", "gold"),
        ("width", 63),
        ("approval_window_s", 0),
        ("lab", "A b"),
        ("lab", "aurora"),
        ("deadline_h", 0),
    ],
)
def test_wrong_parameters_are_refused_before_the_run(name, value):
    """Types and bounds are checked when the run is asked for."""
    with pytest.raises(ParamValidationError):
        build_params({name: value})[name].resolve()


def test_unknown_override_is_refused():
    """A row of scenes.yaml cannot set a parameter that does not exist."""
    with pytest.raises(BlueprintError, match="sceen_id"):
        build_params({"sceen_id": "x"})


def test_how_cells_are_chosen_is_a_parameter():
    """Each way can be asked for, goes into the request of the plan, and nothing else can."""
    for cover in COVERS:
        value_of = build_params({"cover": cover, "lab": "aurora_robotics"}).__getitem__
        request = build_request("plan_tasks", lambda name, value_of=value_of: value_of(name).resolve())
        assert PlanTasksRequest.model_validate(request).cover == cover
    with pytest.raises(ParamValidationError):
        build_params({"cover": "all"})["cover"].resolve()


def test_lab_has_no_default():
    """One click must not send the sample to a customer."""
    assert build_params()["lab"].resolve() is None


def test_source_of_the_form_is_no_path_of_a_machine():
    """The form says `sample`; the stage gets the folder of this machine."""
    assert build_params()["source"].resolve() == "sample"
    rendered = jinja2.Template(as_template("source")).render(params={"source": "sample"})
    assert rendered.endswith("scene/samples/tabletop_scanned")
    assert jinja2.Template(as_template("source")).render(params={"source": "gs://x/y"}) == "gs://x/y"


def test_clearing_survives_the_deadline(dag):
    """Airflow 3.3 fails to clear a task of a run whose deadline counts from its own DAGRUN_QUEUED_AT (apache/airflow#70368)."""
    assert dag.deadline[0].reference.serialize_reference()["reference_type"] != "DagRunQueuedAtDeadline"


@pytest.mark.parametrize(("lab", "expected"), [("aurora_robotics", ["kept", "failures"]), ("northwind_ai", ["kept"])])
def test_failures_are_worked_on_where_the_lab_buys_them(dag, lab, expected):
    """By the same task, in a second request; of another lab's run nothing is drawn, written or priced of them."""
    template = as_template("failures")
    rendered = jinja2.Template(template).render(params={"lab": lab})
    assert values_of({"lab": lab, "source": "s"})["failures"] is (rendered == "True")
    for name, row in STAGES.items():
        task = dag.get_task(name)
        failures = task.partial_kwargs.get("failures") if row.sharded else task.failures
        assert failures == (template if row.selects else (None if row.sharded else False)), name
        requests = add_selections(name, [{"scene_id": "s", "n": 0}, {"scene_id": "s", "n": 1}], failures=rendered == "True")
        wanted = expected if row.selects else ["kept"]
        assert [request.get("selection", "kept") for request in requests] == [choice for choice in wanted for _ in range(2)], name
        assert [request["n"] for request in requests] == [0, 1] * len(wanted)


def test_one_bad_profile_leaves_the_flow_whole(monkeypatch):
    """Its own runs are refused, with the reason; those of the others go on."""

    def broken(lab):
        if lab == "northwind_ai":
            raise InvalidLabProfile("labs/northwind_ai.yaml", ["tier: missing"])
        return load_lab(lab)

    monkeypatch.setattr("operators.scene_requests.load_lab", broken)
    assert values_of({"lab": "aurora_robotics", "source": "s"})["failures"] is True
    assert values_of({"lab": "northwind_ai", "source": "s"})["failures"] is False
