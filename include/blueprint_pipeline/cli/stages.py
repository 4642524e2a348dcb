"""Run stages of the flow from other commands, with a bar and the same settings."""

from typing import Any

from blueprint_pipeline.cli.output import progress_bar
from blueprint_pipeline.settings import load_settings


def run_stages(scene_id: str, stages: list[tuple[str, dict[str, object]]], *, as_json: bool) -> dict[str, dict[str, Any]]:
    """Run stages one after the other on a scene; results by stage."""
    from blueprint_pipeline.stage.runner import run_stage, stop_on_sigterm

    results: dict[str, dict[str, Any]] = {}
    with stop_on_sigterm():
        for name, fields in stages:
            with progress_bar(name, visible=not as_json) as bar:
                found = run_stage(name, {"scene_id": scene_id, **fields}, load_settings(), progress=bar)
            results[name] = found.model_dump(mode="json")
    return results
