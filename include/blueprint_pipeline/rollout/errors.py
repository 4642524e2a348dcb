"""What can go wrong when a shard is simulated."""

from blueprint_pipeline.errors import InputError


class NothingPlanned(InputError):
    """A simulator is to be proved on a scene that has no plan."""

    code = "simulation.nothing_planned"
    template = "Scene {scene_id} has no {plan}, so there is no episode to attempt. Run plan_tasks on it first."

    scene_id: str
    plan: str
