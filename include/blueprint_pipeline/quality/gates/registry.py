"""All gates, in the order in which they are asked: the first that fails is the reason that people read."""

from collections.abc import Mapping

from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.quality.config_files import TIERS_FILE
from blueprint_pipeline.quality.gates import joints, motion, objects, provenance, recordings, renders, task
from blueprint_pipeline.quality.gates.case import (
    EpisodeCase,
    EpisodeMeasure,
    Measurement,
    RenderCase,
    RenderMeasure,
    judge,
    judge_by,
    not_measured,
    on_arrays,
)
from blueprint_pipeline.quality.metrics.skill import SET_MEASURES
from blueprint_pipeline.quality.tiers import InvalidQualityConfig, TierConfig
from blueprint_pipeline.quality.verdicts import GateResult, Tier, Verdict

EPISODE_GATES: dict[str, EpisodeMeasure] = {
    "outcome": recordings.measure_outcome,
    "recording": recordings.measure_recording,
    "schema": recordings.measure_schema,
    "timestamps": on_arrays(recordings.measure_timestamps),
    "duration_min": on_arrays(recordings.measure_duration),
    "duration_max": on_arrays(recordings.measure_duration),
    "joint_position": on_arrays(joints.measure_joint_position),
    "joint_velocity": on_arrays(joints.measure_joint_velocity),
    "joint_torque": on_arrays(joints.measure_joint_torque),
    "object_speed": on_arrays(objects.measure_object_speed),
    "bystander_motion": on_arrays(objects.measure_bystander_motion),
    "untouched_motion": on_arrays(objects.measure_untouched_motion),
    "penetration": on_arrays(objects.measure_penetration),
    "unexplained_contacts": on_arrays(objects.measure_unexplained_contacts),
    "task_predicate": task.measure_task_predicate,
    "task_recheck": on_arrays(task.measure_task_recheck),
    "state_continuity": on_arrays(joints.measure_state_continuity),
    "action_state_lead": on_arrays(joints.measure_action_state_lead),
    "action_state_lag": on_arrays(joints.measure_action_state_lag),
    "action_state_consistency": on_arrays(joints.measure_action_state_consistency),
    "tracking_error": on_arrays(joints.measure_tracking_error),
    "joint_margin": on_arrays(motion.measure_joint_margin),
    "branch": on_arrays(motion.measure_branch),
    "tries": on_arrays(motion.measure_tries),
    "detour": on_arrays(motion.measure_detour),
    "stillness": on_arrays(motion.measure_stillness),
    "licences": provenance.measure_licences,
}

RENDER_GATES: dict[str, RenderMeasure] = {
    "certificate": renders.measure_certificate,
    "replay_agreement": renders.measure_agreement,
    "replay_spread": renders.measure_spread,
    "videos": renders.measure_videos,
    "not_black": renders.measure_not_black,
    "exposure": renders.measure_exposure,
    "not_frozen": renders.measure_not_frozen,
    "target_visible": renders.measure_target_visible,
    "ends_visible": renders.measure_ends_visible,
    "emptiness": renders.measure_emptiness,
    "sharpness": renders.measure_sharpness,
}


def validate_config(config: TierConfig) -> None:
    """Check that every gate has a rule, of its own stage, and every rule its gate.

    Raises:
        InvalidQualityConfig: One is without the other: a gate that is not asked would let everything pass.
    """
    for stage, gates in (("episodes", set(EPISODE_GATES)), ("renders", set(RENDER_GATES))):
        ruled = {name for name, rule in config.gates.items() if rule.stage == stage}
        if ruled != gates:
            problem = f"gates of stage {stage} without a rule: {sorted(gates - ruled)}; rules without a gate: {sorted(ruled - gates)}"
            raise InvalidQualityConfig(CONFIG_FOLDER / TIERS_FILE, [problem])
    _validate_set_gates(config)


def _validate_set_gates(config: TierConfig) -> None:
    unknown = sorted(set(config.set_gates) - SET_MEASURES)
    if unknown or not config.set_gates:
        problem = f"set_gates without a measure: {unknown}; measures: {sorted(SET_MEASURES)}" if unknown else "set_gates is empty"
        raise InvalidQualityConfig(CONFIG_FOLDER / TIERS_FILE, [problem])


def judge_set(measured: Mapping[str, float | None], config: TierConfig, tier: Tier) -> tuple[GateResult, ...]:
    """Ask the gates on the kept episodes together; none where there are fewer episodes than a gate needs to tell."""
    found = []
    for name, rule in config.set_gates.items():
        if (measured.get(rule.of) or 0) >= rule.fewest_episodes:
            value = measured.get(name)
            measurement = not_measured("the plan does not say where things may start") if value is None else Measurement(value)
            found.append(judge_by(name, measurement, rule, rule.limits[tier], tier))
    return tuple(found)


def judge_episode(case: EpisodeCase, config: TierConfig, tier: Tier) -> tuple[GateResult, ...]:
    """Ask all gates of a simulated episode."""
    return tuple(judge(name, measure(case, config.gates[name]), config, tier) for name, measure in EPISODE_GATES.items())


def judge_render(case: RenderCase, config: TierConfig, tier: Tier) -> tuple[GateResult, ...]:
    """Ask all gates of a rendered episode."""
    return tuple(judge(name, measure(case, config.gates[name]), config, tier) for name, measure in RENDER_GATES.items())


def verdict_of_failure(gates: tuple[GateResult, ...]) -> Verdict:
    """Of a failure that was rendered: how good an example its pictures are decides nothing, all else does, and nobody is asked."""
    return verdict_of(tuple(gate for gate in gates if gate.when_failed != "weakness"))


def verdict_of(gates: tuple[GateResult, ...]) -> Verdict:
    """Rejected by any gate that fails outside its band; else for a person, where any value is within a band; else kept."""
    if not gates or any(not gate.passed and not gate.borderline for gate in gates):
        return "rejected"
    return "borderline" if any(gate.borderline for gate in gates) else "kept"
