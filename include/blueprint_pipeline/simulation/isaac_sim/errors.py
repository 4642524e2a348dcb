"""What can go wrong between us and Isaac Sim."""

from blueprint_pipeline.errors import InputError


class StageNotUsable(InputError):
    """The stage lacks something, or says something that PhysX would not simulate as the twin does."""

    code = "simulation.stage_not_usable"
    template = "The stage {path} cannot be simulated: {reason}. Assemble the scene again (assemble_scene)."

    path: str
    reason: str
