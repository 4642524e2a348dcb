"""A lab that could not be told of its delivery: the delivery stands, we tell our own people, and ``watch_runs`` calls the lab again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from airflow.sdk.exceptions import AirflowSkipException
from pydantic import SecretStr

from blueprint_pipeline.compute.job import Compute, JobSpec
from blueprint_pipeline.compute.profiles import load_compute
from blueprint_pipeline.delivery.slack_message import build_notice
from blueprint_pipeline.errors import BlueprintError, PreemptedError
from blueprint_pipeline.registry.database import Registry
from blueprint_pipeline.registry.records import Delivery, Message
from blueprint_pipeline.settings import load_settings
from operators.retries import as_known, raise_for_airflow
from operators.scene_requests import secret_variables
from operators.stage_task import read_connections
from plugins.providers.messages.compose import compose
from plugins.providers.messages.failure import StageOfRun, runbook_of, scene_and_lab, split_error
from plugins.providers.messages.outbox import tell

GIVEN_UP = "delivery.lab_given_up"
FIRST_PAUSE, LONGEST_PAUSE, GIVE_UP = timedelta(minutes=10), timedelta(hours=4), timedelta(days=3)
"""Between two rounds of calls to a lab: doubled with each, up to the longest; no call after the last."""
_ARRIVED = frozenset({"promoted", "notified"})
"""States of a delivery that its bucket has whole."""


def end_task(context: Any, error: BlueprintError, *, never_fails: bool) -> NoReturn:
    """End a task whose stage failed: skipped where the stage only tells, and has not merely been asked to end; else as Airflow knows it.

    Raises:
        AirflowSkipException: The lab was not told; our own people are.
        AirflowFailException, PreemptedError, TransientError: See :func:`operators.retries.raise_for_airflow`.
    """
    if never_fails and not isinstance(as_known(error), PreemptedError):
        skip_untold(context, error)
    raise_for_airflow(error)


def skip_untold(context: Any, error: BlueprintError) -> NoReturn:
    """Tell our own people that the lab was not told, and skip the task.

    Raises:
        AirflowSkipException: Always.
    """
    ti = context["ti"]
    scene_id, lab = scene_and_lab(context)
    link = getattr(ti, "log_url", None)
    tell(untold_message(StageOfRun(scene_id=scene_id, lab=lab, stage=ti.task_id, dag_id=ti.dag_id, run_id=ti.run_id, link=link), error))
    raise AirflowSkipException(f"The delivery stands; the lab was not told: {error}") from error


def untold_message(where: StageOfRun, error: BlueprintError) -> Message:
    """What our own people are told of a lab that was not told; one message a run."""
    scene_id, lab = where.scene_id, where.lab
    code, reason = split_error(error)
    shown = build_notice(
        f"{lab} was not told of {scene_id}: {code}",
        fields={"Scene": str(scene_id), "Lab": str(lab), "Code": f"`{code}`"},
        sections={
            "What happened": reason,
            "What to do": "The delivery stands. watch_runs calls the lab again for three days. If its address or secret is wrong, "
            f"correct the connection lab_{lab}.",
        },
        links={"Run": where.link, "Runbook": runbook_of(code)},
    )
    about = {"scene_id": scene_id, "lab": lab, "run_id": where.run_id, "code": code, "link": where.link}
    return compose("lab_not_told", where.dag_id, where.run_id, shown=shown, **about)


def write_given_up(registry: Registry) -> list[str]:
    """Write down, once a delivery, that its lab is no longer called; the deliveries for which that is new."""
    now = datetime.now(UTC)
    over = [found for found in registry.deliveries.all_of(status="promoted") if now - found.updated_at >= GIVE_UP]
    return [found.delivery_id for found in over if registry.outbox.add(given_up_message(found))]


def given_up_message(delivery: Delivery) -> Message:
    """What our own people are told of a lab that never answered."""
    shown = build_notice(
        f"{delivery.lab} is no longer called about {delivery.scene_id}",
        fields={
            "Scene": delivery.scene_id,
            "Lab": delivery.lab,
            "Code": f"`{GIVEN_UP}`",
            "Delivery": f"`{delivery.delivery_id}`",
            "Delivered": f"{delivery.updated_at:%Y-%m-%d %H:%M} UTC",
        },
        sections={
            "What happened": f"The lab did not acknowledge its delivery in {GIVE_UP.days} days. The delivery stands: {delivery.url}",
            "What to do": f"Tell the lab by hand. Then correct the connection lab_{delivery.lab} and clear notify_lab of the run.",
        },
        links={"Runbook": runbook_of(GIVEN_UP)},
    )
    about = {"scene_id": delivery.scene_id, "lab": delivery.lab, "code": GIVEN_UP, "link": delivery.url}
    return compose("lab_given_up", delivery.delivery_id, shown=shown, **about)


def untold(registry: Registry, now: datetime) -> Iterator[Delivery]:
    """Deliveries whose lab has not acknowledged, and is to be called again now.

    Of a scene, a lab is called about the last delivery alone: the stage that calls knows the receipt of no other.
    """
    for delivery in registry.deliveries.all_of(status="promoted"):
        rounds = registry.deliveries.attempts(delivery.delivery_id)
        last = max((attempt.at for attempt in rounds), default=delivery.updated_at)
        pause = min(FIRST_PAUSE * 2 ** min(len(rounds) // 5, 8), LONGEST_PAUSE)
        if last + pause <= now and now - delivery.updated_at < GIVE_UP and _is_last(registry, delivery):
            yield delivery


def _is_last(registry: Registry, delivery: Delivery) -> bool:
    """Whether no later delivery of the scene to the lab has arrived."""
    arrived = [found for found in registry.deliveries.all_of(lab=delivery.lab, scene_id=delivery.scene_id) if found.status in _ARRIVED]
    return arrived[-1].delivery_id == delivery.delivery_id


def call_again(registry: Registry, compute: Compute, dag_id: str, run_id: str) -> dict[str, str]:
    """Call every lab that is to be called again now, as work of this run; delivery to how it ended."""
    ended: dict[str, str] = {}
    for delivery in untold(registry, datetime.now(UTC)):
        found = read_connections(secret_variables("notify_lab", delivery.lab))
        job = JobSpec(
            stage="notify_lab",
            requests=({"scene_id": delivery.scene_id, "lab": delivery.lab},),
            dag_id=dag_id,
            run_id=run_id,
            profile=load_compute(load_settings().compute.config).local,
            secrets={name: SecretStr(value) for name, value in found.items()},
        )
        try:
            compute.run(job, lambda _event: None)
            ended[delivery.delivery_id] = "told"
        except BlueprintError as error:
            ended[delivery.delivery_id] = str(error)
    return ended
