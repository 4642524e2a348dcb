"""What a run of the scene flow may choose: typed parameters, checked by Airflow before the run starts."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow.sdk import Param

from blueprint_pipeline.dataset.formats import join_titles, requested_formats, usual_formats
from blueprint_pipeline.delivery.lab import list_labs
from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.robot.names import DEFAULT_ROBOT, robot_names
from blueprint_pipeline.simulation.render_profiles import FAST, RENDER_PROFILES
from blueprint_pipeline.task.coverage import COVERS
from blueprint_pipeline.task.skills import SKILLS
from blueprint_pipeline.task.variation import AUTO, DEFAULT_VARIATION, VARIATIONS
from blueprint_pipeline.workspace.canonical import MAX_INTEGER

SAMPLE_SCENE_ID = "tabletop_scanned"
SAMPLE = "sample"
"""As a source: the scene that comes with the package."""
DEADLINE_H = 4.0
"""How long a run may take, where it says nothing else [h]."""

_SCENE_ID = r"^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$(?!\n)"
"""What the workspace takes as an id, for the form: Python's ``$`` alone would let a line break through."""


class UnknownParameter(ConfigurationError):
    """A default is given for a parameter that the flow does not have."""

    code = "scenes.unknown_parameter"
    template = "There is no parameter {names}. Parameters of the flow: {known}."

    names: Sequence[str]
    known: Sequence[str]


def sample_source() -> str:
    """Where the scene lies that comes with the package."""
    spec = find_spec("blueprint_pipeline")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return (Path(folders[0]) / "scene" / "samples" / SAMPLE_SCENE_ID).as_posix()


def parameter_names() -> list[str]:
    """Names of all parameters of the flow, in the order of the form."""
    return list(_SCHEMAS)


def build_params(overrides: dict[str, Any] | None = None) -> dict[str, Param]:
    """All parameters of the flow; ``overrides`` replaces defaults.

    Raises:
        UnknownParameter: An override names no parameter.
    """
    chosen = {**_DEFAULTS, **(overrides or {})}
    unknown = sorted(set(chosen) - set(_SCHEMAS))
    if unknown:
        raise UnknownParameter(unknown, list(_SCHEMAS))
    schemas = {**_SCHEMAS, "lab": {**_SCHEMAS["lab"], "enum": [*list_labs(), None]}}
    return {name: Param(chosen[name], **schema) for name, schema in schemas.items()}


_DEFAULTS: dict[str, Any] = {
    "scene_id": SAMPLE_SCENE_ID,
    "source": SAMPLE,
    "robot": DEFAULT_ROBOT,
    "skills": ["pick_place"],
    "episodes": 24,
    "seed": 0,
    "shard_size": 12,
    "fps": 30,
    "width": 320,
    "height": 240,
    "variation": AUTO,
    "cover": "none",
    "augment": 0,
    "demonstrations": "",
    "recoveries": 0.0,
    "render_profile": FAST.name,
    "depth": False,
    "segmentation": False,
    "tier": "core",
    "more_formats": [],
    "lab": None,
    "settle_s": 2.0,
    "approval_window_s": 10800,
    "deadline_h": DEADLINE_H,
}

_SCHEMAS: dict[str, dict[str, Any]] = {
    "scene_id": {
        "type": "string",
        "pattern": _SCENE_ID,
        "section": "Scene",
        "description": "Names the scene's folder; also the partition key of the events of its assets.",
    },
    "source": {
        "type": "string",
        "minLength": 1,
        "section": "Scene",
        "description": "Folder or URL of the reconstructed scene (regen3d layout); `sample`: the scene that comes with the package.",
    },
    "settle_s": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 60,
        "section": "Scene",
        "description": "How long the scene is watched [s]: what does not stay at rest is set aside.",
    },
    "robot": {"type": "string", "enum": list(robot_names()), "section": "Episodes", "description": "Embodiment."},
    "skills": {
        "type": "array",
        "items": {"type": "string", "enum": list(SKILLS)},
        "minItems": 1,
        "uniqueItems": True,
        "section": "Episodes",
        "description": "What the robot does; episodes take the skills in turn.",
    },
    "episodes": {"type": "integer", "minimum": 1, "maximum": 100000, "section": "Episodes", "description": "Episodes to attempt."},
    "seed": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_INTEGER,
        "section": "Episodes",
        "description": "The same seed gives the same episodes.",
    },
    "variation": {
        "type": "string",
        "enum": [AUTO, *VARIATIONS],
        "section": "Episodes",
        "description": "How widely lights, colours, the scene's camera, friction and masses differ from episode to episode. "
        f"{AUTO}: {DEFAULT_VARIATION} where the simulator can, else none.",
    },
    "cover": {
        "type": "string",
        "enum": list(COVERS),
        "section": "Episodes",
        "description": "How targets, starts and goals are chosen. none: in turn, and drawn. even: evenly over the cells of the scene. "
        "missing: first what no kept episode of the scene's other batches of this robot has (`bpp coverage SCENE` shows them).",
    },
    "recoveries": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "section": "Episodes",
        "description": "Share of the episodes in which the first try goes wrong on purpose, so that they show how the robot tries again.",
    },
    "augment": {
        "type": "integer",
        "minimum": 0,
        "maximum": 1000,
        "section": "Episodes",
        "description": "Episodes that are derived from each demonstration, beside those that are planned.",
    },
    "demonstrations": {
        "type": "string",
        "section": "Episodes",
        "description": "Folder or URL of demonstrations, as `bpp episode demonstrate` writes them; empty: none.",
    },
    "shard_size": {"type": "integer", "minimum": 1, "maximum": 1000, "section": "Episodes", "description": "Episodes of one mapped task."},
    "fps": {"type": "integer", "enum": [10, 15, 20, 30, 60], "section": "Cameras", "description": "Setpoints, states and frames [Hz]."},
    "width": {
        "type": "integer",
        "minimum": 64,
        "maximum": 1920,
        "multipleOf": 2,
        "section": "Cameras",
        "description": "Width of a frame [px].",
    },
    "height": {
        "type": "integer",
        "minimum": 48,
        "maximum": 1080,
        "multipleOf": 2,
        "section": "Cameras",
        "description": "Height of a frame [px].",
    },
    "render_profile": {
        "type": "string",
        "enum": list(RENDER_PROFILES),
        "section": "Cameras",
        "description": "How good the pictures are.",
    },
    "depth": {"type": "boolean", "section": "Cameras", "description": "Also draw depth; the format depth_segmentation delivers it."},
    "segmentation": {
        "type": "boolean",
        "section": "Cameras",
        "description": "Also draw segmentation; the format depth_segmentation delivers it.",
    },
    "tier": {
        "type": "string",
        "enum": ["core", "plus", "full"],
        "section": "Quality and delivery",
        "description": "Which limits the gates use.",
    },
    "more_formats": {
        "type": "array",
        "items": {"type": "string", "enum": list(requested_formats())},
        "uniqueItems": True,
        "section": "Quality and delivery",
        "description": f"Formats of the dataset beside {join_titles(usual_formats())}.",
    },
    "lab": {
        "type": ["string", "null"],
        "section": "Quality and delivery",
        "description": "Lab that gets the dataset. There is no default: nothing is sent to a lab that nobody chose.",
    },
    "approval_window_s": {
        "type": "number",
        "minimum": 1,
        "maximum": 172800,
        "section": "Quality and delivery",
        "description": "How long a person may take over borderline episodes [s]; then they are rejected. Shorter than the run's deadline.",
    },
    "deadline_h": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 72,
        "section": "Quality and delivery",
        "description": "On-call is told of a run that is not done this long after it was queued [h].",
    },
}
