"""What the chart's schema takes over from the code: fields of compute.yaml, stages, and variables of settings.

``python -m tests.shipping.values_schema`` writes them into ``values.schema.json``; a test fails where that is out of date.
"""

import json
from pathlib import Path

from blueprint_pipeline.compute.profiles import ComputeConfig
from blueprint_pipeline.settings import PREFIX, Settings
from blueprint_pipeline.stage.flow import STAGES

PATH = Path(__file__).resolve().parents[2] / "helm" / "blueprint-pipeline" / "values.schema.json"
_OF_THE_CHART = {
    "BPP__REGISTRY__URL",
    "BPP__WORKSPACE__URL",
    "BPP__WORKSPACE__CACHE_DIR",
    "BPP__COMPUTE__IMAGE_DIGEST",
    "BPP__COMPUTE__POD_UID",
    "BPP__COMPUTE__NODE",
    "BPP__DELIVERY__SIGNING_KEY",
    "BPP__DELIVERY__WEBHOOK_SECRET",
}
"""Set by the chart or the operator, or a secret."""


def setting_names():
    """Variables that `settings` of the chart may set."""
    groups = {name: field.annotation.model_fields for name, field in Settings.model_fields.items()}
    names = (f"{PREFIX}{group}__{field}".upper() for group, fields in groups.items() for field in fields)
    return sorted(set(names) - _OF_THE_CHART)


def _plain(part):
    """Without what is for people, and with references to this file's own definitions."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {name: value for name, value in part.items() if name not in {"title", "description", "default"} or isinstance(value, dict)}
    return {name: f"#/$defs/compute{value.removeprefix('#/$defs/')}" if name == "$ref" else _plain(value) for name, value in kept.items()}


def build(schema):
    """The schema with what the code says now."""
    model = ComputeConfig.model_json_schema()
    parts = {f"compute{name}": _plain(part) for name, part in sorted(model.pop("$defs").items())}
    # Helm values say which cluster this is by its connection; the chart writes the namespace.
    parts["computeCluster"]["required"].remove("namespace")
    whole = _plain(model)
    whole["properties"]["stages"] = {
        "type": "object",
        "propertyNames": {"enum": sorted(STAGES)},
        "additionalProperties": {"type": "string"},
    }
    own = {name: part for name, part in schema["$defs"].items() if not name.startswith("compute")}
    settings = {"type": "object", "propertyNames": {"enum": setting_names()}, "additionalProperties": {"type": "string"}}
    properties = {**schema["properties"], "compute": {"anyOf": [{"type": "object", "maxProperties": 0}, whole]}, "settings": settings}
    return {**schema, "$defs": {**own, **parts}, "properties": properties}


def text_of(schema):
    """As the file has it."""
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(text_of(build(json.loads(PATH.read_text()))))
