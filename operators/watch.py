"""What is looked after while runs go on: messages, labs, runs that ended without their last task, their pods, claims, questions."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowRuntimeError

from blueprint_pipeline.compute.job import Compute
from blueprint_pipeline.compute.local import LocalCompute
from blueprint_pipeline.compute.profiles import load_compute
from blueprint_pipeline.registry.database import Registry, open_registry
from blueprint_pipeline.registry.ids import run_name
from blueprint_pipeline.registry.leases import lease_holder
from blueprint_pipeline.registry.records import RunRecord, SceneRecord
from blueprint_pipeline.settings import load_settings
from operators.claim_notice import CLAIM_LAPSED, claim_lapsed_message, run_lapsed_message
from operators.lab_notice import call_again, write_given_up
from operators.left_leases import free_left_leases
from operators.night_runs import NIGHTS, night_of
from operators.retries import STAGE_RETRIES
from operators.run_end import cancelled_message
from plugins.providers.messages.failure import run_url_of
from plugins.providers.messages.outbox import send_due

OVER = {"success": "marked as done", "failed": "cancelled", "gone": "deleted"}
"""State of a run of Airflow's that is over, and how a run came there without its last task."""
GOING_ON = frozenset({"queued", "running"})
"""State of a night that may still start runs, or work on its batches."""
STARTING = timedelta(minutes=15)
"""A claimed scene whose run Airflow does not know yet is left alone for this long."""


class WatchRunsOperator(BaseOperator):
    """Send messages that wait, call labs again, end what ended without its last task, free what nobody works on, close questions.

    Args:
        flow: The DAG whose runs scenes are.
        compute: What calls labs; a process of this machine if not given.
    """

    def __init__(self, *, flow: str = "scene_to_dataset", compute: Compute | None = None, **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, **kwargs})
        self.flow = flow
        self.compute = compute

    def execute(self, context: Context) -> dict[str, Any]:
        with open_registry(load_settings().registry) as registry:
            ended = [run.run_id for run in registry.runs.running() if self._end_if_over(registry, context, run)]
            freed = [scene.source.scene_id for scene in registry.scenes.claims() if self._free_if_over(registry, context, scene)]
            expired = [asked.request_id for asked in registry.approvals.expire_due()]
            given_up = write_given_up(registry)
            sent = [state.status for state in send_due(registry)]
            called = call_again(registry, self.compute or LocalCompute(), context["ti"].dag_id, str(context["run_id"]))
            left = self._remove_left_pods(registry, context)  # last: what it meets on a cluster keeps nothing else from being done
        seen: dict[str, Any] = {"ended": ended, "freed": freed, "expired": expired, "labs": called, "labs_given_up": given_up, "pods": left}
        seen |= {"sent": sent.count("sent"), "waiting": sent.count("waiting")}
        self.log.info("%s", seen)
        return seen

    def _end_if_over(self, registry: Registry, context: Context, run: RunRecord) -> bool:
        """End a run that is over in Airflow and whose last task never ran; a scene of a batch is over with its night."""
        in_batch = run.dag_id == NIGHTS
        state = run_state(context, run.dag_id, night_of(run.run_id) if in_batch else run.run_id)
        if state not in OVER:
            return False
        with registry.together():
            now = registry.runs.find(run.dag_id, run.run_id)
            if now is None or now.status != "running":
                return False
            free_left_leases(registry.leases, lease_holder(run_name(run.dag_id, run.run_id)))
            registry.approvals.withdraw_all(run.scene_id, run.run_id)
            scene = registry.scenes.find(run.scene_id)
            claimed_at = scene.started_at if scene is not None and scene.running_run_id == run.run_id else run.started_at
            if scene is not None:
                registry.scenes.mark_finished(run.scene_id, run.run_id, "failed")
            if in_batch:
                registry.runs.end(run.dag_id, run.run_id, "failed")
                registry.runs.note(run.dag_id, run.run_id, stage="run_batch", code=CLAIM_LAPSED)
                registry.outbox.add(run_lapsed_message(context, run.run_id, run.scene_id, run.lab, claimed_at))
            else:
                _cancel(registry, run, state)
        return True

    def _remove_left_pods(self, registry: Registry, context: Context) -> list[str]:
        """Delete pods of runs that are over; a scene of a batch is over with its night."""
        settings = load_settings()
        compute = settings.compute
        if compute.kind != "kubernetes":
            return []
        from operators.left_pods import remove_left_pods  # the cluster's client, which a DAG is read without
        from plugins.providers.kubernetes.installation import installation_of

        def state_of(dag_id: str, run_id: str) -> str:
            return run_state(context, dag_id, night_of(run_id) if dag_id == NIGHTS else run_id)

        return remove_left_pods(load_compute(compute.config), registry.leases, installation_of(settings), state_of)

    def _free_if_over(self, registry: Registry, context: Context, scene: SceneRecord) -> bool:
        """Free a scene that a run claimed which is over, or was never started."""
        run_id, scene_id = str(scene.running_run_id), scene.source.scene_id
        state = run_state(context, self.flow, run_id)
        if state == "gone":
            claimed_at = scene.started_at or datetime.now(UTC)
            if datetime.now(UTC) - claimed_at < STARTING or run_state(context, NIGHTS, night_of(run_id)) in GOING_ON:
                return False
        elif state not in OVER:
            return False
        with registry.together():
            now = registry.scenes.find(scene_id)
            if now is None or now.running_run_id != run_id:
                return False
            known = registry.runs.find(self.flow, run_id)
            done = known is not None and known.status == "succeeded"
            registry.scenes.mark_finished(scene_id, run_id, "succeeded" if done else "failed")
            if known is None and state == "gone":
                registry.outbox.add(claim_lapsed_message(context, scene))
            elif known is None:
                link = run_url_of(getattr(context["ti"], "log_url", None), self.flow, run_id)
                lost = registry.runs.start(dag_id=self.flow, run_id=run_id, scene_id=scene_id, lab=scene.source.lab, link=link)
                _cancel(registry, lost, state)
        self.log.warning("scene %s was still claimed by run %s, which is %s: free now", scene_id, run_id, state)
        return True


def _cancel(registry: Registry, run: RunRecord, state: str) -> None:
    """Enter that a run ended without its last task, with what people are told of it."""
    ended = registry.runs.end(run.dag_id, run.run_id, "cancelled")
    registry.outbox.add(cancelled_message(OVER[state], ended))


def run_state(context: Context, dag_id: str, run_id: str) -> str:
    """State of a run in Airflow; ``gone`` where Airflow does not know it."""
    try:
        found = context["ti"].get_dagrun_state(dag_id, run_id)
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") == HTTPStatus.NOT_FOUND:
            return "gone"
        raise
    return str(getattr(found, "value", found))  # an enumeration whose words are not its values
